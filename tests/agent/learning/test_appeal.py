"""Appeal as reward: it orders what is equally well known, and never lifts a tier over another."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunch.agent.contracts import check_judge
from hunch.agent.judging import keep_insights
from hunch.agent.learning.appeal import appeal, appealing, rewards, tiers
from hunch.agent.learning.taste import Worth
from hunch.memory.records import Grounding, Hypothesis, Outcome, Standing, Status

TIER = {
    (Standing.INSIGHT, Status.CONFIRMED): 3, (Standing.HALLUCINATION, Status.CONFIRMED): 3,
    (Standing.INSIGHT, Status.UNDECIDED): 2, (Standing.HALLUCINATION, Status.UNDECIDED): 1,
}  # fmt: skip
"""Every other pair is worth nothing."""
pairs = st.tuples(st.sampled_from(Standing), st.sampled_from(Status))
liked = st.tuples(st.floats(-1e3, 1e3), st.floats(0, 1e3))


def known(pairs: Sequence[tuple[Standing, Status]]) -> tuple[list[Grounding], list[Outcome]]:
    groundings = [
        Grounding(key=str(i), standing=s, strength=0, p_value=0.5, novelty=1) for i, (s, _) in enumerate(pairs)
    ]
    return groundings, [Outcome(status=status, score=1.0) for _, status in pairs]


@pytest.mark.parametrize("standing", Standing)
@pytest.mark.parametrize("status", Status)
def test_each_standing_and_status_has_its_tier(standing: Standing, status: Status) -> None:
    assert tiers(*known([(standing, status)])).tolist() == [TIER.get((standing, status), 0)]


@given(st.lists(st.tuples(pairs, liked), min_size=1, max_size=8), st.floats(0, 3))
def test_no_appeal_lifts_a_tier_over_another_and_within_one_appeal_orders(
    told: list[tuple[tuple[Standing, Status], tuple[float, float]]], kappa: float
) -> None:
    worth = np.array([worth for _, worth in told]).T
    found = rewards(*known([pair for pair, _ in told]), worth[0], worth[1], kappa=kappa)
    assert ((found >= 0) & (found <= 1)).all()
    liking = appeal(worth[0], worth[1], kappa=kappa)
    for i, (one, _) in enumerate(told):
        for j, (other, _) in enumerate(told):
            if TIER.get(one, 0) > TIER.get(other, 0):
                assert found[i] > found[j] + 0.05
            elif TIER.get(one, 0) == TIER.get(other, 0) > 0 and liking[i] > liking[j] + 1e-9:
                assert found[i] > found[j]
            if TIER.get(one, 0) == 0:
                assert found[i] == 0


def test_by_hand() -> None:
    every = [
        (Standing.HALLUCINATION, Status.UNDECIDED),
        (Standing.INSIGHT, Status.UNDECIDED),
        (Standing.INSIGHT, Status.CONFIRMED),
    ]
    even = rewards(*known(every), np.zeros(3), np.ones(3))
    assert even == pytest.approx([0.2, 1.6 / 3, 2.6 / 3])
    assert rewards(*known(every[2:]), np.array([99.0]), np.zeros(1)) == pytest.approx([1])


@pytest.mark.parametrize(("mean", "sd"), [(0.0, 2.0), (1.0, 0.0), (-1.5, 1.0), (2.0, 3.0)])
def test_appeal_is_the_expected_probability_of_being_preferred(mean: float, sd: float) -> None:
    drawn = mean + sd * np.random.default_rng(0).normal(size=200_000)
    exact = (1 / (1 + np.exp(-drawn))).mean()
    assert appeal(np.array([mean]), np.array([sd]))[0] == pytest.approx(exact, abs=0.02)


def test_an_optimist_prefers_what_is_uncertain() -> None:
    mean, sd = np.array([0.1, 0.0]), np.array([0.1, 1.0])
    assert appeal(mean, sd)[0] > appeal(mean, sd)[1]
    assert appeal(mean, sd, kappa=1)[0] < appeal(mean, sd, kappa=1)[1]


SAID = [Hypothesis(spark_id=field, text=f"{field} {'l' * i}") for field in ("soil", "sea") for i in range(6)]


class Length:
    """A taste for long texts, in the sea for short ones; tells what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    def predict(self, texts: Sequence[str], field: str | None = None) -> Worth:
        self.asked.append(field)
        sign = -1 if field == "sea" else 1
        return Worth(np.array([sign * float(len(text)) / 9 for text in texts]), np.full(len(texts), 0.5))


def judged(field_of: Any = None) -> tuple[Length, list[Any], list[Any]]:
    taste = Length()
    statuses = [Status.UNDECIDED] * 3 + [Status.CONFIRMED, Status.REFUTED, Status.ERROR]
    groundings, outcomes = known([(Standing.INSIGHT, status) for status in statuses] * 2)
    mine = appealing(keep_insights, taste, field_of=field_of)  # type: ignore[arg-type]  # it is asked for `predict` alone
    check_judge(mine, SAID, groundings, outcomes)
    return taste, mine(SAID, groundings, outcomes), keep_insights(SAID, groundings, outcomes)


def test_the_wrapped_judge_keeps_what_the_judge_keeps_and_rewards_by_tier_and_appeal() -> None:
    taste, ours, theirs = judged()
    assert [(v.keep, v.reason) for v in ours] == [(v.keep, v.reason) for v in theirs]
    earned = [verdict.reward for verdict in ours]
    assert 1 / 3 < earned[0] < earned[1] < earned[2] < 2 / 3 < earned[3] and earned[4:6] == [0, 0]
    assert set(taste.asked) == {None}


def test_each_field_is_judged_by_its_own_taste() -> None:
    taste, ours, _ = judged(lambda said: said.spark_id)
    earned = [verdict.reward for verdict in ours]
    assert earned[0] < earned[1] < earned[2] and earned[6] > earned[7] > earned[8]
    assert set(taste.asked) == {"soil", "sea"}


def test_nothing_said_is_nothing_rewarded() -> None:
    empty = SimpleNamespace(predict=lambda texts, field=None: Worth(np.zeros(0), np.zeros(0)))
    assert appealing(keep_insights, empty)([], [], []) == []  # type: ignore[arg-type]  # as above
