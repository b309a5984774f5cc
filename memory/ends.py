"""What stands at the ends of relations, and how a claim stands out among its rivals there."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import logsumexp

from hunch.memory.likeness import Rows
from hunch.memory.links import Floats, Ints

RIVALS = 64
"""Other subjects, and other objects, of a relation that a claim's ends are compared with."""


def standing_out(own: Floats, others: Rows, known: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Return how ``own``, (N,), stands out among ``others``, (N, rivals), ``known`` ones left out.

    By how many of their spreads it exceeds their mean; and the logarithm of its share of a softmax over all.
    """
    left = np.maximum((~known).sum(axis=1), 1)
    mean = np.where(known, 0.0, others).sum(axis=1) / left
    spread = np.sqrt(np.where(known, 0.0, (others - mean[:, None]) ** 2).sum(axis=1) / left)
    heat = 10.0 * np.column_stack([own, np.where(known, -np.inf, others)])
    return (own - mean) / (spread + 0.02), heat[:, 0] - logsumexp(heat, axis=1)  # no spread tells nothing


class End:
    """What stands at one end of each relation.

    Args:
        stands: per relation its facts, rows the concepts of this end.
        rows: likeness of the concepts.
        named: words of their names.
    """

    def __init__(self, stands: list[sp.csr_matrix], rows: Rows, named: sp.csr_matrix) -> None:
        rng = np.random.default_rng(0)
        self.things = [np.flatnonzero(np.diff(table.indptr)) for table in stands]
        """Per relation the concepts that stand at this end of it."""
        self._rivals = [
            some if len(some) <= RIVALS else np.sort(rng.choice(some, RIVALS, replace=False)) for some in self.things
        ]
        self._stands, self._rows = stands, rows
        self._sums: dict[int, Rows] = {}
        self._told: dict[int, Rows] = {}
        self._word_sums = (
            sp.csr_matrix(
                (
                    np.ones(sum(map(len, self.things))),
                    (np.repeat(np.arange(len(stands)), list(map(len, self.things))), np.concatenate(self.things)),
                ),
                shape=(len(stands), rows.shape[0]),
            )
            @ named
        )
        self._word_total = np.asarray(self._word_sums.sum(axis=0)).ravel() + 1.0

    def rivals(self, r: int) -> tuple[Ints, Rows]:
        """Return a fixed sample of the things at this end, and what is told of what stands at the other end of each."""
        if r not in self._told:
            self._told[r] = np.asarray(self._stands[r][self._rivals[r]] @ self._rows)
        return self._rivals[r], self._told[r]

    def sum(self, r: int) -> Rows:
        """Return the sum of the rows of likeness of the things at this end, (rank,)."""
        if r not in self._sums:
            self._sums[r] = self._rows[self.things[r]].sum(axis=0)
        return self._sums[r]

    def word_share(self, r: int) -> Floats:
        """Return of each word of names its share of uses at this end of relation r, in uses at this end of any."""
        share: Floats = self._word_sums[r].toarray().ravel() / self._word_total
        return share
