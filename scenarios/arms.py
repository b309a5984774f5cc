"""Running a scenario's arms: one after the other, each in its folder, at the same budget and gate, with progress shown."""

from __future__ import annotations

from pathlib import Path

import yaml
from filelock import FileLock, Timeout

from hunch.graphs.running import stream
from hunch.memory.errors import InputError
from hunch.memory.files import replace_file
from hunch.scenarios.parts import CONTROLS, FULL, Kit, assemble, settle
from hunch.scenarios.results import arm_folder
from hunch.scenarios.settings import Settings, to_yaml
from hunch.views.progress import Progress

MAY_CHANGE = ("run", "options", "spending")
"""Groups of options that may differ when a run goes on: they do not change what its earlier rounds mean."""


def claim(run: Path, scenario: str, config: Settings) -> FileLock:
    """Make a run's folder one's own and write its config there; the same folder again goes on.

    Raises:
        InputError: if it is no folder, another process writes to it, or it holds a run with other options.
    """
    if run.exists() and not run.is_dir():
        raise InputError(f"--run is {run}, but that is a file; give a folder.")
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = FileLock(run / ".lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"--run is {run}, but another process is writing to it; wait for it or give another."
        ) from error
    except OSError as error:
        raise InputError(
            f"--run is {run}, but it cannot be written to ({error.strerror}); give another folder."
        ) from error
    text, file = f"scenario: {scenario}\n{to_yaml(config)}", run / "config.yaml"
    if file.exists():
        was, now = yaml.safe_load(file.read_text(encoding="utf-8")), yaml.safe_load(text)
        for name in sorted(set(was) | set(now) - set(MAY_CHANGE)):
            if name not in MAY_CHANGE and was.get(name) != now.get(name):
                lock.release()
                raise InputError(
                    f"{name} is {now.get(name)!r}, but the run in {run} was begun with {was.get(name)!r}; "
                    "give the same, or another --run."
                )
        if was.get("options", {}).get("seed") != now.get("options", {}).get("seed"):
            lock.release()
            raise InputError(f"the seed is not the one that the run in {run} was begun with; give another --run.")
    replace_file(file, text.encode())
    return lock


def run_arms(kit: Kit, run: Path, label: str) -> None:
    """Run the full loop, and the controls where they were asked for."""
    settle(kit.options.threads)
    arms = [*CONTROLS, FULL] if kit.options.arms else [FULL]
    with Progress(kit.spending.samples, label=label) as progress:
        for arm in arms:
            folder = arm_folder(run, arm.name)
            folder.mkdir(parents=True, exist_ok=True)
            mind = assemble(kit, arm, folder, progress.note)
            for event in stream(mind, folder):
                progress.update({**event, "arm": arm.name})
            mind.knowledge.ledger.close()
