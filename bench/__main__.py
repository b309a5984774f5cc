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
from collections.abc import Callable, Sequence
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

Figures = dict[str, Any]
Measured = Callable[[argparse.Namespace, Path], Figures]
"""What a command measures, given its options and a folder that is gone afterwards."""


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

    def command(name: str, measured: Measured, about: str, *options: str, **seeds: int) -> argparse.ArgumentParser:
        """Add a benchmark, with some of the options that several have."""
        added: argparse.ArgumentParser = commands.add_parser(name, help=about, description=about)
        added.set_defaults(measured=measured)
        added.add_argument("--json", type=Path, required=True, help="file to write the figures to")
        if "cache" in options:
            added.add_argument("--cache", type=Path, help="trained generators; a fresh one unless given")
        if "samples" in options:
            added.add_argument("--samples", type=_count, help="hypotheses drawn by each arm")
        if "runs" in options:
            added.add_argument("--runs", type=Path, help="keep the runs in this folder")
        for option, default in seeds.items():
            text = f"runs, of seeds 0, 1, ... (default {default})"
            added.add_argument(f"--{option}", type=_count, default=default, help=text)
        return added

    command("demo", _demo, "the literature scenario and its arms", "cache", "samples", "runs", seeds=3)
    about = "hidden truths of a folder of triples: train.txt, valid.txt, test.txt, labels.txt"
    added = command("discover", _discover, about, "cache", "samples", "runs", seeds=1)
    added.add_argument("--data", type=Path, required=True, help="folder of the triples")
    about = "true and false claims of a folder: train.txt, test.txt; valid.txt, *_negatives.txt, labels.txt if there"
    added = command("firing", _firing, about, "cache")
    added.add_argument("--data", type=Path, required=True, help="folder of the triples")
    about = "what learning adds, against controls, and TRL side by side"
    added = command("reinforcement", _reinforcement, about, "cache", "samples", seeds=3)
    added.add_argument("--data", type=Path, help="folder of the triples for `discover`")
    added.add_argument("--tasks", nargs="+", choices=reinforcement.TASKS, default=list(reinforcement.TASKS))
    added.add_argument("--rules", action="store_true", help="compare the rules instead of the arms")
    command("hallucination", _hallucination, "samplers, speed of sampling, latent perturbation", seeds=5)
    added = command("durability", _durability, "kills, damaged files, a full disk, and a week of rounds: what is lost")
    added.add_argument("--kills", type=_count, default=100, help="random moments to kill at (default 100)")
    added.add_argument("--faults", type=_count, default=300, help="files to damage (default 300)")
    added.add_argument("--full", type=_count, default=50, help="writes to a full disk (default 50)")
    added.add_argument("--rounds", type=_count, default=20_000, help="rounds of the week (default 20000)")
    added.add_argument("--parts", nargs="+", choices=durability.PARTS, default=list(durability.PARTS))
    about = "search and learning in worlds that answer, and the audit of verifiers"
    added = command("environments", _environments, about, "cache", seeds=3)
    added.add_argument("--calls", type=_count, default=environments.CALLS, help="verifier calls of an arm")
    added.add_argument("--tasks", nargs="+", choices=environments.TASKS, default=list(environments.TASKS))
    about = "tasks whose every idea can be counted: creativity before and after reinforcement, and the ceilings"
    added = command("creativity", _creativity, about, "cache")
    added.add_argument("--seeds", type=_count, help="runs of each task (default: as many as fit)")
    added.add_argument("--tasks", nargs="+", choices=list(creativity.TASKS), default=list(creativity.TASKS))
    about = "learning from rankings: simulated experts, real reviews, the page"
    added = command("experts", _experts, about, "cache", seeds=3)
    added.add_argument("--data", type=Path, help="folder of reviews.csv, real reviews to report on too")
    added = command("scale", _scale, "what size costs: ten thousand to a million facts")
    added.add_argument("--sizes", type=_count, nargs="+", default=list(scale.SIZES), help="numbers of facts")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is given, but a whole number above 0 is needed")
    return int(text)


def _measure(given: argparse.Namespace) -> None:
    _writable(given.json)
    with tempfile.TemporaryDirectory(prefix="hunch-bench-") as folder:
        began = time.monotonic()
        figures = given.measured(given, Path(folder))
    figures |= {"seconds": round(time.monotonic() - began, 1), "machine": machine()}
    _write(given.json, figures)
    shown = {name: value for name, value in figures.items() if name != "per_seed"}
    print(json.dumps(shown, indent=1))
    print(f"written to {given.json}")


def _write(path: Path, figures: Figures) -> None:
    replace_file(path, json.dumps(figures, indent=1).encode() + b"\n")


def _cache(given: argparse.Namespace, folder: Path) -> Path:
    return given.cache or folder / "cache"


def _demo(given: argparse.Namespace, folder: Path) -> Figures:
    runs = given.runs or folder
    return demo.measure(given.seeds, runs=runs, cache=_cache(given, folder), samples=given.samples)


def _discover(given: argparse.Namespace, folder: Path) -> Figures:
    runs = given.runs or folder
    return discover.measure(given.data, given.seeds, runs=runs, cache=_cache(given, folder), samples=given.samples)


def _firing(given: argparse.Namespace, folder: Path) -> Figures:
    return firing.measure(given.data, cache=_cache(given, folder), so_far=partial(_write, given.json))


def _reinforcement(given: argparse.Namespace, folder: Path) -> Figures:
    asked = {name: getattr(given, name) for name in ("data", "samples", "rules", "tasks")}
    return reinforcement.measure(given.seeds, runs=folder, cache=_cache(given, folder), **asked)


def _hallucination(given: argparse.Namespace, folder: Path) -> Figures:
    return hallucination.measure(seeds=given.seeds)


def _durability(given: argparse.Namespace, folder: Path) -> Figures:
    sizes = {name: getattr(given, name) for name in ("kills", "faults", "full", "rounds")}
    return durability.measure(**sizes, runs=folder, parts=tuple(given.parts))


def _environments(given: argparse.Namespace, folder: Path) -> Figures:
    cache = _cache(given, folder)
    return environments.measure(given.seeds, runs=folder, cache=cache, calls=given.calls, tasks=given.tasks)


def _creativity(given: argparse.Namespace, folder: Path) -> Figures:
    return creativity.measure(given.seeds, cache=_cache(given, folder), tasks=given.tasks)


def _experts(given: argparse.Namespace, folder: Path) -> Figures:
    return experts.measure(given.seeds, runs=folder, cache=_cache(given, folder), data=given.data)


def _scale(given: argparse.Namespace, folder: Path) -> Figures:
    return scale.measure(sizes=given.sizes)


def _writable(path: Path) -> None:
    """Refuse, before minutes are spent, a file that cannot be written."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        rule = "that is a folder" if path.is_dir() else f"{path.parent} is no folder"
        raise InputError(f"--json is {path}, but {rule}; give a file in a folder that exists.")


if __name__ == "__main__":
    sys.exit(main())
