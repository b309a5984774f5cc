"""What experts are asked and what they answer: cards on sheets, and rankings. Frozen records, as in ``records.py``.

This file never moves either: checkpoints name it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, FiniteFloat, model_validator

from hunch.memory.values import Count, Record, Unit, digest


class Card(Record):
    """One hypothesis as an expert is shown it; where it came from is kept, but not shown before it was ranked."""

    key: str = Field(min_length=1)
    """The hypothesis's content id."""
    text: str = Field(min_length=1)
    """What it says; untrusted."""
    evidence: tuple[str, ...] = ()
    """The sentences of what fired for it, what carried most first."""
    strength: FiniteFloat = 0.0
    """How strongly it fires."""
    novelty: Unit = 1.0
    """1 minus the cosine similarity to the nearest stored fact."""
    chosen: Literal["best", "spread", "random", "repeat", "given"] = "given"
    """Why it is shown: promising, to cover strength and novelty, by lot, to be judged again, or as someone gave it."""
    propensity: Unit = 1.0
    """The probability with which it was shown, where it was drawn by lot; 1 for what was sure to be."""
    weights_version: Count = 0
    """The generator's version that said it."""
    made: str = ""
    """How wild it was made, in words."""


class Sheet(Record):
    """One open question with the answers that experts are to rank."""

    field: str = Field(min_length=1)
    """The field of knowledge that it is of."""
    question: str
    """In words."""
    cards: tuple[Card, ...] = Field(min_length=2)
    """Each with a content id of its own."""
    criteria: tuple[str, ...] = Field(("creative", "insightful"), min_length=1)
    """By what they are ranked, each by itself."""
    round: Count = 0

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        if len(set(self.keys)) < len(self.cards):
            raise ValueError("two cards have one key; show each hypothesis once.")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """The content ids of the cards."""
        return tuple(card.key for card in self.cards)

    def strangers(self, ranking: Ranking) -> set[str]:
        """Return the content ids that a ranking names, in whatever way, and that are on no card of this sheet."""
        named = {*ranking.places, *ranking.unjudged, *ranking.shown, *ranking.unfolded}
        return named - set(self.keys)

    @property
    def id(self) -> str:
        """The content id: of the round, the field, the question and the cards."""
        return digest(str(self.round), self.field, self.question, *self.criteria, *self.keys)


class Ranking(Record):
    """How one expert ordered the cards of one sheet by one criterion."""

    sheet_id: str
    expert: str = Field(min_length=1)
    """The name they go by."""
    criterion: str = Field(min_length=1)
    order: tuple[tuple[str, ...], ...]
    """Content ids, best first; those in one inner tuple are tied."""
    unjudged: tuple[str, ...] = ()
    """What they could not judge."""
    accepted: Count | None = None
    """How many of the leading places of ``order`` they hold to be worth keeping; None when they were not asked."""
    shown: tuple[str, ...] = ()
    """The order in which they saw the cards; empty when unknown."""
    unfolded: tuple[str, ...] = ()
    """The cards whose evidence they looked at."""
    seconds: Annotated[FiniteFloat, Field(ge=0.0)] = 0.0
    """How long they took; 0 when unknown."""
    origin: Literal["page", "terminal", "file", "simulated"] = "file"
    """How it came; ``simulated`` is no person's."""
    finished: str = ""
    """When, as ISO 8601 in UTC; empty when unknown."""

    @model_validator(mode="after")
    def _sound(self) -> Self:
        placed = [key for place in self.order for key in place] + list(self.unjudged)
        if twice := sorted({key for key in placed if placed.count(key) > 1}):
            raise ValueError(f"{twice[0]!r} is ranked twice; give each card one place.")
        if not all(self.order):
            raise ValueError("a place of the order is empty; leave it out.")
        if self.accepted is not None and self.accepted > len(self.order):
            raise ValueError(f"accepted is {self.accepted}, but there are {len(self.order)} places; lower it.")
        return self

    @property
    def id(self) -> str:
        """The content id of all that it says."""
        return digest(self.model_dump_json())

    @property
    def places(self) -> dict[str, int]:
        """The place of each card that was judged, 0 for the best; tied cards share one."""
        return {key: place for place, keys in enumerate(self.order) for key in keys}

    @property
    def kept(self) -> tuple[str, ...]:
        """The content ids of what they hold to be worth keeping, best first."""
        return tuple(key for place in self.order[: self.accepted or 0] for key in place)


def order_by(scores: Mapping[str, float]) -> tuple[tuple[str, ...], ...]:
    """Return content ids by falling score, as a ranking has them: those of one score are tied, in the order given."""
    places: dict[float, list[str]] = {}
    for key, score in scores.items():
        places.setdefault(score, []).append(key)
    return tuple(tuple(places[score]) for score in sorted(places, reverse=True))
