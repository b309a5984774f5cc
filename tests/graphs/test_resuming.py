"""Where a run goes on when what it left is damaged, old, another's, or in use."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from langgraph.runtime import RunControl

from bench.killing import events
from hunch.graphs import Budget, Mind, stream
from hunch.graphs.stopping import StoppedError, claimed, on_sigterm
from hunch.memory.errors import InputError, StorageError
from hunch.memory.ledger import Ledger

Minds = Callable[..., Mind]
Left = Callable[[Path], tuple[list[object], list[object], list[tuple[object, ...]]]]


@pytest.fixture
def alone(mind_in: Minds, tmp_path: Path) -> Path:
    """Return the folder of a run that nothing happened to."""
    folder = tmp_path / "alone"
    list(stream(mind_in(folder, seed=1), folder))
    return folder


@pytest.fixture
def stopped(mind_in: Minds, tmp_path: Path) -> Path:
    """Return the folder of a run that stopped after its fourth round of six."""
    folder = tmp_path / "stopped"
    mind = mind_in(folder, seed=1)
    for event in stream(mind, folder):
        if event["round"] == 3:
            break
    mind.knowledge.ledger.close()
    return folder


def flipped(file: Path) -> None:
    body = bytearray(file.read_bytes())
    body[len(body) // 2] ^= 16
    file.write_bytes(body)


def last_weights(folder: Path) -> Path:
    return sorted((folder / "weights").glob("after-round-??????"))[-1]


def lost_event(folder: Path) -> None:
    lines = (folder / "events.jsonl").read_text().splitlines(keepends=True)
    (folder / "events.jsonl").write_text("".join(lines[:-1]))
    shutil.rmtree(last_weights(folder))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "checkpoints gone": lambda folder: (folder / "checkpoints.sqlite").unlink(),
    "checkpoints flipped": lambda folder: flipped(folder / "checkpoints.sqlite"),
    "checkpoints cut": lambda folder: os.truncate(folder / "checkpoints.sqlite", 5_000),
    "weights flipped": lambda folder: flipped(last_weights(folder) / "taste.json"),
    "weights gone": lambda folder: shutil.rmtree(last_weights(folder)),
    "weights unsealed": lambda folder: (last_weights(folder) / "seal.json").unlink(),
    "weights and their figures gone": lost_event,
    "weights of another round": lambda folder: shutil.copytree(
        sorted((folder / "weights").iterdir())[-2], last_weights(folder), dirs_exist_ok=True
    ),
    "last line torn": lambda folder: os.truncate(folder / "events.jsonl", (folder / "events.jsonl").stat().st_size - 9),
}


QUICK = ("checkpoints flipped", "weights flipped", "weights and their figures gone", "last line torn")


@pytest.mark.parametrize(
    "damage", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in DAMAGES]
)
def test_a_damaged_run_ends_as_if_nothing_had_been(
    mind_in: Minds, ledger_of: Left, alone: Path, stopped: Path, damage: str
) -> None:
    DAMAGES[damage](stopped)
    list(stream(mind_in(stopped, seed=1), stopped))
    assert ledger_of(stopped) == ledger_of(alone)
    assert events(stopped) == events(alone)
    assert (last_weights(stopped) / "taste.json").read_text() == (last_weights(alone) / "taste.json").read_text()


@pytest.mark.parametrize("what", ["checkpoints.sqlite", "weights", "memory.sqlite"])
def test_files_of_another_run_are_not_believed(
    mind_in: Minds, ledger_of: Left, alone: Path, stopped: Path, tmp_path: Path, what: str
) -> None:
    other = tmp_path / "other"
    list(stream(mind_in(other, seed=2), other))
    if what == "weights":
        shutil.rmtree(stopped / "weights")
        shutil.copytree(other / "weights", stopped / "weights")
        with pytest.raises(InputError, match="cannot go on: its ledger holds 4 rounds"):
            list(stream(mind_in(stopped, seed=1), stopped))
        return
    shutil.copy2(other / what, stopped / what)
    if what == "memory.sqlite":
        with pytest.raises(InputError, match="was begun with another ledger"):
            list(stream(mind_in(stopped, seed=1), stopped))
        return
    list(stream(mind_in(stopped, seed=1), stopped))
    assert ledger_of(stopped) == ledger_of(alone)


def test_an_old_copy_of_the_ledger_is_refused_where_the_rounds_since_cannot_be_drawn_again(
    mind_in: Minds, tmp_path: Path
) -> None:
    folder, copy = tmp_path / "run", tmp_path / "copy"
    for event in stream(mind_in(folder, seed=1), folder):
        if event["round"] == 0:
            shutil.copy2(folder / "memory.sqlite", copy)
    shutil.copy2(copy, folder / "memory.sqlite")
    list(stream(mind_in(folder, seed=1), folder))  # one round is in it: the run begins again after none
    assert len(events(folder)) == 6


def test_a_row_of_the_ledger_that_changed_is_drawn_again(
    mind_in: Minds, ledger_of: Left, alone: Path, stopped: Path
) -> None:
    with closing(sqlite3.connect(stopped / "memory.sqlite")) as connection, connection:
        connection.execute("UPDATE draws SET strength = 9 WHERE round = 3 AND slot = 1")
    list(stream(mind_in(stopped, seed=1), stopped))
    assert ledger_of(stopped) == ledger_of(alone)


def test_a_run_of_a_newer_version_is_refused_by_its_name(mind_in: Minds, stopped: Path) -> None:
    about = json.loads((stopped / "run.json").read_text())
    (stopped / "run.json").write_text(json.dumps({**about, "format": 99, "hunch": "9.9.9"}))
    with pytest.raises(InputError, match=r"was written by hunch 9\.9\.9, in format 99"):
        list(stream(mind_in(stopped, seed=1), stopped))


def test_each_session_is_on_record_with_the_budget_that_counts_from_there(mind_in: Minds, stopped: Path) -> None:
    list(stream(mind_in(stopped, seed=1, budget=Budget(samples=60, sparks=4, width=3)), stopped))
    first, second = [json.loads(line) for line in (stopped / "sessions.jsonl").read_text().splitlines()]
    assert (first["round"], first["budget"]["samples"]) == (0, 72)
    assert (second["round"], second["budget"]["samples"]) == (3, 60)  # the fourth round was not closed yet


def test_a_second_process_is_refused_while_the_first_runs(mind_in: Minds, tmp_path: Path) -> None:
    running = stream(mind_in(tmp_path, seed=1), tmp_path)
    next(running)
    for act, said in (
        (lambda: Ledger(tmp_path / "memory.sqlite"), "is being written to by another process"),
        (lambda: claimed(tmp_path).__enter__(), "is being written to by another process"),
    ):
        child = os.fork()
        if not child:
            try:
                act()
                os._exit(1)
            except InputError as error:
                os._exit(0 if said in str(error) else 2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    running.close()


def test_a_reader_beside_a_writer_sees_one_state(mind_in: Minds, tmp_path: Path) -> None:
    running = stream(mind_in(tmp_path, seed=1), tmp_path)
    next(running)
    with Ledger(tmp_path / "memory.sqlite", read_only=True) as reader, reader.reading():
        before = reader.draw_count()
        next(running)
        assert (reader.draw_count(), len(reader.draws())) == (before, before)
    with Ledger(tmp_path / "memory.sqlite", read_only=True) as reader:
        assert reader.draw_count() == 2 * before
    running.close()


def test_a_request_to_stop_is_heard_after_the_step_and_nothing_is_lost(
    mind_in: Minds, ledger_of: Left, alone: Path, tmp_path: Path
) -> None:
    folder, control = tmp_path / "asked", RunControl()

    def ask() -> None:
        for event in stream(mind_in(folder, seed=1), folder, control=control):
            if event["round"] == 2:
                control.request_drain()

    with pytest.raises(StoppedError, match="asked to stop"):
        ask()
    list(stream(mind_in(folder, seed=1), folder))
    assert ledger_of(folder) == ledger_of(alone)


def test_sigterm_asks_to_stop_and_is_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with on_sigterm() as control:
        os.kill(os.getpid(), signal.SIGTERM)
        assert control.drain_requested
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_disk_that_is_full_stops_the_run_with_one_line_and_it_goes_on_later(
    mind_in: Minds, ledger_of: Left, alone: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "cramped"
    mind = mind_in(folder, seed=1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (90_000, before[1]))
    try:
        with pytest.raises(StoppedError, match="could not be written to") as caught:
            list(stream(mind, folder))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(str(caught.value).splitlines()) == 1
    mind.knowledge.ledger.close()
    list(stream(mind_in(folder, seed=1), folder))
    assert ledger_of(folder) == ledger_of(alone)


class Hungry:
    """A generator that the memory does not suffice for."""

    version = 0

    def __init__(self, error: Exception) -> None:
        self.error = error

    def hallucinate(self, *_: object) -> list[object]:
        raise self.error


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")])
def test_too_little_memory_stops_the_run_with_one_line(mind_in: Minds, error: Exception) -> None:
    with pytest.raises(StoppedError, match="the memory does not suffice"):
        list(stream(mind_in(None, generator=Hungry(error), learner=None)))


def test_an_error_of_another_kind_goes_on_as_it_came(mind_in: Minds) -> None:
    with pytest.raises(RuntimeError, match="a mistake"):
        list(stream(mind_in(None, generator=Hungry(RuntimeError("a mistake")), learner=None)))


def test_a_log_of_another_ledger_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("ours", "theirs"):
        child = os.fork()
        if not child:
            with Ledger(tmp_path / name) as ledger, ledger.transaction() as connection:
                connection.execute("CREATE TABLE more (x)")
            writer = Ledger(tmp_path / name)
            with writer.transaction() as connection:
                connection.executemany("INSERT INTO more VALUES (?)", [(name,)] * 500)
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        assert (tmp_path / f"{name}-wal").stat().st_size
    shutil.copy2(tmp_path / "theirs-wal", tmp_path / "ours-wal")
    with Ledger(tmp_path / "ours") as ledger:
        assert ledger.rows("SELECT count(*) FROM more WHERE x = 'theirs'") == [(0,)]
    assert "does not go with ours; it is set aside" in caplog.text


def test_a_damaged_ledger_is_an_error_of_ours(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l") as ledger:
        ledger.rows("SELECT 1")
    body = bytearray((tmp_path / "l").read_bytes())
    body[4096:] = b"\x55" * (len(body) - 4096)
    (tmp_path / "l").write_bytes(body)
    with pytest.raises((StorageError, InputError), match="l "), Ledger(tmp_path / "l", read_only=True) as ledger:
        ledger.changes()
