"""Running a mind: episodes of the cycle in a plain loop, checkpointed, one after the other.

A run with a folder goes on where it stopped when it is run again: LangGraph finishes the interrupted episode
(``snapshot.tasks`` tells whether there is one; ``next`` does not), the store and the weights are as the last finished
step left them. A step that was interrupted runs again. Without a folder nothing is saved.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph

from hunch.graphs.checkpoint import no_saver, sqlite_saver
from hunch.graphs.cycle import EPISODE, build_cycle
from hunch.graphs.keeping import weights_folder
from hunch.graphs.mind import START_STATE, Mind, State
from hunch.memory.files import replace_file
from hunch.memory.records import Experience

Event = dict[str, Any]
Graph = CompiledStateGraph[State, Mind, State, State]


def run(mind: Mind, folder: Path | None = None, *, samples: int | None = None) -> list[Experience]:
    """Run to the end of the budget and return what was kept, strongest first.

    Args:
        mind: the live parts.
        folder: the run's folder, to save to and go on from; without one nothing but the ledger is written.
        samples: takes the place of the budget's samples.
    """
    if samples is not None:
        mind.budget = replace(mind.budget, samples=samples)
    for _ in stream(mind, folder):
        pass
    return mind.archive.ranked()


def stream(mind: Mind, folder: Path | None = None) -> Iterator[Event]:
    """Run, yielding each round's figures as it ends; with a folder, go on where the last run in it stopped.

    Who stops listening stops the run after the step at hand.
    """
    with ExitStack() as stack:
        saver = stack.enter_context(_saver(folder))
        graph: Graph = build_cycle().compile(checkpointer=saver, name="hunch")
        state, episode, unfinished = _left_off(graph, saver)
        if state is START_STATE:  # rounds of another run may be in the ledger: their numbers are taken
            state = State(**{**START_STATE, "round": mind.archive.rounds()})
        _prepare(mind, folder, state)
        while unfinished or mind.budget.spent(state) is None:
            for event in graph.stream(
                None if unfinished else state, _thread(episode), context=mind, stream_mode="custom", durability="sync"
            ):
                if folder is not None:
                    with (folder / "events.jsonl").open("a", encoding="utf-8") as log:
                        log.write(json.dumps(event) + "\n")
                yield event
            state = _state(graph, episode)
            if episode:
                saver.delete_thread(_name(episode - 1))
            episode, unfinished = episode + 1, False


def _saver(folder: Path | None) -> Any:
    if folder is None:
        return no_saver()
    folder.mkdir(parents=True, exist_ok=True)
    return sqlite_saver(folder / "checkpoints.sqlite")


def _name(episode: int) -> str:
    return f"episode-{episode:06d}"


def _thread(episode: int) -> RunnableConfig:
    return {"configurable": {"thread_id": _name(episode)}, "recursion_limit": 8 * EPISODE + 8}


def _state(graph: Graph, episode: int) -> State:
    return cast(State, graph.get_state(_thread(episode)).values)


def _left_off(graph: Graph, saver: BaseCheckpointSaver[Any]) -> tuple[State, int, bool]:
    """Return the last saved state, the number of the episode to run and whether that one has begun."""
    threads = sorted({saved.config["configurable"]["thread_id"] for saved in saver.list(None)})
    episodes = [int(thread.removeprefix("episode-")) for thread in threads]
    while episodes and not graph.get_state(_thread(episodes[-1])).values:  # interrupted before it had its state
        saver.delete_thread(_name(episodes.pop()))
    if not episodes:
        return START_STATE, 0, False
    *before, last = episodes
    for episode in before:  # interrupted before the one that was done with was deleted
        saver.delete_thread(_name(episode))
    unfinished = bool(graph.get_state(_thread(last)).tasks)
    return _state(graph, last), last + (not unfinished), unfinished


def _prepare(mind: Mind, folder: Path | None, state: State) -> None:
    """Bring the live parts to where the last finished step left them."""
    mind.woken = time.time()
    if folder is not None:
        mind.weights = folder / "weights"
        mind.weights.mkdir(exist_ok=True)
        _trim(folder / "events.jsonl", state["round"])
        learned = weights_folder(mind.weights, state["round"] - 1)
        if mind.learner is not None and learned.exists():
            mind.learner.load(learned)
    has_kept = bool(state["turn"].verdicts)  # interrupted between `keep` and the end of `reinforce`
    mind.recall(state["round"] + has_kept)


def _trim(events: Path, round: int) -> None:
    """Drop the figures of rounds that will run again, and a torn last line."""
    if not events.exists():
        return
    whole = []
    for line in events.read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except json.JSONDecodeError:
            continue
        if event["round"] < round:
            whole.append(f"{line}\n")
    replace_file(events, "".join(whole).encode())
