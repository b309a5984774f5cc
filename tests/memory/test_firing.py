"""Evidence against dense arithmetic and plain enumeration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import product
from math import exp, log, log1p, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from hunch.memory import firing
from hunch.memory.firing import ANALOGIES, EVIDENCE, PATHS, POPULARITY, TEXTS, Lore, Near, Network
from hunch.memory.links import Floats, Ints
from hunch.memory.paths import Rules
from tests.memory.dense import (
    Claim,
    N,
    R,
    Row,
    array_of,
    claims_of,
    degrees,
    ends,
    likeness,
    links_of,
    names_of,
    standing,
    stores,
    words_of,
)

EXACT, ROUNDED = 1e-9, 2e-5  # paths are counted in doubles, likeness is kept in single precision


def columns(names: Sequence[str]) -> list[int]:
    return [EVIDENCE.index(name) for name in names]


def lore_of(seed: int) -> Lore:
    """Return rules with an arbitrary ratio for every code."""
    rng = np.random.default_rng(seed)
    sizes = {"direct": 2 * R, "bridges": (2 * R) ** 2, "chains": (2 * R) ** 3}
    rules = {name: Rules(np.arange(R * size), rng.normal(size=R * size), size) for name, size in sizes.items()}
    return Lore(**{field.name: rules[field.name] for field in fields(Lore)})


def rivals_of(sums: dict[int, float], own: float) -> tuple[float, float]:
    """Return how a claim's sum stands out among its rivals', and the logarithm of its share."""
    others = np.array(list(sums.values()) or [0.0])
    share = log(exp(10 * own) / (exp(10 * own) + sum(exp(10 * other) for other in sums.values())))
    return (own - others.mean()) / (others.std() + 0.02), share


def analogies(rows: list[Row], names: list[str], claim: Claim) -> list[float]:
    """Return the analogies of one claim, term by term; its own link is none of the terms."""
    s, r, o = claim
    alike, named, stands = likeness(rows, names), words_of(names), standing(rows)
    known = stands[r].copy()
    known[s, o] = 0.0
    subjects = [c for c in range(N) if stands[r][c].any()]
    objects = [c for c in range(N) if stands[r][:, c].any()]
    like_subjects = sum(alike[s, c] * known[c, o] for c in range(N))
    like_objects = sum(known[s, c] * alike[c, o] for c in range(N))
    against_s = {
        c: sum(alike[c, d] * known[d, o] + stands[r][c, d] * alike[d, o] for d in range(N))
        for c in subjects
        if c != s and not stands[r][c, o]
    }
    against_o = {
        c: sum(known[s, d] * alike[d, c] + alike[s, d] * stands[r][d, c] for d in range(N))
        for c in objects
        if c != o and not stands[r][s, c]
    }
    namesakes = named @ named.T

    def word_share(side: int) -> float:
        """Return the share of r in what stands at one side of any relation, word by word of the end's name."""
        stood = [[c for c in range(N) if (stands[k][c] if side == 0 else stands[k][:, c]).any()] for k in range(R)]
        used = named[stood[r]].sum(axis=0)
        anywhere = 1 + sum(named[things].sum(axis=0) for things in stood)
        return float(named[claim[side]] @ (used / anywhere))

    return [
        like_subjects,
        like_objects,
        sum(alike[s, c] * known[c, d] * alike[d, o] for c in range(N) for d in range(N)),
        sum(alike[s, c] for c in subjects),
        sum(alike[o, c] for c in objects),
        *rivals_of(against_s, like_subjects + like_objects),
        *rivals_of(against_o, like_subjects + like_objects),
        sum(namesakes[s, c] * known[c, o] for c in range(N)),
        sum(known[s, c] * namesakes[c, o] for c in range(N)),
        word_share(0),
        word_share(2),
    ]


def paths(rows: list[Row], claim: Claim, lore: Lore) -> list[float]:
    """Return the evidence from paths of one claim, walked in plain Python."""
    s, r, o = claim
    degree, size = degrees(rows), 2 * R
    steps = [
        [(o2, r2, w) for s2, r2, o2, w in rows if s2 == c] + [(s2, r2 + R, w) for s2, r2, o2, w in rows if o2 == c]
        for c in range(N)
    ]
    direct = sum(w * lore.direct.llr[r * size + t] for other, t, w in steps[s] if other == o and t != r)
    bridges, chains, fired = [0.0, 0.0, 0.0], 0.0, dict[int, float]()
    for (b, t1, w1), (c, t3, w3) in product(steps[s], steps[o]):
        if {b, c} & {s, o}:
            continue
        if b == c:
            implied = w1 * w3 * lore.bridges.llr[r * size**2 + t1 * size + t3]
            bridges = [
                total + implied / degree[b] ** damping for total, damping in zip(bridges, (0, 0.5, 1), strict=True)
            ]
            fired[b] = max(fired.get(b, 0.0), w1 * w3 / sqrt(degree[b]))
        for _, t2, w2 in (step for step in steps[b] if step[0] == c):
            ratio = lore.chains.llr[r * size**3 + (t1 * size + t2) * size + t3]
            chains += w1 * w2 * w3 / sqrt(degree[b] * degree[c]) * ratio
    total = sum(fired.values())
    entropy = -sum(share / total * log(share / total) for share in fired.values())
    return [direct, *bridges, chains, log1p(total), log1p(len(fired)), entropy]


@given(stores.filter(bool), names_of, claims_of)
@settings(max_examples=60, deadline=None)
def test_analogies_agree_with_dense_arithmetic(rows: list[Row], names: list[str], claims: list[Claim]) -> None:
    evidence = Network(links_of(rows), names).evidence(array_of(claims), lore_of(0))
    for claim, row in zip(claims, evidence, strict=True):
        if claim[0] == claim[2]:
            continue
        for name, found, expected in zip(
            ANALOGIES, row[columns(ANALOGIES)], analogies(rows, names, claim), strict=True
        ):
            amplified = 50 if name.endswith("rivals") else 10
            assert found == pytest.approx(expected, abs=amplified * ROUNDED), name


@given(stores, claims_of, st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_paths_agree_with_plain_enumeration(rows: list[Row], claims: list[Claim], seed: int) -> None:
    lore = lore_of(seed)
    evidence = Network(links_of(rows)).evidence(array_of(claims), lore)
    for claim, row in zip(claims, evidence, strict=True):
        assert_allclose(row[columns(PATHS)], paths(rows, claim, lore), atol=EXACT)


@given(stores, claims_of)
@settings(max_examples=30, deadline=None)
def test_popularity_counts_what_there_is(rows: list[Row], claims: list[Claim]) -> None:
    degree = degrees(rows)
    found = Network(links_of(rows)).popularity(array_of(claims))
    for (s, r, o), row in zip(claims, found, strict=True):
        counts = [
            degree[s],
            degree[o],
            sum(r2 == r for _, r2, _, _ in rows),
            sum((s2, r2) == (s, r) for s2, r2, _, _ in rows),
            sum((r2, o2) == (r, o) for _, r2, o2, _ in rows),
        ]
        assert_allclose(row, np.log1p(counts), atol=EXACT)
    assert found.shape[1] == len(POPULARITY)


def test_the_prior_is_how_many_answers_the_narrower_question_has() -> None:
    # relation 0: six facts, three subjects, two objects; relation 1: one fact
    rows = [(s, 0, 3 + o, 1.0) for s in range(3) for o in range(2)] + [(0, 1, 1, 1.0)]
    network = Network(links_of(rows, N, 3))
    assert_allclose(network.prior(np.array([0, 1, 2, 0])), [log(6 / 3), 0.0, 0.0, log(2)])


# Texts


def scripted(found: dict[Claim, list[tuple[Claim, float]]], k: int = 4) -> Near:
    """Return a search that finds for each claim what it is told to, in ``k`` places."""

    def near(claims: Ints) -> tuple[Ints, Floats]:
        codes, similarity = np.full((len(claims), k), -1), np.full((len(claims), k), -np.inf)
        for i, claim in enumerate(map(tuple, claims.tolist())):
            for j, (fact, cosine) in enumerate(found[claim]):
                codes[i, j], similarity[i, j] = links_of([]).codes(array_of([fact]))[0], cosine
        return codes, similarity

    return near


STORE = [(0, 0, 3, 1.0), (1, 0, 4, 1.0), (2, 1, 4, 1.0)]


@pytest.mark.parametrize(
    ("found", "near", "near_same"),
    [
        ([((1, 0, 4), 0.9), ((2, 1, 4), 0.8)], 0.9, 0.9),
        ([((2, 1, 4), 0.9), ((1, 0, 4), 0.8)], 0.9, 0.8),
        ([((2, 1, 4), 0.9)], 0.9, 0.0),
        ([((0, 0, 3), 1.0), ((2, 1, 4), 0.5)], 0.5, 0.0),
        ([((5, 0, 5), 0.9), ((1, 0, 4), 0.4)], 0.4, 0.4),
        ([((1, 0, 4), -0.2)], 0.0, 0.0),
        ([], 0.0, 0.0),
    ],
    ids=["same relation", "both", "another relation", "itself", "no link", "unlike", "nothing"],
)
def test_near_is_the_nearest_link_of_the_network_but_not_the_claims_own(
    found: list[tuple[Claim, float]], near: float, near_same: float
) -> None:
    claim = (0, 0, 3)
    network = Network(links_of(STORE), near=scripted({claim: found}))
    evidence = network.evidence(array_of([claim]), lore_of(0))
    assert evidence[0, columns(TEXTS)].tolist() == [near, near_same]
    known = {(s, r, o) for s, r, o, _ in STORE} - {claim}
    best = max((one for one in found if one[0] in known and one[1] > 0), key=lambda one: one[1], default=None)
    code = -1 if best is None else int(links_of([]).codes(array_of([best[0]]))[0])
    assert network.nearest(array_of([claim])).tolist() == [code]


def test_without_a_search_texts_are_no_evidence() -> None:
    network = Network(links_of(STORE))
    assert not network.evidence(array_of([(0, 0, 4)]), lore_of(0))[:, columns(TEXTS)].any()
    assert network.nearest(array_of([(0, 0, 4)])).tolist() == [-1]


# Whatever the batch, whatever is stated


def world(seed: int, concepts: int = 60) -> list[Row]:
    rng = np.random.default_rng(seed)
    drawn = {(int(s), int(r), int(o)) for s, r, o in rng.integers(0, (concepts, R, concepts), (300, 3)) if s != o}
    return [(*claim, float(rng.choice([0.3, 1.0]))) for claim in sorted(drawn)]


@pytest.fixture(scope="module")
def network() -> Network:
    names = [f"{'red' if i % 3 else 'blue'} thing {i % 7}" for i in range(60)]
    return Network(links_of(world(0), 60), names)


def batches(claims: Ints) -> Iterator[list[Ints]]:
    for size in (1, 3, 7, 16, 50):
        yield [claims[at : at + size] for at in range(0, len(claims), size)]
    rng = np.random.default_rng(0)
    yield [claims[np.sort(rng.permutation(len(claims))[:90])]]


def test_a_claim_has_the_same_evidence_to_the_last_digit_in_any_batch(network: Network) -> None:
    claims, lore = np.random.default_rng(1).integers(0, (60, R, 60), (100, 3)), lore_of(0)
    whole = {
        tuple(claim): row.tobytes() for claim, row in zip(claims.tolist(), network.evidence(claims, lore), strict=True)
    }
    for parts in batches(claims):
        for part in parts:
            for claim, row in zip(part.tolist(), network.evidence(part, lore), strict=True):
                assert row.tobytes() == whole[tuple(claim)]
    assert_array_equal(network.evidence(claims, lore, chunk=13), network.evidence(claims, lore))


@given(stores, names_of, st.tuples(ends, st.integers(0, R - 1), ends).filter(lambda claim: claim[0] != claim[2]))
@settings(max_examples=40, deadline=None)
def test_stating_a_claim_changes_nothing_of_its_path_evidence(rows: list[Row], names: list[str], claim: Claim) -> None:
    # its ends are never passed, and only their degrees change; the relations' ratios are given
    rows = [row for row in rows if row[:3] != claim]
    lore, asked = lore_of(0), array_of([claim])
    without, stated = Network(links_of(rows), names), Network(links_of([*rows, (*claim, 1.0)]), names)
    before, after = without.evidence(asked, lore), stated.evidence(asked, lore)
    assert_allclose(before[:, columns(PATHS)], after[:, columns(PATHS)], atol=EXACT)
    namesakes = columns(["subject_namesake", "object_namesake"])
    assert_allclose(before[:, namesakes], after[:, namesakes], atol=EXACT)


def test_how_reliable_a_stated_claim_is_changes_nothing_of_the_sums_over_what_is_alike(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # likeness is told from the claim's own link too, and therefore held fast
    rows = [row for row in world(3, 12) if row[:3] != (1, 0, 7)]
    some, sure = ([*rows, (1, 0, 7, weight)] for weight in (0.1, 1.0))
    asked, lore = array_of([(1, 0, 7)]), lore_of(0)
    held = Network(links_of(sure, 12)).likeness
    monkeypatch.setattr(firing, "Likeness", lambda *_: held)
    evidence = [Network(links_of(each, 12)).evidence(asked, lore)[0, columns(ANALOGIES)] for each in (some, sure)]
    assert_allclose(evidence[0], evidence[1], atol=1e-4)


def test_likeness_does_see_a_stated_claim_and_so_known_facts_are_hidden_before_evidence_is_weighed() -> None:
    rows = [(0, 0, 3, 1.0), (1, 0, 4, 1.0), (0, 0, 4, 1.0)]  # 0 and 1 share an object
    claim = array_of([(1, 0, 3)])
    column = EVIDENCE.index("subject_analogy")
    unstated = Network(links_of(rows)).evidence(claim, lore_of(0))[0, column]
    stated = Network(links_of([*rows, (1, 0, 3, 1.0)])).evidence(claim, lore_of(0))[0, column]
    assert 0 < unstated < stated


def test_a_store_without_links_fires_nothing() -> None:
    bare = Network(
        links_of([]), ["red fox", "blue fox", "fox", "a", "b", "c"], scripted({(0, 0, 1): [((0, 0, 2), 0.9)]})
    )
    assert not bare.evidence(array_of([(0, 0, 1)]), lore_of(0)).any()
    assert bare.evidence(array_of([]), lore_of(0)).shape == (0, len(EVIDENCE))


def test_the_columns_are_those_that_are_documented() -> None:
    assert (*ANALOGIES, *PATHS, *TEXTS) == EVIDENCE
    assert all(f"``{name}``" in (firing.__doc__ or "") for name in EVIDENCE)
