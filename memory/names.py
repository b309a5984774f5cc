"""Finding concepts by name in running text.

Longest match first, over names and aliases, by a plain dictionary: O(words). Case, hyphens, a possessive 's and a
plural -s at the end of a name do not matter. A name that consists of stop words only ("It", "The Who") is found where
the text is nothing else. Left out: languages written without spaces, and telling apart things that share a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from hunch.memory.records import Concept, folded

LONGEST_NAME = 6
"""Words of the longest name that is found within a text."""
_NOUNS = {"amount", "bill", "computer", "cry", "detail", "fire", "interest", "mill", "system"}
_AUXILIARIES = {
    "did",
    "does",
    "doesn't",
    "doing",
    "don't",
    "having",
    "isn't",
    "might",
    "must",
    "shall",
    "should",
    "would",
}
STOP_WORDS = (frozenset(ENGLISH_STOP_WORDS) - _NOUNS) | _AUXILIARIES
"""Words that carry no content: scikit-learn's list without its nouns, with the remaining auxiliaries."""

_WORD = re.compile(r"[^\W_]+(?:['’](?!s\b)[^\W_]+)*")


class Word(NamedTuple):
    """A word where it stands."""

    key: str
    """Its case-folded form."""
    start: int
    end: int


def words_of(text: str) -> list[Word]:
    """Return the words of a text; hyphens separate, a possessive 's is left out."""
    found = [Word(match.group().casefold(), match.start(), match.end()) for match in _WORD.finditer(text)]
    return [word for word in found if not (word.key == "s" and word.start and text[word.start - 1] in "'’")]


def singular(word: str) -> str:
    """Return ``word`` without a plural -s; rough, but the same for both sides of a comparison."""
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


class Names:
    """A dictionary from names and aliases to concepts, and to terms that sentences happen to share.

    A shared term gives way to a concept that bears the same words.
    """

    def __init__(self) -> None:
        """Start empty."""
        self._concepts: dict[str, Concept] = {}  # folded name -> concept
        self._shared: set[str] = set()  # folded names of those that are only shared terms
        self._aliases: dict[str, str] = {}  # folded alias -> folded name
        self._exact: dict[str, str] = {}  # words of a name or alias -> folded name
        self._loose: dict[str, str] = {}  # the same with the last word singular
        self._reach: dict[str, int] = {}  # first word, singular -> words of the longest name that begins so

    def __iter__(self) -> Iterator[Concept]:
        """Yield concepts and shared terms in the order in which they came."""
        return iter(self._concepts.values())

    def add(self, concepts: Iterable[Concept]) -> None:
        """Add concepts; one that is known takes the new type and aliases."""
        for concept in concepts:
            name = folded(concept.name)
            self.discard(name)
            self._concepts[name] = concept
            self._learn(name, name)
            for alias in map(folded, concept.aliases):
                self.discard(alias)
                if alias not in self._concepts:
                    self._aliases.setdefault(alias, name)
                    self._learn(alias, name)

    def share(self, term: str) -> None:
        """Add a term that sentences share; one that is known is left as it is."""
        name = folded(term)
        if self.resolve(name) is None:
            self._concepts[name] = Concept(name=term)
            self._shared.add(name)
            self._learn(name, name)

    def discard(self, term: str) -> None:
        """Forget a shared term; a concept stays."""
        name = folded(term)
        if name in self._shared:
            self._shared.remove(name)
            del self._concepts[name]
            for table, key in ((self._exact, _joined(name)), (self._loose, _joined(name, loose=True))):
                if table.get(key) == name:
                    del table[key]

    def resolve(self, name: str, *, shared: bool = True) -> str | None:
        """Return the concept's own name for a name or alias; None for a stranger, or for a term unless ``shared``."""
        key = folded(name)
        key = self._aliases.get(key, key)
        return None if key not in self._concepts or (key in self._shared and not shared) else self._concepts[key].name

    def link(self, text: str) -> tuple[str, ...]:
        """Return the concepts named in ``text``, in order of appearance, each once."""
        whole = self.resolve(text)
        if whole is not None:
            return (whole,)
        words, found, at = words_of(text), dict[str, None](), 0
        while at < len(words):
            name, length = self.match(words, at)
            if name is not None:
                found[name] = None
            at += length
        return tuple(found)

    def match(self, words: list[Word], at: int, *, shared: bool = True) -> tuple[str | None, int]:
        """Return the longest name that begins at word ``at`` and its number of words; (None, 1) when there is none."""
        reach = min(self._reach.get(singular(words[at].key), 0), len(words) - at)
        for length in range(reach, 0, -1):
            head = [word.key for word in words[at : at + length]]
            loose = " ".join([*head[:-1], singular(head[-1])])
            for name in (self._exact.get(" ".join(head)), self._loose.get(loose)):
                if name is not None and (shared or name not in self._shared):
                    return self._concepts[name].name, length
        return None, 1

    def _learn(self, spelling: str, name: str) -> None:
        words = [word.key for word in words_of(spelling)]
        if not words or len(words) > LONGEST_NAME or STOP_WORDS.issuperset(words):
            return
        loose = " ".join([*words[:-1], singular(words[-1])])
        for table, key in ((self._exact, " ".join(words)), (self._loose, loose)):
            if table.get(key, name) in self._shared:  # a concept gives way to none but itself
                table[key] = name
            table.setdefault(key, name)
        first = singular(words[0])
        self._reach[first] = max(len(words), self._reach.get(first, 0))


def _joined(name: str, *, loose: bool = False) -> str:
    words = [word.key for word in words_of(name)]
    return " ".join([*words[:-1], *(singular(word) if loose else word for word in words[-1:])])
