"""``hunch rankings`` as a person meets it: what is brought in, told and written, and mistakes in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.scenarios import cli

Told = Callable[..., str]
SCORES = "field,idea,novelty\n" + "".join(f"p,{i},{(7 * i + k) % 5}\n" for i in range(6) for k in (0, 2))


def sheet(round: int, letters: str) -> Sheet:
    cards = tuple(Card(key=f"{letter}{round}", text=f"the idea of {letter * 9}") for letter in letters)
    return Sheet(field="physics", question="What if\x1b[2J?", cards=cards, round=round)


def ranked(sheet: Sheet, order: str, accepted: int | None, expert: str, origin: str = "page") -> Ranking:
    return Ranking.model_validate(
        {
            "sheet_id": sheet.id, "expert": expert, "criterion": "creative", "accepted": accepted, "origin": origin,
            "order": tuple((f"{letter}{sheet.round}",) for letter in order),
        }
    )  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run's folder: three sheets, two people and someone simulated."""
    sheets = [sheet(0, "abcd"), sheet(1, "abef"), sheet(2, "aegh")]
    with Ledger(tmp_path / "memory.sqlite") as ledger:
        store = Rankings(ledger)
        store.show(sheets)
        for one in sheets:
            letters = [card.key[0] for card in one.cards]
            store.add([ranked(one, "".join(letters), 3, "Ada"), ranked(one, "".join(letters[::-1]), 1, "Bo")])
        store.add([ranked(sheets[0], "abcd", None, "Sim", "simulated"), ranked(sheets[0], "abdc", None, "Ada")])
    return tmp_path


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """Return a function from words to what is printed, the exit code being 0."""

    def tell(*words: object) -> str:
        assert cli.main(["rankings", *map(str, words)]) == 0
        return capsys.readouterr().out

    return tell


@pytest.fixture
def mistake(capsys: pytest.CaptureFixture[str]) -> Told:
    """Return a function from words to the one line that a wrong command prints."""

    def tell(*words: object) -> str:
        assert cli.main(["rankings", *map(str, words)]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1 and "Traceback" not in captured.err
        return captured.err

    return tell


def test_help_teaches_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["rankings", "--help"])
    said = capsys.readouterr().out
    assert left.value.code == 0
    assert "hunch rankings import ranked.csv --run runs/demo" in said and "noise ceiling" in said
    assert max(map(len, said.splitlines())) <= 120
    assert cli.main(["--help"]) == 0
    assert "hunch rankings import FILE" in capsys.readouterr().out


def test_the_list_tells_who_ranked_what_and_cannot_steer_the_terminal(told: Told, run: Path) -> None:
    said = told("list", run)
    assert said.startswith("3 sheets, 7 rankings by 3 experts\n") and "\x1b" not in said
    assert "round 0, 4 cards, physics: What if?" in said
    assert "Bo: creative (4 in 4 places, 1 accepted)" in said and "Sim: creative (4 in 4 places, simulated)" in said
    assert "... and 2 more; --limit 3 shows all." in told("list", run, "--limit", 1)


def test_agreement_keeps_people_and_simulated_apart(told: Told, run: Path) -> None:
    said = told("agreement", run)
    assert "people, creative: two experts order" in said and "no better than chance" in said
    assert "12 cards" not in said and "18 on 3 sheets by 2 experts, 0 % tied" in said
    assert "with themselves 0.67" in said
    assert "simulated, creative: no two experts have ranked the same cards" in said


def test_agreement_of_a_score_table_needs_no_run(told: Told, tmp_path: Path) -> None:
    (tmp_path / "scores.csv").write_text(SCORES)
    said = told("agreement", tmp_path / "scores.csv", "--columns", "item=idea,scores=novelty")
    assert said.startswith("reviews, novelty: two experts order ") and "15 on 1 sheets by 2 experts" in said
    (tmp_path / "named.csv").write_text("item,rater,x\na,Ada,1\nb,Ada,2\na,Bo,3\nb,Bo,4\n")
    assert "people, x: two experts order 100 %" in told("agreement", tmp_path / "named.csv", "--columns", "scores=x")


def test_what_remains_is_told_per_session_with_advice(told: Told, run: Path) -> None:
    said = told("remaining", run, "--expert", "Bo", "--exact")
    assert "Nothing came up again" in said
    said = told("remaining", run, "--criterion", "creative", "--field", "physics")
    rows = [line.split() for line in said.splitlines()[1:4]]
    assert rows == [["1", "1", "1", "1"], ["2", "4", "4", "5"], ["3", "4", "2", "7"]]
    assert "7 insights were met" in said and "remain (Chao1, 95 %)" in said and "new ones: " in said


def test_what_is_exported_is_imported_and_importing_twice_changes_nothing(told: Told, run: Path) -> None:
    assert told("export", run, run / "all.jsonl") == f"8 rows written to {run / 'all.jsonl'}\n"
    other = run / "other.sqlite"
    assert told("import", run / "all.jsonl", "--run", other).startswith("8 new rankings, 0 known already; 3 new sheets")
    assert told("import", run / "all.jsonl", "--run", other).startswith("0 new rankings, 8 known already; 0 new sheets")
    with Ledger(run / "memory.sqlite", read_only=True) as ledger, Ledger(other, read_only=True) as copy:
        assert Rankings(copy).all(replaced=True) == Rankings(ledger).all(replaced=True)
        assert Rankings(copy).sheets() == Rankings(ledger).sheets()


def test_a_folder_gets_both_layouts_and_a_card(told: Told, run: Path) -> None:
    said = told("export", run, run / "out", "--without-names", "--people-only")
    assert "README.md is its card" in said
    names = {path.name.partition(".")[0] for path in (run / "out").iterdir()}
    assert names == {"lists", "pairs", "README"}
    assert "Ada" not in (run / "out" / "README.md").read_text(encoding="utf-8")


def test_pairs_go_to_a_file(told: Told, run: Path) -> None:
    told("export", run, run / "pairs.jsonl", "--layout", "pairs", "--pairs", "adjacent", "--people-only")
    rows = [json.loads(line) for line in (run / "pairs.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 6 * 3 and {row["margin"] for row in rows} == {1.0}


def test_a_score_table_is_imported_with_a_threshold(told: Told, run: Path) -> None:
    (run / "scores.csv").write_text(SCORES)
    words = ("--columns", "item=idea,scores=novelty", "--accept", "3")
    assert told("import", run / "scores.csv", "--run", run, *words).startswith("2 new rankings")
    assert "review 2: novelty (6 in " in told("list", run)


def test_bad_entries_are_refused_or_told(told: Told, mistake: Told, run: Path) -> None:
    (run / "a.csv").write_text("expert,criterion,item,place\nAda,c,x,1\nAda,c,y,2\nAda,c,z\x1b,third\n")
    assert "has 1 line that cannot be read, so nothing was taken" in mistake("import", run / "a.csv", "--run", run)
    said = told("import", run / "a.csv", "--run", run, "--skip-bad")
    assert "1 new rankings" in said and "1 bad entries were left out" in said and "4: 'third' is no number" in said
    assert "\x1b" not in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list", "{run}/none"), "holds no memory.sqlite"),
        (("import", "{run}/none.csv", "--run", "{run}"), "none.csv does not exist"),
        (("import", "{run}/none.csv", "--run", "{run}/nowhere"), "holds no memory.sqlite"),
        (("import", "{run}/none.csv"), "--run"),
        (("agreement", "{run}", "--columns", "x"), "pairs such as item=idea"),
        (("export", "{run}", "{run}/a.csv"), "rankings are written as .jsonl or .parquet"),
        (("export", "{run}", "{run}/no/a.jsonl"), "there is no folder"),
        (("export", "{run}", "{run}/no/out"), "there is no folder"),
        (("export", "{run}", "{run}/out", "--layout", "pairs"), "a folder gets both: leave it out"),
        (("remaining", "{run}", "--expert", "Eve"), "--expert is 'Eve', but there is only Ada, Bo, Sim"),
        (("remaining", "{run}", "--expert", "Sim"), "nothing was accepted"),
        (("remaining", "{run}", "--like", "2"), "a number between 0 and 1 is needed"),
        (("lists", "{run}"), "invalid choice"),
    ],
)
def test_what_was_given_wrongly_is_told_in_one_line(
    mistake: Told, run: Path, words: tuple[str, ...], said: str
) -> None:
    assert said in mistake(*(word.replace("{run}", str(run)) for word in words))


def test_a_run_without_rankings_says_so(mistake: Told, tmp_path: Path) -> None:
    Ledger(tmp_path / "memory.sqlite").close()
    for words in (("agreement",), ("remaining",), ("export", tmp_path / "a.jsonl")):
        assert "nothing was ranked in it" in mistake(words[0], tmp_path, *words[1:])
