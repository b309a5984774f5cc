"""The archive keeps a claim once, and says why."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from hunch.memory.experience import Archive
from hunch.memory.ledger import Ledger
from hunch.memory.records import (
    Draw,
    Experience,
    Firing,
    Grounding,
    Hypothesis,
    Outcome,
    Recipe,
    Standing,
    Status,
    Triple,
    Verdict,
)

hostile = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def experience(round: int, slot: int, text: str = "", triple: Triple | None = None) -> Experience:
    hypothesis = Hypothesis(
        spark_id="s", text=text or f"claim {round} {slot}", triple=triple, token_ids=(1, 2), logprob=-0.1 - 0.2,
        recipe=Recipe(temperature=1.7, min_p=0.05), parents=("p",),
    )  # fmt: skip
    firing = Firing(kind="path", sentence=f"{text}; so what", fact_ids=("f1", "f2"), share=1 / 3)
    grounding = Grounding(
        key=hypothesis.key, standing=Standing.INSIGHT, strength=1 / 3, p_value=0.01, novelty=0.2,
        evidence={"paths": 1e-17},
    )  # fmt: skip
    return Experience(
        round=round,
        slot=slot,
        hypothesis=hypothesis,
        grounding=grounding,
        outcome=Outcome(status=Status.CONFIRMED, score=1.0, evidence=text),
        verdict=Verdict(keep=True, reason="it fires", reward=0.1),
        fired=(firing,),
    )


def draw(round: int, slot: int, key: str = "k", kept: bool = False, triple: Triple | None = None) -> Draw:
    return Draw(
        round=round, slot=slot, key=key, text=f"it says {key}", triple=triple, standing=Standing.RECALL,
        strength=-1 / 3, p_value=0.5,
        status=Status.UNDECIDED, kept=kept, reason="known", model_logprob=-2.5, entropy_nats=1 / 7,
    )  # fmt: skip


@given(hostile, st.none() | st.builds(Triple, subject=hostile, relation=hostile, object=hostile))
def test_experience_and_draws_come_back_as_they_were(text: str, triple: Triple | None) -> None:
    archive = Archive(Ledger(None))
    kept, drawn = experience(1, 0, text, triple), draw(1, 0, text, triple=triple)
    assert archive.commit([kept], [drawn]) == 1
    assert archive.all() == [kept] and archive.why(kept.id) == kept
    assert archive.draws() == [drawn]


def test_writing_twice_changes_nothing() -> None:
    archive = Archive(Ledger(None))
    kept, drawn = [experience(0, 0), experience(0, 1)], [draw(0, 0), draw(0, 1)]
    assert (archive.keep(kept), archive.log(drawn)) == (2, 2)
    assert (archive.keep(kept), archive.log(drawn)) == (0, 0)
    assert archive.count() == 2 and archive.draws() == drawn


def test_a_claim_found_again_is_kept_once_as_it_was_found_first() -> None:
    archive = Archive(Ledger(None))
    first = experience(0, 0, "Fish oil helps.")
    assert archive.keep([first]) == 1
    assert archive.keep([experience(5, 0, "fish  OIL helps.")]) == 0
    assert archive.all() == [first]


def test_experience_comes_by_round_and_slot_and_up_to_a_round() -> None:
    archive = Archive(Ledger(None))
    a, b, c = experience(0, 1), experience(1, 0), experience(2, 0)
    archive.keep([c, b, a])
    assert archive.all() == [a, b, c]
    assert archive.before(2) == [a, b] and archive.before(0) == []


def test_commit_writes_all_or_nothing() -> None:
    archive = Archive(Ledger(None))
    broken = experience(0, 0).model_copy(update={"round": object()})
    with pytest.raises(Exception, match="object"):
        archive.commit([broken], [draw(0, 0)])
    assert archive.draws() == [] and archive.count() == 0


def test_asking_why_of_a_stranger_says_where_ids_come_from() -> None:
    with pytest.raises(KeyError, match=r"'x' is no kept experience; ids come from"):
        Archive(Ledger(None)).why("x")


def test_the_discovery_curve_counts_distinct_keeps_in_drawing_order() -> None:
    archive = Archive(Ledger(None))
    archive.log([draw(1, 0, "c", kept=True), draw(0, 1, "a", kept=True), draw(0, 0, "b"), draw(1, 1, "a", kept=True)])
    curve = archive.discovery_curve()
    assert_array_equal(curve.samples, [1, 2, 3, 4])
    assert_array_equal(curve.distinct_kept, [0, 1, 2, 2])  # b not kept, a, c, a again
    assert curve.distinct_kept.dtype == np.int64


def test_the_discovery_curve_of_nothing_is_empty() -> None:
    assert [len(part) for part in Archive(Ledger(None)).discovery_curve()] == [0, 0]
