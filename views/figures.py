"""Figures of a run as SVG, to be put into a page.

Each function is pure and returns one ``<svg>`` element with an accessible ``<title>``, without XML declaration, style
sheet or ids of groups, so that several stand in one page. Text stays text. The map is a principal component analysis:
it keeps distances honest at the price of overlap, and it needs no random numbers. Left out: t-SNE and UMAP, whose
islands suggest clusters that are not there.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from html import escape

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import RcKeyType
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from hunch.views.progress import plain

Matrix = NDArray[np.float64]
Curve = tuple[Sequence[int], Sequence[int]]
"""Samples drawn, ascending, and the distinct hypotheses found by then."""

INK, QUIET, RULE = "#22262b", "#69707a", "#e4e6ea"
COLOURS = ("#1f6fb2", "#d1602a", "#2f8f5b", "#8b5aa8", "#7a7f87", "#b8860b")
EMBER = LinearSegmentedColormap.from_list("ember", ["#f3c98b", "#e07a2f", "#a3210f"], N=12)


def discovery_curves(
    curves: Mapping[str, Curve], *, ylabel: str, xlabel: str = "samples drawn", title: str = "Discovery curves"
) -> str:
    """Return one line per arm: distinct hypotheses against samples drawn, each named at its end.

    Raises:
        ValueError: if an arm's two sequences differ in length.
    """
    figure = Figure(figsize=(7.6, 3.9), layout="constrained")
    axes = _axes(figure)
    ends: list[tuple[float, float, str, str]] = []
    for place, (name, (samples, distinct)) in enumerate(curves.items()):
        if len(samples) != len(distinct):
            raise ValueError(
                f"the curve of {name!r} has {len(samples)} sample counts and {len(distinct)} values, "
                "but needs as many of each; give one value per sample count."
            )
        colour = COLOURS[place % len(COLOURS)]
        axes.plot(list(samples), list(distinct), color=colour, linewidth=2, solid_capstyle="round")
        if len(samples):
            ends.append((float(distinct[-1]), float(samples[-1]), plain(name), colour))
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.0f}")
        axis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel(plain(xlabel), color=QUIET, size=9, labelpad=7, parse_math=False)
    axes.set_ylabel(plain(ylabel), color=QUIET, size=9, labelpad=7, parse_math=False)
    _name_ends(axes, ends)
    return _svg(figure, title)


def standing_by_entropy(bins: Sequence[tuple[float, float, float, float]], *, title: str = "By entropy") -> str:
    """Return what becomes of samples as they get wilder: shares of recall, insight and hallucination.

    Args:
        bins: for each bin its mean entropy per token (nats), ascending, and the three shares, in that order.
        title: what the figure shows, for those who cannot see it.
    """
    figure = Figure(figsize=(7.6, 3.4), layout="constrained")
    axes = _axes(figure)
    at = [row[0] for row in bins]
    ends: list[tuple[float, float, str, str]] = []
    for place, name in enumerate(("recall", "insight", "hallucination"), start=1):
        shares = [100 * row[place] for row in bins]
        colour = (COLOURS[4], COLOURS[2], COLOURS[1])[place - 1]
        axes.plot(at, shares, color=colour, linewidth=2, marker="o", markersize=3.5)
        if bins:
            ends.append((shares[-1], at[-1], name, colour))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("entropy of what it drew from, nats per token", color=QUIET, size=9, labelpad=7, parse_math=False)
    axes.set_ylabel("% of samples", color=QUIET, size=9, labelpad=7, parse_math=False)
    _name_ends(axes, ends)
    return _svg(figure, title)


def yield_by_strength(rows: Sequence[tuple[float, int, int]], *, title: str = "By strength") -> str:
    """Return how much is kept as a push gets harder, with 95 % intervals (Wilson).

    Args:
        rows: for each strength, ascending, how many samples were kept, and how many drawn (at least 1).
        title: what the figure shows, for those who cannot see it.
    """
    figure = Figure(figsize=(7.6, 2.9), layout="constrained")
    axes = _axes(figure)
    at = [strength for strength, _, _ in rows]
    share = np.array([100 * kept / drawn for _, kept, drawn in rows])
    bounds = 100 * np.array([binomtest(kept, drawn).proportion_ci(method="wilson") for _, kept, drawn in rows])
    reach = np.abs(bounds.reshape(-1, 2).T - share)
    axes.errorbar(at, share, yerr=reach, color=COLOURS[2], linewidth=2, marker="o", markersize=4, capsize=3)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("strength of the push, in units of a state's norm", color=QUIET, size=9, labelpad=7)
    axes.set_ylabel("% kept", color=QUIET, size=9, labelpad=7)
    return _svg(figure, title)


def _name_ends(axes: Axes, ends: list[tuple[float, float, str, str]]) -> None:
    """Write each curve's name beside its end, moved up where two would overlap."""
    gap, floor = axes.get_ylim()[1] * 0.065, -np.inf
    right = max((samples for _, samples, _, _ in ends), default=0.0)
    for value, _, name, colour in sorted(ends):
        floor = max(value, floor + gap)
        axes.annotate(
            f"{_short(name, 24)}  {value:,.0f}",
            (right, floor),
            xytext=(7, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            size=9.5,
            weight="bold",
            annotation_clip=False,
            parse_math=False,
        )


def project(facts_N_D: ArrayLike, insights_M_D: ArrayLike) -> tuple[Matrix, Matrix]:
    """Return facts (N, 2) and insights (M, 2) on the two directions in which the facts vary most.

    Each direction points to where its largest loading is positive, so the same vectors give the same map. What is
    already two-dimensional is returned as it is.

    Raises:
        ValueError: if there is no fact, if vectors have fewer than 2 dimensions, or if the two differ in width.
    """
    facts, insights = np.asarray(facts_N_D, dtype=np.float64), np.asarray(insights_M_D, dtype=np.float64)
    if not insights.size:
        insights = insights.reshape(0, facts.shape[-1])
    if facts.ndim != 2 or not len(facts) or facts.shape[1] < 2 or insights.shape[1:] != facts.shape[1:]:
        raise ValueError(
            f"facts have shape {facts.shape} and insights {insights.shape}, but a map needs (N, D) and (M, D) "
            "with N at least 1 and the same D of at least 2; encode both with one encoder."
        )
    if facts.shape[1] == 2:
        return facts, insights
    centre = facts.mean(axis=0)
    centred = facts - centre
    _, directions = np.linalg.eigh(centred.T @ centred)  # (D, D), variance ascending
    directions = directions[:, :-3:-1]  # (D, 2)
    largest = np.abs(directions).argmax(axis=0)
    directions = directions * np.where(directions[largest, [0, 1]] < 0, -1.0, 1.0)
    return centred @ directions, (insights - centre) @ directions


def insight_map(
    facts_N_D: ArrayLike,
    insights_M_D: ArrayLike,
    *,
    labels: Sequence[str],
    strengths: Sequence[float],
    title: str = "Where insights lie among the facts",
) -> str:
    """Return a map: facts as grey dots, insights coloured by strength and marked with their labels.

    Args:
        facts_N_D: vectors of facts, one per row; projected unless D is 2.
        insights_M_D: vectors of insights, in the same space.
        labels: what stands beside each insight, e.g. its rank; an empty label is left out.
        strengths: one finite number per insight; decides the colour.
        title: what the figure shows, for those who cannot see it.

    Raises:
        ValueError: as ``project`` does, and if labels or strengths do not match the insights.
    """
    facts, insights = project(facts_N_D, insights_M_D)
    if not len(insights) == len(labels) == len(strengths):
        raise ValueError(
            f"there are {len(insights)} insights, {len(labels)} labels and {len(strengths)} strengths, "
            "but each insight needs one of each; give three sequences of one length."
        )
    figure = Figure(figsize=(7.6, 4.8), layout="constrained")
    axes = _axes(figure)
    axes.axis("off")
    axes.scatter(facts[:, 0], facts[:, 1], s=9, color="#b9bec6", alpha=0.55, linewidths=0)
    order = np.argsort(np.asarray(strengths, dtype=np.float64), kind="stable")  # the strongest are drawn last, on top
    if len(order):
        colours = np.asarray(strengths, dtype=np.float64)[order]
        x, y = insights[order].T
        dots = axes.scatter(x, y, s=46, c=colours, cmap=EMBER, edgecolors="white", linewidths=0.8)
        bar = figure.colorbar(dots, ax=axes, shrink=0.55, aspect=16, pad=0.01)
        bar.set_label("strength", color=QUIET, size=9)
        bar.outline.set_visible(False)
        bar.ax.tick_params(colors=QUIET, length=0, labelsize=9)
    for place in order:
        if labels[place]:
            axes.annotate(
                _short(plain(labels[place]), 32),
                (insights[place, 0], insights[place, 1]),
                xytext=(5, 4),
                textcoords="offset points",
                color=INK,
                size=9,
                weight="bold",
                parse_math=False,
            )
    return _svg(figure, title)


def strong_and_far(
    strengths: Sequence[float],
    novelties: Sequence[float],
    *,
    labels: Sequence[str],
    title: str = "How strongly insights fire, and how far from the known they lie",
) -> str:
    """Return strength against novelty, a dot per insight; those with a label stand out and bear it.

    Raises:
        ValueError: if the three sequences differ in length.
    """
    if not len(strengths) == len(novelties) == len(labels):
        raise ValueError(
            f"there are {len(strengths)} strengths, {len(novelties)} novelties and {len(labels)} labels, "
            "but each insight needs one of each; give three sequences of one length."
        )
    figure = Figure(figsize=(7.6, 3.9), layout="constrained")
    axes = _axes(figure)
    axes.grid(axis="x", color=RULE, linewidth=1)
    axes.set_xlabel("novelty: 1 minus the cosine similarity to the nearest fact", color=QUIET, size=9, labelpad=7)
    axes.set_ylabel("strength in nats", color=QUIET, size=9, labelpad=7)
    marked = np.array([bool(label) for label in labels], dtype=bool)
    x, y = np.asarray(novelties, dtype=np.float64), np.asarray(strengths, dtype=np.float64)
    axes.scatter(x[~marked], y[~marked], s=12, color="#9aa3ae", alpha=0.55, linewidths=0)
    axes.scatter(x[marked], y[marked], s=46, color="#e07a2f", edgecolors="white", linewidths=0.8)
    for place in np.flatnonzero(marked).tolist():
        axes.annotate(
            _short(plain(labels[place]), 32),
            (x[place], y[place]),
            xytext=(5, 4),
            textcoords="offset points",
            color=INK,
            size=9,
            weight="bold",
            parse_math=False,
        )
    return _svg(figure, title)


def means_and_intervals(
    points: Mapping[str, Sequence[tuple[float, float, float, float]]],
    *,
    xlabel: str,
    ylabel: str,
    title: str,
) -> str:
    """Return one line per name through points with their intervals.

    Args:
        points: for each name its (x, mean, low, high), by rising x.
        xlabel: of the axis.
        ylabel: of the axis.
        title: what the figure shows, for those who cannot see it.
    """
    figure = Figure(figsize=(7.6, 3.6), layout="constrained")
    axes = _axes(figure)
    for place, (name, line) in enumerate(points.items()):
        x, mean, low, high = np.array(line, dtype=np.float64).reshape(-1, 4).T
        colour = COLOURS[place % len(COLOURS)]
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(x, mean, color=colour, linewidth=2, marker="o", markersize=3.5, label=plain(name))
    axes.axhline(0, color=QUIET, linewidth=0.8)
    axes.set_xlabel(plain(xlabel), color=QUIET, size=9, labelpad=7, parse_math=False)
    axes.set_ylabel(plain(ylabel), color=QUIET, size=9, labelpad=7, parse_math=False)
    if points:
        axes.legend(frameon=False, fontsize=9, labelcolor=INK)
    return _svg(figure, title)


def heat_map(
    values: ArrayLike, *, rows: Sequence[str], columns: Sequence[str], texts: Sequence[Sequence[str]], title: str
) -> str:
    """Return a matrix as coloured cells, blue below zero and orange above, each with its text.

    Raises:
        ValueError: if names or texts do not match the matrix.
    """
    matrix = np.asarray(values, dtype=np.float64)
    if matrix.shape != (len(rows), len(columns)) or [len(row) for row in texts] != [len(columns)] * len(rows):
        raise ValueError(
            f"the matrix has shape {matrix.shape}, but there are {len(rows)} rows and {len(columns)} columns of names "
            "and texts; give one of each."
        )
    figure = Figure(figsize=(1.6 + 0.85 * len(columns), 0.9 + 0.5 * len(rows)), layout="constrained")
    axes = figure.add_subplot()
    bound = max(float(np.nanmax(np.abs(matrix), initial=0.0)), 1e-9)
    axes.imshow(matrix, cmap="PuOr_r", vmin=-bound, vmax=bound, aspect="auto", alpha=0.75)
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=QUIET, length=0, labelsize=9)
    for place, text in np.ndenumerate(np.array(texts, dtype=object)):
        axes.text(place[1], place[0], plain(text), ha="center", va="center", size=8, color=INK, parse_math=False)
    axes.set_xticks(range(len(columns)), [plain(name) for name in columns], rotation=35, ha="right")
    axes.set_yticks(range(len(rows)), [plain(name) for name in rows])
    return _svg(figure, title)


def _axes(figure: Figure) -> Axes:
    """Return axes with a light grid and without a box."""
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color("#b9bec6")
    axes.grid(axis="y", color=RULE, linewidth=1)
    axes.set_axisbelow(True)
    axes.tick_params(colors=QUIET, length=0, labelsize=9, pad=5)
    return axes


def _svg(figure: Figure, title: str) -> str:
    """Return ``figure`` as one SVG element whose text is text."""
    buffer = io.StringIO()
    settings: dict[RcKeyType, object] = {"svg.fonttype": "none", "svg.hashsalt": "hunch"}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="Glyph .* missing"
        )  # only measured with this font; the page has others
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg))
    opening = svg.index(">") + 1
    name = f"<title>{escape(plain(title))}</title>"
    return svg[:opening].replace("<svg", '<svg role="img" stroke-linejoin="round"', 1) + name + svg[opening:].strip()


def _short(text: str, letters: int) -> str:
    """Return ``text``, cut to ``letters`` letters."""
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"
