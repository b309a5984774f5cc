"""The null keeps marginals, p-values are uniform on it, and what passes is chosen as SciPy chooses it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import false_discovery_control, kstest

from hunch.memory.calibration import (
    OBJECT,
    RELATION,
    SUBJECT,
    discoveries,
    e_value,
    p_values,
    shuffled,
    swaps,
)
from hunch.memory.links import Links
from tests.memory.dense import Claim, array_of, links_of
from tests.memory.planted import planted

any_claims = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2), st.integers(0, 7)), max_size=20, unique=True)
any_links = any_claims.map(lambda claims: links_of([(*claim, 1.0) for claim in claims], 8, 3))
parts = st.sampled_from([SUBJECT, RELATION, OBJECT])


@given(any_links, parts, st.integers(0, 99))
@settings(deadline=None)
def test_a_swap_takes_its_part_from_facts_and_is_never_known(links: Links, part: int, seed: int) -> None:
    known = set(map(tuple, links.claims.tolist()))
    at_ends = {(s, r) for s, r, _ in known}, {(r, o) for _, r, o in known}
    left = {claim[:part] + claim[part + 1 :] for claim in known}  # what is left when the part is taken out
    for claim in map(tuple, swaps(links, np.random.default_rng(seed), 50, part).tolist()):
        s, r, o = claim
        assert claim not in known and s != o
        assert claim[:part] + claim[part + 1 :] in left
        if part == RELATION:
            assert r in {relation for _, relation, _ in known}
        else:
            assert (s, r) in at_ends[0] and (r, o) in at_ends[1]


@given(any_links, any_claims, parts, st.integers(0, 99))
@settings(deadline=None)
def test_given_claims_are_spoilt_and_neither_they_nor_facts_come_out(
    links: Links, given_claims: list[Claim], part: int, seed: int
) -> None:
    drawn = swaps(links, np.random.default_rng(seed), 50, part, of=array_of(given_claims))
    left = {claim[:part] + claim[part + 1 :] for claim in given_claims}
    for claim in map(tuple, drawn.tolist()):
        assert claim not in given_claims and claim not in set(map(tuple, links.claims.tolist()))
        assert claim[:part] + claim[part + 1 :] in left and claim[0] != claim[2]


@pytest.mark.parametrize("part", [SUBJECT, OBJECT], ids=["subject", "object"])
def test_swaps_draw_subjects_and_objects_as_often_as_facts_have_them(part: int) -> None:
    # relation 0: subject 0 has half of the facts, object 9 a third; far more possible pairs than known ones
    rng = np.random.default_rng(0)
    subject, target = rng.permutation(np.r_[np.zeros(60), 1 + rng.integers(0, 60, 60)]), 100 + rng.integers(0, 60, 120)
    target[:40] = 99
    rows = np.unique(np.column_stack([subject, np.zeros(120), target]).astype(np.int64), axis=0)
    links = Links(rows[:, 0], rows[:, 1], rows[:, 2], np.ones(len(rows)), 200, 1)
    drawn = swaps(links, rng, 20_000, part)
    all_pairs = [(s, o) for s in rows[:, 0] for o in rows[:, 2]]  # product of the marginals ...
    known = set(map(tuple, rows[:, [0, 2]].tolist()))
    meaningless = np.array([pair for pair in all_pairs if pair not in known])  # ... less what is known
    for column, side in ((0, 0), (2, 1)):
        expected = np.bincount(meaningless[:, side], minlength=200) / len(meaningless)
        assert_allclose(np.bincount(drawn[:, column], minlength=200) / len(drawn), expected, atol=0.015)


@given(any_links, st.integers(0, 99))
def test_shuffling_keeps_each_relations_subjects_and_objects(links: Links, seed: int) -> None:
    dealt = shuffled(links, np.random.default_rng(seed))
    assert_array_equal(dealt.subject, links.subject)
    assert_array_equal(dealt.relation, links.relation)
    for relation in range(links.relations):
        rows = links.relation == relation
        assert_array_equal(np.sort(dealt.object[rows]), np.sort(links.object[rows]))


def test_shuffling_destroys_what_was_stated() -> None:
    links, _ = planted()
    dealt = shuffled(links, np.random.default_rng(0))
    assert np.isin(links.codes(dealt.claims), links.codes(links.claims)).mean() < 0.3  # by chance a quarter of a half


@given(st.lists(st.floats(-5, 5), max_size=20), st.lists(st.floats(-5, 5), min_size=1, max_size=9))
def test_a_p_value_is_the_share_of_the_null_at_least_as_strong_counting_itself(
    null: list[float], strength: list[float]
) -> None:
    found = p_values(np.array(strength), np.sort(null))
    assert_allclose(found, [(1 + sum(n >= s for n in null)) / (1 + len(null)) for s in strength])
    assert ((found > 0) & (found <= 1)).all()


def test_a_relation_is_drawn_as_often_as_facts_have_it() -> None:
    rng = np.random.default_rng(0)
    relation = np.repeat([0, 1, 2], [600, 300, 100])
    links = Links(rng.integers(0, 300, 1000), relation, rng.integers(0, 300, 1000), np.ones(1000), 300, 3)
    drawn = swaps(links, rng, 30_000, RELATION)
    # of the nine pairs (had, drawn) those that draw what was had are known, and left out
    share = np.array([0.6, 0.3, 0.1])
    expected = share * (1 - share) / (share * (1 - share)).sum()
    assert_allclose(np.bincount(drawn[:, RELATION], minlength=3) / len(drawn), expected, atol=0.015)


@given(st.lists(st.floats(0.0001, 1.0), max_size=30), st.sampled_from([0.05, 0.1, 0.3]), st.booleans())
@settings(deadline=None)
def test_what_passes_is_what_scipy_lets_pass(p: list[float], alpha: float, dependent: bool) -> None:
    p = [float(np.round(one, 4)) for one in p]  # equal ones pass together
    passing = discoveries(np.array(p), alpha, dependent=dependent)
    adjusted = false_discovery_control(np.array(p), method="by" if dependent else "bh") if p else np.zeros(0)
    clear = np.abs(adjusted - alpha) > 1e-12
    assert_array_equal(passing[clear], (adjusted <= alpha)[clear])


def test_benjamini_and_hochberg_by_hand() -> None:
    p = np.array([0.2, 0.001, 0.028, 0.9, 0.03])  # the limits at 0.05 are 0.01, 0.02, 0.03, 0.04, 0.05
    assert discoveries(p, 0.05).tolist() == [False, True, True, False, True]  # 0.028 fails its own, but 0.03 does not
    assert discoveries(p, 0.05, dependent=True).tolist() == [False, True, False, False, False]


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.2])
def test_of_what_passes_at_most_alpha_is_meaningless(alpha: float) -> None:
    rng = np.random.default_rng(0)
    realised = []
    for _ in range(300):
        null = np.sort(rng.normal(size=2000))  # one null for all, as in grounding
        strength = np.r_[rng.normal(3.0, 1.0, 20), rng.normal(size=80)]
        passing = discoveries(p_values(strength, null), alpha)
        realised.append(passing[20:].sum() / max(passing.sum(), 1))
    assert np.mean(realised) <= alpha * 0.8 + 2 * np.std(realised) / np.sqrt(300)  # 80 % are meaningless
    assert np.mean(realised) >= alpha * 0.8 - 0.03  # and it is no stricter than it says


def test_e_values_of_chance_have_a_mean_of_one_at_most() -> None:
    p = (np.arange(100_000) + 0.5) / 100_000
    assert 0.98 < e_value(p).mean() <= 1.0  # the integral of p^-1/2 / 2 over [0, 1] is 1
    conformal = np.arange(1, 1002) / 1001  # what p-values against a null of a thousand can be, equally likely
    assert e_value(conformal).mean() <= 1.0
    assert (np.diff(e_value(conformal)) < 0).all() and e_value(np.array([0.0025, 0.25])).tolist() == [10.0, 1.0]


def test_e_values_multiply_over_rounds_and_are_large_by_chance_no_oftener_than_they_say() -> None:
    rng = np.random.default_rng(0)
    rounds = e_value(rng.random((20_000, 10))).cumprod(axis=1)
    for alpha in (0.05, 0.2):
        assert (rounds.max(axis=1) >= 1 / alpha).mean() <= alpha  # whenever one looks (Ville)


def test_p_values_of_the_null_itself_are_uniform() -> None:
    rng = np.random.default_rng(0)
    p = p_values(rng.normal(size=5000), np.sort(rng.normal(size=10_000)))
    assert kstest(p, "uniform").statistic < 0.03
