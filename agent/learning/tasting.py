"""Reinforcement by taste: after each session the generator learns from what the experts would make of all it said.

Experts rank twenty of several hundred; a reward model that is fitted on all their rankings so far
(``hunch.agent.learning.taste``) values the others too, and any rule of this folder takes it from there. Its reward is
never appeal alone: a verdict of the world or of the store outranks it (``hunch.agent.learning.appeal``).

Appeal is the probability that an answer is better than an average card, ``Phi(mean / sd)``, not that an expert would
say so: noisy experts hardly prefer anything. It grows with what is known, so that little is learned from few rankings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import logit, ndtr

from hunch.agent.learning.appeal import rewards
from hunch.agent.learning.taste import Taste
from hunch.agent.protocols import Learner
from hunch.memory.links import Floats
from hunch.memory.rankings import Rankings
from hunch.memory.records import Experience, Hypothesis, Turn, Verdict


class Opinions:
    """What is known of the experts' taste before each round: fitted when it is asked for, on all earlier rankings.

    Args:
        rankings: what experts have ranked.
        taste: the model.
        bonus: standard deviations that what is uncertain promises more, when there is a choice of what to show.
    """

    def __init__(self, rankings: Rankings, taste: Taste, *, bonus: float = 1.0) -> None:
        self._rankings = rankings
        self._taste = taste
        self._bonus = bonus
        self._at = (-1, -1)

    def before(self, round: int) -> Taste:
        """Return the taste as the rankings of the rounds before ``round`` show it."""
        if self._at != (at := (round, self._rankings.last)):
            self._taste.fit(self._rankings.sheets(), self._rankings.all(before_round=round))
            self._at = at
        return self._taste

    def promise(self, round: int, field: str, hypotheses: Sequence[Hypothesis]) -> Floats | None:
        """Return the upper confidence bound of what hypotheses are worth, (N,); None while nothing was ranked."""
        taste = self.before(round)
        if not taste.fitted:
            return None
        mean, sd = taste.predict([said.text for said in hypotheses], field)
        return np.asarray(mean + self._bonus * sd)


class TasteLearner:
    """Lets another learner learn from rewards by taste, for everything that a round said.

    Args:
        inner: the rule.
        opinions: what is known of the experts' taste.
    """

    def __init__(self, inner: Learner, opinions: Opinions) -> None:
        self._inner = inner
        self._opinions = opinions

    def learn(
        self, turn: Turn, kept: Sequence[Experience], archive: Sequence[Experience], rng: np.random.Generator
    ) -> dict[str, float]:
        """Fit the taste on all rankings, this round's included, and reinforce by it; nothing before any ranking."""
        if not turn.sheets:
            return {}
        taste = self._opinions.before(turn.sheets[0].round + 1)
        if not taste.fitted:
            return {}
        told = [experience for experience in self._valued(turn, taste) if experience.verdict.reward > 0]
        figures = self._inner.learn(turn, told, archive, rng)
        return {**figures, "appeal": sum(one.verdict.reward for one in told) / max(len(told), 1)}

    def _valued(self, turn: Turn, taste: Taste) -> list[Experience]:
        """Return each distinct hypothesis as if it had been kept, with its reward by taste."""
        worth = np.empty(len(turn.hypotheses))
        width = len(turn.hypotheses) // len(turn.sparks)
        for number, spark in enumerate(turn.sparks):
            part = slice(number * width, (number + 1) * width)
            mean, sd = taste.predict([said.text for said in turn.hypotheses[part]], spark.field)
            worth[part] = logit(ndtr(np.clip(mean / sd, -6, 6)))
        reward = rewards(turn.groundings, turn.outcomes, worth, np.zeros_like(worth))
        first = {said.key: slot for slot, said in reversed(list(enumerate(turn.hypotheses)))}
        return [
            Experience(
                round=turn.sheets[0].round,
                slot=slot,
                hypothesis=turn.hypotheses[slot],
                grounding=turn.groundings[slot],
                outcome=turn.outcomes[slot],
                verdict=Verdict(keep=True, reason="by taste", reward=float(reward[slot])),
            )
            for slot in sorted(first.values())
        ]

    def save(self, folder: Path) -> None:
        """Write what the rule needs; the taste is fitted anew from the ledger's rankings."""
        self._inner.save(folder)

    def load(self, folder: Path) -> None:
        """Continue from what ``save`` wrote."""
        self._inner.load(folder)
