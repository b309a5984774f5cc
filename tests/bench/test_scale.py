"""The scale benchmark at tiny sizes: what it tells, and whether its world and its recall are what it says."""

from __future__ import annotations

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from bench import scale
from hunch.memory import vectors

FIGURES = {
    "index",
    "adds_per_second",
    "faiss_adds_per_second",
    "adds_to_faiss",
    "searches_per_second",
    "faiss_searches_per_second",
    "searches_to_faiss",
    "remove_1_percent_seconds",
    "save_seconds",
    "load_seconds",
    "resident_mb",
    "recall_at_10",
}


def test_each_size_is_measured_in_a_process_of_its_own(capfd: pytest.CaptureFixture[str]) -> None:
    figures = scale.measure(sizes=[300], dimension=16, batch=8)
    json.dumps(figures)
    assert (figures["dimension"], figures["batch"], list(figures["sizes"])) == (16, 8, ["300"])
    measured = figures["sizes"]["300"]["vectors"]
    assert set(measured) == FIGURES
    assert (measured["index"], measured["recall_at_10"]) == ("IndexFlatIP", 1.0)
    assert "300: recall 1.0" in capfd.readouterr().err


def test_the_biggest_stage_is_compared_with_brute_force(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"EXACT_LIMIT": 100, "FLAT_LIMIT": 200, "LISTS": 8, "PROBES": 8, "RERANKED": 100}
    for name, value in limits.items():
        monkeypatch.setattr(vectors, name, value)
    monkeypatch.setattr(scale, "PIECE", 128)
    figures = scale.vectors_at(1_000, 32, 16)
    assert figures["index"] == "IndexIVFRaBitQ"
    assert figures["recall_at_10"] == 1.0
    monkeypatch.setattr(vectors, "PROBES", 1)
    assert scale.vectors_at(1_000, 32, 16)["recall_at_10"] < 1


def test_the_world_is_of_unit_rows_that_a_seed_decides() -> None:
    world = scale.World(48)
    drawn = world.draw(40, seed=3)
    assert_allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-6)
    assert_array_equal(drawn, scale.World(48).draw(40, seed=3))
    assert np.abs(drawn - world.draw(40, seed=-3)).max() > 0.1
    assert drawn.dtype == np.float32


def test_pieces_cover_a_size_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "PIECE", 10)
    ids = np.concatenate([ids for ids, rows in scale.World(8).pieces(25)])
    assert_array_equal(ids, np.arange(25))
