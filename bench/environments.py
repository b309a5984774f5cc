"""Search and learning in worlds that answer, each alone and both, and whether the verifiers can be cheated.

Each arm has the same number of verifier calls; figures are distinct confirmed discoveries (``conjectures``: by
canonical form) or distinct held-out items solved (``puzzles``), per 10,000 calls: median over seeds, least and most.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from hunch.graphs import stream
from hunch.memory.experience import Archive
from hunch.memory.ledger import Ledger
from hunch.memory.records import Experience, Fact, Firing, Grounding, Hypothesis, Outcome, Standing, Verdict
from hunch.scenarios import audit, conjectures, puzzles
from hunch.scenarios.parts import settle
from hunch.scenarios.worlds import ARMS, Searching, World, depths, mind_of

Figures = dict[str, Any]

TASKS = ("conjectures", "puzzles", "audit", "retraction")
CALLS = 10_000
EXPERIENCES, DEPENDANTS = 100_000, 1_000
NAMES = {"sampling": "sampling", "learning": "learning", "search": "search", "full": "search_and_learn"}


def measure(
    seeds: int, *, runs: Path, cache: Path, calls: int = CALLS, tasks: Sequence[str] = TASKS, processes: int = 2
) -> Figures:
    """Return what each arm found.

    Args:
        seeds: runs of each arm.
        runs: folder to work in.
        cache: folder of trained generators.
        calls: verifier calls of each arm.
        tasks: what to measure.
        processes: arms that run at the same time.
    """
    figures: Figures = {}
    with ProcessPoolExecutor(processes, get_context("spawn"), initializer=settle, initargs=(1,)) as pool:
        for task in (task for task in TASKS[:2] if task in tasks):
            pool.submit(_prepared, task, cache, calls).result()  # trains the one generator of all arms and seeds
            waiting = {
                (arm.name, seed): pool.submit(_found, task, arm.name, seed, cache, calls)
                for seed in range(seeds)
                for arm in ARMS
            }
            figures[task] = {
                NAMES[arm.name]: _spread([waiting[arm.name, seed].result() for seed in range(seeds)]) for arm in ARMS
            }
    if "audit" in tasks:
        file = runs / "audit.json"
        audit.main(["all", "--json", str(file)])
        figures["audit"] = json.loads(file.read_text())
    if "retraction" in tasks:
        figures["retraction"] = {"experiences": EXPERIENCES, "fell": DEPENDANTS + 1, "seconds": _retraction()}
    return figures


def _retraction() -> float:
    """Return the seconds that retracting one of many experiences takes, with many that rest on it."""
    ledger, base = Ledger(None), Fact(text="observed")
    ledger.add_facts([base])
    said = [Hypothesis(spark_id="s", text=f"claim {number}") for number in range(EXPERIENCES)]
    ledger.add_experiences(
        Experience(
            round=number,
            slot=0,
            hypothesis=one,
            grounding=Grounding(key=one.key, standing=Standing.INSIGHT, strength=1, p_value=0.1, novelty=1),
            outcome=Outcome(),
            verdict=Verdict(keep=True, reason=""),
            fired=(Firing(kind="path", sentence="", fact_ids=(said[0].key if 0 < number <= DEPENDANTS else base.id,)),),
        )
        for number, one in enumerate(said)
    )
    ledger.add_facts(Fact(text=one.text, weight=0.5, experience_id=one.key) for one in said)
    began = time.perf_counter()
    fell = Archive(ledger).retract([said[0].key], "wrong")
    seconds = time.perf_counter() - began
    assert len(fell) == DEPENDANTS + 1
    return round(seconds, 4)


def _config(task: str, seed: int, cache: Path, calls: int) -> Searching:
    module = conjectures if task == "conjectures" else puzzles
    return module.Config(run=Path("unused"), seed=seed, cache=cache, samples=calls)


def _world(task: str, config: Searching) -> World:
    if isinstance(config, conjectures.Config):
        return conjectures.world_of(config)
    assert isinstance(config, puzzles.Config)
    return puzzles.world_of(config)


def _prepared(task: str, cache: Path, calls: int) -> None:
    config = _config(task, 0, cache, calls)
    _world(task, config).generator(print)


def _found(task: str, arm: str, seed: int, cache: Path, calls: int) -> Figures:
    """Return what an arm found per 10,000 calls, and how deep."""
    config = _config(task, seed, cache, calls)
    world = _world(task, config)
    mind = mind_of(world, config, next(one for one in ARMS if one.name == arm), None, print)
    for _ in stream(mind):
        pass
    archive = Archive(mind.knowledge.ledger)
    found = {world.found(draw) for draw in archive.draws() if draw.kept}
    deep = depths(archive.all())
    return {
        "per_10000": len(found) * 10_000 / archive.draw_count(),
        "deepest": max(deep.values(), default=0),
    }


def _spread(found: Sequence[Figures]) -> Figures:
    values = [one["per_10000"] for one in found]
    return {
        "median": median(values),
        "min": min(values),
        "max": max(values),
        "deepest": max(one["deepest"] for one in found),
    }
