"""Triangle discovery: three nodes of a known graph that are all joined (Nagarajan et al., ICML 2025, section 2.1).

The graph is learned by heart: edges are said (``u v``), and some of its triangles (``u v w``). An idea is a triangle;
its canonical form is its nodes sorted, since six strings say the same. Creativity counts triangles that were not seen.

Published sizes: 999 nodes; each asks D = 3 others for an edge, granted while both have less than alpha D = 3.6; then
each, up to T = 6 times, joins two of its neighbours, until it stands in T triangles. (The generator is described and
not available to us; this reading gives 3,724 edges and 2,460 triangles, against 3,740 and 2,365 that were measured of
another's.) Of 15,000 samples a third are triangles, drawn node by node, the rest edges.

As published, those samples show 84 % of all triangles, so that even an ideal generator, one that draws as the samples
were drawn, has a creativity of only 0.11 at n = 1,024 (0.13 where the six strings count as six): a score of 0.1 is the
most there is, no failure. Therefore the version with ``held`` triangles: that share is never shown, only their edges.
Its ceiling is that of even draws over all triangles, about 0.41.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import permutations

import numpy as np

from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Outcome, Spark, Status, Triple

Triangle = tuple[int, int, int]

_NODE = re.compile(r"v(0|[1-9][0-9]{0,8})")
"""Digits are bounded: what is said is untrusted, and of thousands of them ``int`` makes an error."""


class Triangles:
    """A graph and its triangles: what is known of them, and the verdict on whatever is said.

    Args:
        nodes: of the graph.
        asked: D, edges that each node asks for.
        slack: alpha; no node has alpha D edges before triangles are closed.
        closed: T, triangles that each node tries to stand in.
        samples: how many are drawn for what is known; a third of them are triangles.
        held: share of the triangles that are never shown; 0 is the published task.
        seed: of all of it.
    """

    def __init__(
        self,
        *,
        nodes: int = 999,
        asked: int = 3,
        slack: float = 1.2,
        closed: int = 6,
        samples: int = 15_000,
        held: float = 0.0,
        seed: int = 0,
    ) -> None:
        if not 0 <= held < 1:
            raise InputError(f"held is {held}, but a share of 0 or more and below 1 can be held out; change `held`.")
        rng = np.random.default_rng([seed, 31])
        self._near = _graph(nodes, asked, slack * asked, closed, rng)
        self.triangles = _triangles(self._near)
        """All there are, each sorted."""
        if not self.triangles:
            raise InputError(f"{nodes} nodes gave no triangle, but one is needed; raise `nodes`, `asked` or `closed`.")
        self._held = held
        hidden = set(rng.permutation(len(self.triangles))[: round(held * len(self.triangles))].tolist())
        shares = np.array([_share(triangle, self._near) for triangle in self.triangles])
        self._share = shares / shares.sum()
        shown = np.where([number in hidden for number in range(len(shares))], 0.0, shares)
        drawn = rng.choice(len(shares), size=samples // 3, p=shown / shown.sum())
        self.known = [_said(rng.permutation(self.triangles[int(number)]).tolist()) for number in drawn]
        """The triangles that are seen, as drawn."""
        self.known_forms = frozenset(map(self.canonical, self.known))
        """Their canonical forms."""
        ends = [(u, v) for u, near in enumerate(self._near) for v in sorted(near)]
        picked = rng.integers(len(ends), size=samples - samples // 3)
        self.edges = list(dict.fromkeys(_said(ends[i]) for i in picked.tolist()))
        """The edges that are seen."""

    @property
    def facts(self) -> list[str]:
        """What a generator learns from: triangles and edges, each string once."""
        return list(dict.fromkeys([*self.known, *self.edges]))

    @property
    def forms(self) -> int:
        """How many triangles there are."""
        return len(self.triangles)

    def canonical(self, text: str) -> str:
        """Return what is said with its words sorted, shorter ones first, so that numbers come in order."""
        return " ".join(sorted(text.split(), key=lambda word: (len(word), word)))

    def coherent(self, text: str) -> bool:
        """Return whether three nodes are named that are all joined."""
        words = text.split()
        if len(words) != 3:
            return False
        named = [_NODE.fullmatch(word) for word in words]
        nodes = [int(match[1]) for match in named if match is not None and int(match[1]) < len(self._near)]
        if len(nodes) < 3:
            return False
        a, b, c = nodes
        return a in self._near[b] and b in self._near[c] and c in self._near[a]

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Confirm what is coherent, known or not; refute the rest."""
        right = Outcome(status=Status.CONFIRMED, score=1.0, evidence="three nodes that are all joined")
        wrong = Outcome(status=Status.REFUTED, evidence="not three nodes that are all joined")
        return [right if self.coherent(hypothesis.text) else wrong for hypothesis in hypotheses]

    def oracle_creativity(self, n: int = 1024, *, raw: bool = False) -> float:
        """Return the creativity that ``n`` draws of an ideal generator are expected to have; exact.

        It draws as the samples were drawn where nothing is held out, and evenly over all triangles otherwise.

        Args:
            n: draws.
            raw: count each of a triangle's six strings, as the published code does, instead of the triangle.
        """
        shares = np.full(self.forms, 1 / self.forms) if self._held else self._share
        new = np.array([_said(triangle) not in self.known_forms for triangle in self.triangles])
        strings = 6 if raw else 1
        found = strings * -np.expm1(n * np.log1p(-shares[new] / strings))
        return float(found.sum() / n)


class TriangleForm:
    """Triangles as ``>|v3|v1|v4`` and edges as ``-|v3|v1``; asked for anything, the generator says a triangle."""

    atoms = True

    def lines(self, text: str, triple: Triple | None) -> list[str]:
        """Return the one line of an edge, said of two nodes, or of a triangle."""
        words = text.split()
        return ["|".join(["-" if len(words) == 2 else ">", *words])]

    def prompt(self, spark: Spark) -> str:
        """Return where a triangle begins."""
        return ">"

    def read(self, spark: Spark, completion: str) -> tuple[str, Triple | None]:
        """Return the words between the bars."""
        return " ".join(completion.replace("|", " ").split()) or "(nothing)", None


def _graph(nodes: int, asked: int, cap: float, closed: int, rng: np.random.Generator) -> list[set[int]]:
    """Return the neighbours of each node."""
    near: list[set[int]] = [set() for _ in range(nodes)]
    for u in range(nodes):
        for v in rng.integers(nodes, size=asked).tolist():
            if v != u and max(len(near[u]), len(near[v])) < cap:
                near[u].add(v)
                near[v].add(u)
    for u in range(nodes):
        for _ in range(closed):
            if len(near[u]) < 2 or sum(len(near[u] & near[v]) for v in near[u]) // 2 >= closed:
                break
            v, w = rng.choice(sorted(near[u]), 2, replace=False).tolist()
            near[v].add(w)
            near[w].add(v)
    return near


def _triangles(near: Sequence[set[int]]) -> list[Triangle]:
    return [
        (u, v, w)
        for u, beside in enumerate(near)
        for v in sorted(beside)
        if u < v
        for w in sorted(beside & near[v])
        if v < w
    ]


def _share(triangle: Triangle, near: Sequence[set[int]]) -> float:
    """Return how likely a triangle is, up to a factor: a node, a neighbour in some triangle with it, and a third."""
    total = 0.0
    for u, v, _ in permutations(triangle):
        total += 1.0 / sum(bool(near[u] & near[other]) for other in near[u]) / len(near[u] & near[v])
    return total


def _said(nodes: Sequence[int]) -> str:
    return " ".join(f"v{node}" for node in nodes)
