"""When a run stops, and how much one round draws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hunch.memory.errors import InputError

if TYPE_CHECKING:
    from hunch.graphs.mind import State


@dataclass(frozen=True)
class Budget:
    """When a run stops, and how much one round draws.

    Raises:
        InputError: if a round would draw nothing, so that the run would never end.
    """

    samples: int = 10_000
    """Stop after this many hypotheses; the last round asks fewer questions where fewer are left."""
    sparks: int = 50
    """Open questions in a round."""
    width: int = 4
    """Hypotheses per question."""
    rounds: int | None = None
    """Stop after this many rounds."""
    seconds: float | None = None
    """Stop after the round in which this much time was spent, over all sessions of the run."""
    least_yield: float = 0.0
    """Stop when fewer were kept per sample over the last ``patience`` rounds."""
    patience: int = 10

    def __post_init__(self) -> None:
        """Refuse a budget that is never spent."""
        for name in ("sparks", "width", "patience"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}, but a round needs at least 1; raise `{name}`.")

    def questions(self, state: State) -> int:
        """Return how many open questions the next round asks."""
        left = -(-(self.samples - state["samples"]) // self.width)
        return max(1, min(self.sparks, left))

    def spent(self, state: State) -> str | None:
        """Return why the run is over; None while it is not."""
        if state["samples"] >= self.samples:
            return f"{state['samples']} samples drawn"
        if self.rounds is not None and state["round"] >= self.rounds:
            return f"{state['round']} rounds done"
        if self.seconds is not None and state["seconds"] >= self.seconds:
            return f"{state['seconds']:.0f} seconds spent"
        recent = state["recent_yield"]
        if len(recent) >= self.patience and sum(recent) / len(recent) < self.least_yield:
            return f"yield below {self.least_yield:g} over {self.patience} rounds"
        return None
