"""Cut, heat, draw: compared with softmax, with frequencies and with plain forward passes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, PreTrainedModel

from hunch.agent.sampling import Samples, draw, sample, truncation
from hunch.memory.errors import InputError
from hunch.memory.records import Recipe

logits_of = st.lists(st.floats(-8, 8), min_size=2, max_size=12, unique_by=lambda value: round(value, 2))
recipes = st.builds(
    Recipe,
    temperature=st.sampled_from([0.5, 1.0, 5.0]),
    min_p=st.sampled_from([0.0, 0.05, 0.3]),
    top_p=st.sampled_from([0.5, 0.9, 1.0]),
    top_k=st.sampled_from([0, 1, 3]),
)


@pytest.fixture(scope="module")
def model(model_folder: Path) -> PreTrainedModel:
    loaded: PreTrainedModel = AutoModelForCausalLM.from_pretrained(model_folder)
    loaded.train(False)
    return loaded


def wild(logits: list[float], recipe: Recipe) -> torch.Tensor:
    """Return the distribution drawn from, (V,)."""
    row = torch.tensor([logits], dtype=torch.float64)
    cut: torch.Tensor = truncation(recipe)(torch.zeros(1, 1, dtype=torch.long), row)  # type: ignore[arg-type]  # unused
    return torch.softmax(cut[0] / recipe.temperature, -1)


def drawn(
    model: PreTrainedModel, prompts: list[list[int]], recipe: Recipe, *, most: int = 12, seed: int = 0
) -> Samples:
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in prompts])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in prompts])
    generator = torch.Generator().manual_seed(seed)
    return sample(model, ids, mask, recipe, most=most, end=0, pad=0, generator=generator)


def plain_logits(model: PreTrainedModel, prompt: list[int], tokens: list[int]) -> torch.Tensor:
    """Return the logits before each of ``tokens``, (T, V), from one forward pass without padding or cache."""
    with torch.no_grad():
        logits: torch.Tensor = model(input_ids=torch.tensor([[*prompt, *tokens]]), use_cache=False).logits[0]
    return logits[len(prompt) - 1 : -1].double()


@given(logits_of, st.sampled_from([0.5, 1.0, 5.0]))
def test_without_cuts_the_distribution_is_the_softmax_of_the_heated_logits(
    logits: list[float], temperature: float
) -> None:
    weights = [math.exp(value / temperature) for value in logits]
    assert wild(logits, Recipe(temperature=temperature)).tolist() == pytest.approx([w / sum(weights) for w in weights])


@given(logits_of, recipes)
def test_heat_does_not_change_what_can_be_drawn(logits: list[float], recipe: Recipe) -> None:
    cold = wild(logits, recipe.model_copy(update={"temperature": 1.0}))
    assert ((wild(logits, recipe) > 0) == (cold > 0)).all()


@given(logits_of, st.sampled_from([0.05, 0.3, 0.9]))
def test_min_p_keeps_what_is_at_least_that_share_of_the_likeliest(logits: list[float], min_p: float) -> None:
    kept = wild(logits, Recipe(temperature=5.0, min_p=min_p)) > 0
    ratio = torch.tensor(logits, dtype=torch.float64).sub(max(logits)).exp()
    clear = (ratio - min_p).abs() > 1e-6
    assert (kept[clear] == (ratio >= min_p)[clear]).all()


def test_tokens_are_drawn_as_often_as_they_are_likely_and_impossible_ones_never() -> None:
    chance = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0])
    count = 40_000
    tokens = draw(chance.expand(count, -1), torch.Generator().manual_seed(0))
    shares = torch.bincount(tokens, minlength=6) / count
    assert (shares[chance == 0] == 0).all()
    assert torch.allclose(shares, chance, atol=4 * math.sqrt(0.25 / count))  # four standard errors


@given(st.integers(0, 2**31), st.lists(st.floats(0, 1), min_size=1, max_size=8).filter(lambda row: sum(row) > 1e-3))
def test_what_has_no_chance_is_never_drawn_however_the_sum_rounds(seed: int, row: list[float]) -> None:
    chance = torch.tensor([row]).repeat(50, 1)
    tokens = draw(chance / chance.sum(-1, keepdim=True), torch.Generator().manual_seed(seed))
    assert (chance[0, tokens] > 0).all()


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(temperature=2.0, min_p=0.02), Recipe(top_p=0.8, top_k=20)])
def test_log_probabilities_and_entropy_equal_those_of_plain_forward_passes(
    model: PreTrainedModel, recipe: Recipe
) -> None:
    prompts = [[5], [7, 8, 9, 10, 11], [70, 80]]  # padded on the left within one batch
    out = drawn(model, prompts, recipe)
    for i, prompt in enumerate(prompts):
        tokens = out.tokens[i, : out.lengths[i]].tolist()
        logits = plain_logits(model, prompt, tokens)
        heated = torch.stack([wild(row.tolist(), recipe) for row in logits])
        at = torch.arange(len(tokens)), torch.tensor(tokens)
        assert out.model_logprob[i].item() == pytest.approx(logits.log_softmax(-1)[at].sum().item(), abs=1e-4)
        assert out.logprob[i].item() == pytest.approx(heated[at].log().sum().item(), abs=1e-4)
        assert out.entropy_nats[i].item() == pytest.approx(torch.special.entr(heated).sum(-1).mean().item(), abs=1e-4)


def test_after_the_end_nothing_is_counted(model: PreTrainedModel) -> None:
    out = drawn(model, [[7]] * 64, Recipe(temperature=3.0), most=40)
    for tokens, length in zip(out.tokens.tolist(), out.lengths.tolist(), strict=True):
        assert 0 not in tokens[: length - 1] and not any(tokens[length:])
        assert length == len(tokens) or tokens[length - 1] == 0
    assert len(set(out.lengths.tolist())) > 1


def test_the_same_seed_draws_the_same_and_torch_s_own_generator_is_left_alone(model: PreTrainedModel) -> None:
    before = torch.get_rng_state()
    one, other, third = (drawn(model, [[5], [7, 8]], Recipe(), seed=seed).tokens for seed in (1, 1, 2))
    assert torch.equal(one, other) and not torch.equal(one, third)
    assert torch.equal(torch.get_rng_state(), before)


def test_first_tokens_are_drawn_as_often_as_the_model_says(model: PreTrainedModel) -> None:
    count = 4000
    out = drawn(model, [[5]] * count, Recipe(), most=1)
    expected = plain_logits(model, [5], [0])[0].softmax(-1).numpy()
    shares = np.bincount(out.tokens[:, 0].numpy(), minlength=257) / count
    assert np.abs(shares - expected).max() < 4 * math.sqrt(0.25 / count)


def test_a_prompt_that_fills_the_model_is_refused_and_one_token_less_is_not(model: PreTrainedModel) -> None:
    with pytest.raises(InputError, match=r"64 tokens, but the model has room for 64.*shorten"):
        drawn(model, [[7] * 64], Recipe())
    assert drawn(model, [[7] * 63], Recipe()).tokens.shape == (1, 1)
