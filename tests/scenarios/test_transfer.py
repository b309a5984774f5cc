"""The transfer matrix: coefficients by hand, planted matrices found again, words that follow from intervals alone."""

from __future__ import annotations

import numpy as np
import pytest

from hunch.memory.reliability import Estimate
from hunch.scenarios import transfer
from hunch.scenarios.transfer import ACROSS, ASLANT, DOWN, RULE, UP, Floats

CELLS = ("A1", "A2", "B1", "B2")


def planted(up: float, down: float, across: float, aslant: float, *, noise: float = 0.01, seeds: int = 5) -> Floats:
    """Return gains that are 0.4 on the diagonal and these shares of it elsewhere."""
    share = {None: 1.0, UP: up, DOWN: down, ACROSS: across, ASLANT: aslant}
    table = np.array([[0.4 * share[transfer.class_of(i, j)] for j in CELLS] for i in CELLS])
    return table + np.random.default_rng(0).normal(0, noise, (seeds, 4, 4))


def test_every_route_has_one_class() -> None:
    classes = {(i, j): transfer.class_of(i, j) for i in CELLS for j in CELLS}
    assert classes["A1", "A1"] is None
    assert (classes["A1", "A2"], classes["B2", "B1"]) == (UP, DOWN)
    assert (classes["A1", "B1"], classes["A1", "B2"]) == (ACROSS, ASLANT)
    assert transfer.class_of("A4", "A1") == transfer.class_of("A2", "A4") == RULE
    assert transfer.class_of("A4", "B4") == ACROSS
    assert sum(map(len, transfer.routes(CELLS, CELLS).values())) == 12


def test_tau_is_the_ratio_of_the_means_by_hand() -> None:
    gains = np.array([[[0.4, 0.1], [0.2, 0.5]], [[0.2, 0.2], [0.1, 0.3]]])  # two seeds, A1 and A2
    cells = ("A1", "A2")
    found = transfer.taus(gains, cells, cells)
    up, down = found[UP], found[DOWN]
    assert up is not None and up.value == pytest.approx((0.1 + 0.2) / (0.5 + 0.3))
    assert down is not None and down.value == pytest.approx((0.2 + 0.1) / (0.4 + 0.2))
    assert set(found) == {UP, DOWN}
    seeds = transfer.by_seed(gains, cells, cells)
    assert seeds[UP] == pytest.approx([0.1 / 0.5, 0.2 / 0.3])


def test_where_a_cell_was_not_reinforced_its_levels_mean_stands_for_it() -> None:
    gains = np.array([[[0.4, 0.0, 0.1, 0.0], [0.0, 0.0, 0.0, 0.6]]])  # one seed; A1 and B2 were reinforced
    own = transfer.own_gains(gains, ("A1", "B2"), CELLS)
    assert own == pytest.approx(np.array([[0.4, 0.6, 0.4, 0.6]]))
    found = transfer.taus(gains, ("A1", "B2"), CELLS)[ACROSS]  # A1 to B1, B2 to A2
    assert found is not None and found.value == pytest.approx((0.1 + 0.0) / (0.4 + 0.6))


def test_a_level_of_which_no_cell_was_reinforced_has_no_routes() -> None:
    assert transfer.routes(("A1",), CELLS) == {ACROSS: [(0, 2)]}


def test_planted_transfer_is_found_within_its_interval() -> None:
    truth = {UP: 0.56, DOWN: 0.74, ACROSS: 0.0, ASLANT: -0.05}
    found = transfer.taus(planted(*truth.values()), CELLS, CELLS)
    for name, value in truth.items():
        estimate = found[name]
        assert estimate is not None and estimate.low <= value <= estimate.high
        assert estimate.high - estimate.low < 0.15


def test_intervals_hold_what_they_promise() -> None:
    """With seeds as independent draws, most 95 % intervals of the mean hold the truth; of few seeds, fewer."""
    rng = np.random.default_rng(1)
    held = [
        (found := transfer.mean_of(rng.normal(0.3, 0.1, (12, 1)), rng)).low <= 0.3 <= found.high for _ in range(200)
    ]
    assert 0.85 <= np.mean(held) <= 0.99


def test_where_direct_training_brings_nothing_tau_says_nothing() -> None:
    gains = planted(0.5, 0.5, 0, 0)
    gains[:, 1, 1] = gains[:, 3, 3] = np.array([-0.1, 0.1, 0.0, 0.05, -0.05])
    found = transfer.taus(gains, CELLS, CELLS)
    assert found[UP] is None and found[DOWN] is not None


def test_the_difference_of_two_taus_is_redrawn_together() -> None:
    gains = planted(0.5, 0.5, 0.1, 0.1, noise=0.05)
    same = transfer.tau_difference(gains, gains, CELLS, CELLS, ACROSS)
    assert same == Estimate(value=0, low=0, high=0)
    more = gains.copy()
    for i, j in transfer.routes(CELLS, CELLS)[ACROSS]:
        more[:, i, j] += 0.1
    found = transfer.tau_difference(more, gains, CELLS, CELLS, ACROSS)
    assert found is not None and found.value == pytest.approx(0.25, abs=0.03) and found.low > 0.2


def test_a_matrix_has_ones_on_its_diagonal() -> None:
    table = transfer.matrix(planted(0.5, 0.5, 0, 0), CELLS, CELLS)
    assert [table[i][i] for i in range(4)] == [Estimate(value=1, low=1, high=1)] * 4


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.3, 0.8, "flow"), (0.01, 0.1, "flow a little"), (-0.1, 0.1, "do not"), (-0.3, -0.1, "are lost"),
     (-0.1, -0.01, "are lost a little"),
     (-0.1, 0.3, "undecided")],
)  # fmt: skip
def test_the_words_follow_from_the_interval(low: float, high: float, said: str) -> None:
    assert transfer.verdict(Estimate(value=(low + high) / 2, low=low, high=high)) == said
    assert transfer.verdict(None) == "undecided"


@pytest.mark.parametrize(
    ("shares", "answer"),
    [
        ((0.6, 0.7, 0.0, 0.0), "a ladder within each field"),
        ((0.6, 0.7, 0.5, 0.5), "one capability: trained in one place"),
        ((0.0, 0.0, 0.0, 0.0), "a capability of its own"),
        ((0.6, 0.0, 0.0, 0.0), "decide for neither"),
    ],
)
def test_the_answer_is_computed(shares: tuple[float, float, float, float], answer: str) -> None:
    found = transfer.taus(planted(*shares), CELLS, CELLS)
    told = transfer.conclusions(found, found, "without shared vocabulary")
    assert len(told) == 4 + 1
    assert answer in told[-1]
    assert told[2].startswith("Across fields, to the same level (without shared vocabulary), ")
