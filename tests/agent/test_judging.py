"""The environment outranks the store, and what is known is never kept."""

from __future__ import annotations

from itertools import product

import pytest

from hunch.agent.judging import keep_insights, rewarding_at
from hunch.agent.protocols import Judge
from hunch.memory.records import Grounding, Outcome, Standing, Status, Verdict
from tests.agent.planted import claim

SAID = claim("a", "b", "c")


def judged(
    standing: Standing, status: Status, *, p: float = 0.1, score: float = 0.8, judge: Judge = keep_insights
) -> Verdict:
    grounding = Grounding(
        key=SAID.key, standing=standing, strength=0.0, p_value=p, novelty=0.5, reason="" if p < 0.2 else "no more"
    )
    (verdict,) = judge([SAID], [grounding], [Outcome(status=status, score=score, evidence="e", error="why")])
    return verdict


@pytest.mark.parametrize(("standing", "status"), list(product(Standing, Status)))
def test_kept_is_what_is_confirmed_or_fires_unrefuted_and_was_not_known(standing: Standing, status: Status) -> None:
    keep = standing is not Standing.RECALL and (
        status is Status.CONFIRMED or (status is Status.UNDECIDED and standing is Standing.INSIGHT)
    )
    verdict = judged(standing, status)
    assert verdict.keep is keep and (keep or verdict.reward == 0)


def test_the_reward_is_the_environment_s_score_or_how_unlikely_chance_is() -> None:
    assert judged(Standing.HALLUCINATION, Status.CONFIRMED).reward == 0.8
    assert judged(Standing.INSIGHT, Status.UNDECIDED).reward == pytest.approx(0.9)


@pytest.mark.parametrize(("standing", "status"), list(product(Standing, Status)))
@pytest.mark.parametrize("p", [0.05, 0.051])
def test_only_what_fires_at_the_level_or_is_confirmed_is_rewarded(standing: Standing, status: Status, p: float) -> None:
    usual, strict = judged(standing, status, p=p), judged(standing, status, p=p, judge=rewarding_at(0.05))
    assert (strict.keep, strict.reason) == (usual.keep, usual.reason)
    decided = not usual.keep or status is Status.CONFIRMED
    assert strict.reward == (usual.reward if decided else float(p == 0.05))


def test_the_reason_says_who_decided() -> None:
    assert judged(Standing.INSIGHT, Status.REFUTED).reason == "refuted: e"
    assert judged(Standing.INSIGHT, Status.ERROR).reason == "could not be verified: why"
    assert judged(Standing.HALLUCINATION, Status.UNDECIDED, p=0.5).reason == "no more"
