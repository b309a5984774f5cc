"""Is a ledger whole, and does what was derived from it agree? Every check reads; none changes anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hunch.memory import snapshots
from hunch.memory.errors import HunchError
from hunch.memory.expertise import Sheet
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.rankings import Rankings
from hunch.memory.records import Experience
from hunch.memory.rows import fact_of_row
from hunch.memory.truth import unsettled

SAMPLE = 50
"""Facts that are looked up by their own text."""


class Check(NamedTuple):
    """One thing that was looked at."""

    name: str
    wrong: list[str]
    """What is wrong; empty when it is well."""
    seen: str
    """What was looked at."""


def verify(path: Path) -> Iterator[Check]:
    """Look through a ledger and its index, one check after the other, as it is at one moment.

    Raises:
        InputError: if it cannot be opened as a ledger.
    """
    with Ledger(path, read_only=True) as ledger, ledger.reading():
        for check in (_database, _facts, _experience, _reasons, _rounds, _kept, _rankings, _index):
            try:
                yield check(ledger)
            except (HunchError, ValueError, TypeError, KeyError) as error:
                yield Check(check.__name__[1:], [f"could not be read ({str(error).splitlines()[0]})"], "")


def _database(ledger: Ledger) -> Check:
    wrong = [row[0] for row in ledger.rows("PRAGMA integrity_check(20)") if row[0] != "ok"]
    wrong += [f"a row of {table} refers to nothing" for table, *_ in ledger.rows("PRAGMA foreign_key_check")]
    (pages,), (size,) = ledger.rows("PRAGMA page_count")[0], ledger.rows("PRAGMA page_size")[0]
    return Check("database", wrong, f"{pages * size / 1e6:,.1f} MB in {pages:,} pages")


def _facts(ledger: Ledger) -> Check:
    wrong, count, gone = [], 0, 0
    for row in ledger.rows("SELECT * FROM facts"):
        count, gone = count + 1, gone + row[2]
        if fact_of_row(row).id != row[0]:
            wrong.append(f"fact {row[0]} does not say what it was written with")
    return Check("facts", wrong, f"{count - gone:,} facts and {gone:,} tombstones")


def _experience(ledger: Ledger) -> Check:
    wrong = []
    rows = ledger.rows("SELECT id, round, slot, body FROM experience")
    resting: dict[str, set[tuple[int, str]]] = {}
    for id, firing, fact in ledger.rows("SELECT experience_id, firing, fact_id FROM supports"):
        resting.setdefault(id, set()).add((firing, fact))
    for id, round, slot, body in rows:
        kept = Experience.model_validate_json(body)
        reasons = {(number, fact) for number, firing in enumerate(kept.fired) for fact in firing.fact_ids}
        if (kept.id, kept.round, kept.slot) != (id, round, slot) or reasons != resting.get(id, set()):
            wrong.append(f"experience {id} is not what its row says")
    return Check("experience", wrong, f"{len(rows):,} experiences")


def _reasons(ledger: Ledger) -> Check:
    lost = ledger.rows(
        "SELECT DISTINCT experience_id, fact_id FROM supports WHERE fact_id NOT IN (SELECT id FROM facts) LIMIT 20"
    )
    wrong = [f"experience {id} rests on fact {fact}, which is not there" for id, fact in lost]
    fell, rose = unsettled(ledger)
    wrong += [f"experience {id} stands, but nothing holds it up" for id in fell]
    wrong += [f"experience {id} does not stand, but something holds it up" for id in rose]
    ((count,),) = ledger.rows("SELECT count(*) FROM supports")
    ((retracted,),) = ledger.rows("SELECT count(*) FROM retractions WHERE undone IS NULL")
    return Check("reasons", wrong, f"{count:,} reasons and {retracted:,} retractions")


def _rounds(ledger: Ledger) -> Check:
    wrong = [f"round {round} is not as it was written" for round in ledger.damaged_rounds()]
    return Check("rounds", wrong, f"{ledger.round_count():,} rounds of {ledger.draw_count():,} samples")


def _kept(ledger: Ledger) -> Check:
    rows = ledger.rows(
        "SELECT round, slot FROM draws WHERE kept EXCEPT SELECT round, slot FROM experience"
        " UNION SELECT round, slot FROM experience WHERE EXISTS (SELECT 1 FROM draws)"
        " EXCEPT SELECT round, slot FROM draws WHERE kept LIMIT 20"
    )
    wrong = [
        f"sample {slot} of round {round} and the experience disagree on whether it was kept" for round, slot in rows
    ]
    return Check("kept", wrong, "samples against experience")


def _rankings(ledger: Ledger) -> Check:
    rankings = Rankings(ledger)
    wrong = [f"sheet or ranking {id} is not as it was written" for id in rankings.damaged()]
    wrong += [
        f"ranking {id} is of sheet {sheet}, which is not there"
        for id, sheet in ledger.rows("SELECT id, sheet_id FROM rankings WHERE sheet_id NOT IN (SELECT id FROM sheets)")
    ]
    rows = ledger.rows("SELECT id, body FROM sheets")
    sheets = {str(id): set(Sheet.model_validate_json(body).keys) for id, body in rows}
    every = rankings.all(replaced=True)
    for one in every:
        placed = {*one.places, *one.unjudged, *one.shown, *one.unfolded}
        if one.sheet_id in sheets and not placed <= sheets[one.sheet_id]:
            wrong.append(f"ranking {one.id} is of cards that are not on sheet {one.sheet_id}")
    return Check("rankings", wrong, f"{len(every):,} rankings of {len(sheets):,} sheets")


def _index(ledger: Ledger) -> Check:
    knowledge = Knowledge(ledger)
    observed = knowledge.observed()
    wrong = []
    assert ledger.path is not None
    snapshot = ledger.path.with_name(ledger.path.name + ".faiss")
    if snapshot.exists() and not snapshots.whole(snapshot):
        wrong.append(f"{snapshot.name} is damaged; it is set aside and made anew at the next start")
    chosen = observed[:: max(1, len(observed) // SAMPLE)]
    if chosen:
        ids, similarity = knowledge.near([fact.text for fact in chosen], 1)
        for fact, found, how in zip(chosen, ids, similarity[:, 0].tolist(), strict=True):
            if how < 0.999 and knowledge.fact(found[0]).text != fact.text:
                wrong.append(f"fact {fact.id} is not found by its own text")
    return Check("index", wrong, f"{len(chosen):,} facts looked up, {'a' if snapshot.exists() else 'no'} snapshot")
