"""Meaningless claims, and what it means to fire more strongly than they do.

The null is made of meaningless claims with the marginals of real ones: parts swapped between known facts. Swapping
ends within a relation gives claims whose parts are of the right kind and as popular as those of facts; swapping
relations gives claims that join the wrong things.

A p-value is conformal (Vovk et al. 2005): ``(1 + #{null >= strength}) / (1 + #null)``. For a claim that is itself a
swap it is uniform, so a gate at ``p <= alpha`` lets a share alpha of meaningless claims through. Over a batch the
false-discovery rate is controlled by ``discoveries`` (Benjamini & Hochberg 1995; with one null for all p-values they
are positively dependent, which the procedure allows, Bates et al. 2023); over rounds, evidence accumulates in e-values
(``e_value``, Vovk & Wang 2021), whose products and means are e-values again. Thresholds come from the null alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hunch.memory.links import Floats, Ints, Links

SUBJECT, RELATION, OBJECT = 0, 1, 2
"""The parts of a claim."""


def swaps(links: Links, rng: np.random.Generator, size: int, part: int = OBJECT, *, of: Ints | None = None) -> Ints:
    """Return about ``size`` meaningless claims, shape (<= size, 3): one part swapped between facts.

    A subject or object is taken from another fact of the same relation, so that kinds and popularity are those of
    facts; a relation from any other fact. Claims that are known, or that join a thing to itself, are left out; a small
    store may have fewer than asked for.

    Args:
        links: the known facts.
        rng: what is drawn.
        size: how many.
        part: ``SUBJECT``, ``RELATION`` or ``OBJECT``.
        of: claims to spoil, drawn from with replacement; the known facts when left out.
    """
    claims = links.claims
    spoilt = claims if of is None else of
    if not len(claims) or not len(spoilt):
        return claims[:0]
    drawn = spoilt[rng.integers(len(spoilt), size=size)]
    if part == RELATION:
        drawn[:, RELATION] = claims[rng.integers(len(claims), size=size), RELATION]
    else:
        order = np.argsort(claims[:, 1], kind="stable")
        start = np.searchsorted(claims[order, 1], np.arange(links.relations + 1))
        low, high = start[drawn[:, 1]], start[drawn[:, 1] + 1]
        place = low + (rng.random(size) * (high - low)).astype(np.int64)
        drawn[:, part] = np.where(high > low, claims[order[np.minimum(place, len(order) - 1)], part], drawn[:, part])
    known = claims if of is None else np.vstack([claims, of])
    new = ~np.isin(links.codes(drawn), links.codes(known)) & (drawn[:, 0] != drawn[:, 2])
    meaningless: Ints = drawn[new]
    return meaningless


def shuffled(links: Links, rng: np.random.Generator) -> Links:
    """Return the links with each relation's objects dealt out anew: same marginals, meaning destroyed (a placebo)."""
    target = links.object.copy()
    for relation in np.unique(links.relation):
        rows = np.flatnonzero(links.relation == relation)
        target[rows] = target[rng.permutation(rows)]
    return replace(links, object=target)


def p_values(strength: Floats, null: Floats) -> Floats:
    """Return the conformal p-value of each strength, shape (N,), in (0, 1]; ``null`` must be sorted."""
    p: Floats = (1 + len(null) - np.searchsorted(null, strength, "left")) / (1 + len(null))
    return p


def discoveries(p: Floats, alpha: float, *, dependent: bool = False) -> NDArray[np.bool_]:
    """Return which claims of a batch pass when at most a share ``alpha`` of the passing may be meaningless, (N,).

    Benjamini & Hochberg (1995); with ``dependent``, Benjamini & Yekutieli (2001), valid whatever the dependence.
    """
    if not len(p):
        return np.zeros(0, dtype=np.bool_)
    ranks = np.arange(1, len(p) + 1)
    level = alpha / (1.0 / ranks).sum() if dependent else alpha
    order = np.argsort(p, kind="stable")
    below = np.flatnonzero(p[order] <= level * ranks / len(p))
    passing = np.zeros(len(p), dtype=np.bool_)
    passing[order[: below[-1] + 1 if len(below) else 0]] = True
    return passing


def e_value(p: Floats) -> Floats:
    """Return e-values from p-values, ``p^-0.5 / 2`` (Shafer et al. 2011, kappa = 0.5): their mean is <= 1 by chance.

    The mean of e-values, and for independent evidence their product, is an e-value; ``e >= 1 / alpha`` is significant
    at alpha whenever one looks.
    """
    e: Floats = 0.5 / np.sqrt(p)
    return e
