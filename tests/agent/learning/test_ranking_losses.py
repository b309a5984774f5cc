"""Losses of rankings: against all orders, by hand, against autograd, against choix and against TRL's own code."""

from __future__ import annotations

import math
from itertools import combinations, permutations, product
from pathlib import Path
from typing import Any

import choix
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from torch import Tensor

from hunch.agent.learning import ranking_losses as losses

Order = list[list[int]]

places = st.lists(st.integers(0, 3), min_size=2, max_size=6)
wide = st.floats(-6, 6)


def probability(score: list[float], order: Order) -> float:
    """Return the probability of a weak order: over all orders of its ties, the product of its choices."""
    total = 0.0
    for orders in product(*(permutations(group) for group in order)):
        row = [card for group in orders for card in group]
        chances = [math.exp(score[row[i]]) / sum(math.exp(score[j]) for j in row[i:]) for i in range(len(row))]
        total += math.prod(chances)
    return total


def as_order(place: list[int]) -> Order:
    return [[card for card, at in enumerate(place) if at == rank] for rank in sorted(set(place))]


def one(score: list[float], place: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    return (
        torch.tensor([score], dtype=torch.float64),
        torch.tensor([place]),
        torch.ones(1, len(place), dtype=torch.bool),
    )


@settings(max_examples=60, deadline=None)
@given(places, st.data())
def test_a_weak_order_is_as_likely_as_all_its_orders_together(place: list[int], data: st.DataObject) -> None:
    score = data.draw(st.lists(wide, min_size=len(place), max_size=len(place)))
    expected = -math.log(probability(score, as_order(place)))
    assert losses.plackett_luce(*one(score, place)).item() == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_by_hand() -> None:
    score = [math.log(3), math.log(2), math.log(1)]
    assert losses.plackett_luce(*one(score, [0, 1, 2])).item() == pytest.approx(math.log(3))  # 3/6 of 2/3
    tied = losses.plackett_luce(*one(score, [0, 0, 1])).item()
    assert tied == pytest.approx(-math.log(3 / 6 * 2 / 3 + 2 / 6 * 3 / 4), abs=1e-7)
    assert losses.bradley_terry(*one(score, [0, 1, 2])).item() == pytest.approx(math.log(5 / 3 * 4 / 3 * 3 / 2))
    assert losses.bradley_terry(*one(score, [0, 0, 1])).item() == pytest.approx(math.log(4 / 3 * 3 / 2))
    assert losses.choices(*one(score, [0, 0, 1])[1:]).item() == losses.pairs(*one(score, [0, 0, 1])[1:]).item() == 2


@given(wide, wide, wide, wide, st.floats(0.01, 2))
def test_of_two_cards_plackett_luce_bradley_terry_and_dpo_are_one(
    a: float, b: float, c: float, d: float, beta: float
) -> None:
    policy, reference = torch.tensor([[a, b]], dtype=torch.float64), torch.tensor([[c, d]], dtype=torch.float64)
    place, mask = torch.tensor([[0, 1]]), torch.ones(1, 2, dtype=torch.bool)
    pair = losses.dpo(policy[:, 0], policy[:, 1], reference[:, 0], reference[:, 1], beta)
    assert_allclose(losses.listwise_dpo(policy, reference, place, mask, beta), pair, atol=1e-12)
    scores = losses.implicit_reward(policy, reference, beta)
    assert_allclose(losses.bradley_terry(scores, place, mask), pair, atol=1e-12)


@pytest.mark.parametrize("loss", [losses.plackett_luce, losses.bradley_terry])
@settings(max_examples=30, deadline=None)
@given(places, st.floats(-50, 50), st.integers(0, 9))
def test_what_is_added_to_all_scores_changes_nothing(loss: Any, place: list[int], by: float, seed: int) -> None:
    score = np.random.default_rng(seed).normal(size=len(place)).tolist()
    moved = [value + by for value in score]
    assert loss(*one(moved, place)).item() == pytest.approx(loss(*one(score, place)).item(), abs=1e-9)


@pytest.mark.parametrize("loss", [losses.plackett_luce, losses.bradley_terry])
@pytest.mark.parametrize("place", [[0], [0, 0, 0], [5, 5]], ids=str)
def test_one_card_or_none_told_apart_teaches_nothing(loss: Any, place: list[int]) -> None:
    score, at, mask = one([2.0, 0.0, 0.0][: len(place)], place)
    lost = loss(score.requires_grad_(), at, mask).sum()
    assert lost.item() == 0 and not torch.autograd.grad(lost, score)[0].any()


@pytest.mark.parametrize("loss", [losses.plackett_luce, losses.bradley_terry])
def test_cards_that_were_not_judged_count_for_nothing_and_lists_do_not_meet(loss: Any) -> None:
    torch.manual_seed(0)
    score = torch.randn(3, 5, dtype=torch.float64)
    place = torch.tensor([[0, 1, 1, 2, 9], [3, 0, 0, 1, 2], [0, 0, 0, 0, 1]])
    mask = torch.tensor([[1, 1, 1, 1, 0], [0, 1, 1, 1, 1], [1, 0, 1, 0, 1]]).bool()
    alone = [loss(s[None, m], p[None, m], m[None, m]).item() for s, p, m in zip(score, place, mask, strict=True)]
    assert_allclose(loss(score, place, mask), alone, atol=1e-9)
    score.requires_grad_()
    (slope,) = torch.autograd.grad(loss(score, place, mask).sum(), score)
    assert not slope[~mask].any()


@pytest.mark.parametrize(
    ("loss", "curvature"),
    [
        (losses.plackett_luce, losses.plackett_luce_curvature),
        (losses.bradley_terry, losses.bradley_terry_curvature),
    ],
    ids=["plackett-luce", "bradley-terry"],
)
@pytest.mark.parametrize("tie", [1, 2, 4])
def test_curvatures_are_autograd_s(loss: Any, curvature: Any, tie: int) -> None:
    chance = torch.Generator().manual_seed(tie)
    score = 2 * torch.randn(4, 9, dtype=torch.float64, generator=chance)
    place = torch.stack([torch.randperm(9, generator=chance) // tie for _ in range(4)])
    mask = torch.rand(4, 9, generator=chance) > 0.2
    exact = torch.stack(
        [
            torch.autograd.functional.hessian(
                lambda row, i=i: loss(row[None], place[i : i + 1], mask[i : i + 1]).sum(), s
            )
            for i, s in enumerate(score)
        ]
    )
    assert_allclose(curvature(score, place, mask), exact, atol=1e-10)


def test_gradients_stay_finite_however_far_scores_are_apart() -> None:
    score = torch.tensor([[-200.0, 300.0, -90.0, 0.0, 100.0]], requires_grad=True)
    loss = losses.plackett_luce(score, torch.tensor([[0, 0, 0, 1, 2]]), torch.ones(1, 5, dtype=torch.bool))
    loss.sum().backward()
    assert loss.isfinite().all() and score.grad is not None and score.grad.isfinite().all()
    assert loss.item() == pytest.approx(300 + 190 + 100, abs=1)  # -200 and -90 before 100, and 0 before 100


def test_twenty_tied_cards_before_the_rest_are_as_likely_as_in_a_race() -> None:
    ahead = torch.linspace(-1, 2, 19, dtype=torch.float64)
    rng, w = np.random.default_rng(0), torch.exp(ahead).numpy()
    told = losses.log_all_before(ahead[None], torch.ones(1, 19, dtype=torch.bool)).exp().item()
    clocks = rng.exponential(1 / w, size=(400_000, 19)).max(1) < rng.exponential(size=400_000)
    assert told == pytest.approx(clocks.mean(), abs=4 * clocks.std() / 400_000**0.5)


def test_without_features_the_maximum_is_choix_s() -> None:
    rng, truth = np.random.default_rng(0), np.linspace(-1, 1, 6)
    orders = [np.argsort(-(truth + rng.gumbel(size=6))).tolist() for _ in range(60)]
    place = torch.tensor(np.argsort(orders, axis=1))
    mask, score = torch.ones(60, 6, dtype=torch.bool), torch.zeros(6, dtype=torch.float64, requires_grad=True)
    ascent = torch.optim.LBFGS([score], max_iter=200, tolerance_grad=1e-10, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        ascent.zero_grad()
        loss = losses.plackett_luce(score.expand(60, 6), place, mask).sum()
        loss.backward()
        return loss

    ascent.step(closure)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    ours = (score - score.mean()).detach().numpy()
    assert_allclose(ours, choix.ilsr_rankings(6, orders), atol=1e-4)
    assert_allclose(ours, choix.opt_rankings(6, orders, alpha=1e-9), atol=1e-3)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
def test_on_one_batch_dpo_is_trl_s_own_number(tmp_path: Path) -> None:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from hunch.agent.learning.preference import answer_logprobs
    from hunch.agent.learning.trl_bridge import starting
    from tests.agent.conftest import byte_tokenizer, tiny_gpt2

    tokenizer = byte_tokenizer()
    torch.manual_seed(0)
    policy, reference = tiny_gpt2().train(False), tiny_gpt2().train(False)
    answers = ["gold", "iron dust", "tin"]
    rows = [{"prompt": "what? ", "chosen": a, "rejected": b} for a, b in combinations(answers, 2)]
    trainer = DPOTrainer(
        model=policy, ref_model=reference, train_dataset=Dataset.from_list(rows), processing_class=starting(tokenizer),
        args=DPOConfig(
            output_dir=str(tmp_path), beta=0.3, use_cpu=True, bf16=False, gradient_checkpointing=False,
            report_to="none", disable_dropout=True, disable_tqdm=True, dataloader_pin_memory=False,
            per_device_train_batch_size=3,
        ),
    )  # fmt: skip
    theirs = trainer.compute_loss(trainer.model, next(iter(trainer.get_train_dataloader()))).item()
    encoded = [[*tokenizer(text)["input_ids"], 0] for text in answers]
    asked = tokenizer("what? ")["input_ids"]
    with torch.no_grad():
        ours, held = (answer_logprobs(model, asked, encoded, 0) for model in (policy, reference))
    first, second = map(list, zip(*combinations(range(3), 2), strict=True))
    assert losses.dpo(ours[first], ours[second], held[first], held[second], 0.3).mean().item() == pytest.approx(
        theirs, abs=1e-6
    )
    place, mask = torch.arange(3)[None], torch.ones(1, 3, dtype=torch.bool)
    pairs = losses.bradley_terry(losses.implicit_reward(ours, held, 0.3)[None], place, mask)
    assert pairs.item() / 3 == pytest.approx(theirs, abs=1e-6)
    assert abs(theirs - math.log(2)) > 0.01
