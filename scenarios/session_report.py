"""What the sessions of ``hunch run experts`` brought, read from the run's ledgers alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hunch.agent.learning.carrying import mean_of, of_other_fields, of_other_sheets
from hunch.agent.learning.taste import Taste
from hunch.agent.simulated import Workshop
from hunch.memory.agreement import agreements, told
from hunch.memory.encoder import LexicalEncoder
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.memory.records import Draw
from hunch.memory.reliability import Estimate, RaterModel
from hunch.memory.richness import mining_curve, sessions
from hunch.scenarios import reporting
from hunch.scenarios.parts import Arm
from hunch.scenarios.results import arm_folder, result_of
from hunch.views.figures import means_and_intervals
from hunch.views.report import Section

if TYPE_CHECKING:
    from hunch.scenarios.experts import Config

INSIGHT = 1.0
"""Hidden utility, in standard deviations, from which an idea counts as an insight."""


def report_sessions(config: Config, run: Path, arms: Sequence[Arm]) -> None:
    """Write the report of a run and print its result."""
    there = [arm.name for arm in arms if (arm_folder(run, arm.name) / "memory.sqlite").exists()]
    results = [result_of(run, name) for name in there]
    with Ledger(arm_folder(run, there[-1]) / "memory.sqlite", read_only=True) as ledger, ledger.reading():
        store = Rankings(ledger)
        sheets, rankings, every = store.sheets(), store.all(), store.all(replaced=True)
        texts = [fact.text for fact in Knowledge(ledger).observed()]
    ranked = {one.sheet_id for one in rankings}
    sheets = [sheet for sheet in sheets if sheet.id in ranked]
    sections, summary = (
        [],
        [f"{len(rankings)} rankings of {len(sheets)} sheets in {len({s.field for s in sheets})} fields."],
    )
    if not config.live:
        summary.insert(0, "SIMULATED experts: no person has ranked anything here.")
        drawn = {name: _draws(arm_folder(run, name)) for name in there}
        section, said = utilities(Workshop(fields=config.sparks, common=config.common, seed=config.seed), drawn)
        sections.append(section)
        summary.append(said)
    section, said = mined(sheets, rankings)
    sections += [section, _agreement(every), _carried(config, sheets, rankings, texts)]
    reporting.write(
        run,
        title="Rank twenty, again and again",
        question="What do experts hold to be insights, and does the generator learn to have more of them?",
        scenario="experts",
        summary=[*summary, said],
        results=results,
        arms=arms,
        sections=sections,
        notes=(
            "What pleases is not thereby true: where the world or the store has a verdict, it outranks the ranking.",
            "How many insights remain is a lower bound, and holds for the same question and an unchanged generator.",
        ),
    )
    reporting.tell(run, [*summary, said], results)


def _draws(folder: Path) -> list[Draw]:
    with Ledger(folder / "memory.sqlite", read_only=True) as ledger:
        return ledger.draws()


def utilities(world: Workshop, drawn: dict[str, list[Draw]]) -> tuple[Section, str]:
    """Return the hidden utility per sample by session, and the gain of the last over the untrained or the first."""
    lines: dict[str, list[tuple[float, float, float, float]]] = {}
    for name, draws in drawn.items():
        by_round: dict[int, list[str]] = {}
        for draw in draws:
            by_round.setdefault(draw.round, []).append(draw.text)
        for round, texts in by_round.items():
            utility = world.utility(texts)
            error = 1.96 * utility.std() / np.sqrt(len(utility))
            mean = float(utility.mean())
            lines.setdefault(name, []).append((round + 1, mean, mean - error, mean + error))
    last = lines["full"][-1][1]
    before = lines["untrained"][-1][1] if "untrained" in lines else lines["full"][0][1]
    against = "the untrained generator's in the same session" if "untrained" in lines else "that of the first session"
    figure = means_and_intervals(
        lines, xlabel="session", ylabel="hidden utility per sample (sd)", title="Hidden utility per sample by session"
    )
    lead = (
        "The mean over all answers drawn in a session, in standard deviations over all ideas of a field, with its 95 % "
        "interval; what is no idea counts as -3. No part of the loop sees it."
    )
    said = (
        f"In the last session the hidden utility per sample is {last:.2f} sd, {last - before:+.2f} against {against}."
    )
    return Section(title="What the generator learned of the hidden utility", lead=lead, figure=figure), said


def mined(sheets: Sequence[Sheet], rankings: Sequence[Ranking]) -> tuple[Section, str]:
    """Return what each session brought, and how much the experts' acceptances say remains."""
    rows: list[tuple[str | float | None, ...]] = []
    remains = 0.0
    for field in dict.fromkeys(sheet.field for sheet in sheets):
        curve = mining_curve(sessions(sheets, rankings, field=field))
        left = curve.remaining
        remains += left.value
        new = " ".join(str(one.new) for one in curve.sessions)
        rows.append(
            (field, new, curve.seen, f"{left.value:.0f} [{left.low:.0f}, {left.high:.0f}]", f"{curve.coverage:.2f}")
        )
    columns = ("field", "new insights by session", "in all", "not met yet, at least", "coverage")
    lead = "What experts accepted, each once. The estimate is Chao1's, with a 95 % interval; coverage is Good-Turing's."
    total = sum(int(row[2]) for row in rows if row[2] is not None)
    said = f"{total} distinct ideas were accepted; at least {remains:.0f} more are there to be found, by Chao1."
    return Section(title="How much can still be mined", lead=lead, columns=columns, rows=tuple(rows)), said


def _agreement(every: Sequence[Ranking]) -> Section:
    rows = tuple((told(one),) for one in agreements(every, np.random.default_rng(0)))
    lead = "Experts differ, with each other and with themselves; no model can agree with them more than that allows."
    return Section(title="How far experts agree", lead=lead, columns=("agreement",), rows=rows)


def _carried(config: Config, sheets: Sequence[Sheet], rankings: Sequence[Ranking], texts: Sequence[str]) -> Section:
    """Return how well taste that was learned in other fields, or on other sheets, orders what it has not seen."""
    make = partial(Taste, LexicalEncoder.fitted(texts, 256), width=config.width_of_taste)
    rng = np.random.default_rng(0)
    own = mean_of(of_other_sheets(make, sheets, rankings), rng)
    rows = [("all fields, other sheets", _shown(own))]
    for field, taus in of_other_fields(make, sheets, rankings).items():
        rows.append((f"{field}, from the other fields alone", _shown(mean_of(taus, rng))))
    lead = "Kendall's tau between the reward model and rankings that it has not seen, with a 95 % interval."
    if not config.live and config.noise:
        top = RaterModel(noise_sd=config.noise, ties=config.ties).ceiling
        lead += f" A model that knew the hidden utility would reach {top:.2f} against one of these simulated experts."
    return Section(title="Does taste carry over?", lead=lead, columns=("held out", "tau"), rows=tuple(rows))


def _shown(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
