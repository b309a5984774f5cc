"""Circle and line construction: new orders in which edges fall into place (Nagarajan et al., ICML 2025, section 2.2).

An idea is a list of directed edges between named nodes, ``from to from to ...``, in any order, that closes to one
circle through all its nodes or, in the other task, makes one line. What is learned from such lists is not any circle
but the order in which edges resolve to one, so the canonical form of an idea names its nodes by their first
appearance: the same order over other nodes is the same idea, and an idea is memorised when its canonical form is that
of a known one. E edges have (E - 1)! such orders for a circle (E! lists of one circle, E rotations of it that are
alike) and E! for a line.

The paper's circle has 9 edges over an alphabet of 10 nodes (40,320 orders) and 10,000 known lists; the line of its
notebook 9 edges over 12 nodes (362,880 orders; the name of its data set says otherwise), as many known. Mini sizes
have 7 edges. The published code counts distinct lists as they are said, so that the same order over other nodes counts
again; the paper counts it once. Both are counted here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from hunch.agent.environments.siblings import expected_distinct
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Outcome, Spark, Status

_NODE = re.compile(r"v(0|[1-9][0-9]{0,8})")
"""Digits are bounded: what is said is untrusted, and of thousands of them ``int`` makes an error."""


class Constructions:
    """A world of circles or of lines: what is known of it, and the verdict on whatever is said.

    Args:
        closed: circles; lines otherwise.
        edges: of an idea.
        alphabet: number of nodes to choose from.
        seen: lists that are known, drawn evenly and independently, so that some orders come more than once.
        seed: of which are.
    """

    def __init__(
        self, *, closed: bool, edges: int = 9, alphabet: int | None = None, seen: int = 10_000, seed: int = 0
    ) -> None:
        self.closed, self.edges = closed, edges
        self.nodes = edges if closed else edges + 1
        """Of an idea."""
        self.alphabet = (10 if closed else 12) if alphabet is None else alphabet
        if edges < 2 or self.alphabet < self.nodes:
            raise InputError(
                f"{edges} edges over an alphabet of {self.alphabet} are asked for, but at least 2 edges and "
                f"{self.nodes} nodes are needed; change `edges` or `alphabet`."
            )
        rng = np.random.default_rng([seed, 21])
        self.known = [self.drawn(rng) for _ in range(seen)]
        """The lists that are seen, in random order."""
        self.known_forms = frozenset(map(self.canonical, self.known))
        """Their canonical forms."""

    @property
    def facts(self) -> list[str]:
        """What a generator learns from."""
        return self.known

    @property
    def forms(self) -> int:
        """How many canonical forms there are."""
        return math.factorial(self.edges - 1 if self.closed else self.edges)

    @property
    def ideas(self) -> int:
        """How many lists there are: each canonical form over every choice of nodes, in order."""
        return self.forms * math.perm(self.alphabet, self.nodes)

    def drawn(self, rng: np.random.Generator) -> str:
        """Return an idea, each as likely as any other."""
        way = rng.permutation(self.alphabet)[: self.nodes].tolist()
        ends = [*way[1:], way[0]] if self.closed else way[1:]
        pairs = list(zip(way, ends, strict=False))
        return " ".join(f"v{pairs[i][0]} v{pairs[i][1]}" for i in rng.permutation(self.edges))

    def canonical(self, text: str) -> str:
        """Return a list with its nodes named by their first appearance."""
        words = text.split()
        names = {word: f"v{number}" for number, word in enumerate(dict.fromkeys(words))}
        return " ".join(names[word] for word in words)

    def coherent(self, text: str) -> bool:
        """Return whether the edges that are listed make one circle, or one line, of the right length."""
        words = text.split()
        if len(words) != 2 * self.edges:
            return False
        named = [_NODE.fullmatch(word) for word in words]
        nodes = [int(match[1]) for match in named if match is not None and int(match[1]) < self.alphabet]
        if len(nodes) < len(words):
            return False
        follower = dict(zip(nodes[::2], nodes[1::2], strict=True))
        begins = set(follower) - set(follower.values())
        if len(follower) < self.edges or len(set(follower.values())) < self.edges or len(begins) != (not self.closed):
            return False
        at = begin = begins.pop() if begins else nodes[0]
        steps = 0
        while at in follower:  # ends: no node is entered twice, so that a walk can come back to its beginning alone
            at, steps = follower[at], steps + 1
            if at == begin:
                break
        return steps == self.edges and (at == begin) == self.closed

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Confirm what is coherent, known or not; refute the rest."""
        name = "circle" if self.closed else "line"
        right = Outcome(status=Status.CONFIRMED, score=1.0, evidence=f"{self.edges} edges of one {name}")
        wrong = Outcome(status=Status.REFUTED, evidence=f"not {self.edges} edges of one {name}")
        return [right if self.coherent(hypothesis.text) else wrong for hypothesis in hypotheses]

    def oracle_creativity(self, n: int = 1024, *, raw: bool = False) -> float:
        """Return the creativity that ``n`` even draws over all ideas are expected to have; exact.

        Args:
            n: draws.
            raw: count what is distinct as it is said, as the published code does, instead of by canonical form.
        """
        new = 1.0 - len(self.known_forms) / self.forms
        kinds = self.ideas if raw else self.forms
        return new * expected_distinct(kinds, n) / n
