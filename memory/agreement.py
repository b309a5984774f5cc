"""Do experts agree, with each other and with themselves, and what does that leave for a model to reach?

Orders are compared by Kendall's tau-b (Kendall 1945), which forgives ties, and by the plainest figure there is: the
share of pairs of cards that two experts order the same way, a tie of either counting half. A tau between two experts
who saw one sheet counts once, whatever the sheet's size; shares count by pairs. Intervals are percentile bootstraps
over sheets, the unit that was drawn; over items where there are scores and no sheets.

An expert's agreement with themselves comes from cards that they were shown again: places are compared as shares of
their sheets, for the two sheets differ in all other cards. It comes from sheets that they ranked twice too, though
there the second ranking may be a correction of the first rather than a second opinion.

Where scores do not say who gave them, any two reviews of one item and any two of another are two experts: the mean
over all such choices, not over one arbitrary naming. A mild reviewer of the one and a strict one of the other are noise
then.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
from pydantic import FiniteFloat

from hunch.memory.expertise import Ranking
from hunch.memory.reliability import (
    Estimate,
    Matrix,
    RaterModel,
    ceiling,
    correlation,
    interval,
    one_way_icc,
    rater_noise,
)
from hunch.memory.values import Count, Record, Unit

RESAMPLES = 1000
"""Of a bootstrap; the ends of a 95 % interval then lie among 25 values each."""


class Compared(NamedTuple):
    """Two orders of the same cards: how many of all pairs each orders, and how many both order alike or oppositely."""

    pairs: float
    first: float
    second: float
    same: float
    opposite: float

    @property
    def tau(self) -> float | None:
        """Kendall's tau-b; None where one of the two orders nothing."""
        below = math.sqrt(self.first * self.second)
        return (self.same - self.opposite) / below if below else None

    @property
    def alike(self) -> float | None:
        """The share of pairs ordered the same way, a tie of either counting half; None without pairs."""
        return 0.5 + (self.same - self.opposite) / (2 * self.pairs) if self.pairs else None


class Agreement(Record):
    """How far experts agree by one criterion."""

    criterion: str
    experts: Count
    """How many there are; where scores do not say who gave them, the most that one item has."""
    sheets: Count
    """Sheets that at least two of them ranked; fields, where there are scores."""
    pairs: Count
    """Pairs of cards that two of them judged, counted for each two experts; pairs of items, where there are scores."""
    alike: Estimate | None
    """The share of pairs that two experts order the same way, ties counting half."""
    alike_untied: FiniteFloat | None
    """The same among the pairs that both order."""
    ties: Unit
    """The share of pairs that one of these experts holds to be equal."""
    tau: Estimate | None
    """Mean Kendall's tau-b between two experts."""
    within: Estimate | None
    """Mean Kendall's tau-b of an expert with themselves; None when nothing was judged twice."""
    within_pairs: Count
    """Pairs of cards that it rests on."""
    icc: FiniteFloat | None
    """ICC(1,1) of scores, or of places as shares of their sheets."""

    @property
    def rho(self) -> Estimate | None:
        """The correlation of two experts that ``tau`` implies (Greiner's relation)."""
        return self._through(correlation)

    @property
    def ceiling(self) -> Estimate | None:
        """The greatest tau against one expert that a perfect model can expect; 0 where they do not agree."""
        return self._through(ceiling)

    @property
    def rater(self) -> RaterModel:
        """The rater whose like agree so.

        Raises:
            InputError: if they agree no better than chance.
        """
        return rater_noise(self.tau.value if self.tau else 0.0, self.ties)

    def _through(self, rising: Callable[[float], float]) -> Estimate | None:
        if self.tau is None:
            return None
        low, value, high = (rising(max(-1.0, min(1.0, tau))) for tau in (self.tau.low, self.tau.value, self.tau.high))
        return Estimate(value=value, low=low, high=high)


def compare(first: Mapping[str, float], second: Mapping[str, float]) -> Compared:
    """Compare two experts' places (the least is the best) on the cards that both judged."""
    shared = [card for card in first if card in second]
    upper = np.triu_indices(len(shared), 1)

    def signs(places: Mapping[str, float]) -> Matrix:
        at = np.array([places[card] for card in shared], dtype=np.float64)
        return np.sign(at[:, None] - at)[upper]

    one, other = signs(first), signs(second)
    both, cross = float(np.abs(one * other).sum()), float((one * other).sum())
    return Compared(
        len(one), float(np.abs(one).sum()), float(np.abs(other).sum()), (both + cross) / 2, (both - cross) / 2
    )


def kendall_tau(first: Mapping[str, float], second: Mapping[str, float]) -> float | None:
    """Return tau-b over the cards that both judged; None if there are fewer than two, or one has them all tied."""
    return compare(first, second).tau


def shares(ranking: Ranking) -> dict[str, float]:
    """Return each judged card's place as a share of its sheet: between 0, the best, and 1; ties have their middle."""
    total, before, found = len(ranking.places), 0, {}
    for place in ranking.order:
        found.update(dict.fromkeys(place, (before + len(place) / 2) / total))
        before += len(place)
    return found


def agreements(rankings: Sequence[Ranking], rng: np.random.Generator) -> list[Agreement]:
    """Return the agreement by each criterion, in the order in which they first come.

    Args:
        rankings: in the order in which they came, those included in whose place a later one came
            (``Rankings.all(replaced=True)``); between experts the last of each counts.
        rng: for the intervals.
    """
    by_criterion: dict[str, list[Ranking]] = {}
    for ranking in rankings:
        by_criterion.setdefault(ranking.criterion, []).append(ranking)
    return [_agreement(criterion, chosen, rng) for criterion, chosen in by_criterion.items()]


def _agreement(criterion: str, rankings: Sequence[Ranking], rng: np.random.Generator) -> Agreement:
    last = list({(one.sheet_id, one.expert): one for one in rankings}.values())
    sheets: dict[str, list[Ranking]] = {}
    for ranking in last:
        sheets.setdefault(ranking.sheet_id, []).append(ranking)
    units = [
        [compare(one.places, other.places) for one, other in combinations(experts, 2)]
        for experts in sheets.values()
        if len(experts) > 1
    ]
    units = [kept for unit in units if (kept := [compared for compared in unit if compared.pairs])]
    flat = [compared for unit in units for compared in unit]
    own = list(_within(rankings, last))
    places: dict[tuple[str, str], list[float]] = {}
    for ranking in last:
        for card, share in shares(ranking).items():
            places.setdefault((ranking.sheet_id, card), []).append(share)
    alone = [compare(ranking.places, ranking.places) for ranking in last]
    judged = sum(one.pairs for one in alone)
    both = sum(one.same + one.opposite for one in flat)
    return Agreement(
        criterion=criterion,
        experts=len({ranking.expert for ranking in rankings}),
        sheets=len(units),
        pairs=int(sum(one.pairs for one in flat)),
        alike=_ratio(
            [(sum(0.5 * (c.pairs + c.same - c.opposite) for c in u), sum(c.pairs for c in u)) for u in units], rng
        ),
        alike_untied=sum(one.same for one in flat) / both if both else None,
        ties=1 - sum(one.first for one in alone) / judged if judged else 0.0,
        tau=_mean_tau(units, rng),
        within=_mean_tau([[compared] for compared in own], rng),
        within_pairs=int(sum(one.pairs for one in own)),
        icc=one_way_icc([list(places.values())]),
    )


def _within(rankings: Sequence[Ranking], last: Sequence[Ranking]) -> Iterable[Compared]:
    """Compare each expert with themselves: sheets that they ranked again, then cards that they saw on two sheets."""
    again: dict[tuple[str, str], list[Ranking]] = {}
    for ranking in rankings:
        again.setdefault((ranking.expert, ranking.sheet_id), []).append(ranking)
    for versions in again.values():
        for before, after in pairwise(versions):
            yield compare(before.places, after.places)
    seen: dict[str, dict[str, list[float]]] = {}
    for ranking in last:
        for card, share in shares(ranking).items():
            seen.setdefault(ranking.expert, {}).setdefault(card, []).append(share)
    for cards in seen.values():
        twice = {card: places for card, places in cards.items() if len(places) > 1}
        if len(twice) > 1:
            yield compare(
                {card: places[0] for card, places in twice.items()},
                {card: places[1] for card, places in twice.items()},
            )


def score_agreement(
    criterion: str, fields: Mapping[str, Mapping[str, Sequence[float]]], rng: np.random.Generator
) -> Agreement:
    """Return the agreement of reviewers who are not known by name.

    Args:
        criterion: what the scores are of; a higher one is better.
        fields: the scores of each item of each field. Only items of one field are compared; those with one score drop.
        rng: for the intervals.
    """
    tables = []
    for items in fields.values():
        scores = [np.asarray(values, dtype=np.float64) for values in items.values() if len(values) > 1]
        if len(scores) > 1:
            tables.append(_pair_tables(scores))
    sums = np.array([[table.sum() for table in tables_of] for tables_of in tables]).reshape(-1, 4).sum(axis=0)
    pairs, cross, ordered, both = (float(total) / 2 for total in sums)
    drawn = []
    for _ in range(RESAMPLES if pairs else 0):
        total = np.zeros(4)
        for tables_of in tables:
            size = len(tables_of[0])
            weights = rng.multinomial(size, np.full(size, 1 / size)).astype(np.float64)
            total += [weights @ table @ weights for table in tables_of]
        drawn.append(total)
    some = np.array(drawn).reshape(-1, 4)
    some = some[some[:, 2] > 0]
    return Agreement(
        criterion=criterion,
        experts=max((len(values) for items in fields.values() for values in items.values()), default=0),
        sheets=len(tables),
        pairs=int(pairs),
        alike=interval(0.5 + cross / (2 * pairs), 0.5 + some[:, 1] / (2 * some[:, 0])) if pairs else None,
        alike_untied=0.5 + cross / (2 * both) if both else None,
        ties=1 - ordered / pairs if pairs else 0.0,
        tau=interval(cross / ordered, some[:, 1] / some[:, 2]) if ordered else None,
        within=None,
        within_pairs=0,
        icc=one_way_icc([list(items.values()) for items in fields.values()]),
    )


def _pair_tables(scores: Sequence[Matrix]) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Return, for each two items: 1; the mean product of two experts' signs; the share ordered by one; by both.

    Two experts are two different reviews of the one item and two of the other. The mean over all choices needs no loop:
    the sum over i != k and j != l of S[i,j] S[k,l] is (sum S)^2 - sum of squared row sums - those of columns + sum S^2.
    """
    size = len(scores)
    one, cross, ordered, both = (np.zeros((size, size)) for _ in range(4))
    for i, j in combinations(range(size), 2):
        signs = np.sign(scores[i][:, None] - scores[j])
        m, p = signs.shape
        one[i, j] = 1.0
        ordered[i, j] = np.abs(signs).mean()
        for table, S in ((cross, signs), (both, np.abs(signs))):
            total = S.sum() ** 2 - (S.sum(axis=1) ** 2).sum() - (S.sum(axis=0) ** 2).sum() + (S**2).sum()
            table[i, j] = total / (m * (m - 1) * p * (p - 1))
    return one + one.T, cross + cross.T, ordered + ordered.T, both + both.T


def told(agreement: Agreement) -> str:
    """Return what is to stand beside a model's figures."""
    if agreement.tau is None or agreement.ceiling is None or agreement.alike is None:
        return (
            f"{agreement.criterion}: no two experts have ranked the same cards, so nothing is known of their agreement"
        )
    tau, alike, top = agreement.tau, agreement.alike, agreement.ceiling
    own = "" if agreement.within is None else f", with themselves {agreement.within.value:.2f}"
    said = (
        f"{agreement.criterion}: two experts order {100 * alike.value:.0f} % [{100 * alike.low:.0f}, "
        f"{100 * alike.high:.0f}] of pairs the same way, tau {tau.value:.2f} [{tau.low:.2f}, {tau.high:.2f}]{own}; "
    )
    if top.value == 0:
        return said + "that is no better than chance, so no model can be measured against them"
    return said + f"a perfect model would reach tau {top.value:.2f} [{top.low:.2f}, {top.high:.2f}] against one of them"


def _mean_tau(units: Sequence[Sequence[Compared]], rng: np.random.Generator) -> Estimate | None:
    taus = [[tau for one in unit if (tau := one.tau) is not None] for unit in units]
    return _ratio([(sum(unit), float(len(unit))) for unit in taus if unit], rng)


def _ratio(units: Sequence[tuple[float, float]], rng: np.random.Generator) -> Estimate | None:
    """Return the sum of the firsts over that of the seconds, with an interval over units; one unit has none to give."""
    if not units:
        return None
    table_UN = np.array(units)
    drawn = table_UN[rng.integers(len(units), size=(RESAMPLES, len(units)))].sum(axis=1)
    above, below = table_UN.sum(axis=0)
    return interval(above / below, drawn[:, 0] / drawn[:, 1])
