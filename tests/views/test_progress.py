from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hunch.views.progress import Progress, plain

NASTY = st.text(st.sampled_from(list("\x1b[]31mK;\x07\x9b\x9dPX\\\n\r\t\x00\x7f\u202e\u2066\u200f\ud800 aé漢")))


class Clock:
    """Tells the time it was told."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def paper() -> Console:
    return Console(file=io.StringIO(), force_terminal=False, width=80)


def event(samples: int, arm: str = "full", **figures: float) -> dict[str, object]:
    return {"arm": arm, "samples": samples, "kept": samples // 10, "uniqueness": 0.9, "acceptance": 0.25, **figures}


@given(st.text() | NASTY)
def test_plain_text_cannot_steer_a_terminal(text: str) -> None:
    shown = plain(text)
    assert not [letter for letter in shown if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")]
    assert not set(shown) & set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    shown.encode()


@given(st.text() | NASTY)
def test_making_plain_twice_changes_nothing(text: str) -> None:
    assert plain(plain(text)) == plain(text)


@given(st.text(st.characters(categories=("L", "N", "P", "S", "M", "Zs"))))
def test_what_a_person_can_read_stays(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jgone", "gone"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1bPq#0\x1b\\sixel", "sixel"),
        ("\x1b]0;never closed", "0;never closed"),
        ("\x1bc reset", " reset"),
        ("one\r\ntwo", "one two"),
        ("abc\u202efdp.exe", "abcfdp.exe"),
        ("half \ud83d", "half \ufffd"),
    ],
)
def test_escape_sequences_go_whole(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_without_a_terminal_lines_come_at_most_every_interval() -> None:
    console, clock = paper(), Clock()
    with Progress(1000, label="discover", console=console, clock=clock) as progress:
        for step in range(1, 13):
            clock.seconds = float(step)
            progress.update(event(50 * step))
    lines = written(console).splitlines()
    assert [line.split(" samples")[0].split()[-1] for line in lines] == [
        "50/1,000",
        "300/1,000",
        "550/1,000",
        "600/1,000",
    ]
    assert all(line.startswith("discover · full:") for line in lines)
    assert "\x1b" not in written(console)


def test_the_time_left_follows_the_pace_since_the_first_event() -> None:
    console, clock = paper(), Clock()
    with Progress(1000, label="x", console=console, clock=clock) as progress:
        progress.update(event(400))  # resumed: these cost this run nothing
        clock.seconds = 10.0
        progress.update(event(500))
    assert "left 0:50" in written(console).splitlines()[-1]  # 100 samples in 10 s, 500 to go


def test_a_finished_arm_is_always_printed_and_only_once() -> None:
    console, clock = paper(), Clock()
    with Progress(100, label="x", console=console, clock=clock) as progress:
        progress.update(event(50, "cold"))
        progress.update(event(100, "cold", seconds=75.0))
        progress.update(event(100, "hot"))
    lines = written(console).splitlines()
    assert [line.split()[2] for line in lines] == ["cold:", "cold:", "hot:"]
    assert "100%" in lines[1] and "done in 1:15" in lines[1]


def test_figures_that_are_missing_are_left_out_and_those_not_finite_are_dashes() -> None:
    console = paper()
    with Progress(10, label="x", console=console, clock=Clock()) as progress:
        progress.update({"arm": "full", "samples": 5, "kept": 1, "entropy_nats": float("nan"), "loss": 2.5})
    assert written(console).rstrip().endswith("yield 0.2, entropy –, loss 2.5")


@pytest.mark.parametrize("width", [70, 140])
def test_on_a_terminal_each_arm_has_a_live_line(width: int) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=width, _environ={"TERM": "xterm"})
    with Progress(1000, label="discover", console=console, clock=Clock()) as progress:
        progress.update(event(500, "[red]cold[/red]\x1b[2J"))
        progress.update(event(1000, "hot", entropy_nats=1.5))
        progress.note("training: step 200 [bold]\x1b[2J")
    shown = written(console)
    assert "[red]cold[/red]" in shown and "1,000/1,000" in shown and "training: step 200 [bold]" in shown
    assert "\x1b[2J" not in shown


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="total_samples is 0, but an arm draws at least 1"):
        Progress(0, label="x")


def test_what_has_no_width_goes_and_many_openings_cost_no_more_than_other_letters() -> None:
    assert plain("in\u200bvis\u00adi\u2060ble\ufeff") == "invisible"
    assert plain("\x9d opened \x9d0;title\x9c again") == " opened  again"
    assert plain("\x9d" * 200_000) == ""  # searched to the end from each, it would take minutes
