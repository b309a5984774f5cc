"""How much can still be mined? The mining curve, and an estimate of how many insights were not met yet.

What an expert accepts is counted by meaning class: an idea that comes up again, in other words or the same, counts as
its class seen again. How many classes were seen once (f1) and twice (f2) tells how many were never seen:

* at least f0 = f1 (f1 - 1) / (2 (f2 + 1)), Chao1 in its bias-corrected form (Chao 1984, 2005), with the log-normal
  interval of Chao (1987), which cannot fall below what was seen; its variance as in the manual of EstimateS (Colwell
  2013, eqs. 6 to 8 and 14). It is a lower bound: classes that are rarer still than those met once leave no trace.
* the chance that the next one is of a class that was seen, the coverage, is 1 - f1 / n (Good 1953), improved by f2
  (Chao & Jost 2012).
* the next m hold f0 (1 - (1 - f1 / (n f0 + f1))^m) new classes (Shen, Chao & Lin 2003): to be believed up to m = n.

All of it assumes that draws are as they were: the same question, generator and expert. A generator that refrains from
what it said before meets fewer classes twice, so that the estimate is too high; one that learned makes it moot. Cards
that are shown again on purpose are no draws and are left out (``sessions``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import FiniteFloat

from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.reliability import Estimate
from hunch.memory.values import Count, Record, Unit

Classes = Callable[[Sequence[str]], NDArray[np.int64]]
"""Numbers the meaning class of each of some texts."""
Z = 1.959964
"""Quantile of the normal distribution that a 95 % interval ends at."""


class Session(Record):
    """What one session brought."""

    accepted: Count
    """Ideas that were accepted."""
    new: Count
    """Classes among them that no earlier session had."""
    total: Count
    """Classes up to here."""


class MiningCurve(Record):
    """What each session brought, and what remains."""

    sessions: tuple[Session, ...]
    seen: Count
    """Classes that were met."""
    once: Count
    """Classes met once only."""
    twice: Count
    """Classes met exactly twice."""
    coverage: Unit
    """The chance that the next accepted idea is of a class that was met."""
    remaining: Estimate
    """Classes that were not met; a lower bound, with its interval."""
    next_new: FiniteFloat
    """New classes to expect of the next session, if it has as many accepted ideas as the mean one had."""
    trusted: bool
    """Whether there is anything to estimate from: a class was met again, and the next session is no longer than all
    sessions so far."""


def chao1(abundances: Sequence[int]) -> Estimate:
    """Return how many classes there are, seen and unseen, from how often each that was seen was met."""
    n, once, twice = _counts(abundances)
    seen = len(abundances)
    if once == 0:
        return _all_seen(seen, n)
    unseen = once * (once - 1) / (2 * (twice + 1))
    if twice:
        variance = (
            unseen
            + once * (2 * once - 1) ** 2 / (4 * (twice + 1) ** 2)
            + once**2 * twice * (once - 1) ** 2 / (4 * (twice + 1) ** 4)
        )
    else:
        variance = unseen + once * (2 * once - 1) ** 2 / 4 - once**4 / (4 * (seen + unseen))
    return lognormal(seen, unseen, variance)


def lognormal(seen: int, unseen: float, variance: float) -> Estimate:
    """Return ``seen + unseen`` with the interval of Chao (1987): the unseen ones are taken to be log-normal."""
    if unseen <= 0:
        return Estimate(value=seen, low=seen, high=seen)
    factor = math.exp(Z * math.sqrt(math.log(1 + max(0.0, variance) / unseen**2)))
    return Estimate(value=seen + unseen, low=seen + unseen / factor, high=seen + unseen * factor)


def coverage(abundances: Sequence[int], *, improved: bool = True) -> float:
    """Return the chance that the next one met is of a class that was met; 0 of none."""
    n, once, twice = _counts(abundances)
    if n == 0:
        return 0.0
    missing = once / n
    if improved and twice:
        missing *= (n - 1) * once / ((n - 1) * once + 2 * twice)
    elif improved and once:
        missing *= (n - 1) * (once - 1) / ((n - 1) * (once - 1) + 2)
    return 1 - missing


def expected_new(abundances: Sequence[int], more: int) -> float:
    """Return how many new classes to expect among ``more`` further ones; doubtful where those are more than so far."""
    n, once, twice = _counts(abundances)
    unseen = once * (once - 1) / (2 * (twice + 1))
    if unseen == 0:
        return 0.0
    return unseen * (1 - (1 - once / (n * unseen + once)) ** more)


def mining_curve(sessions: Sequence[Sequence[Hashable]]) -> MiningCurve:
    """Return what each session brought and what remains; a session is the classes of what was accepted in it."""
    met: Counter[Hashable] = Counter()
    told = []
    for session in sessions:
        before = len(met)
        met.update(session)
        told.append(Session(accepted=len(session), new=len(met) - before, total=len(met)))
    abundances = list(met.values())
    n, once, twice = _counts(abundances)
    total, usual = chao1(abundances), round(n / len(sessions)) if sessions else 0
    return MiningCurve(
        sessions=tuple(told),
        seen=len(met),
        once=once,
        twice=twice,
        coverage=coverage(abundances),
        remaining=Estimate(
            value=total.value - len(met), low=max(0.0, total.low - len(met)), high=total.high - len(met)
        ),
        next_new=expected_new(abundances, usual),
        trusted=once < n and usual <= n,
    )


def sessions(
    sheets: Sequence[Sheet],
    rankings: Sequence[Ranking],
    *,
    expert: str | None = None,
    criterion: str | None = None,
    field: str | None = None,
    classes: Classes | None = None,
) -> list[list[Hashable]]:
    """Return the classes of what was accepted of each sheet, by round; sheets that nobody was asked about are left out.

    An idea that two experts accept, or one by two criteria, was met once. A card that is shown again to see whether
    its expert agrees with themselves (``repeat``) is not met again.

    Args:
        sheets: all that were shown.
        rankings: those that count.
        expert: only what they accepted; None for what anyone did.
        criterion: only by this one; None for any.
        field: only of sheets of this one; None for any, though what one field holds says little of another.
        classes: numbers texts by meaning; None for classes of equal content ids.
    """
    asked: dict[str, set[str]] = {}
    for ranking in rankings:
        fits = expert in (None, ranking.expert) and criterion in (None, ranking.criterion)
        if fits and ranking.accepted is not None:
            asked.setdefault(ranking.sheet_id, set()).update(ranking.kept)
    met: list[list[Card]] = [
        [card for card in sheet.cards if card.key in asked[sheet.id] and card.chosen != "repeat"]
        for sheet in sorted(sheets, key=lambda sheet: sheet.round)
        if sheet.id in asked and field in (None, sheet.field)
    ]
    if classes is None:
        return [[card.key for card in cards] for cards in met]
    texts = list(dict.fromkeys(card.text for cards in met for card in cards))
    numbers = dict(zip(texts, classes(texts).tolist(), strict=True)) if texts else {}
    return [[numbers[card.text] for card in cards] for cards in met]


def _all_seen(seen: int, n: int) -> Estimate:
    """Return the estimate where no class was met only once (EstimateS, eq. 14)."""
    if seen == 0:
        return Estimate(value=0.0, low=0.0, high=0.0)
    missed = math.exp(-n / seen)
    middle, away = seen / (1 - missed), Z * math.sqrt(seen * missed) / (1 - missed)
    return Estimate(value=seen, low=max(float(seen), middle - away), high=middle + away)


def _counts(abundances: Sequence[int]) -> tuple[int, int, int]:
    """Return how many were met, and the classes met once and twice."""
    return sum(abundances), sum(number == 1 for number in abundances), sum(number == 2 for number in abundances)
