"""How strong is strong: the null, the weights of the evidence, p-values.

The null is made of meaningless claims with the marginals of real ones: subject and relation of one known fact, object
of another fact of the same relation. The kinds of evidence add up with non-negative weights, fitted on the store
itself: a share of the known facts is hidden from the network and told apart from such swaps (logistic regression; no
labels, and nothing that the store does not hold). The sum is the *strength*: log-odds of a hidden known fact against a
swap, the same scale for all.

A p-value is conformal (Vovk et al. 2005): ``(1 + #{null >= strength}) / (1 + #null)``. For a claim that is itself a
swap it is uniform, so a gate at ``p <= alpha`` lets a share alpha of meaningless claims through. Thresholds come from
the null alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from hunch.memory.firing import EVIDENCE, SIGNED, Lore, Network
from hunch.memory.links import Floats, Ints, Links

FEWEST_TO_FIT = 60
"""Below this many links nothing can be hidden and tested; the kinds of evidence then weigh the same."""


@dataclass(frozen=True)
class Scale:
    """How raw evidence becomes strength: ``bias + sum_k weight_k f(evidence_k / unit_k)``.

    f is ``log(1 + x)``, and the identity for evidence that can be negative.
    """

    unit: Floats
    weight: Floats
    bias: float

    def strength(self, evidence: Floats) -> Floats:
        """Return the strength of each row of ``evidence``, shape (N,), in nats."""
        strength: Floats = self.contributions(evidence).sum(axis=1) + self.bias
        return strength

    def contributions(self, evidence: Floats) -> Floats:
        """Return what each kind of evidence adds to the strength, shape (N, 5), in nats."""
        return _curved(evidence, self.unit) * self.weight


def _curved(evidence: Floats, unit: Floats) -> Floats:
    scaled = evidence / unit
    curved: Floats = np.log1p(np.maximum(scaled, 0.0))
    curved[:, SIGNED] = scaled[:, SIGNED]
    return curved


def swaps(links: Links, rng: np.random.Generator, size: int) -> Ints:
    """Return about ``size`` meaningless claims, shape (<= size, 3): parts swapped between facts of one relation.

    Claims that are known, or that join a thing to itself, are left out; a small store may have fewer than asked for.
    """
    claims = links.claims
    if not len(claims):
        return claims
    drawn = claims[rng.integers(len(claims), size=size)]
    order = np.argsort(claims[:, 1], kind="stable")
    start = np.searchsorted(claims[order, 1], np.arange(links.relations + 1))
    low, high = start[drawn[:, 1]], start[drawn[:, 1] + 1]
    drawn[:, 2] = claims[order[low + (rng.random(size) * (high - low)).astype(np.int64)], 2]
    new = ~np.isin(links.codes(drawn), links.codes(claims)) & (drawn[:, 0] != drawn[:, 2])
    meaningless: Ints = drawn[new]
    return meaningless


def shuffled(links: Links, rng: np.random.Generator) -> Links:
    """Return the links with each relation's objects dealt out anew: same marginals, meaning destroyed (a placebo)."""
    target = links.object.copy()
    for relation in np.unique(links.relation):
        rows = np.flatnonzero(links.relation == relation)
        target[rows] = target[rng.permutation(rows)]
    return replace(links, object=target)


def learn_lore(network: Network, rng: np.random.Generator, *, most: int = 20_000) -> Lore:
    """Learn which path types imply which relation, from at most ``most`` of the network's own links and their swaps."""
    known = network.links.claims
    if len(known) > most:
        known = known[np.sort(rng.choice(len(known), most, replace=False))]
    return Lore.learned(network, known, swaps(network.links, rng, min(8 * len(known), 3 * most)))


def fit_scale(links: Links, rng: np.random.Generator, *, hidden: float = 0.15, most: int = 6000) -> Scale:
    """Fit how evidence adds up, by hiding known facts from the network and telling them from swaps.

    Args:
        links: observed facts only.
        rng: which facts are hidden, and the swaps.
        hidden: share of the facts that is hidden.
        most: hide at most this many (enough for five weights).
    """
    if len(links) < FEWEST_TO_FIT:
        return Scale(np.full(len(EVIDENCE), 0.05), np.ones(len(EVIDENCE)), 0.0)
    order = rng.permutation(len(links))
    size = min(max(int(hidden * len(links)), 1), most)
    network = Network(links.take(order[size:]))
    lore = learn_lore(network, rng)
    known, meaningless = links.claims[order[:size]], swaps(links, rng, 3 * size)
    evidence = network.evidence(np.vstack([known, meaningless]), lore)
    label = np.r_[np.ones(len(known)), np.zeros(len(meaningless))]
    unit = np.array([np.median(column[column > 0]) if (column > 0).any() else 1.0 for column in evidence[label == 1].T])
    weight, bias = _fit_non_negative(_curved(evidence, unit), label)
    return Scale(unit, weight, bias)


def _fit_non_negative(features: Floats, label: Floats, *, ridge: float = 1e-3) -> tuple[Floats, float]:
    """Return weights >= 0 and bias of a logistic regression: balanced classes, ``ridge`` on standardised weights."""
    spread = features.std(axis=0)
    used = spread > 0
    scaled = features[:, used] / spread[used]
    share = np.where(label == 1, 0.5 / max(label.sum(), 1), 0.5 / max((1 - label).sum(), 1))

    def loss(theta: Floats) -> tuple[float, Floats]:
        odds = scaled @ theta[:-1] + theta[-1]
        pull = share * (expit(odds) - label)
        value = float(share @ (np.logaddexp(0.0, odds) - label * odds) + ridge * theta[:-1] @ theta[:-1])
        return value, np.r_[scaled.T @ pull + 2 * ridge * theta[:-1], pull.sum()]

    bounds = [(0.0, None)] * scaled.shape[1] + [(None, None)]
    found = minimize(loss, np.zeros(scaled.shape[1] + 1), jac=True, bounds=bounds, method="L-BFGS-B")
    weight = np.zeros(features.shape[1])
    weight[used] = found.x[:-1] / spread[used]
    return weight, float(found.x[-1])


def p_values(strength: Floats, null: Floats) -> Floats:
    """Return the conformal p-value of each strength, shape (N,), in (0, 1]; ``null`` must be sorted."""
    p: Floats = (1 + len(null) - np.searchsorted(null, strength, "left")) / (1 + len(null))
    return p
