"""Ranking in the terminal: the page's twin, for where there is no browser.

An order is one line: ``3 > 1 = 7 | 2 ; 5 6 ?``. Best first, ``>`` between places, ``=`` between what is tied, ``|``
where what is worth keeping ends (at the start: nothing is; at the end: all is), after ``;`` what cannot be judged.

Each list is kept as a draft as soon as it is confirmed, in the form that the page uses too: one may go on there.
"""

from __future__ import annotations

import re
import textwrap
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from hunch.memory.errors import InputError
from hunch.memory.expertise import Card, Sheet
from hunch.memory.rankings import Rankings
from hunch.views.progress import plain
from hunch.views.ranking_draft import Draft, Marks, drafted, finished, is_ranked, ranked_by, shown_order

NOTATION = """\
An order is one line, best first:   3 > 1 = 7 | 2 ; 5 6 ?
  >        better than
  =        as good as: a tie
  |        what stands before is worth keeping; at the start nothing is, at the end all is
  ; 5 6 ?  cannot judge 5 and 6
Each number once, none left out.
  f 3  the facts that fired for card 3     c  the cards again     u  undo: back to the list before
  s    skip this sheet                     q  leave; what was confirmed is kept     ?  this help"""
CHOSEN = {
    "best": "promising",
    "spread": "to cover strength and novelty",
    "random": "by lot",
    "repeat": "to be judged again",
    "given": "given",
}


class Order(NamedTuple):
    """An order as it is typed, by the cards' numbers."""

    places: tuple[tuple[int, ...], ...]
    unjudged: tuple[int, ...] = ()
    accepted: int | None = None
    """Leading places worth keeping; None only where nothing could be judged."""


def read_order(line: str, count: int) -> Order:
    """Read an order of the cards 1 to ``count``.

    Raises:
        InputError: if it is none, leaves a card out, names one twice, or lacks the line ``|``.
    """
    ranked, _, rest = line.partition(";")
    if rest.strip() and not rest.strip().endswith("?"):
        raise InputError(f"{rest.strip()!r} stands after `;`, but that is for what cannot be judged; end it with `?`.")
    if not rest.strip() and ranked.strip().endswith("?"):
        raise InputError("`?` stands alone; put `;` before the numbers of what cannot be judged.")
    kept, line_there, others = ranked.partition("|")
    if "|" in others:
        raise InputError("`|` stands twice; put it once, after the last place that is worth keeping.")
    above = _places(kept.strip().removesuffix(">") if line_there else kept)
    below = _places(others.strip().removeprefix(">"))
    unjudged = tuple(_number(word) for word in re.split(r"[\s,]+", rest.strip().removesuffix("?").strip()) if word)
    named = [number for place in (*above, *below) for number in place] + list(unjudged)
    if strangers := [number for number in named if not 1 <= number <= count]:
        raise InputError(f"{strangers[0]} is given, but the cards are 1 to {count}; take one of these.")
    if twice := sorted({number for number in named if named.count(number) > 1}):
        raise InputError(f"{twice[0]} is named twice; give each card one place.")
    if missing := sorted(set(range(1, count + 1)) - set(named)):
        words = " ".join(map(str, missing))
        raise InputError(f"{words} is left out; give each card a place, or add `; {words} ?` if you cannot judge it.")
    if not line_there and above:
        raise InputError("`|` is missing; put it after the last place that is worth keeping, at the start for none.")
    return Order((*above, *below), unjudged, len(above) if line_there else None)


def _places(text: str) -> tuple[tuple[int, ...], ...]:
    if not text.strip():
        return ()
    return tuple(tuple(_number(word.strip()) for word in place.split("=")) for place in text.split(">"))


def _number(word: str) -> int:
    if not (word.isascii() and word.isdecimal() and len(word) < 6):
        raise InputError(f"{plain(word)!r} is no card's number; write an order as in `3 > 1 = 7 | 2 ; 5 ?`.")
    return int(word)


def written(order: Order) -> str:
    """Return an order as it is typed."""
    places = [" = ".join(map(str, place)) for place in order.places]
    if order.accepted is None:
        text = " > ".join(places)
    else:
        text = f"{' > '.join(places[: order.accepted])} | {' > '.join(places[order.accepted :])}".strip()
    return text + (f" ; {' '.join(map(str, order.unjudged))} ?" if order.unjudged else "")


class TerminalRanking:
    """One expert's dialogue over the sheets of a ledger."""

    def __init__(
        self,
        rankings: Rankings,
        expert: str,
        *,
        ask: Callable[[str], str],
        say: Callable[[str], None],
        width: int = 80,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare to ask for rankings; ``ask`` shows a prompt and returns a line, ``say`` prints."""
        self._rankings, self._expert, self._ask, self._say = rankings, expert, ask, say
        self._width, self._clock = width, clock

    def run(self) -> bool:
        """Go through what is not ranked; return whether all is ranked then, or it was left before."""
        sheets = self._rankings.sheets()
        left = [sheet for sheet in sheets if not is_ranked(sheet, ranked_by(self._rankings, sheet, self._expert))]
        self._say(NOTATION)
        at = 0
        while at < len(left):
            done = len(sheets) - len(left) + at
            self._say(f"\nsheet {sheets.index(left[at]) + 1} of {len(sheets)} · {done} ranked or skipped")
            answer = self._sheet(left[at])
            if answer == "q":
                self._say("Left. The same command goes on from here.")
                return False
            at = max(0, at - 1) if answer == "u" else at + 1
        missing = [one for one in left if not is_ranked(one, ranked_by(self._rankings, one, self._expert))]
        self._say(f"{len(missing)} sheets were skipped." if missing else "Nothing is left to rank.")
        return not missing

    def _sheet(self, sheet: Sheet) -> str:
        """Ask for all lists of a sheet; return ``q`` to leave, ``u`` for the sheet before, else nothing."""
        cards = {card.key: card for card in sheet.cards}
        shown = [cards[key] for key in shown_order(sheet, self._expert)]
        draft = drafted(self._rankings, sheet, self._expert) or Draft()
        self._show(sheet, shown)
        began = self._clock()
        while (criterion := self._wanted(sheet, draft)) is not None:
            begun = next((marks for marks in draft.marks if marks.criterion == criterion), None)
            if begun is not None:
                self._say(f"so far: {written(self._order(begun, shown))}")
            try:
                words = self._ask(f"{plain(criterion)} > ").strip()
            except EOFError:
                return "q"
            if words in ("q", "s"):
                return words
            if words == "u":
                before = [marks for marks in draft.marks if marks.criterion != criterion and marks.accepted is not None]
                if not before:
                    return "u"
                last = before[-1].criterion
                draft = self._keep(
                    sheet, draft, tuple(marks for marks in draft.marks if marks.criterion != last), draft.unfolded
                )
            elif words == "?":
                self._say(NOTATION)
            elif words == "c":
                self._show(sheet, shown)
            elif match := re.fullmatch(r"f\s*(\d{1,5})", words):
                draft = self._facts(sheet, draft, shown, int(match[1]))
            elif words:
                marks = self._marks(words, criterion, shown, seconds=self._clock() - began)
                if marks is not None:
                    others = tuple(one for one in draft.marks if one.criterion != criterion)
                    draft, began = self._keep(sheet, draft, (*others, marks), draft.unfolded), self._clock()
        self._rankings.add(finished(draft, sheet, self._expert, "terminal"))
        self._say("Saved. Where they came from:")
        first = next(marks for marks in draft.marks if marks.criterion == sheet.criteria[0])
        for key in (*(key for place in first.order for key in place), *first.unjudged):
            self._say(self._origin(shown, cards[key]))
        return ""

    def _wanted(self, sheet: Sheet, draft: Draft) -> str | None:
        """Return the first criterion by which the sheet is not ranked yet; None when it is ranked by all."""
        done = {marks.criterion for marks in draft.marks if marks.accepted is not None or not marks.order}
        return next((criterion for criterion in sheet.criteria if criterion not in done), None)

    def _marks(self, words: str, criterion: str, shown: Sequence[Card], *, seconds: float) -> Marks | None:
        """Return the list that a line means, if the expert confirms it."""
        try:
            order = read_order(words, len(shown))
        except InputError as error:
            self._say(f"{plain(str(error))} `?` helps.")
            return None
        for place, numbers in enumerate(order.places):
            if place == order.accepted:
                self._say("  " + "-" * 30)
            for number in numbers:
                self._say(f"  {place + 1}. {self._short(number, shown[number - 1])}")
        for number in order.unjudged:
            self._say(f"  ?  {self._short(number, shown[number - 1])}")
        if self._ask("Is this right? [Y/n] ").strip().lower() not in ("", "y", "yes"):
            return None
        return Marks(
            criterion=criterion,
            order=tuple(tuple(shown[number - 1].key for number in place) for place in order.places),
            unjudged=tuple(shown[number - 1].key for number in order.unjudged),
            accepted=order.accepted,
            seconds=seconds,
        )

    def _keep(self, sheet: Sheet, draft: Draft, marks: tuple[Marks, ...], unfolded: tuple[str, ...]) -> Draft:
        draft = Draft(marks=marks, unfolded=unfolded, tab="terminal", number=draft.number + 1)
        self._rankings.save_draft(sheet.id, self._expert, draft.model_dump_json())
        return draft

    def _facts(self, sheet: Sheet, draft: Draft, shown: Sequence[Card], number: int) -> Draft:
        if not 1 <= number <= len(shown):
            self._say(f"{number} is given, but the cards are 1 to {len(shown)}.")
            return draft
        card = shown[number - 1]
        for fact in card.evidence or ("nothing that fired is known",):
            self._say(self._wrapped("      - ", fact))
        unfolded = tuple(dict.fromkeys((*draft.unfolded, card.key)))
        return self._keep(sheet, draft, draft.marks, unfolded)

    def _show(self, sheet: Sheet, shown: Sequence[Card]) -> None:
        self._say(plain(sheet.field))
        self._say(self._wrapped("", sheet.question) + "\n")
        for number, card in enumerate(shown, 1):
            facts = f"  [f {number}: {len(card.evidence)}]" if card.evidence else ""
            self._say(self._wrapped(f"{number:4}  ", card.text + facts))

    def _order(self, marks: Marks, shown: Sequence[Card]) -> Order:
        numbers = {card.key: number for number, card in enumerate(shown, 1)}
        places = tuple(tuple(numbers[key] for key in place) for place in marks.order)
        return Order(places, tuple(numbers[key] for key in marks.unjudged), marks.accepted)

    def _origin(self, shown: Sequence[Card], card: Card) -> str:
        made = f"made {plain(card.made)}, " if card.made else ""
        figures = f"strength {card.strength:.3f}, novelty {card.novelty:.3f}"
        told = f"{made}weights {card.weights_version}, {CHOSEN[card.chosen]}, {figures}"
        return f"  {self._short(shown.index(card) + 1, card)}\n        {told}"

    def _short(self, number: int, card: Card) -> str:
        return f"{number:3}  {textwrap.shorten(plain(card.text), max(20, self._width - 12), placeholder=' ...')}"

    def _wrapped(self, head: str, text: str) -> str:
        return textwrap.fill(plain(text), self._width, initial_indent=head, subsequent_indent=" " * len(head))
