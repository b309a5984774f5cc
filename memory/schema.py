"""The ledger's tables, and how files of earlier versions get there. Only SQL: ``memory/ledger.py`` runs it.

* ``facts`` hold a position each: that of their last change. A removed fact stays as a tombstone.
* ``experience`` is what was kept. ``supports`` tells what it rests on: each thing that fired for it (``firing``) and
  the facts that this took. ``retracted`` is 1 while nothing holds it up (``memory/truth.py``).
* ``retractions`` are what was taken back by itself, and why; one that was undone stays, marked so.
* ``meta`` holds the position of the last change, the number of commits, and the ledger's identity: a random number,
  drawn when it was made.
* ``sheets`` are what experts were asked to rank, ``rankings`` what they said, in the order in which it came: of one
  expert, sheet and criterion the last counts. ``drafts`` are rankings that are not finished.
* ``rounds`` hold a digest of the samples that a round drew, and ``experience`` one of each body, for SQLite has no
  checksums of its own. Those of a file of an earlier version are empty.
"""

from __future__ import annotations

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
    (
        "CREATE TABLE supports (experience_id TEXT NOT NULL REFERENCES experience (id), firing INTEGER NOT NULL,"
        " fact_id TEXT NOT NULL, PRIMARY KEY (experience_id, firing, fact_id)) WITHOUT ROWID",
        "INSERT INTO supports SELECT experience.id, firing.key, fact.value FROM experience,"
        " json_each(experience.body, '$.fired') AS firing, json_each(firing.value, '$.fact_ids') AS fact"
        " WHERE true ON CONFLICT DO NOTHING",
        "DROP TABLE justifications",
        "CREATE INDEX supports_by_fact ON supports (fact_id)",
        "ALTER TABLE experience ADD COLUMN retracted INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE experience ADD COLUMN digest TEXT NOT NULL DEFAULT ''",
        "CREATE INDEX facts_by_experience ON facts (experience_id) WHERE experience_id IS NOT NULL",
        "CREATE TABLE retractions (number INTEGER PRIMARY KEY, target TEXT NOT NULL, reason TEXT NOT NULL,"
        " round INTEGER NOT NULL, undone INTEGER)",
        "CREATE INDEX retractions_by_target ON retractions (target)",
        "CREATE TABLE rounds (round INTEGER PRIMARY KEY, digest TEXT NOT NULL)",
        "INSERT INTO meta VALUES ('identity', abs(random() % 1000000000000000)), ('commits', 0)",
    ),
    (
        "CREATE TABLE sheets (id TEXT PRIMARY KEY, round INTEGER NOT NULL, field TEXT NOT NULL, body TEXT NOT NULL,"
        " digest TEXT NOT NULL) WITHOUT ROWID",
        "CREATE INDEX sheets_by_round ON sheets (round)",
        "CREATE TABLE rankings (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
        " sheet_id TEXT NOT NULL REFERENCES sheets (id), expert TEXT NOT NULL, criterion TEXT NOT NULL,"
        " body TEXT NOT NULL, digest TEXT NOT NULL)",
        "CREATE INDEX rankings_by_sheet ON rankings (sheet_id, expert, criterion)",
        "CREATE TABLE drafts (sheet_id TEXT NOT NULL, expert TEXT NOT NULL, body TEXT NOT NULL,"
        " PRIMARY KEY (sheet_id, expert)) WITHOUT ROWID",
    ),
)
"""Migration ``i`` takes a file from version ``i`` to ``i + 1``. Never edited once released, only appended to."""
