"""Agreement is what scipy, published tables and simulated experts say it is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import kendalltau

from hunch.memory.agreement import (
    Agreement,
    agreements,
    compare,
    kendall_tau,
    score_agreement,
    shares,
    told,
)
from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking
from hunch.memory.reliability import ceiling, correlation, icc, one_way_icc, rater_noise

SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=np.float64
)
"""Table 2 of Shrout & Fleiss (1979): six targets, four judges."""
weak_order = st.lists(st.integers(0, 4), min_size=2, max_size=9)


def rng() -> np.random.Generator:
    return np.random.default_rng(1)


def ranking(expert: str, *order: str, sheet: str = "s", criterion: str = "creative") -> Ranking:
    """Return a ranking; each word is a place, its letters the cards there."""
    return Ranking(sheet_id=sheet, expert=expert, criterion=criterion, order=tuple(map(tuple, order)))


def only(rankings: list[Ranking]) -> Agreement:
    (agreement,) = agreements(rankings, rng())
    return agreement


def test_intraclass_correlations_are_those_published() -> None:
    found = icc(SHROUT_FLEISS)
    assert_allclose([found.one_way, found.two_way, found.consistent], [0.17, 0.29, 0.71], atol=0.005)
    assert_allclose([found.one_way_mean, found.two_way_mean, found.consistent_mean], [0.44, 0.62, 0.91], atol=0.005)


def test_a_table_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="the table is 1 x 4, but at least 2 items"):
        icc(SHROUT_FLEISS[:1])


def test_with_equal_numbers_and_one_field_the_unbalanced_one_is_the_balanced_one() -> None:
    assert one_way_icc([SHROUT_FLEISS.tolist()]) == pytest.approx(icc(SHROUT_FLEISS).one_way)


def test_differences_between_fields_are_neither_quality_nor_noise() -> None:
    table = SHROUT_FLEISS.tolist()
    higher = (SHROUT_FLEISS + 100).tolist()
    assert one_way_icc([table, higher]) == pytest.approx(one_way_icc([table, table]))


def test_the_unbalanced_correlation_finds_what_was_put_in() -> None:
    random, found = rng(), []
    for _ in range(10):
        quality = random.normal(size=1000)
        fields = [[[q + random.normal() * 2 for _ in range(random.integers(1, 5))] for q in quality]]
        found.append(one_way_icc(fields))
    assert np.mean(found) == pytest.approx(1 / 5, abs=0.025)  # three standard errors
    assert one_way_icc([[[1.0, 2.0]]]) is None


@given(weak_order, st.data())
def test_tau_is_scipys_whatever_the_ties(first: list[int], data: st.DataObject) -> None:
    second = data.draw(st.lists(st.integers(0, 4), min_size=len(first), max_size=len(first)))
    ours = kendall_tau(dict(enumerate_(first)), dict(enumerate_(second)))
    theirs = kendalltau(first, second, variant="b").statistic if len({*first}) > 1 and len({*second}) > 1 else None
    assert (ours is None and theirs is None) or ours == pytest.approx(theirs)


def enumerate_(places: list[int]) -> list[tuple[str, float]]:
    return [(str(card), float(place)) for card, place in enumerate(places)]


@given(weak_order)
def test_an_order_agrees_with_itself_and_names_do_not_matter(places: list[int]) -> None:
    cards = dict(enumerate_(places))
    renamed = {f"card {9 - int(card)}": place for card, place in cards.items()}
    own = kendall_tau(cards, cards)
    assert own == (None if len(set(places)) == 1 else 1.0)
    assert compare(renamed, renamed) == compare(cards, cards)


def test_shares_count_pairs_by_hand() -> None:
    # ab: same; ac: opposite; ad: tied by one; bc: tied by the other; bd, cd: same
    found = compare({"a": 0, "b": 1, "c": 2, "d": 0, "x": 5}, {"a": 1, "b": 2, "c": 0, "d": 1, "y": 1})
    pairs = list(itertools.combinations("abcd", 2))
    assert found.pairs == len(pairs) == 6
    assert (found.first, found.second) == (5, 5)
    assert (found.same, found.opposite) == (2, 3)  # ab and bd; ac, bc and cd; ad is tied by both
    assert found.alike == pytest.approx((2 + 0.5) / 6)


def test_only_the_last_ranking_of_an_expert_counts_between_experts_and_all_count_within() -> None:
    found = only([ranking("Ada", "d", "c", "b", "a"), ranking("Bo", *"abcd"), ranking("Ada", *"abcd")])
    assert found.tau is not None and found.tau.value == 1.0
    assert found.within is not None and found.within.value == -1.0
    assert (found.experts, found.sheets, found.pairs, found.within_pairs) == (2, 1, 6, 6)


def test_cards_shown_again_tell_whether_an_expert_agrees_with_themselves() -> None:
    before, after = ranking("Ada", *"abxy", sheet="s"), ranking("Ada", *"pqba", sheet="t")
    found = only([before, after])
    assert found.tau is None and found.within is not None
    assert (found.within.value, found.within_pairs) == (-1.0, 1)
    assert "nothing is known" in told(found)


def test_places_are_shares_and_ties_have_their_middle() -> None:
    assert shares(ranking("Ada", "a", "bc", "d")) == {"a": 0.125, "b": 0.5, "c": 0.5, "d": 0.875}


def test_criteria_are_told_apart_and_ties_are_counted() -> None:
    said = [ranking("Ada", "ab", "cd"), ranking("Bo", "a", "bcd"), ranking("Ada", *"abcd", criterion="insightful")]
    creative, insightful = agreements(said, rng())
    assert creative.ties == pytest.approx((2 + 3) / 12)
    assert (insightful.criterion, insightful.tau, insightful.ties) == ("insightful", None, 0)
    assert creative.alike_untied == 1.0


def simulated(noise_sd: float, items: int, raters: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    quality = random.normal(size=items)
    return quality, quality + noise_sd * random.normal(size=(raters, items))


@pytest.mark.parametrize("noise_sd", [0.5, 1.0, 2.0])
def test_the_ceiling_is_what_a_perfect_model_reaches(noise_sd: float) -> None:
    quality, scores = simulated(noise_sd, items=1500, raters=12)
    between = np.mean([kendalltau(a, b).statistic for a, b in itertools.combinations(scores, 2)])
    perfect = np.mean([kendalltau(quality, score).statistic for score in scores])
    assert ceiling(float(between)) == pytest.approx(perfect, abs=0.02)
    assert rater_noise(float(between), 0.1).noise_sd == pytest.approx(noise_sd, rel=0.05)
    assert correlation(float(between)) == pytest.approx(1 / (1 + noise_sd**2), abs=0.03)


def test_experts_who_do_not_agree_leave_nothing_to_reach() -> None:
    assert ceiling(-0.3) == ceiling(0.0) == 0.0
    assert ceiling(1.0) == pytest.approx(1.0)
    found = only([ranking("Ada", *"abcd"), ranking("Bo", *"dcba")])
    assert found.ceiling is not None and found.ceiling.value == 0.0
    assert "no better than chance" in told(found)
    with pytest.raises(InputError, match=r"tau between experts is -1\.000, but only experts who agree better"):
        _ = found.rater


def brute(fields: dict[str, dict[str, list[float]]]) -> tuple[float, float]:
    """Return the share ordered alike and tau-b over all choices of two reviews of each of two items."""
    alike, cross, ordered = [], [], []
    for items in fields.values():
        for a, b in itertools.combinations(items.values(), 2):
            if min(len(a), len(b)) < 2:
                continue
            products = []
            for i, k in itertools.permutations(range(len(a)), 2):
                for j, m in itertools.permutations(range(len(b)), 2):
                    products.append(np.sign(a[i] - b[j]) * np.sign(a[k] - b[m]))
            cross.append(np.mean(products))
            alike.append(0.5 + np.mean(products) / 2)
            ordered.append(np.mean([a_i != b_j for a_i in a for b_j in b]))
    return float(np.mean(alike)), float(np.sum(cross) / np.sum(ordered))


def test_scores_without_names_are_compared_over_all_choices_of_reviews() -> None:
    random = rng()
    fields = {
        field: {str(i): random.integers(1, 6, size=random.integers(1, 5)).tolist() for i in range(7)} for field in "pq"
    }
    found = score_agreement("novelty", fields, rng())
    alike, tau = brute(fields)
    assert found.alike is not None and found.tau is not None
    assert found.alike.value == pytest.approx(alike)
    assert found.tau.value == pytest.approx(tau)
    assert found.alike.low < found.alike.value < found.alike.high


def test_scores_of_the_rater_model_give_its_correlation_back() -> None:
    _, scores = simulated(1.0, items=150, raters=3)
    found = score_agreement("x", {"f": {str(i): list(column) for i, column in enumerate(scores.T)}}, rng())
    assert found.rho is not None and found.icc is not None
    assert found.rho.low < 0.5 < found.rho.high
    assert found.icc == pytest.approx(0.5, abs=0.1)


def test_scores_that_nobody_repeated_tell_nothing() -> None:
    found = score_agreement("x", {"f": {"a": [1.0], "b": [2.0]}}, rng())
    assert (found.pairs, found.tau, found.alike, found.icc) == (0, None, None, None)


def test_the_same_generator_gives_the_same_interval_and_it_covers() -> None:
    random = np.random.default_rng(5)
    said = []
    for sheet in range(40):
        quality = random.normal(size=8)
        for expert in ("Ada", "Bo"):
            order = np.argsort(-(quality + random.normal(size=8)))
            said.append(ranking(expert, *(str(card) for card in order), sheet=str(sheet)))
    found = only(said)
    assert found == only(said)
    assert found.tau is not None
    assert found.tau.low < 2 / np.pi * np.arcsin(0.5) < found.tau.high
