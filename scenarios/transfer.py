"""Does what is gained in one cell reach another? The transfer matrix: its coefficients, intervals and what they say.

Letters: S seeds, I cells that were reinforced, J cells that were measured. A gain is creativity after reinforcing minus
creativity after as many steps on known ideas alone (replay only), by the same seed in the same cell:

    g[s, i, j] = creativity[s, i, j] - replay[s, j]          tau(i -> j) = g[., i, j] / g[., j, j]

so that tau is the share of what direct training brings. Gains of single routes are small and noisy, so tau of a class
of routes is the ratio of the means over seeds and routes, not the mean of ratios, whose tails are those of a Cauchy
variable. Where j itself was not reinforced, the mean own gain of the reinforced cells of its level stands for it, as
fields are alike but for names. Intervals are percentile bootstraps: seeds are drawn anew, and within a class routes
too; of few seeds they are somewhat too narrow. Where direct training itself brings nothing for sure, tau says nothing:
None. The changed rule (level 4) is no rung: it shares its atoms with the others and contradicts the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hunch.memory.reliability import Estimate, interval

Floats = NDArray[np.float64]
Route = tuple[int, int]
"""Places of the reinforced and of the measured cell."""

RESAMPLES = 2_000
LEAST = 0.2
"""Less than this share of what direct training brings counts as none, where the whole interval lies below."""
UP, DOWN = "same field, up", "same field, down"
RULE = "same field, to or from the changed rule"
ACROSS, ASLANT = "across fields, same level", "across fields, other level"
CLASSES = (UP, DOWN, RULE, ACROSS, ASLANT)


def class_of(source: str, target: str) -> str | None:
    """Return the class of the route between two cells, named by field and level; None from a cell to itself."""
    if source == target:
        return None
    if source[0] == target[0]:
        if "4" in (source[1:], target[1:]):
            return RULE
        return UP if target[1:] > source[1:] else DOWN
    return ACROSS if source[1:] == target[1:] else ASLANT


def routes(reinforced: Sequence[str], measured: Sequence[str]) -> dict[str, list[Route]]:
    """Return the routes of each class that has any; those to a level of which no cell was reinforced are left out."""
    levels = {cell[1:] for cell in reinforced}
    found: dict[str, list[Route]] = {name: [] for name in CLASSES}
    for i, source in enumerate(reinforced):
        for j, target in enumerate(measured):
            name = class_of(source, target)
            if name is not None and target[1:] in levels:
                found[name].append((i, j))
    return {name: some for name, some in found.items() if some}


def own_gains(gains_SIJ: Floats, reinforced: Sequence[str], measured: Sequence[str]) -> Floats:
    """Return (S, J) what reinforcing each cell brings in itself; NaN where none of its level was reinforced."""
    own = np.full((gains_SIJ.shape[0], len(measured)), np.nan)
    direct = {cell: gains_SIJ[:, i, measured.index(cell)] for i, cell in enumerate(reinforced)}
    for j, target in enumerate(measured):
        alike = [gain for cell, gain in direct.items() if cell[1:] == target[1:]]
        if target in direct:
            own[:, j] = direct[target]
        elif alike:
            own[:, j] = np.mean(alike, axis=0)
    return own


def mean_of(values: Floats, rng: np.random.Generator) -> Estimate:
    """Return the mean of (S, ...) values with its interval over seeds, and over what comes second, if anything does."""
    table = values.reshape(len(values), -1)
    seeds, others = _drawn(table.shape, rng)
    means = table[seeds[:, :, None], others[:, None, :]].mean(axis=(1, 2))
    return interval(float(table.mean()), means)


def tau(
    gains_SIJ: Floats, own_SJ: Floats, some: Sequence[Route], rng: np.random.Generator
) -> tuple[Estimate | None, Floats]:
    """Return tau of a class of routes, and the values that each redraw gave it; None where it says nothing."""
    i, j = np.array(some).T
    above, below = gains_SIJ[:, i, j], own_SJ[:, j]
    seeds, others = _drawn(above.shape, rng)
    tops, bottoms = (table[seeds[:, :, None], others[:, None, :]].mean(axis=(1, 2)) for table in (above, below))
    if not np.quantile(bottoms, 0.025) > 0:
        return None, np.empty(0)
    drawn = tops / np.where(bottoms > 0, bottoms, np.nan)
    drawn = drawn[np.isfinite(drawn)]
    return interval(float(above.mean() / below.mean()), drawn), drawn


def taus(
    gains_SIJ: Floats, reinforced: Sequence[str], measured: Sequence[str], *, seed: int = 0
) -> dict[str, Estimate | None]:
    """Return tau of every class of routes. All classes, and all samplers, are redrawn alike: one seed, one rng each."""
    own = own_gains(gains_SIJ, reinforced, measured)
    return {
        name: tau(gains_SIJ, own, some, np.random.default_rng([seed, 51]))[0]
        for name, some in routes(reinforced, measured).items()
    }


def tau_difference(
    first_SIJ: Floats, second_SIJ: Floats, reinforced: Sequence[str], measured: Sequence[str], name: str
) -> Estimate | None:
    """Return how much larger a class's tau is by the first gains than by the second, by the same redraws."""
    some = routes(reinforced, measured).get(name)
    if some is None:
        return None
    found = [
        tau(gains, own_gains(gains, reinforced, measured), some, np.random.default_rng(51))
        for gains in (first_SIJ, second_SIJ)
    ]
    (one, drawn), (other, redrawn) = found
    if one is None or other is None or len(drawn) != len(redrawn):
        return None
    return interval(one.value - other.value, drawn - redrawn)


def by_seed(gains_SIJ: Floats, reinforced: Sequence[str], measured: Sequence[str]) -> dict[str, list[float | None]]:
    """Return each seed's own tau of every class; None where its direct gains are not above 0."""
    own = own_gains(gains_SIJ, reinforced, measured)
    found: dict[str, list[float | None]] = {}
    for name, some in routes(reinforced, measured).items():
        i, j = np.array(some).T
        above, below = gains_SIJ[:, i, j].mean(1), own[:, j].mean(1)
        found[name] = [float(a / b) if b > 0 else None for a, b in zip(above, below, strict=True)]
    return found


def matrix(
    gains_SIJ: Floats, reinforced: Sequence[str], measured: Sequence[str], *, seed: int = 0
) -> list[list[Estimate | None]]:
    """Return tau of every route alone, 1 from a cell to itself."""
    own = own_gains(gains_SIJ, reinforced, measured)
    return [
        [tau(gains_SIJ, own, [(i, j)], np.random.default_rng([seed, 52]))[0] for j in range(len(measured))]
        for i in range(len(reinforced))
    ]


def verdict(estimate: Estimate | None) -> str:
    """Return what an interval allows to say: that gains flow, or are lost, or a little so, or not, or nothing yet."""
    if estimate is None:
        return "undecided"
    if estimate.high < 0:
        return "are lost" if estimate.low <= -LEAST else "are lost a little"
    if estimate.low > 0:
        return "flow" if estimate.high >= LEAST else "flow a little"
    return "do not" if estimate.high < LEAST else "undecided"


_SAID = {
    "flow": "gains flow",
    "flow a little": f"gains flow a little (below {LEAST:g} of direct training)",
    "do not": f"gains do not flow (any flow is below {LEAST:g} of direct training)",
    "are lost": "creativity is lost",
    "are lost a little": f"a little creativity is lost (below {LEAST:g} of what direct training brings)",
    "undecided": "it is undecided whether gains flow",
}
_WHERE = {
    UP: "Within a field, up the levels",
    DOWN: "Within a field, down the levels",
    RULE: "Within a field, to or from the changed rule",
    ACROSS: "Across fields, to the same level",
    ASLANT: "Across fields, to another level",
}


def shown(estimate: Estimate | None) -> str:
    """Return a figure with its interval."""
    return "-" if estimate is None else f"{estimate.value:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def conclusions(
    best: Mapping[str, Estimate | None], plain: Mapping[str, Estimate | None], vocabulary: str
) -> list[str]:
    """Return what the intervals say, in sentences.

    Args:
        best: tau of each class, every model at its own best of the grid.
        plain: the same at T = 1.
        vocabulary: what fields have in common, in words: ``without shared vocabulary``.
    """
    told = []
    for name, where in _WHERE.items():
        if name not in best:
            continue
        place = f"{where} ({vocabulary})" if name in (ACROSS, ASLANT) else where
        told.append(
            f"{place}, {_SAID[verdict(best[name])]}: tau = {shown(best[name])} at each model's best sampler, "
            f"{shown(plain.get(name))} at T = 1."
        )
    within = {verdict(best.get(name)) for name in (UP, DOWN)}
    across = {verdict(best.get(name)) for name in (ACROSS, ASLANT)}
    if within == {"flow"} and not across & {"flow", "undecided"}:
        told.append("Here creativity is a ladder within each field, and not one capability that fields share.")
    elif within == {"flow"} and across == {"flow"}:
        told.append("Here creativity behaves as one capability: trained in one place, it is there in others.")
    elif not within & {"flow", "undecided"} and not across & {"flow", "undecided"}:
        told.append("Here each cell is a capability of its own: gains reach no other.")
    else:
        told.append("These intervals decide for neither answer: not one capability, not a ladder.")
    return told


def _drawn(shape: tuple[int, ...], rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which seeds, and which of what comes second, each redraw takes."""
    first, second = shape
    return rng.integers(first, size=(RESAMPLES, first)), rng.integers(second, size=(RESAMPLES, second))
