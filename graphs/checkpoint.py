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
    """Open the checkpoints of a run."""
    with closing(sqlite3.connect(path, check_same_thread=False, timeout=30)) as connection:
        connection.execute("PRAGMA auto_vacuum=FULL")  # pruned episodes give their space back
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # experience has a ledger of its own, at FULL
        yield SqliteSaver(connection, serde=serializer())


@contextmanager
def no_saver() -> Iterator[InMemorySaver]:
    """Keep checkpoints in memory for as long as a run lasts."""
    yield InMemorySaver(serde=serializer())
