"""The index finds what brute force finds, and no damaged snapshot is ever used."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from hunch.memory import vectors
from hunch.memory.encoder import FloatArray, unit_rows
from hunch.memory.vectors import VectorIndex

D = 24


def rows(n: int, seed: int = 0) -> FloatArray:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, D)))


def filled(table: FloatArray) -> VectorIndex:
    index = VectorIndex(D)
    index.add(np.arange(len(table)) * 3, table)
    return index


def brute_force(table: FloatArray, queries: FloatArray, k: int) -> tuple[NDArray[np.int64], FloatArray]:
    similarities = queries @ table.T
    order = np.argsort(-similarities, axis=1)[:, :k]
    return order * 3, np.take_along_axis(similarities, order, axis=1)


@pytest.mark.parametrize("queries", [1, 8, 100])
def test_the_index_agrees_with_brute_force(queries: int) -> None:
    table, asked = rows(500), rows(queries, seed=1)
    ids, similarities = filled(table).near(asked, k=7)
    exact_ids, exact = brute_force(table, asked, 7)
    assert_array_equal(ids, exact_ids)
    assert_allclose(similarities, exact, atol=1e-6)


def test_half_floats_above_the_limit_agree_with_brute_force_to_three_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "EXACT_LIMIT", 300)
    table, asked = rows(500), rows(9, seed=1)
    index = filled(table[:300])
    assert index.exact
    index.add(np.arange(300, 500) * 3, table[300:])
    assert not index.exact and len(index) == 500
    assert_allclose(index.near(asked, k=5)[1], brute_force(table, asked, 5)[1], atol=1e-3)


def test_a_similarity_is_the_same_to_the_last_digit_alone_and_among_many() -> None:
    index, asked = filled(rows(500)), rows(100, seed=1)
    alone = np.vstack([index.near(asked[i : i + 1], k=7)[1] for i in range(len(asked))])
    assert_array_equal(index.near(asked, k=7)[1], alone)


def test_removed_vectors_are_not_found_and_unknown_ids_do_not_matter() -> None:
    table = rows(50)
    index = filled(table)
    index.remove([0, 3, 999])
    ids, _ = index.near(table[:2], k=50)
    assert len(index) == 48 and not {0, 3} & set(ids.ravel().tolist())
    assert (ids[:, 48:] == -1).all()


def test_adding_an_id_twice_replaces_it_and_in_one_batch_the_last_wins() -> None:
    table = rows(3)
    index = VectorIndex(D)
    index.add(np.array([7]), table[:1])
    index.add(np.array([7, 7]), table[1:])
    ids, similarities = index.near(table, k=2)
    assert len(index) == 1
    assert_array_equal(ids, [[7, -1]] * 3)
    assert_allclose(similarities[:, 0], table @ table[2], atol=1e-6)
    assert np.isneginf(similarities[:, 1]).all()


def test_a_zero_row_is_similar_to_nothing() -> None:
    index = VectorIndex(D)
    index.add(np.array([1]), np.zeros((1, D), np.float32))
    assert index.near(rows(1), k=1)[1] == 0


@pytest.mark.parametrize("bad", [2.0, np.nan])
def test_rows_that_are_not_unit_rows_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match=r"row 1 has length .* divide each row by its length"):
        filled(rows(2) * np.array([[1], [bad]], np.float32))


def test_shapes_that_disagree_are_refused() -> None:
    with pytest.raises(ValueError, match="rows of width 24"):
        filled(rows(2)[:, :3])
    with pytest.raises(ValueError, match="one id of 0 or more for each"):
        VectorIndex(D).add(np.arange(3), rows(2))


def test_a_snapshot_finds_what_the_index_found(tmp_path: Path) -> None:
    index = filled(rows(40))
    index.save(tmp_path / "i", "then")
    loaded = VectorIndex.load(tmp_path / "i", "then")
    assert loaded is not None and len(loaded) == 40
    for one, other in zip(index.near(rows(5, 1), 4), loaded.near(rows(5, 1), 4), strict=True):
        assert_array_equal(one, other)
    loaded.remove([0])
    assert len(loaded) == 39
    assert sorted(file.name for file in tmp_path.iterdir()) == ["i", "i.json"]


@pytest.mark.parametrize("damage", ["flip", "cut", "zeros", "gone", "no manifest", "bad manifest", "other stamp"])
def test_a_snapshot_that_disagrees_is_not_used_and_the_log_says_so(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "i"
    filled(rows(40)).save(path, "then")
    body = bytearray(path.read_bytes())
    if damage == "flip":
        body[len(body) // 2] ^= 1
    elif damage == "cut":
        del body[-10:]
    elif damage == "zeros":
        body[200:400] = bytes(200)
    path.write_bytes(body)
    if damage == "gone":
        path.unlink()
    elif damage == "no manifest":
        path.with_name("i.json").unlink()
    elif damage == "bad manifest":
        path.with_name("i.json").write_text("[]")
    with caplog.at_level(logging.INFO):
        assert VectorIndex.load(path, "now" if damage == "other stamp" else "then") is None
    assert "is rebuilt" in caplog.text
