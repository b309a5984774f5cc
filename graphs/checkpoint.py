"""What may be saved, and where: a SQLite checkpointer that knows our records and nothing else."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from hunch.memory import records
from hunch.memory.errors import InputError

RECORDS = tuple(
    (records.__name__, name)
    for name, value in vars(records).items()
    if isinstance(value, type) and value.__module__ == records.__name__
)
"""The types that a checkpoint may be read back into; anything else in one is refused."""


def serializer() -> JsonPlusSerializer:
    """Return a serializer that reads back our records only and never unpickles."""
    return JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=RECORDS)


@contextmanager
def sqlite_saver(path: Path) -> Iterator[SqliteSaver]:
    """Open the checkpoints of a run.

    What a step had handed over before an interruption, but no checkpoint holds, is forgotten: the step runs again, for
    its changes to live parts (weights, the store's network) are gone with the process.

    Raises:
        InputError: if ``path`` is no file of checkpoints.
    """
    with closing(sqlite3.connect(path, check_same_thread=False, timeout=30)) as connection:
        saver = SqliteSaver(connection, serde=serializer())
        try:
            connection.execute("PRAGMA auto_vacuum=FULL")  # pruned episodes give their space back
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")  # experience has a ledger of its own, at FULL
            saver.setup()
            with connection:
                connection.execute("DELETE FROM writes WHERE channel NOT IN ('__interrupt__', '__resume__')")
        except sqlite3.DatabaseError as error:
            raise InputError(f"{path} cannot be used for checkpoints ({error}); give another folder.") from error
        yield saver


@contextmanager
def no_saver() -> Iterator[InMemorySaver]:
    """Keep checkpoints in memory for as long as a run lasts."""
    yield InMemorySaver(serde=serializer())
