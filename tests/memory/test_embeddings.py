"""Embeddings on disk: encoded once, found by content, never mixed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hunch.memory import embeddings
from hunch.memory.embeddings import CachedEncoder
from hunch.memory.encoder import FloatArray, unit_rows
from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger

TEXTS = ["fish oil", "blood", "viscosity", "", "naïve \ud800", "fish oil"]


class Counting:
    """Letters as vectors, and a list of what was encoded."""

    def __init__(self, name: str = "letters", dimension: int = 8) -> None:
        self.name, self.dimension = name, dimension
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str]) -> FloatArray:
        self.asked += texts
        return unit_rows(np.array([[text.count(chr(97 + i)) for i in range(self.dimension)] for text in texts]))


def test_a_text_is_encoded_once_over_all_calls_and_programs(tmp_path: Path) -> None:
    encoder, expected = Counting(), Counting().encode(TEXTS)
    cached = CachedEncoder(encoder, tmp_path)
    assert_array_equal(cached.encode(TEXTS), expected)
    assert_array_equal(cached.encode(TEXTS[::-1]), expected[::-1])
    assert encoder.asked == TEXTS[:-1]
    again = Counting()
    assert_array_equal(CachedEncoder(again, tmp_path).encode([*TEXTS, "new"]), [*expected, *again.encode(["new"])])
    assert again.asked == ["new"] * 2
    assert (cached.name, cached.dimension) == (encoder.name, encoder.dimension)


def test_no_texts_are_no_rows(tmp_path: Path) -> None:
    assert CachedEncoder(Counting(), tmp_path).encode([]).shape == (0, 8)


@settings(max_examples=30, deadline=None)
@given(batches=st.lists(st.lists(st.text("abcdefgh ", max_size=4), max_size=8), max_size=12))
def test_whatever_is_asked_in_whatever_batches_is_what_the_encoder_says(
    batches: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, encoder = tmp_path_factory.mktemp("cache"), Counting()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embeddings, "SMALL_SHARDS", 2)
        patch.setattr(embeddings, "PIECE", 3)
        cached = CachedEncoder(encoder, folder)
        for batch in batches:
            assert_array_equal(cached.encode(batch), Counting().encode(batch) if batch else np.zeros((0, 8)))
    assert len(encoder.asked) == len({text for batch in batches for text in batch})


def test_small_shards_are_merged_and_big_ones_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "SMALL_SHARDS", 4)
    monkeypatch.setattr(embeddings, "FULL_SHARD", 10)
    cached, texts = CachedEncoder(Counting(), tmp_path), [f"a{'b' * i}" for i in range(60)]
    for text in texts:
        cached.encode([text])
    files = list(tmp_path.rglob("*.npy"))
    assert len(files) <= 2 * (60 / 10 + 4 + 1)
    again = Counting()
    assert_allclose(CachedEncoder(again, tmp_path).encode(texts), Counting().encode(texts))
    assert again.asked == []


def test_another_encoder_finds_nothing_and_one_of_another_width_is_refused(tmp_path: Path) -> None:
    CachedEncoder(Counting(), tmp_path).encode(TEXTS)
    other = Counting("other")
    CachedEncoder(other, tmp_path).encode(TEXTS)
    assert other.asked == TEXTS[:-1]
    with pytest.raises(
        InputError, match=r"rows of width 8, but letters makes rows of width 5.*cannot be mixed; delete"
    ):
        CachedEncoder(Counting(dimension=5), tmp_path)


def test_an_encoder_that_breaks_its_word_about_its_width_is_refused(tmp_path: Path) -> None:
    encoder = Counting()
    cached = CachedEncoder(encoder, tmp_path)
    encoder.dimension = 5
    with pytest.raises(InputError, match=r"letters returned rows of shape \(1, 5\) for 1 texts.*width is 8"):
        cached.encode(["a"])
    assert list(tmp_path.rglob("*.npy")) == []


@pytest.mark.parametrize("damage", ["keys cut", "rows cut", "rows missing", "rows scrambled", "no numbers"])
def test_what_is_damaged_is_encoded_again(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    texts = ["abc", "abd"]
    CachedEncoder(Counting(), tmp_path).encode(texts)
    (keys,), (rows,) = list(tmp_path.rglob("*.keys.npy")), list(tmp_path.rglob("*.rows.npy"))
    if damage == "rows missing":
        rows.unlink()
    elif damage == "rows scrambled":
        rows.write_bytes(rows.read_bytes()[:-16] + b"\x7f" * 16)
    elif damage == "no numbers":
        np.save(keys, np.array([{}, {}]), allow_pickle=True)
    else:
        file = keys if damage == "keys cut" else rows
        file.write_bytes(file.read_bytes()[:-8])
    again = Counting()
    with caplog.at_level(logging.WARNING):
        assert_array_equal(CachedEncoder(again, tmp_path).encode(texts), Counting().encode(texts))
    assert set(again.asked) <= set(texts) and again.asked
    last = Counting()
    assert_array_equal(CachedEncoder(last, tmp_path).encode(texts), Counting().encode(texts))
    assert last.asked == []


def test_a_folder_that_cannot_be_made_is_answered_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file cannot be made .*give another folder"):
        CachedEncoder(Counting(), tmp_path / "file")


def test_a_store_opened_with_another_encoder_is_indexed_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from hunch.memory import nearness

    monkeypatch.setattr(nearness, "SNAPSHOT_FACTS", 2)
    facts = ["aaa b", "ccc d", "hhh g"]
    with Ledger(tmp_path / "l") as ledger:
        store = Knowledge(ledger, Counting())
        store.add(facts)
        store.near(["a"], 1)
    for encoder in (Counting("reversed"), Counting("narrow", 4)):
        with Ledger(tmp_path / "l") as ledger:
            ids, _ = Knowledge(ledger, encoder).near(["c"], 1)
            assert set(facts) <= set(encoder.asked)
            assert Knowledge(ledger, encoder).fact(ids[0][0]).text == "ccc d"
    with Ledger(tmp_path / "l") as ledger:
        same = Counting("narrow", 4)
        Knowledge(ledger, same).near(["c"], 1)
        assert same.asked == ["c"]


def test_an_encoder_of_uncertain_width_cannot_fill_an_index() -> None:
    encoder = Counting()
    store = Knowledge(Ledger(None), encoder)
    store.add(["aaa b", "ccc d"])
    store.near(["a"], 1)
    encoder.dimension = 5
    store.add(["eee f"])
    with pytest.raises(ValueError, match="rows of width 8 are indexed"):
        store.near(["a"], 1)
