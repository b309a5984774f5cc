"""What a run says while it runs: a live line per arm on a terminal, plain lines elsewhere.

The two ways show the same figures. The time left is estimated from the samples drawn since an arm's first event, so
that a resumed run, which begins in the middle, does not promise too much. Left out: a log file; the run's
``events.jsonl`` is that.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich import progress as live
from rich.console import Console
from rich.text import Text

_SEQUENCE = re.compile(
    # OSC, DCS, SOS, PM, APC, terminated; no other begins within, or many openings would be searched to the end each
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x90\x98\x9c-\x9f]*(?:\x07|\x1b\\|\x9c)"
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement
    r"|\x1b[ -/]*[0-~]"  # all other escapes
)
_BLANK = re.compile("[\t\n\v\f\r\x1c-\x1e\x85\u2028\u2029]+")
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1
    "\u061c\u200e\u200f\u202a-\u202e\u2060-\u206f"  # marks that turn the direction of the text, or are not seen
    "\u00ad\u180e\u200b\ufeff"  # nor are these; joiners stay, for scripts and emoji need them
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"  # nor those of shorthand and music
    "\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e007f]"  # annotations, non-characters, invisible tags
)
_SURROGATE = re.compile("[\ud800-\udfff]")


def plain(text: str) -> str:
    """Return ``text`` as one line that can neither steer a terminal nor hide or reorder what it says.

    Escape sequences, control characters, direction overrides and what has no width go; tabs and line breaks become one
    space; half surrogate pairs, which no encoding accepts, become U+FFFD. Markup of HTML or rich is not touched. It
    takes time in proportion to the length.
    """
    text = _BLANK.sub(" ", _SEQUENCE.sub("", text))
    return _SURROGATE.sub("\ufffd", _UNSEEN.sub("", text))


@dataclass
class _Arm:
    """What is known of one arm: its latest event, and where and when it was first seen."""

    name: str
    event: Mapping[str, object]
    first_samples: float
    first_seconds: float
    seen_seconds: float
    task: live.TaskID | None = None
    printed: bool = False


class Progress:
    """Shows how a run goes; a context manager put around it."""

    def __init__(
        self,
        total_samples: int,
        *,
        label: str,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
        interval_seconds: float = 5.0,
    ) -> None:
        """Prepare for arms that draw up to ``total_samples`` samples each.

        Args:
            total_samples: the budget of one arm.
            label: what is running; stands before each plain line.
            console: where to write; standard error when not given.
            clock: monotonic seconds.
            interval_seconds: least time between two plain lines, the last line of an arm excepted.

        Raises:
            ValueError: if ``total_samples`` is below 1.
        """
        if total_samples < 1:
            raise ValueError(f"total_samples is {total_samples}, but an arm draws at least 1; raise `total_samples`.")
        self._total = total_samples
        self._label = plain(label)
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._interval = interval_seconds
        self._last_line = -math.inf
        self._arms: dict[str, _Arm] = {}
        self._live = self._bars() if self._console.is_terminal and not self._console.is_dumb_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            self.note(self._label)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            return
        for arm in self._arms.values():
            if not arm.printed:
                self._line(arm)

    def update(self, event: Mapping[str, object]) -> None:
        """Show how an arm stands after a round.

        ``event`` holds ``arm`` (its name) and, counted from the arm's beginning, ``samples``, ``kept`` and ``seconds``;
        further ``acceptance``, ``uniqueness``, ``entropy_nats`` and ``loss``. A figure that is not finite is shown as a
        dash; one that is missing, and other keys, are not shown.
        """
        now = self._clock()
        name, samples = plain(str(event.get("arm", ""))), _number(event, "samples") or 0.0
        arm = self._arms.setdefault(name, _Arm(name, event, samples, now, now))
        arm.event, arm.seen_seconds, arm.printed = event, now, False
        if self._live is not None:
            if arm.task is None:
                arm.task = self._live.add_task(name, total=self._total, figures="", left="")
            figures = _figures(event, short=self._console.width < 110)
            self._live.update(arm.task, completed=samples, figures=figures, left=self._left(arm))
        elif samples >= self._total or now - self._last_line >= self._interval:
            self._line(arm)

    def note(self, text: str) -> None:
        """Print ``text`` as a line of its own, above the live lines where there are any."""
        self._console.print(Text(plain(text)), soft_wrap=True, highlight=False)

    def _bars(self) -> live.Progress:
        """Return the live display: arm, bar, samples, time left, figures."""
        return live.Progress(
            live.TextColumn("{task.description}", style="bold", markup=False),
            live.BarColumn(bar_width=14 if self._console.width < 110 else 28),
            live.TextColumn("{task.completed:,.0f}/{task.total:,.0f}", markup=False),
            live.TextColumn("{task.fields[left]}", style="cyan", markup=False),
            live.TextColumn("{task.fields[figures]}", style="dim", markup=False),
            console=self._console,
            get_time=self._clock,
            refresh_per_second=4,
        )

    def _left(self, arm: _Arm) -> str:
        """Return the time an arm still needs, or how long it took, in words."""
        samples, spent = _number(arm.event, "samples") or 0.0, arm.seen_seconds - arm.first_seconds
        if samples >= self._total:
            seconds = _number(arm.event, "seconds")
            return "done" if seconds is None else f"done in {_duration(seconds)}"
        if spent <= 0 or samples <= arm.first_samples:
            return "left –"
        return f"left {_duration((self._total - samples) * spent / (samples - arm.first_samples))}"

    def _line(self, arm: _Arm) -> None:
        """Print how ``arm`` stands as a plain line."""
        samples = _number(arm.event, "samples") or 0.0
        share = min(1.0, samples / self._total)
        stands = f"{share:4.0%} {samples:,.0f}/{self._total:,} samples, {self._left(arm)}"
        self.note(f"{self._label} · {arm.name}: {', '.join(filter(None, [stands, _figures(arm.event)]))}")
        self._last_line, arm.printed = self._clock(), True


def _number(event: Mapping[str, object], key: str) -> float | None:
    """Return a figure of ``event``; None where it is missing or not finite."""
    value = event.get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _figures(event: Mapping[str, object], *, short: bool = False) -> str:
    """Return those there are of yield, uniqueness, entropy, acceptance and loss."""
    kept, samples = _number(event, "kept"), _number(event, "samples")
    shown = {
        ("kept", "yield", "y"): kept / samples if kept is not None and samples else None,
        ("uniqueness", "unique", "u"): _number(event, "uniqueness"),
        ("entropy_nats", "entropy", "H"): _number(event, "entropy_nats"),
        ("acceptance", "accepted", "a"): _number(event, "acceptance"),
    }
    if not short:
        shown["loss", "loss", "l"] = _number(event, "loss")
    return (" " if short else ", ").join(
        f"{mark if short else word} {'–' if value is None else f'{value:.3g}'}"
        for (key, word, mark), value in shown.items()
        if key in event
    )


def _duration(seconds: float) -> str:
    """Return a duration as ``h:mm:ss`` or ``m:ss``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
