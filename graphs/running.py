"""Running a mind: episodes of the cycle in a plain loop, checkpointed, one after the other.

A run with a folder goes on where it stopped when it is run again: LangGraph finishes the interrupted episode (``snapshot.tasks`` tells
whether there is one; ``next`` does not), the store and the weights are as the last finished step left them. Without a folder nothing is saved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hunch.graphs.checkpoint import no_saver, sqlite_saver
from hunch.graphs.cycle import EPISODE, build_cycle
from hunch.graphs.keeping import weights_folder
from hunch.graphs.mind import START_STATE, Budget, Mind, State
from hunch.memory.records import Experience

Event = dict[str, Any]


def run(mind: Mind, folder: Path | None = None, *, samples: int | None = None) -> list[Experience]:
    """Run to the end of the budget and return what was kept, strongest first."""
    if samples is not None:
        mind.budget = Budget(samples=samples, sparks=mind.budget.sparks, width=mind.budget.width)
    for _ in stream(mind, folder):
        pass
    return sorted(mind.archive.all(), key=lambda experience: -experience.grounding.strength)


def stream(mind: Mind, folder: Path | None = None) -> Iterator[Event]:
    """Run, yielding each round's figures as it ends; with a folder, go on where the last run in it stopped."""
    with ExitStack() as stack:
        saver = stack.enter_context(no_saver() if folder is None else sqlite_saver(folder / "checkpoints.sqlite"))
        graph = build_cycle().compile(checkpointer=saver, name="hunch")
        state, episode, unfinished = _left_off(graph, saver)
        if folder is not None:
            mind.weights = folder / "weights"
            mind.weights.mkdir(parents=True, exist_ok=True)
            _trim(folder / "events.jsonl", state["round"])
            _reload(mind, state["round"])
        mind.recall(state["round"])
        while unfinished or mind.budget.spent(state) is None:
            config = {"configurable": {"thread_id": f"episode-{episode:06d}"}, "recursion_limit": 8 * EPISODE + 8}
            for event in graph.stream(
                None if unfinished else state, config, context=mind, stream_mode="custom", durability="sync"
            ):
                if folder is not None:
                    with (folder / "events.jsonl").open("a") as log:
                        log.write(json.dumps(event) + "\n")
                yield event
            state = graph.get_state(config).values
            if episode:
                saver.delete_thread(f"episode-{episode - 1:06d}")
            episode, unfinished = episode + 1, False


def _left_off(graph: Any, saver: Any) -> tuple[State, int, bool]:
    """Return the last saved state, the number of the episode to run and whether that one has begun."""
    threads = sorted({saved.config["configurable"]["thread_id"] for saved in saver.list(None)})
    if not threads:
        return START_STATE, 0, False
    snapshot = graph.get_state({"configurable": {"thread_id": threads[-1]}})
    number = int(threads[-1].removeprefix("episode-"))
    if snapshot.tasks:
        return {**START_STATE, **snapshot.values}, number, True
    return snapshot.values, number + 1, False


def _reload(mind: Mind, round: int) -> None:
    """Load the weights that the last finished round left."""
    assert mind.weights is not None
    if mind.learner is not None and round and (folder := weights_folder(mind.weights, round - 1)).exists():
        mind.learner.load(folder)


def _trim(events: Path, round: int) -> None:
    """Drop the figures of rounds that will run again, and a torn last line."""
    if not events.exists():
        return
    whole = []
    for line in events.read_text().splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if event["round"] < round:
            whole.append(line)
    events.write_text("".join(f"{line}\n" for line in whole))
