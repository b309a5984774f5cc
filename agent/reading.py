"""Reading free text as claims: which concepts it names, and how it says that they are related.

A text is split into sentences, a sentence into single claims: "A lowers B and raises C" is two, "A and B lower C" too,
and so is "A lowers B, which raises C". Concepts are found by their names and aliases; only where a sentence names fewer
than two are its other words compared with all names, letter by letter, and what stands in the nearest facts needs less
likeness. The relation is the one whose sayings (``hunch.agent.wording``) are most like what stands between and around
the two ends, among those that join such ends in the store; the sayings also tell which end is the subject, so
"B is lowered by A" is read as "A lowers B".

Each part says how it was linked and how surely. Left out: pronouns, negation, and what needs the world to be understood
("the author of Capital").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags_array

from hunch.agent.forms import ASSOCIATED
from hunch.agent.wording import FIRST, SECOND, Wording, masked, plain_name, spelled
from hunch.memory.encoder import Encoder
from hunch.memory.knowledge import Knowledge
from hunch.memory.names import STOP_WORDS, words_of
from hunch.memory.records import Fact, Triple
from hunch.memory.sentences import sentences

ALIKE = 0.85
"""Likeness of letters from which on a word is taken for a name. Nearly all names with one slip of the pen reach it, and
3 % of the names that a store of 1,800 concepts does not hold (CoDEx-S), but 38 % of the phrases that one of 78,000 does
not (ConceptNet)."""
ALIKE_NEAR = 0.75
"""The same for a concept that the facts most similar to the sentence name."""
LOOKED_AT = 8
"""Names that a word is compared with, the nearest by letters."""
NEAR_FACTS = 20
"""How many facts those are."""
SPAN = 6
"""Words of the longest misspelt name."""
FITTING = 0.1
"""What a tenfold better fit of the ends to a relation weighs, over ln 10, against likeness in wording; chosen on
CoDEx-S's validation truths, where 0.06 to 0.2 read equally well."""
SAID = 0.1
"""Likeness to a saying below which no relation is stated."""
GUESSED = 0.5
"""How sure a relation that is not stated must be, by what it joins in the store, to be taken all the same."""
SHARP = 20.0
"""Turns differences in likeness into how sure a relation is (a softmax)."""
SAMPLED = 100
"""Facts of each relation whose sentences are taken as sayings."""


_STOP = re.compile(r"[.!?]")


class How(StrEnum):
    """How a part of a claim was linked."""

    NAMED = "named"
    """By its name or an alias; a relation by its name."""
    ALIKE = "alike"
    """By likeness: of letters for a concept, of wording for a relation."""
    UNSTATED = "unstated"
    """A relation only: the text states none that the store knows. It is the one that joins such ends in the store where
    that is clear, else mere association."""


@dataclass(frozen=True)
class Part:
    """A subject, relation or object as it was read."""

    name: str
    """The store's own name for it."""
    how: How
    sureness: float
    """In [0, 1]: 1 for what was named, else the cosine similarity of letters, or a share of belief for a relation."""


@dataclass(frozen=True)
class Claim:
    """One claim that a text makes."""

    subject: Part
    relation: Part
    object: Part

    @property
    def triple(self) -> Triple:
        """The claim in symbols."""
        return Triple(subject=self.subject.name, relation=self.relation.name, object=self.object.name)


class _Place(NamedTuple):
    part: Part
    start: int
    end: int


@dataclass(frozen=True)
class _Pair:
    """Two ends and what is said of them."""

    first: Part
    second: Part
    phrase: str
    """With ``FIRST`` and ``SECOND`` for the ends."""
    instead: Part | None = None
    """The end that comes first if ``second`` does not fit the relation: a list went on that was none."""


class Reader:
    """Reads texts against a store.

    Args:
        knowledge: the store. Relations, their sayings and what they join are taken from the facts observed now;
            concepts are looked up as they are when a text is read.
        sayings: sentences for relations, ``[X]`` for the subject and ``[Y]`` for the object.
        encoder: one that knows the world (``SentenceEncoder``); its likeness of sayings counts as much as that of
            words.
    """

    def __init__(
        self,
        knowledge: Knowledge,
        *,
        sayings: Mapping[str, Iterable[str]] | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        self._knowledge = knowledge
        stated = [fact for fact in knowledge.observed() if fact.triple]
        self._wording = Wording(_sayings(stated, sayings or {}), encoder)
        self._place = {relation: number for number, relation in enumerate(self._wording.relations)}
        self._known: dict[str, int] = {}  # concept -> its row among those that play roles
        self._learn([fact.triple for fact in stated if fact.triple])

    def read(self, texts: Sequence[str]) -> list[list[Claim]]:
        """Return the claims that each text makes; none where it names fewer than two different concepts."""
        pieces = self._sentences(texts)
        mentions = self._mentions([sentence for _, sentence in pieces])
        pairs: list[list[_Pair]] = [[] for _ in texts]
        alone: list[list[Part]] = [[] for _ in texts]  # of sentences that name but one thing
        for (number, sentence), found in zip(pieces, mentions, strict=True):
            split = list(self._split(sentence, found))
            pairs[number] += split
            alone[number] += [] if split else [place.part for place in found]
        for number, text in enumerate(texts):
            if not pairs[number]:
                pairs[number] = [
                    _Pair(a, b, f"{FIRST} {text} {SECOND}") for a, b in pairwise(alone[number]) if a.name != b.name
                ]
        claims = iter(self._related([pair for several in pairs for pair in several]))
        return [list(dict.fromkeys(next(claims) for _ in several)) for several in pairs]

    def link(self, names: Sequence[str]) -> list[Part | None]:
        """Return the concept that each name means; None for a stranger."""
        linked = self._knowledge.link(names)
        parts = [Part(found[0], How.NAMED, 1.0) if len(found) == 1 else None for found in linked]
        missing = [number for number, found in enumerate(linked) if not found]
        for number, like in zip(missing, self._knowledge.like([names[i] for i in missing], LOOKED_AT), strict=True):
            parts[number] = next((Part(name, How.ALIKE, sure) for name, sure in like if sure >= ALIKE), None)
        return parts

    # Concepts

    def _sentences(self, texts: Sequence[str]) -> list[tuple[int, str]]:
        """Return the sentences of each text with its number; a stop within a name ("Bros. Records") ends none."""
        found = []
        for number, (text, mentions) in enumerate(zip(texts, self._knowledge.mentions(texts), strict=True)):
            for mention in mentions:
                name = _STOP.sub("\u2024", text[mention.start : mention.end])  # looks like a stop and is as long
                text = text[: mention.start] + name + text[mention.end :]
            found += [(number, sentence) for sentence in sentences(text)]
        return found

    def _mentions(self, texts: Sequence[str]) -> list[list[_Place]]:
        """Return the concepts that each sentence names, with where they stand."""
        named = [
            [_Place(Part(told.concept, How.NAMED, 1.0), told.start, told.end) for told in mentions]
            for mentions in self._knowledge.mentions(texts)
        ]
        found = [self._told(text, several) for text, several in zip(texts, named, strict=True)]
        short = [number for number, several in enumerate(found) if _few(several)]
        spans = {number: spans for number in short if (spans := self._spans(texts[number], found[number]))}
        ids, _ = self._knowledge.near([texts[number] for number in spans], NEAR_FACTS) if spans else ([], None)
        like = iter(self._knowledge.like([texts[n][start:end] for n in spans for start, end in spans[n]], LOOKED_AT))
        for number, near in zip(spans, ids, strict=True):
            names = {name for id in near for name in self._knowledge.fact(id).concepts}
            scored = [(sure, span, name) for span in spans[number] for name, sure in next(like)]
            scored.sort(key=lambda each: -(each[0] ** 2) * (each[1][1] - each[1][0]))  # longer ones say more
            for sure, (start, end), name in scored:
                free = all(
                    (end <= place.start or place.end <= start) and place.part.name != name for place in found[number]
                )
                if free and sure >= (ALIKE_NEAR if name in names else ALIKE):
                    found[number].append(_Place(Part(name, How.ALIKE, min(sure, 1.0)), start, end))
            found[number].sort(key=lambda place: place.start)
        return [told if not _few(told) else all_named for told, all_named in zip(found, named, strict=True)]

    def _told(self, text: str, mentions: list[_Place]) -> list[_Place]:
        """Leave out names that are but words of a saying ("country", "music")."""
        return [
            place
            for place in mentions
            if not all(self._wording.says(word.key) for word in words_of(text[place.start : place.end]))
        ]

    def _spans(self, text: str, mentions: list[_Place]) -> list[tuple[int, int]]:
        """Return where a misspelt name may stand: outside mentions, no stop word or word of a saying at its ends."""
        words = [
            None if any(place.start < word.end and word.start < place.end for place in mentions) else word
            for word in words_of(text)
        ]
        plain = [word is None or word.key in STOP_WORDS or self._wording.says(word.key) for word in words]
        spans = []
        for at, first in enumerate(words):
            for end, last in enumerate(words[at : at + SPAN], at):
                if first is None or last is None:
                    break
                if not plain[at] and not plain[end]:
                    spans.append((first.start, last.end))
        return spans

    # Claims

    def _split(self, text: str, mentions: list[_Place]) -> Iterator[_Pair]:
        """Yield the pairs of a sentence that something is said of."""
        parts = [place.part for place in mentions]
        gaps = [text[left.end : right.start] for left, right in pairwise(mentions)]
        before, after = (text[: mentions[0].start], text[mentions[-1].end :]) if mentions else ("", "")
        lists = [_lists(gap) for gap in gaps]
        subjects, phrase = parts[:1], ""
        for number, (gap, part) in enumerate(zip(gaps, parts[1:], strict=True)):
            last = number + 1 == len(gaps)
            if lists[number] and not phrase:
                subjects.append(part)
            elif lists[number] and (last or lists[number + 1] or _goes_on(gaps[number + 1])):
                for subject in subjects:
                    yield from _pair(subject, part, phrase, instead=parts[number])
            elif lists[number]:
                subjects = [part]  # "... and C raises D"
            else:
                if phrase and not _goes_on(gap):
                    subjects = [parts[number]]
                begins = "" if phrase else before
                phrase = f"{begins} {FIRST} {gap} {SECOND} {after if last else ''}"
                for subject in subjects:
                    yield from _pair(subject, part, phrase)
        if not phrase:
            phrase = f"{before} {FIRST} {' '.join(gaps)} {SECOND} {after}"
            for left, right in pairwise(parts):
                yield from _pair(left, right, phrase)

    def _related(self, pairs: Sequence[_Pair]) -> list[Claim]:
        """Return each pair as a claim."""
        if not self._place:
            unstated = Part(ASSOCIATED, How.UNSTATED, 0.0)
            return [Claim(pair.first, unstated, pair.second) for pair in pairs]
        phrases = dict.fromkeys(pair.phrase for pair in pairs)
        numbers = {phrase: number for number, phrase in enumerate(phrases)}
        likeness = self._wording.compare(list(phrases))
        fits = self._fits(pairs)
        claims = []
        for pair in pairs:
            like = likeness[numbers[pair.phrase]]
            fit = _joined(fits[pair.first.name], fits[pair.second.name])
            if pair.instead is not None and fit[np.unravel_index(like.argmax(), like.shape)] == 0:
                pair = _Pair(pair.instead, pair.second, pair.phrase)
                fit = _joined(fits[pair.first.name], fits[pair.second.name])
            claims.append(self._claim(pair, like, fit))
        return claims

    def _claim(self, pair: _Pair, like: NDArray[np.float64], fit: NDArray[np.float64]) -> Claim:
        score = like + FITTING * np.log(fit + 1e-3)
        relation, backward = np.unravel_index(score.argmax(), score.shape)
        belief = np.exp(SHARP * (score.max(axis=1) - score.max()))
        sureness = float(belief[relation] / belief.sum())
        name = self._wording.relations[relation]
        if like[relation].max() >= SAID:
            how = How.NAMED if _stands(plain_name(name), pair.phrase) else How.ALIKE
        elif sureness >= GUESSED and fit[relation].max() < 1:
            how = How.UNSTATED
        else:
            return Claim(pair.first, Part(ASSOCIATED, How.UNSTATED, 0.0), pair.second)
        ends = (pair.second, pair.first) if backward else (pair.first, pair.second)
        return Claim(ends[0], Part(name, how, sureness), ends[1])

    # What relations join

    def _learn(self, triples: Sequence[Triple]) -> None:
        """Count which roles concepts play, and how often who plays one plays another.

        A role is one side of a relation: that of the subject is numbered as the relation, that of the object after all
        relations.
        """
        count, rows, roles = len(self._place), list[int](), list[int]()
        for triple in triples:
            for side, name in enumerate((triple.subject, triple.object)):
                rows.append(self._known.setdefault(name, len(self._known)))
                roles.append(self._place[triple.relation] + side * count)
        shape = (len(self._known), 2 * count)
        plays = csr_matrix((np.ones(len(rows)), (np.array(rows, int), np.array(roles, int))), shape)
        plays.data[:] = 1.0
        both = (plays.T @ plays).tocsr()
        self._plays = plays
        self._share = csr_matrix(diags_array(1 / np.maximum(both.diagonal(), 1)) @ both)

    def _fits(self, pairs: Sequence[_Pair]) -> dict[str, NDArray[np.float64]]:
        """Return how well each end fits each role, in [0, 1]: as far as those that play its own roles play it too.

        A stranger fits them all.
        """
        names = {end.name for pair in pairs for end in (pair.first, pair.second, pair.instead) if end}
        known = [name for name in names if name in self._known]
        plays = self._plays[[self._known[name] for name in known]]
        fits = (plays @ self._share).toarray() / np.asarray(plays.sum(axis=1)).reshape(-1, 1)
        strangers = dict.fromkeys(names, np.ones(2 * len(self._place)))
        return strangers | dict(zip(known, fits, strict=True))


def _joined(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how well two ends fit each relation, shape (relations, 2): the first as its subject, and as its object."""
    (a_subject, a_object), (b_subject, b_object) = np.split(first, 2), np.split(second, 2)
    return np.stack([a_subject * b_object, a_object * b_subject], axis=1)


def _few(places: Sequence[_Place]) -> bool:
    return len({place.part.name for place in places}) < 2


def _pair(first: Part, second: Part, phrase: str, instead: Part | None = None) -> Iterator[_Pair]:
    if first.name != second.name:
        yield _Pair(first, second, phrase, instead if instead and instead.name != second.name else None)


def _stands(name: str, phrase: str) -> bool:
    """Say whether a name stands in a phrase, word for word."""
    said, words = ([word.key for word in words_of(text)] for text in (name, phrase))
    return any(words[at : at + len(said)] == said for at in range(len(words)))


def _lists(gap: str) -> bool:
    """Say whether the words between two names only join them in a list."""
    return {word.key for word in words_of(gap)} <= {"and", "or", "as", "well", "also", "both", "the", "a", "an"}


def _goes_on(gap: str) -> bool:
    """Say whether the words between two names go on about the subject: "and raises"."""
    words = words_of(gap)
    return bool(words) and words[0].key in {"and", "or", "but", "then", "also"}


def _sayings(stated: Sequence[Fact], given: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Return for each relation its name spelled out, the sayings given, and the store's own sentences."""
    sayings: dict[str, dict[str, None]] = {}
    left: dict[str, int] = {}
    for fact in stated:
        if fact.triple is None:
            continue
        relation = fact.triple.relation
        if relation not in sayings:
            sayings[relation] = dict.fromkeys([*spelled(relation), *given.get(relation, ())])
        if left.setdefault(relation, SAMPLED):
            left[relation] -= 1
            said = masked(fact.text, fact.triple)
            if said:
                sayings[relation][said] = None
    return {relation: list(several) for relation, several in sayings.items()}
