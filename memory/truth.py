"""What still holds: retraction of claims, and of all that rests on nothing else (a truth-maintenance system).

An experience rests on what fired for it. Each firing is one justification, in the sense of Doyle, "A truth maintenance
system" (1979): it is whole while all its facts hold. An experience holds while it has not been retracted itself and
any of its justifications is whole; one that an environment has confirmed, or for which nothing fired, needs none. Its
fact holds while it does. What holds is the smallest set with these properties, so that no two conclusions hold each
other up. A retraction is itself recorded, with its reason; it can be undone, and what it took away comes back, unless
something else takes it away too.

Only what may change is looked at: what rests, through however many steps, on the claims at hand.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import NamedTuple

from hunch.memory.errors import InputError
from hunch.memory.ledger import Ledger


class Change(NamedTuple):
    """What a retraction, or its undoing, changes."""

    fell: list[str]
    """Ids of the experiences that held and do not any more, in the order in which they were kept."""
    rose: list[str]
    """Ids of those that hold again."""


def blast_radius(ledger: Ledger, targets: Collection[str]) -> list[str]:
    """Return the ids of the experiences that would fall if these facts or experiences (by id) were retracted."""
    with ledger.reading():
        return _change(ledger, set(targets), gone=set(targets)).fell


def retract(ledger: Ledger, targets: Collection[str], reason: str, round: int) -> Change:
    """Take back facts or experiences, by id, and all that rests on nothing else.

    What is retracted already is passed over.

    Raises:
        InputError: if an id is neither a fact's nor an experience's.
    """
    with ledger.transaction() as connection:
        _check(ledger, targets)
        before = _retracted(ledger, targets)
        new = [id for id in dict.fromkeys(targets) if id not in before]
        first = int(ledger.rows("SELECT ifnull(max(number), 0) + 1 FROM retractions")[0][0])
        connection.executemany(
            "INSERT INTO retractions VALUES (?, ?, ?, ?, NULL)",
            [(number, id, reason, round) for number, id in enumerate(new, first)],
        )
        ledger.remove_facts(new)
        return _apply(ledger, set(new))


def undo(ledger: Ledger, number: int, round: int) -> Change:
    """Undo a retraction by its number; undoing twice changes nothing.

    Raises:
        InputError: if there is no such retraction.
    """
    with ledger.transaction() as connection:
        targets = {id for (id,) in ledger.rows("SELECT target FROM retractions WHERE number = ?", (number,))}
        if not targets:
            raise InputError(f"{number} is no retraction of this ledger; `Archive.retractions()` lists them.")
        done = connection.execute(
            "UPDATE retractions SET undone = ? WHERE number = ? AND undone IS NULL", (round, number)
        ).rowcount
        if not done:
            return Change([], [])
        _restore_observed(ledger, targets)
        return _apply(ledger, targets)


def forget_rounds(ledger: Ledger, first: int) -> None:
    """Take out round ``first`` and all later ones, their retractions included, as if they had not been."""
    with ledger.transaction() as connection:
        later = "(SELECT id FROM experience WHERE round >= ?)"
        made = ledger.rows(f"SELECT id FROM facts WHERE NOT removed AND experience_id IN {later}", (first,))
        ledger.remove_facts(id for (id,) in made)
        touched = {
            id for (id,) in ledger.rows("SELECT target FROM retractions WHERE round >= ?1 OR undone >= ?1", (first,))
        }
        connection.execute(f"DELETE FROM supports WHERE experience_id IN {later}", (first,))
        connection.execute("UPDATE retractions SET undone = NULL WHERE undone >= ?", (first,))
        connection.execute("DELETE FROM retractions WHERE round >= ?", (first,))
        connection.execute("DELETE FROM experience WHERE round >= ?", (first,))
        connection.execute("DELETE FROM draws WHERE round >= ?", (first,))
        connection.execute("DELETE FROM rounds WHERE round >= ?", (first,))
        _restore_observed(ledger, touched)
        _apply(ledger, touched)


def unsettled(ledger: Ledger) -> Change:
    """Return what would change if all were looked at again: nothing, in a sound ledger."""
    return _change(ledger, {id for (id,) in ledger.rows("SELECT id FROM experience")}, gone=set())


def rests_on(ledger: Ledger, ids: Collection[str]) -> dict[str, set[str]]:
    """Return for each of these experiences the earlier ones that it rests on directly, or was built on."""
    found: dict[str, set[str]] = {id: set() for id in ids}
    for child, parent in ledger.rows(
        "SELECT supports.experience_id, facts.experience_id FROM supports JOIN facts ON facts.id = fact_id"
        " WHERE facts.experience_id IS NOT NULL AND supports.experience_id IN (SELECT value FROM json_each(?1))"
        " UNION SELECT experience.id, parent.value FROM experience, json_each(body, '$.hypothesis.parents') AS parent"
        " WHERE experience.id IN (SELECT value FROM json_each(?1))",
        (_list(ids),),
    ):
        found[child].add(parent)
    return found


def _check(ledger: Ledger, targets: Collection[str]) -> None:
    known = ledger.rows(
        "SELECT id FROM facts WHERE id IN (SELECT value FROM json_each(?1))"
        " UNION SELECT id FROM experience WHERE id IN (SELECT value FROM json_each(?1))",
        (_list(targets),),
    )
    strangers = sorted(set(targets) - {id for (id,) in known})
    if strangers:
        raise InputError(
            f"{strangers[0]!r} is neither a fact nor an experience of this ledger; ids come from `Fact.id` and "
            "`Experience.id`."
        )


def _retracted(ledger: Ledger, ids: Collection[str]) -> set[str]:
    """Return those that are retracted by themselves."""
    rows = ledger.rows(
        "SELECT target FROM retractions WHERE undone IS NULL AND target IN (SELECT value FROM json_each(?))",
        (_list(ids),),
    )
    return {id for (id,) in rows}


def _restore_observed(ledger: Ledger, ids: set[str]) -> None:
    """Let observed facts stand again whose last retraction is gone."""
    observed = ledger.rows(
        "SELECT id FROM facts WHERE experience_id IS NULL AND id IN (SELECT value FROM json_each(?))", (_list(ids),)
    )
    ledger.restore_facts({id for (id,) in observed} - _retracted(ledger, ids))


def _apply(ledger: Ledger, touched: set[str]) -> Change:
    """Write down what falls and rises when the standing of ``touched`` has changed."""
    change = _change(ledger, touched, gone=set())
    with ledger.transaction() as connection:
        for flag, ids in ((1, change.fell), (0, change.rose)):
            connection.executemany("UPDATE experience SET retracted = ? WHERE id = ?", [(flag, id) for id in ids])
        ledger.remove_facts(_facts_of(ledger, change.fell))
        ledger.restore_facts(_facts_of(ledger, change.rose))
    return change


def _facts_of(ledger: Ledger, experiences: Collection[str]) -> list[str]:
    rows = ledger.rows(
        "SELECT id FROM facts WHERE experience_id IN (SELECT value FROM json_each(?)) ORDER BY position",
        (_list(experiences),),
    )
    return [id for (id,) in rows]


def _change(ledger: Ledger, touched: set[str], *, gone: set[str]) -> Change:
    """Return what changes when the claims ``touched`` may have changed, and ``gone`` are retracted besides."""
    claims = _above(ledger, touched)  # experience -> ids of its facts
    rows = ledger.rows(
        "SELECT id, retracted, json_extract(body, '$.outcome.status') = 'confirmed' FROM experience"
        " WHERE id IN (SELECT value FROM json_each(?)) ORDER BY round, slot",
        (_list(claims),),
    )
    held = {id: not out for id, out, _ in rows}
    own = {id for facts in claims.values() for id in facts}
    refuted = _retracted(ledger, [*claims, *own]) | gone
    refuted |= {id for id, facts in claims.items() if refuted & set(facts)}

    missing: dict[tuple[str, int], int] = {}  # (experience, firing) -> facts of it that do not hold so far
    waiting: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)  # fact -> the firings that wait for it
    for id, firing, fact, removed in ledger.rows(
        "SELECT supports.experience_id, firing, fact_id, ifnull(removed, 0) FROM supports"
        " LEFT JOIN facts ON facts.id = fact_id WHERE supports.experience_id IN (SELECT value FROM json_each(?))",
        (_list(claims),),
    ):
        lacking = fact in own or bool(removed) or fact in gone
        missing[id, firing] = missing.get((id, firing), 0) + lacking
        if lacking:
            waiting[fact].append((id, firing))

    fired = {id for id, _ in missing}
    holds: set[str] = set()
    ready = [id for id, _, confirmed in rows if confirmed or id not in fired]
    ready += [id for (id, _), count in missing.items() if not count]
    while ready:
        id = ready.pop()
        if id in holds or id in refuted:
            continue
        holds.add(id)
        for fact in claims[id]:
            for justification in waiting.get(fact, ()):
                missing[justification] -= 1
                if not missing[justification]:
                    ready.append(justification[0])
    return Change(
        fell=[id for id, before in held.items() if before and id not in holds],
        rose=[id for id, before in held.items() if not before and id in holds],
    )


def _above(ledger: Ledger, touched: set[str]) -> dict[str, list[str]]:
    """Return the experiences that are among ``touched`` or rest on them through any steps, with their facts."""
    found: dict[str, list[str]] = {}
    rows = ledger.rows(
        "SELECT id FROM experience WHERE id IN (SELECT value FROM json_each(?1)) UNION SELECT experience_id FROM facts"
        " WHERE experience_id IS NOT NULL AND id IN (SELECT value FROM json_each(?1))"
        " UNION SELECT experience_id FROM supports WHERE fact_id IN (SELECT value FROM json_each(?1))",
        (_list(touched),),
    )
    level = {id for (id,) in rows}
    while level:
        found |= {id: [] for id in level}
        for fact, id in ledger.rows(
            "SELECT id, experience_id FROM facts WHERE experience_id IN (SELECT value FROM json_each(?))",
            (_list(level),),
        ):
            found[id].append(fact)
        rows = ledger.rows(
            "SELECT DISTINCT experience_id FROM supports WHERE fact_id IN (SELECT value FROM json_each(?))",
            (_list(fact for id in level for fact in found[id]),),
        )
        level = {id for (id,) in rows} - found.keys()
    return found


def _list(ids: Iterable[str]) -> str:
    return json.dumps(list(ids))
