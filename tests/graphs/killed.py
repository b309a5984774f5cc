"""Kill runs with SIGKILL at each place where something is written, resume them, and compare with a run left alone.

    python tests/graphs/killed.py FOLDER FIRST STEP

Places are counted before and after every write of a checkpoint, a step's result, the ledger, the weights and the log of
events. Each run is a forked process that really dies at its place, numbers FIRST, FIRST + STEP, ...; a second process
goes on in the same folder. Writes a line of JSON for each place: what was about to be written, and what differed.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

from conftest import Savourer, left, rambling
from langgraph.checkpoint.sqlite import SqliteSaver

from bench.killing import Places, events, forked
from hunch.graphs import stream
from hunch.memory.experience import Archive
from hunch.memory.knowledge import Knowledge

SEED = 1
"""A world in which much is kept, so that a loss would show."""


def live(folder: Path, fatal: int | None) -> list[str]:
    """Run in ``folder``, dying at place ``fatal``, and return the names of the places passed."""
    places = Places(fatal)
    for owner, name in (
        (SqliteSaver, "put"),
        (SqliteSaver, "put_writes"),
        (SqliteSaver, "delete_thread"),
        (Archive, "commit"),
        (Knowledge, "add"),
        (Savourer, "save"),
    ):
        places.watch(owner, name)
    mind = rambling(folder, seed=SEED)
    whole = mind.remember

    def remember(*args: Any) -> None:
        whole(*args)
        places.at("after remember")

    mind.remember = remember  # type: ignore[method-assign]  # one more place to die at
    for _ in stream(mind, folder):
        places.at("after an event")
    return places.names


def main(root: Path, first: int, step: int) -> None:
    """Kill at place ``first`` and every ``step``-th after it."""
    names = root / "names.json"
    assert forked(lambda: names.write_text(json.dumps(live(root / "alone", None)))) == 0
    passed = json.loads(names.read_text())
    alone, alone_events = left(root / "alone"), events(root / "alone")
    assert len(alone[1]) >= 5, "too little is kept for a loss to show"
    for place in range(first, len(passed), step):
        folder = root / f"killed-{place}"
        assert forked(lambda f=folder, p=place: live(f, p)) == -signal.SIGKILL  # type: ignore[misc]
        assert forked(lambda f=folder: list(stream(rambling(f, seed=SEED), f))) == 0  # type: ignore[misc]
        parts = zip(("draws", "experience", "facts"), left(folder), alone, strict=True)
        differs = [name for name, found, expected in parts if found != expected]
        differs += ["events"] * (events(folder) != alone_events)
        sys.stdout.write(json.dumps({"place": place, "name": passed[place], "differs": differs}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
