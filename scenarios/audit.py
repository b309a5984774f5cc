"""``hunch audit ENVIRONMENT``: can a wild generator cheat this verifier?

Each environment is given its own answers and texts that must not be accepted, in a worker process behind a time limit.
Exit code 0 when nothing was found, 1 when a defect was. Data sets of reasoning-gym are audited bare, as they come;
``hunch.agent.environments.reasoning.Puzzles`` mends some of it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from hunch.agent.auditing import MEANING, Asking, Audit, Check, audit
from hunch.agent.environments.working import InWorkers
from hunch.memory.errors import InputError
from hunch.scenarios.options import Parser, check_writable, count, write
from hunch.views.progress import plain

ALL = "all"
COLUMNS = ("oracle", "empty", "constant", "echo", "peer", "prefix", "noise")
"""Checks whose figure is a mean score that the table of many shows."""
PUZZLES = (
    "Data sets of reasoning-gym are audited bare, as they come (0.1.25). `hunch.agent.environments.reasoning.Puzzles` "
    "mends what can be mended around a scorer: it strips answers, subtracts what an empty one earns, tells exceptions "
    "as errors, and keeps from scorers whatever they would run as code. A scorer that takes wrong answers stays one "
    "that does: leave those data sets out, or look at what a learner makes of them. Items of `isomorphic_strings`, "
    "`polynomial_multiplication` and `ransom_note` depend on PYTHONHASHSEED, a few of `list_functions` on something "
    "else, so that another process asks other questions by the same index: that is their `oracle` and `errors` here. "
    "With PYTHONHASHSEED=0 before the command the first three are audited for the rest: `polynomial_multiplication` "
    "runs code too, the others pass."
)
EXAMPLES = """\
examples:
  hunch audit countdown
  hunch audit all --json audit.json --markdown audit.md
  hunch audit mypackage.worlds:Weather --items 50
"""


def main(words: Sequence[str]) -> int:
    """Audit what is named and print what was found; return 1 when there is a defect.

    Raises:
        InputError: for an environment that there is not or cannot be made, or a file that cannot be written.
    """
    given = _parser().parse_args(list(words))
    for option, path in (("--json", given.json), ("--markdown", given.markdown)):
        check_writable(option, path)
    factories = _factories(given.environments)
    audits = []
    for name, factory in factories.items():
        if sys.stderr.isatty():
            print(f"auditing {plain(name)} ...", file=sys.stderr)
        audits.append(_audited(name, factory, items=given.items, seed=given.seed, seconds=given.seconds))
        if len(factories) > 1:
            _tell(audits[-1], width=max(map(len, factories)))
    if len(audits) == 1:
        _tell_all_checks(audits[0])
    defective = sum(bool(one.defects) for one in audits)
    print(f"{len(audits) - defective} of {len(audits)} without a defect.")
    if given.json:
        write("--json", given.json, json.dumps([one.model_dump() for one in audits], indent=1) + "\n")
    if given.markdown:
        write("--markdown", given.markdown, _markdown(audits, given))
    return 1 if defective else 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="hunch audit",
        description="Can a wild generator cheat this verifier?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "environments", nargs="+", metavar="ENVIRONMENT",
        help="a data set of reasoning-gym, `all` of them, or module:factory of an environment with `sparks`",
    )  # fmt: skip
    parser.add_argument("--items", type=count, default=20, help="questions to try (default 20)")
    parser.add_argument("--seed", type=int, default=11, help="of their choice (default 11)")
    parser.add_argument("--seconds", type=_seconds, default=5.0, help="time limit of one verdict (default 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write a page with one line per environment")
    return parser


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 3600:
        raise argparse.ArgumentTypeError(f"it is {text!r}, but a number of seconds above 0 is needed")
    return value


def _factories(wanted: Sequence[str]) -> dict[str, Callable[[], Asking]]:
    factories: dict[str, Callable[[], Asking]] = {}
    for name in wanted:
        if ":" in name:
            factories[name] = _theirs(name)
            continue
        from hunch.agent.environments.reasoning import Puzzles, names

        for dataset in names() if name == ALL else [name]:
            # 100 items to choose from: a few data sets are made as a whole
            factories[dataset] = partial(Puzzles, dataset, items=range(100), bare=True)
            if name != ALL:
                factories[dataset]()  # a wrong name shows before anything is computed
    return factories


def _theirs(name: str) -> Callable[[], Asking]:
    module, _, attribute = name.partition(":")
    try:
        if "" not in sys.path:
            sys.path.insert(0, "")  # a module in the current folder, as `python -m` finds it
        factory: Any = import_module(module)
        for part in attribute.split("."):
            factory = getattr(factory, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(f"ENVIRONMENT is {name!r}, but there is none ({error}); give module:factory.") from error
    if not callable(factory):
        raise InputError(f"ENVIRONMENT is {name!r}, but that is no factory; name what makes the environment.")
    made: Callable[[], Asking] = factory
    if not (hasattr(asking := made(), "sparks") and hasattr(asking, "verify")):
        raise InputError(
            f"ENVIRONMENT is {name!r}, but what it makes has no `sparks` and `verify`; an audit needs both."
        )
    return made


def _audited(name: str, factory: Callable[[], Asking], *, items: int, seed: int, seconds: float) -> Audit:
    begun = time.perf_counter()
    with InWorkers(factory, workers=1, seconds_per_call=seconds, batch=1) as workers:
        try:
            return audit(factory(), name=name, items=items, seed=seed, seconds=min(1.0, seconds), apart=workers)
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001  # the boundary: a foreign environment that cannot even ask
            figure = " ".join(f"cannot be asked: {type(error).__name__}: {error}".split())[:200]
            check = Check(name="errors", passed=False, figure=figure)
            return Audit(environment=name, items=0, checks=(check,), seconds=round(time.perf_counter() - begun, 2))


def _tell(one: Audit, width: int) -> None:
    failed = ", ".join(check.name for check in one.checks if check.passed is False)
    print(
        plain(f"  {one.environment:<{width}}  {'FAIL' if failed else 'pass'}  {one.seconds:5.1f} s  {failed}"),
        flush=True,
    )


def _tell_all_checks(one: Audit) -> None:
    print(plain(f"{one.environment}, {one.items} items, {one.seconds:.1f} s"))
    for check in one.checks:
        print(plain(f"  {_verdict(check):<4}  {check.name:<12} {MEANING.get(check.name, '')}: {check.figure}"))


def _verdict(check: Check) -> str:
    return "-" if check.passed is None else "pass" if check.passed else "FAIL"


def _markdown(audits: Sequence[Audit], given: argparse.Namespace) -> str:
    """Return the whole page: how it was made, what each check asks, what failed by check and by environment."""
    found = [one for one in audits if one.defects]
    options = f"--items {given.items} --seed {given.seed} --seconds {given.seconds:g}"
    lines = [
        "# Can these verifiers be cheated?",
        "",
        f"Written by `hunch audit {' '.join(given.environments)} {options} --markdown FILE`. "
        f"{len(audits) - len(found)} of {len(audits)} are without a defect. What passes is not proved sound.",
        "",
    ]
    if any(":" not in name for name in given.environments):
        lines += [PUZZLES, ""]
    lines += ["## What each check asks, and where it failed", "", "| check | asks whether | failed |", "|---|---|---|"]
    for name, meaning in MEANING.items():
        failed = [f"`{one.environment}`" for one in audits for c in one.checks if c.name == name and c.passed is False]
        told = f"{len(failed)}: {', '.join(failed)}" if failed else "none"
        lines.append(f"| {name} | {meaning} | {told} |")
    lines += [
        "",
        "## Each environment",
        "",
        "Scores are means over the items, errors the share of texts that made it fail.",
        "",
        "| environment | verdict | " + " | ".join(COLUMNS) + " | errors | longest ms | defects |",
        "|---" * (len(COLUMNS) + 5) + "|",
    ]
    lines += ["| " + " | ".join(map(_cell, _row(one))) + " |" for one in audits]
    return "\n".join(lines) + "\n"


def _row(one: Audit) -> list[str]:
    checks = {check.name: check for check in one.checks}
    latency = checks["latency"].value if "latency" in checks else None
    return [
        f"`{one.environment}`",
        "FAIL" if one.defects else "pass",
        *(_shown(checks.get(name)) for name in COLUMNS),
        _shown(checks.get("errors")),
        "" if latency is None else f"{1e3 * latency:.0f}",
        "; ".join(one.defects),
    ]


def _shown(check: Check | None) -> str:
    return "" if check is None or check.value is None else f"{check.value:.2g}"


def _cell(text: str) -> str:
    return plain(text).replace("|", "\\|").replace("<", "&lt;")
