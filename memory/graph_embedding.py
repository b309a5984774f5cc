"""Embeddings of a store (ComplEx), learned by gradient steps from its facts alone.

A concept is a vector of complex numbers, a relation another; a claim (s, r, o) scores ``Re <s, r, conj(o)>`` (Trouillon
et al. 2016). Both questions of a fact, "s stands in r to what?" and "what stands in r to o?" (a relation of its own,
reciprocal), are learned with a softmax over the answers and a nuclear 3-norm (Lacroix et al. 2018), by Adagrad. Beside
what fires (``hunch.memory.firing``) this is slow, minutes for a hundred thousand facts, and it cannot tell why; what it
is good for is seeing regularities that no one path or analogy shows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from hunch.memory.links import Floats, Ints, Links

Complex = NDArray[np.complex64]
Reals = NDArray[np.float32]

EPOCHS = 15
RATE = 0.1
PENALTY = 0.01
"""Weight of the 3-norm, per fact of a batch."""
BATCH = 1_000
CHUNK = 512
"""Claims whose share among all concepts is computed together."""
AMONG, DRAWN = 4_096, 2_048
"""Up to so many concepts a question's answer is told from all others; of more, from as many as are drawn in a step."""


@dataclass(frozen=True)
class ComplEx:
    """Vectors of concepts and relations."""

    concept: Complex
    """(concepts, width)."""
    relation: Complex
    """(2 * relations, width): each relation, then each turned round."""

    @classmethod
    def learned(cls, links: Links, *, width: int = 128, epochs: int = EPOCHS, seed: int = 0) -> ComplEx:
        """Learn from all links, whatever their weight; the same links and seed give the same embeddings."""
        rng = np.random.default_rng([seed, 6])
        claims = links.claims
        turned = np.column_stack([claims[:, 2], claims[:, 1] + links.relations, claims[:, 0]])
        asked = np.vstack([claims, turned])
        concept, relation = (_Table(rng, size, width) for size in (links.concepts, 2 * links.relations))
        with threadpool_limits(1):  # always the same digits
            for _ in range(epochs):
                order = rng.permutation(len(asked))
                for at in range(0, len(order), BATCH):
                    _step(concept, relation, asked[order[at : at + BATCH]], rng)
        return cls(concept.vectors, relation.vectors)

    @classmethod
    def several(cls, links: Links, seeds: Sequence[int]) -> list[ComplEx]:
        """Learn one after each seed, as many at a time as there are cores; each the same as alone."""
        if not seeds:
            return []
        with threadpool_limits(1), ThreadPoolExecutor(min(len(seeds), os.cpu_count() or 1)) as pool:
            return list(pool.map(lambda seed: cls.learned(links, seed=seed), seeds))

    def scores(self, claims: Ints) -> Floats:
        """Return how well each claim fits, both questions added, (N,); the parts must be known."""
        (asked, kinds, answers), turned = self._questions(claims)
        there = _inner(self.concept[asked] * self.relation[kinds], self.concept[answers])
        return there + _inner(self.concept[turned[0]] * self.relation[turned[1]], self.concept[turned[2]])

    def shares(self, claims: Ints) -> Floats:
        """Return the log-probability of the object among all, and of the subject, (N, 2).

        What a part that came after the learning has is that of an even choice. To four decimals: those beyond depend on
        which claims are computed together.
        """
        shares = np.full((len(claims), 2), -np.log(max(len(self.concept), 1)))
        known = np.flatnonzero(np.maximum(claims[:, 0], claims[:, 2]) < len(self.concept))
        for side, question in enumerate(self._questions(claims[known])):
            for at in range(0, len(known), CHUNK):
                asked, kind, answer = (part[at : at + CHUNK] for part in question)
                fits = _real(self.concept[asked] * self.relation[kind]) @ _real(self.concept).T
                fits -= fits.max(axis=1, keepdims=True)
                own = fits[np.arange(len(answer)), answer]
                np.exp(fits, out=fits)
                shares[known[at : at + CHUNK], side] = own - np.log(fits.sum(axis=1))
        return shares.round(4)

    def _questions(self, claims: Ints) -> tuple[tuple[Ints, Ints, Ints], tuple[Ints, Ints, Ints]]:
        """Return what is asked, how, and the answer: once from the subject, once from the object."""
        s, r, o = claims.T
        return (s, r, o), (o, r + len(self.relation) // 2, s)


class _Table:
    """Vectors, and what Adagrad remembers of each number's gradients."""

    def __init__(self, rng: np.random.Generator, size: int, width: int) -> None:
        self.vectors: Complex = (rng.standard_normal((size, 2 * width), np.float32) * 1e-3).view(np.complex64)
        self._squares = np.zeros((size, 2 * width), np.float32)

    def descend(self, rows: Ints, gradient: Complex) -> None:
        """Take one step for distinct rows."""
        slope = gradient.view(np.float32)
        squares = self._squares[rows] + slope * slope
        self._squares[rows] = squares
        self.vectors[rows] -= (RATE * slope / (np.sqrt(squares) + 1e-10)).view(np.complex64)


def _step(concept: _Table, relation: _Table, asked: Ints, rng: np.random.Generator) -> None:
    subject, kind, answer = asked.T
    size, count = len(concept.vectors), len(asked)
    pool = np.arange(size) if size <= AMONG else np.unique(np.r_[answer, rng.integers(size, size=DRAWN)])
    a, r, b = concept.vectors[subject], relation.vectors[kind], concept.vectors[answer]
    among = concept.vectors[pool]
    told = a * r
    push = _real(told) @ _real(among).T  # (count, pool): logits, then what the loss does to them
    push -= push.max(axis=1, keepdims=True)
    np.exp(push, out=push)
    push /= push.sum(axis=1, keepdims=True)
    push[np.arange(count), np.searchsorted(pool, answer)] -= 1.0
    push /= count
    on_told = (push @ _real(among)).view(np.complex64)
    on_pool = (push.T @ _real(told)).view(np.complex64)
    rows = np.unique(np.r_[pool, subject])
    gradient = np.zeros((len(rows), a.shape[1]), np.complex64)
    gradient[np.searchsorted(rows, pool)] = on_pool
    gradient += _gathered(rows, subject, on_told * r.conj() + _norm_slope(a, count))
    gradient += _gathered(rows, answer, _norm_slope(b, count))
    kinds = np.unique(kind)
    on_relation = _gathered(kinds, kind, on_told * a.conj() + _norm_slope(r, count))
    concept.descend(rows, gradient)
    relation.descend(kinds, on_relation)


def _gathered(rows: Ints, of: Ints, parts: Complex) -> Complex:
    """Return the sum of the ``parts`` of each of the distinct sorted ``rows``."""
    places = np.searchsorted(rows, of)
    sums = sp.csr_matrix((np.ones(len(of), np.float32), (places, np.arange(len(of)))), shape=(len(rows), len(of)))
    gathered: Complex = np.ascontiguousarray(sums @ _real(parts)).view(np.complex64)
    return gathered


def _norm_slope(part: Complex, count: int) -> Complex:
    """Return the gradient of the mean of the cubed moduli."""
    slope: Complex = (3 * PENALTY / count) * np.abs(part) * part
    return slope


def _inner(left: Complex, right: Complex) -> Floats:
    products: Floats = np.einsum("nk,nk->n", _real(left), _real(right)).astype(np.float64)
    return products


def _real(part: Complex) -> Reals:
    """Return complex numbers as twice as many real ones."""
    return np.ascontiguousarray(part).view(np.float32)
