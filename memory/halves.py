"""Rows by their numbers in half floats: in memory, or read from the file that they were saved in.

They lie in blocks of equal size, so growing copies nothing and a million rows never exist twice. The place of a removed
row is taken by the next one. Blocks of a saved file are mapped copy-on-write: what is not read costs no memory, and
what is written never reaches the file.
"""

from __future__ import annotations

from collections.abc import Iterator, KeysView, Sequence

import numpy as np
from numpy.typing import NDArray

from hunch.memory.encoder import FloatArray

BLOCK_ROWS = 65_536
"""Rows of a block; 48 MiB at a width of 384."""

HalfArray = NDArray[np.float16]


class HalfRows:
    """Rows of one width; ids are unique and the caller sees to it."""

    def __init__(self, dimension: int) -> None:
        """Start empty."""
        self.dimension = dimension
        self._blocks: list[HalfArray] = []
        self._places: dict[int, int] = {}
        self._free: list[int] = []

    @classmethod
    def of(cls, ids: NDArray[np.int64], table: HalfArray) -> HalfRows:
        """Return the rows of ``table``, which is used in place (and must be writable) but for its last block."""
        rows = cls(table.shape[1])
        rows._blocks = [table[start : start + BLOCK_ROWS] for start in range(0, len(table), BLOCK_ROWS)]
        if rows._blocks and len(rows._blocks[-1]) < BLOCK_ROWS:
            rest = rows._blocks.pop()
            rows._more()[: len(rest)] = rest
        rows._free = list(range(len(rows._blocks) * BLOCK_ROWS - 1, len(table) - 1, -1))
        rows._places = dict(zip(ids.tolist(), range(len(table)), strict=True))
        return rows

    @property
    def ids(self) -> KeysView[int]:
        """The ids that are there."""
        return self._places.keys()

    def add(self, ids: NDArray[np.int64], vectors: FloatArray) -> None:
        """Add rows under ids that are not there."""
        while len(self._free) < len(ids):
            first = len(self._blocks) * BLOCK_ROWS
            self._more()
            self._free[:0] = range(first + BLOCK_ROWS - 1, first - 1, -1)
        kept = len(self._free) - len(ids)
        places = np.array(self._free[kept:], np.int64)
        del self._free[kept:]
        for block, mine in self._by_block(places):
            block[places[mine] % BLOCK_ROWS] = vectors[mine]
        self._places.update(zip(ids.tolist(), places.tolist(), strict=True))

    def remove(self, ids: Sequence[int]) -> None:
        """Remove rows that are there."""
        self._free.extend(self._places.pop(number) for number in ids)

    def get(self, ids: NDArray[np.int64]) -> HalfArray:
        """Return a copy of the rows of ids that are there."""
        places = np.fromiter(map(self._places.__getitem__, ids.tolist()), np.int64, len(ids))
        rows = np.empty((len(ids), self.dimension), np.float16)
        for block, mine in self._by_block(places):
            rows[mine] = block[places[mine] % BLOCK_ROWS]
        return rows

    def _more(self) -> HalfArray:
        self._blocks.append(np.empty((BLOCK_ROWS, self.dimension), np.float16))  # pages cost memory once written
        return self._blocks[-1]

    def _by_block(self, places: NDArray[np.int64]) -> Iterator[tuple[HalfArray, NDArray[np.bool_]]]:
        of = places // BLOCK_ROWS
        for number in np.unique(of):
            yield self._blocks[number], of == number
