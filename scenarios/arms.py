"""Running a scenario's arms, one after the other: each in its folder, at the same budget and gate, progress shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from hunch.graphs.mind import Mind
from hunch.graphs.running import stream
from hunch.graphs.stopping import claimed, on_sigterm, stopping
from hunch.memory.errors import InputError
from hunch.memory.files import replace_file
from hunch.scenarios.parts import CONTROLS, FULL, Common, Kit, assemble, idle_threads, settle
from hunch.scenarios.results import arm_folder, begun
from hunch.scenarios.settings import to_yaml
from hunch.views.progress import Progress

Options = dict[str, Any]

MAY_CHANGE = (
    "run", "arms", "samples", "rounds", "seconds", "least_yield", "stop_on_collapse", "threads", "cache",
    "expert", "port",
)  # fmt: skip
"""Options that may differ when a run goes on: they do not change what its earlier rounds mean."""

COLLAPSING = (
    "{arm}: at {samples} samples the generator says more and more what is known and less and less that is new; heat it "
    "(--generating.temperature), give learning an entropy to aim at (--learning.entropy-target), hold more of the "
    "facts (--learning.anchor), or let it end there (--stop-on-collapse)."
)


@contextmanager
def claim(run: Path, scenario: str, config: Common) -> Iterator[None]:
    """Make a run's folder one's own and write its config there; the same folder again goes on.

    Raises:
        InputError: if it is no folder, another process writes to it, or it holds a run with other options.
    """
    if run.exists() and not run.is_dir():
        raise InputError(f"--run is {run}, but that is a file; give a folder.")
    with stopping(run), claimed(run):
        file = run / "config.yaml"
        config = config.model_copy(update={"threads": config.threads or _threads_of(file) or idle_threads()})
        text = f"scenario: {scenario}\n{to_yaml(config)}"
        if begun(run):
            _refuse_changes(file, config, yaml.safe_load(text))
        elif file.exists():
            _clear(run)
        replace_file(file, text.encode())
        yield


def _threads_of(file: Path) -> int:
    """Return how many threads the run was begun with, 0 for a new one; figures depend on it in the last bits."""
    return int(yaml.safe_load(file.read_text(encoding="utf-8")).get("threads", 0)) if file.exists() else 0


def _clear(run: Path) -> None:
    """Remove the stores that a run which was never begun left: its facts need not be those of the next."""
    for folder in (run, *(run / "arms").glob("*")):
        for file in (*folder.glob("memory.sqlite*"), folder / "run.json", folder / "sessions.jsonl"):
            file.unlink(missing_ok=True)


def _refuse_changes(file: Path, config: Common, now: Options) -> None:
    """Refuse to go on with other options than a run was begun with, where its earlier rounds rest on them.

    An option that there was not when the run was begun had its default.
    """
    stored = yaml.safe_load(file.read_text(encoding="utf-8"))
    try:
        resolved = type(config).model_validate({name: stored[name] for name in stored if name != "scenario"})
        was = _flat(resolved.model_dump(mode="json")) | _flat(stored)
    except ValidationError:  # of another scenario, or with an option that there is no more
        was = _flat(stored)
    now = _flat(now)
    for name in sorted((set(was) | set(now)) - set(MAY_CHANGE)):
        if was.get(name) != now.get(name):
            raise InputError(
                f"{name} is {now.get(name)!r}, but the run in {file.parent} was begun with {was.get(name)!r}; "
                "give the same, or another --run."
            )


def _flat(options: Options, prefix: str = "") -> Options:
    """Return the options of groups under dotted names."""
    flat: Options = {}
    for name, value in options.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


Maker = Callable[[Path, Callable[[str], None]], Mind]
"""Makes an arm's mind, given its folder and what is told how that goes."""


def run_arms(kit: Kit, run: Path, label: str) -> None:
    """Run the full loop, and the controls where they were asked for."""
    arms = [FULL, *CONTROLS] if kit.config.arms else [FULL]
    live(run, label, kit.config.samples, {arm.name: partial(assemble, kit, arm) for arm in arms})


def live(run: Path, label: str, samples: int, makers: Mapping[str, Maker]) -> None:
    """Run arms one after the other, each in its folder, and show how they go."""
    settle(_threads_of(run / "config.yaml"))
    with Progress(samples, label=label) as progress:
        for name, make in makers.items():
            folder = arm_folder(run, name)
            folder.mkdir(parents=True, exist_ok=True)
            mind = make(folder, progress.note)
            warned = False
            with on_sigterm() as control:
                for event in stream(mind, folder, control=control):
                    progress.update({**event, "arm": name})
                    if event["collapsing"] and not warned:
                        progress.note(COLLAPSING.format(arm=name, samples=event["samples"]))
                    warned |= event["collapsing"]
            mind.knowledge.ledger.close()
