"""How many are left is what published examples and brute-force mining say."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hunch.memory.expertise import Card, Ranking, Sheet
from hunch.memory.richness import chao1, coverage, expected_new, lognormal, mining_curve, sessions

SPIDERS = [46, 22, 17, 15, 15, 9, 8, 6, 6, 4, 2, 2, 2, 2, *[1] * 12]
"""Spiders under girdled hemlocks (Ellison et al. 2010), the example of iNEXT: 168 of 26 species."""


def counts(seen: int, once: int, twice: int) -> list[int]:
    return [1] * once + [2] * twice + [9] * (seen - once - twice)


@pytest.mark.parametrize(
    ("seen", "once", "twice", "estimate", "error"),
    [
        (93, 31, 18, 117.473684, 11.583785),
        (84, 31, 13, 117.214286, 15.918953),
        (90, 37, 12, 141.230769, 23.001405),
        (94, 27, 19, 111.55, 8.919663),
        (101, 36, 17, 136.0, 15.467344),
    ],
)
def test_chao1_is_what_vegan_says_of_trees(seen: int, once: int, twice: int, estimate: float, error: float) -> None:
    # estimateR(BCI[1:5, ]) in the manual of vegan; its errors come by the delta method and differ in the fourth digit
    found = chao1(counts(seen, once, twice))
    assert found.value == pytest.approx(estimate, abs=1e-6)
    unseen = estimate - seen
    assert_allclose(
        [found.low, found.high],
        [lognormal(seen, unseen, error**2).low, lognormal(seen, unseen, error**2).high],
        rtol=1e-3,
    )


def test_the_interval_is_what_inext_says_of_spiders() -> None:
    # 43.893 with a standard error of 14.306 and the interval 30.511 to 96.971, of Chao1 without correction of bias
    found = lognormal(26, 17.893, 14.306**2)
    assert_allclose([found.value, found.low, found.high], [43.893, 30.511, 96.971], atol=0.01)


def test_coverage_is_what_inext_says_of_spiders() -> None:
    assert coverage(SPIDERS) == pytest.approx(0.9289, abs=5e-5)
    assert coverage(SPIDERS, improved=False) == pytest.approx(1 - 12 / 168)


def test_nothing_met_is_nothing_known() -> None:
    curve = mining_curve([])
    assert (curve.seen, curve.coverage, curve.remaining.value, curve.next_new, curve.trusted) == (0, 0, 0, 0, False)


def test_when_all_was_met_often_nothing_remains() -> None:
    curve = mining_curve([["a", "b"]] * 10)
    assert (curve.remaining.value, curve.next_new, curve.coverage) == (0, 0, 1)
    assert curve.remaining.high < 0.1


def test_when_nothing_came_up_again_the_estimate_is_not_to_be_trusted() -> None:
    curve = mining_curve([["a", "b"], ["c"]])
    assert not curve.trusted
    assert [session.new for session in curve.sessions] == [2, 1]
    assert mining_curve([["a", "b"], ["a"]]).trusted


def test_the_curve_counts_sessions_by_hand() -> None:
    curve = mining_curve([["a", "a", "b"], ["b", "c"], []])
    assert [(one.accepted, one.new, one.total) for one in curve.sessions] == [(3, 2, 2), (2, 1, 3), (0, 0, 3)]
    assert (curve.seen, curve.once, curve.twice) == (3, 1, 2)


@pytest.mark.parametrize(("skew", "within"), [(0.0, 0.03), (1.0, 0.1)])  # where some are rare it is a lower bound
def test_what_is_foretold_is_what_mining_on_brings(skew: float, within: float) -> None:
    rng = np.random.default_rng(11)
    weights = 1 / np.arange(1, 121) ** skew
    weights /= weights.sum()
    foretold, found, covered, truth = [], [], [], []
    for _ in range(300):
        drawn = rng.choice(120, size=200, p=weights)
        before, after = drawn[:100], drawn[100:]
        met = list(Counter(before.tolist()).values())
        foretold.append(expected_new(met, 100))
        found.append(len(set(after) - set(before)))
        covered.append(coverage(met))
        truth.append(weights[np.unique(before)].sum())
    assert np.mean(foretold) == pytest.approx(np.mean(found), rel=within)
    assert np.mean(covered) == pytest.approx(np.mean(truth), abs=0.01)


def test_the_interval_holds_the_truth_where_all_are_equally_likely_and_is_a_lower_bound_elsewhere() -> None:
    rng = np.random.default_rng(12)
    held, low = [], []
    uneven = rng.lognormal(sigma=1.5, size=80)
    for _ in range(300):
        even = chao1(list(Counter(rng.integers(80, size=100).tolist()).values()))
        held.append(even.low <= 80 <= even.high)
        drawn = rng.choice(80, size=100, p=uneven / uneven.sum())
        low.append(chao1(list(Counter(drawn.tolist()).values())).value)
    assert np.mean(held) > 0.9
    assert np.mean(low) < 80


@given(st.lists(st.lists(st.integers(0, 9), max_size=8), max_size=6), st.permutations(range(10)))
def test_names_of_classes_do_not_matter_and_figures_stay_in_their_bounds(
    met: list[list[int]], other: list[int]
) -> None:
    curve = mining_curve(met)
    assert curve == mining_curve([[other[one] for one in session] for session in met])
    assert sum(session.new for session in curve.sessions) == curve.seen
    assert 0 <= curve.remaining.low <= curve.remaining.value <= curve.remaining.high
    assert 0 <= curve.next_new <= curve.remaining.value + 1e-9


def sheet(round: int, keys: str, repeated: str = "", field: str = "f") -> Sheet:
    return Sheet(
        field=field,
        question="q",
        round=round,
        cards=tuple(
            Card(key=key, text=f"text {key.lower()}", chosen="repeat" if key in repeated else "best") for key in keys
        ),
    )


def ranked(sheet: Sheet, order: str, accepted: int | None, expert: str = "Ada", criterion: str = "creative") -> Ranking:
    return Ranking(
        sheet_id=sheet.id, expert=expert, criterion=criterion, order=tuple((key,) for key in order), accepted=accepted
    )


def test_a_session_is_a_sheet_and_what_was_shown_again_on_purpose_was_not_met_again() -> None:
    first, second, third = sheet(0, "abc"), sheet(1, "abd", repeated="a"), sheet(2, "xy")
    said = [
        ranked(second, "abd", 2), ranked(first, "abc", 2), ranked(first, "bca", 1, criterion="insightful"),
        ranked(first, "cba", 1, expert="Bo"), ranked(third, "xy", None),
    ]  # fmt: skip
    assert sessions([second, first, third], said) == [["a", "b", "c"], ["b"]]
    assert sessions([first, second, third], said, expert="Ada") == [["a", "b"], ["b"]]
    assert sessions([first, second, third], said, criterion="insightful") == [["b"]]
    assert sessions([first, sheet(1, "abd", "a", "g")], said, field="f") == [["a", "b", "c"]]


def test_ideas_of_one_meaning_are_one_class() -> None:
    one, other = sheet(0, "ab"), sheet(1, "Bc")

    def classes(texts: list[str]) -> np.ndarray:
        return np.array([ord(text[-1]) for text in texts])

    met = sessions([one, other], [ranked(one, "ab", 2), ranked(other, "Bc", 2)], classes=classes)
    assert met == [[97, 98], [98, 99]]
