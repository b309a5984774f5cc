"""Facts and draws as rows of the ledger and back; the order of columns is that of its tables."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hunch.memory.records import Draw, Fact


def fact_row(fact: Fact, position: int) -> tuple[object, ...]:
    """Return the columns of ``fact`` after its position; the tombstone flag is left to the statement."""
    triple = fact.triple
    ends = (triple.subject, triple.relation, triple.object) if triple else (None, None, None)
    concepts = json.dumps(fact.concepts, ensure_ascii=False)
    return (fact.id, position, fact.text, *ends, concepts, fact.source, fact.date, fact.weight, fact.experience_id)


def fact_of_row(row: Sequence[object]) -> Fact:
    """Return the fact of a whole row."""
    _, _, _, text, subject, relation, object, concepts, source, date, weight, experience_id = row
    return Fact.model_validate(
        {
            "text": text,
            "triple": None if subject is None else {"subject": subject, "relation": relation, "object": object},
            "concepts": tuple(json.loads(str(concepts))),
            "source": source,
            "date": date,
            "weight": weight,
            "experience_id": experience_id,
        }
    )


def draw_row(draw: Draw) -> tuple[object, ...]:
    """Return the columns of ``draw``."""
    triple = draw.triple
    ends = (triple.subject, triple.relation, triple.object) if triple else (None, None, None)
    measured = (draw.standing.value, draw.strength, draw.p_value, draw.status.value, draw.kept, draw.reason)
    return (draw.round, draw.slot, draw.key, draw.text, *ends, *measured, draw.model_logprob, draw.entropy_nats)


def draw_of_row(row: Sequence[object]) -> Draw:
    """Return the draw of a whole row."""
    names = ("standing", "strength", "p_value", "status", "kept", "reason", "model_logprob", "entropy_nats")
    values = dict(zip(names, row[7:], strict=True))
    values["kept"] = bool(values["kept"])
    subject, relation, object = row[4:7]
    triple = None if subject is None else {"subject": subject, "relation": relation, "object": object}
    return Draw.model_validate(
        {"round": row[0], "slot": row[1], "key": row[2], "text": row[3], "triple": triple, **values}
    )
