"""What an expert is shown: distinct, new, and spread."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunch.agent.shortlist import Shortlist
from hunch.memory.records import Grounding, Hypothesis, Outcome, Standing, Status


def world(strengths: list[float], standing: Standing = Standing.INSIGHT) -> tuple[list[Hypothesis], list[Grounding]]:
    """Return hypotheses that differ, with their groundings."""
    said = [Hypothesis(spark_id="s", text=f"idea {i}") for i in range(len(strengths))]
    return said, [
        Grounding(key=one.key, standing=standing, strength=strength, p_value=0.5, novelty=0.5)
        for one, strength in zip(said, strengths, strict=True)
    ]


def test_the_best_come_first_and_the_ends_of_strength_are_covered() -> None:
    said, groundings = world([float(i) for i in range(50)])
    worth = np.array([-abs(i - 25.0) for i in range(50)])
    chosen = Shortlist(k=10, repeats=0, lot=0, best=4).choose(
        said, groundings, [Outcome()] * 50, 10, np.random.default_rng(0), worth
    )
    assert {one.slot for one in chosen if one.why == "best"} == {25, 24, 26, 23}
    spread = [one.slot for one in chosen if one.why == "spread"]
    assert {0, 49} <= set(spread)


def test_what_is_known_refuted_or_said_twice_is_not_shown() -> None:
    said, groundings = world([0.0] * 6)
    groundings[0] = groundings[0].model_copy(update={"standing": Standing.RECALL})
    outcomes = [Outcome()] * 6
    outcomes[1] = Outcome(status=Status.REFUTED)
    said[3] = said[2]
    chosen = Shortlist().choose(said, groundings, outcomes, 20, np.random.default_rng(0), but={said[5].key})
    assert {one.slot for one in chosen} == {2, 4}


def test_one_of_each_meaning_is_shown() -> None:
    said, groundings = world([0.0] * 6)
    pairs = Shortlist(classes=lambda texts: np.arange(len(texts)) // 2)
    chosen = pairs.choose(said, groundings, [Outcome()] * 6, 20, np.random.default_rng(0))
    assert {one.slot for one in chosen} == {0, 2, 4}


def test_the_lot_falls_as_often_as_it_says() -> None:
    said, groundings = world([float(i) for i in range(12)])
    drawn = np.zeros(12)
    for seed in range(600):
        for one in Shortlist(k=6, repeats=0, lot=3, best=0).choose(
            said, groundings, [Outcome()] * 12, 6, np.random.default_rng(seed)
        ):
            if one.why == "random":
                assert one.propensity == 3 / 12
                drawn[one.slot] += 1
    assert np.all(np.abs(drawn / 600 - 0.25) < 0.075)  # four standard errors


@given(st.lists(st.floats(-5, 5), min_size=0, max_size=40), st.integers(0, 30), st.integers(0, 9))
def test_never_twice_never_more_than_asked(strengths: list[float], n: int, seed: int) -> None:
    said, groundings = world(strengths)
    rng = np.random.default_rng(seed)
    chosen = Shortlist().choose(said, groundings, [Outcome()] * len(said), n, rng, np.array(strengths))
    assert len({one.slot for one in chosen}) == len(chosen) == min(n, len(said))


def test_a_sheet_on_which_nothing_new_is_ranked_is_refused() -> None:
    with pytest.raises(ValueError, match="k is 3 with 2 repeats"):
        Shortlist(k=3, repeats=2)
