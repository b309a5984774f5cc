"""What is known: facts, the concepts where they meet, and their vectors.

The ledger is the truth; what stands here is read from it and follows its changes, those of other programs included.
Ends of triples are resolved through aliases when they are added, so one thing has one name in the store. What the
agent itself concluded is stored like any fact (less its weight), but the embedded encoder is fitted on observed facts
only: how texts compare does not drift with what was concluded, and a resumed run compares as the uninterrupted one.

Left out: merging two concepts that facts already use. An alias given too late stays with the concept that bears it as
its name, and a line in the log says so.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence

from hunch.memory.encoder import Encoder, FloatArray
from hunch.memory.errors import InputError
from hunch.memory.ledger import Ledger
from hunch.memory.names import Mention, Names
from hunch.memory.nearness import Nearness
from hunch.memory.records import Concept, Fact, Triple
from hunch.memory.relations import Relations
from hunch.memory.terms import Terms
from hunch.memory.values import Count, Record, folded

Statement = Fact | str | tuple[str, str, str]
"""A fact as it may be given: a record, a sentence, or a subject, a relation and an object."""

log = logging.getLogger(__name__)


class Added(Record):
    """What became of facts that were added."""

    new: Count
    """Facts that the store did not have."""
    known: Count
    """Facts that it had already, repeats within the batch included."""


class Knowledge:
    """A store of facts."""

    def __init__(self, ledger: Ledger, encoder: Encoder | None = None) -> None:
        """Read a store from ``ledger``; without ``encoder`` a ``LexicalEncoder`` is fitted on its facts when needed."""
        self._ledger = ledger
        self._given_encoder = encoder
        path = ledger.path
        self._snapshot = None if path is None or ledger.read_only else path.with_name(path.name + ".faiss")
        self._forget()
        self._refresh()

    @classmethod
    def in_memory(cls, facts: Iterable[Statement], concepts: Iterable[Concept] = ()) -> Knowledge:
        """Return a store of ``facts`` that is gone when the program ends."""
        store = cls(Ledger(None))
        store.add(facts, concepts)
        return store

    def copy_with(self, facts: Iterable[Statement]) -> Knowledge:
        """Return a store in memory with the same concepts and encoder, but other facts."""
        copy = Knowledge(Ledger(None), self.encoder)
        copy.add(facts, self.concepts())
        return copy

    # Changing it

    def add(self, facts: Iterable[Statement], concepts: Iterable[Concept] = ()) -> Added:
        """Add facts and concepts, all or none; adding twice changes nothing.

        The concepts come first, so that their aliases hold for the facts. A sentence without concepts gets the terms
        that it shares with others.

        Raises:
            InputError: if a part of a fact is blank or no UTF-8.
        """
        with self._ledger.transaction():
            self._refresh()
            self._ledger.add_concepts(self._owned(concepts))
            self._refresh()
            stated = [_stated(fact) for fact in facts]
            self._ledger.add_concepts(self._strangers(stated))
            self._refresh()
            new = self._ledger.add_facts(map(self._canonical, stated))
            added = Added(new=new, known=len(stated) - new)
        self._refresh()
        return added

    def remove(self, ids: Iterable[str]) -> int:
        """Remove facts by id and return how many were there; concepts stay."""
        removed = self._ledger.remove_facts(ids)
        self._refresh()
        return removed

    # Reading it

    @property
    def ledger(self) -> Ledger:
        """Where it is kept."""
        return self._ledger

    @property
    def position(self) -> int:
        """The number of the last change."""
        return self._ledger.position

    def __len__(self) -> int:
        """Return the number of facts."""
        self._refresh()
        return len(self._facts)

    def facts(self) -> list[Fact]:
        """Return all facts in the order in which they were added."""
        self._refresh()
        return list(self._facts.values())

    def observed(self) -> list[Fact]:
        """Return the facts that were given, without what the agent concluded."""
        return [fact for fact in self.facts() if fact.experience_id is None]

    def fact(self, id: str) -> Fact:
        """Return a fact by its id.

        Raises:
            KeyError: if there is none, or it was removed.
        """
        self._refresh()
        try:
            return self._facts[id]
        except KeyError:
            raise KeyError(f"{id!r} is no fact of this store of {len(self._facts)}; ids come from `Fact.id`.") from None

    def concepts(self) -> list[Concept]:
        """Return every concept that was given or that a fact names."""
        self._refresh()
        return list(self._names)

    def resolve(self, name: str) -> str | None:
        """Return the concept's own name for a name or alias; None for a stranger."""
        self._refresh()
        return self._names.resolve(name)

    def link(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return the concepts that each text names, in order of appearance, each once."""
        self._refresh()
        return [self._names.link(text) for text in texts]

    def mentions(self, texts: Sequence[str]) -> list[list[Mention]]:
        """Return where each text names concepts, in order of appearance."""
        self._refresh()
        return [self._names.mentions(text) for text in texts]

    def like(self, texts: Sequence[str], k: int) -> list[list[tuple[str, float]]]:
        """Return for each text the concepts with a name of similar letters, best first, and how similar, in [0, 1].

        Of the names, the ``k`` nearest are looked at. Those that came lately may be left out.
        """
        self._refresh()
        return self._names.like(texts, k)

    def neighbours(self, name: str) -> list[Fact]:
        """Return the facts that touch a concept, given by its name or an alias; none for a stranger."""
        self._refresh()
        return [self._facts[id] for id in self._touching.get(self._names.resolve(name) or "", ())]

    def known(self, triples: Sequence[Triple | None]) -> list[Fact | None]:
        """Return for each triple the fact that states it, its ends read through aliases; None where there is none.

        Where a relation is symmetric in this store (``Relations``), the fact that states the reverse counts too.
        """
        self._refresh()
        found = []
        for triple in triples:
            id = self._relations.stating(self._resolved(triple)) if triple else None
            found.append(self._facts[id] if id else None)
        return found

    def near(self, texts: Sequence[str], k: int) -> tuple[list[list[str]], FloatArray]:
        """Return the ids of the observed facts most similar to each text, best first, and the similarities, (n, k).

        A list is shorter than ``k`` where the store is; the similarity is -inf there.
        """
        self._refresh()
        numbers, similarities = self._nearness.near(texts, k)
        return [[self._ids[number] for number in row if number >= 0] for row in numbers.tolist()], similarities

    @property
    def encoder(self) -> Encoder:
        """The given encoder, or the embedded one as fitted on the facts observed so far."""
        self._refresh()
        return self._nearness.encoder

    # Following the ledger

    def _forget(self) -> None:
        self._seen = (self._ledger.rollbacks, 0)
        self._facts: dict[str, Fact] = {}
        self._numbers: dict[str, int] = {}  # fact id -> its position, which is its number in the index
        self._ids: dict[int, str] = {}  # the reverse
        self._names = Names()
        self._touching: defaultdict[str, dict[str, None]] = defaultdict(dict)  # concept -> ids of its facts
        self._relations = Relations()
        self._terms = Terms()
        self._nearness = Nearness(self._given_encoder, self._snapshot)

    def _refresh(self) -> None:
        """Take in what changed in the ledger since the last look."""
        now = (self._ledger.rollbacks, self._ledger.position)
        if now == self._seen:
            return
        if now[0] != self._seen[0]:
            self._forget()  # what was read may have been undone
        changes = self._ledger.changes(self._seen[1])
        for concept in changes.concepts:
            for name in (concept.name, *concept.aliases):
                self._terms.named(name)
        self._names.add(changes.concepts)
        for id in changes.removed:
            self._take_out(id)
        for number, fact in changes.facts:
            self._take_in(number, fact)
        for id, concepts in self._terms.found(self._names).items():
            self._about(id, concepts)
        self._seen = (now[0], changes.position)

    def _take_in(self, number: int, fact: Fact) -> None:
        id = fact.id
        if id in self._facts:
            self._take_out(id)
        self._facts[id], self._numbers[id], self._ids[number] = fact, number, id
        if fact.experience_id is None:  # what is concluded is like nothing new
            self._nearness.add(number, fact)
        if fact.triple is not None:
            self._relations.add(id, fact.triple)
        elif not fact.concepts and fact.experience_id is None:  # what is concluded makes no new terms
            self._terms.add(id, fact.text)
        for name in fact.concepts:
            self._touching[name][id] = None

    def _take_out(self, id: str) -> None:
        fact = self._facts.pop(id, None)
        if fact is None:
            return
        if fact.triple is not None:
            self._relations.remove(fact.triple)
        self._terms.remove(id)
        for name in fact.concepts:
            self._untouch(name, id)
        number = self._numbers.pop(id)
        del self._ids[number]
        if fact.experience_id is None:
            self._nearness.remove(number)

    def _about(self, id: str, concepts: tuple[str, ...]) -> None:
        """Let a sentence be about ``concepts``."""
        for name in self._facts[id].concepts:
            if name not in concepts:
                self._untouch(name, id)
        self._facts[id] = self._facts[id].model_copy(update={"concepts": concepts})
        for name in concepts:
            self._names.share(name)
            self._touching[name][id] = None

    def _untouch(self, name: str, id: str) -> None:
        touching = self._touching[name]
        touching.pop(id, None)
        if not touching:
            del self._touching[name]
            self._names.discard(name)

    # Reading what is given

    def _owned(self, concepts: Iterable[Concept]) -> list[Concept]:
        """Return concepts under their own names, without aliases that are others' names; first come, first served."""
        owned, owners = [], dict[str, str]()  # folded name or alias in this batch -> own name
        for concept in concepts:
            name = self._names.resolve(concept.name, shared=False) or concept.name
            name = owners.setdefault(folded(name), name)
            aliases = []
            for alias in concept.aliases:
                owner = self._names.resolve(alias, shared=False) or owners.setdefault(folded(alias), name)
                if folded(owner) != folded(name):
                    log.warning("%r stays a name of %r and is no alias of %r", alias, owner, name)
                elif folded(alias) != folded(name):
                    aliases.append(alias)
            owned.append(concept.model_copy(update={"name": name, "aliases": tuple(aliases)}))
        return owned

    def _strangers(self, facts: Iterable[Fact]) -> list[Concept]:
        """Return the concepts that ``facts`` name and the ledger does not hold."""
        strangers: dict[str, str] = {}
        for name in {name: None for fact in facts for name in _named(fact)}:
            if self._names.resolve(name, shared=False) is None:
                strangers.setdefault(folded(name), name)
        return [Concept(name=name) for name in strangers.values()]

    def _resolved(self, triple: Triple) -> Triple:
        subject, object = self._names.resolve(triple.subject), self._names.resolve(triple.object)
        if subject in (None, triple.subject) and object in (None, triple.object):
            return triple
        return Triple(subject=subject or triple.subject, relation=triple.relation, object=object or triple.object)

    def _canonical(self, fact: Fact) -> Fact:
        """Return a fact under its concepts' own names."""
        triple = self._resolved(fact.triple) if fact.triple else None
        concepts = tuple(dict.fromkeys(self._names.resolve(name) or name for name in _named(fact)))
        if triple is fact.triple and concepts == fact.concepts:
            return fact
        return fact.model_copy(update={"triple": triple, "concepts": concepts})


def _stated(fact: Statement) -> Fact:
    """Return what was given as a record.

    Raises:
        InputError: if it is blank, or a part of its triple is.
    """
    if isinstance(fact, str):
        fact = Fact.model_construct(text=fact.strip())
    elif isinstance(fact, tuple):
        subject, relation, object = (part.strip() for part in fact)
        triple = Triple.model_construct(subject=subject, relation=relation, object=object)
        fact = Fact.model_construct(text=f"{subject} {relation} {object}", triple=triple)
    parts = (fact.text,) if fact.triple is None else (fact.triple.subject, fact.triple.relation, fact.triple.object)
    for text in (*parts, *fact.concepts):
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"a text holds {text[error.start]!r}, which is not UTF-8; remove it.") from error
    if not all(part.strip() for part in (*parts, fact.text)):
        raise InputError(
            f"{parts!r} has a blank part, but a fact says something in each; fill it in or leave the fact out."
        )
    return fact


def _named(fact: Fact) -> tuple[str, ...]:
    """Return the concepts of a fact as they were given, the ends of its triple first."""
    if fact.triple is None:
        return fact.concepts
    return (fact.triple.subject, fact.triple.object, *fact.concepts)
