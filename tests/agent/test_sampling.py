"""Cut, heat, draw: compared with softmax, with frequencies and with plain forward passes."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    EtaLogitsWarper,
    LogitsProcessor,
    MinPLogitsWarper,
    PreTrainedModel,
    TemperatureLogitsWarper,
    TopHLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
    TypicalLogitsWarper,
)

from hunch.agent.perturbation import perturbed
from hunch.agent.processors import EntropyTarget, EntropyTemperature, ExcludeTopChoices, PLess, TopNSigma
from hunch.agent.recipe import is_plain, shaped
from hunch.agent.sampling import Samples, draw, sample
from hunch.memory.errors import InputError
from hunch.memory.records import Perturbation, Recipe

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


def wild(logits: list[float], recipe: Recipe) -> Tensor:
    """Return the distribution drawn from, (V,)."""
    row = torch.tensor([logits], dtype=torch.float64)
    return shaped(recipe, row, torch.zeros(1, dtype=torch.float64))[0].softmax(-1)


def padded(prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, prompts))
    ids = torch.tensor([[0] * (longest - len(row)) + [*row] for row in prompts])
    return ids, torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in prompts])


def drawn(
    model: PreTrainedModel, prompts: list[list[int]], recipe: Recipe, *, most: int = 12, seed: int = 0
) -> Samples:
    seeds = range(seed * 10_000, seed * 10_000 + len(prompts))
    return sample(model, *padded(prompts), [recipe] * len(prompts), seeds, most=most, end=0, pad=0)


def plain_logits(model: PreTrainedModel, prompt: list[int], tokens: list[int]) -> Tensor:
    """Return the logits before each of ``tokens``, (T, V), from one forward pass without padding or cache."""
    with torch.no_grad():
        logits: Tensor = model(input_ids=torch.tensor([[*prompt, *tokens]]), use_cache=False).logits[0]
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
    tokens = draw(chance.expand(count, -1), uniform(0, count))
    shares = torch.bincount(tokens, minlength=6) / count
    assert (shares[chance == 0] == 0).all()
    assert torch.allclose(shares, chance, atol=4 * math.sqrt(0.25 / count))  # four standard errors


def uniform(seed: int, count: int) -> Tensor:
    return torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


chances = st.lists(st.floats(0, 1), min_size=1, max_size=60).filter(lambda row: sum(row) > 1e-3)


@given(st.integers(0, 2**31), chances)
def test_what_has_no_chance_is_never_drawn_however_the_sum_rounds(seed: int, row: list[float]) -> None:
    chance = torch.tensor([row]).repeat(50, 1)
    numbers = torch.cat([uniform(seed, 48), torch.tensor([0.0, math.nextafter(1.0, 0.0)], dtype=torch.float64)])
    tokens = draw(chance / chance.sum(-1, keepdim=True), numbers)
    assert (chance[0, tokens] > 0).all()


@given(chances, st.floats(0, 1, exclude_max=True))
def test_a_number_is_looked_up_in_the_cumulative_distribution(row: list[float], number: float) -> None:
    total = list(accumulate(row))
    first, last = (bisect_right(total, number * total[-1] + by) for by in (-1e-12, 1e-12))  # sums round in any order
    (token,) = draw(torch.tensor([row], dtype=torch.float64), torch.tensor([number], dtype=torch.float64)).tolist()
    assert first <= token <= last and row[token] > 0


KINDS: dict[str, tuple[Recipe, list[LogitsProcessor]]] = {
    "plain": (Recipe(), []),
    "temperature": (Recipe(temperature=2.0), [TemperatureLogitsWarper(2.0)]),
    "min_p": (Recipe(temperature=2.0, min_p=0.02), [MinPLogitsWarper(0.02), TemperatureLogitsWarper(2.0)]),
    "top_p": (Recipe(top_p=0.8), [TopPLogitsWarper(0.8)]),
    "top_k": (Recipe(top_k=20), [TopKLogitsWarper(20)]),
    "top_h": (Recipe(top_h=0.7), [TopHLogitsWarper(0.7)]),
    "typical_p": (Recipe(typical_p=0.8), [TypicalLogitsWarper(0.8)]),
    "eta": (Recipe(eta=0.01), [EtaLogitsWarper(0.01)]),
    "top_n_sigma": (Recipe(temperature=3.0, top_n_sigma=1.0), [TopNSigma(1.0), TemperatureLogitsWarper(3.0)]),
    "p_less": (Recipe(temperature=3.0, p_less=True), [PLess(), TemperatureLogitsWarper(3.0)]),
    "xtc": (Recipe(xtc_threshold=0.05, xtc_probability=1.0), [ExcludeTopChoices(0.05)]),
    "edt": (Recipe(temperature=1.5, edt_theta=1.0), [EntropyTemperature(1.5, 1.0)]),
    "entropy": (Recipe(min_p=0.02, entropy_target=1.5), [MinPLogitsWarper(0.02), EntropyTarget(1.5)]),
    "heat_first": (
        Recipe(temperature=2.0, min_p=0.05, heat_first=True),
        [TemperatureLogitsWarper(2.0), MinPLogitsWarper(0.05)],
    ),
    "several": (Recipe(top_p=0.9, top_k=30, p_less=True), [TopPLogitsWarper(0.9), TopKLogitsWarper(30), PLess()]),
}
PUSHES: dict[str, Perturbation] = {
    "noise": Perturbation(kind="noise", strength=0.3),
    "embed": Perturbation(kind="embed", strength=0.3),
    "add": Perturbation(kind="add", strength=0.5, layers=(0,), direction="v"),
    "rotate": Perturbation(kind="rotate", strength=0.7, layers=(-1,), direction="v"),
    "ablate": Perturbation(kind="ablate", strength=1.0, direction="v"),
}
DIRECTIONS = {"v": torch.randn(16, generator=torch.Generator().manual_seed(1))}
PROMPTS = [[5], [7, 8, 9, 10, 11], [70, 80], [5]]


@pytest.mark.parametrize(
    ("kind", "push"), [*((kind, None) for kind in KINDS), *(("several", push) for push in PUSHES)], ids=str
)
def test_each_token_is_drawn_from_what_plain_forward_passes_and_processors_give(
    model: PreTrainedModel, kind: str, push: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, processors = KINDS[kind]
    recipe = recipe.model_copy(update={"perturbation": PUSHES[push] if push else None})
    steps: list[Tensor] = []
    monkeypatch.setattr(
        "hunch.agent.sampling.draw",
        lambda chance, u: steps.append(chance / chance.sum(-1, keepdim=True)) or draw(chance, u),
    )
    seeds = [3, 2**61, 5, 6]
    out = sample(model, *padded(PROMPTS), [recipe] * 4, seeds, most=6, end=0, pad=0, directions=DIRECTIONS)
    for i, prompt in enumerate(PROMPTS):
        tokens = out.tokens[i, : out.lengths[i]].tolist()
        plain = plain_logits(model, prompt, tokens)
        with perturbed(model, [recipe.perturbation], [seeds[i]], DIRECTIONS):
            scores = plain_logits(model, prompt, tokens).float()
        for processor in processors:
            scores = processor(torch.zeros(1, 1, dtype=torch.long), scores)  # type: ignore[arg-type]  # only names
        expected = scores.softmax(-1)
        found = torch.stack([step[i] for step in steps[: len(tokens)]])
        assert torch.allclose(found, expected, atol=1e-5)
        at = torch.arange(len(tokens)), torch.tensor(tokens)
        assert out.logprob[i].item() == pytest.approx(expected[at].log().sum().item(), abs=1e-4)
        assert out.model_logprob[i].item() == pytest.approx(plain.log_softmax(-1)[at].sum().item(), abs=1e-4)


def test_xtc_takes_the_row_s_own_second_number_at_each_token(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, prompts = Recipe(xtc_threshold=0.05, xtc_probability=0.5), [[5]] * 16
    steps: list[Tensor] = []
    monkeypatch.setattr(
        "hunch.agent.sampling.draw",
        lambda chance, u: steps.append(chance / chance.sum(-1, keepdim=True)) or draw(chance, u),
    )
    out = sample(model, *padded(prompts), [recipe] * 16, range(16), most=4, end=0, pad=0)
    acted = []
    for i, prompt in enumerate(prompts):
        numbers = torch.rand(4, 2, generator=torch.Generator().manual_seed(i), dtype=torch.float64)[:, 1]
        p = plain_logits(model, prompt, out.tokens[i, : out.lengths[i]].tolist()).softmax(-1)
        for step, row in enumerate(p):
            if (row >= 0.05).sum() > 1:
                assert (steps[step][i].argmax() != row.argmax()) == bool(numbers[step] < 0.5)
                acted.append(bool(numbers[step] < 0.5))
    assert set(acted) == {True, False}


def test_a_recipe_is_plain_exactly_when_its_distribution_is_the_model_s(model: PreTrainedModel) -> None:
    logits = plain_logits(model, [5], [1, 2, 3]).float()
    for recipe, _ in KINDS.values():
        heated = shaped(recipe, logits, torch.zeros(3, dtype=torch.float64))
        assert is_plain(recipe) == torch.equal(heated, logits)
    assert is_plain(Recipe(heat_first=True, xtc_probability=0.9, seed_prefix=3))


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
