"""Facts as numbers: what the store's network is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Links:
    """Facts as numbers: ``subject[i] -relation[i]-> object[i]`` with reliability ``weight[i]``."""

    subject: Ints
    relation: Ints
    object: Ints
    weight: Floats
    concepts: int
    """How many concepts there are; subjects and objects are below it."""
    relations: int
    """How many relations there are."""

    def __len__(self) -> int:
        return len(self.subject)

    @property
    def claims(self) -> Ints:
        """The links as claims, shape (F, 3): subject, relation, object."""
        return np.column_stack([self.subject, self.relation, self.object]).astype(np.int64)

    def take(self, rows: NDArray[np.bool_] | Ints) -> Links:
        """Return the links of ``rows`` only, over the same concepts and relations."""
        return Links(
            self.subject[rows], self.relation[rows], self.object[rows], self.weight[rows], self.concepts, self.relations
        )

    def codes(self, claims: Ints) -> Ints:
        """Return one integer per claim, equal for equal claims."""
        codes: Ints = (claims[:, 0] * self.relations + claims[:, 1]) * self.concepts + claims[:, 2]
        return codes


def counted(count: Ints) -> Ints:
    """Return 0..c-1 for each c of ``count``, end to end."""
    numbers: Ints = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return numbers
