"""A store of numbers in which similar things do similar things."""

from __future__ import annotations

import numpy as np

from hunch.memory.links import Ints, Links

GROUPS, EACH = 4, 10


def planted(seed: int = 0) -> tuple[Links, Ints]:
    """Return a world whose groups hold together, with some noise, and what is hidden of its last relation.

    Things of kinds a, b and c; a -0-> b, b -1-> c and a -2-> c within groups.
    """
    rng = np.random.default_rng(seed)
    kind = GROUPS * EACH
    known: list[tuple[int, int, int]] = []
    hidden: list[tuple[int, int, int]] = []
    for relation, (left, right) in enumerate([(0, kind), (kind, 2 * kind), (0, 2 * kind)]):
        noise = rng.integers(0, kind, (40, 2)).tolist()
        within = [(s, o) for s, o in np.ndindex(kind, kind) if s // EACH == o // EACH and rng.random() < 0.5]
        known += [(left + s, relation, right + o) for s, o in noise]
        for s, o in within:
            (hidden if relation == 2 and rng.random() < 0.3 else known).append((left + s, relation, right + o))
    table = np.unique(np.array(known, np.int64), axis=0)
    table = table[~(table[:, None] == np.array(hidden)).all(axis=2).any(axis=1)]  # noise may state what is hidden
    links = Links(table[:, 0], table[:, 1], table[:, 2], np.ones(len(table)), 3 * kind, 3)
    return links, np.array(hidden, np.int64)
