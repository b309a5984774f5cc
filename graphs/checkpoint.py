"""What may be saved, and where: a SQLite checkpointer that knows our records and nothing else."""

from __future__ import annotations

import hashlib
import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from hunch.memory import expertise, records
from hunch.memory.errors import InputError
from hunch.memory.files import set_aside

log = logging.getLogger(__name__)

RECORDS = tuple(
    (module.__name__, name)
    for module in (records, expertise)
    for name, value in vars(module).items()
    if isinstance(value, type) and value.__module__ == module.__name__
)
"""The types that a checkpoint may be read back into; anything else in one is refused."""
SUM_BYTES = 16


class CheckedSerializer:
    """Reads back our records only, never unpickles, and knows damage: SQLite has no checksums of its own."""

    def __init__(self) -> None:
        self._plain = JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=RECORDS)

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """Return the kind of a value and its bytes, their BLAKE2b at the end."""
        kind, body = self._plain.dumps_typed(obj)
        return kind, body + _sum(kind, body)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """Return the value again.

        Raises:
            InputError: if it is not as it was written.
        """
        kind, body, sum = data[0], data[1][:-SUM_BYTES], data[1][-SUM_BYTES:]
        if _sum(kind, body) != sum:
            raise InputError("a checkpoint is damaged; go on from the one before, or from the ledger.")
        return self._plain.loads_typed((kind, body))


def serializer() -> CheckedSerializer:
    """Return what a saver of one's own should write checkpoints with."""
    return CheckedSerializer()


def _sum(kind: str, body: bytes) -> bytes:
    return hashlib.blake2b(kind.encode() + b"\0" + body, digest_size=SUM_BYTES).digest()


@contextmanager
def sqlite_saver(path: Path) -> Iterator[SqliteSaver]:
    """Open the checkpoints of a run; a file that is damaged or of another program is set aside first.

    What a step had handed over before an interruption, but no checkpoint holds, is forgotten: the step runs again, for
    its changes to live parts (weights, the store's network) are gone with the process.
    """
    if path.exists() and (why := _damage(path)):
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            set_aside(path.with_name(name))
        log.warning("%s %s; it is set aside (%s.set-aside), and the run goes on from its ledger", path, why, path.name)
    with closing(_connected(path)) as connection:
        saver = SqliteSaver(connection, serde=serializer())
        connection.execute("PRAGMA auto_vacuum=FULL")  # pruned episodes give their space back
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")  # experience has a ledger of its own, at FULL
        saver.setup()
        with connection:
            connection.execute("DELETE FROM writes WHERE channel NOT IN ('__interrupt__', '__resume__')")
        yield saver


def threads_in(saver: SqliteSaver) -> list[str]:
    """Return the names of the threads that have checkpoints, without reading those."""
    return sorted(name for (name,) in saver.conn.execute("SELECT DISTINCT thread_id FROM checkpoints"))


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, check_same_thread=False, timeout=30)


def _damage(path: Path) -> str:
    """Return what is wrong with a file of checkpoints, as far as it would be used; nothing if it is well."""
    try:
        with closing(_connected(path)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                return "is damaged"
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
            if tables and not {"checkpoints", "writes"} <= tables:
                return "is of another program"
            saver = SqliteSaver(connection, serde=serializer())
            for thread in threads_in(saver) if tables else ():
                saver.get_tuple({"configurable": {"thread_id": thread, "checkpoint_ns": ""}})
    except Exception as error:  # noqa: BLE001  # the boundary: a damaged file may raise anything
        return f"is damaged ({error})"
    return ""


@contextmanager
def no_saver() -> Iterator[InMemorySaver]:
    """Keep checkpoints in memory for as long as a run lasts."""
    yield InMemorySaver(serde=serializer())
