"""How a ledger's file is opened: claimed, checked, and brought to the newest version."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from filelock import FileLock, Timeout

from hunch.memory.errors import InputError
from hunch.memory.files import set_aside
from hunch.memory.schema import APPLICATION_ID

BUSY_SECONDS = 5
"""How long opening a file and reading wait for another program's transaction to end."""

log = logging.getLogger(__name__)


def claimed(path: Path) -> FileLock:
    """Return the lock that keeps other processes from writing to ``path``, held; writers of this process share it."""
    lock = FileLock(f"{path}.lock", is_singleton=True, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"{path} is being written to by another process; wait for it, or open it with `read_only`."
        ) from error
    except OSError as error:
        raise InputError(f"{path} cannot be written to ({error.strerror}); give another name.") from error
    _recover(path)
    return lock


def _recover(path: Path) -> None:
    """Set a write-ahead log aside that does not go with the file, as after a killed writer a foreign one might.

    SQLite writes any log of whole frames into the file; so it is tried on a copy first.
    """
    log_file = path.with_name(path.name + "-wal")
    if not path.exists() or not log_file.exists() or not log_file.stat().st_size:
        return
    before = _identity(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1")
    with tempfile.TemporaryDirectory(prefix="hunch-") as folder:
        copy = Path(folder) / "ledger"
        shutil.copy2(path, copy)
        shutil.copy2(log_file, copy.with_name("ledger-wal"))
        after = _identity(f"file:{quote(str(copy))}?mode=rw")
    if after is not None and before in (None, after):
        return
    set_aside(log_file)
    path.with_name(path.name + "-shm").unlink(missing_ok=True)
    log.warning(
        "%s does not go with %s; it is set aside (%s.set-aside), and what only it held is lost or done again",
        log_file, path.name, log_file.name,
    )  # fmt: skip


def _identity(name: str) -> int | None:
    """Return the identity of a whole ledger; 0 for one of an earlier version, None for anything else."""
    try:
        with closing(sqlite3.connect(name, uri=True)) as connection:
            if connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
                return None
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                return None
            found = connection.execute("SELECT value FROM meta WHERE key = 'identity'").fetchone()
            return int(found[0]) if found else 0
    except sqlite3.Error:
        return None


def opened(path: Path | None, *, read_only: bool) -> sqlite3.Connection:
    """Return a connection to a file that is there or may be made; to one in memory for ``None``.

    Raises:
        InputError: if it is a directory, missing though only to be read, or no SQLite database.
    """
    if path is None:
        name = ":memory:"
    elif path.is_dir():
        raise InputError(f"{path} is a directory, but a ledger is a file; name a file in it.")
    elif read_only and not path.exists():
        raise InputError(f"{path} does not exist; a ledger that is only read must be there.")
    else:
        # A closed ledger in a folder that cannot be written to has no log; SQLite must be told not to ask for one.
        still = read_only and not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists()
        name = f"file:{quote(str(path.absolute()))}?mode={'ro' if read_only else 'rwc'}{'&immutable=1' * still}"
    try:
        # One connection, guarded by our own lock: LangGraph may run nodes in worker threads.
        connection = sqlite3.connect(
            name, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=path is not None
        )
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        raise InputError(
            f"{path} cannot be opened as a ledger ({error}); give a readable ledger or a new name."
        ) from error
    return connection


def migrate(
    connection: sqlite3.Connection,
    migrations: Sequence[Sequence[str]],
    *,
    read_only: bool = False,
    name: str = "ledger",
) -> None:
    """Bring a database to version ``len(migrations)``, all in one transaction.

    Raises:
        InputError: if the file is newer, is no ledger, or would need a change that ``read_only`` forbids.
        sqlite3.Error: if a migration fails; the file is then as it was.
    """
    newest = len(migrations)
    if _version(connection, newest, name) == newest:
        return
    if read_only:
        raise InputError(f"{name} is not a ledger of version {newest}; open it once for writing, which migrates it.")
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Read again: another process may have migrated while we waited.
        for steps in migrations[_version(connection, newest, name) :]:
            for statement in steps:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {newest}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, newest: int, name: str) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if tables and owner != APPLICATION_ID:
        raise InputError(f"{name} is a database of another program; give a ledger or the name of a new file.")
    if version > newest:
        raise InputError(
            f"{name} has version {version}, but this hunch knows versions up to {newest}; install a newer hunch."
        )
    return version
