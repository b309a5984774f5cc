"""Search over lineages: what to go on from, chosen like a move in AlphaZero; search and learning feed each other.

A node is a hypothesis that was kept; its children are hallucinated with it in the prompt. A round goes on from the
``n`` nodes with the highest

    Q(s) + c P(s) sqrt(1 + T) / (1 + N(s))                           (PUCT; Silver et al. 2017, eq. 2)

with ``N`` the visits to a node, ``T`` all visits, and ``P`` the prior: the rank of what the policy finds likely, as a
linear share (Yuksekgonul et al. 2026, TTT-Discover, who rank by reward). ``Q`` is the share of a node's children that
were worth something, as judged by grounding and environment: what was kept counts 1, what was confirmed but known a
little, all else 0; over ``MEMORY`` children or so. Of a node that was never asked it is what going on from any
hypothesis has been worth. It is not passed up the lineage: what grandchildren are worth says nothing about asking the
node itself again, and failures further down would talk the search out of beginning anew.

In one round a lineage is blocked once one of it was chosen: ancestors and descendants wait until all others had their
turn, so that the batch spreads; and what was chosen counts as visited. Duplicates are no nodes: a claim is one node
whichever parent said it first. Roots are questions to begin with, and block none of their lineage; one whose answer was
found may be closed for good.

Left out: rollouts of more than one step in a round (each round is one step of every chosen lineage), and a network
that guesses values (what is counted is what was verified).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hunch.memory.errors import InputError
from hunch.memory.records import Draw, Spark, Status

MEMORY = 200.0
"""Answers over which worth is averaged: it changes as a node is mined and as the generator learns."""
KNOWN = 0.1
"""What a confirmed answer is worth that was known or said before: it shows that the node is understood."""

Ask = Callable[[Draw, Spark], Spark]
"""Makes the question that goes on from an answer, given the one that it answered."""


@dataclass(eq=False)
class Node:
    """A question that can be asked, and what came of it."""

    spark: Spark
    parent: Node | None
    value: float
    """What its children were worth; before it was asked, a root's hope."""
    logprob: float = 0.0
    """Of the answer that it goes on from, under the policy; 0 for a root."""
    visits: int = 0
    closed: bool = False
    """Whether it is never asked again."""

    def lineage(self) -> list[Node]:
        """Return the node and its ancestors, nearest first."""
        found, node = [], self
        while node.parent is not None:
            found.append(node)
            node = node.parent
        return [*found, node]


class Search:
    """Chooses what to ask by PUCT over lineages; a sparker.

    Args:
        roots: the questions to begin with.
        ask: makes a question from an answer that was kept; None keeps to the roots.
        exploration: the constant ``c``.
        closes: whether a root is closed for good once an answer to it, or to one of its lineage, was confirmed: for
            questions that have one answer.
        hope: value of what was never asked, before anything tells otherwise.

    Raises:
        InputError: if there is no root.
    """

    def __init__(
        self,
        roots: Sequence[Spark],
        ask: Ask | None = None,
        *,
        exploration: float = 1.0,
        closes: bool = False,
        hope: float = 0.5,
    ) -> None:
        if not roots:
            raise InputError("there is no question to search from; give at least one root.")
        self._ask, self._c, self._closes = ask, exploration, closes
        self._onward, self._gone_on = hope, 0
        self.nodes = [Node(spark, None, hope) for spark in dict.fromkeys(roots)]
        """All that can be gone on from, roots first, then in the order in which they were found."""
        self._by_spark = {node.spark: node for node in self.nodes}
        self._by_parents = {node.spark.parents: node for node in self.nodes if node.spark.parents}
        self._several = len(self.nodes) > 1
        self._known: set[str] = set()

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return the ``n`` questions to ask next: the best, as if each had been asked when the next is chosen."""
        nodes = [node for node in self.nodes if not node.lineage()[-1].closed] or self.nodes
        visits = np.array([node.visits for node in nodes], dtype=float)
        value = np.array([self._value(node) for node in nodes])
        lineages = [frozenset(self._waiting_with(node)) for node in nodes]
        gain = self._c * self._prior(nodes) * np.sqrt(1.0 + visits.sum())
        tie = 1e-9 * rng.random(len(nodes))
        chosen: list[Spark] = []
        blocked: set[Node] = set()
        waiting = np.zeros(len(nodes), dtype=bool)
        for _ in range(n):
            if waiting.all():  # each lineage has had its turn
                blocked, waiting = set(), np.zeros(len(nodes), dtype=bool)
            best = int(np.argmax(np.where(waiting, -np.inf, value + gain / (1.0 + visits) + tie)))
            chosen.append(nodes[best].spark)
            visits[best] += 1.0
            if lineages[best]:
                blocked |= lineages[best]
                waiting = np.array([bool(blocked & lineage) for lineage in lineages])
        return chosen

    def _waiting_with(self, node: Node) -> list[Node]:
        """Return those of whom one is asked at a time: a lineage without its root; a root by itself, among several."""
        return node.lineage()[:-1] if node.parent else [node] * self._several

    @staticmethod
    def _prior(nodes: Sequence[Node]) -> NDArray[np.float64]:
        """Return each node's rank by how likely the policy finds it, as a share."""
        rank = np.empty(len(nodes))
        rank[np.argsort([node.logprob for node in nodes], kind="stable")] = np.arange(1, len(nodes) + 1)
        return np.asarray(rank / rank.sum())

    def visits(self, parents: Sequence[str]) -> int:
        """Return how many answers went on from these experiences: the policy that the search has found."""
        node = self._by_parents.get(tuple(parents))
        return 0 if node is None else node.visits

    def told(self, sparks: Sequence[Spark], draws: Sequence[Draw]) -> None:
        """Learn what became of the answers, and let what was kept be gone on from."""
        width = len(draws) // max(len(sparks), 1)
        for number, spark in enumerate(sparks):
            node, answers = self._by_spark[spark], draws[number * width : (number + 1) * width]
            self._credit(node, [self._worth(draw) for draw in answers])
            if self._closes and any(draw.status is Status.CONFIRMED for draw in answers):
                node.lineage()[-1].closed = True
            for draw in answers:
                if draw.kept and self._ask is not None and draw.key not in self._known:
                    self._grow(node, draw)

    def _worth(self, draw: Draw) -> float:
        if draw.kept:
            return 1.0
        return KNOWN if draw.status is Status.CONFIRMED else 0.0

    def _value(self, node: Node) -> float:
        return self._onward if node.parent and not node.visits else node.value

    def _credit(self, node: Node, worth: Sequence[float]) -> None:
        node.value = self._value(node)
        for value in worth:
            node.visits += 1
            node.value += (value - node.value) / min(node.visits + 1.0, MEMORY)
            if node.parent:
                self._gone_on += 1
                self._onward += (value - self._onward) / min(self._gone_on + 1.0, MEMORY)

    def _grow(self, node: Node, draw: Draw) -> None:
        assert self._ask is not None
        self._known.add(draw.key)
        spark = self._ask(draw, node.spark)
        if spark not in self._by_spark:
            child = Node(spark, node, self._onward, draw.model_logprob)
            self.nodes.append(child)
            self._by_spark[spark] = self._by_parents[spark.parents] = child
