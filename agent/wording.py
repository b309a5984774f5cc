"""How relations are said: a relation's name in other words, from either end.

A *saying* is a sentence with ``[X]`` for the subject and ``[Y]`` for the object. A relation's name is spelled out in
the ways English states it ("B is lowered by A", "the occupation of A is B"); sentences that a person gives and those of
the store are sayings as they stand. What a text says between and around two things is compared with them: TF-IDF of
stems, of pairs of neighbours (the two ends count as words, so that direction shows) and of character n-grams, where
words of one family (``FAMILIES``) count as one.

Left out: grammar. Negation is not seen: "A does not lower B" reads as "A lowers B".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from snowballstemmer import stemmer  # type: ignore[import-untyped]  # ships no types

from hunch.memory.encoder import Encoder
from hunch.memory.errors import InputError
from hunch.memory.records import Triple
from hunch.memory.values import folded

FIRST, SECOND = "xaxa", "xbxb"
"""What stands for the ends in the order in which a text names them."""

FAMILIES = """
birth born birthplace · death died die dead killed · burial buried grave tomb cemetery · marry marriage married spouse
husband wife · sibling brother sister · child son daughter offspring · parent father mother · citizen citizenship
national nationality · reside residence live lives home dwell inhabit · profession occupation job work works trade ·
employ employer employed · study studied educated education alumnus graduate graduated attended · found founded founder
established created · member belongs joined · part component includes contains · headquarters headquartered based ·
locate located lies situated location · speak speaks spoken language languages writes · religion religious faith
believes follows · ethnic ethnicity people · instrument plays · genre style · suffer suffers diagnosed condition disease
illness · cause causes caused due produce produces induce induces trigger triggers provoke · lower lowers reduce reduces
decrease decreases diminish diminishes · raise raises increase increases elevate elevates heighten · relieve relieves
ease eases alleviate alleviates soothe · treat treats cure cures heal heals remedy · prevent prevents protect protects
avert · inhibit inhibits block blocks suppress suppresses · activate activates stimulate stimulates · influence
influenced inspired inspiration · lead led leader head · own owns owned subsidiary · form formed formation · named name
names called · partner relationship · use uses used · act acted actor stars cast · notable known famous · field
specialises specialty discipline · made originates origin comes
"""
"""Words that say the same of two things, between "·"; in forms that the stemmer does not bring together."""

_WORD = re.compile(r"[^\W_]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_stem = stemmer("english").stemWord
_FAMILY = {_stem(word): family.split()[0] for family in FAMILIES.split("·") for word in family.split()}


def plain_name(relation: str) -> str:
    """Return a relation's name in words: ``is_raised_in`` and ``UsedFor`` are written apart."""
    return folded(_CAMEL.sub(" ", relation).replace("_", " "))


def spelled(relation: str) -> list[str]:
    """Return sayings of a relation made from its name."""
    name = plain_name(relation)
    sayings = [f"[X] {name} [Y]", f"[X] is {name} [Y]", f"the {name} of [X] is [Y]", f"[X]'s {name} is [Y]"]
    sayings += [f"[X] has the {name} [Y]", f"[Y] is the {name} of [X]", f"[Y] is {name} by [X]"]
    if name.endswith(" by"):
        sayings.append(f"[Y] {name.removesuffix(' by')} [X]")
    return sayings


def masked(text: str, triple: Triple) -> str | None:
    """Return a fact's sentence as a saying of its relation; None where it does not hold both ends as they are named."""
    low = text.casefold()
    subject, target = triple.subject.casefold(), triple.object.casefold()
    if len(low) != len(text) or low.count(subject) != 1 or low.count(target) != 1:
        return None
    ends = sorted([(low.find(subject), len(subject), "[X]"), (low.find(target), len(target), "[Y]")])
    (left, width, first), (right, depth, second) = ends
    if left + width > right:
        return None
    return f"{text[:left]}{first}{text[left + width : right]}{second}{text[right + depth :]}"


class Wording:
    """The sayings of relations, ready to be compared with."""

    def __init__(self, sayings: Mapping[str, Iterable[str]], encoder: Encoder | None = None) -> None:
        """Take the sayings of each relation; with an encoder, its likeness counts as much as that of words.

        Raises:
            InputError: if a saying lacks an end.
        """
        self.relations = tuple(sayings)
        whose, texts = [], []
        for number, several in enumerate(sayings.values()):
            for saying in several:
                x, y = saying.find("[X]"), saying.find("[Y]")
                if min(x, y) < 0:
                    raise InputError(f"{saying!r} lacks [X] or [Y], but a saying holds both ends; write them in.")
                first, second = ("[X]", "[Y]") if x < y else ("[Y]", "[X]")
                texts.append(saying.replace(first, f" {FIRST} ").replace(second, f" {SECOND} "))
                whose.append(2 * number + (x > y))
        order = np.argsort(whose, kind="stable")
        texts = [texts[place] for place in order]
        # 2 * relation + whether the object comes first; the sayings of each stand together from its start on
        self._whose, self._starts = np.unique(np.array(whose, np.int64)[order], return_index=True)
        self._words = TfidfVectorizer(analyzer=_grams, sublinear_tf=True)
        self._letters = TfidfVectorizer(
            preprocessor=_without_ends, analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True
        )
        self._table: csr_matrix | None = None
        if texts:
            parts = [self._words.fit_transform(texts), self._letters.fit_transform(texts)]
            self._table = hstack(parts, format="csr").T.tocsr()
        self._encoder = encoder
        self._rows = encoder.encode(_lettered(texts)) if encoder else None
        self._said = {_stem(word) for text in texts for word in _WORD.findall(text.casefold())} | set(_FAMILY)

    def says(self, word: str) -> bool:
        """Say whether a word, case folded, belongs to a saying or to a family."""
        return _stem(word) in self._said

    def compare(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Return how like the sayings of each relation each text is, shape (len(texts), relations, 2), in [0, 1].

        The texts hold ``FIRST`` and ``SECOND``. The last axis tells the subject coming first from the object coming
        first.
        """
        best = np.zeros((len(texts), 2 * len(self.relations)))
        if not texts or self._table is None:
            return best.reshape(len(texts), len(self.relations), 2)
        table = hstack([self._words.transform(texts), self._letters.transform(texts)], format="csr")
        likeness = (table @ self._table).toarray() / 2
        if self._encoder is not None and self._rows is not None:
            likeness = (likeness + self._encoder.encode(_lettered(texts)) @ self._rows.T) / 2
        best[:, self._whose] = np.maximum.reduceat(likeness, self._starts, axis=1)
        return best.reshape(len(texts), len(self.relations), 2)


def _stems(text: str) -> list[str]:
    found = []
    for word in _WORD.findall(text.casefold()):
        stem = _stem(word)
        found.append(_FAMILY.get(stem, stem))
    return found


def _lettered(texts: Sequence[str]) -> list[str]:
    """Return texts with A and B for the ends, as an encoder reads them."""
    return [" ".join(text.replace(FIRST, "A").replace(SECOND, "B").split()) for text in texts]


def _grams(text: str) -> list[str]:
    stems = _stems(text)
    return [*(stem for stem in stems if stem not in (FIRST, SECOND)), *map(" ".join, pairwise(stems))]


def _without_ends(text: str) -> str:
    return " ".join(stem for stem in _stems(text) if stem not in (FIRST, SECOND))
