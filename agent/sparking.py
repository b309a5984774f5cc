"""Open questions that a store itself suggests."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Spark


class OpenQuestions:
    """Asks about one end of a random fact: "what lowers X?", "X lowers what?"; of sentences, to go on from their beginning.

    The facts are only where the questions come from; the answer on record is recall, not insight. Only observed facts are asked about.

    Args:
        knowledge: the store.
        relations: ask about these relations only, each as often as the others; all, as often as they occur, when empty.
        subject_open: share of questions that leave the subject open; the others leave the object open.
    """

    def __init__(self, knowledge: Knowledge, relations: Collection[str] = (), *, subject_open: float = 0.5) -> None:
        facts = [fact for fact in knowledge.facts() if fact.experience_id is None]
        self._groups = [
            [fact for fact in facts if fact.triple and fact.triple.relation == relation] for relation in relations
        ] or [facts]
        empty = [relation for relation, group in zip(relations, self._groups, strict=False) if not group]
        if empty or not facts:
            raise InputError(
                f"there is no fact to ask about{f' with relation {empty[0]!r}' if empty else ''}; import facts first."
            )
        self._subject_open = subject_open

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return ``n`` questions."""
        group = rng.integers(len(self._groups), size=n)
        place, side = rng.random(n), rng.random(n) < self._subject_open
        return [self._spark(int(g), float(u), bool(open_)) for g, u, open_ in zip(group, place, side, strict=True)]

    def _spark(self, group: int, place: float, subject_open: bool) -> Spark:
        facts = self._groups[group]
        fact = facts[int(place * len(facts))]
        if fact.triple is None:
            words = fact.text.split()
            return Spark(prompt=" ".join(words[: 1 + int(3 * place * len(facts) % 3)]))
        relation = fact.triple.relation
        words = relation.replace("_", " ")
        if subject_open:
            return Spark(prompt=f"What {words} {fact.triple.object}?", relation=relation, object=fact.triple.object)
        return Spark(prompt=f"{fact.triple.subject} {words}", relation=relation, subject=fact.triple.subject)
