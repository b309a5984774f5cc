"""Does taste carry over? A reward model against rankings that it has not seen, of other sheets and of other fields.

The figure is the mean over held-out rankings of Kendall's tau-b between the model's scores and the expert's order.
Experts are noisy: what a perfect model would reach stands beside it (``hunch.memory.reliability.ceiling``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from hunch.agent.learning.taste import Taste
from hunch.memory.agreement import kendall_tau
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.reliability import Estimate, interval

RESAMPLES = 1_000


def of_other_sheets(
    make: Callable[[], Taste], sheets: Sequence[Sheet], rankings: Sequence[Ranking], *, folds: int = 5
) -> list[float]:
    """Return tau on each ranking of a fold of the sheets, the model having learned from the other folds."""
    taus: list[float] = []
    for fold in range(min(folds, len(sheets))):
        held = [sheet for place, sheet in enumerate(sheets) if place % folds == fold]
        taus += _taus(make(), sheets, rankings, held, known=True)
    return taus


def of_other_fields(
    make: Callable[[], Taste], sheets: Sequence[Sheet], rankings: Sequence[Ranking]
) -> dict[str, list[float]]:
    """Return for each field tau on each of its rankings, the model having learned from all the other fields."""
    fields = list(dict.fromkeys(sheet.field for sheet in sheets))
    return {
        field: _taus(make(), sheets, rankings, [sheet for sheet in sheets if sheet.field == field], known=False)
        for field in fields
        if len(fields) > 1
    }


def _taus(
    taste: Taste, sheets: Sequence[Sheet], rankings: Sequence[Ranking], held: Sequence[Sheet], *, known: bool
) -> list[float]:
    """Return tau on the rankings of the sheets that are held back; ``known`` where other sheets of a field are not."""
    back = {sheet.id: sheet for sheet in held}
    taste.fit(sheets, [one for one in rankings if one.sheet_id not in back])
    taus = []
    for ranking in rankings:
        sheet = back.get(ranking.sheet_id)
        if sheet is not None:
            worth = taste.predict([card.text for card in sheet.cards], sheet.field if known else None)
            score = dict(zip(sheet.keys, worth.mean.tolist(), strict=True))
            tau = kendall_tau(score, {key: -place for key, place in ranking.places.items()})
            taus.append(0.0 if tau is None else tau)  # a model that says nothing has learned nothing
    return taus


def mean_of(taus: Iterable[float], rng: np.random.Generator) -> Estimate | None:
    """Return the mean with a 95 % interval, by drawing rankings anew (bootstrap); None of none."""
    values = np.array(list(taus))
    if not len(values):
        return None
    means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(1)
    return interval(float(values.mean()), means)
