"""The ledger keeps what it is given, exactly, and nothing by halves."""

from __future__ import annotations

import pickle
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hunch.memory.errors import InputError
from hunch.memory.ledger import MIGRATIONS, Ledger, migrate
from hunch.memory.records import Concept, Fact, Triple

hostile = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
triples = st.builds(Triple, subject=hostile, relation=hostile, object=hostile)
facts = st.builds(
    Fact,
    text=hostile,
    triple=st.none() | triples,
    concepts=st.lists(hostile, max_size=3).map(tuple),
    source=hostile,
    date=st.none() | hostile,
    weight=st.floats(0, 1),
    experience_id=st.none() | hostile,
)


@given(st.lists(facts, max_size=5, unique_by=lambda fact: fact.id))
def test_hostile_texts_come_back_as_they_were(given: list[Fact]) -> None:
    with Ledger(None) as ledger:
        assert ledger.add_facts(given) == len(given)
        assert [fact for _, fact in ledger.changes().facts] == given


def test_adding_twice_changes_nothing_not_even_the_position() -> None:
    ledger = Ledger(None)
    fact, concept = Fact(text="Water is wet."), Concept(name="water", aliases=("H2O",))
    ledger.add_facts([fact])
    ledger.add_concepts([concept])
    before = ledger.position, ledger.changes()
    assert (ledger.add_facts([fact, fact]), ledger.add_concepts([concept])) == (0, 0)
    assert (ledger.position, ledger.changes()) == before


def test_changes_tell_additions_and_removals_since_a_position() -> None:
    ledger = Ledger(None)
    first, second = Fact(text="one"), Fact(text="two")
    ledger.add_facts([first])
    seen = ledger.position
    ledger.add_facts([second])
    assert ledger.remove_facts([first.id, "unknown"]) == 1
    changes = ledger.changes(seen)
    assert [fact for _, fact in changes.facts] == [second]
    assert changes.removed == [first.id]
    assert ledger.remove_facts([first.id]) == 0


def test_a_removed_fact_can_be_added_again() -> None:
    ledger = Ledger(None)
    fact = Fact(text="one")
    ledger.add_facts([fact])
    ledger.remove_facts([fact.id])
    assert ledger.add_facts([fact]) == 1
    assert [found for _, found in ledger.changes().facts] == [fact]


def test_an_observed_fact_takes_the_place_of_the_agents_own_conclusion_but_not_the_reverse() -> None:
    ledger = Ledger(None)
    concluded = Fact(text="one", weight=0.5, experience_id="e")
    observed = Fact(text="one", source="journal")
    ledger.add_facts([concluded])
    assert ledger.add_facts([observed]) == 1
    assert ledger.add_facts([concluded]) == 0
    assert [fact for _, fact in ledger.changes().facts] == [observed]


def test_a_failed_transaction_leaves_no_trace() -> None:
    ledger = Ledger(None)

    def fail() -> None:
        with ledger.transaction():
            ledger.add_facts([Fact(text="one")])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert ledger.position == 0 and ledger.changes().facts == []
    assert ledger.rollbacks == 1


def test_text_that_is_not_utf8_is_refused_and_nothing_is_written() -> None:
    ledger = Ledger(None)
    with pytest.raises(InputError, match="not UTF-8; remove it"):
        ledger.add_facts([Fact(text="fine"), Fact.model_construct(text="\ud800")])
    assert ledger.changes().facts == []


def test_what_was_written_is_there_when_the_file_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "a ?#%20 name.sqlite"
    with Ledger(path) as ledger:
        ledger.add_facts([Fact(text="one")])
    with Ledger(path, read_only=True) as again:
        assert [fact.text for _, fact in again.changes().facts] == ["one"]
        with pytest.raises(InputError, match="read-only; open it without"):
            again.add_facts([Fact(text="two")])
    assert path.exists()


def test_two_open_ledgers_of_one_file_see_each_others_facts(tmp_path: Path) -> None:
    with Ledger(tmp_path / "l.sqlite") as one, Ledger(tmp_path / "l.sqlite") as other:
        one.add_facts([Fact(text="one")])
        other.add_facts([Fact(text="two")])
        assert [fact.text for _, fact in one.changes().facts] == ["one", "two"]


def test_a_file_of_a_newer_version_is_refused_with_both_versions(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    Ledger(path).close()
    raw = sqlite3.connect(path)
    raw.execute("PRAGMA user_version = 99")
    raw.close()
    with pytest.raises(InputError, match=rf"version 99, .* up to {len(MIGRATIONS)}; install a newer hunch"):
        Ledger(path)


def test_a_failing_migration_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "l.sqlite", isolation_level=None)
    migrate(raw, [["CREATE TABLE a (x)"]])
    before = list(raw.iterdump()), raw.execute("PRAGMA user_version").fetchone()
    with pytest.raises(sqlite3.OperationalError):
        migrate(raw, [["CREATE TABLE a (x)"], ["CREATE TABLE b (x)"], ["CREATE TABLE c (x)", "no SQL"]])
    assert (list(raw.iterdump()), raw.execute("PRAGMA user_version").fetchone()) == before
    migrate(raw, [["CREATE TABLE a (x)"], ["CREATE TABLE b (x)"]])
    assert raw.execute("PRAGMA user_version").fetchone() == (2,)
    raw.close()


@pytest.mark.parametrize("kind", ["directory", "not a database", "another program's database", "missing, read-only"])
def test_what_is_no_ledger_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "l.sqlite"
    if kind == "directory":
        path.mkdir()
    elif kind == "not a database":
        path.write_bytes(b"certainly not a database" * 100)
    elif kind == "another program's database":
        raw = sqlite3.connect(path)
        raw.execute("CREATE TABLE theirs (x)")
        raw.close()
    with pytest.raises(InputError, match=r"l\.sqlite"):
        Ledger(path, read_only=kind.startswith("missing"))


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(InputError("value, rule; remedy.")))
    assert isinstance(error, ValueError) and str(error) == "value, rule; remedy."
