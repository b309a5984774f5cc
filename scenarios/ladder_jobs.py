"""Which arms there are, and running them: a list of jobs over all cores, each written once, whole or not at all."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langgraph.runtime import RunControl

from hunch.graphs.stopping import StoppedError, on_sigterm
from hunch.memory.files import replace_file
from hunch.scenarios.ladder_arms import GRID, SIZES, Job, Plan, cells_of, generator_at, measured, reinforce, world_of
from hunch.scenarios.parts import settle
from hunch.views.progress import Progress

if TYPE_CHECKING:
    from hunch.scenarios.ladder import Config

REPLAY, FROZEN, LOOSE = "replay-only", "frozen", "no-anchor-A1"
CLIMB, TOGETHER = "climb-A", "set-field-A"
RUNGS = 3
"""Levels that are climbed."""
DOSED = ("A1", "B2")
"""Cells that are reinforced at each further share of common vocabulary."""


def cell_arm(cell: str) -> str:
    """Return the name of the arm that reinforces one cell."""
    return f"cell-{cell}"


def jobs_of(config: Config) -> list[Job]:
    """Return all jobs of a run, those of the first seed first."""
    cells, found = cells_of(SIZES[config.size]), []
    rungs = tuple(cell for cell in cells if cell[0] == "A")[:RUNGS]
    sets = {"set-level-1": tuple(cell for cell in cells if cell[1:] == "1"), TOGETHER: rungs, "set-all": cells}
    for seed in range(config.seeds):
        one = partial(Job, seed=seed, shared=config.shared[0])
        found += [one(REPLAY), one(FROZEN, trained=False)]
        found += [one(cell_arm(cell), stages=((cell,),)) for cell in cells]
        found += [one(name, stages=(some,)) for name, some in sets.items()]
        found += [one(CLIMB, stages=tuple((cell,) for cell in rungs)), one(LOOSE, stages=(("A1",),), anchored=False)]
        for share in config.shared[1:]:
            found.append(Job(REPLAY, seed, share))
            found += [Job(cell_arm(cell), seed, share, ((cell,),)) for cell in DOSED]
    return found


def file_of(run: Path, job: Job) -> Path:
    """Return where a job's result stands."""
    return run / "jobs" / f"{job.name}.json"


def result_of(run: Path, job: Job) -> dict[str, Any] | None:
    """Return what a job found; None where it has not been done, or its file is damaged."""
    try:
        found = json.loads(file_of(run, job).read_bytes())
    except (OSError, ValueError):
        return None
    whole = isinstance(found, dict) and found.get("job") == json.loads(json.dumps(asdict(job))) and "cells" in found
    return found if whole else None


def do(run: Path, plan: Plan, model: Path | None, job: Job) -> int:
    """Do one job and write what it found; return how many ideas it drew."""
    settle(1)
    begun = time.process_time()
    generator, world = generator_at(run, plan, job.seed, job.shared, model), world_of(plan, job.seed, job.shared)
    new = reinforce(generator, world, plan, job) if job.trained else []
    trained = time.process_time()
    cells = measured(generator, world, plan.n)
    seconds = {"trained": trained - begun, "measured": time.process_time() - trained}
    found = {"job": asdict(job), "cells": cells, "new": new, "cpu_seconds": seconds}
    replace_file(file_of(run, job), json.dumps(found).encode())
    return drawn(plan, job)


def drawn(plan: Plan, job: Job) -> int:
    """Return how many ideas a job draws."""
    return plan.fields * plan.levels * plan.n * len(GRID) + bool(job.stages) * plan.updates * plan.rollouts


def begin(run: Path, plan: Plan, model: Path | None, seed: int, shared: float) -> int:
    """Make the generator that the jobs of a seed and share begin with; return 0, as no ideas are drawn."""
    settle(1)
    generator_at(run, plan, seed, shared, model)
    return 0


def run_jobs(run: Path, plan: Plan, model: Path | None, jobs: Sequence[Job], workers: int) -> None:
    """Do all jobs that are not done, and show how that goes.

    Raises:
        StoppedError: if a process was killed, or the run was asked to stop; what was done is kept.
    """
    (run / "jobs").mkdir(parents=True, exist_ok=True)
    left = [job for job in jobs if result_of(run, job) is None]
    if not left:
        return
    done = sum(drawn(plan, job) for job in jobs if job not in left)
    begun = time.monotonic()
    bases = list(dict.fromkeys((job.seed, job.shared) for job in left))
    waves: list[list[Callable[[], int]]] = [
        [partial(begin, run, plan, model, *base) for base in bases],
        [partial(do, run, plan, model, job) for job in left],
    ]
    count = min(workers or os.cpu_count() or 1, len(left))
    total = sum(drawn(plan, job) for job in jobs)
    with Progress(total, label="ladder") as progress, on_sigterm() as control, _workers(count) as pool:
        for wave, said in zip(waves, (f"{len(bases)} generators", f"{len(left)} of {len(jobs)} arms"), strict=True):
            progress.note(f"{said} to be made")
            for more in _each(wave, pool, control):
                done += more
                if more:
                    progress.update({"arm": "all arms", "samples": done, "seconds": time.monotonic() - begun})


@contextmanager
def _workers(count: int) -> Iterator[ProcessPoolExecutor | None]:
    """Yield the processes that jobs are done in; None for this one alone."""
    if count == 1:
        yield None
        return
    spawning = multiprocessing.get_context("spawn")  # a forked process would share torch's threads
    pool = ProcessPoolExecutor(count, spawning, initializer=_end_with, initargs=(os.getpid(),))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise StoppedError("a process of the run was killed; the jobs done up to here are saved.") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _each(calls: Sequence[Callable[[], int]], pool: ProcessPoolExecutor | None, control: RunControl) -> Iterator[int]:
    """Yield what each call returns, as they come."""
    if pool is None:
        for call in calls:
            _go_on(control)
            yield call()
        return
    left = {pool.submit(call) for call in calls}
    while left:
        ended, left = wait(left, timeout=1.0, return_when=FIRST_COMPLETED)
        yield from (future.result() for future in ended)
        _go_on(control)


def _go_on(control: RunControl) -> None:
    if control.drain_requested:
        raise StoppedError(f"the run was asked to stop ({control.drain_reason}); the jobs done up to here are saved.")


def _end_with(parent: int) -> None:
    """End this process when its parent is gone, however that ended: it would wait for work for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(2.0)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
