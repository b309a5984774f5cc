"""Typed paths between the ends of claims, and how reliably each type of path implies a relation.

A path's type is the sequence of relations along it, each with the direction it is walked: "lowers b, and b is raised in
o" is another type than "raises b, and b is raised in o", and implies something else. How much is counted in the store
itself (``Rules``). Two-step paths are *bridges* (Swanson's A-B-C), three-step paths *chains*. Chains do not pass hubs:
a thing with very many links joins everything to everything, and would be damped to nothing anyway.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hunch.memory.links import Floats, Ints, Links, counted

HUB = 60
"""Chains do not pass concepts with more neighbours than this, weighted by reliability."""


@dataclass(frozen=True)
class Paths:
    """Paths of a batch of claims, P in all, each with ``k`` concepts between its ends."""

    claim: Ints
    """(P,) row of the claim in the batch."""
    type: Ints
    """(P,) code of the path's type."""
    between: Ints
    """(P, k) concepts passed, from the subject's side."""
    links: Ints
    """(P, k + 1) rows of the links walked, from the subject's side."""
    weight: Floats
    """(P,) the product of the links' reliabilities."""
    carried: Floats
    """(P,) activation that arrives: the weight over the square roots of the degrees passed."""


class Walks:
    """Walks along typed links.

    Args:
        links: the store's facts as numbers.
        degree: how many links each concept has, at least 1.
    """

    def __init__(self, links: Links, degree: Floats) -> None:
        ends = np.concatenate([links.subject, links.object])
        order = np.argsort(ends, kind="stable")
        self.types = 2 * links.relations
        self._degree = degree
        self._weight = links.weight
        self._concepts = links.concepts
        self._other = np.concatenate([links.object, links.subject])[order]
        self._type = np.concatenate([links.relation, links.relation + links.relations])[order]
        self._link = np.tile(np.arange(len(links)), 2)[order]
        self._start = np.searchsorted(ends[order], np.arange(links.concepts + 1))

    def direct(self, claims: Ints) -> Paths:
        """Return the links between the ends of each claim, the one that it states itself left out."""
        count = self._start[claims[:, 0] + 1] - self._start[claims[:, 0]]
        at = np.repeat(self._start[claims[:, 0]], count) + counted(count)
        row = np.repeat(np.arange(len(claims)), count)
        other = (self._other[at] == claims[row, 2]) & (self._type[at] != claims[row, 1])
        row, at = row[other], at[other]
        return self._paths(row, self._type[at], np.zeros((len(row), 0), np.int64), self._link[at][:, None])

    def bridges(self, claims: Ints) -> Paths:
        """Return every two-step path between the ends of each claim, the direct link left out."""
        row, middle, step, link = self._from(claims[:, 0], claims)
        last_row, last_middle, last_step, last_link = self._from(claims[:, 2], claims)
        a, b = _meet(row * self._concepts + middle, last_row * self._concepts + last_middle)
        links = np.column_stack([link[a], last_link[b]])
        return self._paths(row[a], step[a] * self.types + last_step[b], middle[a][:, None], links)

    def chains(self, claims: Ints) -> Paths:
        """Return the three-step paths between the ends of each claim that pass no hub."""
        row, first, step, link = self._from(claims[:, 0], claims)
        low = self._degree[first] <= HUB
        row, first, step, link = row[low], first[low], step[low], link[low]
        onward, second, next_step, next_link = self._from(first, claims[row])
        low = self._degree[second] <= HUB
        onward, second, next_step, next_link = onward[low], second[low], next_step[low], next_link[low]
        last_row, last, last_step, last_link = self._from(claims[:, 2], claims)
        a, b = _meet(row[onward] * self._concepts + second, last_row * self._concepts + last)
        began = onward[a]
        return self._paths(
            row[began],
            (step[began] * self.types + next_step[a]) * self.types + last_step[b],
            np.column_stack([first[began], second[a]]),
            np.column_stack([link[began], next_link[a], last_link[b]]),
        )

    def _from(self, concepts: Ints, claims: Ints) -> tuple[Ints, Ints, Ints, Ints]:
        """Return (row, neighbour, step type, link) for each link at each concept; a claim's own ends are left out."""
        count = self._start[concepts + 1] - self._start[concepts]
        at = np.repeat(self._start[concepts], count) + counted(count)
        row = np.repeat(np.arange(len(concepts)), count)
        other = self._other[at]
        inside = (other != claims[row, 0]) & (other != claims[row, 2])
        return row[inside], other[inside], self._type[at[inside]], self._link[at[inside]]

    def _paths(self, claim: Ints, type: Ints, between: Ints, links: Ints) -> Paths:
        weight = self._weight[links].prod(axis=1)
        return Paths(claim, type, between, links, weight, weight / np.sqrt(self._degree[between].prod(axis=1)))


def _meet(left: Ints, right: Ints) -> tuple[Ints, Ints]:
    """Return the indices of all pairs of equal entries."""
    order = np.argsort(right, kind="stable")
    low = np.searchsorted(right[order], left, "left")
    count = np.searchsorted(right[order], left, "right") - low
    return np.repeat(np.arange(len(left)), count), order[np.repeat(low, count) + counted(count)]


@dataclass(frozen=True)
class Rules:
    """How reliably the relations along a path imply a relation: smoothed log-likelihood ratios.

    ``llr(r | type) = log((known + kappa) / (swapped + kappa))``: in how many known facts of relation r a path of the
    type joins the ends, over in how many swaps of their parts (scaled to the relation's number of facts). Zero where a
    type was never seen.
    """

    codes: Ints
    """Sorted codes of (relation, path type)."""
    llr: Floats
    """The ratio of each code, in nats."""
    size: int
    """Number of path types."""

    def of(self, relation: Ints, paths: Paths) -> Floats:
        """Return each path's ratio for the relation that its claim states; ``relation`` has one entry per claim."""
        codes = relation[paths.claim] * self.size + paths.type
        if not len(self.codes):
            return np.zeros(len(codes))
        at = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        return np.where(self.codes[at] == codes, self.llr[at], 0.0)

    @classmethod
    def counted(cls, walks: Walks, steps: int, known: Ints, swapped: Ints, *, kappa: float = 5.0) -> Rules:
        """Count how often paths of each type join the ends of known facts, and of swaps.

        Args:
            walks: where paths are looked for.
            steps: 1 for direct links, 2 for bridges, 3 for chains.
            known: claims of known facts, (N, 3). Their own links are not walked.
            swapped: meaningless claims with the same marginals, (M, 3).
            kappa: pseudo-count; larger trusts rare path types less.
        """
        size = int(walks.types**steps)
        codes, counts = zip(*(_types_seen(walks, steps, claims, size) for claims in (known, swapped)), strict=True)
        every = np.union1d(*codes)
        table = np.zeros((2, len(every)))
        for row in (0, 1):
            table[row, np.searchsorted(every, codes[row])] = counts[row]
        facts, meaningless = (
            np.bincount(claims[:, 1], minlength=1 + int(every.max(initial=0)) // size) for claims in (known, swapped)
        )
        relation = every // size
        table[1] *= facts[relation] / np.maximum(meaningless[relation], 1)
        return cls(every, np.log((table[0] + kappa) / (table[1] + kappa)), size)


def _types_seen(walks: Walks, steps: int, claims: Ints, size: int, chunk: int = 2048) -> tuple[Ints, Ints]:
    """Return the (relation, path type) codes seen and in how many claims each was."""
    seen = [np.zeros(0, np.int64)]
    for at in range(0, len(claims), chunk):
        part = claims[at : at + chunk]
        paths = (walks.direct, walks.bridges, walks.chains)[steps - 1](part)
        codes = part[paths.claim, 1] * size + paths.type
        seen.append(np.unique(np.column_stack([paths.claim, codes]), axis=0)[:, 1])
    return np.unique(np.concatenate(seen), return_counts=True)
