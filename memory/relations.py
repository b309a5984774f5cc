"""Which triples are stated, and which relations hold both ways.

A relation is taken as symmetric when the store itself treats it so: of its statements, at least ``SYMMETRIC_FROM`` in
number, half or more are stated in both directions. Statements of a thing about itself say nothing about direction and
are not counted.
"""

from __future__ import annotations

from hunch.memory.records import Triple
from hunch.memory.values import folded

SYMMETRIC_FROM = 20
"""Statements that a relation needs before its symmetry is judged."""
SYMMETRIC_SHARE = 0.5
"""Share of them that must be stated in both directions."""


class Relations:
    """The statements of a store, by relation and ends."""

    def __init__(self) -> None:
        """Start empty."""
        self._stated: dict[str, dict[tuple[str, str], str]] = {}  # relation -> (subject, object) -> fact id
        self._mirrored: dict[str, int] = {}  # relation -> statements whose reverse is stated as well
        self._reflexive: dict[str, int] = {}  # relation -> statements of a thing about itself

    def add(self, id: str, triple: Triple) -> None:
        """Add a statement that is not there yet."""
        self._stated.setdefault(folded(triple.relation), {})[_ends(triple)] = id
        self._count(triple, 1)

    def remove(self, triple: Triple) -> None:
        """Remove a statement that is there."""
        self._count(triple, -1)
        del self._stated[folded(triple.relation)][_ends(triple)]

    def symmetric(self, relation: str) -> bool:
        """Say whether a relation holds both ways in this store."""
        relation = folded(relation)
        counted = len(self._stated.get(relation, ())) - self._reflexive.get(relation, 0)
        return counted >= SYMMETRIC_FROM and self._mirrored.get(relation, 0) >= SYMMETRIC_SHARE * counted

    def stating(self, triple: Triple) -> str | None:
        """Return the id of the fact that states a triple, or its reverse where the relation is symmetric."""
        pairs = self._stated.get(folded(triple.relation), {})
        subject, object = _ends(triple)
        id = pairs.get((subject, object))
        if id is None and (object, subject) in pairs and self.symmetric(triple.relation):
            return pairs[object, subject]
        return id

    def _count(self, triple: Triple, step: int) -> None:
        relation, (subject, object) = folded(triple.relation), _ends(triple)
        if subject == object:
            self._reflexive[relation] = self._reflexive.get(relation, 0) + step
        elif (object, subject) in self._stated[relation]:
            self._mirrored[relation] = self._mirrored.get(relation, 0) + 2 * step


def _ends(triple: Triple) -> tuple[str, str]:
    return folded(triple.subject), folded(triple.object)
