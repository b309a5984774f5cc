"""Where a run goes on: from its last checkpoint if that agrees with the ledger, otherwise from the ledger itself.

The ledger is the truth; checkpoints, weights and the log of events are what was made beside it, and a killed process, a
torn file or an old copy may leave them at odds. A run goes on after the last round of which all that is needed is
whole: the samples and the experience in the ledger, and the weights learned from them. A round that was drawn after
that is forgotten and drawn again; on a CPU it comes out the same. More than ``MOST_REDONE`` rounds are not given up so.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any, TypedDict, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph.state import CompiledStateGraph

from hunch.graphs.checkpoint import threads_in
from hunch.graphs.keeping import KEPT_VERSIONS, trusted_weights
from hunch.graphs.mind import START_STATE, Mind, State
from hunch.memory.errors import InputError
from hunch.memory.files import replace_file
from hunch.memory.records import Draw, Turn
from hunch.memory.truth import forget_rounds

Graph = CompiledStateGraph[State, Mind, State, State]

FORMAT = 1
"""Of a run's folder; a newer one is refused."""
MOST_REDONE = KEPT_VERSIONS
"""Rounds that are drawn again rather than giving up."""

log = logging.getLogger(__name__)


class About(TypedDict):
    """What a run's folder says of itself, in ``run.json``."""

    format: int
    hunch: str
    """The version that began it."""
    ledger: int
    """Identity of the ledger that it belongs to."""
    first_round: int
    learns_from: int | None
    """The first round that it learned from; None while it has no learner."""


class Place(TypedDict):
    """Where a run goes on."""

    state: State
    episode: int
    unfinished: bool
    """Whether the episode has begun and LangGraph is to finish it."""


def place_of(mind: Mind, folder: Path, graph: Graph, saver: SqliteSaver) -> Place:
    """Return where a run goes on, its ledger and its checkpoints brought to agree.

    Raises:
        InputError: if the folder is of a newer version or another ledger, or too much of it is damaged to go on.
    """
    about = _about(mind, folder)
    place = _checkpointed(mind, graph, saver, about)
    if place is None or not _agrees(place["state"], mind, folder, about):
        begun = mind.archive.rounds() > about["first_round"] or place is not None
        place = Place(state=_from_ledger(mind, folder, about), episode=0, unfinished=False)
        for thread in threads_in(saver):
            saver.delete_thread(thread)
        if begun:
            log.warning(
                "%s goes on with round %d, as its ledger has it, for its checkpoints do not agree with that",
                folder, place["state"]["round"],
            )  # fmt: skip
    _log_session(mind, folder, place["state"]["round"])
    return place


def thread_name(mind: Mind, episode: int) -> str:
    """Return the name of an episode's thread; that of another ledger's run never has it."""
    return f"{mind.knowledge.ledger.identity}-episode-{episode:06d}"


def thread(mind: Mind, episode: int, recursion_limit: int = 100) -> RunnableConfig:
    """Return how LangGraph is told of an episode."""
    return {"configurable": {"thread_id": thread_name(mind, episode)}, "recursion_limit": recursion_limit}


def hunch_version() -> str:
    """Return the installed version."""
    try:
        return version("hunch-agent")
    except PackageNotFoundError:
        return "source tree"


def begin(round: int) -> State:
    """Return the state of a run that has drawn nothing; rounds of another may be in the ledger: they are taken."""
    return State(**{**START_STATE, "round": round})


def _about(mind: Mind, folder: Path) -> About:
    """Read what the folder says of itself, and write it where that is new."""
    file, ledger = folder / "run.json", mind.knowledge.ledger.identity
    about = About(
        format=FORMAT, hunch=hunch_version(), ledger=ledger, first_round=mind.archive.rounds(), learns_from=None
    )
    if file.exists():
        try:
            about = cast(About, {name: json.loads(file.read_bytes())[name] for name in about})
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file} is damaged ({error}); put a copy of it back, or start another run.") from error
        if about["format"] > FORMAT:
            raise InputError(
                f"{folder} was written by hunch {about['hunch']}, in format {about['format']}, but this hunch "
                f"({hunch_version()}) knows formats up to {FORMAT}; install that one."
            )
        if about["ledger"] != ledger:
            raise InputError(
                f"the run in {folder} was begun with another ledger than {mind.knowledge.ledger.path}; put its own "
                "back, or start another run."
            )
    elif (folder / "checkpoints.sqlite").exists() and mind.archive.rounds():  # begun before there was a run.json
        about["first_round"] = _first_event(folder)
    if mind.learner is not None and about["learns_from"] is None:
        about["learns_from"] = mind.archive.rounds() if file.exists() else about["first_round"]
    replace_file(file, json.dumps(about, indent=1).encode())
    return about


def _first_event(folder: Path) -> int:
    return next((int(event["round"]) for event in read_events(folder / "events.jsonl")), 0)


def _checkpointed(mind: Mind, graph: Graph, saver: SqliteSaver, about: About) -> Place | None:
    """Return where the checkpoints say that the run goes on; None if there are none."""
    own = thread_name(mind, 0)[:-6]
    episodes = [int(name.removeprefix(own)) for name in threads_in(saver) if name.startswith(own)]
    while episodes and not graph.get_state(thread(mind, episodes[-1])).values:  # interrupted before it had its state
        saver.delete_thread(thread_name(mind, episodes.pop()))
    if not episodes:
        begun = mind.archive.draw_count(about["first_round"])
        return None if begun else Place(state=begin(about["first_round"]), episode=0, unfinished=False)
    *before, last = episodes
    for episode in before:  # interrupted before the one that was done with was deleted
        saver.delete_thread(thread_name(mind, episode))
    found = graph.get_state(thread(mind, last))
    unfinished = bool(found.tasks)
    return Place(state=cast(State, found.values), episode=last + (not unfinished), unfinished=unfinished)


def _agrees(state: State, mind: Mind, folder: Path, about: About) -> bool:
    """Return whether ledger and weights are as they were when the state was saved, or one step further."""
    if mind.knowledge.ledger.damaged_rounds():
        return False
    drawn, turn = mind.archive.draw_count(about["first_round"]), state["turn"]
    kept_since = bool(turn.outcomes) and not turn.verdicts and drawn == state["samples"] + len(turn.hypotheses)
    if drawn != state["samples"] and not kept_since:
        return False
    learned = about["learns_from"] is not None and about["learns_from"] < state["round"]
    return mind.learner is None or not learned or trusted_weights(mind, folder, state["round"] - 1)


def _from_ledger(mind: Mind, folder: Path, about: About) -> State:
    """Return the state after the last round of which all is whole, and forget what was drawn after it."""
    ledger, first = mind.knowledge.ledger, about["first_round"]
    drawn = mind.archive.rounds()
    whole = min([drawn, *(round for round in ledger.damaged_rounds() if round >= first)])
    told = {event["round"]: event for event in read_events(folder / "events.jsonl")}
    learns_from = about["learns_from"]
    for round in range(whole, max(first, drawn - MOST_REDONE) - 1, -1):
        learned = mind.learner is not None and learns_from is not None and learns_from < round
        if round == first or (round - 1 in told and (not learned or trusted_weights(mind, folder, round - 1))):
            break
    else:
        raise InputError(
            f"{folder} cannot go on: its ledger holds {drawn} rounds, but of round {drawn - MOST_REDONE} and later the "
            "weights, the figures in events.jsonl or the ledger's own rows are missing or damaged (see `hunch facts "
            "verify`); what was kept can still be read, but another run, in another folder, has to be started."
        )
    if round < drawn:
        log.warning("%s: rounds %d to %d are drawn again", folder, round, drawn - 1)
        forget_rounds(ledger, round)
    draws = [draw for draw in mind.archive.draws() if draw.round >= first]
    state = begin(round)
    for _, several in islice(_by_round(draws), max(0, round - first - 2 * mind.budget.patience), None):
        state = cast(State, {**state, **mind.budget.recent_of(state, several)})
    return State(
        **{
            **state,
            "samples": len(draws),
            "kept": sum(draw.kept for draw in draws),
            "seconds": float(told[round - 1]["seconds"]) if round - 1 in told else 0.0,
            "turn": Turn(),
        }
    )


def _by_round(draws: Iterable[Draw]) -> Iterable[tuple[int, list[Draw]]]:
    rounds: dict[int, list[Draw]] = {}
    for draw in draws:
        rounds.setdefault(draw.round, []).append(draw)
    return rounds.items()


def read_events(file: Path) -> list[dict[str, Any]]:
    """Return the events in a log, without what is torn."""
    events = []
    for line in file.read_bytes().decode(errors="replace").splitlines() if file.exists() else ():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and {"round", "seconds"} <= event.keys():
            events.append(event)
    return events


def _log_session(mind: Mind, folder: Path, round: int) -> None:
    """Write down that the run goes on from ``round``, with what; a changed budget counts from there."""
    facts = hashlib.blake2b(digest_size=8)
    for fact in mind.knowledge.observed():
        facts.update(f"{fact.id}\n".encode())
    file = folder / "sessions.jsonl"
    entry = {"round": round, "hunch": hunch_version(), "facts": facts.hexdigest(), "budget": asdict(mind.budget)}
    before = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    if before and json.loads(before[-1])["facts"] != entry["facts"]:
        log.warning("%s goes on with other facts than it had; from round %d on they count", folder, round)
    entry["started"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    replace_file(file, "".join(f"{line}\n" for line in [*before, json.dumps(entry)]).encode())
