"""How strongly claims fire: the network, how its evidence is weighed, and the null, put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hunch.memory.calibration import OBJECT, SUBJECT, p_values, swaps
from hunch.memory.errors import InputError
from hunch.memory.firing import Near, Network
from hunch.memory.graph_embedding import ComplEx
from hunch.memory.links import Floats, Ints, Links
from hunch.memory.weighing import FEWEST_TO_FIT, Labelled, Weights, fit_weights, learn_lore, strengths

NULL = 10_000
"""Meaningless claims that strengths are compared with."""
MISSED = 0.05
"""Share of the facts that embeddings may do without; so those of a big store are learned but once."""


@dataclass(frozen=True)
class Measured:
    """What N claims fire."""

    evidence: Floats
    """(N, len(network.kinds))."""
    strength: Floats
    """(N,), in nats."""
    p: Floats
    """(N,), conformal p-values in (0, 1]."""


class Meter:
    """Measures how strongly claims fire.

    How evidence adds up and what paths imply are learned once, from ``links``; ``renew`` changes only where claims
    fire, so that what the agent concludes never changes how it is judged.

    Args:
        links: observed facts.
        names: the concepts' names; None keeps words out.
        near: finds facts nearest in text.
        embeddings: how many embeddings of the facts judge, too; each is learned without what is hidden, and, where
            this is more than ``MISSED`` of the facts, once more with it; none in a store too small to hide anything.
        seed: of what is hidden, and of the null.

    Raises:
        InputError: if there is no meaningless claim to compare with.
    """

    def __init__(
        self,
        links: Links,
        names: Sequence[str] | None = None,
        near: Near | None = None,
        *,
        embeddings: int = 0,
        seed: int = 0,
    ) -> None:
        self._names, self._near = names, near
        seeds = [seed + number for number in range(embeddings if len(links) >= FEWEST_TO_FIT else 0)]
        self.embeddings: list[ComplEx] = []
        """Embeddings of the facts; they stay as they are when links change."""
        seen = 0

        def without_hidden(rest: Links) -> Network:
            nonlocal seen
            self.embeddings, seen = ComplEx.several(rest, seeds), len(rest)
            return self._network(rest)

        rng = np.random.default_rng([seed, 0])
        self.weights: Weights = fit_weights(links, rng, without_hidden)
        if seen < (1 - MISSED) * len(links):
            self.embeddings = ComplEx.several(links, seeds)
        self.network = self._network(links)
        self.lore = learn_lore(self.network, rng)
        self._labelled: Labelled | None = None
        draws = np.random.default_rng([seed, 1])
        self.meaningless = np.vstack([swaps(links, draws, NULL // 2, part) for part in (OBJECT, SUBJECT)])
        """The null's claims, (about ``NULL``, 3)."""
        if not len(self.meaningless):
            raise InputError("every swap of parts between the store's facts is itself a fact; import more facts.")
        self._distinct, self._again = np.unique(self.meaningless, axis=0, return_inverse=True)  # few in a small store
        self._lasting = self.network.lasting(self._distinct)
        self._fire_null()

    def renew(self, links: Links) -> None:
        """Let claims fire through other links from now on."""
        self.network = self._network(links)
        self._fire_null()

    def calibrate(self, claims: Ints, true: Floats) -> None:
        """Learn from labelled claims, (N, 3), of which those with 1 in ``true``, (N,), hold, what strength means."""
        evidence = self.network.evidence(claims, self.lore)
        self._labelled = Labelled(self.network, self.weights, evidence, claims, true)
        self._fire_null()

    def measure(self, claims: Ints) -> Measured:
        """Return what claims, (N, 3), fire."""
        evidence = self.network.evidence(claims, self.lore)
        strength = self.strength(evidence, claims)
        return Measured(evidence, strength, p_values(strength, self._null))

    def measure_through(self, links: Links, claims: Ints) -> Floats:
        """Return the strength of claims, (N,), as they would fire through other links; nothing else changes.

        Embeddings stay those of all links: what they learned of a link that is gone, they still know.
        """
        network = self._network(links)
        return strengths(network, self.weights, network.evidence(claims, self.lore), claims)

    def strength(self, evidence: Floats, claims: Ints) -> Floats:
        """Return the strength of claims that have this evidence, (N,), in nats."""
        if self._labelled is not None:
            return self._labelled.of(evidence, claims)
        return strengths(self.network, self.weights, evidence, claims)

    def _fire_null(self) -> None:
        evidence = self.network.evidence(self._distinct, self.lore, lasting=self._lasting)[self._again]
        self._null = np.sort(self.strength(evidence, self.meaningless))
        self.usual: Floats = np.median(evidence, axis=0)
        """The evidence of a claim that means nothing: the null's medians, (len(network.kinds),)."""

    def _network(self, links: Links) -> Network:
        return Network(links, self._names, self._near, self.embeddings)
