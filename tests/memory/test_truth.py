"""What falls with a retraction, against a recomputation from scratch on any graph of reasons."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunch.memory.errors import InputError
from hunch.memory.experience import Archive
from hunch.memory.ledger import Ledger
from hunch.memory.records import Experience, Fact, Hypothesis, Status
from hunch.memory.truth import unsettled
from tests.made import experience

OBSERVED = tuple(f"observed {number}" for number in range(4))


def kept(number: int, reasons: Iterable[Iterable[str]], *, confirmed: bool = False) -> Experience:
    """Return the experience ``number``, with one firing for each of ``reasons``: ids of facts."""
    status = Status.CONFIRMED if confirmed else Status.UNDECIDED
    return experience(f"claim {number}", round=number, reasons=reasons, status=status)


def claim(number: int) -> str:
    return Hypothesis(spark_id="s", text=f"claim {number}").key


def fact(text: str) -> str:
    return Fact(text=text).id


def stored(experiences: Iterable[Experience]) -> Ledger:
    ledger = Ledger(None)
    ledger.add_facts(Fact(text=text) for text in OBSERVED)
    for one in experiences:
        ledger.add_experiences([one])
        ledger.add_facts([Fact(text=one.hypothesis.text, weight=0.5, experience_id=one.id)])
    return ledger


def by_brute_force(experiences: Iterable[Experience], retracted: set[str]) -> set[str]:
    """Return what holds, grown from nothing until it grows no more."""
    holds = {fact(text) for text in OBSERVED} - retracted
    while True:
        more = {
            one.id
            for one in experiences
            if one.id not in retracted
            and (
                not one.fired
                or one.outcome.status is Status.CONFIRMED
                or any(holds.issuperset(firing.fact_ids) for firing in one.fired)
            )
        }
        if more <= holds:
            return {one.id for one in experiences} & holds
        holds |= more


places = st.integers(0, 30)
reasons = st.lists(st.lists(places, min_size=1, max_size=3), max_size=3)


@st.composite
def graphs(draw: st.DrawFn) -> list[Experience]:
    """Return experiences whose reasons are observed facts and each other, in circles too."""
    drawn = draw(st.lists(st.tuples(reasons, st.booleans()), min_size=1, max_size=7))
    ids = [*(fact(text) for text in OBSERVED), *(claim(number) for number in range(len(drawn)))]
    return [
        kept(number, [{ids[place % len(ids)] for place in reason} for reason in why], confirmed=sure)
        for number, (why, sure) in enumerate(drawn)
    ]


def standing(ledger: Ledger) -> set[str]:
    return {one.id for one in ledger.experiences()}


@given(graphs(), st.lists(st.tuples(places, st.booleans()), max_size=6))
def test_what_holds_is_what_a_recomputation_from_scratch_says(
    experiences: list[Experience], acts: list[tuple[int, bool]]
) -> None:
    ledger, retracted = stored(experiences), set[str]()
    archive = Archive(ledger)
    known = [*(fact(text) for text in OBSERVED), *(one.id for one in experiences)]
    for number, id in enumerate(known, 1):  # reasons in a circle are written by no loop; let each be looked at once
        archive.retract([id], "to settle")
        archive.undo(number)
    assert standing(ledger) == by_brute_force(experiences, retracted)
    for place, back in acts:
        target = known[place % len(known)]
        if back and target in retracted:
            number = next(r.number for r in archive.retractions() if r.target == target and r.undone is None)
            archive.undo(number)
            retracted.discard(target)
        else:
            foretold = {one.id for one in archive.blast_radius(target)}
            fell = {one.id for one in archive.retract([target], "it is wrong")}
            assert fell == foretold
            retracted.add(target)
        assert standing(ledger) == by_brute_force(experiences, retracted)
        assert {f.id for _, f in ledger.changes().facts if f.experience_id} == standing(ledger)
        assert {f.id for _, f in ledger.changes().facts if not f.experience_id} == set(known[:4]) - retracted


def chain(length: int) -> list[Experience]:
    first = kept(0, [[fact(OBSERVED[0])]])
    return [first, *(kept(after, [[claim(before)]]) for before, after in pairwise(range(length)))]


def test_a_conclusion_falls_with_its_only_reason_and_comes_back_with_it() -> None:
    archive = Archive(stored(chain(3)))
    assert [one.id for one in archive.retract([claim(1)], "an experiment failed")] == [claim(1), claim(2)]
    assert [one.id for one in archive.all()] == [claim(0)]
    assert [one.id for one in archive.undo(1)] == [claim(1), claim(2)]
    assert len(archive.all()) == 3
    assert archive.undo(1) == []


def test_a_second_reason_holds_a_conclusion_up() -> None:
    archive = Archive(stored([kept(0, [[fact(OBSERVED[0])], [fact(OBSERVED[1])]])]))
    assert archive.retract([fact(OBSERVED[0])], "withdrawn") == []
    assert [one.id for one in archive.retract([fact(OBSERVED[1])], "withdrawn")] == [claim(0)]


def test_what_the_world_confirmed_needs_no_reason_but_falls_when_it_is_itself_refuted() -> None:
    archive = Archive(stored([kept(0, [[fact(OBSERVED[0])]], confirmed=True)]))
    assert archive.retract([fact(OBSERVED[0])], "withdrawn") == []
    assert [one.id for one in archive.retract([claim(0)], "the verifier was wrong")] == [claim(0)]


def test_a_retraction_is_on_record_with_its_reason_and_retracting_twice_adds_none() -> None:
    archive = Archive(stored(chain(2)))
    archive.retract([claim(0)], "the sample was mixed up", round=5)
    assert archive.retract([claim(0)], "again") == []
    (record,) = archive.retractions()
    assert (record.target, record.reason, record.round, record.undone) == (claim(0), "the sample was mixed up", 5, None)


def test_what_was_retracted_is_not_brought_back_by_keeping_it_again() -> None:
    experiences = chain(2)
    ledger = stored(experiences)
    archive = Archive(ledger)
    archive.retract([claim(0)], "wrong")
    assert archive.keep(experiences) == 0
    assert archive.all() == []


def test_an_unknown_id_is_named() -> None:
    with pytest.raises(InputError, match="'nothing' is neither a fact nor an experience"):
        Archive(stored([])).retract(["nothing"], "")
    with pytest.raises(InputError, match="7 is no retraction"):
        Archive(stored([])).undo(7)


def test_lineage_tells_the_steps_to_each_earlier_experience() -> None:
    archive = Archive(stored(chain(4)))
    assert [(step, one.id) for step, one in archive.lineage(claim(3))] == [(1, claim(2)), (2, claim(1)), (3, claim(0))]
    with pytest.raises(KeyError, match="is no kept experience"):
        archive.lineage("nothing")


def test_the_past_is_seen_as_it_was() -> None:
    archive = Archive(stored(chain(4)))
    archive.retract([claim(1)], "wrong", round=3)
    assert [one.id for one in archive.as_of(2)] == [claim(0), claim(1)]
    assert [one.id for one in archive.as_of(3)] == [claim(0), claim(1), claim(2)]
    assert [one.id for one in archive.as_of(4)] == [claim(0)]
    assert [one.id for one in archive.all()] == [claim(0)]


@pytest.mark.slow
def test_of_a_hundred_thousand_just_those_fall_that_rest_on_the_one_retracted() -> None:
    dependants = [kept(number, [[claim(0)]]) for number in range(1, 1_001)]
    others = [kept(number, [[fact(OBSERVED[1])]]) for number in range(1_001, 100_000)]
    experiences = [kept(0, [[fact(OBSERVED[0])]]), *dependants, *others]
    ledger = Ledger(None)
    ledger.add_facts(Fact(text=text) for text in OBSERVED)
    ledger.add_experiences(experiences)
    ledger.add_facts(Fact(text=one.hypothesis.text, weight=0.5, experience_id=one.id) for one in experiences)
    archive = Archive(ledger)
    fell = archive.retract([claim(0)], "wrong")
    assert len(fell) == 1_001
    assert standing(ledger) == by_brute_force(experiences, {claim(0)})
    assert unsettled(ledger) == ([], [])
