"""``hunch experience`` and ``hunch facts verify``: asking a ledger where things came from, and whether it is whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hunch.memory.experience import Archive
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.records import Fact, Recipe
from hunch.scenarios.cli import main
from tests.made import experience

Told = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run's folder: an observation, a claim that rests on it, and one that rests on that."""
    with Ledger(tmp_path / "memory.sqlite") as ledger:
        knowledge = Knowledge(ledger)
        knowledge.add(["rain falls"])
        on = knowledge.facts()[0].id
        for round in range(2):
            one = experience(
                f"claim {round}\x1b[31m",
                round=round,
                reasons=[[on]],
                recipe=Recipe(temperature=2.0),
                weights_version=round,
            )
            Archive(ledger).keep([one])
            knowledge.add([Fact(text=one.hypothesis.text, experience_id=one.id, weight=0.5)])
            on = one.id
    return tmp_path


@pytest.fixture
def told(run: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    """Return a function from a task and more words to what is printed, its exit code being 0."""

    def tell(task: str, *words: str) -> str:
        assert main(["experience", task, str(run), *words]) == 0
        return capsys.readouterr().out

    return tell


def ids(run: Path) -> list[str]:
    with Ledger(run / "memory.sqlite", read_only=True) as ledger:
        return [one.id for one in ledger.experiences(retracted=True)]


def test_what_is_listed_cannot_steer_the_terminal(told: Told) -> None:
    assert "2 experiences" in told("list") and "\x1b" not in told("list")


def test_why_tells_scores_reasons_recipe_and_weights(told: Told, run: Path) -> None:
    said = told("why", ids(run)[1][:6])
    for part in (
        "strength 1.500",
        "kept because: it fires",
        "weights 1",
        '"temperature": 2.0',
        "50 %  path: rain falls",
    ):
        assert part in said
    assert f"rests on experience, 1 back: {ids(run)[0]}" in said


def test_lineage_and_blast_radius_look_both_ways(told: Told, run: Path) -> None:
    first, second = ids(run)
    assert f"1 step back: {first}" in told("lineage", second)
    assert told("rests-on", first).startswith("2 experiences would fall")
    assert told("rests-on", Fact(text="rain falls").id).startswith("2 experiences would fall")


def test_what_is_retracted_falls_and_undoing_brings_it_back(told: Told, run: Path) -> None:
    assert told("retract", ids(run)[0], "--reason", "wrong").startswith("2 experiences fell")
    assert told("list").startswith("0 experiences")
    assert "(retracted)" in told("why", ids(run)[1])
    assert told("as-of", "1").startswith("1 experience")
    assert told("undo", "1").startswith("2 experiences hold again")
    assert told("list").startswith("2 experiences")


def test_experience_is_exported(told: Told, run: Path) -> None:
    assert "2 experiences written" in told("export", str(run / "kept.jsonl"))
    assert len((run / "kept.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["why", "RUN", "zzzz"], "no fact and no experience has such an id"),
        (["why", "RUN", ""], "ids begin so"),
        (["lineage", "RUN", "FACT"], "that is an observed fact, not an experience"),
        (["list", "nowhere"], "holds no memory.sqlite"),
        (["export", "RUN", "kept.csv"], "ends in '.csv'"),
        (["undo", "RUN", "7"], "7 is no retraction"),
        (["check", "RUN"], "has no config.yaml"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(
    run: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"RUN": str(run), "FACT": Fact(text="rain falls").id}
    assert main(["experience", *(given.get(word, word) for word in words)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_whole_store_is_told_from_a_damaged_one(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = run / "memory.sqlite"
    assert main(["facts", "verify", "--store", str(store)]) == 0
    assert "is whole" in capsys.readouterr().out
    with Ledger(store) as ledger, ledger.transaction() as connection:
        connection.execute("UPDATE facts SET text = 'snow falls' WHERE experience_id IS NULL")
    assert main(["facts", "verify", "--store", str(store)]) == 1
    assert "DAMAGED  facts" in capsys.readouterr().out
