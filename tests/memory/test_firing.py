"""Evidence against dense arithmetic and plain enumeration."""

from __future__ import annotations

from dataclasses import fields
from itertools import product
from math import log, sqrt

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hunch.memory.firing import EVIDENCE, Lore, Network
from hunch.memory.links import Floats, Ints, Links
from hunch.memory.paths import Rules

N, R = 6, 2
PATHS = [EVIDENCE.index(name) for name in EVIDENCE if not name.endswith("analogy")]
ends = st.integers(0, N - 1)
rows = st.lists(
    st.tuples(ends, st.integers(0, R - 1), ends, st.sampled_from([0.3, 1.0])),
    max_size=14,
    unique_by=lambda row: row[:3],
)
claims_of = st.lists(st.tuples(ends, st.integers(0, R - 1), ends), min_size=1, max_size=5)

Row = tuple[int, int, int, float]
Claim = tuple[int, int, int]


def links_of(rows: list[Row]) -> Links:
    table = np.array([row[:3] for row in rows], np.int64).reshape(-1, 3)
    return Links(table[:, 0], table[:, 1], table[:, 2], np.array([r[3] for r in rows]), N, R)


def array_of(claims: list[Claim]) -> Ints:
    return np.array(claims, np.int64).reshape(-1, 3)


def lore_of(seed: int) -> Lore:
    """Return rules with an arbitrary ratio for every code."""
    rng = np.random.default_rng(seed)
    sizes = {"direct": 2 * R, "bridges": (2 * R) ** 2, "chains": (2 * R) ** 3}
    rules = {name: Rules(np.arange(R * size), rng.normal(size=R * size), size) for name, size in sizes.items()}
    return Lore(**{field.name: rules[field.name] for field in fields(Lore)})


def standing(rows: list[Row]) -> Floats:
    """Return A, (R, N, N)."""
    stands = np.zeros((R, N, N))
    for s, r, o, weight in rows:
        stands[r, s, o] += weight
    return stands


def cosine(rows: list[Row]) -> Floats:
    """Return K, (N, N), dense: tf-idf over (relation, direction, neighbour), itself left out."""
    stands = standing(rows)
    profile = np.hstack([*stands, *(matrix.T for matrix in stands)])
    idf = np.array([log(N / max(int((column != 0).sum()), 1)) for column in profile.T])
    profile = profile * idf
    out = np.zeros((N, N))
    for i, j in product(range(N), range(N)):
        lengths = sqrt(float(profile[i] @ profile[i])) * sqrt(float(profile[j] @ profile[j]))
        if i != j and lengths > 1e-9:
            out[i, j] = float(profile[i] @ profile[j]) / lengths
    return out


def degree_of(rows: list[Row]) -> list[float]:
    """Return how many neighbours each concept has, a doubtful one counted by its weight, at least 1."""
    pairs: dict[frozenset[int], float] = {}
    for s, _, o, weight in rows:
        if s != o:
            pairs[frozenset((s, o))] = pairs.get(frozenset((s, o)), 0.0) + weight
    return [max(sum(min(w, 1.0) for pair, w in pairs.items() if c in pair), 1.0) for c in range(N)]


def direct_evidence(rows: list[Row], claim: Claim, lore: Lore) -> float:
    """Return what other links between the ends say; each counts by the side that it is walked from."""
    s, r, o = claim
    types = [(r2, w) for s2, r2, o2, w in rows if (s2, o2) == (s, o) and r2 != r]
    types += [(r2 + R, w) for s2, r2, o2, w in rows if (o2, s2) == (s, o)]
    return sum(w * float(lore.direct.llr[r * 2 * R + t]) for t, w in types)


def paths_evidence(rows: list[Row], claim: Claim, lore: Lore) -> tuple[float, float]:
    s, r, o = claim
    degree = degree_of(rows)
    at = [[(o2, r2, w) for s2, r2, o2, w in rows if s2 == c] for c in range(N)]
    back = [[(s2, r2 + R, w) for s2, r2, o2, w in rows if o2 == c] for c in range(N)]
    steps = [forward + backward for forward, backward in zip(at, back, strict=True)]
    bridges = chains = 0.0
    for (b, t1, w1), (c, t3, w3) in product(steps[s], steps[o]):
        if {b, c} & {s, o}:
            continue
        if b == c:
            bridges += w1 * w3 / sqrt(degree[b]) * lore.bridges.llr[r * 16 + t1 * 4 + t3]
        for d, t2, w2 in steps[b]:
            if d == c:
                ratio = lore.chains.llr[r * 64 + (t1 * 4 + t2) * 4 + t3]
                chains += w1 * w2 * w3 / sqrt(degree[b] * degree[c]) * ratio
    return bridges, chains


@given(rows, claims_of, st.integers(0, 3))
@settings(max_examples=150)
def test_evidence_agrees_with_dense_arithmetic(rows: list[Row], claims: list[Claim], seed: int) -> None:
    lore, alike, stands = lore_of(seed), cosine(rows), standing(rows)
    evidence = Network(links_of(rows)).evidence(array_of(claims), lore)
    for (s, r, o), row in zip(claims, evidence, strict=True):
        bridges, chains = paths_evidence(rows, (s, r, o), lore)
        expected = {
            "subject_analogy": alike[s] @ stands[r][:, o],
            "object_analogy": stands[r][s] @ alike[o],
            "direct": direct_evidence(rows, (s, r, o), lore) if "direct" in EVIDENCE else 0.0,
            "bridges": bridges,
            "chains": chains,
        }
        assert_allclose(row, [expected[name] for name in EVIDENCE], atol=1e-9)


@given(rows, claims_of)
def test_evidence_does_not_depend_on_the_batch(rows: list[Row], claims: list[Claim]) -> None:
    network, lore = Network(links_of(rows)), lore_of(0)
    together = network.evidence(array_of(claims), lore)
    assert_allclose(network.evidence(array_of(claims), lore, chunk=1), together, atol=1e-12)


@given(rows, st.tuples(ends, st.integers(0, R - 1), ends).filter(lambda claim: claim[0] != claim[2]))
def test_stating_a_claim_changes_nothing_of_its_path_evidence(rows: list[Row], claim: Claim) -> None:
    # its ends are never passed, and only their degrees change; the relations' ratios are given
    rows = [row for row in rows if row[:3] != claim]
    lore = lore_of(0)
    without, stated = Network(links_of(rows)), Network(links_of([*rows, (*claim, 1.0)]))
    asked = array_of([claim])
    before, after = without.evidence(asked, lore), stated.evidence(asked, lore)
    assert_allclose(before[:, PATHS], after[:, PATHS], atol=1e-12)


def test_analogies_do_see_a_stated_claim_and_so_known_facts_are_hidden_before_evidence_is_weighed() -> None:
    rows = [(0, 0, 3, 1.0), (1, 0, 4, 1.0), (0, 0, 4, 1.0)]  # 0 and 1 share an object
    claim = array_of([(1, 0, 3)])
    column = EVIDENCE.index("subject_analogy")
    unstated = Network(links_of(rows)).evidence(claim, lore_of(0))[0, column]
    stated = Network(links_of([*rows, (1, 0, 3, 1.0)])).evidence(claim, lore_of(0))[0, column]
    assert 0 < unstated < stated


@given(rows, st.integers(1, 3))
def test_of_the_similar_things_the_most_similar_are_kept(rows: list[Row], k: int) -> None:
    dense = cosine(rows)
    kept = Network(links_of(rows), alike=k).alike.toarray()
    assert_allclose(np.sort(kept, axis=1)[:, -k:], np.sort(dense, axis=1)[:, -k:], atol=1e-9)
    assert ((kept > 0).sum(axis=1) <= k).all()
    assert_allclose(kept[kept > 0], dense[kept > 0], atol=1e-9)


def test_a_store_without_links_fires_nothing() -> None:
    assert not Network(links_of([])).evidence(array_of([(0, 0, 1)]), lore_of(0)).any()
    assert Network(links_of([])).evidence(array_of([]), lore_of(0)).shape == (0, len(EVIDENCE))
