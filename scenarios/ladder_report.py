"""The report of a ladder: the conclusion that the intervals allow, then the figures that it rests on."""

from __future__ import annotations

import json
import platform
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.table import Table

from hunch.agent.environments.ladder import LEVELS
from hunch.agent.learning.carrying import mean_of, of_other_fields
from hunch.agent.learning.taste import Taste
from hunch.agent.recipe import described
from hunch.memory.agreement import agreements, told
from hunch.memory.encoder import LexicalEncoder
from hunch.memory.files import replace_file
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.memory.reliability import Estimate
from hunch.scenarios import transfer
from hunch.scenarios.ladder_arms import GRID
from hunch.scenarios.ladder_figures import Found, by_levels, dosed, everything, found_in, mean, places, taus
from hunch.scenarios.ladder_jobs import CLIMB, FROZEN, LOOSE, REPLAY, RUNGS, TOGETHER, cell_arm
from hunch.scenarios.transfer import ACROSS, shown
from hunch.views.figures import heat_map, means_and_intervals
from hunch.views.progress import plain
from hunch.views.report import Report, Section, write_report

if TYPE_CHECKING:
    from hunch.scenarios.ladder import Config

QUESTION = "Is having new ideas one capability, trained once, or a ladder of capabilities in each field?"
Rows = tuple[tuple[str | float | None, ...], ...]


def report_ladder(config: Config, run: Path) -> None:
    """Write ``report.html`` and ``ladder.json``, and print what was found."""
    found = found_in(config, run)
    best, at_one = taus(found, "best"), taus(found, "plain")
    vocabulary = "without shared vocabulary" if found.main == 0 else f"sharing {found.main:g} of the vocabulary"
    summary = [*transfer.conclusions(best, at_one, vocabulary), _of_shares(found), _of_controls(found)]
    if config.size == "tiny":
        summary.insert(0, "TINY: this shows that all works; its figures measure nothing.")
    made = _command(config)
    sections = [
        _classes(found, best, at_one),
        _matrix(found),
        _levels(found),
        _dose(found),
        _controls(found),
        _sets(found),
        _cells(found),
        *([] if config.rankings is None else [_rankings(config.rankings)]),
    ]
    sections = [one.model_copy(update={"lead": f"{one.lead} Made by: {made}"}) for one in sections]
    page = Report(
        title="Process or ladder",
        question=QUESTION,
        command=made,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        summary=tuple(summary),
        arms=(),
        insights=(),
        sections=tuple(sections),
        config=(run / "config.yaml").read_text(encoding="utf-8"),
        cost={"seeds": str(len(found.seeds)), "arms": str(len(found.by_job)), "core-seconds": f"{found.seconds():.0f}"},
        versions={"python": platform.python_version()}
        | {name: version(name) for name in ("hunch-agent", "torch", "transformers", "numpy")},
        notes=_limits(config, found),
    )
    write_report(run / "report.html", page)
    replace_file(run / "ladder.json", json.dumps({"summary": summary, **everything(found)}, indent=1).encode())
    _tell(run, found, summary, best, at_one)


def _command(config: Config) -> str:
    words = ["hunch", "run", "ladder", "--size", config.size, "--seeds", str(config.seeds)]
    words += ["--shared", ",".join(f"{share:g}" for share in config.shared)]
    for name in ("model", "rankings"):
        if (value := getattr(config, name)) is not None:
            words += [f"--{name}", str(value)]
    return shlex.join(words)


def _of_shares(found: Found) -> str:
    """Return what more common vocabulary does to the flow across fields."""
    at = dosed(found, "best")
    told_ = [
        f"{share:g}: {shown(found_at[ACROSS])}" for share, found_at in at.items() if found_at.get(ACROSS) is not None
    ]
    least, most = (at[share].get(ACROSS) for share in (min(at), max(at)))
    if least is None or most is None or len(at) < 2:
        return "How the flow across fields depends on common vocabulary was not measured, or is undecided."
    grows = (
        "grows with"
        if most.low > least.high
        else "falls with"
        if most.high < least.low
        else "is not shown to depend on"
    )
    return f"Across fields the flow to the same level {grows} the vocabulary that they share: tau = {'; '.join(told_)}."


def _of_controls(found: Found) -> str:
    """Return what the reinforcement without an anchor does to the other fields."""
    other = [j for j, cell in enumerate(found.cells) if cell[0] != "A"]
    lost = mean(found.gains(LOOSE, "best")[:, other])
    word = "are damaged" if lost.high < 0 else "gain" if lost.low > 0 else "are not shown to change"
    return (
        f"Reinforced in A1 without an anchor of known ideas, the other fields {word}: creativity changes by "
        f"{shown(lost)} against replay only, best of grid."
    )


def _classes(found: Found, best: dict[str, Estimate | None], at_one: dict[str, Estimate | None]) -> Section:
    gains = {how: found.gains_of_cells(how) for how in ("best", "plain")}
    seeds = transfer.by_seed(gains["best"], found.cells, found.cells)
    rows: Rows = tuple(
        (
            name,
            shown(best[name]),
            shown(at_one[name]),
            shown(transfer.tau_difference(gains["plain"], gains["best"], found.cells, found.cells, name)),
            ", ".join("-" if one is None else f"{one:.2f}" for one in seeds.get(name, [])),
            transfer.verdict(best[name]),
        )
        for name in best
    )
    lead = (
        "tau is the gain where nothing was reinforced over the gain of reinforcing there, both against replay only: "
        "the ratio of means over seeds and routes, with bootstrap 95 % intervals over both. At T = 1 a model whose "
        "entropy rose looks more creative than it is; at each model's own best sampler it does not."
    )
    columns = ("route", "tau, best of grid", "tau at T = 1", "T = 1 less best", "by seed, best of grid", "gains")
    return Section(title="Where gains flow", lead=lead, columns=columns, rows=rows)


def _matrix(found: Found) -> Section:
    gains = found.gains_of_cells("best")
    table = transfer.matrix(gains, found.cells, found.cells)
    values = [[np.nan if one is None else one.value for one in row] for row in table]
    texts = [
        ["-" if one is None else f"{one.value:.2f}{'*' if one.low > 0 or one.high < 0 else ''}" for one in row]
        for row in table
    ]
    names = list(found.cells)
    figure = heat_map(
        np.clip(values, -1, 1), rows=names, columns=names, texts=texts, title="Transfer from each cell to each cell"
    )
    own = ", ".join(f"{cell} {gains[:, i, i].mean():+.2f}" for i, cell in enumerate(found.cells))
    lead = (
        "Rows: the cell that was reinforced; columns: the cell that was measured. tau of each route, best of grid; a "
        "star where its interval over seeds leaves out 0; all intervals are in ladder.json. Gains of direct training, "
        f"which are the 1s of the diagonal: {own}."
    )
    return Section(title="The transfer matrix", lead=lead, figure=figure)


def _levels(found: Found) -> Section:
    best, at_one = by_levels(found, "best"), by_levels(found, "plain")
    rows: Rows = tuple(
        (
            f"{_level(one)} to {_level(other)}",
            "same field" if same else "across fields",
            shown(best[one, other, same]),
            shown(at_one[one, other, same]),
        )
        for one, other, same in best
    )
    lead = "The same, level by level. The levels: " + "; ".join(
        f"{number} {name}" for number, name in enumerate(LEVELS[: found.world.levels], start=1)
    )
    columns = ("from level to level", "", "tau, best of grid", "tau at T = 1")
    return Section(title="Level by level", lead=f"{lead}.", columns=columns, rows=rows)


def _level(number: str) -> str:
    return f"{number} ({LEVELS[int(number) - 1]})"


def _dose(found: Found) -> Section:
    lines: dict[str, list[tuple[float, float, float, float]]] = {}
    rows: list[tuple[str | float | None, ...]] = []
    best, at_one = dosed(found, "best"), dosed(found, "plain")
    for share in best:
        for name, one in best[share].items():
            rows.append((share, name, shown(one), shown(at_one[share][name])))
            if one is not None:
                lines.setdefault(name, []).append((share, one.value, one.low, one.high))
    figure = means_and_intervals(
        lines,
        xlabel="share of vocabulary that fields have in common",
        ylabel="tau, best of grid",
        title="Dose-response",
    )
    lead = (
        "tau by the share of families (parents with their children) that all fields have in common, by the same few "
        "arms at each share: one cell of level 1 and one of level 2."
    )
    columns = ("shared", "route", "tau, best of grid", "tau at T = 1")
    return Section(title="Dose and response", lead=lead, figure=figure, columns=columns, rows=tuple(rows))


def _controls(found: Found) -> Section:
    groups = {
        "A1": [found.cells.index("A1")],
        "A, other levels": [j for j, cell in enumerate(found.cells) if cell[0] == "A" and cell != "A1"],
        "other fields": [j for j, cell in enumerate(found.cells) if cell[0] != "A"],
    }
    arms = {
        FROZEN: "nothing is trained; only the sampler changes",
        REPLAY: "the anchor's steps alone",
        cell_arm("A1"): "A1 is reinforced",
        LOOSE: "A1 is reinforced without an anchor",
    }
    rows: Rows = tuple(
        (
            f"{arm}: {said}",
            group,
            shown(mean(found.values(arm, "best")[:, some])),
            shown(mean(found.gains(arm, "best")[:, some])),
            shown(mean(found.values(arm, "plain")[:, some])),
            shown(mean(found.gains(arm, "plain")[:, some])),
        )
        for arm, said in arms.items()
        for group, some in groups.items()
        if some
    )
    lead = "Creativity, and how it differs from replay only; intervals over seeds and cells."
    columns = ("arm", "measured in", "best of grid", "against replay", "T = 1", "against replay")
    return Section(title="Controls", lead=lead, columns=columns, rows=rows)


def _sets(found: Found) -> Section:
    rungs = [j for j in places(found, "A") if int(found.cells[j][1:]) <= RUNGS]
    top = rungs[-1]
    alone = cell_arm(found.cells[top])
    rows: list[tuple[str | float | None, ...]] = []
    for arm, said, some in (
        ("set-level-1", "level 1 of all fields together", places(found, "1")),
        (TOGETHER, "the rungs of A together", rungs),
        ("set-all", "all cells together", list(range(len(found.cells)))),
    ):
        got = found.gains(arm, "best")[:, some]
        direct = np.stack([found.gains(cell_arm(found.cells[j]), "best")[:, j] for j in some], axis=1)
        share, _ = transfer.tau(got[:, None, :], direct, [(0, j) for j in range(len(some))], np.random.default_rng(55))
        rows.append((f"{arm}: {said}", "its own cells", shown(mean(got)), f"{shown(share)} of direct training"))
    for arm, said in (
        (CLIMB, "the rungs of A one after the other"),
        (TOGETHER, "the rungs of A together"),
        (alone, "the top rung alone"),
    ):
        gain = found.gains(arm, "best")
        against = mean(gain[:, [top]] - found.gains(alone, "best")[:, [top]])
        versus = "" if arm == alone else f"{shown(against)} against the top rung alone"
        rows.append((f"{arm}: {said}", f"the top rung, {found.cells[top]}", shown(mean(gain[:, [top]])), versus))
        rows.append((f"{arm}: {said}", "all rungs of A", shown(mean(gain[:, rungs])), ""))
    lead = "Every arm has the same number of updates and rollouts. Gains over replay only, best of grid."
    columns = ("arm", "measured in", "gain", "compared")
    return Section(title="Sets of cells, and climbing", lead=lead, columns=columns, rows=tuple(rows))


def _cells(found: Found) -> Section:
    rows: list[tuple[str | float | None, ...]] = []
    arms = {"before": FROZEN, "replay": REPLAY}
    for j, cell in enumerate(found.cells):
        direct = cell_arm(cell)
        before = [shown(mean(found.values(arm, "best")[:, [j]])) for arm in arms.values()]
        after = shown(mean(found.values(direct, "best")[:, [j]]))
        at_one = shown(mean(found.values(direct, "plain")[:, [j]]))
        samplers = f"{found.samplers(FROZEN, cell)} / {found.samplers(direct, cell)}"
        rows.append((cell, f"{found.world.oracle(cell):.3f}", *before, after, at_one, samplers))
    lead = (
        "The ceiling is what even draws over all ideas of the cell are expected to reach. The grid: "
        + "; ".join(described(recipe) for recipe in GRID)
        + "."
    )
    columns = (
        "cell", "ceiling", "before", "replay only", "reinforced in it", "that at T = 1", "best sampler before / after"
    )  # fmt: skip
    return Section(title="Ceilings and samplers", lead=lead, columns=columns, rows=tuple(rows))


def _rankings(run: Path) -> Section:
    """Return the same question for a reward that was learned from people: from all fields but one to that one."""
    with Ledger(run / "memory.sqlite", read_only=True) as ledger, ledger.reading():
        store = Rankings(ledger)
        sheets, rankings, every = store.sheets(), store.all(), store.all(replaced=True)
        texts = [fact.text for fact in Knowledge(ledger).observed()]
    ranked = {one.sheet_id for one in rankings}
    sheets = [sheet for sheet in sheets if sheet.id in ranked]
    texts = texts or [card.text for sheet in sheets for card in sheet.cards]
    rng = np.random.default_rng(0)
    rows: list[tuple[str | float | None, ...]] = [("agreement", told(one)) for one in agreements(every, rng)]
    if sheets:
        make = partial(Taste, LexicalEncoder.fitted(texts, 256), width=128)
        for field, values in of_other_fields(make, sheets, rankings).items():
            one = mean_of(values, rng)
            rows.append((f"{field}, from the other fields alone", "-" if one is None else f"tau {shown(one)}"))
    if len({sheet.field for sheet in sheets}) < 2:
        rows.append(("fields", "rankings of at least two fields are needed; there are fewer"))
    lead = (
        f"Kendall's tau between the reward model and the experts' orders in {run}, each field held out in turn; beside "
        "it how far experts agree, and the ceiling that leaves."
    )
    return Section(title="A reward learned from people", lead=lead, columns=("held out", "found"), rows=tuple(rows))


def _limits(config: Config, found: Found) -> tuple[str, ...]:
    return (
        f"{len(found.seeds)} seeds: bootstrap intervals of so few are somewhat too narrow.",
        "A small model of an artificial world: fields without common vocabulary leave transfer no channel but the "
        "circuits that all cells share. What holds here need not hold for a model that was trained on language.",
        "The best of a grid is the largest of several noisy figures, by about 0.01, for every arm alike.",
        *(
            ()
            if config.model is None
            else (
                f"The generator is {config.model}, trained on the known ideas as text; words may be several tokens, "
                "and coherence falls with their number.",
            )
        ),
    )


def _tell(
    run: Path,
    found: Found,
    summary: Sequence[str],
    best: dict[str, Estimate | None],
    at_one: dict[str, Estimate | None],
) -> None:
    console = Console(markup=False, emoji=False)
    table = Table(title=f"tau, {len(found.seeds)} seeds")
    for column in ("route", "best of grid", "T = 1"):
        table.add_column(column)
    for name in best:
        table.add_row(name, shown(best[name]), shown(at_one[name]))
    console.print(table)
    for sentence in summary:
        console.print(plain(sentence))
    console.print(f"report: {run / 'report.html'}", soft_wrap=True)
