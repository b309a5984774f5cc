"""The benchmarks' command line: ``python -m bench NAME``, from the repository's root.

``python -m bench --help`` tells of each. Each shows progress, prints its figures and writes them as JSON, with the
machine and the commit they come from.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from bench import (
    creativity,
    demo,
    discover,
    durability,
    environments,
    experts,
    firing,
    hallucination,
    reinforcement,
    scale,
)
from bench.machine import machine
from hunch.memory.errors import HunchError, InputError
from hunch.memory.files import replace_file


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one line."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; see `python -m bench --help`.")


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the command line names and return the exit code: 0 done, 2 wrongly asked."""
    try:
        given = _parser().parse_args(argv)
        _measure(given)
    except HunchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> _Parser:
    parser = _Parser(prog="python -m bench", description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    for name, about, seeds in (
        ("demo", "the literature scenario and its arms", 3),
        ("discover", "hidden truths of a folder of triples: train.txt, valid.txt, test.txt, labels.txt", 1),
    ):
        command = commands.add_parser(name, help=about, description=about)
        command.add_argument("--json", type=Path, required=True, help="file to write the figures to")
        command.add_argument("--seeds", type=_count, default=seeds, help=f"runs, of seeds 0, 1, ... (default {seeds})")
        command.add_argument("--samples", type=_count, default=None, help="hypotheses drawn by each arm")
        command.add_argument("--runs", type=Path, default=None, help="keep the runs in this folder")
        command.add_argument("--cache", type=Path, default=None, help="trained generators; a fresh one unless given")
        if name == "discover":
            command.add_argument("--data", type=Path, required=True, help="folder of the triples")
    about = "true and false claims of a folder: train.txt, test.txt; valid.txt, *_negatives.txt, labels.txt if there"
    command = commands.add_parser("firing", help=about, description=about)
    command.add_argument("--data", type=Path, required=True, help="folder of the triples")
    command.add_argument("--json", type=Path, required=True, help="file to write the figures to")
    command.add_argument("--cache", type=Path, default=None, help="trained generators; a fresh one unless given")
    about = "what learning adds, against controls, and TRL side by side"
    command = commands.add_parser("reinforcement", help=about, description=about)
    command.add_argument("--data", type=Path, default=None, help="folder of the triples for `discover`")
    command.add_argument("--json", type=Path, required=True, help="file to write the figures to")
    command.add_argument("--seeds", type=_count, default=3, help="runs, of seeds 0, 1, ... (default 3)")
    command.add_argument("--samples", type=_count, default=None, help="hypotheses drawn by each arm")
    command.add_argument("--tasks", nargs="+", choices=reinforcement.TASKS, default=list(reinforcement.TASKS))
    command.add_argument("--rules", action="store_true", help="compare the rules instead of the arms")
    command.add_argument("--cache", type=Path, default=None, help="trained generators; a fresh one unless given")
    about = "samplers, speed of sampling, latent perturbation"
    command = commands.add_parser("hallucination", help=about, description=about)
    command.add_argument("--json", type=Path, required=True, help="file to write the figures to")
    command.add_argument("--seeds", type=_count, default=5, help="worlds that perturbation is measured on (default 5)")
    about = "kills, damaged files, a full disk, and a week of rounds: what is lost"
    command = commands.add_parser("durability", help=about, description=about)
    command.add_argument("--json", type=Path, required=True, help="file to write the figures to")
    command.add_argument("--kills", type=_count, default=100, help="random moments to kill at (default 100)")
    command.add_argument("--faults", type=_count, default=300, help="files to damage (default 300)")
    command.add_argument("--full", type=_count, default=50, help="writes to a full disk (default 50)")
    command.add_argument("--rounds", type=_count, default=20_000, help="rounds of the week (default 20000)")
    command.add_argument("--parts", nargs="+", choices=durability.PARTS, default=list(durability.PARTS))
    about = "search and learning in worlds that answer, and the audit of verifiers"
    command = commands.add_parser("environments", help=about, description=about)
    command.add_argument("--json", type=Path, required=True, help="file to write the figures to")
    command.add_argument("--seeds", type=_count, default=3, help="runs, of seeds 0, 1, ... (default 3)")
    command.add_argument("--calls", type=_count, default=environments.CALLS, help="verifier calls of an arm")
    command.add_argument("--tasks", nargs="+", choices=environments.TASKS, default=list(environments.TASKS))
    command.add_argument("--cache", type=Path, default=None, help="trained generators; a fresh one unless given")
    about = "tasks whose every idea can be counted: creativity before and after reinforcement, and the ceilings"
    command = commands.add_parser("creativity", help=about, description=about)
    command.add_argument("--json", type=Path, required=True, help="file to write the figures to")
    command.add_argument("--seeds", type=_count, default=None, help="runs of each task (default: as many as fit)")
    command.add_argument("--tasks", nargs="+", choices=list(creativity.TASKS), default=list(creativity.TASKS))
    command.add_argument("--cache", type=Path, default=None, help="trained generators; a fresh one unless given")
    about = "learning from rankings: simulated experts, real reviews, the page"
    command = commands.add_parser("experts", help=about, description=about)
    command.add_argument("--data", type=Path, default=None, help="folder of reviews.csv, real reviews to report on too")
    command.add_argument("--json", type=Path, required=True, help="file to write the figures to")
    command.add_argument("--seeds", type=_count, default=3, help="runs, of seeds 0, 1, ... (default 3)")
    command.add_argument("--cache", type=Path, default=None, help="trained generators; a fresh one unless given")
    about = "what size costs: ten thousand to a million facts"
    command = commands.add_parser("scale", help=about, description=about)
    command.add_argument("--json", type=Path, required=True, help="file to write the figures to")
    command.add_argument("--sizes", type=_count, nargs="+", default=list(scale.SIZES), help="numbers of facts")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is given, but a whole number above 0 is needed")
    return int(text)


def _measure(given: argparse.Namespace) -> None:
    _writable(given.json)
    with tempfile.TemporaryDirectory(prefix="hunch-bench-") as folder:
        began = time.monotonic()
        figures = _figures(given, Path(folder))
    figures |= {"seconds": round(time.monotonic() - began, 1), "machine": machine()}
    _write(given.json, figures)
    shown = {name: value for name, value in figures.items() if name != "per_seed"}
    print(json.dumps(shown, indent=1))
    print(f"written to {given.json}")


def _write(path: Path, figures: dict[str, Any]) -> None:
    replace_file(path, json.dumps(figures, indent=1).encode() + b"\n")


def _figures(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Return what a benchmark measures; ``folder`` is gone afterwards."""
    if given.command == "scale":
        return scale.measure(sizes=given.sizes)
    if given.command == "durability":
        sizes = {"kills": given.kills, "faults": given.faults, "full": given.full, "rounds": given.rounds}
        return durability.measure(**sizes, runs=folder, parts=tuple(given.parts))
    cache = given.cache or folder / "cache"
    if given.command == "creativity":
        return creativity.measure(given.seeds, cache=cache, tasks=given.tasks)
    if given.command == "environments":
        return environments.measure(given.seeds, runs=folder, cache=cache, calls=given.calls, tasks=given.tasks)
    if given.command == "experts":
        return experts.measure(given.seeds, runs=folder, cache=cache, data=given.data)
    if given.command == "firing":
        return firing.measure(given.data, cache=cache, so_far=partial(_write, given.json))
    if given.command == "hallucination":
        return hallucination.measure(seeds=given.seeds)
    if given.command == "reinforcement":
        return reinforcement.measure(
            given.seeds,
            runs=folder,
            cache=cache,
            data=given.data,
            samples=given.samples,
            rules=given.rules,
            tasks=given.tasks,
        )
    options: dict[str, Any] = {"runs": given.runs or folder, "cache": cache}
    if given.samples is not None:
        options["samples"] = given.samples
    if given.command == "demo":
        return demo.measure(given.seeds, **options)
    return discover.measure(given.data, given.seeds, **options)


def _writable(path: Path) -> None:
    """Refuse, before minutes are spent, a file that cannot be written."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        rule = "that is a folder" if path.is_dir() else f"{path.parent} is no folder"
        raise InputError(f"--json is {path}, but {rule}; give a file in a folder that exists.")


if __name__ == "__main__":
    sys.exit(main())
