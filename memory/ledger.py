"""The ledger: one SQLite file that is the truth about facts, concepts, draws and experience.

Everything else (vectors, links, reports) is derived from it and can be rebuilt. Write-ahead log with
``synchronous=FULL``: what was committed survives a killed process and a power cut. Transactions begin ``IMMEDIATE``,
because a deferred one that reads before it writes fails at once when another writer was faster.

Every change of facts or concepts gets the next *position*. Reading the changes since a position brings a reader up to
date, removals included: a removed fact stays as a tombstone. Writing the same thing twice changes nothing.

Left out: an exclusive lock per file. Two writing processes take turns; each sees the other's facts at its next read.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self
from urllib.parse import quote

from hunch.memory.errors import HunchError, InputError
from hunch.memory.records import Concept, Draw, Experience, Fact, folded
from hunch.memory.rows import draw_of_row, draw_row, fact_of_row, fact_row

BUSY_SECONDS = 5
"""How long a transaction waits for another program's to end."""
APPLICATION_ID = 0x48554E43
"""Written into the file's header ("HUNC"): tells a ledger from any other SQLite database."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        "INSERT INTO meta VALUES ('position', 0)",
        "CREATE TABLE concepts (name TEXT PRIMARY KEY, display TEXT NOT NULL, type TEXT NOT NULL,"
        " position INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE INDEX concepts_by_position ON concepts (position)",
        "CREATE TABLE aliases (alias TEXT PRIMARY KEY, display TEXT NOT NULL,"
        " concept TEXT NOT NULL REFERENCES concepts (name)) WITHOUT ROWID",
        "CREATE INDEX aliases_by_concept ON aliases (concept)",
        "CREATE TABLE facts (id TEXT PRIMARY KEY, position INTEGER NOT NULL, removed INTEGER NOT NULL DEFAULT 0,"
        " text TEXT NOT NULL, subject TEXT, relation TEXT, object TEXT, concepts TEXT NOT NULL, source TEXT NOT NULL,"
        " date TEXT, weight REAL NOT NULL, experience_id TEXT) WITHOUT ROWID",
        "CREATE INDEX facts_by_position ON facts (position)",
        "CREATE TABLE experience (id TEXT PRIMARY KEY, round INTEGER NOT NULL, slot INTEGER NOT NULL,"
        " body TEXT NOT NULL, UNIQUE (round, slot)) WITHOUT ROWID",
        "CREATE TABLE justifications (experience_id TEXT NOT NULL REFERENCES experience (id), fact_id TEXT NOT NULL,"
        " PRIMARY KEY (experience_id, fact_id)) WITHOUT ROWID",
        "CREATE INDEX justifications_by_fact ON justifications (fact_id)",
        "CREATE TABLE draws (round INTEGER NOT NULL, slot INTEGER NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL,"
        " subject TEXT, relation TEXT, object TEXT, standing TEXT NOT NULL, strength REAL NOT NULL,"
        " p_value REAL NOT NULL, status TEXT NOT NULL, kept INTEGER NOT NULL, reason TEXT NOT NULL,"
        " model_logprob REAL NOT NULL, entropy_nats REAL NOT NULL, PRIMARY KEY (round, slot)) WITHOUT ROWID",
    ),
)
"""Migration ``i`` takes a file from version ``i`` to ``i + 1``. Never edited once released, only appended to."""


class Changes(NamedTuple):
    """What happened to facts and concepts after a position, oldest first."""

    concepts: list[Concept]
    """Concepts that are new or have a new type or alias, as they stand now."""
    facts: list[tuple[int, Fact]]
    """Facts that were added, each with its position."""
    removed: list[str]
    """Ids of facts that were removed."""
    position: int
    """The position that these changes lead to."""


class Ledger:
    """One open ledger file; safe to share between threads of one process."""

    def __init__(self, path: Path | None, *, read_only: bool = False) -> None:
        """Open ``path``, making and migrating it when needed; ``None`` keeps everything in memory.

        Raises:
            InputError: if the path is a directory, cannot be read, is no ledger, or comes from a newer hunch.
        """
        self.path = path
        self.read_only = read_only
        self.rollbacks = 0
        """Transactions undone so far: a reader that read inside one must start again."""
        self._lock = threading.RLock()
        self._depth = 0
        self._connection = _opened(path, read_only)
        try:
            if not read_only:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.execute("PRAGMA foreign_keys = ON")
            migrate(self._connection, MIGRATIONS, read_only=read_only, name=str(path))
        except sqlite3.Error as error:
            self._connection.close()
            raise InputError(
                f"{path} cannot be used as a ledger ({error}); give a ledger file or a new name."
            ) from error
        except InputError:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the file for writing: all of the block is written, or none of it.

        A transaction inside another joins it, so that several stores can commit as one.

        Raises:
            HunchError: if another program holds the file for longer than ``BUSY_SECONDS``.
            InputError: if the ledger was opened read-only or a text cannot be stored as UTF-8.
        """
        with self._lock:
            if self._depth:
                yield self._connection
                return
            if self.read_only:
                raise InputError(f"{self.path} was opened read-only; open it without `read_only` to write.")
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                raise HunchError(
                    f"{self.path} could not be locked within {BUSY_SECONDS} s ({error}); stop the other program that "
                    "writes to it, or wait for it."
                ) from error
            self._depth = 1
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except UnicodeEncodeError as error:
                self._undo()
                raise InputError(
                    f"a text holds {error.object[error.start]!r}, which is not UTF-8; remove it."
                ) from error
            except BaseException:
                self._undo()
                raise
            finally:
                self._depth = 0

    def _undo(self) -> None:
        self.rollbacks += 1
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    @property
    def position(self) -> int:
        """The number of the last change of facts or concepts; 0 in an empty ledger."""
        with self._lock:
            return int(self._connection.execute("SELECT value FROM meta WHERE key = 'position'").fetchone()[0])

    def _rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[object, ...]]:
        with self._lock:
            return self._connection.execute(query, parameters).fetchall()

    # Facts and concepts

    def add_facts(self, facts: Iterable[Fact]) -> int:
        """Write facts and return how many were not there before.

        A removed fact comes back; an observed fact takes the place of the agent's own conclusion of the same id.
        """
        with self.transaction() as connection:
            before, start = connection.total_changes, self.position
            rows = [fact_row(fact, position) for position, fact in enumerate(facts, start + 1)]
            connection.executemany(
                "INSERT INTO facts VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET position = excluded.position, removed = 0, text = excluded.text,"
                " subject = excluded.subject, relation = excluded.relation, object = excluded.object,"
                " concepts = excluded.concepts, source = excluded.source, date = excluded.date,"
                " weight = excluded.weight, experience_id = excluded.experience_id"
                " WHERE removed OR (facts.experience_id IS NOT NULL AND excluded.experience_id IS NULL)",
                rows,
            )
            return self._moved(connection, before, start + len(rows))

    def remove_facts(self, ids: Iterable[str]) -> int:
        """Leave a tombstone in the place of each fact and return how many were there; unknown ids are passed over."""
        with self.transaction() as connection:
            before, start = connection.total_changes, self.position
            rows = [(position, key) for position, key in enumerate(ids, start + 1)]
            connection.executemany("UPDATE facts SET removed = 1, position = ? WHERE id = ? AND NOT removed", rows)
            return self._moved(connection, before, start + len(rows))

    def add_concepts(self, concepts: Iterable[Concept]) -> int:
        """Write concepts and return how many are new or changed.

        The first spelling of a name stays. An empty type is filled in later; an alias belongs to the first concept
        that claims it. The caller sees to it that no concept's name is another's alias.
        """
        with self.transaction() as connection:
            before, start = connection.total_changes, self.position
            names, aliases = [], []
            for position, concept in enumerate(concepts, start + 1):
                name = folded(concept.name)
                names.append((name, concept.name, concept.type, position))
                aliases += [(folded(alias), alias, name) for alias in concept.aliases if folded(alias)]
            connection.executemany(
                "INSERT INTO concepts VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET type = excluded.type, position = excluded.position"
                " WHERE concepts.type = '' AND excluded.type <> ''",
                names,
            )
            end = start + len(names)
            for number, (alias, display, name) in enumerate(aliases, end + 1):
                done = connection.execute(
                    "INSERT INTO aliases VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (alias, display, name)
                )
                if done.rowcount:
                    connection.execute("UPDATE concepts SET position = ? WHERE name = ?", (number, name))
            return self._moved(connection, before, end + len(aliases))

    def _moved(self, connection: sqlite3.Connection, before: int, position: int) -> int:
        changed = connection.total_changes - before
        if changed:
            connection.execute("UPDATE meta SET value = ? WHERE key = 'position'", (position,))
        return changed

    def changes(self, since: int = 0) -> Changes:
        """Return what happened to facts and concepts after position ``since``."""
        with self._lock:
            aliases: dict[object, list[str]] = {}
            for name, display in self._rows(
                "SELECT concept, aliases.display FROM aliases JOIN concepts ON concept = name"
                " WHERE position > ? ORDER BY alias",
                (since,),
            ):
                aliases.setdefault(name, []).append(str(display))
            concepts = [
                Concept(name=str(display), type=str(kind), aliases=tuple(aliases.get(name, ())))
                for name, display, kind in self._rows(
                    "SELECT name, display, type FROM concepts WHERE position > ? ORDER BY position, name", (since,)
                )
            ]
            rows = self._connection.execute("SELECT * FROM facts WHERE position > ? ORDER BY position", (since,))
            facts, removed = [], []
            for row in rows:
                if row[2]:
                    removed.append(row[0])
                else:
                    facts.append((row[1], fact_of_row(row)))
            return Changes(concepts, facts, removed, self.position)

    # Experience

    def add_experiences(self, experiences: Iterable[Experience]) -> int:
        """Write what was kept, with its justifications, and return how many were not there before."""
        new = 0
        with self.transaction() as connection:
            for kept in experiences:
                done = connection.execute(
                    "INSERT INTO experience VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (kept.id, kept.round, kept.slot, json.dumps(kept.model_dump(mode="json"), ensure_ascii=False)),
                )
                if done.rowcount:
                    new += 1
                    connection.executemany(
                        "INSERT INTO justifications VALUES (?, ?) ON CONFLICT DO NOTHING",
                        [(kept.id, fact_id) for fact_id in kept.justifications],
                    )
        return new

    def experiences(self, *, before_round: int | None = None, id: str | None = None) -> list[Experience]:
        """Return what was kept, by (round, slot): all, or that of rounds below ``before_round``, or that of ``id``."""
        rows = self._rows(
            "SELECT body FROM experience WHERE (?1 IS NULL OR round < ?1) AND (?2 IS NULL OR id = ?2)"
            " ORDER BY round, slot",
            (before_round, id),
        )
        return [Experience.model_validate_json(str(body)) for (body,) in rows]

    def experience_count(self) -> int:
        """Return how many experiences were kept."""
        return int(str(self._rows("SELECT count(*) FROM experience")[0][0]))

    def add_draws(self, draws: Iterable[Draw]) -> int:
        """Log samples and return how many were not there before."""
        with self.transaction() as connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT INTO draws VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                [draw_row(draw) for draw in draws],
            )
            return connection.total_changes - before

    def draws(self) -> list[Draw]:
        """Return all samples by (round, slot)."""
        with self._lock:
            return [draw_of_row(row) for row in self._connection.execute("SELECT * FROM draws ORDER BY round, slot")]

    def draw_keys(self) -> list[tuple[str, bool]]:
        """Return each sample's content id and whether it was kept, by (round, slot)."""
        return [(str(key), bool(kept)) for key, kept in self._rows("SELECT key, kept FROM draws ORDER BY round, slot")]


def _opened(path: Path | None, read_only: bool) -> sqlite3.Connection:
    if path is None:
        name = ":memory:"
    elif path.is_dir():
        raise InputError(f"{path} is a directory, but a ledger is a file; name a file in it.")
    elif read_only and not path.exists():
        raise InputError(f"{path} does not exist; a ledger that is only read must be there.")
    else:
        name = f"file:{quote(str(path.absolute()))}?mode={'ro' if read_only else 'rwc'}"
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
