"""Likeness of concepts: how well what one stands in tells what another stands in.

A concept's *profile* is the row of everything it stands in: each (relation, direction, neighbour) that the store says
of it, by reliability, and, where names are given, the words of its name. With X the profiles, entries that one
concept has alone left out, and K = X X^T (how much two concepts share), likeness is the ridge smoother

    H = K (K + lambda I)^-1,

lambda twice the mean square length of profiles (what one has alone counted, words not): the kernel form of the linear
item model that outdoes deep ones in recommendation (Steck 2019, EASE; two-step kernel ridge, Stock et al. 2018).
Unlike a cosine it discounts what nearly everything shares. What a concept is like is then told from the facts:
``sum_s' H[s,s'] A[s',o]`` says how strongly things like s stand so to o.

H is kept as rows L with ``H = L L^T``: exact but for its ``RANK`` leading directions up to ``EXACT`` concepts, a
randomised decomposition beyond (Halko et al. 2011), so memory grows with the concepts and not with their pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.linalg
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils.extmath import randomized_svd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from hunch.memory.links import Floats, Ints, Links

EXACT = 3_000
"""Up to this many concepts the whole spectrum is computed."""
RANK, SKETCHED_RANK = 1_024, 256
"""Directions kept of a whole spectrum (on CoDEx-S as good as all 2,034), and of a randomised one."""
RIDGE = 2.0
"""lambda over the mean diagonal of K; 1 to 4 tell known facts from swaps within 0.005 of each other."""
NAME_WEIGHT = 2.0
"""Length of a name's row of words: a name tells as much as four shared facts."""

Rows = NDArray[np.float32]


class Likeness:
    """How alike the concepts of a store are.

    Args:
        links: the store's facts as numbers.
        named: rows of words of the concepts' names (``words``), told from too; without them only facts count.
    """

    def __init__(self, links: Links, named: sp.csr_matrix | None = None) -> None:
        entries, codes = profile(links)
        shared = entries if named is None else sp.hstack([entries, NAME_WEIGHT * named], format="csr")
        seen = np.bincount(shared.indices, minlength=shared.shape[1])
        self._shared = sp.csr_matrix(shared[:, seen > 1])  # what only one concept has joins it to none
        self._codes = codes[seen[: len(codes)] > 1]
        ridge = RIDGE * max(float(entries.power(2).sum()) / max(links.concepts, 1), 1e-9)
        vectors, energy = _spectrum(self._shared)
        gain = energy / (energy + ridge)
        self.rows: Rows = np.ascontiguousarray(vectors * np.sqrt(gain), dtype=np.float32)
        """L, (concepts, rank): the inner product of two rows is the likeness of two concepts."""
        self._energy = np.maximum(energy, 1e-9).astype(np.float32)

    def own_share(self, concept: int, told: Rows) -> tuple[Ints, Floats]:
        """Return what each entry of a concept's profile adds to ``rows[concept] @ told``.

        The parts, and those of the words of its name, sum to the product.

        Returns:
            Codes of the entries that others share, as in ``profile``, and what each adds.
        """
        own = slice(self._shared.indptr[concept], self._shared.indptr[concept + 1])
        columns, weight = self._shared.indices[own], self._shared.data[own]
        weight, columns = weight[columns < len(self._codes)], columns[columns < len(self._codes)]
        holders = self._shared[:, columns].T  # (entries, concepts)
        adds: Floats = weight * np.asarray(holders @ (self.rows @ (told / self._energy)), np.float64)
        return self._codes[columns], adds


def profile(links: Links) -> tuple[sp.csr_matrix, Ints]:
    """Return what each concept stands in, by reliability, shape (concepts, entries), and the sorted code of each entry.

    Code ``r n + o`` is "stands in r to o", code ``(R + r) n + s`` is "s stands in r to it", of n concepts, R relations.
    """
    n, relations = links.concepts, links.relations
    rows = np.r_[links.subject, links.object]
    stands = np.r_[links.relation * n + links.object, (relations + links.relation) * n + links.subject]
    codes, columns = np.unique(stands, return_inverse=True)
    weight = np.tile(links.weight, 2).astype(np.float32)
    table = sp.csr_matrix((weight, (rows, columns)), shape=(n, len(codes)))
    table.data = np.minimum(table.data, 1.0)
    return table, codes


def words(names: Sequence[str]) -> sp.csr_matrix:
    """Return the words of each name that other names hold too: tf-idf, (names, words), rows of length 1 or 0."""
    try:
        return sp.csr_matrix(TfidfVectorizer(token_pattern=r"\w+", min_df=2).fit_transform(names))
    except ValueError:  # scikit-learn's word for "no word is in two names"
        return sp.csr_matrix((len(names), 0))


def _spectrum(table: sp.csr_matrix) -> tuple[Rows, Floats]:
    """Return leading eigenvectors (concepts, rank) and eigenvalues of ``table @ table.T``."""
    n = table.shape[0]
    with threadpool_limits(1):  # always the same digits
        if n <= EXACT:
            energy, vectors = scipy.linalg.eigh((table @ table.T).toarray().astype(np.float64))
            energy, vectors = np.maximum(energy[::-1][:RANK], 0.0), vectors[:, ::-1][:, :RANK]
        elif not table.nnz:
            return np.zeros((n, 1), np.float32), np.zeros(1)
        else:
            rank = max(min(SKETCHED_RANK, min(table.shape) - 1), 1)
            vectors, values, _ = randomized_svd(table.astype(np.float32), rank, n_iter=4, random_state=0)
            energy = values.astype(np.float64) ** 2
    return vectors.astype(np.float32), energy
