"""Experience: what was kept, why, and every sample that it took to get there.

Keyed by content: one claim is kept once, whichever round finds it again. Writing twice changes nothing, so a step of
the loop that runs again after an interruption leaves the archive as it was.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hunch.memory.ledger import Ledger
from hunch.memory.records import Draw, Experience, Retraction
from hunch.memory.truth import blast_radius, forget_rounds, rests_on, retract, undo


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

    def all(self, *, retracted: bool = False) -> list[Experience]:
        """Return all experience that holds, by (round, slot); with ``retracted``, also what does not any more."""
        return self._ledger.experiences(retracted=retracted)

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
        return self._ledger.round_count()

    def draw_count(self, first_round: int = 0) -> int:
        """Return how many samples were drawn in ``first_round`` and later."""
        return self._ledger.draw_count(first_round)

    def count(self) -> int:
        """Return how many experiences were kept."""
        return self._ledger.experience_count()

    # Where it came from, and what becomes of it

    def why(self, id: str) -> Experience:
        """Return an experience by its id, with its grounding, outcome, verdict, recipe and what fired for it.

        Raises:
            KeyError: if nothing was kept under this id.
        """
        found = self._those([id])
        if not found:
            raise KeyError(f"{id!r} is no kept experience; ids come from `Experience.id`, see `Archive.all()`.")
        return found[0]

    def lineage(self, id: str) -> list[tuple[int, Experience]]:
        """Return the experiences that one rests on or was built on, nearest first, with the steps that lead there.

        Raises:
            KeyError: if nothing was kept under this id.
        """
        self.why(id)
        steps, level = {id: 0}, {id}
        while level:
            earlier = {parent for parents in rests_on(self._ledger, level).values() for parent in parents}
            level = earlier - steps.keys()
            steps |= dict.fromkeys(sorted(level), max(steps.values()) + 1)
        return [(steps[kept.id], kept) for kept in self._those([one for one, step in steps.items() if step])]

    def as_of(self, round: int) -> list[Experience]:
        """Return the experience that held when ``round`` began, by (round, slot), whatever was retracted since."""
        with self._ledger.copy() as then:
            forget_rounds(then, round)
            return then.experiences()

    def blast_radius(self, id: str) -> list[Experience]:
        """Return the experiences that would fall if a fact or an experience were retracted, itself included."""
        return self._those(blast_radius(self._ledger, [id]))

    def retract(self, ids: Sequence[str], reason: str, *, round: int | None = None) -> list[Experience]:
        """Take back facts or experiences, and all that rests on nothing else; return the experiences that fell.

        Raises:
            InputError: if an id is neither a fact's nor an experience's.
        """
        return self._those(retract(self._ledger, ids, reason, self.rounds() if round is None else round).fell)

    def undo(self, number: int) -> list[Experience]:
        """Undo a retraction and return the experiences that hold again.

        Raises:
            InputError: if there is no such retraction.
        """
        return self._those(undo(self._ledger, number, self.rounds()).rose)

    def _those(self, ids: Sequence[str]) -> list[Experience]:
        """Return the experiences of these ids, in their order, without those that were never kept."""
        rows = self._ledger.rows(
            "SELECT body FROM json_each(?) AS asked JOIN experience ON experience.id = asked.value ORDER BY asked.key",
            (json.dumps(list(ids)),),
        )
        return [Experience.model_validate_json(body) for (body,) in rows]

    def gone(self) -> set[str]:
        """Return the ids of the experiences that do not hold any more."""
        return {id for (id,) in self._ledger.rows("SELECT id FROM experience WHERE retracted")}

    def retractions(self) -> list[Retraction]:
        """Return what was taken back by itself, in order, undone or not."""
        rows = self._ledger.rows("SELECT * FROM retractions ORDER BY number")
        return [Retraction(number=n, target=t, reason=r, round=at, undone=u) for n, t, r, at, u in rows]

    def discovery_curve(self) -> DiscoveryCurve:
        """Return the discovery curve over all samples; a claim kept twice counts once."""
        found: set[str] = set()
        counts = []
        for key, kept in self._ledger.draw_keys():
            if kept:
                found.add(key)
            counts.append(len(found))
        return DiscoveryCurve(np.arange(1, len(counts) + 1), np.array(counts, np.int64))
