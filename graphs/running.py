"""Running a mind: episodes of the cycle in a plain loop, checkpointed, one after the other.

A run with a folder goes on where it stopped when it is run again: LangGraph finishes the interrupted episode
(``snapshot.tasks`` tells whether there is one; ``next`` does not), the store and the weights are as the last finished
step left them. A step that was interrupted runs again. What is damaged is set aside (``graphs/resuming.py``). Without
a folder nothing is saved.
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
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.runtime import RunControl
from langgraph.types import Command

from hunch.graphs.checkpoint import no_saver, sqlite_saver
from hunch.graphs.cycle import EPISODE, build_cycle
from hunch.graphs.keeping import trusted_weights, weights_folder
from hunch.graphs.mind import Mind, State
from hunch.graphs.panel import answer
from hunch.graphs.resuming import Graph, Place, begin, place_of, read_events, thread, thread_name
from hunch.graphs.review import build_review
from hunch.graphs.stopping import claimed, stopping
from hunch.memory.files import replace_file
from hunch.memory.records import Experience

Event = dict[str, Any]


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


def stream(mind: Mind, folder: Path | None = None, *, control: RunControl | None = None) -> Iterator[Event]:
    """Run, yielding each round's figures as it ends; with a folder, go on where the last run in it stopped.

    Who stops listening stops the run after the step at hand, and so does ``control.request_drain()``, from any thread
    or signal handler: the run then ends with ``StoppedError``.

    Raises:
        InputError: if the folder is another process's, of a newer version, or too damaged to go on.
        StoppedError: if the run was asked to stop, or the disk or the memory is full, or it waits for experts
            (``WaitingError``); it can go on later.
    """
    built = build_cycle() if mind.panel is None else build_review()
    with stopping(folder), ExitStack() as stack:
        if folder is None:
            saver: InMemorySaver | SqliteSaver = stack.enter_context(no_saver())
            graph: Graph = built.compile(checkpointer=saver, name="hunch")
            place = Place(state=begin(mind.archive.rounds()), episode=0, unfinished=False)
        else:
            stack.enter_context(claimed(folder))
            saver = stack.enter_context(sqlite_saver(folder / "checkpoints.sqlite"))
            graph = built.compile(checkpointer=saver, name="hunch")
            place = place_of(mind, folder, graph, saver)
        state, episode, unfinished = place["state"], place["episode"], place["unfinished"]
        _prepare(mind, folder, state)
        while unfinished or mind.budget.spent(state) is None:
            for event in _episode(
                mind, graph, None if unfinished else state, thread(mind, episode, 10 * EPISODE + 10), control
            ):
                if folder is not None:
                    with (folder / "events.jsonl").open("a", encoding="utf-8") as log:
                        log.write(json.dumps(event) + "\n")
                yield event
            state = cast(State, graph.get_state(thread(mind, episode)).values)
            if episode:
                saver.delete_thread(thread_name(mind, episode - 1))
            episode, unfinished = episode + 1, False


def _episode(
    mind: Mind, graph: Graph, given: State | Command[str] | None, where: RunnableConfig, control: RunControl | None
) -> Iterator[Event]:
    """Run an episode to its end, asking the experts as often as it waits for them."""
    while True:
        yield from graph.stream(given, where, context=mind, stream_mode="custom", durability="sync", control=control)
        now = graph.get_state(where)
        if not now.interrupts or mind.panel is None:
            return
        given = answer(mind, mind.panel, now.values["turn"].sheets)


def _prepare(mind: Mind, folder: Path | None, state: State) -> None:
    """Bring the live parts to where the last finished step left them."""
    mind.woken, mind.folder = time.time(), folder
    if folder is not None:
        (folder / "weights").mkdir(exist_ok=True)
        whole = [event for event in read_events(folder / "events.jsonl") if event["round"] < state["round"]]
        replace_file(folder / "events.jsonl", "".join(f"{json.dumps(event)}\n" for event in whole).encode())
        if mind.learner is not None and trusted_weights(mind, folder, state["round"] - 1):
            mind.learner.load(weights_folder(folder / "weights", state["round"] - 1))
    has_kept = bool(state["turn"].verdicts)  # interrupted between `keep` and the end of `reinforce`
    mind.recall(state["round"] + has_kept)
