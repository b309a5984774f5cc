"""A week in an hour: many thousand rounds with scripted parts, and what they cost.

Everything but the model is real: LangGraph with its checkpoints, the ledger, the log. The world is small, so that
after a while nothing new is kept: from then on memory must not grow. What LangGraph, checkpoints and ledger cost in a
round is the whole of a round's time here, for the parts themselves do next to nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from hunch.agent.remembering import RememberingGrounder
from hunch.agent.scripted import ScriptedEnvironment, ScriptedGenerator
from hunch.graphs import Budget, Mind, stream
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.records import Spark, Status
from hunch.scenarios import literature
from hunch.scenarios.parts import FULL, Kit, assemble, settle

PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
SAID = 500
"""Things the generator can say."""


class _Ask:
    """Asks the same question for ever."""

    def sparks(self, rng: np.random.Generator, n: int) -> Sequence[Spark]:
        return [Spark(prompt="what is new?")] * n


def measure(rounds: int, folder: Path) -> dict[str, Any]:
    """Return what many rounds cost, measured in a process of their own."""
    with get_context("spawn").Pool(1) as pool:
        figures = pool.apply(_lived, (rounds, folder))
        figures["literature_seconds_per_round"] = real = round(pool.apply(_real_round, (folder / "literature",)), 3)
    return figures | {"share_of_a_real_round": round(figures["milliseconds_per_round"] / 1e3 / real, 4)}


def _real_round(folder: Path) -> float:
    """Return the seconds that a round of ``literature`` takes, the first left out."""
    settle(1)
    config = literature.Config(run=folder, samples=5_000)
    folder.mkdir()
    mind = assemble(Kit(literature.data()[0], config, literature.questions), FULL, folder, print)
    seconds = [float(event["seconds"]) for event in stream(mind, folder)]
    mind.knowledge.ledger.close()
    return float(np.diff(seconds).mean())


def _lived(rounds: int, folder: Path) -> dict[str, Any]:
    folder.mkdir(parents=True)
    knowledge = Knowledge(Ledger(folder / "memory.sqlite"))
    knowledge.add(["everything is new"])
    mind = Mind(
        knowledge,
        ScriptedGenerator([f"thing {number} is new" for number in range(SAID)]),
        grounder=RememberingGrounder(knowledge),
        sparker=_Ask(),
        environment=ScriptedEnvironment({}, Status.CONFIRMED),
        budget=Budget(samples=10**9, sparks=1, width=2, rounds=rounds),
    )
    every = max(1, rounds // 20)
    began = time.perf_counter()
    resident, sizes, times = [], [], [began]
    for event in stream(mind, folder):
        if event["round"] % every == every - 1:
            times.append(time.perf_counter())
            resident.append(_resident_mb())
            sizes.append(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6)
    kept = mind.archive.count()
    knowledge.ledger.close()
    tenth = [np.diff(times)[:2].mean(), np.diff(times)[-2:].mean()]
    samples = np.arange(1, len(sizes) + 1) * every * 2
    slope, start = np.polyfit(samples[2:], sizes[2:], 1)
    return {
        "rounds": rounds,
        "kept": kept,
        "resident_mb": {"after_warm_up": round(resident[2], 1), "at_the_end": round(resident[-1], 1)},
        "resident_growth": round(resident[-1] / resident[2] - 1, 4),
        "folder_mb": round(sizes[-1], 2),
        "folder_bytes_per_sample": round(slope * 1e6, 1),
        "folder_off_a_line": round(float(np.abs(start + slope * samples[2:] - sizes[2:]).max() / sizes[-1]), 4),
        "milliseconds_per_round": round(1e3 * (times[-1] - began) / rounds, 3),
        "last_tenth_to_first": round(tenth[1] / tenth[0], 3),
    }


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_MB
