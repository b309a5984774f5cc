"""The terms that sentences share, for facts that come without a triple.

Candidates are runs of words between stop words and punctuation (RAKE, Rose et al. 2010), up to four words. A
candidate is a term when at least two sentences of the store hold it; of overlapping ones the longest counts. So what
a sentence is about depends on its company: after each change ``found`` tells which sentences are to be read again.

Left out: RAKE's word scores. Whether two sentences meet is what matters here, not how well a phrase sums one up.
"""

from __future__ import annotations

from hunch.memory.names import STOP_WORDS, Names, Word, singular, words_of
from hunch.memory.values import folded

LONGEST_TERM = 4
"""Words of the longest term."""
SHARED_BY = 2
"""Sentences that must hold a run of words before it is a term."""

_VERBS = """
accelerate activate affect alter associate block bind bring cause change contain contribute control
decrease depend diminish enhance enter exist exert facilitate follow found improve include increase
induce influence inhibit interact involve lead lower make mediate modify moderate occur play prevent
produce promote protect provoke raise reduce regulate relate release relieve report require result
reveal show stimulate suggest support suppress treat trigger use worsen
"""
_JOINING = frozenset(
    form
    for verb in _VERBS.split()
    for form in (verb, verb + "s", verb.removesuffix("e") + "ed", verb.removesuffix("e") + "ing")
)
"""Verbs that join terms without being one; as terms they would tie everything to everything."""


class Terms:
    """Sentences and the runs of words that they share."""

    def __init__(self) -> None:
        """Start empty."""
        self._texts: dict[str, str] = {}
        self._holders: dict[str, dict[str, str]] = {}  # run's key -> sentence -> its spelling there
        self._stale: dict[str, None] = {}

    def add(self, sentence: str, text: str) -> None:
        """Add a sentence under its id."""
        self._texts[sentence] = text
        self._stale[sentence] = None
        for key, spelling in _candidates(text).items():
            holders = self._holders.setdefault(key, {})
            holders[sentence] = spelling
            if len(holders) == SHARED_BY:  # it has just become a term for the earlier holders, too
                self._stale |= dict.fromkeys(holders)

    def remove(self, sentence: str) -> None:
        """Forget a sentence; an unknown one is passed over."""
        text = self._texts.pop(sentence, None)
        self._stale.pop(sentence, None)
        for key in _candidates(text or ""):
            holders = self._holders[key]
            first = next(iter(holders)) == sentence  # its spelling named the term
            del holders[sentence]
            if first or len(holders) < SHARED_BY:
                self._stale |= dict.fromkeys(holders)

    def named(self, name: str) -> None:
        """Mark the sentences that may name a concept which has become known."""
        keys = [singular(word.key) for word in words_of(name) if _content(word.key)]
        rarest = min([self._holders.get(key, {}) for key in keys] or [self._texts], key=len)
        self._stale |= dict.fromkeys(rarest)

    def found(self, names: Names) -> dict[str, tuple[str, ...]]:
        """Return the concepts of each sentence that is to be read again, and regard them as read.

        Of ``names``, those of concepts are looked for, not the terms that sentences happened to share before.
        A term that is known under a name or alias is given by that concept's name, another by its first spelling.
        """
        stale, self._stale = self._stale, {}
        return {sentence: self._read(self._texts[sentence], names) for sentence in stale}

    def _read(self, text: str, names: Names) -> tuple[str, ...]:
        words, found, at = words_of(text), dict[str, None](), 0
        ends = _run_ends(text, words)
        while at < len(words):
            name, length = names.match(words, at, shared=False)
            for longer in range(min(LONGEST_TERM, ends[at] - at), length if name else 0, -1):
                holders = self._holders.get(_key(words[at : at + longer]), {})
                if len(holders) >= SHARED_BY:
                    spelling = next(iter(holders.values()))
                    name, length = names.resolve(spelling, shared=False) or spelling, longer
                    break
            if name is not None:
                found[name] = None
            at += length
        return tuple(found)


def _key(words: list[Word]) -> str:
    return " ".join([*(word.key for word in words[:-1]), *(singular(word.key) for word in words[-1:])])


def _content(word: str) -> bool:
    """Say whether a word can be a term by itself."""
    return len(word) > 1 and not word.isdigit() and word not in STOP_WORDS and word not in _JOINING


def _candidates(text: str) -> dict[str, str]:
    """Return the spelling of every run of up to ``LONGEST_TERM`` content words, by its key."""
    words = words_of(text)
    runs: dict[str, str] = {}
    for at, end in enumerate(_run_ends(text, words)):
        for length in range(1, min(LONGEST_TERM, end - at) + 1):
            run = words[at : at + length]
            if length > 1 or _content(run[0].key):
                runs.setdefault(_key(run), folded(text[run[0].start : run[-1].end]))
    return runs


def _run_ends(text: str, words: list[Word]) -> list[int]:
    """Return for each word the index after the last word of its run; its own index for a stop word."""
    ends, end = [0] * len(words), len(words)
    for at in reversed(range(len(words))):
        if at + 1 < len(words) and text[words[at].end : words[at + 1].start].strip() not in ("", "-", "’s", "'s"):
            end = at + 1
        if words[at].key in STOP_WORDS or words[at].key in _JOINING:
            end = at
        ends[at] = end
    return ends
