"""The shipped facts hold what they claim to, nothing later than 1985, and none of the answers."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from statistics import mean

import pytest

from hunch.memory.reading import Reading
from hunch.memory.records import Fact
from hunch.memory.values import folded
from hunch.scenarios import literature
from hunch.scenarios.discoveries import Discovery

ENDS = {
    "contains": {("substance", "substance")},
    "is_a": {("substance", "class"), ("condition", "class"), ("physiology", "class")},
    "lowered_in": {("physiology", "condition")},
    "raised_in": {("physiology", "condition")},
    "lowers": {("substance", "physiology"), ("physiology", "physiology")},
    "raises": {("substance", "physiology"), ("physiology", "physiology")},
    "relieves": {("substance", "condition")},
    "worsens": {("substance", "condition")},
}
OPPOSITES = (("raises", "lowers"), ("raised_in", "lowered_in"), ("relieves", "worsens"))
SWANSON_AND_SMALHEISER = {
    ("fish oil", "Raynaud's syndrome", 1986),
    ("magnesium", "migraine", 1988),
    ("arginine", "somatomedin C", 1990),
    ("indomethacin", "Alzheimer's disease", 1996),
    ("oestrogen", "Alzheimer's disease", 1996),
    ("calcium-independent phospholipase A2", "schizophrenia", 1998),
}


@pytest.fixture(scope="module")
def reading() -> Reading:
    return literature.data()[0]


@pytest.fixture(scope="module")
def discoveries() -> list[Discovery]:
    return literature.data()[1]


@pytest.fixture(scope="module")
def types(reading: Reading) -> dict[str, str]:
    return {concept.name: concept.type for concept in reading.concepts}


def ends(fact: Fact) -> tuple[str, str]:
    assert fact.triple is not None
    return fact.triple.subject, fact.triple.object


def spellings(reading: Reading, name: str) -> set[str]:
    """Return a concept's name and aliases."""
    return {name} | {alias for concept in reading.concepts if concept.name == name for alias in concept.aliases}


def mentions(text: str, names: Iterable[str]) -> bool:
    return any(re.search(rf"(?<!\w){re.escape(folded(name))}s?(?!\w)", folded(text)) for name in names)


def test_there_is_enough_of_everything(reading: Reading, types: dict[str, str]) -> None:
    used = Counter(types[name] for name in {name for fact in reading.facts for name in ends(fact)})
    assert len(reading.facts) >= 800
    assert used["substance"] >= 80
    assert used["condition"] >= 50
    assert used["physiology"] >= 120


def test_every_fact_is_a_sentence_with_a_source_and_ends_that_fit_its_relation(
    reading: Reading, types: dict[str, str]
) -> None:
    for fact in reading.facts:
        assert fact.triple is not None
        assert (types[fact.triple.subject], types[fact.triple.object]) in ENDS[fact.triple.relation], fact
        assert fact.text.endswith(".") and len(fact.text.split()) >= 3, fact
        assert fact.source, fact


def test_no_connection_stands_there_twice(reading: Reading) -> None:
    assert [fact for fact, count in Counter(fact.id for fact in reading.facts).items() if count > 1] == []


def test_no_two_facts_contradict_each_other(reading: Reading) -> None:
    stated = {(fact.triple.relation, *ends(fact)) for fact in reading.facts if fact.triple}
    for up, down in OPPOSITES:
        both = [pair for relation, *pair in stated if relation == up and (down, *pair) in stated]
        assert both == [], f"{up} and {down}"


def test_no_source_is_later_than_1985(reading: Reading) -> None:
    later = [
        fact.source
        for fact in reading.facts
        for year in re.findall(r"\b(1[6-9]\d\d|20\d\d)\b", f"{fact.source} {fact.date or ''}")
        if int(year) > 1985
    ]
    assert later == []


def test_there_are_ten_discoveries_those_of_swanson_and_smalheiser_among_them(discoveries: list[Discovery]) -> None:
    assert len(discoveries) >= 10
    assert {(one.subject, one.object, one.year) for one in discoveries} >= SWANSON_AND_SMALHEISER
    for one in discoveries:
        assert one.year > 1985
        assert str(one.year) in one.citation
    assert len({one.triple.key for one in discoveries}) == len(discoveries)


def test_both_ends_of_a_discovery_are_known_and_could_stand_in_its_relation(
    discoveries: list[Discovery], reading: Reading, types: dict[str, str]
) -> None:
    used = {name for fact in reading.facts for name in ends(fact)}
    for one in discoveries:
        assert {one.subject, one.object} <= used
        assert (types[one.subject], types[one.object]) in ENDS[one.relation] | {("substance", "physiology")}


def test_no_fact_connects_the_two_ends_of_a_discovery(discoveries: list[Discovery], reading: Reading) -> None:
    for one in discoveries:
        first, second = spellings(reading, one.subject), spellings(reading, one.object)
        assert first.isdisjoint(second)
        joined = [
            fact.text
            for fact in reading.facts
            if (set(ends(fact)) & first and set(ends(fact)) & second)
            or (mentions(fact.text, first) and mentions(fact.text, second))
        ]
        assert joined == [], f"{one.subject} and {one.object}"


@pytest.mark.parametrize("kind", ["substance", "condition"])
def test_what_a_discovery_joins_is_no_better_known_than_the_rest(
    kind: str, discoveries: list[Discovery], reading: Reading, types: dict[str, str]
) -> None:
    degree = Counter(name for fact in reading.facts for name in ends(fact) if types[name] == kind)
    joined = {name for one in discoveries for name in (one.subject, one.object)}
    inside = mean(count for name, count in degree.items() if name in joined)
    outside = mean(count for name, count in degree.items() if name not in joined)
    assert inside <= 1.15 * outside
