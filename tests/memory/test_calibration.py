"""The null keeps marginals, p-values are uniform on it, and evidence is weighed as another library weighs it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kstest
from sklearn.linear_model import LogisticRegression

from hunch.memory.calibration import (
    FEWEST_TO_FIT,
    Scale,
    _fit_non_negative,
    fit_scale,
    learn_lore,
    p_values,
    shuffled,
    swaps,
)
from hunch.memory.firing import EVIDENCE, SIGNED, Network
from hunch.memory.links import Ints, Links

GROUPS, EACH = 4, 10


def planted(seed: int = 0) -> tuple[Links, Ints]:
    """Return a world whose groups hold together, with some noise, and what is hidden of its last relation.

    Things of kinds a, b and c; a -0-> b, b -1-> c and a -2-> c within groups.
    """
    rng = np.random.default_rng(seed)
    kind = GROUPS * EACH
    known: list[tuple[int, int, int]] = []
    hidden: list[tuple[int, int, int]] = []
    for relation, (left, right) in enumerate([(0, kind), (kind, 2 * kind), (0, 2 * kind)]):
        noise = rng.integers(0, kind, (40, 2)).tolist()
        within = [(s, o) for s, o in np.ndindex(kind, kind) if s // EACH == o // EACH and rng.random() < 0.5]
        known += [(left + s, relation, right + o) for s, o in noise]
        for s, o in within:
            (hidden if relation == 2 and rng.random() < 0.3 else known).append((left + s, relation, right + o))
    table = np.unique(np.array(known, np.int64), axis=0)
    return links_of(table, 3 * kind, 3), np.array(hidden, np.int64)


def links_of(table: Ints, concepts: int, relations: int) -> Links:
    table = table.reshape(-1, 3)
    return Links(table[:, 0], table[:, 1], table[:, 2], np.ones(len(table)), concepts, relations)


any_links = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 2), st.integers(0, 7)), max_size=20, unique=True).map(
    lambda rows: links_of(np.array(rows, np.int64), 8, 3)
)


@given(any_links, st.integers(0, 99))
def test_a_swap_takes_its_parts_from_facts_of_its_relation_and_is_never_known(links: Links, seed: int) -> None:
    known = set(map(tuple, links.claims.tolist()))
    sides = {(s, r) for s, r, _ in known}, {(r, o) for _, r, o in known}
    for s, r, o in swaps(links, np.random.default_rng(seed), 50).tolist():
        assert (s, r, o) not in known and s != o
        assert (s, r) in sides[0] and (r, o) in sides[1]


def test_swaps_draw_subjects_and_objects_as_often_as_facts_have_them() -> None:
    # relation 0: subject 0 has half of the facts, object 9 a third; far more possible pairs than known ones
    rng = np.random.default_rng(0)
    subject, target = rng.permutation(np.r_[np.zeros(60), 1 + rng.integers(0, 60, 60)]), 100 + rng.integers(0, 60, 120)
    target[:40] = 99
    rows = np.unique(np.column_stack([subject, np.zeros(120), target]).astype(np.int64), axis=0)
    links = Links(rows[:, 0], rows[:, 1], rows[:, 2], np.ones(len(rows)), 200, 1)
    drawn = np.vstack([swaps(links, rng, 20_000)])
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


def test_p_values_of_fresh_swaps_are_uniform() -> None:
    links, _ = planted()
    rng = np.random.default_rng(1)
    network, scale = Network(links), fit_scale(links, rng)
    lore = learn_lore(network, rng)
    null = np.sort(scale.strength(network.evidence(swaps(links, rng, 4000), lore)).round(9))
    fresh = scale.strength(network.evidence(swaps(links, rng, 2000), lore)).round(9)
    p = p_values(fresh, null)
    equal = 1 + null.searchsorted(fresh, "right") - null.searchsorted(fresh, "left")
    spread = p - rng.random(len(p)) * equal / (1 + len(null))  # equal strengths share a p-value
    assert kstest(spread, "uniform").statistic < 0.045
    for alpha in (0.05, 0.1, 0.2):
        assert (p <= alpha).mean() <= alpha + 0.02


def test_hidden_facts_are_stronger_than_swaps() -> None:
    links, hidden = planted()
    rng = np.random.default_rng(2)
    network, scale = Network(links), fit_scale(links, rng)
    lore = learn_lore(network, rng)
    strong = scale.strength(network.evidence(hidden, lore))
    weak = scale.strength(network.evidence(swaps(links, rng, 2000), lore))
    assert (strong[:, None] > weak).mean() > 0.8


def test_the_same_random_numbers_give_the_same_scale() -> None:
    links, _ = planted()
    one, other = (fit_scale(links, np.random.default_rng(3)) for _ in range(2))
    assert_array_equal(one.weight, other.weight)
    assert one.bias == other.bias and (one.weight >= 0).all()


def test_a_small_store_weighs_all_evidence_the_same() -> None:
    links, _ = planted()
    scale = fit_scale(links.take(np.arange(FEWEST_TO_FIT - 1)), np.random.default_rng(0))
    assert len(set(scale.weight.tolist())) == 1 and scale.bias == 0


def test_strength_is_the_documented_formula() -> None:
    unit, weight = np.linspace(0.5, 2.0, len(EVIDENCE)), np.linspace(2.0, 0.1, len(EVIDENCE))
    scale = Scale(unit, weight, -1.0)
    evidence = np.vstack([np.arange(1.0, 1.0 + len(EVIDENCE)), np.zeros(len(EVIDENCE))])
    evidence[0, list(SIGNED)] *= -1  # what can speak against a claim does
    added = [
        x / u if k in SIGNED else np.log(1 + x / u) for k, (x, u) in enumerate(zip(evidence[0], unit, strict=True))
    ]
    assert_allclose(scale.strength(evidence), [weight @ added - 1.0, -1.0])
    assert_allclose(scale.contributions(evidence).sum(axis=1) + scale.bias, scale.strength(evidence))


@pytest.mark.parametrize("seed", range(3))
def test_weights_agree_with_scikit_learn_where_they_are_positive(seed: int) -> None:
    rng = np.random.default_rng(seed)
    features = np.abs(rng.normal(size=(600, 3)))
    label = (rng.random(600) < 1 / (1 + np.exp(-(features @ [1.0, 0.5, 2.0] - 3)))).astype(np.float64)
    weight, bias = _fit_non_negative(features, label, ridge=0.0)
    other = LogisticRegression(C=1e9, class_weight="balanced", tol=1e-8).fit(features, label)
    assert_allclose(weight, other.coef_[0], rtol=1e-2)
    assert_allclose(bias, other.intercept_[0], rtol=1e-2)


def test_evidence_that_speaks_the_wrong_way_weighs_nothing() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat([0.0, 1.0], 200)
    features = np.column_stack([label + rng.normal(size=400), -label + rng.normal(size=400), np.zeros(400)])
    weight, _ = _fit_non_negative(features, label)
    assert weight[0] > 0.5 and weight[1:].tolist() == [0.0, 0.0]
