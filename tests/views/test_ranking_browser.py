"""The ranking page in a real browser: dragging, keys, reloading, two windows, small windows, hostile text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.ranking_page import SHOWN, chromium, program
from hunch.memory.expertise import Card, Sheet
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.views.ranking import RankingServer
from hunch.views.ranking_draft import drafted, shown_order
from tests.hostile import CANARY, corpus
from tests.test_hostile import steers

NAMES = tuple("abcdef")
WIDE, PHONE, SMALL = (1000, 1300), (390, 844), (360, 640)


def sheet(round: int = 0, **said: Any) -> Sheet:
    cards = tuple(
        Card(key=f"key {name}", text=name, evidence=(f"fact of {name}",), made="rarely hot") for name in NAMES
    )
    return Sheet.model_validate(
        {"field": "physics", "question": f"What if {round}?", "cards": cards, "round": round} | said
    )


class Desk:
    """Experts' windows on a server with its ledger; it notes what the pages do that they should not."""

    def __init__(self, browser: Any, folder: Path, *sheets: Sheet) -> None:
        self._browser = browser
        self.rankings = Rankings(Ledger(folder / "memory.sqlite"))
        self.sheets = sheets
        self.rankings.show(sheets)
        self.complaints: list[str] = []
        self.server = RankingServer(self.rankings, "77", ["Ada", "Bo"])

    def window(self, size: tuple[int, int] = WIDE, expert: str = "Ada", **how: Any) -> Any:
        """Open an expert's link in a browser of its own and return the page."""
        context = self._browser.new_context(viewport={"width": size[0], "height": size[1]}, **how)
        home = f"http://127.0.0.1:{self.server.port}/"
        context.on(
            "request",
            lambda asked: None if asked.url.startswith(home) else self.complaints.append(f"asked {asked.url}"),
        )
        return self.page(context, self.server.renew(expert))

    def page(self, context: Any, address: str, *, clock: bool = False) -> Any:
        page = context.new_page()
        if clock:
            page.clock.install()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: self.complaints.append(f"error {error}"))
        page.on("dialog", lambda dialog: self.complaints.append("dialog"))
        page.on("console", lambda said: self.complaints.append(said.text) if "409" not in said.text else None)
        page.goto(address)
        page.wait_for_selector("#work .card, #told article")
        return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    pytest.importorskip("playwright.sync_api")
    if program() is None:
        pytest.skip("no chromium is installed to open pages with")
    with chromium() as started:
        yield started


@pytest.fixture
def desk(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Desk]]:
    """Return what sets a desk with sheets; at the end no page may have done what it should not."""
    desks: list[Desk] = []

    def put(*sheets: Sheet) -> Desk:
        desks.append(Desk(browser, tmp_path, *sheets))
        desks[-1].server.__enter__()
        return desks[-1]

    yield put
    for context in browser.contexts:
        context.close()
    for one in desks:
        one.server.__exit__(None, None, None)
        assert one.complaints == []


def order(page: Any) -> str:
    """Return the list as it is shown: places by spaces, ``|`` for the line, ``?`` before what is set aside."""
    shown = page.evaluate(SHOWN)
    places = ["".join(place) for place in shown["order"]]
    if shown["accepted"] is not None:
        places.insert(shown["accepted"], "|")
    return " ".join([*places, *(f"?{name}" for name in shown["unjudged"])])


def card(page: Any, name: str) -> Any:
    return page.locator(".card", has=page.get_by_text(name, exact=True))


def keys(page: Any, *pressed: str) -> None:
    for key in pressed:
        page.keyboard.press(key)


def at_first(one: Sheet, expert: str = "Ada") -> list[str]:
    return [key[-1] for key in shown_order(one, expert)]


def saved(page: Any) -> None:
    page.wait_for_selector("#saved:text-is('Saved')")


def drag(page: Any, what: Any, x: float, y: float) -> None:
    box = what.bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 12)
    page.mouse.down()
    page.mouse.move(x, y + 20, steps=2)
    page.mouse.move(x, y)
    page.mouse.up()


def test_cards_and_the_line_are_dragged_and_it_can_be_undone(desk: Callable[..., Desk]) -> None:
    one = sheet()
    put = desk(one)
    page, names = put.window(), at_first(one)
    assert order(page) == " ".join(names)
    top = card(page, names[0]).bounding_box()
    drag(page, card(page, names[3]), top["x"] + 30, top["y"] + 2)
    moved = [names[3], *names[:3], *names[4:]]
    assert order(page) == " ".join(moved)
    third = card(page, moved[2]).bounding_box()
    drag(page, page.locator(".line .grip"), third["x"] + 9, third["y"] + 2)
    assert order(page) == " ".join([*moved[:2], "|", *moved[2:]])
    aside = page.locator("#aside").bounding_box()
    drag(page, card(page, moved[4]), aside["x"] + 40, aside["y"] + 25)
    assert order(page).endswith(f"{moved[5]} ?{moved[4]}")
    drag(page, card(page, moved[4]), top["x"] + 30, top["y"] + 2)
    assert order(page) == " ".join([moved[4], *moved[:2], "|", moved[2], moved[3], moved[5]])
    saved(page)
    draft = drafted(put.rankings, one, "Ada")
    assert draft and [place[0][-1] for place in draft.marks[0].order] == [moved[4], *moved[:4], moved[5]]
    for _ in range(4):
        page.click("#undo")
    assert order(page) == " ".join(names)
    page.click("#redo")
    assert order(page) == " ".join(moved)


def test_a_finger_drags_by_the_handle_in_a_window_of_a_phone(desk: Callable[..., Desk]) -> None:
    one = sheet()
    page, names = desk(one).window(PHONE, has_touch=True, is_mobile=True), at_first(one)
    touch = page.context.new_cdp_session(page)

    def swipe(what: Any, x: float, y: float) -> None:
        box = what.bounding_box()
        start = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind, points in (
            ("touchStart", [start]), ("touchMove", [{"x": x, "y": y + 30}]), ("touchMove", [{"x": x, "y": y}]),
            ("touchEnd", []),
        ):  # fmt: skip
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    top = card(page, names[0]).bounding_box()
    swipe(card(page, names[2]).locator(".grip"), top["x"] + 20, top["y"] + 2)
    page.wait_for_selector("#undo:enabled")
    assert order(page) == " ".join([names[2], *names[:2], *names[3:]])
    card(page, names[0]).locator("button", has_text="=").tap()
    assert order(page).startswith(names[2] + names[0])


def _to_the_button(page: Any) -> None:
    while page.evaluate("document.activeElement.id") != "submit":
        keys(page, "Tab")
    keys(page, "Enter")


def test_a_sheet_is_ranked_with_keys_alone(desk: Callable[..., Desk]) -> None:
    one = sheet()
    put = desk(one)
    page, names = put.window(), at_first(one)
    keys(page, "Tab")
    while page.evaluate("document.activeElement.closest('.card') === null"):
        keys(page, "Tab")
    keys(page, "End", "ArrowUp", "Alt+ArrowUp", "Home", "ArrowDown", "t")  # the line is the end
    assert order(page) == " ".join([names[0] + names[1], *names[2:4], names[5], names[4]])
    keys(page, "t", "ArrowDown", " ", "ArrowDown", "ArrowUp", "ArrowUp", "Home", " ", "f", "End", "ArrowUp", "u")
    assert order(page) == " ".join([names[2], *names[:2], names[3], names[5], f"?{names[4]}"])
    assert "cannot judge" in page.text_content("#live")
    keys(page, "Home", " ", "End", "Escape", "ArrowDown", "k")
    assert order(page) == " ".join([names[2], names[0], "|", names[1], names[3], names[5], f"?{names[4]}"])
    keys(page, "Control+z")
    assert "|" not in order(page)
    keys(page, "Control+Shift+Z")
    first = page.evaluate(SHOWN)
    _to_the_button(page)
    page.wait_for_selector("#asked:text-is('The most insightful first.')")
    assert order(page) == " ".join(names), "the second list is not led by the first"
    page.locator(".card").first.focus()
    keys(page, "Alt+ArrowDown", "k")
    second = page.evaluate(SHOWN)
    _to_the_button(page)
    page.wait_for_selector("#told article")
    found = put.rankings.of(one)
    for ranking, shown in zip(found, (first, second), strict=True):
        assert [[key[-1] for key in place] for place in ranking.order] == shown["order"]
        assert [key[-1] for key in ranking.unjudged] == shown["unjudged"] and ranking.accepted == shown["accepted"]
        assert ranking.unfolded == (f"key {names[2]}",) and 0 < ranking.seconds < 60 and ranking.origin == "page"


def test_the_line_must_be_put_and_an_untouched_order_is_asked_about(desk: Callable[..., Desk]) -> None:
    put = desk(sheet(criteria=("creative",)))
    page = put.window()
    page.click("#submit")
    assert "Put the line first" in page.text_content("#notice")
    page.check("#none")
    assert order(page).startswith("|")
    page.click("#submit")
    assert "as they were shown" in page.text_content("#notice") and put.rankings.all() == []
    page.click("#submit")
    page.wait_for_selector("#told article")
    assert [one.accepted for one in put.rankings.all()] == [0]


def test_reloading_in_mid_ranking_loses_nothing_not_even_what_was_done_last(desk: Callable[..., Desk]) -> None:
    page = desk(sheet(), sheet(1)).window()
    page.click("#after")
    page.wait_for_selector("#progress:has-text('sheet 2 of 2')")
    page.locator(".card").first.focus()
    keys(page, "Alt+ArrowDown", "t", "u")
    page.click("#criteria button >> nth=1")
    page.locator(".card").first.focus()
    keys(page, "End", "ArrowUp", "k", "u")  # and at once:
    shown = order(page)
    page.reload()
    page.wait_for_selector(".card")
    assert order(page) == shown and "sheet 2 of 2" in page.text_content("#progress")
    assert page.text_content("#asked") == "The most insightful first."
    page.locator(".card").first.focus()
    keys(page, "Alt+ArrowDown")
    shown, address = order(page), page.url
    page.close()  # no time to save in peace
    again = page.context.new_page()
    again.goto(address)
    again.wait_for_selector(".card")
    assert order(again) == shown


def test_of_two_windows_the_one_that_was_overtaken_says_so(desk: Callable[..., Desk]) -> None:
    put = desk(sheet(criteria=("creative",)))
    first = put.window()
    second = put.page(first.context, first.url)
    first.locator(".card").first.focus()
    keys(first, "Alt+ArrowDown", "k")
    saved(first)
    second.bring_to_front()
    second.locator(".card").last.focus()
    keys(second, "Alt+ArrowUp")
    second.wait_for_selector("#notice:has-text('Another window changed this')")
    assert order(second) == order(first)
    second.locator(".card").last.focus()
    keys(second, "Alt+ArrowUp")
    saved(second)
    first.bring_to_front()
    first.click("#submit")
    first.wait_for_selector("#notice:has-text('Another window changed this')")
    assert order(first) == order(second) and put.rankings.all() == []
    first.click("#submit")
    first.wait_for_selector("#told article")
    assert len(put.rankings.all()) == 1


def test_where_cards_came_from_is_shown_after_and_then_the_next_sheet(desk: Callable[..., Desk]) -> None:
    one, two = sheet(criteria=("creative",)), sheet(1, criteria=("creative",))
    put = desk(one, two)
    page = put.window(PHONE)
    assert "rarely hot" not in page.content() and "0 sheets ranked" in page.text_content("#progress")
    page.locator(".card").first.focus()
    keys(page, "Alt+ArrowDown", "k")
    page.click("#submit")
    page.wait_for_selector("#told article")
    assert page.content().count("rarely hot") == len(NAMES) and "1 sheet ranked" in page.text_content("#progress")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    page.click("#next")
    page.wait_for_selector("#question:text-is('What if 1?')")
    assert "rarely hot" not in page.locator("#work").text_content()
    page.click("#before")
    page.wait_for_selector("#told article")
    page.click("#again")
    assert order(page).count("|") == 1  # as it was ranked
    other = put.window(expert="Bo")
    assert "Bo" in other.text_content("#progress") and "rarely hot" not in other.content()


def test_a_used_link_and_a_server_that_was_started_anew_say_what_to_do(desk: Callable[..., Desk]) -> None:
    put = desk(sheet())
    page = put.window()
    link = put.server.renew("Bo")
    put.page(page.context.browser.new_context(), link)
    stranger = page.context.browser.new_context().new_page()
    stranger.goto(link)
    assert "This link was used" in stranger.text_content("body")
    page.locator(".card").first.focus()
    page.context.clear_cookies()
    keys(page, "Alt+ArrowDown")
    page.wait_for_selector("#notice:has-text('Open your new link')")
    assert page.evaluate("document.querySelector('#main').inert")
    assert [word for word in put.complaints if "403" not in word] == []
    put.complaints.clear()


def test_hostile_text_does_nothing_and_hides_nothing(desk: Callable[..., Desk]) -> None:
    texts = [text for text in corpus(130) if 0 < len(text) < 3000]
    texts = [text for text in texts if not any("\ud800" <= letter <= "\udfff" for letter in text)]
    keyed = list(zip(range(len(texts)), texts, strict=True))
    cards = tuple(Card(key=f"{text[:50]}{n}", text=text, evidence=(text,), made=text) for n, text in keyed)
    one = Sheet(field=texts[0], question=texts[40], cards=cards, criteria=(texts[3], "__proto__", texts[60]))
    put = desk(one)
    page = put.window(SMALL)
    for _ in one.criteria:
        page.locator(".card").first.focus()
        keys(page, "f", "Alt+ArrowDown", "k")
        assert page.evaluate("document.documentElement.scrollWidth") <= SMALL[0]
        assert not steers(page.evaluate("document.body.textContent").replace("\t", ""))
        page.click("#submit")
    page.wait_for_selector("#told article")
    assert page.evaluate("document.documentElement.scrollWidth") <= SMALL[0]
    assert not steers(page.evaluate("document.body.textContent").replace("\t", ""))
    page.evaluate(
        """() => { for (const one of document.querySelectorAll('#told *, #work .said'))
            for (const kind of ['mouseover', 'focus', 'toggle']) one.dispatchEvent(new MouseEvent(kind)); }"""
    )
    assert page.evaluate(f"window.{CANARY} === undefined")
    assert (
        page.evaluate("document.querySelectorAll('#origins *:not(article, p, dl, dt, dd), #work .said *').length") == 0
    )
    found = put.rankings.of(one)
    assert [ranking.criterion for ranking in found] == list(one.criteria)
    assert {key for place in found[0].order for key in place} == set(one.keys)


def test_new_sheets_appear_by_themselves(desk: Callable[..., Desk]) -> None:
    put = desk(sheet(criteria=("creative",)))
    window = put.window()
    page = put.page(window.context, window.url, clock=True)
    page.check("#none")
    for _ in range(2):
        page.click("#submit")
    page.wait_for_selector("#told article")
    page.click("#next")
    page.wait_for_selector("#done h1")
    put.rankings.show([sheet(5)])
    page.clock.run_for(5000)
    page.wait_for_selector("#question:text-is('What if 5?')")
