"""The ledger: one SQLite file that is the truth about facts, concepts, draws and experience.

Everything else (vectors, links, reports) is derived from it and can be rebuilt. Write-ahead log with
``synchronous=FULL``: what was committed survives a killed process and a power cut. Transactions begin ``IMMEDIATE``,
because a deferred one that reads before it writes fails at once when another writer was faster.

One process writes to a file at a time: a second is refused at once, by a lock beside the file. Within a process all
writers of a file take turns, so that no two connections ever write and check-point at one instant, which may lose
what was committed before SQLite 3.51.3. Readers open the file read-only, beside a writer too, and ``reading`` shows
them one state of it for as long as they like.

Every change of facts or concepts gets the next *position*. Reading the changes since a position brings a reader up to
date, removals included: a removed fact stays as a tombstone. Writing the same thing twice changes nothing.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from weakref import WeakValueDictionary

from filelock import FileLock

from hunch.memory.errors import InputError, StorageError
from hunch.memory.opening import claimed, migrate, opened
from hunch.memory.records import Concept, Draw, Experience, Fact
from hunch.memory.rows import draw_of_row, draw_row, fact_of_row, fact_row
from hunch.memory.schema import MIGRATIONS
from hunch.memory.values import digest, folded

DATABASE_ERROR = sqlite3.Error
"""What SQLite raises, for those who must not import it."""

_TURNS: WeakValueDictionary[str, Any] = WeakValueDictionary()  # path -> the lock of all that write there


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
            InputError: if the path is a directory, cannot be read, is no ledger, comes from a newer hunch, or another
                process writes to it.
        """
        self.path = path
        self.read_only = read_only
        self.rollbacks = 0
        """Transactions undone so far: a reader that read inside one must start again."""
        self._depth = 0
        self._claim: FileLock | None = None
        if path is None or read_only:
            self._lock: Any = threading.RLock()
        else:
            self._claim = claimed(path)
            self._lock = _TURNS.setdefault(str(path.absolute()), threading.RLock())
        try:
            self._connection = opened(path, read_only=read_only)
        except InputError:
            self._release()
            raise
        try:
            if not read_only:
                self._connection.execute("PRAGMA journal_mode = WAL")
                self._connection.execute("PRAGMA synchronous = FULL")
                self._connection.execute("PRAGMA foreign_keys = ON")
            migrate(self._connection, MIGRATIONS, read_only=read_only, name=str(path))
            if not read_only:
                self.settle()
        except sqlite3.Error as error:
            self.close()
            raise InputError(
                f"{path} cannot be used as a ledger ({error}); give a ledger file or a new name."
            ) from error
        except InputError:
            self.close()
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
        self._release()

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.release()
            self._claim = None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the file for writing: all of the block is written, or none of it.

        A transaction inside another joins it, so that several stores can commit as one.

        Raises:
            StorageError: if the disk is full, or the file is damaged or held by another program.
            InputError: if the ledger was opened read-only or a text cannot be stored as UTF-8.
        """
        with self._lock:
            if self._depth:
                yield self._connection
                return
            if self.read_only:
                raise InputError(f"{self.path} was opened read-only; open it without `read_only` to write.")
            self._depth = 1
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                before = self._connection.total_changes
                yield self._connection
                if self._connection.total_changes > before:  # so that the log always holds the page with the identity
                    self._connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'commits'")
                self._connection.execute("COMMIT")
            except UnicodeEncodeError as error:
                self._undo()
                raise InputError(
                    f"a text holds {error.object[error.start]!r}, which is not UTF-8; remove it."
                ) from error
            except sqlite3.Error as error:
                self._undo()
                raise self._failed("written to", error) from error
            except BaseException:
                self._undo()
                raise
            finally:
                self._depth = 0

    def _undo(self) -> None:
        self.rollbacks += 1
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Show the file as it is now to all that is read within, whatever others write meanwhile."""
        with self._lock:
            if self._connection.in_transaction:
                yield
                return
            self._connection.execute("BEGIN")
            try:
                self.position  # noqa: B018  # SQLite takes its picture at the first read
                yield
            finally:
                self._connection.execute("ROLLBACK")

    def copy(self) -> Ledger:
        """Return a copy in memory; what is done to it leaves the file alone."""
        copy = Ledger(None)
        with self._lock:
            self._connection.backup(copy._connection)
        return copy

    def settle(self) -> None:
        """Move what was committed from the write-ahead log into the file, as far as readers let it."""
        if self.path is not None:
            self.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    @property
    def position(self) -> int:
        """The number of the last change of facts or concepts; 0 in an empty ledger."""
        return int(self.rows("SELECT value FROM meta WHERE key = 'position'")[0][0])

    @property
    def identity(self) -> int:
        """The ledger's own number, by which files that belong to it know it."""
        return int(self.rows("SELECT value FROM meta WHERE key = 'identity'")[0][0])

    def rows(self, query: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Return what a query finds.

        Raises:
            StorageError: if the file is damaged.
        """
        return list(self._each(query, parameters))

    def _each(self, query: str, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        with self._lock:
            try:
                yield from self._connection.execute(query, parameters)
            except sqlite3.DatabaseError as error:
                raise self._failed("read", error) from error

    def _failed(self, what: str, error: sqlite3.Error) -> StorageError:
        return StorageError(
            f"{self.path} could not be {what} ({error}); what was committed before is safe if the disk was full or the "
            "file held by another program: free it and try again; `hunch facts verify` tells if the file is damaged."
        )

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

    def restore_facts(self, ids: Iterable[str]) -> int:
        """Let removed facts stand again and return how many were gone; unknown ids are passed over."""
        with self.transaction() as connection:
            before, start = connection.total_changes, self.position
            rows = [(position, key) for position, key in enumerate(ids, start + 1)]
            connection.executemany("UPDATE facts SET removed = 0, position = ? WHERE id = ? AND removed", rows)
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
            for name, display in self.rows(
                "SELECT concept, aliases.display FROM aliases JOIN concepts ON concept = name"
                " WHERE position > ? ORDER BY alias",
                (since,),
            ):
                aliases.setdefault(name, []).append(str(display))
            concepts = [
                Concept(name=str(display), type=str(kind), aliases=tuple(aliases.get(name, ())))
                for name, display, kind in self.rows(
                    "SELECT name, display, type FROM concepts WHERE position > ? ORDER BY position, name", (since,)
                )
            ]
            facts, removed = [], []
            for row in self._each("SELECT * FROM facts WHERE position > ? ORDER BY position", (since,)):
                if row[2]:
                    removed.append(row[0])
                else:
                    facts.append((row[1], fact_of_row(row)))
            return Changes(concepts, facts, removed, self.position)

    # Experience

    def add_experiences(self, experiences: Iterable[Experience]) -> int:
        """Write what was kept, with what it rests on, and return how many were not there before.

        What was retracted is there: keeping it again does not bring it back.
        """
        new = 0
        with self.transaction() as connection:
            for kept in experiences:
                body = json.dumps(kept.model_dump(mode="json"), ensure_ascii=False)
                done = connection.execute(
                    "INSERT INTO experience VALUES (?, ?, ?, ?, 0, ?) ON CONFLICT DO NOTHING",
                    (kept.id, kept.round, kept.slot, body, digest(body)),
                )
                if done.rowcount:
                    new += 1
                    connection.executemany(
                        "INSERT INTO supports VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                        [(kept.id, n, fact_id) for n, firing in enumerate(kept.fired) for fact_id in firing.fact_ids],
                    )
        return new

    def experiences(self, *, before_round: int | None = None, retracted: bool = False) -> list[Experience]:
        """Return what was kept, by (round, slot): all that stands, or that of rounds below ``before_round``.

        With ``retracted``, also what does not stand any more.
        """
        rows = self.rows(
            "SELECT body FROM experience WHERE (?1 IS NULL OR round < ?1) AND retracted <= ?2 ORDER BY round, slot",
            (before_round, retracted),
        )
        return [Experience.model_validate_json(body) for (body,) in rows]

    def experience_count(self) -> int:
        """Return how many experiences were kept and stand."""
        return int(self.rows("SELECT count(*) FROM experience WHERE NOT retracted")[0][0])

    def add_draws(self, draws: Iterable[Draw]) -> int:
        """Log samples, each round with a digest of its own, and return how many were not there before."""
        with self.transaction() as connection:
            before, rows = connection.total_changes, [draw_row(draw) for draw in draws]
            connection.executemany(
                "INSERT INTO draws VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", rows
            )
            new = connection.total_changes - before
            for round in dict.fromkeys(row[0] for row in rows) if new else ():
                connection.execute("INSERT OR REPLACE INTO rounds VALUES (?, ?)", (round, self._digest_of(round)))
            return new

    def _digest_of(self, round: object) -> str:
        return digest(*map(repr, self.rows("SELECT * FROM draws WHERE round = ? ORDER BY slot", (round,))))

    def damaged_rounds(self) -> list[int]:
        """Return the rounds whose samples or experience are not as they were written."""
        rounds = self.rows("SELECT * FROM rounds ORDER BY round")
        bad = {round for round, sum in rounds if self._digest_of(round) != sum}
        kept = self._each("SELECT round, body, digest FROM experience WHERE digest <> ''")
        return sorted(bad | {round for round, body, sum in kept if digest(body) != sum})

    def draw_count(self, first_round: int = 0) -> int:
        """Return how many samples were drawn in ``first_round`` and later."""
        return int(self.rows("SELECT count(*) FROM draws WHERE round >= ?", (first_round,))[0][0])

    def round_count(self) -> int:
        """Return one more than the number of the last round that drew or kept anything."""
        last = "SELECT max(ifnull((SELECT max(round) FROM draws), -1), ifnull((SELECT max(round) FROM experience), -1))"
        return int(self.rows(last)[0][0]) + 1

    def draws(self) -> list[Draw]:
        """Return all samples by (round, slot)."""
        return [draw_of_row(row) for row in self._each("SELECT * FROM draws ORDER BY round, slot")]

    def draw_keys(self) -> list[tuple[str, bool]]:
        """Return each sample's content id and whether it was kept, by (round, slot)."""
        return [(str(key), bool(kept)) for key, kept in self.rows("SELECT key, kept FROM draws ORDER BY round, slot")]
