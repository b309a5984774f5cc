"""The report of a run: one HTML file that a person can read, keep and send on.

It needs nothing beside itself: no script, no request, no font; its content security policy forbids them. All
text is untrusted: it passes ``plain``, then Jinja's escaping. Only figures, which escape for themselves, are put in as
they are. The page is rendered in memory, written under a temporary name and renamed, so a reader never sees half of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from numpy.typing import ArrayLike
from pydantic import Field, FiniteFloat

from hunch.memory.files import replace_file
from hunch.memory.records import Count, Firing, Record, Standing, Unit
from hunch.views.figures import Curve, discovery_curves, firing_picture, insight_map, project
from hunch.views.progress import plain

PICTURES = 10
"""Insights, from the first on, whose firing is drawn as well as written."""
MARKS = 12
"""Insights that the map marks with their rank."""


class ArmSummary(Record):
    """What one arm did with its budget."""

    name: str
    description: str
    samples: Count
    distinct: Count
    distinct_novel: Count
    kept: Count
    """Distinct hypotheses kept."""
    true_kept: int | None = None
    """Those of them among the hidden truths; None when there are none to compare with."""
    precision: Unit | None = None
    """``true_kept / kept``; None when unknown."""
    seconds: FiniteFloat
    learned: bool
    """Whether its generator was reinforced."""


class InsightRow(Record):
    """One insight with what fired for it."""

    rank: int = Field(ge=1)
    sentence: str
    strength: FiniteFloat
    p_value: Unit
    novelty: Unit
    round: Count
    paths: tuple[Firing, ...] = ()
    true: bool | None = None
    """Whether it is among the hidden truths; None when there are none."""


class DiscoveryRow(Record):
    """A connection published later, and whether the run came upon it."""

    name: str
    citation: str
    year: int
    found: bool
    rank: int | None = None
    """Its rank among the insights, from 1; None when not found."""
    of: Count
    """Number of insights."""
    path: str = ""
    """What fired, as a sentence."""
    by_arm: dict[str, int | None] = Field(default_factory=dict)
    """Its rank in each arm; None where an arm did not find it."""


class RejectedRow(Record):
    """A hypothesis that was not kept, and why."""

    text: str
    reason: str
    strength: FiniteFloat
    p_value: Unit
    standing: Standing | None = None


class MapPoints(Record):
    """Where insights lie among the facts, in two dimensions."""

    facts: tuple[tuple[FiniteFloat, FiniteFloat], ...]
    """A sample of the facts, evenly spaced in their order."""
    all_facts: Count
    """Number of facts that the sample stands for."""
    insights: tuple[tuple[FiniteFloat, FiniteFloat], ...]
    sentences: tuple[str, ...]
    """One per insight, strongest first."""
    strengths: tuple[FiniteFloat, ...]


class Report(Record):
    """Everything the report shows. What is empty is left out of the page."""

    title: str
    question: str
    """What was asked."""
    command: str
    """What to type to run it again."""
    created: str
    """ISO 8601."""
    summary: tuple[str, ...]
    """The result in two or three sentences."""
    arms: tuple[ArmSummary, ...]
    insights: tuple[InsightRow, ...]
    """In the order of their rank."""
    insights_total: int | None = None
    """Number of insights in the run; None when all are given."""
    discoveries: tuple[DiscoveryRow, ...] = ()
    curves: dict[str, Curve] = Field(default_factory=dict)
    """Distinct kept hypotheses by samples drawn, one curve per arm."""
    true_curves: dict[str, Curve] = Field(default_factory=dict)
    """The same, counting only hidden truths."""
    rejected: tuple[RejectedRow, ...] = ()
    map: MapPoints | None = None
    config: str
    """The resolved configuration as YAML."""
    cost: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """Limits and warnings."""


def map_points(
    facts_N_D: ArrayLike,
    insights_M_D: ArrayLike,
    sentences: Sequence[str],
    strengths: Sequence[float],
    *,
    most_facts: int = 1500,
) -> MapPoints:
    """Return the map of insights (M, D) among facts (N, D); at most ``most_facts`` facts are kept to be drawn.

    Raises:
        ValueError: as ``hunch.views.figures.project`` does.
    """
    facts, insights = project(facts_N_D, insights_M_D)
    chosen = np.unique(np.linspace(0, len(facts) - 1, min(most_facts, len(facts))).astype(int))
    return MapPoints(
        facts=tuple((float(x), float(y)) for x, y in facts[chosen]),
        all_facts=len(facts),
        insights=tuple((float(x), float(y)) for x, y in insights),
        sentences=tuple(sentences),
        strengths=tuple(float(strength) for strength in strengths),
    )


def write_report(path: Path, report: Report) -> None:
    """Write ``report`` as one HTML file, replacing what is there.

    Raises:
        OSError: if ``path`` cannot be written; what was there before is left as it was.
    """
    replace_file(path, render(report).encode())


def render(report: Report) -> str:
    """Return ``report`` as an HTML page."""
    pictures = [
        firing_picture(row.paths, title=f"What fired for: {row.sentence}") for row in report.insights[:PICTURES]
    ]
    template = _environment().from_string(files("hunch.views").joinpath("report.html.j2").read_text("utf-8"))
    return template.render(
        report=report,
        arm_names=list(dict.fromkeys(arm for row in report.discoveries for arm in row.by_arm)),
        found=sum(row.found for row in report.discoveries),
        with_truths=any(arm.true_kept is not None for arm in report.arms),
        pictures=[Markup(picture) for picture in pictures],
        kept_figure=_curves(report.curves, "distinct hypotheses kept"),
        true_figure=_curves(report.true_curves, "distinct true hypotheses"),
        map_figure=_map(report.map),
        marks=MARKS,
    )


def _curves(curves: dict[str, Curve], ylabel: str) -> Markup:
    """Return a figure of discovery curves; empty where there is no curve."""
    return Markup(discovery_curves(curves, ylabel=ylabel, title=f"{ylabel} by samples drawn") if curves else "")


def _map(points: MapPoints | None) -> Markup:
    """Return the map with the first insights marked by rank; empty where there is no map."""
    if points is None or not points.facts:
        return Markup()
    labels = [str(place + 1) if place < MARKS else "" for place in range(len(points.insights))]
    return Markup(insight_map(points.facts, points.insights, labels=labels, strengths=points.strengths))


def _environment() -> Environment:
    """Return a Jinja environment that escapes everything and formats numbers for people."""
    environment = Environment(
        autoescape=True, finalize=_shown, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["share"] = lambda value: f"{100 * value:.1f}\N{NO-BREAK SPACE}%" if value is not None else "–"
    environment.filters["figure"] = lambda value: f"{value:.3g}" if value is not None else "–"
    environment.filters["duration"] = _duration
    return environment


def _shown(value: object) -> object:
    """Return ``value`` as the page shows it: text made plain line by line, counts with thousands, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, str) and not isinstance(value, Markup):
        return "\n".join(plain(line) for line in value.split("\n"))
    return value


def _duration(seconds: float) -> str:
    """Return a duration in the unit a person would choose."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"
