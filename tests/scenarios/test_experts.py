"""``hunch run experts`` at its smallest, by simulated experts and by people."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.scenarios import panels
from hunch.scenarios.cli import main
from hunch.scenarios.experts import Config
from hunch.scenarios.panels import questions_of

SMALL = ["--sparks", "2", "--width", "16", "--cards", "6", "--generating.most-epochs", "1", "--width-of-taste", "16"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a small run of all arms."""
    folder = tmp_path_factory.mktemp("experts")
    words = [
        "run",
        "experts",
        "--run",
        str(folder / "run"),
        "--cache",
        str(folder / "cache"),
        "--arms",
        "--rounds",
        "2",
    ]
    assert main([*words, *SMALL]) == 0
    return folder / "run"


def test_every_session_of_every_field_is_ranked(run: Path) -> None:
    for folder in (run, run / "arms" / "untrained", run / "arms" / "lists"):
        with Ledger(folder / "memory.sqlite", read_only=True) as ledger:
            rankings = Rankings(ledger)
            assert {(one.round, one.field) for one in rankings.sheets()} == {
                (round, field) for round in range(2) for field in ("materials", "medicine")
            }
            assert {one.origin for one in rankings.all()} == {"simulated"}
            assert len(rankings.all()) == 4


def test_the_report_says_that_the_experts_are_simulated_and_what_they_made_of_it(run: Path) -> None:
    page = (run / "report.html").read_text(encoding="utf-8")
    for words in (
        "SIMULATED experts: no person has ranked anything here.",
        "What the generator learned of the hidden utility",
        "How much can still be mined",
        "Does taste carry over?",
        "against the untrained generator&#39;s in the same session",
    ):
        assert words in page


def test_the_report_can_be_written_anew(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "report.html").unlink()
    assert main(["report", str(run)]) == 0
    assert (run / "report.html").is_file()


def test_what_learns_is_another_generator_afterwards_and_what_does_not_is_not(run: Path) -> None:
    versions = {}
    for name, folder in {"full": run, "lists": run / "arms" / "lists", "untrained": run / "arms" / "untrained"}.items():
        events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
        versions[name] = [event["weights_version"] for event in events]
        assert [event["rankings"] for event in events] == [2, 2]
    assert versions == {"full": [1, 2], "lists": [1, 2], "untrained": [0, 0]}


@pytest.mark.slow
def test_more_sessions_may_be_asked_for_later(run: Path) -> None:
    words = f"run experts --run {run} --cache {run.parent / 'cache'} --arms --rounds 3"
    assert main([*words.split(), *SMALL]) == 0
    with Ledger(run / "memory.sqlite", read_only=True) as ledger:
        assert {sheet.round for sheet in Rankings(ledger).sheets()} == {0, 1, 2}


def test_people_rank_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = tmp_path / "facts.tsv"
    names = [f"thing {i}" for i in range(12)]
    lines = [f"{a}\tlowers\t{b}\n" for i, a in enumerate(names) for b in names[i + 1 :: 2]]
    facts.write_text("".join(lines))
    questions = tmp_path / "questions.jsonl"
    asked = {"field": "things", "question": "What does thing 3 lower?", "subject": "thing 3", "relation": "lowers"}
    questions.write_text(json.dumps(asked) + "\n")
    seated: list[panels.People] = []
    made = panels.People.__init__

    def seat(self: panels.People, *given: object, **named: object) -> None:
        made(self, *given, **named)  # type: ignore[arg-type]
        seated.append(self)

    def person() -> None:
        """Rank what is shown once the page is there, as its server would write it down."""
        ranked = 0
        while not ranked and not over.wait(0.05):
            rankings = seated[0]._rankings if seated and seated[0]._stack else None
            for sheet in rankings.sheets() if rankings else ():
                if rankings and not rankings.of(sheet):
                    order = tuple((key,) for key in sheet.keys)
                    rankings.add(
                        [
                            Ranking(sheet_id=sheet.id, expert="Ada", criterion=criterion, order=order, accepted=1)
                            for criterion in sheet.criteria
                        ]
                    )
                    ranked += 1

    monkeypatch.setattr(panels.People, "__init__", seat)
    over = threading.Event()
    thread = threading.Thread(target=person)
    thread.start()
    began = time.monotonic()
    try:
        words = f"--live --expert Ada --facts {facts} --questions {questions} --run {tmp_path / 'run'} --rounds 1"
        code = main(["run", "experts", *words.split(), "--cache", str(tmp_path / "cache"), *SMALL])
    finally:
        over.set()
        thread.join()
    assert code == 0, capsys.readouterr().err
    assert time.monotonic() - began < 120
    said = capsys.readouterr()
    assert "Ada ranks at http://127.0.0.1:" in said.out + said.err
    with Ledger(tmp_path / "run" / "memory.sqlite", read_only=True) as ledger:
        assert {sheet.question for sheet in Rankings(ledger).sheets()} == {"What does thing 3 lower?"}
        assert len(Rankings(ledger).all()) == 2
    assert "SIMULATED" not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 1 of .* is '{', but it is no question"),
        ('{"field": "x"}', "is no question .'question'."),
        ('{"question": "why?", "colour": 1}', "is no question"),
        ("", "holds no question"),
    ],
)
def test_a_bad_question_is_told_with_its_line(tmp_path: Path, line: str, words: str) -> None:
    file = tmp_path / "questions.jsonl"
    file.write_text(line)
    with pytest.raises(InputError, match=words):
        questions_of(Config(questions=file))


def test_more_fields_than_the_simulation_has_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["run", "experts", "--sparks", "9", "--run", str(tmp_path / "run")]) == 2
    assert "6" in capsys.readouterr().err
