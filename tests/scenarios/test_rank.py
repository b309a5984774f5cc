"""``hunch rank`` as a person meets it: links, the terminal, and one line for what is wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from hunch.memory.expertise import Card, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.scenarios.cli import main

SHEET = Sheet(field="physics", question="What if?", cards=tuple(Card(key=key, text=f"idea {key}") for key in "abc"))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run's folder with one sheet to rank."""
    with Ledger(tmp_path / "memory.sqlite") as ledger:
        Rankings(ledger).show([SHEET])
    return tmp_path


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "required: RUN"),
        (["nowhere"], "holds no memory.sqlite"),
        (["nowhere.sqlite"], "holds no memory.sqlite"),
        (["{run}", "--port", "65536"], "a port is a number from 0 to 65535"),
        (["{run}", "--port", "-1"], "--port"),
        (["{run}", "--terminal", "--expert", "Ada", "--expert", "Bo"], "one person sits at a terminal"),
        (["{run}", "--expert", "Ada", "--expert", "Ada"], "name of his own"),
        (["{run}", "--expert", " \x1b[2J"], "1 to 80 letters"),
        (["{run}", "--expert", "x" * 81], "1 to 80 letters"),
        (["{run}", "--exp", "Ada"], "unrecognized"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    run: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rank", *(str(run) if word == "{run}" else word for word in words)]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1 and "\x1b" not in error


def test_a_run_without_sheets_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Ledger(tmp_path / "memory.sqlite").close()
    assert main(["rank", str(tmp_path)]) == 2
    assert "holds no sheet to rank" in capsys.readouterr().err


def test_the_terminal_asks_and_writes(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["1 > 2 | 3", "y", "q"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    assert main(["rank", str(run / "memory.sqlite"), "--terminal", "--expert", "Ada"]) == 0
    assert "idea a" in capsys.readouterr().out
    answers = iter(["3 = 2 = 1 |", ""])
    assert main(["rank", str(run), "--terminal", "--expert", "Ada"]) == 0
    with Ledger(run / "memory.sqlite", read_only=True) as ledger:
        assert [(one.expert, one.accepted) for one in Rankings(ledger).all()] == [("Ada", 2), ("Ada", 1)]


def test_links_are_printed_each_opens_the_page_and_an_interruption_ends_it(run: Path) -> None:
    words = [sys.executable, "-m", "hunch.scenarios.cli", "rank", str(run), "--expert", "Ada", "--expert", "Bo"]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background job would not hear Ctrl-C
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, preexec_fn=heard
    ) as server:
        assert server.stdout is not None
        links = dict(server.stdout.readline().split() for _ in range(2))
        assert list(links) == ["Ada", "Bo"] and "works once" in server.stdout.readline()
        with Ledger(run / "memory.sqlite", read_only=True) as ledger:
            assert all(link.startswith("http://127.0.0.1:") for link in links.values())
            assert {link.split("/")[4] for link in links.values()} == {str(ledger.identity)}
        for expert, link in links.items():
            opened = urllib.request.urlopen(link, timeout=20)
            cookie = opened.headers["Set-Cookie"].partition(";")[0]
            asked = urllib.request.Request(link.partition("?")[0] + "sheets", headers={"Cookie": cookie})
            assert json.load(urllib.request.urlopen(asked, timeout=20))["expert"] == expert
        os.kill(server.pid, signal.SIGINT)
        assert "0 rankings are in the ledger" in server.stdout.read()
        assert server.wait(20) == 0
