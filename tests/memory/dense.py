"""The formulas of likeness written out over dense matrices, and stores made short."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from hunch.memory.links import Floats, Ints, Links

N, R = 6, 2
"""Concepts and relations of a random store."""
Row = tuple[int, int, int, float]
Claim = tuple[int, int, int]

ends = st.integers(0, N - 1)
stores: SearchStrategy[list[Row]] = st.lists(
    st.tuples(ends, st.integers(0, R - 1), ends, st.sampled_from([0.3, 1.0])), max_size=14, unique_by=lambda r: r[:3]
)
claims_of: SearchStrategy[list[Claim]] = st.lists(st.tuples(ends, st.integers(0, R - 1), ends), min_size=1, max_size=5)
names_of: SearchStrategy[list[str]] = st.lists(
    st.sampled_from(["red fox", "blue fox", "red sea", "sea", "Red red sea", "blue", "owl"]), min_size=N, max_size=N
)


def links_of(rows: Sequence[Row], concepts: int = N, relations: int = R) -> Links:
    """Return facts as links."""
    table = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
    return Links(table[:, 0], table[:, 1], table[:, 2], np.array([r[3] for r in rows], float), concepts, relations)


def array_of(claims: Sequence[Claim]) -> Ints:
    """Return claims as an array."""
    return np.array(claims, np.int64).reshape(-1, 3)


def standing(rows: Sequence[Row]) -> Floats:
    """Return A, (R, N, N)."""
    stands = np.zeros((R, N, N))
    for s, r, o, weight in rows:
        stands[r, s, o] += weight
    return stands


def profiles(rows: Sequence[Row]) -> Floats:
    """Return X, (N, 2 R N): column r N + o is "stands in r to o", column (R + r) N + s "s stands in r to it"."""
    stands = standing(rows)
    return np.minimum(np.hstack([*stands, *(matrix.T for matrix in stands)]), 1.0)


def words_of(names: Sequence[str]) -> Floats:
    """Return tf-idf rows of length 1 (or 0) over the words that two names or more hold, in alphabetical order."""
    said = [name.lower().split() for name in names]
    every = sorted({word for one in said for word in one})
    held = {word: sum(word in one for one in said) for word in every}
    common = [word for word in every if held[word] >= 2]
    table = np.array(
        [[one.count(word) * (1 + log((1 + len(names)) / (1 + held[word]))) for word in common] for one in said]
    ).reshape(len(names), -1)
    length = np.sqrt((table**2).sum(axis=1, keepdims=True))
    return table / np.where(length > 0, length, 1.0)


def shared(table: Floats) -> Floats:
    """Return the columns that join two rows or more."""
    return table[:, (table != 0).sum(axis=0) > 1]


def likeness(rows: Sequence[Row], names: Sequence[str] | None = None) -> Floats:
    """Return H = K (K + lambda I)^-1, (N, N), lambda twice the mean square length of the facts' profiles."""
    facts = profiles(rows)
    table = facts if names is None else np.hstack([facts, 2.0 * words_of(names)])
    kernel = shared(table) @ shared(table).T
    ridge = max(2.0 * (facts**2).sum() / N, 2e-9)
    alike: Floats = np.linalg.solve(kernel + ridge * np.eye(N), kernel)  # K and (K + lambda I)^-1 commute
    return alike


def degrees(rows: Sequence[Row]) -> list[float]:
    """Return how many neighbours each concept has, a doubtful one counted by its weight, at least 1."""
    pairs: dict[frozenset[int], float] = {}
    for s, _, o, weight in rows:
        if s != o:
            pairs[frozenset((s, o))] = pairs.get(frozenset((s, o)), 0.0) + weight
    return [max(sum(min(w, 1.0) for pair, w in pairs.items() if c in pair), 1.0) for c in range(N)]
