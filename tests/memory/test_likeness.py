"""Likeness against its formula, written out over dense matrices."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hunch.memory import likeness as module
from hunch.memory.likeness import Likeness, profile, words
from hunch.memory.links import Links
from tests.memory.dense import N, R, Row, likeness, links_of, names_of, profiles, stores, words_of

named = st.none() | names_of


def wide(seed: int, concepts: int = 80, kinds: int = 12) -> Links:
    """Return links whose profiles have about ``kinds`` directions of weight."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, kinds, concepts)
    rows = {
        (s, int(kind[s]) % 2, 5 * int(kind[s]) + int(rng.integers(0, 5)), 1.0) for s in range(concepts) for _ in "abc"
    }
    return links_of(sorted(rows), concepts, 2)


@given(stores)
@settings(max_examples=50, deadline=None)
def test_a_profile_is_all_that_a_concept_stands_in_by_reliability(rows: list[Row]) -> None:
    table, codes = profile(links_of(rows))
    dense = np.zeros((N, 2 * R * N))
    dense[:, codes] = table.toarray()
    assert_allclose(dense, profiles(rows), atol=1e-7)


def test_what_is_said_twice_counts_once() -> None:
    table, _ = profile(links_of([(0, 0, 1, 0.7), (0, 0, 1, 0.7), (2, 0, 1, 0.3)]))
    assert_allclose(table.toarray()[:3].max(axis=1), [1.0, 1.0, 0.3], atol=1e-7)


@given(stores, named)
@settings(max_examples=80, deadline=None)
def test_likeness_is_the_ridge_smoother_of_what_concepts_share(rows: list[Row], names: list[str] | None) -> None:
    names = names if rows else None  # the ridge is told from the facts
    found = Likeness(links_of(rows), None if names is None else words(names)).rows
    alike = likeness(rows, names)
    assert_allclose(found @ found.T, alike, atol=2e-6)
    assert np.linalg.eigvalsh(alike).max(initial=0) < 1


@given(names_of)
@settings(max_examples=30, deadline=None)
def test_words_are_those_of_two_names_or_more_by_how_much_they_tell(names: list[str]) -> None:
    found = words(names)
    assert found.shape[1] == words_of(names).shape[1]
    assert_allclose(found.toarray(), words_of(names), atol=1e-7)


def test_names_without_a_word_in_common_tell_nothing() -> None:
    assert words(["a b", "c", "!", ""]).shape == (4, 0)


@given(stores, named, st.integers(0, N - 1), st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_what_entries_and_words_add_sums_to_the_likeness_that_is_told(
    rows: list[Row], names: list[str] | None, concept: int, seed: int
) -> None:
    links, names = links_of(rows), names if rows else None
    alike = Likeness(links, None if names is None else words(names))
    weights = np.random.default_rng(seed).random(N).astype(np.float32)
    codes, adds = alike.own_share(concept, weights @ alike.rows)
    assert len(set(codes.tolist())) == len(codes)
    own = np.flatnonzero(profiles(rows)[concept])
    assert set(codes.tolist()) <= set(own.tolist())
    # sum_j H[c,j] v_j = x_c . X^T (K + lambda I)^-1 v, entry by entry
    facts = profiles(rows)
    table = facts if names is None else np.hstack([facts, 2.0 * words_of(names)])
    table = np.where((table != 0).sum(axis=0) > 1, table, 0.0)
    ridge = max(2.0 * (facts**2).sum() / N, 2e-9)
    pulled = table.T @ np.linalg.pinv(table @ table.T + ridge * np.eye(N)) @ weights
    expected = table[concept] * pulled
    assert_allclose(adds, expected[codes], atol=5e-5)
    assert_allclose(expected.sum(), likeness(rows, names)[concept] @ weights, atol=1e-6)


def test_what_nearly_all_share_makes_less_alike_than_what_few_share() -> None:
    rows = [(s, 0, 5, 1.0) for s in range(5)] + [(0, 1, 4, 1.0), (1, 1, 4, 1.0)]
    alike = Likeness(links_of(rows)).rows
    kernel = alike @ alike.T
    assert kernel[0, 1] > 2 * kernel[0, 2] > 0


def test_of_many_concepts_the_leading_directions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    links = wide(0)
    exact = Likeness(links).rows
    monkeypatch.setattr(module, "EXACT", 10)
    sketched = Likeness(links).rows
    assert_allclose(sketched @ sketched.T, exact @ exact.T, atol=1e-4)
    monkeypatch.setattr(module, "SKETCHED_RANK", 20)
    short = Likeness(links).rows
    left_out = np.linalg.eigvalsh((exact @ exact.T).astype(np.float64))[:-20]
    assert short.shape == (80, 20)
    assert np.linalg.norm(short @ short.T - exact @ exact.T) < 1.1 * np.linalg.norm(left_out)  # the least there can be


@pytest.mark.parametrize("rows", [[], [(0, 0, 1, 1.0), (2, 0, 1, 1.0)]], ids=["nothing", "one entry"])
def test_many_concepts_that_share_next_to_nothing_are_alike_next_to_nothing(
    rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = Likeness(links_of(rows)).rows
    monkeypatch.setattr(module, "EXACT", 1)
    sketched = Likeness(links_of(rows)).rows
    assert_allclose(sketched @ sketched.T, exact @ exact.T, atol=1e-6)


def test_the_same_store_gives_the_same_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXACT", 10)
    assert Likeness(wide(1)).rows.tobytes() == Likeness(wide(1)).rows.tobytes()


def test_concepts_by_themselves_are_like_nothing() -> None:
    rows = Likeness(links_of([(0, 0, 1, 1.0), (2, 1, 3, 1.0)]), sp.csr_matrix((N, 0))).rows
    assert not rows.any()
