"""What a hypothesis is worth to the learner beyond being accepted: pure functions of one round's rollouts.

Reinforced on acceptance alone a generator repeats its first successes. These factors make what is unlikely, rarely
found or far from the archive worth more; each is a plain function (or a part that keeps nothing it cannot rebuild), and
``of`` multiplies them. Letters: N hypotheses of a round; rewards are what the judge gave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse.csgraph import connected_components

from hunch.memory.encoder import Encoder, FloatArray
from hunch.memory.links import Floats, Ints
from hunch.memory.vectors import VectorIndex


@dataclass(frozen=True)
class Rollouts:
    """One round of hypotheses, as a learner sees it."""

    texts: Sequence[str]
    keys: Sequence[str]
    """Content ids: equal for equal claims."""
    reward: Floats
    """(N,) 0 for what was refused; what had been kept before earns its first reward again."""
    logprob: Floats
    """(N,) mean log-probability per token under the plain model, nats."""
    group: Ints
    """(N,) which question each answers."""
    visits: Ints
    """(N,) how often the same claim was drawn and accepted before, earlier in this round included."""
    archive: Sequence[str]
    """Texts of all that was kept in earlier rounds, oldest first; only ever grows."""


Factor = Callable[[Rollouts], Floats]
"""Returns one factor of the reward per hypothesis, (N,), at least 0."""


def of(*factors: Factor) -> Factor:
    """Return the product of factors; 1 of none."""

    def product(rollouts: Rollouts) -> Floats:
        worth = np.ones(len(rollouts.reward))
        for factor in factors:
            worth = worth * factor(rollouts)
        return worth

    return product


def unlikely(beta: float = 1.0) -> Factor:
    """Return the unlikeliness factor ``1 - beta * rank_i / G`` (He et al. 2025, "Rewarding the unlikely").

    ``rank_i`` in 0 .. G - 1 orders the group's G hypotheses by mean log-probability: the likeliest has the highest rank
    and loses most; of equally likely ones, the later drawn. Where all accepted are equally likely nothing is gained by
    sharpening, so the fixed point is even over what is accepted.

    Args:
        beta: 0 leaves rewards as they are; 1 takes nearly all from the likeliest.
    """

    def factor(rollouts: Rollouts) -> Floats:
        order = np.lexsort((rollouts.logprob, rollouts.group))
        _, start, size = np.unique(rollouts.group[order], return_index=True, return_counts=True)
        factors = np.empty(len(order))
        factors[order] = 1.0 - beta * (np.arange(len(order)) - np.repeat(start, size)) / np.repeat(size, size)
        return factors

    return factor


def rarely_found(rollouts: Rollouts) -> Floats:
    """Return ``1 / sqrt(1 + visits)``: a count-based bonus (Strehl & Littman 2008, Bellemare et al. 2016)."""
    return np.asarray(1.0 / np.sqrt(1.0 + rollouts.visits))


def never_found(rollouts: Rollouts) -> Floats:
    """Return 1 for what was never accepted before, else 0."""
    return np.asarray(rollouts.visits == 0, dtype=np.float64)


class FarFromArchive:
    """Novelty search (Lehman & Stanley 2011): mean cosine distance to the k nearest of the archive, capped at 1.

    The factor is ``min(1, d_k / enough)``; 1 while the archive is empty. The index follows the archive it is shown, so
    nothing need be saved.

    Args:
        encoder: texts to unit vectors.
        k: neighbours.
        enough: distance from which a hypothesis counts as fully novel.
    """

    def __init__(self, encoder: Encoder, *, k: int = 5, enough: float = 0.5) -> None:
        self._encoder = encoder
        self._k = k
        self._enough = enough
        self._index = VectorIndex(encoder.dimension)
        self._held: list[str] = []

    def __call__(self, rollouts: Rollouts) -> Floats:
        """Return the factor of each hypothesis, (N,)."""
        archive = list(rollouts.archive)
        if archive[: len(self._held)] != self._held:  # another run's, or one gone back to before an interruption
            self._index, self._held = VectorIndex(self._encoder.dimension), []
        if new := archive[len(self._held) :]:
            self._index.add(np.arange(len(self._held), len(archive)), self._rows(new))
            self._held = archive
        if not archive or not len(rollouts.texts):
            return np.ones(len(rollouts.texts))
        _, similarity = self._index.near(self._rows(rollouts.texts), min(self._k, len(archive)))
        distance = 1.0 - similarity.mean(-1).astype(np.float64)
        return np.asarray(np.clip(distance / self._enough, 0.0, 1.0))

    def _rows(self, texts: Sequence[str]) -> FloatArray:
        return self._encoder.encode(list(texts))


def of_few_in_class(classes: Callable[[Sequence[str]], Ints], *, least: float = 0.1) -> Factor:
    """Return DARLING's diversity factor ``max(least, (n - |class_i|) / (n - 1))`` (Li et al. 2025, 2509.02534).

    A group's accepted hypotheses (n of them) are put into semantic classes; one that says what many say is worth less.
    For generators that paraphrase; where outputs are short and many it hardly differs from plain acceptance.

    Args:
        classes: numbers the classes of some texts, e.g. ``by_meaning``.
        least: of the factor.
    """

    def factor(rollouts: Rollouts) -> Floats:
        worth = np.ones(len(rollouts.reward))
        for group in np.unique(rollouts.group):
            members = np.flatnonzero((rollouts.group == group) & (rollouts.reward > 0))
            if len(members) > 1:
                label = classes([rollouts.texts[int(i)] for i in members])
                size = np.bincount(label)[label]
                worth[members] = np.maximum(least, (len(members) - size) / (len(members) - 1))
        return worth

    return factor


def by_meaning(encoder: Encoder, *, least: float = 0.8) -> Callable[[Sequence[str]], Ints]:
    """Return what numbers classes of texts: whoever is joined by a chain of cosines of at least ``least`` is one."""

    def classes(texts: Sequence[str]) -> Ints:
        rows = encoder.encode(list(texts))
        return connected_components(rows @ rows.T >= least, directed=False)[1].astype(np.int64)

    return classes
