"""Which of many hypotheses an expert is asked to rank: a few that promise much, a few by lot, the rest spread out.

Ranking is dear, so what is shown is chosen. Of each meaning one is shown. Some are *best* by what is known of the
experts' taste, with a bonus for what is uncertain (an upper confidence bound: Auer et al. 2002); some are drawn by
*lot*, with their probability written down, for estimates that the choice has not bent; the others are *spread* over how
strongly they fire and how novel they are, each the farthest from those before it (Gonzalez 1985). Some of what was
ranked before comes *again*: how an expert agrees with himself bounds what any model can learn from him.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.stats import rankdata

from hunch.memory.errors import InputError
from hunch.memory.links import Floats, Ints
from hunch.memory.records import Grounding, Hypothesis, Outcome, Standing, Status


class Choice(NamedTuple):
    """One hypothesis that is shown."""

    slot: int
    """Among those that were handed in."""
    why: Literal["best", "random", "spread"]
    propensity: float
    """The probability with which it was drawn; 1 for what was not drawn by lot."""


@dataclass(frozen=True)
class Shortlist:
    """Chooses what is shown.

    Args:
        k: cards on a sheet.
        repeats: how many of them were ranked before.
        lot: how many are drawn by lot.
        best: how many are the most promising, once there is something to tell that by.
        classes: numbers the meanings of texts, e.g. ``shaping.by_meaning``; equal claims count as one without it.
    """

    k: int = 20
    repeats: int = 2
    lot: int = 4
    best: int = 10
    classes: Callable[[Sequence[str]], Ints] | None = None

    def __post_init__(self) -> None:
        """Refuse a sheet that nothing can be ranked on."""
        if min(self.repeats, self.lot, self.best) < 0 or self.k - self.repeats < 2:
            raise InputError(
                f"k is {self.k} with {self.repeats} repeats, but at least 2 new cards are needed to rank; raise `k`."
            )

    def choose(
        self,
        hypotheses: Sequence[Hypothesis],
        groundings: Sequence[Grounding],
        outcomes: Sequence[Outcome],
        n: int,
        rng: np.random.Generator,
        worth: Floats | None = None,
        *,
        but: Collection[str] = (),
    ) -> list[Choice]:
        """Choose ``n`` of the hypotheses, or as many as are new, not refuted and distinct, in random order.

        Args:
            hypotheses: what there is to choose from.
            groundings: how each stands to what is known.
            outcomes: what an environment said of each.
            n: how many to choose.
            rng: the only source of randomness.
            worth: how much each promises, (N,); nothing is chosen as best without it.
            but: content ids that are not chosen.
        """
        open_ = [i for i in self._distinct(hypotheses, groundings, outcomes) if hypotheses[i].key not in but]
        n = min(n, len(open_))
        chosen: list[Choice] = []
        if worth is not None:
            first = sorted(open_, key=lambda i: -worth[i])[: min(self.best, n)]
            chosen += [Choice(i, "best", 1.0) for i in first]
            open_ = [i for i in open_ if i not in set(first)]
        by_lot = min(self.lot, n - len(chosen))
        drawn = rng.permutation(len(open_))[:by_lot].tolist()
        chosen += [Choice(open_[i], "random", by_lot / len(open_)) for i in drawn]
        open_ = [i for place, i in enumerate(open_) if place not in set(drawn)]
        where = _plane([groundings[i] for i in (*(c.slot for c in chosen), *open_)])
        spread = _farthest(where, len(chosen), n - len(chosen), rng)
        chosen += [Choice(open_[place], "spread", 1.0) for place in spread]
        return [chosen[i] for i in rng.permutation(len(chosen))]

    def _distinct(
        self, hypotheses: Sequence[Hypothesis], groundings: Sequence[Grounding], outcomes: Sequence[Outcome]
    ) -> list[int]:
        """Return which are new, not refuted, and the first of their meaning."""
        first: dict[str, int] = {}
        for i, (said, grounding, outcome) in enumerate(zip(hypotheses, groundings, outcomes, strict=True)):
            if grounding.standing is not Standing.RECALL and outcome.status not in (Status.REFUTED, Status.ERROR):
                first.setdefault(said.key, i)
        found = list(first.values())
        if self.classes is None or not found:
            return found
        _, one_each = np.unique(self.classes([hypotheses[i].text for i in found]), return_index=True)
        return [found[i] for i in sorted(one_each.tolist())]


def _plane(groundings: Sequence[Grounding]) -> Floats:
    """Return each hypothesis's place in strength and novelty, (N, 2), by rank from 0 to 1."""
    both = np.array([(grounding.strength, grounding.novelty) for grounding in groundings]).reshape(-1, 2)
    return np.asarray((rankdata(both, axis=0) - 0.5) / max(len(both), 1))


def _farthest(where: Floats, given: int, n: int, rng: np.random.Generator) -> list[int]:
    """Return ``n`` of the points after the ``given`` first, one by one the farthest from all before; ties by lot."""
    distance = np.full(len(where) - given, np.inf)
    jitter, found = rng.random(len(distance)) * 1e-9, list[int]()
    for point in where[:given]:
        distance = np.minimum(distance, np.linalg.norm(where[given:] - point, axis=1))
    for _ in range(n):
        nearest = np.minimum(distance, 9.0) + jitter
        nearest[found] = -1.0
        found.append(int(nearest.argmax()))
        distance = np.minimum(distance, np.linalg.norm(where[given:] - where[given + found[-1]], axis=1))
    return found
