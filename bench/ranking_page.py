"""Rankings given in the page by a real browser, the server killed now and then: what arrives in the ledger.

An expert puts the cards of each sheet into a random order, with keys and with the mouse, ties some, sets some aside,
puts the line, by two criteria, and submits. ``hunch rank`` is killed with SIGKILL between two sheets, in the middle of
one, or as one is submitted, and started again; its new link is opened. At the end the ledger is compared with
what the page showed when the button was pressed.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.progress import track

from hunch.memory.expertise import Card, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync "
    "--no-first-run"
)
SIZES = (2, 3, 5, 8, 20)
"""How many cards a sheet may have."""
MOMENTS = ("between", "amid", "submitting", "unheard")
"""When the server is killed: after a sheet, amid one, just after the button was pressed, before it heard of that."""
SHOWN = """() => {
    const cards = (box) => [...box.querySelectorAll('.card > .top > .said')].map((one) => one.textContent);
    const rows = [...document.querySelectorAll('#list > .row')];
    const line = rows.findIndex((row) => row.querySelector('.line:not(.unset)'));
    return {
        order: rows.map(cards).filter((row) => row.length),
        unjudged: cards(document.querySelector('#unjudged')),
        accepted: line < 0 ? null : line,
    };
}"""
"""What the page shows as its list, by the cards' texts."""
FOCUS = """(text) => {
    const said = [...document.querySelectorAll('.card > .top > .said')].find((one) => one.textContent === text);
    said.closest('.card').focus();
    const box = said.closest('.card').getBoundingClientRect();
    const { top } = document.querySelector('#list > .row').getBoundingClientRect();
    return { visible: top > 80 && box.top + 20 < innerHeight - 80, grip: [box.left + 12, box.top + 15], top };
}"""
"""Put the focus on a card; return its handle, the top of the list, and whether both can be seen."""

Shown = dict[str, Any]


def program() -> str | None:
    """Return the Chromium that is installed here; None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


@contextmanager
def chromium() -> Iterator[Any]:
    """Yield a headless browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program(), args=QUIET.split())
        yield browser
        browser.close()


def measure(count: int, kills: int, seed: int) -> dict[str, Any]:
    """Give ``count`` rankings, two on each sheet, with ``kills`` kills, and return how many did not arrive as shown."""
    rng = random.Random(seed)
    sheets = [_sheet(number, rng.choice(SIZES)) for number in range((count + 1) // 2)]
    at = rng.sample(range(len(sheets)), min(kills, len(sheets)))
    moments = {number: rng.choice(MOMENTS) for number in at}
    with tempfile.TemporaryDirectory(prefix="hunch-ranking-") as folder, chromium() as browser:
        with Ledger(Path(folder) / "memory.sqlite") as ledger:
            Rankings(ledger).show(sheets)
        expert = _Expert(Path(folder), browser.new_page(), rng)
        try:
            for number in track(range(len(sheets)), "sheets ranked in the page"):
                expert.rank(moments.get(number, ""))
        finally:
            expert.stop()
        with Ledger(Path(folder) / "memory.sqlite", read_only=True) as ledger:
            return {"rankings": 2 * len(sheets)} | _compared(Rankings(ledger), expert.submitted) | expert.figures()


def _sheet(number: int, cards: int) -> Sheet:
    made = [Card(key=f"{number}-{n}", text=f"idea {n} of sheet {number}") for n in range(cards)]
    return Sheet(field="any", question=f"What of {number}?", cards=tuple(made), round=number)


def _compared(rankings: Rankings, submitted: dict[str, list[Shown]]) -> dict[str, int]:
    """Compare all rankings in the ledger, replaced ones too, with what was shown, by question and criterion."""
    sheets = {sheet.id: sheet for sheet in rankings.sheets()}
    found: dict[tuple[str, str], list[Shown]] = {}
    for one in rankings.all(replaced=True):
        sheet = sheets[one.sheet_id]
        text = {card.key: card.text for card in sheet.cards}
        shown = {
            "order": [[text[key] for key in place] for place in one.order],
            "unjudged": [text[key] for key in one.unjudged],
            "accepted": one.accepted,
        }
        found.setdefault((sheet.question, one.criterion), []).append(shown)
    figures = Counter(lost=0, twice=0, out_of_order=0)
    for sheet in sheets.values():
        for n, criterion in enumerate(sheet.criteria):
            arrived, given = found.get((sheet.question, criterion), []), submitted.get(sheet.question)
            figures["lost"] += not arrived
            figures["twice"] += len(arrived) > 1
            figures["out_of_order"] += bool(arrived) and (given is None or arrived[-1] != given[n])
    return dict(figures)


class _Expert:
    """Ranks in the page, and opens the new link when the server was killed."""

    def __init__(self, run: Path, page: Any, rng: random.Random) -> None:
        self._run, self._page, self._rng = run, page, rng
        self.submitted: dict[str, list[Shown]] = {}
        self._kills = self._drafts_lost = self._again = 0
        self._open()

    def figures(self) -> dict[str, int]:
        """Return how often the server was killed, and what that cost short of a ranking."""
        return {"kills": self._kills, "drafts_lost": self._drafts_lost, "submitted_again": self._again}

    def stop(self) -> None:
        """End the server."""
        self._server.kill()
        self._server.communicate()

    def _open(self) -> None:
        words = [sys.executable, "-m", "hunch.scenarios.cli", "rank", str(self._run), "--expert", "Ada", "--no-browser"]
        self._server = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        assert self._server.stdout is not None
        link = self._server.stdout.readline().split()[-1]
        self._page.goto(link)
        self._page.wait_for_selector("#list .card, #told:not([hidden]), #done:not([hidden])")

    def _kill(self) -> None:
        self._kills += 1
        self.stop()
        self._open()

    def rank(self, moment: str) -> None:
        """Rank the sheet that the page shows by both criteria, submit it and go on; kill the server at a moment."""
        page, question = self._page, self._page.text_content("#question")
        lists = [self._by_one_criterion()]
        if moment == "amid":
            self._kill()
            page.click("#criteria button >> nth=0")
            self._drafts_lost += page.evaluate(SHOWN) != lists[0]
        self._onward()
        page.wait_for_selector("#submit:text('Submit')")
        lists.append(self._by_one_criterion())
        self.submitted[question] = lists
        if moment == "unheard":
            os.kill(self._server.pid, signal.SIGSTOP)
        self._onward(at_once=moment in ("unheard", "submitting"))
        if moment in ("unheard", "submitting"):
            time.sleep(self._rng.uniform(0, 0.02))
            self._kill()
            if page.is_visible("#work") and page.text_content("#question") == question:  # not committed: send it again
                self._again += 1
                self._drafts_lost += page.evaluate(SHOWN) != lists[1]
                self._onward()
            elif page.is_visible("#work"):
                return  # the page knows it as ranked and has gone on to the next
        page.wait_for_selector("#told:not([hidden])")
        page.click("#next")
        page.wait_for_selector("#told", state="hidden")
        if moment == "between":
            self._kill()

    def _by_one_criterion(self) -> Shown:
        """Put the cards into a random order and return what the page shows then, saved."""
        page, rng = self._page, self._rng
        texts = page.evaluate(SHOWN)["order"]
        order = [text for place in texts for text in place]
        rng.shuffle(order)
        for text in reversed(order):
            self._to_the_top(text)
        assert page.evaluate(SHOWN)["order"] == [[text] for text in order], "the moves went elsewhere"
        for text in rng.sample(order, len(order) // 4):
            self._press(text, rng.choice("tu"))
        left = [text for place in page.evaluate(SHOWN)["order"] for text in place]
        if left and rng.random() < 0.9:
            self._press(rng.choice(left), "k")
        else:
            page.check("#none")
        shown: Shown = page.evaluate(SHOWN)
        page.wait_for_selector("#saved:text-is('Saved')")
        return shown

    def _to_the_top(self, text: str) -> None:
        page = self._page
        where = page.evaluate(FOCUS, text)
        if where["visible"] and self._rng.random() < 0.5:
            page.mouse.move(*where["grip"])
            page.mouse.down()
            page.mouse.move(where["grip"][0], where["top"] + 40)
            page.mouse.move(where["grip"][0], where["top"] + 4)
            page.mouse.up()
            return
        for key in (" ", "Home", " "):
            page.keyboard.press(key)

    def _press(self, text: str, key: str) -> None:
        self._page.evaluate(FOCUS, text)
        self._page.keyboard.press(key)

    def _onward(self, *, at_once: bool = False) -> None:
        """Press the button, ``at_once`` without a mouse that moves there first.

        Where the page doubts an order that is as it was shown, the button is pressed again.
        """
        for _ in range(2):
            if at_once:
                self._page.evaluate("document.querySelector('#submit').click()")
            else:
                self._page.click("#submit")
            if "press the button again" not in self._page.text_content("#notice"):
                return
