"""From a run's folder to its report: read the ledgers, measure, write ``report.html`` and ``results.json``."""

from __future__ import annotations

import importlib
import json
import platform
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console
from rich.table import Table

from hunch.agent.forms import sentence_of
from hunch.memory.errors import InputError
from hunch.memory.experience import Archive
from hunch.memory.files import replace_file
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.records import Draw, Experience, Fact, Standing
from hunch.scenarios import SCENARIOS
from hunch.scenarios.discoveries import Discovery, sought
from hunch.scenarios.parts import CONTROLS, FULL, Arm
from hunch.scenarios.results import ArmResult, arm_folder, arms_in, begun, events_of, has_jobs, keys_of, result_of
from hunch.views.progress import plain
from hunch.views.report import (
    ArmSummary,
    DiscoveryRow,
    InsightRow,
    PushRow,
    RecipeRow,
    RejectedRow,
    Report,
    Section,
    UpdateRow,
    far_of,
    map_points,
    write_report,
)

SHOWN = 60
"""Insights listed in the report."""
UPDATES = 12
"""Changes of the weights that are listed."""
LIBRARIES = ("hunch-agent", "torch", "transformers", "langgraph", "faiss-cpu", "numpy")


def rebuild(run: Path) -> str:
    """Write the report of a run's folder anew and return its path.

    Raises:
        InputError: if the folder holds no run.
    """
    if not begun(run) or not (has_jobs(run) or FULL.name in arms_in(run)):
        raise InputError(f"{run} holds no run that has drawn anything; give the folder that `hunch run` wrote.")
    file = run / "config.yaml"
    try:
        stored = yaml.safe_load(file.read_text(encoding="utf-8"))
        name = stored.pop("scenario")
        if name not in SCENARIOS:
            raise ValueError(f"{name!r} is no scenario")
        scenario = importlib.import_module(f"hunch.scenarios.{name}")
        config = scenario.Config.model_validate(stored)
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = str(error).splitlines()[0]
        raise InputError(f"{file} cannot be read ({why}); put back what `hunch run` wrote there.") from error
    scenario.report(config, run)
    return str(run / "report.html")


def results_of(run: Path, truths: Sequence[Fact] | None = None) -> list[ArmResult]:
    """Return what each arm of a run found."""
    keys = None
    if truths is not None:
        with Ledger(arm_folder(run, arms_in(run)[-1]) / "memory.sqlite", read_only=True) as ledger:
            keys = keys_of(Knowledge(ledger), truths)
    return [result_of(run, arm, keys) for arm in arms_in(run)]


def write(
    run: Path,
    *,
    title: str,
    question: str,
    scenario: str,
    summary: Sequence[str],
    results: Sequence[ArmResult],
    truths: Sequence[Fact] | None = None,
    discoveries: Sequence[Discovery] = (),
    notes: Sequence[str] = (),
    arms: Sequence[Arm] = (*CONTROLS, FULL),
    sections: Sequence[Section] = (),
) -> None:
    """Write ``report.html`` and ``results.json`` into a run's folder."""
    main = results[-1]
    with Ledger(arm_folder(run, main.name) / "memory.sqlite", read_only=True) as ledger, ledger.reading():
        knowledge = Knowledge(ledger)
        facts = knowledge.observed()
        links = {fact.id: fact.triple for fact in knowledge.facts() if fact.triple}
        true = keys_of(knowledge, truths) if truths is not None else None
        draws = Archive(ledger).draws()
        shown = main.insights[:400]
        words = [e.hypothesis.text for e in shown]
        points = map_points(
            knowledge.encoder.encode([fact.text for fact in facts]),
            knowledge.encoder.encode(words) if words else [],
            words,
            [e.grounding.strength for e in shown],
        )
    config = (run / "config.yaml").read_text(encoding="utf-8")
    rows = tuple(
        InsightRow(
            rank=rank,
            sentence=e.hypothesis.text,
            strength=e.grounding.strength,
            p_value=e.grounding.p_value,
            novelty=e.grounding.novelty,
            round=e.round,
            paths=e.fired,
            claim=e.hypothesis.triple,
            true=None if true is None else e.id in true,
        )
        for rank, e in enumerate(main.insights, start=1)
    )
    told = [sought(discovery, results) for discovery in discoveries]
    drawn = [
        firing for several in (*(row.paths for row in rows[:SHOWN]), *(row.fired for row in told)) for firing in several
    ]
    events = events_of(arm_folder(run, main.name))
    updates = _updates(events, main.insights)
    described = {arm.name: arm for arm in arms}
    report = Report(
        title=title,
        question=question,
        command=f"hunch run {scenario} --config {shlex.quote(str(run / 'config.yaml'))} --run NEW_FOLDER",
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        summary=tuple(summary),
        arms=tuple(
            ArmSummary(
                name=result.name,
                description=described[result.name].description,
                samples=result.samples,
                distinct=result.distinct,
                distinct_novel=result.distinct_novel,
                kept=result.kept,
                true_kept=result.true_kept,
                precision=result.precision,
                seconds=result.seconds,
                learned=described[result.name].learns,
                memorised=result.memorised,
                entropy_nats=result.entropy_nats,
            )
            for result in results
        ),
        by_entropy=_by_entropy(draws),
        recipes=_recipes(events),
        pushes=_pushes(events),
        updates=tuple(updates[i] for i in np.unique(np.linspace(0, len(updates) - 1, UPDATES).astype(int)))
        if updates
        else (),
        updates_total=len(updates),
        insights=rows[:SHOWN],
        links={id: links[id] for firing in drawn for id in firing.fact_ids if id in links},
        far=far_of(rows),
        insights_total=len(main.insights),
        discoveries=tuple(told),
        curves={result.name: result.curve for result in results},
        true_curves={result.name: result.true_curve for result in results if result.true_curve},
        sections=tuple(sections),
        rejected=tuple(_rejected(draws)),
        map=points if words else None,
        config=config,
        cost={
            "samples drawn": str(sum(result.samples for result in results)),
            "seconds in the loop": f"{sum(result.seconds for result in results):.0f}",
            "facts in the store": str(len(facts)),
            "size of the run's folder": f"{sum(f.stat().st_size for f in run.rglob('*') if f.is_file()) / 1e6:.0f} MB",
        },
        versions={"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        notes=tuple(notes),
    )
    write_report(run / "report.html", report)
    replace_file(run / "results.json", json.dumps([_figures(result) for result in results], indent=1).encode())


def _figures(result: ArmResult) -> dict[str, object]:
    return {
        "arm": result.name,
        "samples": result.samples,
        "distinct": result.distinct,
        "distinct_novel": result.distinct_novel,
        "kept": result.kept,
        "true_novel": result.true_novel,
        "true_kept": result.true_kept,
        "precision": result.precision,
        "seconds": result.seconds,
        "memorised": result.memorised,
        "entropy_nats": result.entropy_nats,
        "curve": result.curve,
        "true_curve": result.true_curve,
    }


def _by_entropy(draws: Sequence[Draw], bins: int = 10) -> tuple[tuple[float, float, float, float], ...]:
    """Return mean entropy and the shares of recall, insight and hallucination of equal groups, by rising entropy."""
    ordered = sorted(draws, key=lambda draw: draw.entropy_nats)
    if len(draws) < 10 * bins or ordered[0].entropy_nats == ordered[-1].entropy_nats:
        return ()
    rows = []
    for some in np.array_split(np.arange(len(ordered)), bins):
        group = [ordered[i] for i in some]
        shares = [
            sum(draw.standing is standing for draw in group) / len(group)
            for standing in (Standing.RECALL, Standing.INSIGHT, Standing.HALLUCINATION)
        ]
        rows.append((sum(draw.entropy_nats for draw in group) / len(group), *shares))
    return tuple(rows)


def _recipes(events: Sequence[dict[str, Any]]) -> tuple[RecipeRow, ...]:
    """Return what each recipe brought, as the last round of a run told it."""
    told = events[-1].get("recipes", ()) if events else ()
    return tuple(RecipeRow(recipe=recipe, kept=kept, drawn=drawn) for recipe, kept, drawn in told)


def _pushes(events: Sequence[dict[str, Any]]) -> tuple[PushRow, ...]:
    """Return what pushes of the first kind brought, as the last round of a run told it."""
    told = events[-1].get("pushes", ()) if events else ()
    rows = [PushRow(kind=kind, strength=strength, kept=kept, drawn=drawn) for kind, strength, kept, drawn in told]
    return tuple(row for row in rows if row.kind == rows[0].kind)


def _updates(events: Sequence[dict[str, Any]], insights: Sequence[Experience]) -> list[UpdateRow]:
    """Return every change of the full loop's weights, from its log of rounds and what was kept, strongest first."""
    kept: dict[int, list[str]] = {}
    with_version: dict[int, int] = {}
    for insight in insights:
        kept.setdefault(insight.round, []).append(insight.hypothesis.text)
        version = insight.hypothesis.weights_version
        with_version[version] = with_version.get(version, 0) + 1
    rows, before = [], 0
    for event in events:
        version = event.get("weights_version", before)
        if version > before:
            said = kept.get(event["round"], [])
            rows.append(
                UpdateRow(
                    version=version,
                    round=event["round"],
                    learned_from=len(said),
                    examples=tuple(said[:2]),
                    loss=event.get("loss"),
                    kept_with=with_version.get(version, 0),
                )
            )
        before = version
    return rows


def _rejected(draws: Sequence[Draw], most: int = 24) -> list[RejectedRow]:
    """Return a sample of what was not kept: evenly spaced, half recall and half hallucination."""
    rows = []
    for standing in (Standing.HALLUCINATION, Standing.RECALL):
        some = list({draw.key: draw for draw in draws if not draw.kept and draw.standing is standing}.values())
        for at in np.unique(np.linspace(0, len(some) - 1, most // 2).astype(int)) if some else ():
            draw = some[at]
            text = sentence_of(draw.triple) if draw.triple else draw.text
            rows.append(
                RejectedRow(
                    text=text, reason=draw.reason, strength=draw.strength, p_value=draw.p_value, standing=draw.standing
                )
            )
    return rows


def tell(run: Path, summary: Sequence[str], results: Sequence[ArmResult], rows: Sequence[DiscoveryRow] = ()) -> None:
    """Print a run's result: the discoveries sought, the arms, and where the report is."""
    console = Console(markup=False, emoji=False)  # facts and paths may hold brackets
    if rows:
        table = Table(title="Published later")
        for column in ("connection", "year", "rank", "what fired"):
            table.add_column(column, overflow="fold")
        for row in rows:
            rank = f"{row.rank} of {row.of}" if row.found else "not found"
            table.add_row(plain(row.name), str(row.year), rank, plain(row.path))
        console.print(table)
    table = Table(title="Arms")
    for column in ("arm", "samples", "distinct", "novel", "kept", "true kept", "precision", "seconds"):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for result in results:
        known = ("-", "-") if result.true_kept is None else (str(result.true_kept), f"{result.precision:.3f}")
        counts = (result.samples, result.distinct, result.distinct_novel, result.kept)
        table.add_row(result.name, *map(str, counts), *known, f"{result.seconds:.0f}")
    console.print(table)
    for sentence in summary:
        console.print(plain(sentence))
    console.print(f"report: {run / 'report.html'}", soft_wrap=True)
