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
from hunch.memory.records import Firing, Standing, Triple
from hunch.memory.values import Count, Record, Unit
from hunch.views.figures import (
    Curve,
    discovery_curves,
    insight_map,
    project,
    standing_by_entropy,
    strong_and_far,
    yield_by_strength,
)
from hunch.views.picture import firing_picture
from hunch.views.progress import plain

PICTURES = 12
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
    memorised: Unit | None = None
    """Share of the samples that was known, or kept before; None when not measured."""
    entropy_nats: FiniteFloat | None = None
    """Mean entropy per token that was drawn; None when not measured."""


class RecipeRow(Record):
    """What one recipe brought."""

    recipe: str
    drawn: Count
    kept: Count


class PushRow(Record):
    """What pushes of one strength brought."""

    kind: str
    strength: FiniteFloat
    """0 is the same recipe without."""
    drawn: Count
    kept: Count


class UpdateRow(Record):
    """One change of the generator's weights, and the experience that it followed from."""

    version: Count
    """Of the weights that it made."""
    round: Count
    learned_from: Count
    """How many newly kept hypotheses the round had."""
    examples: tuple[str, ...]
    """The first of them, those that fire most."""
    loss: FiniteFloat | None = None
    kept_with: Count
    """How many hypotheses these weights brought that were kept."""


class InsightRow(Record):
    """One insight with what fired for it."""

    rank: int = Field(ge=1)
    sentence: str
    strength: FiniteFloat
    p_value: Unit
    novelty: Unit
    round: Count
    paths: tuple[Firing, ...] = ()
    claim: Triple | None = None
    """It in symbols, where it is one claim."""
    true: bool | None = None
    """Whether it is among the hidden truths; None when there are none."""


class Far(Record):
    """Which insights are strong and far: new things said that fire all the same."""

    alpha: Unit
    """Only insights up to this p-value are among the first."""
    first: tuple[InsightRow, ...]
    """In descending order of strength times novelty."""
    strengths: tuple[FiniteFloat, ...]
    """Of a sample of all insights, evenly spaced in the order of their rank."""
    novelties: tuple[Unit, ...]
    """Of the same."""


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
    fired: tuple[Firing, ...] = ()
    """What fired, to be drawn."""
    claim: Triple | None = None
    """It in symbols."""
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


class Section(Record):
    """A part of the page with a heading of its own: sentences, a figure, a table."""

    title: str
    lead: str = ""
    figure: str = ""
    """SVG from ``hunch.views.figures``; anything else is shown as text."""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | FiniteFloat | None, ...], ...] = ()
    """One cell per column; numbers are set to the right."""


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
    by_entropy: tuple[tuple[FiniteFloat, Unit, Unit, Unit], ...] = ()
    """For each tenth of the samples, by rising entropy: its mean (nats per token), and how much of it was recall,
    insight and hallucination."""
    recipes: tuple[RecipeRow, ...] = ()
    """What each recipe brought, where several were chosen among."""
    pushes: tuple[PushRow, ...] = ()
    """Of one kind: what pushing the latent state harder and harder brought."""
    updates: tuple[UpdateRow, ...] = ()
    """Of the full loop: all, or as many as a page bears, evenly spaced."""
    updates_total: Count = 0
    insights: tuple[InsightRow, ...]
    """In the order of their rank."""
    insights_total: int | None = None
    """Number of insights in the run; None when all are given."""
    links: dict[str, Triple] = Field(default_factory=dict)
    """What the facts that fired say in symbols, by id; the pictures name their lines by it."""
    far: Far | None = None
    discoveries: tuple[DiscoveryRow, ...] = ()
    curves: dict[str, Curve] = Field(default_factory=dict)
    """Distinct kept hypotheses by samples drawn, one curve per arm."""
    true_curves: dict[str, Curve] = Field(default_factory=dict)
    """The same, counting only hidden truths."""
    sections: tuple[Section, ...] = ()
    """What a scenario shows besides, in this order."""
    rejected: tuple[RejectedRow, ...] = ()
    map: MapPoints | None = None
    config: str
    """The resolved configuration as YAML."""
    cost: dict[str, str] = Field(default_factory=dict)
    versions: dict[str, str] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """Limits and warnings."""


def far_of(
    insights: Sequence[InsightRow], *, alpha: float = 0.05, most: int = 10, most_drawn: int = 1500
) -> Far | None:
    """Return which of all insights, given in the order of their rank, are strong and far; None where none is.

    Strength times novelty, over those with a p-value of at most ``alpha`` that are stronger than an even chance.
    """
    clear = [row for row in insights if row.p_value <= alpha and row.strength > 0]
    if not clear:
        return None
    sample = [insights[at] for at in np.unique(np.linspace(0, len(insights) - 1, most_drawn).astype(int))]
    return Far(
        alpha=alpha,
        first=tuple(sorted(clear, key=lambda row: -row.strength * row.novelty)[:most]),
        strengths=tuple(row.strength for row in sample),
        novelties=tuple(row.novelty for row in sample),
    )


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
    pictures = [_picture(row.paths, report, row.claim, row.sentence) for row in report.insights[:PICTURES]]
    sought = [row for row in report.discoveries if row.found or any(row.by_arm.values())]
    arms = list(dict.fromkeys(arm for row in sought for arm in row.by_arm))
    template = _environment().from_string(files("hunch.views").joinpath("report.html.j2").read_text("utf-8"))
    return template.render(
        report=report,
        arm_names=arms if len(arms) > 1 else [],
        sought=sought,
        drawn=[Markup(_picture(row.fired, report, row.claim, row.name)) for row in sought],
        lost=[row for row in report.discoveries if row not in sought],
        found=sum(row.found for row in report.discoveries),
        with_truths=any(arm.true_kept is not None for arm in report.arms),
        with_loss=any(row.loss is not None for row in report.updates),
        pictures=[Markup(picture) for picture in pictures],
        kept_figure=_curves(report.curves, "distinct hypotheses kept"),
        true_figure=_curves(report.true_curves, "distinct true hypotheses"),
        entropy_figure=_by_entropy(report.by_entropy),
        push_figure=_by_strength(report.pushes),
        far_figure=_far(report.far),
        map_figure=_map(report.map),
        section_figures=[drawn(section.figure) for section in report.sections],
        marks=MARKS,
    )


def drawn(figure: str) -> str:
    """Return an SVG of ours as markup; anything else stays text, which the page escapes."""
    return Markup(figure) if figure.startswith("<svg") and "<script" not in figure else figure


def _picture(fired: Sequence[Firing], report: Report, claim: Triple | None, sentence: str) -> str:
    return firing_picture(fired, report.links, claim=claim, title=f"What fired for: {sentence}")


def _curves(curves: dict[str, Curve], ylabel: str) -> Markup:
    """Return a figure of discovery curves; empty where there is no curve."""
    return Markup(discovery_curves(curves, ylabel=ylabel, title=f"{ylabel} by samples drawn") if curves else "")


def _by_strength(rows: Sequence[PushRow]) -> Markup:
    """Return the figure of yield against the strength of a push; empty where fewer than two were tried."""
    tried = [(row.strength, row.kept, row.drawn) for row in rows if row.drawn]
    title = "Yield by strength of the push"
    return Markup(yield_by_strength(tried, title=title) if len(tried) > 1 else "")


def _by_entropy(bins: Sequence[tuple[float, float, float, float]]) -> Markup:
    """Return the figure of standings by entropy; empty where there is too little to tell."""
    return Markup(standing_by_entropy(bins, title="Recall, insight and hallucination by entropy") if bins else "")


def _map(points: MapPoints | None) -> Markup:
    """Return the map with the first insights marked by rank; empty where there is no map."""
    if points is None or not points.facts:
        return Markup()
    labels = [str(place + 1) if place < MARKS else "" for place in range(len(points.insights))]
    return Markup(insight_map(points.facts, points.insights, labels=labels, strengths=points.strengths))


def _far(far: Far | None) -> Markup:
    """Return strength against novelty with the first marked by rank; empty where nothing is strong and far."""
    if far is None:
        return Markup()
    labels = [str(row.rank) for row in far.first] + [""] * len(far.strengths)
    strengths = [*(row.strength for row in far.first), *far.strengths]
    novelties = [*(row.novelty for row in far.first), *far.novelties]
    return Markup(strong_and_far(strengths, novelties, labels=labels))


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
