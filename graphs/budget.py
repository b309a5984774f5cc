"""When a run stops, and how much one round draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hunch.memory.errors import InputError
from hunch.memory.records import Draw, Standing, Turn

if TYPE_CHECKING:
    from hunch.graphs.mind import State

COLLAPSE = 0.1
"""Change in a share of the samples, between two windows, that counts as a trend."""


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
    """Rounds that a trend is read from."""
    stop_on_collapse: bool = False
    """Stop when the generator repeats itself more and more (``collapsing``); otherwise the run only says so."""

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
        if self.stop_on_collapse and self.collapsing(state):
            return f"the generator repeats itself more and more, over {2 * self.patience} rounds"
        return None

    def recent(self, state: State, turn: Turn, kept: int) -> dict[str, list[float]]:
        """Return what the state remembers of the last rounds, the one that ends included."""
        known = [grounding.standing is Standing.RECALL for grounding in turn.groundings]
        return self._recent(state, [grounding.key for grounding in turn.groundings], known, kept)

    def recent_of(self, state: State, draws: Sequence[Draw]) -> dict[str, list[float]]:
        """Return the same, read from the samples of a round that ended."""
        known = [draw.standing is Standing.RECALL for draw in draws]
        return self._recent(state, [draw.key for draw in draws], known, sum(draw.kept for draw in draws))

    def _recent(self, state: State, keys: list[str], known: list[bool], kept: int) -> dict[str, list[float]]:
        count, new = max(len(keys), 1), {key for key, recalled in zip(keys, known, strict=True) if not recalled}
        return {
            "recent_yield": [*state["recent_yield"], kept / count][-self.patience :],
            "recent_memorised": [*state["recent_memorised"], sum(known) / count][-2 * self.patience :],
            "recent_new": [*state["recent_new"], len(new) / count][-2 * self.patience :],
        }

    def collapsing(self, state: State) -> bool:
        """Return whether memory grows while new things get fewer: each by a tenth of the samples.

        The later half of the last ``2 * patience`` rounds is compared with the earlier half.
        """
        if len(state["recent_new"]) < 2 * self.patience:
            return False
        growth = [
            (sum(recent[self.patience :]) - sum(recent[: self.patience])) / self.patience
            for recent in (state["recent_memorised"], state["recent_new"])
        ]
        return growth[0] >= COLLAPSE and growth[1] <= -COLLAPSE
