"""Experience: what was kept, why, and every sample that it took to get there.

Keyed by content: one claim is kept once, whichever round finds it again. Writing twice changes nothing, so a step of
the loop that runs again after an interruption leaves the archive as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hunch.memory.ledger import Ledger
from hunch.memory.records import Draw, Experience


class DiscoveryCurve(NamedTuple):
    """How many distinct hypotheses were kept by the time that so many samples were drawn."""

    samples: NDArray[np.int64]
    """1, 2, 3, ...: one entry per sample, in drawing order."""
    distinct_kept: NDArray[np.int64]
    """Distinct content ids kept so far; never falls."""


class Archive:
    """The experience in a ledger."""

    def __init__(self, ledger: Ledger) -> None:
        """Read and write the experience of ``ledger``."""
        self._ledger = ledger

    def keep(self, experiences: Sequence[Experience]) -> int:
        """Keep experiences and return how many are new."""
        return self._ledger.add_experiences(experiences)

    def log(self, draws: Sequence[Draw]) -> int:
        """Log samples, kept or not, and return how many are new."""
        return self._ledger.add_draws(draws)

    def commit(self, experiences: Sequence[Experience], draws: Sequence[Draw]) -> int:
        """Keep experiences and log samples in one transaction; return how many experiences are new."""
        with self._ledger.transaction():
            self.log(draws)
            return self.keep(experiences)

    def all(self) -> list[Experience]:
        """Return all experience by (round, slot)."""
        return self._ledger.experiences()

    def before(self, round: int) -> list[Experience]:
        """Return the experience of the rounds before ``round``, by (round, slot)."""
        return self._ledger.experiences(before_round=round)

    def draws(self) -> list[Draw]:
        """Return all samples by (round, slot)."""
        return self._ledger.draws()

    def ranked(self) -> list[Experience]:
        """Return what was kept, the most significant first; of equal p-values the strongest."""
        return sorted(self.all(), key=lambda kept: (kept.grounding.p_value, -kept.grounding.strength))

    def rounds(self) -> int:
        """Return the number of rounds that have drawn anything: one more than the last round's number."""
        return max((draw.round for draw in self.draws()), default=-1) + 1

    def count(self) -> int:
        """Return how many experiences were kept."""
        return self._ledger.experience_count()

    def why(self, id: str) -> Experience:
        """Return an experience by its id, with its grounding, outcome, verdict and justifications.

        Raises:
            KeyError: if nothing was kept under this id.
        """
        found = self._ledger.experiences(id=id)
        if not found:
            raise KeyError(f"{id!r} is no kept experience; ids come from `Experience.id`, see `Archive.all()`.")
        return found[0]

    def discovery_curve(self) -> DiscoveryCurve:
        """Return the discovery curve over all samples; a claim kept twice counts once."""
        found: set[str] = set()
        counts = []
        for key, kept in self._ledger.draw_keys():
            if kept:
                found.add(key)
            counts.append(len(found))
        return DiscoveryCurve(np.arange(1, len(counts) + 1), np.array(counts, np.int64))
