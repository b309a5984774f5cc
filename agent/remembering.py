"""A grounder that only remembers: for worlds that answer by themselves, where nothing need fire."""

from __future__ import annotations

from collections.abc import Sequence

from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Experience, Firing, Grounding, Hypothesis, Standing


class RememberingGrounder:
    """Tells what is known or was kept before; all else is left to the environment.

    Args:
        knowledge: what is known; compared by content id, so triples and texts alike.
    """

    def __init__(self, knowledge: Knowledge) -> None:
        self._given = {fact.id: "already known" for fact in knowledge.observed()}
        self._known = dict(self._given)

    def ground(self, hypotheses: Sequence[Hypothesis]) -> list[Grounding]:
        """Return ``recall`` for what is known, ``hallucination`` for the rest."""
        return [self._ground(hypothesis) for hypothesis in hypotheses]

    def _ground(self, hypothesis: Hypothesis) -> Grounding:
        how = self._known.get(hypothesis.key)
        return Grounding(
            key=hypothesis.key,
            standing=Standing.RECALL if how else Standing.HALLUCINATION,
            strength=0.0,
            p_value=1.0,
            novelty=0.0 if how else 1.0,
            reason=how or "new; nothing was fired",
        )

    def explain(self, hypotheses: Sequence[Hypothesis]) -> list[tuple[Firing, ...]]:
        """Return that nothing fired."""
        return [()] * len(hypotheses)

    def forget(self) -> None:
        """Remember only what is known."""
        self._known = dict(self._given)

    def absorb(self, experiences: Sequence[Experience]) -> None:
        """Remember what was kept."""
        self._known |= {experience.id: f"kept in round {experience.round}" for experience in experiences}
