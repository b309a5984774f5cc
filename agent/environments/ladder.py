"""Fields and levels: is having ideas one capability or a ladder? A world in which that can be measured.

After the tasks of Nagarajan et al. (ICML 2025), here in several fields and on several levels. Each field has F
families: a parent ``a`` with two disjoint pools of K children, ``b`` and ``c``. Three families are mates of one
another. A cell is a field and a level, and has one prompt, its name (``A1``, ``D3``). What counts as an idea:

1. sibling (combinational): two children, one of each pool, and the parent that they share, said last: ``b c a``;
   F K^2 ideas; canonical form: itself.
2. composition of two siblings whose parents are mates: ``b c a b c a``; 2 F K^4 ideas; canonical form: the two siblings
   sorted, as either may be said first.
3. construction (exploratory): a circle of six children, in which siblings and children of mates take turns, so that it
   closes after the three families of mates: ``b c b c b c``. No parent is named, so that all must be thought of;
   2 F K^6 ideas; canonical form: the circle begun at its least word, as it may begin at any of its three.
4. changed rule (transformational): the relation of level 1 inverted: two children that share no parent, then the
   parents of both: ``b c a a``; F (F - 1) K^2 ideas; canonical form: itself.

All levels of a field are made of the same atoms (which child has which parent; on levels 2 and 3 also which parents are
mates). Fields have their own vocabulary, but for a share of the families, which all fields have: the dial ``shared``.
What is known of a cell is drawn evenly; creativity counts what is coherent, not known and not said before (eq. 1).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from hunch.agent.environments.siblings import expected_distinct
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Outcome, Spark, Status, Triple

LEVELS = ("sibling", "composition", "construction", "changed rule")
"""What an idea is on each level, from the lowest."""
PATTERNS = ("bca", "bcabca", "bcbcbc", "bcaa")
"""The kind of each word."""
_CELL = re.compile(r"([A-Z])([1-4])")


def cells(fields: int, levels: int) -> tuple[str, ...]:
    """Return the names of cells, field by field."""
    return tuple(f"{chr(65 + f)}{level}" for f in range(fields) for level in range(1, levels + 1))


class Ladder:
    """Fields and levels: what is known of each, and the verdict on whatever is said.

    Args:
        fields: number of fields, named A, B, C...
        levels: number of levels, from the lowest.
        shared: share of the groups of mates that all fields have in common, 0 to 1, rounded to whole groups.
        size: families of a field; a multiple of three.
        children: in each of a family's two pools.
        seen: ideas known of each cell.
        seed: of which are, and of who are mates.
    """

    def __init__(
        self,
        *,
        fields: int = 4,
        levels: int = 4,
        shared: float = 0.0,
        size: int = 6,
        children: int = 16,
        seen: int = 80,
        seed: int = 0,
    ) -> None:
        if not 1 <= fields <= 26 or not 1 <= levels <= len(LEVELS):
            raise InputError(
                f"{fields} fields of {levels} levels are asked for, but 1 to 26 and 1 to {len(LEVELS)} can be had; "
                "change `fields` or `levels`."
            )
        if not 0 <= shared <= 1:
            raise InputError(f"shared is {shared}, but it is a share between 0 and 1; change `shared`.")
        if size < 3 or size % 3 or children < 1:
            raise InputError(
                f"{size} families of {children} children are asked for, but mates come in threes and have children; "
                "change `size` to a multiple of 3, or `children`."
            )
        self.children, self.levels = children, levels
        common = 3 * round(shared * size / 3)
        own = size - common
        rng = np.random.default_rng([seed, 41])
        order = rng.permutation(common + fields * own).tolist()  # families are numbered in no telling order
        self._families = [[*order[:common], *order[common + f * own : common + (f + 1) * own]] for f in range(fields)]
        self._mates = [
            {a: tuple(three) for at in range(0, size, 3) for three in [some[at : at + 3]] for a in three}
            for some in self._families
        ]
        self._named = {word: (word[0], int(word[1:]) // (1 if word[0] == "a" else children)) for word in self._words()}
        self.cells = cells(fields, levels)
        """Their names, field by field."""
        self.known = {cell: self._drawn(cell, seen, rng) for cell in self.cells}
        """The ideas that are seen of each cell, in random order."""
        self.known_forms = {
            cell: frozenset(self.canonical(text, cell) for text in known) for cell, known in self.known.items()
        }
        """Their canonical forms."""

    def spark(self, cell: str) -> Spark:
        """Return the question that asks for an idea of a cell."""
        return Spark(prompt=cell, field=cell[:1])

    def ideas(self, cell: str) -> int:
        """Return how many strings are ideas of a cell."""
        F, K = len(self._families[0]), self.children
        return (F * K**2, 2 * F * K**4, 2 * F * K**6, F * (F - 1) * K**2)[int(cell[1]) - 1]

    def forms(self, cell: str) -> int:
        """Return how many canonical forms they have."""
        return self.ideas(cell) // (1, 2, 3, 1)[int(cell[1]) - 1]

    def oracle(self, cell: str, n: int = 1024) -> float:
        """Return the creativity that ``n`` even draws over all ideas of a cell are expected to have; exact."""
        forms = self.forms(cell)
        return (1 - len(self.known_forms[cell]) / forms) * expected_distinct(forms, n) / n

    def drawn(self, cell: str, rng: np.random.Generator) -> str:
        """Return an idea of a cell, each as likely as any other."""
        field, level = self._place(cell)
        families = self._families[field]
        at = int(rng.integers(len(families)))
        a = families[at]
        mates = [mate for mate in self._mates[field][a] if mate != a][:: 2 * int(rng.integers(2)) - 1]
        if level == 1:
            return f"{self._pair(a, rng)} a{a}"
        if level == 2:
            return f"{self._pair(a, rng)} a{a} {self._pair(mates[0], rng)} a{mates[0]}"
        if level == 3:
            return " ".join(self._pair(one, rng) for one in (a, *mates))
        other = families[at - 1 - int(rng.integers(len(families) - 1))]  # any but itself
        first, second = self._pair(a, rng).split()[0], self._pair(other, rng).split()[1]
        return f"{first} {second} a{a} a{other}"

    def canonical(self, text: str, cell: str) -> str:
        """Return the one form of all strings that say the same idea; of what is none, the words as they are."""
        words = text.split()
        if cell[1:] == "2" and len(words) == 6:
            return " ".join(min(words, words[3:] + words[:3]))
        if cell[1:] == "3" and len(words) == 6:
            return " ".join(min(words[at:] + words[:at] for at in (0, 2, 4)))
        return " ".join(words)

    def coherent(self, text: str, cell: str) -> bool:
        """Return whether the text is an idea of the cell; of a cell that there is not, nothing is."""
        if cell not in self.known_forms:
            return False
        field, level = self._place(cell)
        words = text.split()
        if len(words) != len(PATTERNS[level - 1]):
            return False
        said = [self._named.get(word, ("", -1)) for word in words]
        if "".join(kind for kind, _ in said) != PATTERNS[level - 1]:
            return False
        of = [family for _, family in said]
        mates = self._mates[field]
        if any(family not in mates for family in of):
            return False
        if level == 1:
            return of[0] == of[1] == of[2]
        if level == 2:
            return of[0] == of[1] == of[2] != of[3] == of[4] == of[5] and of[3] in mates[of[0]]
        if level == 3:
            return of[::2] == of[1::2] and sorted(of[::2]) == sorted(mates[of[0]])
        return of[0] == of[2] != of[3] == of[1]

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Confirm what is an idea of the cell that was asked for, known or not; refute the rest."""
        right = Outcome(status=Status.CONFIRMED, score=1.0, evidence="an idea of its field and level")
        wrong = Outcome(status=Status.REFUTED, evidence="no idea of its field and level")
        return [
            right if self.coherent(said.text, spark.prompt) else wrong
            for spark, said in zip(sparks, hypotheses, strict=True)
        ]

    def words(self) -> list[str]:
        """Return every word there is, prompts included."""
        return [*self.cells, *self._named]

    def _words(self) -> list[str]:
        families = sorted({family for some in self._families for family in some})
        pools = [f"{kind}{a * self.children + k}" for kind in "bc" for a in families for k in range(self.children)]
        return [*(f"a{a}" for a in families), *pools]

    def _place(self, cell: str) -> tuple[int, int]:
        """Return a cell's field, from 0, and its level, from 1."""
        match = _CELL.fullmatch(cell)
        if match is None:
            raise InputError(f"the cell is {cell!r}, but it is a field's letter and a level, as A1; name one of those.")
        return ord(match[1]) - 65, int(match[2])

    def _pair(self, a: int, rng: np.random.Generator) -> str:
        b, c = (a * self.children + rng.integers(self.children, size=2)).tolist()
        return f"b{b} c{c}"

    def _drawn(self, cell: str, seen: int, rng: np.random.Generator) -> list[str]:
        """Return ideas of a cell with different forms."""
        if 2 * seen > self.forms(cell):
            raise InputError(
                f"{seen} ideas of {cell} shall be known, but there are {self.forms(cell)} and at least half must be "
                "left to find; lower `seen`, or raise `size` or `children`."
            )
        found: dict[str, str] = {}
        while len(found) < seen:
            text = self.drawn(cell, rng)
            found.setdefault(self.canonical(text, cell), text)
        return list(found.values())


class LadderForm:
    """Ideas as ``A1|b17|c203|a3``, each word a token of the embedded generator; the cell's name is the prompt.

    Args:
        plain: words between spaces instead, for generators that have learned another language.
    """

    def __init__(self, *, plain: bool = False) -> None:
        self.atoms = not plain
        self._between = " " if plain else "|"

    def lines(self, text: str, triple: Triple | None) -> list[str]:
        """Return the one line of an idea that is said after its cell: ``A1 b17 c203 a3``."""
        return [self._between.join(text.split())]

    def prompt(self, spark: Spark) -> str:
        """Return the cell's name."""
        return spark.prompt

    def read(self, spark: Spark, completion: str) -> tuple[str, Triple | None]:
        """Return the words, without their bars."""
        return " ".join(completion.replace("|", " ").split()) or "(nothing)", None
