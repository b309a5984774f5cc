"""One capability or a ladder: reinforce creativity in one field on one level, measure it in all.

    hunch run ladder --size mini --seeds 5

A small generator half learns a world of four fields on several levels; copies of it are reinforced in one cell each, in
sets of cells and in climbing order, and measured in every cell against a copy that only saw the known ideas again, each
at its own best of one grid of samplers. The report says how much of what direct training brings reaches other cells, up
and down a field and across fields, and what the intervals allow to conclude. All cores are used; the same command goes
on where it stopped. The size mini takes under 25 minutes on two cores.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field

from hunch.graphs.stopping import claimed, stopping
from hunch.memory.errors import InputError
from hunch.memory.files import replace_file
from hunch.scenarios.ladder_arms import SIZES
from hunch.scenarios.ladder_jobs import jobs_of, run_jobs
from hunch.scenarios.ladder_report import report_ladder
from hunch.scenarios.settings import Settings, to_yaml

MAY_CHANGE = ("run", "seeds", "rankings", "workers")
"""Options that may differ when a run goes on: no job rests on them."""


class Config(Settings):
    """Options of ``hunch run ladder``."""

    run: Path = Path("runs/ladder")
    """Folder of the run; the same folder again goes on where it stopped."""
    size: Literal["tiny", "mini", "paper"] = "mini"
    """How large fields, training and measuring are: tiny shows in a minute that all works and measures nothing; paper
    takes days of a core."""
    seeds: int = Field(5, ge=1)
    """Worlds and generators that all arms are repeated with; more may be asked for later."""
    shared: tuple[float, ...] = (0.0, 0.5, 1.0)
    """Shares of vocabulary that fields have in common: the whole matrix at the first, a few arms at the others."""
    model: Path | None = None
    """Folder of a Hugging Face causal language model to begin with; without it a small one is trained from scratch."""
    rankings: Path | None = None
    """Folder of a run whose experts ranked several fields: does a reward learned in all but one carry over to it?"""
    workers: int = Field(0, ge=0)
    """Jobs at a time, one core each; 0 takes all cores."""


def main(config: Config) -> int:
    """Run what is not there yet, write the report and print what was found."""
    _check(config)
    with stopping(config.run), claimed(config.run):
        _begin(config)
        run_jobs(config.run, SIZES[config.size], config.model, jobs_of(config), config.workers)
        report(config, config.run)
    return 0


def report(config: Config, run: Path) -> None:
    """Write the report of a run and print its result."""
    report_ladder(config, run)


def _check(config: Config) -> None:
    if config.run.exists() and not config.run.is_dir():
        raise InputError(f"--run is {config.run}, but that is a file; give a folder.")
    if not config.shared or not all(0 <= share <= 1 for share in config.shared):
        raise InputError(f"--shared is {config.shared}, but shares between 0 and 1 are needed; give at least one.")
    if len(set(config.shared)) < len(config.shared):
        raise InputError(f"--shared is {config.shared}, but each share is measured once; leave out what is said twice.")
    if config.model is not None and not config.model.is_dir():
        raise InputError(f"--model is {config.model}, but there is no such folder; give one with a causal model.")
    if config.rankings is not None and not (config.rankings / "memory.sqlite").is_file():
        raise InputError(f"--rankings is {config.rankings}, but no run with a ledger is there; give a run's folder.")


def _begin(config: Config) -> None:
    """Write the options into the run's folder; refuse others than its jobs were begun with."""
    file = config.run / "config.yaml"
    text = f"scenario: ladder\n{to_yaml(config)}"
    now = yaml.safe_load(text)
    if file.exists() and any((config.run / "jobs").glob("*.json")):
        was = yaml.safe_load(file.read_text(encoding="utf-8"))
        for name in sorted((set(was) | set(now)) - set(MAY_CHANGE)):
            if was.get(name) != now.get(name):
                raise InputError(
                    f"{name} is {now.get(name)!r}, but the run in {config.run} was begun with {was.get(name)!r}; "
                    "give the same, or another --run."
                )
    replace_file(file, text.encode())
