"""A small world in which similar things do similar things, and records made short."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Experience, Grounding, Hypothesis, Outcome, Standing, Triple, Verdict

GROUPS, EACH = 4, 8


@dataclass(frozen=True)
class World:
    """Substances lower measures, measures are raised in conditions, substances treat conditions: within groups only."""

    facts: tuple[tuple[str, str, str], ...]
    hidden: tuple[tuple[str, str, str], ...]
    """True and not stated."""

    @property
    def knowledge(self) -> Knowledge:
        return Knowledge.in_memory(self.facts)


def planted() -> World:
    """Return the world; always the same."""
    rng = np.random.default_rng(0)
    facts: list[tuple[str, str, str]] = []
    hidden: list[tuple[str, str, str]] = []
    for group in range(GROUPS):
        a, b, c = (
            [f"{kind} {group * EACH + i}" for i in range(EACH)] for kind in ("substance", "measure", "condition")
        )
        facts += [(s, "lowers", o) for s in a for o in b if rng.random() < 0.6]
        facts += [(s, "is_raised_in", o) for s in b for o in c if rng.random() < 0.6]
        for s in a:
            for o in c:
                if (draw := rng.random()) < 0.7:
                    (hidden if draw < 0.25 else facts).append((s, "treats", o))
    return World(tuple(facts), tuple(hidden))


def claim(subject: str, relation: str, object: str) -> Hypothesis:
    """Return a hypothesis that states a triple."""
    triple = Triple(subject=subject, relation=relation, object=object)
    return Hypothesis(spark_id="s", text=f"{subject} {relation} {object}", triple=triple)


def experience(hypothesis: Hypothesis, *, slot: int = 0, round: int = 0, reward: float = 1.0) -> Experience:
    """Return a hypothesis as it is kept."""
    grounding = Grounding(key=hypothesis.key, standing=Standing.INSIGHT, strength=1.0, p_value=1 - reward, novelty=0.5)
    verdict = Verdict(keep=True, reason="it fires", reward=reward)
    return Experience(
        round=round, slot=slot, hypothesis=hypothesis, grounding=grounding, outcome=Outcome(), verdict=verdict
    )
