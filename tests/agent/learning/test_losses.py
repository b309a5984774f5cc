"""Losses and advantages: compared with loops, with expectations over all outcomes and with finite differences."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from hunch.agent.learning import losses
from hunch.agent.learning.losses import Advantage

ADVANTAGES = {
    "leave one out": losses.leave_one_out,
    "standardised": losses.standardised,
    "by successes": losses.by_successes,
}
rewards = st.floats(0, 10, allow_subnormal=False)
rounds = st.lists(st.tuples(rewards, st.integers(0, 3)), max_size=12)
"""Rewards with the group of each, in any order."""


def split(drawn: list[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([r for r, _ in drawn], float), np.array([g for _, g in drawn], np.int64)


@given(rounds)
def test_leave_one_out_is_the_reward_less_the_mean_of_the_others(drawn: list[tuple[float, int]]) -> None:
    by_hand = []
    for i, (reward, group) in enumerate(drawn):
        others = [r for j, (r, g) in enumerate(drawn) if g == group and j != i]
        by_hand.append(reward - statistics.fmean(others) if others else 0.0)
    assert_allclose(losses.leave_one_out(*split(drawn)), by_hand, atol=1e-9)


@given(rounds)
def test_standardised_is_in_units_of_the_group_s_deviation(drawn: list[tuple[float, int]]) -> None:
    by_hand = []
    for reward, group in drawn:
        all_of_it = [r for r, g in drawn if g == group]
        deviation = statistics.stdev(all_of_it) if len(all_of_it) > 1 else 0.0
        by_hand.append((reward - statistics.fmean(all_of_it)) / (deviation + 1e-4))
    assert_allclose(losses.standardised(*split(drawn)), by_hand, atol=1e-6)


@given(rounds)
def test_by_successes_weighs_a_group_by_its_mean(drawn: list[tuple[float, int]]) -> None:
    by_hand = []
    for reward, group in drawn:
        mean = statistics.fmean(r for r, g in drawn if g == group)
        by_hand.append((reward - mean) / mean if mean > 0 else 0.0)
    assert_allclose(losses.by_successes(*split(drawn)), by_hand, atol=1e-9)


def test_one_success_of_four_counts_three_and_two_of_four_count_one_each() -> None:
    reward, group = np.array([1.0, 0, 0, 0, 1, 1, 0, 0, 0, 0]), np.array([0] * 4 + [1] * 4 + [2] * 2)
    assert losses.by_successes(reward, group).tolist() == [3, -1, -1, -1, 1, 1, -1, -1, 0, 0]


@pytest.mark.parametrize("advantage", ADVANTAGES.values(), ids=ADVANTAGES.keys())
@settings(max_examples=40)
@given(rewards, st.integers(1, 300))
def test_equal_rewards_teach_exactly_nothing(advantage: Advantage, reward: float, count: int) -> None:
    assert not advantage(np.full(count, reward), np.zeros(count, np.int64)).any()


@pytest.mark.parametrize("advantage", ADVANTAGES.values(), ids=ADVANTAGES.keys())
@settings(max_examples=40)
@given(rounds)
def test_advantages_of_a_group_cancel_and_a_group_of_one_has_none(
    advantage: Advantage, drawn: list[tuple[float, int]]
) -> None:
    reward, group = split(drawn)
    found = advantage(reward, group)
    for which in set(group.tolist()):
        assert found[group == which].sum() == pytest.approx(0, abs=1e-6)
        assert (group == which).sum() > 1 or not found[group == which].any()


def test_below_the_cap_importance_weights_turn_one_expectation_into_the_other_and_above_it_into_the_capped_one() -> (
    None
):
    policy, sampler = torch.tensor([0.5, 0.3, 0.15, 0.05]).log(), torch.tensor([0.3, 0.3, 0.2, 0.2]).log()
    value = torch.tensor([1.0, -2.0, 5.0, 3.0])
    expected = float((policy.exp() * value).sum())  # 0.8
    unbiased = (sampler.exp() * losses.importance(policy, sampler, cap=2.0) * value).sum()
    assert float(unbiased) == pytest.approx(expected) == pytest.approx(0.8)
    capped = (sampler.exp() * losses.importance(policy, sampler, cap=1.2) * value).sum()
    assert float(capped) == pytest.approx(0.8 - (0.5 - 0.3 * 1.2) * 1.0)


def test_an_importance_weight_beyond_all_numbers_is_the_cap() -> None:
    assert losses.importance(torch.tensor([0.0]), torch.tensor([-1e4]), cap=2.0).tolist() == [2.0]


def test_while_the_policy_is_the_one_that_drew_the_gradient_is_reinforce_s() -> None:
    theta = torch.tensor([0.2, -0.5, 1.0, 0.3], dtype=torch.float64, requires_grad=True)
    said, advantage = torch.tensor([0, 2, 2, 3, 1]), torch.tensor([1.0, -0.5, 0.25, 2.0, -1.0], dtype=torch.float64)
    weight = torch.tensor([1.0, 0.5, 2.0, 1.5, 1.0], dtype=torch.float64)

    def loss_at(there: torch.Tensor) -> torch.Tensor:
        now, old = there.log_softmax(0)[said], theta.detach().log_softmax(0)[said]
        return losses.clipped_surrogate(now, old, advantage, weight, 0.2)

    (gradient,) = torch.autograd.grad(loss_at(theta), theta)
    chance = theta.detach().softmax(0)
    score = torch.nn.functional.one_hot(said, 4) - chance  # grad log pi(y)
    reinforce = -(weight * advantage).unsqueeze(-1).mul(score).mean(0)
    assert_allclose(gradient, reinforce, atol=1e-12)
    step = 1e-6 * torch.eye(4, dtype=torch.float64)
    differences = [(loss_at(theta.detach() + e) - loss_at(theta.detach() - e)).item() / 2e-6 for e in step]
    assert_allclose(gradient, differences, atol=1e-8)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope"),
    [
        (1.5, 1.0, -1.2, 0.0),  # gone far enough
        (0.5, 1.0, -0.5, -0.5),
        (1.5, -1.0, 1.5, 1.5),
        (0.5, -1.0, 0.8, 0.0),  # gone far enough
        (1.1, 2.0, -2.2, -2.2),
    ],
)
def test_the_clip_stops_what_has_gone_far_enough_and_nothing_else(
    ratio: float, advantage: float, loss: float, slope: float
) -> None:
    now = torch.tensor([math.log(ratio)], dtype=torch.float64, requires_grad=True)
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    found = losses.clipped_surrogate(now, zero, one * advantage, one, 0.2)
    assert found.item() == pytest.approx(loss)
    assert torch.autograd.grad(found, now)[0].item() == pytest.approx(slope)


def test_the_mean_of_k3_over_tokens_as_the_policy_draws_them_is_the_divergence() -> None:
    policy, reference = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.25, 0.25, 0.5])
    said = torch.tensor([0] * 5 + [1] * 3 + [2] * 2)  # ten draws in the policy's own proportions
    found = losses.kl_to_reference(policy.log()[said, None], reference.log()[said, None], torch.ones(10, 1))
    by_hand = 0.5 * math.log(2) + 0.3 * math.log(1.2) + 0.2 * math.log(0.4)
    assert float(found) == pytest.approx(by_hand, abs=1e-6)


@given(st.lists(st.tuples(st.floats(-9, 0), st.floats(-9, 0)), min_size=1, max_size=6))
def test_k3_is_never_negative_and_zero_where_both_agree(pairs: list[tuple[float, float]]) -> None:
    both = torch.tensor(pairs, dtype=torch.float64)
    ones = torch.ones(1, len(pairs))
    assert float(losses.kl_to_reference(both[None, :, 0], both[None, :, 1], ones)) >= 0
    assert float(losses.kl_to_reference(both[None, :, 0], both[None, :, 0], ones)) == 0


def test_divergence_and_entropy_are_means_per_token_and_padding_does_not_count() -> None:
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    ours = torch.tensor([[-1.0, -2.0], [-1.0, -7.0]])
    k3 = math.exp(-1) + 1 - 1  # of a gap of -1
    found = losses.kl_to_reference(ours, ours - torch.tensor([[1.0, 0.0], [0.0, 5.0]]), mask)
    assert float(found) == pytest.approx((k3 / 2 + 0) / 2)
    half = torch.tensor([0.5, 0.25, 0.25]).log()  # 1.5 bits
    sure = torch.tensor([0.0, -1e4, -1e4])
    logits = torch.stack([torch.stack([half, sure]), torch.stack([half + 3, half])])
    assert float(losses.entropy_of(logits, mask)) == pytest.approx((0.75 + 1.5) / 2 * math.log(2), abs=1e-6)
