"""How far one expert's judgement can be trusted: intraclass correlations, the noise ceiling, the noise of a rater.

Intraclass correlations come from the mean squares of an analysis of variance (Shrout & Fleiss 1979, whose letters the
code keeps; the one-way one for unequal numbers of judgements after Donner 1986).

The noise ceiling rests on one model: a judgement is the item's quality plus noise of the rater's own, both Gaussian.
Then two raters correlate with rho = 1 / (1 + noise variance / quality variance), a model that knows the quality exactly
correlates with one rater with sqrt(rho), and Kendall's tau of two Gaussian variables is 2/pi arcsin of their
correlation (Greiner 1909). So the tau between raters gives rho, and rho the tau that nothing but luck can exceed.

Left out: what raters share that is not quality (a school's taste) counts as quality here, so the ceiling is that of
agreeing with such raters, not of being right. Ties are left out too: tau-b forgives them a little
too much. With 18 % of pairs tied, simulated noise of 1.9, 1.0 and 0.5 is found to be 1.7, 0.9 and 0.4, and the ceiling
comes out 0.01 to 0.02 too high.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat

from hunch.memory.errors import InputError
from hunch.memory.values import Record, Unit

Matrix = NDArray[np.float64]


class Estimate(Record):
    """A figure with its 95 % interval."""

    value: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat


class Icc(Record):
    """The six intraclass correlations of Shrout & Fleiss; of one rater and of the mean of all k."""

    one_way: FiniteFloat
    """ICC(1,1): each item has raters of its own."""
    two_way: FiniteFloat
    """ICC(2,1): the same raters throughout, drawn from many; absolute agreement."""
    consistent: FiniteFloat
    """ICC(3,1): the same raters throughout, and only they matter; whoever is milder is forgiven."""
    one_way_mean: FiniteFloat
    """ICC(1,k)."""
    two_way_mean: FiniteFloat
    """ICC(2,k)."""
    consistent_mean: FiniteFloat
    """ICC(3,k)."""


class RaterModel(Record):
    """An expert as the Gaussian rater model has it; simulated experts are made of it."""

    noise_sd: Annotated[FiniteFloat, Field(ge=0.0)]
    """Standard deviation of the noise, in units of that of the quality."""
    ties: Unit
    """The share of pairs that they hold to be equal."""

    @property
    def ceiling(self) -> float:
        """The greatest tau that a perfect model can expect against one of them."""
        return ceiling(2 / math.pi * math.asin(1 / (1 + self.noise_sd**2)))


def interval(value: float, drawn: Matrix) -> Estimate:
    """Return a value with its 95 % interval over what redraws gave it (percentile bootstrap); none of none."""
    low, high = np.quantile(drawn, (0.025, 0.975)).tolist() if len(drawn) else (value, value)
    return Estimate(value=value, low=low, high=high)


def icc(scores_NK: Matrix) -> Icc:  # items x raters
    """Return the intraclass correlations of a full table.

    Raises:
        ValueError: if there are fewer than two items or raters.
    """
    n, k = scores_NK.shape
    if min(n, k) < 2:
        raise ValueError(f"the table is {n} x {k}, but at least 2 items and 2 raters are needed; give a larger one.")
    mean = scores_NK.mean()
    items, raters = scores_NK.mean(axis=1), scores_NK.mean(axis=0)
    bms = k * ((items - mean) ** 2).sum() / (n - 1)
    jms = n * ((raters - mean) ** 2).sum() / (k - 1)
    wms = ((scores_NK - items[:, None]) ** 2).sum() / (n * (k - 1))
    ems = ((scores_NK - items[:, None] - raters + mean) ** 2).sum() / ((n - 1) * (k - 1))
    return Icc(
        one_way=_ratio(bms - wms, bms + (k - 1) * wms),
        two_way=_ratio(bms - ems, bms + (k - 1) * ems + k * (jms - ems) / n),
        consistent=_ratio(bms - ems, bms + (k - 1) * ems),
        one_way_mean=_ratio(bms - wms, bms),
        two_way_mean=_ratio(bms - ems, bms + (jms - ems) / n),
        consistent_mean=_ratio(bms - ems, bms),
    )


def one_way_icc(fields: Sequence[Sequence[Sequence[float]]]) -> float | None:
    """Return ICC(1,1) where items have unequal numbers of judgements and lie in fields of unequal means.

    ``fields[f][i]`` are the judgements of item ``i`` of field ``f``; items of one judgement are passed over.
    Differences between fields count neither as quality nor as noise. None if there is too little to tell.
    """
    between = within = counted = 0.0
    items = judgements = strata = 0
    for field in fields:
        groups = [np.asarray(group, dtype=np.float64) for group in field if len(group) > 1]
        if len(groups) < 2:
            continue
        sizes = np.array([len(group) for group in groups])
        means = np.array([group.mean() for group in groups])
        centre = float(sizes @ means / sizes.sum())
        between += float(sizes @ (means - centre) ** 2)
        within += sum(float(((group - group.mean()) ** 2).sum()) for group in groups)
        counted += float(sizes.sum() - (sizes**2).sum() / sizes.sum())
        items, judgements, strata = items + len(groups), judgements + int(sizes.sum()), strata + 1
    if not strata:
        return None
    bms, wms, k0 = between / (items - strata), within / (judgements - items), counted / (items - strata)
    total = bms + (k0 - 1) * wms
    return _ratio(bms - wms, total) if total > 0 else None


def correlation(tau: float) -> float:
    """Return the correlation of two Gaussian variables whose Kendall's tau is ``tau`` (Greiner's relation)."""
    return math.sin(math.pi / 2 * tau)


def ceiling(tau_between: float) -> float:
    """Return the greatest tau that a perfect model can expect against one expert, where two experts have this one.

    Experts who agree no better than chance, or worse, leave nothing to be learned: 0.
    """
    return 2 / math.pi * math.asin(math.sqrt(max(0.0, correlation(tau_between))))


def rater_noise(tau_between: float, ties: float) -> RaterModel:
    """Return the rater whose like agree with this tau and hold this share of pairs to be equal.

    Raises:
        InputError: if they agree no better than chance: no finite noise does that.
    """
    rho = correlation(tau_between)
    if rho <= 0:
        raise InputError(
            f"tau between experts is {tau_between:.3f}, but only experts who agree better than chance have a finite "
            "noise; use more rankings, or a criterion on which they agree."
        )
    return RaterModel(noise_sd=math.sqrt(max(0.0, 1 / rho - 1)), ties=ties)


def _ratio(above: float, below: float) -> float:
    return float(above / below) if below else 0.0
