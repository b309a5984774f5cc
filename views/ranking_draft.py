"""A ranking while it is being made, the same on the page and in the terminal, and how it becomes rankings.

A draft holds one list of all cards for each criterion that was begun. It is kept in the ledger after each change, so
that what a killed program or a closed window leaves behind can be gone on with in either place.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, FiniteFloat, ValidationError

from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.rankings import Rankings
from hunch.memory.values import Count, Record, digest


class Marks(Record):
    """All cards of a sheet as they are ordered by one criterion so far."""

    criterion: str
    order: tuple[tuple[str, ...], ...]
    """Content ids, best first; those in one inner tuple are tied."""
    unjudged: tuple[str, ...] = ()
    accepted: Count | None = None
    """How many leading places are worth keeping; None while that is not said."""
    seconds: Annotated[FiniteFloat, Field(ge=0.0)] = 0.0
    """Time spent on this list, the page being visible."""


class Draft(Record):
    """What an expert has done on a sheet so far."""

    marks: tuple[Marks, ...] = ()
    """One for each criterion that was begun."""
    unfolded: tuple[str, ...] = ()
    """The cards whose evidence they looked at."""
    tab: str = Field("", max_length=64)
    """Which window wrote it; it may write over what it wrote itself."""
    number: Count = 0
    """Rises with each draft of a window, so that one that was overtaken on its way is told from a newer one."""


def shown_order(sheet: Sheet, expert: str) -> tuple[str, ...]:
    """Return the cards in the order in which an expert sees them: random, and the same each time."""
    rng = np.random.default_rng(int(digest(sheet.id, expert), 16))
    return tuple(sheet.keys[at] for at in rng.permutation(len(sheet.cards)))


def check(draft: Draft, sheet: Sheet) -> None:
    """See to it that each list is of the sheet and holds each of its cards once.

    Raises:
        InputError: if it is not so.
    """
    criteria = [marks.criterion for marks in draft.marks]
    if len(set(criteria)) < len(criteria) or not set(criteria) <= set(sheet.criteria):
        raise InputError(f"the lists are by {criteria}, but the sheet asks for {list(sheet.criteria)}, once each.")
    if not set(draft.unfolded) <= set(sheet.keys):
        raise InputError("a card was unfolded that is not on the sheet; name only its own.")
    for marks in draft.marks:
        placed = [key for place in marks.order for key in place] + list(marks.unjudged)
        if sorted(placed) != sorted(sheet.keys) or not all(marks.order):
            raise InputError(f"the list by {marks.criterion} is not of the sheet's cards, once each; send all of them.")
        if marks.accepted is not None and marks.accepted > len(marks.order):
            raise InputError(f"accepted is {marks.accepted}, but there are {len(marks.order)} places; lower it.")


def finished(draft: Draft, sheet: Sheet, expert: str, origin: Literal["page", "terminal"]) -> list[Ranking]:
    """Return the rankings that a finished draft stands for, one for each criterion of the sheet.

    Raises:
        InputError: if a list is missing, or what is worth keeping was not said of one.
    """
    check(draft, sheet)
    by = {marks.criterion: marks for marks in draft.marks}
    for criterion in sheet.criteria:
        if criterion not in by:
            raise InputError(f"there is no list by {criterion}; rank by it too.")
        if by[criterion].accepted is None and by[criterion].order:
            raise InputError(f"accepted is not said of the list by {criterion}; place the line, at the top for none.")
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    return [
        Ranking(
            sheet_id=sheet.id,
            expert=expert,
            **by[criterion].model_dump(),
            shown=shown_order(sheet, expert),
            unfolded=draft.unfolded,
            origin=origin,
            finished=now,
        )
        for criterion in sheet.criteria
    ]


def ranked_by(rankings: Rankings, sheet: Sheet, expert: str) -> dict[str, Ranking]:
    """Return the rankings of a sheet by an expert that count, by criterion."""
    return {one.criterion: one for one in rankings.of(sheet) if one.expert == expert}


def is_ranked(sheet: Sheet, by: dict[str, Ranking]) -> bool:
    """Whether an expert has ranked a sheet by all that it asks for; where cards came from is told only then."""
    return set(by) >= set(sheet.criteria)


def drafted(rankings: Rankings, sheet: Sheet, expert: str) -> Draft | None:
    """Return an expert's draft of a sheet; None where there is none, or none that this version can read."""
    body = rankings.draft(sheet.id, expert)
    if body is None:
        return None
    try:
        draft = Draft.model_validate_json(body)
        check(draft, sheet)
    except (InputError, ValidationError):
        return None
    return draft
