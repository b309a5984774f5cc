"""Rankings from tables: one row for each item of a ranking, or one for each review with its scores.

A *table* has the columns ``expert``, ``criterion``, ``place`` (a number, 1 the best; equal ones are tied; empty: could
not be judged) and ``item`` (an id), ``text``, or both. It may have ``field``, ``question``, ``round`` and ``accepted``
(yes or no). Rows of one field, question and round are one sheet.

A *score table* has ``item`` and columns of scores, a higher one the better. It may have ``text``, ``field`` and
``rater``. The items of a field are one sheet; each rater gives one ranking of it by each criterion, equal scores tied.
Without raters the k-th review of each item is by ``review k``: an arbitrary naming, for such reviews need not be by one
person (``agreement.score_agreement`` does without it). Who reviewed a single item of a field ordered nothing.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hunch.memory.errors import InputError
from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.ranked_files import Entry, wrong
from hunch.memory.reading import BadLine
from hunch.memory.values import digest, folded

TABLE = ("expert", "criterion", "place", "item", "text", "field", "question", "round", "accepted")
SCORES = ("item", "text", "field", "rater", "scores")
_YES, _NO = ("yes", "true", "1", "y"), ("no", "false", "0", "n")


class Review(NamedTuple):
    """One row of a score table."""

    entry: Entry
    field: str
    item: str
    rater: str
    """Empty when unknown."""
    text: str
    scores: dict[str, float]
    """By criterion; a missing one was not given."""


class _Placed(NamedTuple):
    entry: Entry
    key: str
    place: float | None
    accepted: bool | None


def read_table(
    header: Sequence[str], rows: Sequence[Entry], columns: Mapping[str, str], field: str, bad: list[BadLine]
) -> list[tuple[Sheet, Ranking]]:
    """Return the sheets and rankings of a table.

    Raises:
        InputError: if a column is missing or a name is unknown.
    """
    named = _named(header, columns, TABLE, ("expert", "criterion", "place"))
    if not {"item", "text"} & set(named):
        raise InputError(
            f"the table has the columns {', '.join(header)}, but item or text must be among them; name it."
        )
    sheets: dict[tuple[int, str, str], dict[tuple[str, str], dict[str, _Placed]]] = {}
    texts: dict[tuple[int, str, str], dict[str, str]] = {}
    for entry in rows:
        try:
            said = {ours: entry.value[theirs].strip() for ours, theirs in named.items() if ours != "text"}
            said["text"] = entry.value[named["text"]] if "text" in named else ""
            of = (_whole(said.get("round", "")), said.get("field") or field, said.get("question", ""))
            who = (_there(said, "expert"), _there(said, "criterion"))
            key, place, accepted = _key(said), _number(said["place"]), _answer(said.get("accepted", ""))
            ranked = sheets.setdefault(of, {}).setdefault(who, {})
            if key in ranked:
                raise ValueError(f"{who[0]} ranked {reprlib.repr(key)} in line {ranked[key].entry.number} already")
            _agreed(texts.setdefault(of, {}), key, said["text"])
            ranked[key] = _Placed(entry, key, place, accepted)
        except ValueError as error:
            bad.append(wrong(entry, error))
    found: list[tuple[Sheet, Ranking]] = []
    for of, ranked_by in sheets.items():
        round, name, question = of
        known = texts.get(of, {})
        criteria = tuple(dict.fromkeys(criterion for _, criterion in ranked_by))
        if len(known) < 2:
            first = next((one.entry for cards in ranked_by.values() for one in cards.values()), None)
            if first is not None:
                bad.append(wrong(first, ValueError(f"is the only item of {reprlib.repr(name)}, but two make a sheet")))
            continue
        cards = tuple(Card(key=key, text=text or key) for key, text in known.items())
        sheet = Sheet(field=name, question=question, cards=cards, criteria=criteria, round=round)
        for (expert, criterion), placed in ranked_by.items():
            try:
                found.append((sheet, _ranking(sheet, expert, criterion, list(placed.values()))))
            except _MisplacedError as error:
                bad.append(wrong(error.entry, error))
    return found


def reviews(
    header: Sequence[str], rows: Sequence[Entry], columns: Mapping[str, str], field: str, bad: list[BadLine]
) -> list[Review]:
    """Return the rows of a score table.

    Raises:
        InputError: if a column is missing or a name is unknown.
    """
    criteria = [name for name in columns.get("scores", "").split("+") if name]
    missing = [name for name in criteria if name not in header]
    if missing or not criteria:
        rule = f"there is no column {missing[0]!r}" if missing else "none is named as scores"
        raise InputError(
            f"the table has the columns {', '.join(header)}, but {rule}; give for example --columns "
            f"item={header[0]},scores={'+'.join(header[-2:])}."
        )
    named = _named(header, {ours: name for ours, name in columns.items() if ours != "scores"}, SCORES, ("item",))
    found, texts, seen = [], dict[str, str](), dict[tuple[str, str], int]()
    for entry in rows:
        try:
            said = {ours: entry.value[theirs].strip() for ours, theirs in named.items()}
            item, rater = _there(said, "item"), said.get("rater", "")
            if "rater" in named and not rater:
                raise ValueError("rater is empty")
            if rater and (item, rater) in seen:
                raise ValueError(f"{rater} scored {reprlib.repr(item)} in line {seen[item, rater]} already")
            scores = {name: value for name in criteria if (value := _number(entry.value[name])) is not None}
            _agreed(texts, item, said.get("text", ""))
            seen[item, rater] = entry.number
            found.append(Review(entry, said.get("field") or field, item, rater, said.get("text", ""), scores))
        except ValueError as error:
            bad.append(wrong(entry, error))
    return found


def reviewed(found: Sequence[Review], accept: float | None, bad: list[BadLine]) -> list[tuple[Sheet, Ranking]]:
    """Return the sheets and rankings that reviews make."""
    criteria = tuple(dict.fromkeys(name for one in found for name in one.scores))
    fields: dict[str, list[Review]] = {}
    for one in found:
        fields.setdefault(one.field, []).append(one)
    pairs: list[tuple[Sheet, Ranking]] = []
    for field, inside in fields.items():
        texts: dict[str, str] = {}
        raters: dict[str, list[Review]] = {}
        times: dict[str, int] = {}
        for one in inside:
            texts[one.item] = texts.get(one.item) or one.text
            times[one.item] = times.get(one.item, 0) + 1
            raters.setdefault(one.rater or f"review {times[one.item]}", []).append(one)
        if len(texts) < 2:
            bad.append(
                wrong(inside[0].entry, ValueError(f"is the only item of {reprlib.repr(field)}, but two make a sheet"))
            )
            continue
        cards = tuple(Card(key=item, text=text or item) for item, text in texts.items())
        sheet = Sheet(field=field, question="", cards=cards, criteria=criteria)
        for rater, said in sorted(raters.items()):
            for criterion in criteria:
                placed = [
                    _Placed(one.entry, one.item, -score, None if accept is None else score >= accept)
                    for one in said
                    if (score := one.scores.get(criterion)) is not None
                ]
                if len(placed) > 1:
                    pairs.append((sheet, _ranking(sheet, rater, criterion, placed)))
    return pairs


def scores_by_field(found: Sequence[Review], criterion: str) -> dict[str, dict[str, list[float]]]:
    """Return the scores of each item of each field, as ``agreement.score_agreement`` takes them."""
    fields: dict[str, dict[str, list[float]]] = {}
    for one in found:
        if criterion in one.scores:
            fields.setdefault(one.field, {}).setdefault(one.item, []).append(one.scores[criterion])
    return fields


class _MisplacedError(ValueError):
    """An item is accepted although a better one is not; carries where."""

    def __init__(self, entry: Entry, message: str) -> None:
        super().__init__(message)
        self.entry = entry


def _ranking(sheet: Sheet, expert: str, criterion: str, placed: Sequence[_Placed]) -> Ranking:
    """Return a ranking of what was placed, the lowest number first."""
    places: dict[float, list[_Placed]] = {}
    for one in placed:
        if one.place is not None:
            places.setdefault(one.place, []).append(one)
    order = [places[place] for place in sorted(places)]
    accepted, open = 0, True
    for place in order:
        for one in place:
            if one.accepted and not (open and all(other.accepted for other in place)):
                raise _MisplacedError(one.entry, "is accepted, but one that is as good or better is not")
        open = open and all(one.accepted for one in place)
        accepted += open
    asked = any(one.accepted is not None for one in placed)
    return Ranking(
        sheet_id=sheet.id,
        expert=expert,
        criterion=criterion,
        order=tuple(tuple(one.key for one in place) for place in order),
        unjudged=tuple(one.key for one in placed if one.place is None),
        accepted=accepted if asked else None,
    )


def _named(
    header: Sequence[str], columns: Mapping[str, str], known: Sequence[str], needed: Sequence[str]
) -> dict[str, str]:
    """Return the column of each of our names that the table has."""
    if unknown := sorted(set(columns) - set(known)):
        raise InputError(
            f"--columns names {unknown[0]!r}, but what can be named is {', '.join(known)}; name one of these."
        )
    named = {ours: columns.get(ours, ours) for ours in known}
    missing = [ours for ours in known if named[ours] not in header and (ours in needed or ours in columns)]
    if missing:
        raise InputError(
            f"the table has the columns {', '.join(header)}, but none is {named[missing[0]]!r}; say which holds the "
            f"{missing[0]}: --columns {missing[0]}=NAME."
        )
    return {ours: theirs for ours, theirs in named.items() if theirs in header}


def _agreed(texts: dict[str, str], key: str, text: str) -> None:
    if text and texts.get(key) and texts[key] != text:
        raise ValueError(f"item {reprlib.repr(key)} has another text than before")
    texts[key] = texts.get(key) or text


def _key(said: Mapping[str, str]) -> str:
    """Return the id that is given, or the content id of the text."""
    if said.get("item"):
        return said["item"]
    if not said["text"].strip():
        raise ValueError("both item and text are empty" if "item" in said else "text is empty")
    return digest(folded(said["text"]))


def _there(said: Mapping[str, str], name: str) -> str:
    if not said[name]:
        raise ValueError(f"{name} is empty")
    return said[name]


def _number(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{reprlib.repr(text)} is no number")
    return value


def _whole(text: str) -> int:
    if text and not (text.isdecimal() and len(text) < 10):
        raise ValueError(f"round is {reprlib.repr(text)}, but a whole number is needed")
    return int(text or 0)


def _answer(text: str) -> bool | None:
    if text.casefold() in _YES:
        return True
    if text and text.casefold() not in _NO:
        raise ValueError(f"accepted is {reprlib.repr(text)}, but yes or no is needed")
    return False if text else None
