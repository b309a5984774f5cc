"""The index finds what brute force finds, and no damaged snapshot is ever used."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from hunch.memory import halves, vectors
from hunch.memory.encoder import FloatArray, unit_rows
from hunch.memory.halves import HalfRows
from hunch.memory.vectors import VectorIndex

D = 24
THEN = {"position": 7, "facts": "then"}
STAGES = {
    "full floats": {},
    "half floats": {"EXACT_LIMIT": 0},
    "lists": {"EXACT_LIMIT": 0, "FLAT_LIMIT": 0, "LISTS": 4, "PROBES": 4},
}
"""The ways rows are kept, for tests with few of them. Where all lists are read, enough codes are compared again to
find exactly what brute force finds."""


@pytest.fixture(params=STAGES)
def stage(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for limit, value in STAGES[request.param].items():
        monkeypatch.setattr(vectors, limit, value)
    return str(request.param)


def digits(stage: str) -> float:
    """Return how far a similarity may be from the exact one."""
    return 1e-6 if stage == "full floats" else 1e-3


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


def test_every_stage_agrees_with_brute_force(stage: str) -> None:
    table, asked = rows(90), rows(20, seed=1)
    index = filled(table)
    assert index.exact == (stage == "full floats")
    ids, similarities = index.near(asked, k=7)
    assert_allclose(similarities, brute_force(table, asked, 7)[1], atol=digits(stage))
    assert_allclose(similarities, np.take_along_axis(asked @ table.T, ids // 3, axis=1), atol=digits(stage))


def test_half_floats_above_the_limit_agree_with_brute_force_to_three_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "EXACT_LIMIT", 300)
    table, asked = rows(500), rows(9, seed=1)
    index = filled(table[:300])
    assert index.exact
    index.add(np.arange(300, 500) * 3, table[300:])
    assert not index.exact and len(index) == 500
    assert_allclose(index.near(asked, k=5)[1], brute_force(table, asked, 5)[1], atol=1e-3)


@pytest.mark.usefixtures("stage")
def test_a_similarity_is_the_same_to_the_last_digit_alone_and_among_many() -> None:
    index, asked = filled(rows(500)), rows(100, seed=1)
    alone = np.vstack([index.near(asked[i : i + 1], k=7)[1] for i in range(len(asked))])
    assert_array_equal(index.near(asked, k=7)[1], alone)


@pytest.mark.usefixtures("stage")
def test_removed_vectors_are_not_found_and_unknown_ids_do_not_matter() -> None:
    table = rows(50)
    index = filled(table)
    index.remove([0, 3, 999])
    ids, _ = index.near(table[:2], k=50)
    assert len(index) == 48 and not {0, 3} & set(ids.ravel().tolist())
    assert (ids[:, 48:] == -1).all()


def test_adding_an_id_twice_replaces_it_and_in_one_batch_the_last_wins(stage: str) -> None:
    table = rows(3)
    index = VectorIndex(D)
    index.add(np.array([7]), table[:1])
    index.add(np.array([7, 7]), table[1:])
    ids, similarities = index.near(table, k=2)
    assert len(index) == 1
    assert_array_equal(ids, [[7, -1]] * 3)
    assert_allclose(similarities[:, 0], table @ table[2], atol=digits(stage))
    assert np.isneginf(similarities[:, 1]).all()


@pytest.mark.usefixtures("stage")
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


@pytest.mark.usefixtures("stage")
def test_a_snapshot_finds_what_the_index_found(tmp_path: Path) -> None:
    index = filled(rows(40))
    index.save(tmp_path / "i", THEN)
    loaded = VectorIndex.load(tmp_path / "i", THEN)
    assert loaded is not None and len(loaded) == 40
    for one, other in zip(index.near(rows(5, 1), 4), loaded.near(rows(5, 1), 4), strict=True):
        assert_array_equal(one, other)
    loaded.remove([0])
    assert len(loaded) == 39
    assert sorted(file.name for file in tmp_path.iterdir()) == ["i", "i.json"]


@pytest.mark.parametrize(
    "damage", ["flip", "cut", "zeros", "gone", "no manifest", "bad manifest", "no parts", "other facts"]
)
@pytest.mark.usefixtures("stage")
def test_a_snapshot_that_disagrees_is_not_used_and_the_log_says_so(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "i"
    filled(rows(40)).save(path, THEN)
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
    elif damage == "no parts":
        manifest = json.loads(path.with_name("i.json").read_text())
        path.with_name("i.json").write_text(json.dumps({**manifest, "ends": []}))
    with caplog.at_level(logging.INFO):
        assert VectorIndex.load(path, {**THEN, "facts": "others"} if damage == "other facts" else THEN) is None
    assert "rebuilt" in caplog.text
    left = {file.name for file in tmp_path.iterdir()}
    assert left == {"i.set-aside", "i.json.set-aside"} - {
        "gone": {"i.set-aside"},
        "no manifest": {"i.json.set-aside"},
    }.get(damage, set())


def test_a_snapshot_of_an_earlier_time_is_left_to_be_overwritten(tmp_path: Path) -> None:
    filled(rows(40)).save(tmp_path / "i", THEN)
    assert VectorIndex.load(tmp_path / "i", {"position": 8, "facts": "now"}) is None
    assert {file.name for file in tmp_path.iterdir()} == {"i", "i.json"}


@pytest.mark.usefixtures("stage")
def test_a_snapshot_that_holds_less_than_its_manifest_says_is_not_used(tmp_path: Path) -> None:
    filled(rows(40)).save(tmp_path / "i", THEN)
    manifest = tmp_path / "i.json"
    manifest.write_text(manifest.read_text().replace('"count": 40', '"count": 41'))
    assert VectorIndex.load(tmp_path / "i", THEN) is None


@pytest.mark.usefixtures("stage")
def test_what_happens_after_saving_does_not_reach_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halves, "BLOCK_ROWS", 16)
    path, asked = tmp_path / "i", rows(5, 1)
    saved = filled(rows(40))
    then = saved.near(asked, 4)
    saved.save(path, THEN)
    loaded = VectorIndex.load(path, THEN)
    assert loaded is not None
    for index in (saved, loaded):
        index.remove(np.arange(20) * 3)
        index.add(np.arange(60) * 3, rows(60, seed=2))
        assert_allclose(index.near(asked, 4)[1], brute_force(rows(60, seed=2), asked, 4)[1], atol=1e-3)
    again = VectorIndex.load(path, THEN)
    assert again is not None
    assert_array_equal(again.near(asked, 4), then)


@pytest.mark.parametrize("mapped", [False, True])
def test_the_place_of_a_removed_row_is_taken_again(mapped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halves, "BLOCK_ROWS", 16)
    kept, ids, table = HalfRows(D), np.arange(20), rows(20)
    if mapped:
        kept = HalfRows.of(ids, table.astype(np.float16))
    else:
        kept.add(ids, table)
    for _ in range(9):
        kept.remove(ids.tolist())
        ids = ids + 20
        kept.add(ids, table)
    assert_array_equal(kept.get(ids[::-1]), table[::-1].astype(np.float16))
    assert len(kept._blocks) == 2


POOL = np.vstack([rows(12), np.zeros((1, D), np.float32)])
NUMBERS = st.integers(0, 25) | st.just(2**62)
ACTS = st.lists(
    st.tuples(st.just("add"), st.lists(st.tuples(NUMBERS, st.integers(0, 12)), max_size=12))
    | st.tuples(st.just("remove"), st.lists(NUMBERS, max_size=12))
    | st.tuples(st.sampled_from(["save", "load"]), st.none()),
    max_size=12,
)


@given(ACTS)
@settings(max_examples=40, deadline=None)
def test_whatever_is_added_replaced_removed_saved_and_loaded_the_index_holds_what_a_dictionary_holds(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("index") / "i"
    small = mock.patch.multiple(vectors, EXACT_LIMIT=4, FLAT_LIMIT=8, LISTS=4, PROBES=4, BATCH=5)
    with small, mock.patch.object(halves, "BLOCK_ROWS", 3):
        index, held = VectorIndex(D), dict[int, int]()
        for act, given in acts:
            if act == "add":
                index.add(np.array([n for n, _ in given], np.int64), POOL[[row for _, row in given]])
                held |= dict(given)
            elif act == "remove":
                index.remove(given)
                held = {number: row for number, row in held.items() if number not in given}
            else:
                index.save(path, THEN)
                if act == "load":
                    loaded = VectorIndex.load(path, THEN)
                    assert loaded is not None
                    index = loaded
            assert len(index) == len(held)
            ids, similarities = index.near(POOL, k=3)
            exact = POOL @ POOL[list(held.values())].T
            expected = -np.sort(-np.pad(exact, ((0, 0), (0, 3)), constant_values=-np.inf), axis=1)[:, :3]
            assert_allclose(similarities, expected, atol=1e-3)
            for asked, row, found in zip(POOL, ids.tolist(), similarities, strict=True):
                there = [number for number in row if number >= 0]
                assert len(set(there)) == len(there) == min(3, len(held))
                assert_allclose(found[: len(there)], [asked @ POOL[held[number]] for number in there], atol=1e-3)


def topics(n: int, seed: int = 0) -> tuple[FloatArray, FloatArray]:
    """Return rows of 60 topics in the order of their topics, and questions of the same topics."""
    rng = np.random.default_rng(seed)
    centres = unit_rows(rng.normal(size=(60, 64)))
    drawn = (centres[np.sort(rng.integers(60, size=n))], centres[rng.integers(60, size=100)])
    table, asked = (unit_rows(some + rng.normal(size=some.shape) * 0.08) for some in drawn)
    return table, asked


def recall(index: VectorIndex, table: FloatArray, asked: FloatArray) -> float:
    exact = np.argsort(-(asked @ table.T), axis=1)[:, :10]
    found = index.near(asked, k=10)[0]
    return float(np.mean([len(set(one) & set(other)) for one, other in zip(exact, found, strict=True)]) / 10)


@pytest.mark.parametrize("order", ["mixed", "sorted by topic"])
def test_reading_an_eighth_of_the_lists_finds_nearly_all_whatever_the_order_of_rows(
    order: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit, value in {"EXACT_LIMIT": 500, "FLAT_LIMIT": 1_500, "LISTS": 64, "PROBES": 8}.items():
        monkeypatch.setattr(vectors, limit, value)
    table, asked = topics(6_000)
    numbers = np.arange(6_000) if order == "sorted by topic" else np.random.default_rng(1).permutation(6_000)
    index = VectorIndex(64)
    for part in np.split(numbers, 12):
        index.add(part, table[part])
    assert recall(index, table, asked) > 0.95
    index.remove(np.arange(3_000))
    index.add(np.arange(3_000), table[:3_000])
    assert recall(index, table, asked) > 0.95
