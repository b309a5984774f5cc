"""Rankings arrive as they were given, once, and what came later counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hunch.memory.errors import InputError
from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings

SHEET = Sheet(field="physics", question="What if?", cards=tuple(Card(key=key, text=f"idea {key}") for key in "abcde"))


def ranking(*order: str, expert: str = "Ada", **said: object) -> Ranking:
    """Return a ranking; each word is a place, its letters the cards there."""
    return Ranking.model_validate(
        {"sheet_id": SHEET.id, "expert": expert, "criterion": "creative", "order": tuple(map(tuple, order)), **said}
    )


@pytest.fixture
def rankings() -> Rankings:
    """Return rankings in memory, the sheet shown."""
    store = Rankings(Ledger(None))
    store.show([SHEET])
    return store


def test_what_was_ranked_comes_back_in_its_order(rankings: Rankings) -> None:
    first = ranking("c", "ab", "e", unjudged=("d",), accepted=2)
    assert rankings.add([first]) == 1
    assert rankings.all() == rankings.of(SHEET) == [first]
    assert first.places == {"c": 0, "a": 1, "b": 1, "e": 2}
    assert first.kept == ("c", "a", "b")


def test_writing_twice_changes_nothing(rankings: Rankings) -> None:
    assert rankings.add([ranking("abcde")]) == 1
    assert rankings.add([ranking("abcde")]) == 0
    assert rankings.show([SHEET]) == 0


def test_a_later_ranking_counts_and_the_earlier_stays(rankings: Rankings) -> None:
    first, other, later = ranking("a", "b"), ranking("b", "a", expert="Bo"), ranking("b", "a")
    rankings.add([first])
    rankings.add([other, later])
    assert rankings.all() == [other, later]
    assert rankings.all(replaced=True) == [first, other, later]


def test_one_bad_ranking_keeps_the_others_out(rankings: Rankings) -> None:
    for bad, words in (
        (ranking("a", "z"), "'z' is no card"),
        (ranking("a", criterion="funny"), "asks for creative, insightful"),
        (ranking("a", sheet_id="0"), "no such sheet was shown"),
    ):
        with pytest.raises(InputError, match=words):
            rankings.add([ranking("a", "b"), bad])
    assert rankings.all() == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"order": (("a",), ("a",))}, "ranked twice"),
        ({"order": (("a",), ())}, "place of the order is empty"),
        ({"order": (("a",),), "unjudged": ("a",)}, "ranked twice"),
        ({"order": (("a",),), "accepted": 2}, "accepted is 2, but there are 1 places"),
    ],
)
def test_a_ranking_that_contradicts_itself_is_refused(said: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ranking(**said)


def test_two_cards_of_one_key_are_refused() -> None:
    with pytest.raises(ValidationError, match="two cards have one key"):
        Sheet(field="f", question="q", cards=(Card(key="a", text="x"), Card(key="a", text="y")))


def test_a_draft_lasts_until_the_ranking_is_done(tmp_path: Path) -> None:
    with Ledger(tmp_path / "memory.sqlite") as ledger:
        store = Rankings(ledger)
        store.show([SHEET])
        store.save_draft(SHEET.id, "Ada", "half")
        store.save_draft(SHEET.id, "Ada", "more")
    with Ledger(tmp_path / "memory.sqlite") as ledger:
        store = Rankings(ledger)
        assert (store.draft(SHEET.id, "Ada"), store.draft(SHEET.id, "Bo")) == ("more", None)
        store.add([ranking("abcde")])
        assert store.draft(SHEET.id, "Ada") is None
        assert store.damaged() == []
        with ledger.transaction() as connection:
            connection.execute("UPDATE rankings SET body = replace(body, 'Ada', 'Eve')")
        assert store.damaged() == [ranking("abcde").id]


@given(st.lists(st.integers(0, 3), min_size=5, max_size=5))
def test_any_weak_order_survives_the_ledger(places: list[int]) -> None:
    order = ["".join(key for key, place in zip("abcde", places, strict=True) if place == p) for p in range(4)]
    given_ = ranking(*filter(None, order))
    store = Rankings(Ledger(None))
    store.show([SHEET])
    store.add([given_])
    assert store.of(SHEET) == [given_]
