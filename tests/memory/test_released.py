"""Ledgers of released versions open today, and nothing in them is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hunch.memory.errors import InputError
from hunch.memory.experience import Archive
from hunch.memory.ledger import Ledger
from hunch.memory.verifying import verify

RELEASED = sorted((Path(__file__).parent / "released").glob("*.sql"))


@pytest.fixture(params=RELEASED, ids=lambda file: file.stem)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a ledger as a released version wrote it."""
    path = tmp_path / "memory.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(request.param.read_text(encoding="utf-8"))
    return path


def test_it_must_be_opened_once_for_writing(old: Path) -> None:
    with pytest.raises(InputError, match="open it once for writing, which migrates it"):
        Ledger(old, read_only=True)


def test_everything_is_still_there_and_sound(old: Path) -> None:
    with closing(sqlite3.connect(old)) as connection:
        facts, removed = connection.execute("SELECT count(*), sum(removed) FROM facts").fetchone()
        draws = connection.execute("SELECT count(*) FROM draws").fetchone()[0]
        reasons = connection.execute("SELECT count(DISTINCT fact_id || experience_id) FROM justifications").fetchone()[
            0
        ]
        kept = connection.execute("SELECT count(*) FROM experience").fetchone()[0]
    with Ledger(old) as ledger:
        changes = ledger.changes()
        assert (len(changes.facts), len(changes.removed)) == (facts - removed, removed)
        assert (len(ledger.draws()), ledger.experience_count()) == (draws, kept)
        assert sum(len(one.justifications) for one in ledger.experiences()) == reasons
        archive = Archive(ledger)
        assert archive.blast_radius(archive.all()[0].id)[0] == archive.all()[0]
        assert ledger.identity > 0
    assert [check.wrong for check in verify(old)] == [[]] * 8
