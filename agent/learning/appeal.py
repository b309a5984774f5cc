"""Appeal as reward, and never alone: a verdict of the world or of the store outranks what experts would like.

Ideas that please most before they are tried drop most once they are. So the reward is lexicographic: first what
is known of an idea, then, among those of which the same is known, its appeal.

    tier 3   confirmed by the environment
    tier 2   an insight: new, and the store fires; the environment does not decide
    tier 1   new, and nothing speaks for it or against it
    none     known already, refuted, or not runnable: reward 0

An idea of tier k is worth ``(k - SPAN (1 - appeal)) / 3``: the tiers do not even touch, so no appeal lifts an idea over
one of a higher tier. Where nothing is grounded or verified, all are of tier 1, and appeal alone orders them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from scipy.special import expit

from hunch.agent.learning.taste import Taste
from hunch.agent.protocols import Judge
from hunch.memory.links import Floats, Ints
from hunch.memory.records import Grounding, Hypothesis, Outcome, Standing, Status, Verdict

TIERS = 3
SPAN = 0.8
"""Share of a tier's third that appeal decides; the rest keeps the tiers apart."""

FieldOf = Callable[[Hypothesis], str | None]
"""The field of knowledge that a hypothesis is of; None where it is not known."""


def tiers(groundings: Sequence[Grounding], outcomes: Sequence[Outcome]) -> Ints:
    """Return what is known of each hypothesis, (N,): 3 confirmed, 2 insight, 1 neither, 0 known or wrong."""
    return np.array([_tier(one, other) for one, other in zip(groundings, outcomes, strict=True)], np.int64)


def _tier(grounding: Grounding, outcome: Outcome) -> int:
    if grounding.standing is Standing.RECALL or outcome.status in (Status.REFUTED, Status.ERROR):
        return 0
    if outcome.status is Status.CONFIRMED:
        return 3
    return 2 if grounding.standing is Standing.INSIGHT else 1


def appeal(mean: Floats, sd: Floats, *, kappa: float = 0.0) -> Floats:
    """Return the probability that an expert prefers a text to an average card, (N,), each in [0, 1].

    ``E sigma(s)`` for ``s ~ N(mean, sd^2)`` is near ``sigma(mean / sqrt(1 + pi sd^2 / 8))`` (MacKay 1992).

    Args:
        mean: log-odds against an average card.
        sd: standard deviation of the same.
        kappa: standard deviations by which what is uncertain is taken to be better (an upper confidence bound).
    """
    return np.asarray(expit((mean + kappa * sd) / np.sqrt(1 + np.pi * sd**2 / 8)))


def rewards(
    groundings: Sequence[Grounding], outcomes: Sequence[Outcome], mean: Floats, sd: Floats, *, kappa: float = 0.0
) -> Floats:
    """Return the rewards of hypotheses, (N,), each in [0, 1]: by tier, and within a tier by appeal.

    Args:
        groundings: how they stand.
        outcomes: what the environment said.
        mean: their worth by the experts' taste.
        sd: how unsure that is.
        kappa: optimism, as in ``appeal``.
    """
    tier = tiers(groundings, outcomes)
    return np.where(tier > 0, (tier - SPAN * (1 - appeal(mean, sd, kappa=kappa))) / TIERS, 0.0)


def appealing(judge: Judge, taste: Taste, *, field_of: FieldOf | None = None, kappa: float = 0.0) -> Judge:
    """Return a judge that keeps what ``judge`` keeps, and rewards what is kept by tier and appeal.

    Args:
        judge: decides what is kept.
        taste: tells what experts would like; before it is fitted all appeal alike.
        field_of: the field of each hypothesis; none is known without it.
        kappa: optimism, as in ``appeal``.
    """

    def judged(
        hypotheses: Sequence[Hypothesis], groundings: Sequence[Grounding], outcomes: Sequence[Outcome]
    ) -> list[Verdict]:
        verdicts = judge(hypotheses, groundings, outcomes)
        fields = [None if field_of is None else field_of(said) for said in hypotheses]
        worth = np.zeros((2, len(hypotheses)))
        for field in dict.fromkeys(fields):
            rows = [number for number, other in enumerate(fields) if other == field]
            worth[:, rows] = taste.predict([hypotheses[row].text for row in rows], field)
        earned = rewards(groundings, outcomes, worth[0], worth[1], kappa=kappa)
        return [
            verdict.model_copy(update={"reward": float(reward) if verdict.keep else 0.0})
            for verdict, reward in zip(verdicts, earned, strict=True)
        ]

    return judged
