"""``hunch doctor``: what is wrong with this machine's set-up, and how to mend it.

Every check looks at the real thing (imports the library, writes a file) and every finding that is not ok comes with
its remedy. Nothing of hunch is imported here, so that the doctor still answers when one of the libraries is broken.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

DISTRIBUTION = "hunch-agent"
CACHE = Path("~/.cache/hunch")
"""Where trained generators are kept for the next run."""
LIBRARIES = ("torch", "transformers", "faiss", "langgraph.graph", "sklearn", "pydantic")
"""What is imported to see whether it works; the last part that can break in a way that its version does not show."""
WAL_RESET_MENDED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
"""First SQLite of each line in which two writers at once can no longer lose a commit (sqlite.org, WAL-reset bug)."""
GIB = 2**30
LITTLE_DISK_BYTES, NO_DISK_BYTES = 5 * GIB, GIB // 2


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    WARN = "warn"
    """Works, but not as well as it could."""
    WRONG = "wrong"
    """Does not work until it is mended."""


@dataclass(frozen=True)
class Finding:
    """What was found of one part, and how to mend it when it is not ok."""

    part: str
    state: State
    said: str
    remedy: str = ""


def main() -> int:
    """Print a table of findings; return 1 when something is wrong, else 0."""
    findings = list(examine(Path.cwd(), CACHE.expanduser()))
    _show(findings)
    return int(any(finding.state is State.WRONG for finding in findings))


def examine(folder: Path, cache: Path) -> Iterator[Finding]:
    """Yield what is found of this machine for runs in ``folder`` that keep trained generators in ``cache``."""
    yield Finding("python", State.OK, f"{platform.python_version()} at {sys.executable}")
    yield from _versions()
    yield from _imports()
    yield sqlite(importlib.import_module("sqlite3").sqlite_version_info)
    yield from _processors()
    yield disk("disk", folder, shutil.disk_usage(folder).free)
    yield writable("this folder", folder, "run from a folder that you may write to, or give `--run FOLDER`")
    yield writable("cache", cache, f"make it yours: `mkdir -p {cache} && chown -R $USER {cache}`")


def _versions() -> Iterator[Finding]:
    """Compare the installed versions with the ranges that hunch declares."""
    try:
        needed = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        yield Finding(
            "hunch", State.WARN, "not installed; run from its source tree", "`pip install -e .` in that folder"
        )
        return
    yield Finding("hunch", State.OK, importlib.metadata.version(DISTRIBUTION))
    for line in needed:
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield version(requirement)


def version(requirement: Requirement) -> Finding:
    """Tell whether the installed version of a library lies in its range."""
    remedy = f"`{Path(sys.executable).name} -m pip install '{requirement.name}{requirement.specifier}'`"
    try:
        installed = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return Finding(requirement.name, State.WRONG, "missing", remedy)
    if not requirement.specifier.contains(Version(installed), prereleases=True):
        return Finding(requirement.name, State.WRONG, f"{installed}, but {requirement.specifier} is needed", remedy)
    return Finding(requirement.name, State.OK, installed)


def _imports() -> Iterator[Finding]:
    for library in LIBRARIES:
        try:
            importlib.import_module(library)
        except Exception as error:  # noqa: BLE001 - the boundary: a broken library may raise anything
            name = library.partition(".")[0]
            why = (str(error).splitlines() or [type(error).__name__])[0]
            remedy = "install it anew: `pip install --force-reinstall -c constraints.txt -e .`"
            yield Finding(f"import {name}", State.WRONG, why, remedy)


def sqlite(installed: tuple[int, ...]) -> Finding:
    """Tell whether this SQLite can lose a commit when two processes write one run at the same instant."""
    said = ".".join(map(str, installed))
    mended = installed >= WAL_RESET_MENDED[0] or any(
        installed[:2] == m[:2] and installed >= m for m in WAL_RESET_MENDED
    )
    if mended or installed < (3, 7, 0):
        return Finding("sqlite", State.OK, said)
    return Finding(
        "sqlite",
        State.WARN,
        f"{said} has the WAL-reset bug: two writers at once can lose a commit (mended in 3.51.3)",
        "let one process at a time write a run, or use a Python that links a newer SQLite",
    )


def _processors() -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    try:
        torch = importlib.import_module("torch")
    except Exception:  # noqa: BLE001 - `_imports` has said so
        return
    yield processors(cores, load, torch.get_num_threads())
    if torch.cuda.is_available():
        yield Finding("gpu", State.OK, f"{torch.cuda.get_device_name(0)} (CUDA {torch.version.cuda})")
    else:
        yield Finding("gpu", State.OK, "none; the processor does, for the embedded generator")


def processors(cores: int, load: float, threads: int) -> Finding:
    """Tell whether torch's threads have a core each: on a busy machine two threads are slower than one."""
    said = f"{cores} cores, load {load:.1f}, torch would use {threads} threads"
    if threads > cores:
        return Finding("cores", State.WARN, said, f"more threads than cores: run with `OMP_NUM_THREADS={cores}`")
    if threads > 1 and load > max(cores - threads, 0) + 1:
        return Finding(
            "cores", State.WARN, said, "the machine is busy: end other work, or run with `OMP_NUM_THREADS=1`"
        )
    return Finding("cores", State.OK, said)


def disk(part: str, folder: Path, free_bytes: int) -> Finding:
    """Tell whether there is room for a run: tens of megabytes of experience, hundreds with large weights."""
    said = f"{free_bytes / GIB:.1f} GiB free at {folder}"
    if free_bytes < NO_DISK_BYTES:
        return Finding(part, State.WRONG, said, "free at least 0.5 GiB, or run from a folder on another disk")
    if free_bytes < LITTLE_DISK_BYTES:
        return Finding(part, State.WARN, said, "long runs and large generators need more; delete old runs")
    return Finding(part, State.OK, said)


def writable(part: str, folder: Path, remedy: str) -> Finding:
    """Write a file into ``folder``, or into the nearest folder above it that exists, and remove it again."""
    there = next((above for above in (folder, *folder.parents) if above.exists()), folder)
    try:
        with tempfile.NamedTemporaryFile(dir=there) as file:
            file.write(b"hunch")
            file.flush()
    except OSError as error:
        return Finding(part, State.WRONG, f"{there} cannot be written to: {error.strerror or error}", remedy)
    return Finding(part, State.OK, f"{folder} can be written to" if there == folder else f"{folder} can be made")


def _show(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {State.OK: "green", State.WARN: "yellow", State.WRONG: "bold red"}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for finding in findings:
        told = Text(finding.said)
        if finding.remedy:
            told.append(f"\n{finding.remedy}", style="italic")
        table.add_row(Text(finding.part), Text(finding.state.value, style=colours[finding.state]), told)
    console = Console()
    console.print(table)
    wrong = sum(finding.state is State.WRONG for finding in findings)
    warnings = sum(finding.state is State.WARN for finding in findings)
    verdict = "all is well" if not wrong + warnings else f"{wrong} wrong, {warnings} to mind"
    console.print(Text(f"\n{verdict}"))
