"""Which facts say something similar: their texts encoded, and the index over them.

Built when first asked for, then kept up to date. Without a given encoder the embedded one is fitted on observed facts
only, so that how texts compare does not drift with what the agent concluded; when observed facts come or go, it is
fitted again. A big index is saved as a snapshot, which is used only for the same encoder and the same facts.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hunch.memory.encoder import Encoder, FloatArray, LexicalEncoder
from hunch.memory.records import Fact
from hunch.memory.vectors import VectorIndex

SNAPSHOT_FACTS = 1_000
"""Facts from which on the index is saved; fewer are encoded faster than read."""
PIECE = 32_768
"""Facts encoded at once: their vectors stand in memory twice for a moment."""

log = logging.getLogger(__name__)


class Nearness:
    """The facts of a store by similarity, under their numbers."""

    def __init__(self, encoder: Encoder | None, snapshot: Path | None) -> None:
        """Start empty; ``snapshot`` is where the index may be saved, None for nowhere."""
        self._given, self._snapshot = encoder, snapshot
        self._facts: dict[int, Fact] = {}
        self._fitted: LexicalEncoder | None = None
        self._index: VectorIndex | None = None
        self._waiting: dict[int, None] = {}  # facts that are not in the index yet

    def add(self, number: int, fact: Fact) -> None:
        """Add a fact under a new number."""
        self._facts[number] = fact
        self._waiting[number] = None
        self._fitted = None

    def remove(self, number: int) -> None:
        """Remove a fact that is there."""
        del self._facts[number]
        self._fitted = None
        self._waiting.pop(number, None)
        if self._index is not None:
            self._index.remove([number])

    @property
    def encoder(self) -> Encoder:
        """The given encoder, or the embedded one as fitted on the facts observed so far."""
        if self._given is not None:
            return self._given
        if self._fitted is None:
            self._fitted = LexicalEncoder.fitted([fact.text for fact in self._facts.values()])
            self._index = None  # its vectors are of another encoder
        return self._fitted

    def near(self, texts: Sequence[str], k: int) -> tuple[NDArray[np.int64], FloatArray]:
        """Return the numbers (n, k) of the facts most similar to each text, -1 where none, and their similarities."""
        encoder = self.encoder
        if self._index is None:
            loaded = self._loaded(encoder)
            self._index = self._built(encoder) if loaded is None else loaded
        elif self._waiting:
            self._encode(self._waiting, encoder, self._index)
        self._waiting = {}
        return self._index.near(encoder.encode(texts), k)

    def _built(self, encoder: Encoder) -> VectorIndex:
        index = VectorIndex(encoder.dimension)
        self._encode(self._facts, encoder, index)
        if self._snapshot and len(self._facts) >= SNAPSHOT_FACTS:
            try:
                index.save(self._snapshot, self._origin(encoder))
            except OSError as error:
                log.warning("%s cannot be written (%s); the index will be built again next time", self._snapshot, error)
        return index

    def _loaded(self, encoder: Encoder) -> VectorIndex | None:
        if self._snapshot is None or len(self._facts) < SNAPSHOT_FACTS:
            return None
        index = VectorIndex.load(self._snapshot, self._origin(encoder))
        return index if index is not None and len(index) == len(self._facts) else None

    def _origin(self, encoder: Encoder) -> dict[str, Any]:
        """Return what an index of these facts is made from; another store's facts may have the same numbers."""
        texts = hashlib.blake2b(digest_size=16)
        for number, fact in self._facts.items():
            texts.update(f"{number} {fact.text}\n".encode("utf-8", "surrogatepass"))
        return {"encoder": encoder.name, "position": max(self._facts), "facts": texts.hexdigest()}

    def _encode(self, numbers: Iterable[int], encoder: Encoder, index: VectorIndex) -> None:
        chosen = list(numbers)
        pieces = -(-len(chosen) // PIECE)
        for first in range(pieces):
            piece = chosen[first::pieces]  # facts often come by topic; a big index places its lists by those it has
            index.add(np.array(piece, np.int64), encoder.encode([self._facts[number].text for number in piece]))
