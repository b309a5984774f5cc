"""What a checkpoint may hold."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hunch.graphs import Mind, build_cycle, serializer, sqlite_saver, stream
from hunch.graphs.mind import START_STATE
from hunch.memory.records import Outcome, Status, Turn
from hunch.memory.values import Record

Minds = Callable[..., Mind]


class Stranger(Record):
    """A record that is defined elsewhere."""

    name: str


def through(value: object) -> object:
    """Return ``value`` after it was written and read back."""
    own = serializer()
    return own.loads_typed(own.dumps_typed(value))


def test_the_state_of_every_step_survives_the_strict_serializer(mind_in: Minds) -> None:
    mind, turns = mind_in(None), 0
    for state in build_cycle().compile().stream(START_STATE, context=mind, stream_mode="values"):
        assert through(state) == state
        turns += bool(state["turn"].verdicts)
    assert turns == 4


def test_the_state_survives_a_checkpoint_on_disk(mind_in: Minds, tmp_path: Path) -> None:
    config = {"configurable": {"thread_id": "one"}}
    with sqlite_saver(tmp_path / "checkpoints.sqlite") as saver:
        graph = build_cycle().compile(checkpointer=saver, interrupt_after=["keep"])
        seen = list(graph.stream(START_STATE, config, context=mind_in(None), stream_mode="values"))  # type: ignore[call-overload]
    with sqlite_saver(tmp_path / "checkpoints.sqlite") as saver:
        saved = build_cycle().compile(checkpointer=saver).get_state(config).values  # type: ignore[arg-type]
    turns = [state["turn"] for state in seen if "turn" in state]
    assert saved["turn"] == turns[-1]
    assert isinstance(saved["turn"], Turn)


def test_enums_come_back_as_members() -> None:
    outcome = through(Outcome(status=Status.CONFIRMED))
    assert isinstance(outcome, Outcome)
    assert outcome.status is Status.CONFIRMED


def test_a_type_that_is_no_record_of_ours_does_not_come_back() -> None:
    assert not isinstance(through(Stranger(name="x")), Stranger)


def test_a_live_object_is_refused(mind_in: Minds) -> None:
    with pytest.raises(TypeError):
        through(mind_in(None))


@pytest.mark.parametrize("kind", ["no database", "another program's", "flipped", "zeroed"])
def test_a_file_that_holds_no_whole_checkpoints_is_set_aside_with_a_line_in_the_log(
    mind_in: Minds, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "checkpoints.sqlite"
    if kind == "no database":
        file.write_bytes(b"no database at all, but long enough to be read as one" * 20)
    elif kind == "another program's":
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("CREATE TABLE others (name TEXT)")
    else:
        list(stream(mind_in(tmp_path), tmp_path))
        body = file.read_bytes()
        pages = [body[at : at + 4096] for at in range(0, len(body), 4096)]
        zeroed = b"".join(bytes(4096) if b"recent_yield" in page else page for page in pages)
        file.write_bytes(body.replace(b"recent_yield", b"recent_yielc") if kind == "flipped" else zeroed)
    was = file.read_bytes()
    with sqlite_saver(file) as saver:
        assert list(saver.list(None)) == []
    assert (tmp_path / "checkpoints.sqlite.set-aside").read_bytes() == was
    assert "is set aside" in caplog.text


def test_a_finished_run_leaves_the_checkpoints_of_one_episode(mind_in: Minds, tmp_path: Path) -> None:
    list(stream(mind_in(tmp_path), tmp_path))
    with sqlite3.connect(tmp_path / "checkpoints.sqlite") as connection:
        threads = connection.execute("SELECT DISTINCT thread_id FROM checkpoints").fetchall()
    connection.close()
    assert [name.rpartition("-episode-")[2] for (name,) in threads] == ["000001"]
