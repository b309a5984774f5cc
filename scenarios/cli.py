"""The command line: ``hunch run``, and what looks after facts, experience, reports, verifiers and the machine.

Each command imports what it needs when it is called, so that ``hunch --help`` answers at once and ``hunch doctor``
still answers when a library is broken. What a person gave wrongly is one line on stderr and exit code 2; a traceback
means a mistake of ours.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.metadata
import importlib.util
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from hunch.scenarios import SCENARIOS

NOT_WELL = 1
"""The exit code when the machine, not what was asked for, is at fault."""
INTERRUPTED = 130
"""The exit code that shells expect after Ctrl-C."""
MODULES = ("fire", "direction", "facts", "experience", "rank", "rankings", "audit")
"""The commands that are a module of this package, with ``main(words)``."""

USAGE = """\
hunch: wild hypotheses from a language model, grounded in what is known, kept, and learned from

  hunch scenarios                    what can be run
  hunch run SCENARIO [options]       run one; --help explains its options, --dry-run shows them resolved
  hunch fire HYPOTHESIS --facts F    what known facts make of a hypothesis, and why
  hunch direction find --out FILE    a direction in a model's states; also: direction show, direction sweep
  hunch report RUN                   write the report of a run's folder anew
  hunch facts import FILE --store S  bring facts into a store; also: facts show, facts search, facts verify
  hunch experience why RUN ID        where an insight came from; also: list, lineage, as-of, rests-on, retract, export
  hunch rank RUN                     let experts rank hypotheses, on a page or with --terminal
  hunch rankings import FILE --run R bring expert rankings in; also: rankings export, agreement, remaining, list
  hunch audit ENVIRONMENT            can a wild generator cheat this verifier?
  hunch doctor                       what is wrong with this machine's set-up, and how to mend it
  hunch --version
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says and return the exit code: 0 done, 1 not well, 2 wrongly asked, 130 interrupted."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _command(words)
        sys.stdout.flush()  # a reader that has gone shows here rather than at exit
        return code
    except KeyboardInterrupt:
        print(f"\nhunch: interrupted; to go on, give the same command again: {_again(words)}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader, e.g. `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # the boundary: whatever is not ours goes on as it came
        said = _said(error, words)
        if said is None:
            raise
        from hunch.views.progress import plain

        print(f"hunch: {plain(said[0])}", file=sys.stderr)
        return said[1]


def _said(error: Exception, words: Sequence[str]) -> tuple[str, int] | None:
    """Return an error as one line, with the exit code; None for a mistake of ours."""
    from hunch.memory.errors import HunchError, StorageError

    first, *rest = (line.strip() for line in str(error).splitlines() or [""])
    line = " ".join([first, "; ".join(rest)]).strip()
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'} could not be used ({error.strerror or line}).", NOT_WELL
    if not isinstance(error, HunchError):
        return None
    if isinstance(error, StorageError):
        return line, NOT_WELL
    if type(error).__name__ in (
        "StoppedError",
        "WaitingError",
    ):  # not imported: that would load LangGraph for a mistyped option
        return f"{line} To go on, give the same command again: {_again(words)}", NOT_WELL
    return line, 2


def _command(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if words[0] == "--version":
        print(f"hunch {_version()}")
        return 0
    if words[0] in MODULES:
        return int(importlib.import_module(f"hunch.scenarios.{words[0]}").main(words[1:]))
    commands: dict[str, Callable[[list[str]], int]] = {
        "run": _run,
        "scenarios": _scenarios,
        "report": _report,
        "doctor": _doctor,
    }
    if words[0] not in commands:
        meant = _meant(words[0], [*commands, *MODULES])
        raise _wrong(f"{words[0]!r} is not a command{meant} `hunch --help` lists them.")
    return commands[words[0]](words[1:])


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print("hunch run SCENARIO [--config FILE] [--any.option VALUE ...] [--dry-run]\n")
        return _scenarios([])
    scenario = words[0]
    if scenario not in SCENARIOS:
        raise _wrong(f"{scenario!r} is not a scenario{_meant(scenario, SCENARIOS)} `hunch scenarios` lists them.")
    module = importlib.import_module(f"hunch.scenarios.{scenario}")
    from hunch.scenarios.settings import parse, to_yaml

    config, flags = parse(module.Config, words[1:], scenario)
    if flags.dry_run:
        print(to_yaml(config), end="")
        return 0
    return int(module.main(config) or 0)


def _scenarios(words: list[str]) -> int:
    _nothing_more(words, "hunch scenarios")
    width = max(map(len, SCENARIOS))
    for name in SCENARIOS:
        print(f"  {name:<{width}}  {_first_line(name)}")
    print("\n`hunch run SCENARIO --help` explains one.")
    return 0


def _report(words: list[str]) -> int:
    if words in (["-h"], ["--help"]):
        print("hunch report RUN\n\n  Write RUN/report.html anew from what the run's folder holds.")
        return 0
    if not words:
        raise _wrong("RUN is not given; give the folder of a run: `hunch report RUN`.")
    _nothing_more(words[1:], "hunch report RUN")
    run = Path(words[0])
    if not run.is_dir():
        rule = "that is a file" if run.exists() else "there is no such folder"
        raise _wrong(f"RUN is {run}, but {rule}; give the folder that `hunch run ... --run FOLDER` wrote.")
    print(importlib.import_module("hunch.scenarios.reporting").rebuild(run))
    return 0


def _doctor(words: list[str]) -> int:
    _nothing_more(words, "hunch doctor")
    from hunch.scenarios import doctor

    return doctor.main()


def _first_line(scenario: str) -> str:
    """Return the first line of a scenario's docstring without importing it, and with it torch."""
    spec = importlib.util.find_spec(f"hunch.scenarios.{scenario}")
    if spec is None or spec.origin is None:
        return "(missing from this installation)"
    about = ast.get_docstring(ast.parse(Path(spec.origin).read_bytes()))
    return about.splitlines()[0] if about else ""


def _version() -> str:
    try:
        return importlib.metadata.version("hunch-agent")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed: run from the source tree)"


def _nothing_more(words: Sequence[str], usage: str) -> None:
    if words:
        raise _wrong(f"{words[0]!r} is one word too many; the command is `{usage}`.")


def _meant(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ";"


def _wrong(message: str) -> Exception:
    from hunch.memory.errors import InputError

    return InputError(message)


def _again(words: Sequence[str]) -> str:
    return shlex.join(["hunch", *words])


if __name__ == "__main__":
    sys.exit(main())
