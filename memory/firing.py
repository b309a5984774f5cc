"""Spreading activation over facts and concepts: what a claim fires.

Activation starts at a claim's subject and at its object and spreads along links; where the two meet, something fires.
For a claim (s, r, o) the kinds of evidence are kept apart:

*Analogies*, with H the likeness of two concepts (``hunch.memory.likeness``), A_r the facts of relation r, and C the
cosine similarity of two names (words, tf-idf):

``subject_analogy``   a = sum_s' H[s,s'] A_r[s',o]         things like s stand so to o
``object_analogy``    b = sum_o' A_r[s,o'] H[o,o']         s stands so to things like o
``double_analogy``    sum_s'o' H[s,s'] A_r[s',o'] H[o',o]  things like s stand so to things like o
``subject_fit``       sum_s' H[s,s'] [s' stands in r]      things like s stand in r at all: do the kinds fit?
``object_fit``        sum_o' H[o,o'] [r holds of o']       the same for the object
``subject_rivals``    (a + b - mean) / spread              against other subjects of r, and against other objects
``object_rivals``                                          (lateral inhibition)
``subject_share``     log softmax 10 (a + b)               the same as a share of what all of them fire
``object_share``
``subject_namesake``  sum_s' C[s,s'] A_r[s',o]             things named like s stand so to o
``object_namesake``   sum_o' A_r[s,o'] C[o,o']             s stands so to things named like o
``subject_word``      share of r in what stands so         things named like s stand in r, rather than in others
``object_word``                                            the same for the object

*Paths* (Swanson's A-B-C, 1986), of up to three steps; paths, what they carry and what their relations imply (llr) are
those of ``hunch.memory.paths``. d_b is the number of links of a thing between, so fan-out is normalised and hubs are
damped, by several exponents, for which is best depends on the store (Hetionet's degree-weighted paths use 0.4 to 0.5,
Himmelstein & Baranzini 2015):

``direct``            sum of llr over other links between s and o
``bridges_open``      sum_b llr                            one thing between
``bridges``           sum_b llr / d_b^0.5
``bridges_damped``    sum_b llr / d_b
``chains``            sum_bc llr / (d_b d_c)^0.5           two things between
``meeting``           log(1 + sum_b 1 / d_b^0.5)           one thing between, whatever the relations
``breadth``           log(1 + number of things between)    "a whole bunch of neurons"
``evenness``          entropy of their shares              ... and not one alone

*Texts*: ``near`` and ``near_same``, the cosine similarity of the claim as a sentence to the nearest fact, and to the
nearest of its relation (0 when none of those looked at is). Which facts are near is handed in, for it takes FAISS.

*Embeddings*: ``object_embedding`` and ``subject_embedding``, the log-probability of the object, of the subject, among
all that there is, by embeddings of the whole store (``hunch.memory.graph_embedding``); where a network is given some.

The claim's own link is never walked and no term of a sum, though likeness and what stands in a relation are told from
all links: a known fact is judged by hiding it. Embeddings alone have learned the claim itself where it is a known fact.
Nothing here draws at random but the rivals, a fixed sample. How popular the parts of a claim are is measured by
``popularity``: it is a control, not evidence.

Left out: more than three steps, and hop counts (AUROC 0.51 in the MOLIERE data).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # ships no types

from hunch.memory.ends import End, standing_out
from hunch.memory.graph_embedding import ComplEx
from hunch.memory.likeness import Likeness, Rows, words
from hunch.memory.links import Floats, Ints, Links
from hunch.memory.paths import Paths, Rules, Walks

ANALOGIES = (
    "subject_analogy",
    "object_analogy",
    "double_analogy",
    "subject_fit",
    "object_fit",
    "subject_rivals",
    "subject_share",
    "object_rivals",
    "object_share",
    "subject_namesake",
    "object_namesake",
    "subject_word",
    "object_word",
)
PATHS = ("direct", "bridges_open", "bridges", "bridges_damped", "chains", "meeting", "breadth", "evenness")
TEXTS = ("near", "near_same")
EVIDENCE = (*ANALOGIES, *PATHS, *TEXTS)
"""The kinds of evidence, in the order of the columns of ``Network.evidence``."""
EMBEDDED = ("object_embedding", "subject_embedding")
"""The kinds that come after them where a network has embeddings."""
POPULARITY = ("subject_degree", "object_degree", "relation_size", "subject_frequency", "object_frequency")
"""The controls, in the order of the columns of ``Network.popularity``."""
BLOCK = 8
"""Rows that are multiplied together; OpenBLAS sums some of 16 rows in another order than the rest, of 8 it does not."""

_BLAS = ThreadpoolController().select(user_api="blas")

Near = Callable[[Ints], tuple[Ints, Floats]]
"""Returns of claims, (N, 3), the codes of links nearest in text, (N, k), -1 for none, and their cosine similarities."""


@dataclass(frozen=True)
class Lore:
    """What path types imply: one table for each length of path."""

    direct: Rules
    bridges: Rules
    chains: Rules

    @classmethod
    def learned(cls, network: Network, known: Ints, swapped: Ints) -> Lore:
        """Count in a network for known facts, (N, 3), against meaningless claims with the same marginals, (M, 3)."""
        return cls(*(Rules.counted(network.walks, steps, known, swapped) for steps in (1, 2, 3)))


class Network:
    """The links made ready to fire.

    Args:
        links: the store's facts as numbers.
        names: the concepts' names, whose words are looked at too; without them only facts count.
        near: finds facts nearest in text; without it ``TEXTS`` are 0.
        embeddings: embeddings that judge, too; the mean of what each says.
    """

    def __init__(
        self,
        links: Links,
        names: Sequence[str] | None = None,
        near: Near | None = None,
        embeddings: Sequence[ComplEx] = (),
    ) -> None:
        self.links = links
        self.kinds = (*EVIDENCE, *EMBEDDED) if embeddings else EVIDENCE
        """The kinds of evidence that it has, in the order of columns."""
        self._embeddings = embeddings
        n, relations = links.concepts, links.relations
        weight = links.weight.astype(np.float32)  # as rows of likeness are, which are then multiplied as they stand
        self.forward: list[sp.csr_matrix] = [
            sp.csr_matrix((weight[rows], (links.subject[rows], links.object[rows])), shape=(n, n))
            for rows in _rows_by(links.relation, relations)
        ]
        """Per relation the weights of its facts, (concepts, concepts): row subject, column object."""
        self.backward: list[sp.csr_matrix] = [sp.csr_matrix(table.T) for table in self.forward]
        """The same, row object, column subject."""
        named = sp.csr_matrix((n, 0)) if names is None else words(names)
        self.likeness = Likeness(links, None if names is None else named)
        self.degree = _degree(links)
        self.walks = Walks(links, self.degree)
        self._near = near
        self._words = named
        self._known = np.unique(links.codes(links.claims))
        self._ends = [End(self.forward, self.likeness.rows, named), End(self.backward, self.likeness.rows, named)]
        self._cores: dict[int, Rows] = {}

    def evidence(self, claims: Ints, lore: Lore, *, lasting: Floats | None = None, chunk: int = 2048) -> Floats:
        """Return the evidence for each claim, (N, len(kinds)), columns as in ``kinds``.

        Args:
            claims: (N, 3).
            lore: what path types imply.
            lasting: the claims' ``lasting``, where it is known.
            chunk: claims looked at together.
        """
        parts = [self._evidence(claims[at : at + chunk], lore) for at in range(0, len(claims), chunk)]
        structure = np.vstack([np.zeros((0, len(ANALOGIES) + len(PATHS))), *parts])
        return np.column_stack([structure, self.lasting(claims) if lasting is None else lasting])

    def lasting(self, claims: Ints) -> Floats:
        """Return the evidence that stays when the agent concludes something: texts, and embeddings where there are."""
        embedded = [np.mean([each.shares(claims) for each in self._embeddings], axis=0)] if self._embeddings else []
        return np.column_stack([self.texts(claims), *embedded])

    def popularity(self, claims: Ints) -> Floats:
        """Return logarithms of how common each claim's parts are, (N, len(POPULARITY)), columns as in ``POPULARITY``.

        The last two are in how many facts of the claim's relation its subject, its object stands.
        """
        out = np.zeros((len(claims), len(POPULARITY)))
        out[:, 0], out[:, 1] = self.degree[claims[:, 0]], self.degree[claims[:, 2]]
        for r, rows in _each(claims[:, 1]):
            out[rows, 2] = self.forward[r].nnz
            out[rows, 3] = np.diff(self.forward[r].indptr)[claims[rows, 0]]
            out[rows, 4] = np.diff(self.backward[r].indptr)[claims[rows, 2]]
        return np.log1p(out)

    def prior(self, relation: Ints) -> Floats:
        """Return the logarithm of how many answers the narrower of a relation's two questions has on average, (N,).

        Of two claims that fire alike, the one of a relation that holds of many things at once is the likelier fact: who
        was born in Paris was not born in Rome, but may speak French and German.
        """
        narrow = [
            np.log(table.nnz / max(len(self._ends[0].things[r]), len(self._ends[1].things[r]), 1)) if table.nnz else 0.0
            for r, table in enumerate(self.forward)
        ]
        answers: Floats = np.array(narrow)[relation]
        return answers

    def told(self, claim: Ints) -> tuple[Rows, Rows]:
        """Return what is told of a claim's subject and of its object, (rank,) each.

        Their inner products with the ends' own rows of likeness are the subject's and the object's analogy.
        """
        s, r, o = claim.tolist()
        L = self.likeness.rows
        return (self.backward[r][o] @ L).ravel(), (self.forward[r][s] @ L).ravel()

    def _evidence(self, claims: Ints, lore: Lore) -> Floats:
        analogies = np.zeros((len(claims), len(ANALOGIES)))
        for r, rows in _each(claims[:, 1]):
            analogies[rows] = self._analogies(r, claims[rows])
        return np.column_stack([analogies, self._paths(claims, lore)])

    def nearest(self, claims: Ints) -> Ints:
        """Return the codes of the links nearest in text to each claim, (N,), -1 for none."""
        if self._near is None:
            return np.full(len(claims), -1, dtype=np.int64)
        codes, similarity = self._near_known(claims)
        best = similarity.argmax(axis=1)[:, None]
        there = np.take_along_axis(similarity, best, 1) > 0
        found: Ints = np.where(there, np.take_along_axis(codes, best, 1), -1).ravel()
        return found

    def texts(self, claims: Ints) -> Floats:
        """Return the evidence from texts, (N, len(TEXTS))."""
        if self._near is None or not len(claims):
            return np.zeros((len(claims), len(TEXTS)))
        codes, similarity = self._near_known(claims)
        same = codes // self.links.concepts % self.links.relations == claims[:, 1:2]
        return np.column_stack([similarity.max(axis=1), np.where(same, similarity, 0.0).max(axis=1)])

    def _near_known(self, claims: Ints) -> tuple[Ints, Floats]:
        """Return what is near, the claim's own link and links that the network lacks at similarity 0."""
        assert self._near is not None
        codes, similarity = self._near(claims)
        counts = self._holds(codes) & (codes != self.links.codes(claims)[:, None])
        return codes, np.where(counts, np.maximum(similarity, 0.0), 0.0)

    def _analogies(self, r: int, claims: Ints) -> Floats:
        """Return the analogies of claims of one relation, (N, len(ANALOGIES))."""
        s, o = claims[:, 0], claims[:, 2]
        L, W, forward, backward = self.likeness.rows, self._words, self.forward[r], self.backward[r]
        subjects, objects = self._ends
        like_s, like_o = L[s], L[o]
        own = np.asarray(forward[s, o], dtype=np.float64).ravel()
        told_s = backward[o] @ L - own[:, None] * like_s  # (N, rank)
        told_o = forward[s] @ L - own[:, None] * like_o
        subject, target = _rowwise(like_s, told_s), _rowwise(like_o, told_o)
        itself = _rowwise(like_s, like_s) * _rowwise(like_o, like_o)
        double = _rowwise(_times(like_s, self._core(r)), like_o) - own * itself
        single = subject + target
        other, told = subjects.rivals(r)
        against = _times(told_s, L[other].T) + _times(like_o, told.T)  # (N, rivals)
        by_subject = standing_out(
            single, against, self._is_known(other[None, :], r, o[:, None]) | (other == s[:, None])
        )
        other, told = objects.rivals(r)
        against = _times(told_o, L[other].T) + _times(like_s, told.T)
        by_object = standing_out(single, against, self._is_known(s[:, None], r, other[None, :]) | (other == o[:, None]))
        named_s, named_o = W[s], W[o]
        return np.column_stack(
            [
                subject,
                target,
                double,
                _rowwise(like_s, subjects.sum(r)[None, :]),
                _rowwise(like_o, objects.sum(r)[None, :]),
                *by_subject,
                *by_object,
                _dot(named_s, backward[o] @ W) - own * _dot(named_s, named_s),
                _dot(named_o, forward[s] @ W) - own * _dot(named_o, named_o),
                np.asarray(named_s @ subjects.word_share(r)),
                np.asarray(named_o @ objects.word_share(r)),
            ]
        )

    def _is_known(self, subject: Ints, relation: int, target: Ints) -> NDArray[np.bool_]:
        return self._holds((subject * self.links.relations + relation) * self.links.concepts + target)

    def _holds(self, codes: Ints) -> NDArray[np.bool_]:
        """Return which codes are those of links."""
        if not len(self._known):
            return np.zeros(codes.shape, np.bool_)
        at = np.minimum(np.searchsorted(self._known, codes), len(self._known) - 1)
        known: NDArray[np.bool_] = self._known[at] == codes
        return known

    def _core(self, r: int) -> Rows:
        """Return ``L^T A_r L``, (rank, rank)."""
        if r not in self._cores:
            L, subjects = self.likeness.rows, self._ends[0].things[r]
            self._cores[r] = np.asarray(L[subjects].T @ (self.forward[r][subjects] @ L), dtype=np.float32)
        return self._cores[r]

    def _paths(self, claims: Ints, lore: Lore) -> Floats:
        """Return the evidence from paths, (N, len(PATHS))."""
        relation, count = claims[:, 1], len(claims)
        direct, bridges, chains = self.walks.direct(claims), self.walks.bridges(claims), self.walks.chains(claims)
        implied = lore.bridges.of(relation, bridges)
        between = self.degree[bridges.between[:, 0]]
        sums = [
            _sum(direct.claim, direct.carried * lore.direct.of(relation, direct), count),
            *(_sum(bridges.claim, bridges.weight * implied / between**damping, count) for damping in (0.0, 0.5, 1.0)),
            _sum(chains.claim, chains.carried * lore.chains.of(relation, chains), count),
        ]
        return np.column_stack([*sums, *_breadth(bridges, count)])


def _breadth(bridges: Paths, count: int) -> tuple[Floats, Floats, Floats]:
    """Return ``meeting``, ``breadth`` and ``evenness`` of ``count`` claims; parallel paths over one bridge are one."""
    width = int(bridges.between.max(initial=0)) + 1
    pair, at = np.unique(bridges.claim * width + bridges.between[:, 0], return_inverse=True)
    each = np.zeros(len(pair))
    np.maximum.at(each, at, bridges.carried)
    claim = pair // width
    total = _sum(claim, each, count)
    share = each / np.maximum(total[claim], 1e-12)
    return np.log1p(total), np.log1p(_sum(claim, np.ones(len(pair)), count)), _sum(claim, -share * np.log(share), count)


def _sum(owner: Ints, values: Floats, count: int) -> Floats:
    summed: Floats = np.bincount(owner, values, minlength=count).astype(np.float64)
    return summed


def _times(left: NDArray[np.floating], right: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return ``left @ right``, each row the same to the last digit whatever other rows it comes with.

    A product's last digits depend on its shape, and how a claim is judged must not depend on its batch: so all products
    have ``BLOCK`` rows.
    """
    blocks = np.zeros((-(-len(left) // BLOCK), BLOCK, left.shape[1]), left.dtype)
    blocks.reshape(-1, left.shape[1])[: len(left)] = left
    with _BLAS.limit(limits=1):  # threads that wait for each other at every block take longer than one alone
        product: NDArray[np.floating] = blocks @ right
    return product.reshape(len(blocks) * BLOCK, right.shape[1])[: len(left)]


def _rowwise(left: Rows, right: NDArray[np.floating]) -> Floats:
    """Return the inner products of rows, (N,)."""
    products: Floats = np.multiply(left, right, dtype=np.float64).sum(axis=1)
    return products


def _dot(left: sp.csr_matrix, right: sp.csr_matrix) -> Floats:
    """Return the row-by-row inner products of two sparse matrices."""
    products: Floats = np.asarray(left.multiply(right).sum(axis=1)).ravel()
    return products


def _degree(links: Links) -> Floats:
    """Return how many concepts each concept is linked with, by reliability, at least 1."""
    n = links.concepts
    pairs = sp.csr_matrix((links.weight, (links.subject, links.object)), shape=(n, n))
    pairs = sp.csr_matrix(pairs + pairs.T)
    pairs.data = np.minimum(pairs.data, 1.0)
    degree: Floats = np.maximum(np.asarray(pairs.sum(axis=1)).ravel() - pairs.diagonal(), 1.0)
    return degree


def _rows_by(values: Ints, count: int) -> list[Ints]:
    order = np.argsort(values, kind="stable")
    return np.split(order, np.searchsorted(values[order], np.arange(1, count)))


def _each(relation: Ints) -> Iterator[tuple[int, Ints]]:
    """Yield each relation with the rows that state it."""
    for r in np.unique(relation).tolist():
        yield r, np.flatnonzero(relation == r)
