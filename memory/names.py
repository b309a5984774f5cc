"""Finding concepts by name in running text.

Longest match first, over names and aliases, by a plain dictionary: O(words). Case, hyphens, a possessive 's and a
plural -s at the end of a name do not matter. A name that consists of stop words only ("It", "The Who") is found where
the text is nothing else. What is misspelt or turned about is found by its letters (``Names.like``).

Left out: languages written without spaces, and telling apart things that share a name. Left out as well, after
measuring it: an Aho-Corasick automaton (pyahocorasick). Over 78,000 names it links 45,000 sentences a second against
20,000 here, but each new name costs making it anew (0.3 s there, 4 s at a million names), and names come all the time.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer

from hunch.memory.records import Concept
from hunch.memory.values import folded

LONGEST_NAME = 16
"""Words of the longest name that is found within a text."""
GROWN = 1.1
"""How much the names may grow before their letters are counted anew; until then new ones are found as written only."""
LONGEST_SPELLED = 100
"""Letters of the longest name or text whose letters are compared in order, which takes the third power of their number
at worst (half a minute for a thousand equal ones); longer ones are compared by n-grams alone."""
CELLS = 20_000_000
"""Cosine similarities computed at once."""
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


class Mention(NamedTuple):
    """A concept where a text names it."""

    concept: str
    """The concept's own name."""
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
        self._letters: tuple[list[str], Any, Any] = ([], None, None)  # names, what counts their n-grams, the counts
        self._lettered = 0  # how many names there were then
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
        return tuple(dict.fromkeys(mention.concept for mention in self.mentions(text)))

    def mentions(self, text: str) -> list[Mention]:
        """Return where ``text`` names concepts, in order of appearance."""
        whole = self.resolve(text)
        if whole is not None:
            return [Mention(whole, 0, len(text))]
        words, found, at = words_of(text), list[Mention](), 0
        while at < len(words):
            name, length = self.match(words, at)
            if name is not None:
                found.append(Mention(name, words[at].start, words[at + length - 1].end))
            at += length
        return found

    def like(self, texts: Sequence[str], k: int) -> list[list[tuple[str, float]]]:
        """Return for each text the concepts with a name of similar letters, best first, and how similar, in [0, 1].

        The ``k`` names nearest by vectors (TF-IDF over 2- to 4-grams within words) are looked at. The likeness is the
        cosine similarity or, if that is more, the share of letters that stand in the same order (Ratcliff & Obershelp
        1988): a slip of the pen in a short name spoils most of its n-grams. Long names are compared by vectors alone.
        """
        count = len(self._concepts) + len(self._aliases)
        if not self._lettered / GROWN <= count <= self._lettered * GROWN:
            self._count_letters(count)
        names, grams, table = self._letters
        if not names:
            return [[] for _ in texts]
        found: list[list[tuple[str, float]]] = []
        matcher = SequenceMatcher(autojunk=False)
        step = max(1, CELLS // max(1, len(names)))
        for start in range(0, len(texts), step):
            likeness = (grams.transform(texts[start : start + step]) @ table).toarray()
            best = np.argpartition(-likeness, min(k, len(names)) - 1, axis=1)[:, :k]
            for text, row, places in zip(texts[start : start + step], likeness, best.tolist(), strict=True):
                spelled = folded(text)
                short = len(spelled) <= LONGEST_SPELLED
                matcher.set_seq2(spelled if short else "")
                scored: dict[str, float] = {}
                for place in places:
                    name = self.resolve(names[place])
                    if name is not None and row[place] > 0:
                        like = float(row[place])
                        if short and len(names[place]) <= LONGEST_SPELLED:
                            matcher.set_seq1(names[place])
                            like = max(like, matcher.ratio())
                        like = min(1.0, like)
                        scored[name] = max(like, scored.get(name, 0.0))
                found.append(sorted(scored.items(), key=lambda item: -item[1]))
        return found

    def _count_letters(self, count: int) -> None:
        names = [name for name in (*self._concepts, *self._aliases) if any(map(str.isalnum, name))]
        grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, dtype=np.float32)
        self._letters = (names, grams, grams.fit_transform(names).T.tocsr() if names else None)
        self._lettered = count

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
