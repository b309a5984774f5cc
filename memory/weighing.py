"""How the kinds of evidence add up to one strength, fitted on the store itself.

A share of the known facts is hidden from the network and told apart from swaps of their parts: no labels, and nothing
that the store does not hold. The strength is the log-odds of a hidden known fact against a swap, plus the logarithm of
how many answers the relation's question has (``Network.prior``); the same scale for all. The log-odds come from
gradient boosted trees (Friedman 2001; scikit-learn's histogram form) where enough can be hidden, otherwise from
logistic regression with non-negative weights. What is popular is no evidence and is not looked at.

With labels (``Labelled``) popularity and the relation itself may be looked at too: what is then learned is how the
labelled claims differ, shortcuts included.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from hunch.memory.calibration import OBJECT, RELATION, SUBJECT, swaps
from hunch.memory.firing import EVIDENCE, Lore, Network
from hunch.memory.links import Floats, Ints, Links

FEWEST_TO_FIT = 60
"""Below this many links nothing can be hidden and tested; the kinds of evidence then weigh the same."""
FEWEST_FOR_TREES = 1_000
"""Hidden facts from which on trees are grown; with fewer, weights are fitted (on 450 hidden of the facts of 1985,
treatments among the others in the top 1 % of swaps: 0.17 with weights, 0.13 with trees)."""
HIDDEN = 0.15
"""Share of the facts that is hidden."""
MOST_HIDDEN = 3_000
"""Hide at most this many: enough for twenty-odd kinds of evidence."""
COUNTED = 6_000
"""Facts in which path types are counted, at most."""
CATEGORIES = 250
"""Relations that labels may tell apart; rarer ones count as one."""


class Weights(Protocol):
    """How evidence adds up."""

    def of(self, evidence: Floats) -> Floats:
        """Return the log-odds of each row of ``evidence``, (N, kinds), that is (N,), in nats."""
        ...


@dataclass(frozen=True)
class Scale:
    """Weighted evidence: ``bias + sum_k weight_k sign(x_k) log(1 + |x_k|)``, x_k being evidence over its unit."""

    unit: Floats
    weight: Floats
    bias: float

    def of(self, evidence: Floats) -> Floats:
        """Return the log-odds of each row, (N,)."""
        odds: Floats = (_curved(evidence, self.unit) * self.weight).sum(axis=1) + self.bias  # the same in any batch
        return odds


EVEN = Scale(
    np.full(len(EVIDENCE), 0.05), np.where(np.isin(EVIDENCE, ("subject_share", "object_share")), 0.0, 1.0), 0.0
)
"""What a store too small to fit anything on is weighed with."""


class Trees:
    """Log-odds by boosted trees, the mean of a few that see different columns."""

    def __init__(self, evidence: Floats, label: Floats, *, grown: int = 2, categorical: int | None = None) -> None:
        """Grow on rows of evidence and their labels, 1 or 0; ``categorical`` is a column of category numbers."""
        settings = {"max_iter": 200, "learning_rate": 0.05, "max_leaf_nodes": 15, "min_samples_leaf": 40}
        if categorical is not None:
            settings |= {"learning_rate": 0.04, "max_leaf_nodes": 12, "min_samples_leaf": 20}
        with threadpool_limits(1):  # always the same digits
            self._trees = [
                HistGradientBoostingClassifier(
                    **settings,
                    l2_regularization=1.0,
                    max_features=0.25,
                    early_stopping=False,
                    categorical_features=None if categorical is None else [categorical],
                    random_state=number,
                ).fit(evidence, label)
                for number in range(grown)
            ]

    def of(self, evidence: Floats) -> Floats:
        """Return the log-odds of each row, (N,)."""
        with threadpool_limits(1):
            odds: Floats = np.mean([trees.decision_function(evidence) for trees in self._trees], axis=0)
        return odds


def learn_lore(network: Network, rng: np.random.Generator) -> Lore:
    """Learn which path types imply which relation, from at most ``COUNTED`` of the network's own links and swaps."""
    known = network.links.claims
    if len(known) > COUNTED:
        known = known[np.sort(rng.choice(len(known), COUNTED, replace=False))]
    return Lore.learned(network, known, swaps(network.links, rng, min(8 * len(known), 3 * COUNTED)))


def fit_weights(links: Links, rng: np.random.Generator, network_of: Callable[[Links], Network]) -> Weights:
    """Fit how evidence adds up, by hiding known facts from the network and telling them from swaps.

    Args:
        links: observed facts only.
        rng: which facts are hidden, and the swaps.
        network_of: makes the network of a part of the links.
    """
    if len(links) < FEWEST_TO_FIT:
        return EVEN
    order = rng.permutation(len(links))
    size = min(max(int(HIDDEN * len(links)), 1), MOST_HIDDEN)
    network = network_of(links.take(np.sort(order[size:])))
    known = links.claims[order[:size]]
    swapped = [
        swaps(links, rng, share * size, part, of=known) for part, share in ((SUBJECT, 2), (OBJECT, 2), (RELATION, 2))
    ]
    evidence = network.evidence(np.vstack([known, *swapped]), learn_lore(network, rng))
    label = np.r_[np.ones(size), np.zeros(len(evidence) - size)]
    if size >= FEWEST_FOR_TREES:
        return Trees(evidence, label)
    unit = np.array([np.median(column) if len(column) else 1.0 for column in (np.abs(c[c != 0]) for c in evidence.T)])
    weight, bias = _fit_non_negative(_curved(evidence, unit), label)
    return Scale(unit, weight, bias)


def strengths(network: Network, weights: Weights, evidence: Floats, claims: Ints) -> Floats:
    """Return the strength of claims with this evidence, (N,), in nats."""
    strength: Floats = weights.of(evidence) + network.prior(claims[:, 1])
    return strength


class Labelled:
    """Strength as labelled claims teach it: evidence, popularity and the relation itself, by boosted trees.

    Args:
        network: where the claims fire.
        weights: how evidence adds up without labels.
        evidence: of the labelled claims, (N, kinds).
        claims: the labelled claims, (N, 3).
        true: which of them are true, (N,).
    """

    def __init__(self, network: Network, weights: Weights, evidence: Floats, claims: Ints, true: Floats) -> None:
        self._network, self._weights = network, weights
        count = np.bincount(claims[:, 1], minlength=network.links.relations)
        self._category = np.full(len(count), CATEGORIES)
        common = np.argsort(-count, kind="stable")[:CATEGORIES]
        self._category[common] = np.arange(len(common))
        self._trees = Trees(self._features(evidence, claims), true, grown=6, categorical=0)

    def of(self, evidence: Floats, claims: Ints) -> Floats:
        """Return the log-odds of each claim, (N,), in nats."""
        return self._trees.of(self._features(evidence, claims))

    def _features(self, evidence: Floats, claims: Ints) -> Floats:
        strength = strengths(self._network, self._weights, evidence, claims)
        relation = self._category[claims[:, 1]].astype(np.float64)
        return np.column_stack([relation, strength, evidence, self._network.popularity(claims)])


def _curved(evidence: Floats, unit: Floats) -> Floats:
    curved: Floats = np.sign(evidence) * np.log1p(np.abs(evidence) / unit)
    return curved


def _fit_non_negative(features: Floats, label: Floats, *, ridge: float = 1e-3) -> tuple[Floats, float]:
    """Return weights >= 0 and bias of a logistic regression: balanced classes, ``ridge`` on standardised weights."""
    spread = features.std(axis=0)
    used = spread > 1e-6 * np.abs(features).max(axis=0, initial=0.0)  # what differs by rounding alone tells nothing
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
