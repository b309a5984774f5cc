"""Damage in a ledger is found, and only where there is some."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hunch.memory import nearness
from hunch.memory.errors import InputError
from hunch.memory.experience import Archive
from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.exporting import export
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.memory.records import Draw, Experience, Fact, Recipe, Standing, Status
from hunch.memory.verifying import verify
from tests.made import experience


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a ledger with facts, two experiences, their samples and a snapshot of the index."""
    monkeypatch.setattr(nearness, "SNAPSHOT_FACTS", 1)
    path = tmp_path / "memory.sqlite"
    with Ledger(path) as ledger:
        knowledge = Knowledge(ledger)
        knowledge.add([f"observation {number} of rain" for number in range(30)])
        knowledge.near(["rain"], 1)
        facts = knowledge.facts()
        experiences = [
            experience(
                f"claim {slot}",
                slot=slot,
                reasons=[[facts[slot].id]],
                recipe=Recipe(temperature=2.0),
                weights_version=3,
            )
            for slot in range(2)
        ]
        draws = [
            Draw(
                round=0, slot=slot, key=one.id, text=one.hypothesis.text, standing=Standing.INSIGHT, strength=1.5,
                p_value=0.25, status=Status.UNDECIDED, kept=True, reason="it fires", model_logprob=-1.0,
                entropy_nats=0.5,
            )
            for slot, one in enumerate(experiences)
        ]  # fmt: skip
        Archive(ledger).commit(experiences, draws)
        knowledge.add([Fact(text=one.hypothesis.text, weight=0.5, experience_id=one.id) for one in experiences])
        knowledge.remove([facts[9].id])
        sheet = Sheet(field="weather", question="Why rain?", cards=tuple(Card(key=c, text=f"idea {c}") for c in "ab"))
        said = {"sheet_id": sheet.id, "expert": "Ada", "criterion": "creative"}
        Rankings(ledger).show([sheet])
        Rankings(ledger).add([Ranking(order=order, **said) for order in ((("a",), ("b",)), (("b", "a"),))])
    return path


def test_a_whole_ledger_is_found_whole(store: Path) -> None:
    checks = list(verify(store))
    names = ["database", "facts", "experience", "reasons", "rounds", "kept", "rankings", "index"]
    assert [check.name for check in checks] == names
    assert [check.wrong for check in checks] == [[]] * 8
    assert checks[6].seen == "2 rankings of 1 sheets"
    assert checks[1].seen == "31 facts and 1 tombstones"


def changed(statement: str) -> Callable[[Path], None]:
    def change(store: Path) -> None:
        with closing(sqlite3.connect(store)) as connection, connection:
            connection.execute(statement)

    return change


CARDS = "ranking [0-9a-f]+ is of cards that are not on sheet"


def zeroed(store: Path) -> None:
    file = store.with_name("memory.sqlite.faiss")
    body = bytearray(file.read_bytes())
    body[len(body) // 2 : len(body) // 2 + 100] = bytes(100)
    file.write_bytes(body)


@pytest.mark.parametrize(
    ("damage", "name", "said"),
    [
        (changed("UPDATE facts SET text = 'snow' WHERE text LIKE '% 3 of rain'"), "facts", "does not say what it was"),
        (changed("UPDATE experience SET body = replace(body, 'claim 1', 'claim 7')"), "experience", "not what its row"),
        (changed("UPDATE experience SET body = replace(body, '0.25', '0.24')"), "rounds", "round 0 is not as it was"),
        (changed("DELETE FROM supports"), "experience", "not what its row says"),
        (changed("DELETE FROM facts WHERE text LIKE '% 0 of rain'"), "reasons", "rests on fact .* which is not there"),
        (changed("UPDATE experience SET retracted = 1"), "reasons", "does not stand, but something holds it up"),
        (changed("UPDATE draws SET strength = 9 WHERE slot = 1"), "rounds", "round 0 is not as it was written"),
        (
            changed("UPDATE draws SET kept = 0 WHERE slot = 1"),
            "kept",
            "sample 1 of round 0 and the experience disagree",
        ),
        (changed("UPDATE experience SET body = '{'"), "experience", "could not be read"),
        (changed("UPDATE rankings SET body = replace(body, 'Ada', 'Eve')"), "rankings", "ranking .* is not as it was"),
        (
            changed("UPDATE sheets SET body = replace(body, 'idea a', 'idea z')"),
            "rankings",
            "sheet .* is not as it was",
        ),
        (changed('UPDATE sheets SET body = replace(body, \'"key": "a"\', \'"key": "q"\')'), "rankings", CARDS),
        (changed("DELETE FROM sheets"), "rankings", "ranking [0-9a-f]+ is of sheet [0-9a-f]+, which is not there"),
        (changed("UPDATE rankings SET body = '{'"), "rankings", "could not be read"),
        (zeroed, "index", "memory.sqlite.faiss is damaged"),
    ],
)
def test_damage_is_named(store: Path, damage: Callable[[Path], None], name: str, said: str) -> None:
    damage(store)
    wrong = {check.name: " ".join(check.wrong) for check in verify(store)}
    assert re.search(said, wrong[name]), wrong


def test_experience_is_exported_in_full_as_lines_and_as_a_table(store: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    with Ledger(store) as ledger:
        archive = Archive(ledger)
        archive.retract([archive.all()[1].id], "wrong")
        for file in ("kept.jsonl", "kept.parquet"):
            assert export(archive, store.with_name(file)) == 2
        first, second = archive.all(retracted=True)
    lines = store.with_name("kept.jsonl").read_text().splitlines()
    whole = [json.loads(line) for line in lines]
    assert [one.pop("retracted") for one in whole] == [False, True]
    assert [one.pop("id") for one in whole] == [first.id, second.id]
    assert [Experience.model_validate(one) for one in whole] == [first, second]
    table = parquet.read_table(store.with_name("kept.parquet")).to_pylist()
    assert [row["id"] for row in table] == [first.id, second.id]
    assert [row["retracted"] for row in table] == [False, True]
    assert Recipe.model_validate_json(table[0]["recipe"]) == first.hypothesis.recipe
    assert table[0]["rests_on"] == list(first.justifications) and table[0]["weights_version"] == 3


def test_an_ending_that_says_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in '\.csv', but experience is written as \.jsonl or \.parquet"):
        export(Archive(Ledger(None)), tmp_path / "kept.csv")
