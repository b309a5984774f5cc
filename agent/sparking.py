"""Open questions: those that a store itself suggests, and those that someone gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Fact, Spark


class OpenQuestions:
    """Asks about one end of a random fact: "what lowers X?", "X lowers what?".

    Of a sentence it asks to go on from its beginning. The facts are only where the questions come from; the answer on
    record is recall, not insight. Only observed facts are asked about.

    Args:
        knowledge: the store.
        relations: relations to ask about, with how often; all, as often as they occur, when empty.
        anything: share of questions that fix nothing: the generator says what comes to mind.
        evenly: ask about each thing that stands in a relation as often as about any other, instead of as often as facts
            name it.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        relations: Mapping[str, float] | None = None,
        *,
        anything: float = 0.0,
        evenly: bool = False,
    ) -> None:
        facts = knowledge.observed()
        asked = relations or {}
        groups = [[f for f in facts if f.triple and f.triple.relation == relation] for relation in asked] or [facts]
        empty = [relation for relation, group in zip(asked, groups, strict=False) if not group]
        if empty or not facts:
            raise InputError(
                f"there is no fact to ask about{f' with relation {empty[0]!r}' if empty else ''}; import facts first."
            )
        share = np.array(list(asked.values()) or [1.0], dtype=float)
        self._share = share / share.sum()
        self._anything = anything
        # per group: facts whose object is given (its subject is open), and facts whose subject is given
        self._given = [
            (_one_each(group, "object"), _one_each(group, "subject")) if evenly else (group, group) for group in groups
        ]

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return ``n`` questions; of those that fix something half leave the subject open, the others the object."""
        fixed = rng.random(n) >= self._anything
        group = rng.choice(len(self._given), size=n, p=self._share)
        place, side = rng.random(n), rng.random(n) < 0.5
        return [
            _spark(self._given[g][s], float(u), bool(s == 0)) if asked else Spark()
            for asked, g, u, s in zip(fixed, group, place, side.astype(int), strict=True)
        ]


class GivenQuestions:
    """Asks given questions in random order, each as likely as any other.

    Args:
        questions: what is asked.
    """

    def __init__(self, questions: Sequence[Spark]) -> None:
        self._questions = list(questions)

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return ``n`` of the questions; repeats are allowed.

        Raises:
            InputError: if none were given.
        """
        if not self._questions:
            raise InputError("no questions were given, but some are asked for; give `questions`.")
        return [self._questions[i] for i in rng.integers(len(self._questions), size=n)]


class EachQuestion:
    """Asks given questions one after the other, from the first on, in every round.

    Args:
        questions: what is asked; at least one.
    """

    def __init__(self, questions: Sequence[Spark]) -> None:
        if not questions:
            raise InputError("no questions were given, but some are asked for; give `questions`.")
        self._questions = list(questions)

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return ``n`` of the questions, round and round."""
        return [self._questions[i % len(self._questions)] for i in range(n)]


def _one_each(facts: Sequence[Fact], end: str) -> list[Fact]:
    """Return one fact for each thing at an end; sentences as they are."""
    return list({getattr(fact.triple, end) if fact.triple else fact.text: fact for fact in facts}.values())


def _spark(facts: Sequence[Fact], place: float, subject_open: bool) -> Spark:
    fact = facts[int(place * len(facts))]
    if fact.triple is None:
        beginning = fact.text.split()[: 1 + int(3 * place * len(facts) % 3)]
        return Spark(prompt=" ".join(beginning))
    relation = fact.triple.relation
    verb = relation.replace("_", " ")
    if subject_open:
        return Spark(prompt=f"What {verb} {fact.triple.object}?", relation=relation, object=fact.triple.object)
    return Spark(prompt=f"{fact.triple.subject} {verb}", relation=relation, subject=fact.triple.subject)
