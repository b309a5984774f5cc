"""Sibling discovery: a small world whose every idea can be counted (Nagarajan et al., ICML 2025, section 2).

Each of P parents has two disjoint pools of children. An idea is two children, one of each pool, and the parent that
they share: ``child, child, parent``, the parent said last, so that it must be thought of first. Some ideas are seen in
training; creativity is what share of n samples is coherent, not seen and not said before (eq. 1).

The paper's size is 5 parents, 500 and 500 children, 50,000 seen of 1,250,000; the mini size 5, 50 and 50, 2,500 seen of
12,500. Canonical form: the string itself, as each idea has one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from hunch.memory.records import Hypothesis, Outcome, Spark, Status, Triple

_IDEA = re.compile(r"b(0|[1-9][0-9]{0,8}) c(0|[1-9][0-9]{0,8}) a(0|[1-9][0-9]{0,8})")
"""Digits are bounded: what is said is untrusted, and of thousands of them ``int`` makes an error."""


def expected_distinct(kinds: int, draws: int) -> float:
    """Return how many of ``kinds`` things are expected to be met in ``draws`` even draws: K (1 - (1 - 1/K)^n)."""
    return -kinds * math.expm1(draws * math.log1p(-1.0 / kinds))


class Siblings:
    """A world of siblings: what is known of it, and the verdict on whatever is said.

    Args:
        parents: number of parents.
        children: in each of a parent's two pools.
        seen: ideas that are known.
        seed: of which are.
    """

    def __init__(self, *, parents: int = 5, children: int = 50, seen: int = 2_500, seed: int = 0) -> None:
        self.parents, self.children = parents, children
        self.ideas = parents * children**2
        """How many there are."""
        chosen = np.random.default_rng([seed, 11]).choice(self.ideas, size=seen, replace=False)
        self.known = [self.idea(int(number)) for number in chosen]
        """The ideas that are seen, in random order."""
        self.known_forms = frozenset(self.known)
        """Their canonical forms: themselves."""

    @property
    def facts(self) -> list[str]:
        """What a generator learns from."""
        return self.known

    @property
    def forms(self) -> int:
        """How many canonical forms there are."""
        return self.ideas

    def idea(self, number: int) -> str:
        """Return one of the ``ideas`` by its number."""
        parent, rest = divmod(number, self.children**2)
        first, second = divmod(rest, self.children)
        return f"b{parent * self.children + first} c{parent * self.children + second} a{parent}"

    def coherent(self, text: str) -> bool:
        """Return whether two children and their parent are named, each in its place."""
        named = _IDEA.fullmatch(" ".join(text.split()))
        if named is None:
            return False
        first, second, parent = map(int, named.groups())
        return parent < self.parents and first // self.children == second // self.children == parent

    def canonical(self, text: str) -> str:
        """Return what is said with single spaces; nothing else may differ between two ways to say an idea."""
        return " ".join(text.split())

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Confirm what is coherent, known or not; refute the rest."""
        right = Outcome(status=Status.CONFIRMED, score=1.0, evidence="two children and their parent")
        wrong = Outcome(status=Status.REFUTED, evidence="not two children and their parent")
        return [right if self.coherent(hypothesis.text) else wrong for hypothesis in hypotheses]

    def oracle(self, samples: int) -> float:
        """Return how many distinct new ideas ``samples`` even draws over all ideas are expected to find."""
        return (1 - len(self.known) / self.ideas) * expected_distinct(self.ideas, samples)

    def oracle_creativity(self, n: int = 1024, *, raw: bool = False) -> float:
        """Return the creativity that ``n`` even draws over all ideas are expected to have; exact.

        Args:
            n: draws.
            raw: count what is distinct as it is said: here the same, as each idea is said in one way.
        """
        return self.oracle(n) / n


class IdeaForm:
    """Ideas as ``>|b17|c203|a3``: every word is a token of the embedded generator."""

    atoms = True

    def lines(self, text: str, triple: Triple | None) -> list[str]:
        """Return the one line of an idea."""
        return ["|".join([">", *text.split()])]

    def prompt(self, spark: Spark) -> str:
        """Return where an idea begins."""
        return ">"

    def read(self, spark: Spark, completion: str) -> tuple[str, Triple | None]:
        """Return the words between the bars."""
        return " ".join(completion.replace("|", " ").split()) or "(nothing)", None
