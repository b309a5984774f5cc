"""Names found in running text, and by their letters."""

from __future__ import annotations

import pytest

from hunch.memory import names as module
from hunch.memory.names import Mention, Names
from hunch.memory.records import Concept

LONG = "Organisation for the Prohibition of Chemical Weapons in Europe and Asia"


@pytest.fixture
def names() -> Names:
    names = Names()
    names.add([Concept(name="Germany"), Concept(name="fish oil", aliases=("omega-3 acid",)), Concept(name=LONG)])
    return names


def test_mentions_say_where_they_stand(names: Names) -> None:
    text = f"In Germany, the {LONG} forbids fish oils."
    found = names.mentions(text)
    assert [text[start:end] for _, start, end in found] == ["Germany", LONG, "fish oils"]
    assert [mention.concept for mention in found] == ["Germany", LONG, "fish oil"]
    assert names.mentions(" GERMANY ") == [Mention("Germany", 0, 9)]


@pytest.mark.parametrize("text", ["Germny", "Gemrany", "germanny", "German"])
def test_a_slip_of_the_pen_is_like_the_name(names: Names, text: str) -> None:
    ((name, like), *_) = names.like([text], 3)[0]
    assert name == "Germany" and 0.8 < like < 1


def test_turned_about_or_under_an_alias_a_name_is_found_and_a_stranger_is_not(names: Names) -> None:
    inverted, alias, exact, stranger, empty = names.like(["oil, fish", "omega3 acid", "Germany", "qqq", ""], 3)
    assert (inverted[0][0], alias[0][0]) == ("fish oil", "fish oil") and min(inverted[0][1], alias[0][1]) > 0.8
    assert exact[0] == ("Germany", pytest.approx(1.0)) and stranger == empty == []


def test_likeness_is_the_same_in_any_batch_and_follows_the_names(names: Names, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["Germny", "fish oli", "weapons"]
    together = names.like(texts, 2)
    assert together == [names.like([text], 2)[0] for text in texts]
    monkeypatch.setattr(module, "CELLS", 1)
    assert names.like(texts, 2) == together
    names.add([Concept(name="Germania")])
    assert names.like(["Germaniaa"], 1)[0][0][0] == "Germania"
    names.share("osmosis")
    assert names.like(["osmosiss"], 1)[0][0][0] == "osmosis"
    names.discard("osmosis")
    assert "osmosis" not in dict(names.like(["osmosiss"], 4)[0])


def test_a_store_without_names_is_like_nothing() -> None:
    assert Names().like(["anything"], 3) == [[]] and Names().like([], 3) == []


def test_long_names_are_compared_without_their_letters_in_order() -> None:
    names = Names()
    names.add([Concept(name="a" * 50_000), Concept(name="ab" * 25_000), Concept(name="garlic oil")])
    found = names.like(["ab" * 20_000, "garlic oli"], 3)  # letter by letter it would take years
    assert found[0][0][0] == "ab" * 25_000 and found[0][0][1] > 0.9
    assert found[1][0][0] == "garlic oil" and found[1][0][1] > 0.8
