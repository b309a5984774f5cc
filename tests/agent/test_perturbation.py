"""Pushes: formulas against loops over a layer's output, in six architectures and through an adapter."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hunch.agent.generator import CausalGenerator
from hunch.agent.lora import add_adapter
from hunch.agent.perturbation import layers_of, perturbed
from hunch.agent.sampling import sample
from hunch.memory.errors import InputError
from hunch.memory.records import Perturbation, Recipe, Spark
from tests.agent.conftest import (
    tiny_gemma,
    tiny_gpt2,
    tiny_llama,
    tiny_mistral,
    tiny_mixtral,
    tiny_qwen3,
    written,
)

# PEFT 0.21 asks transformers 5.23 by an old name
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

V = torch.randn(16, generator=torch.Generator().manual_seed(1))
V /= V.norm()
IDS = torch.tensor([[5, 6, 7, 8], [70, 80, 90, 100], [1, 2, 3, 4]])
PUSHES = {
    "noise": Perturbation(kind="noise", strength=0.3),
    "embed": Perturbation(kind="embed", strength=0.3),
    "add": Perturbation(kind="add", strength=0.5, direction="v"),
    "rotate": Perturbation(kind="rotate", strength=0.7, direction="v"),
    "ablate": Perturbation(kind="ablate", strength=0.6, direction="v"),
}
every_kind = pytest.mark.parametrize("kind", PUSHES)
ARCHITECTURES: dict[str, tuple[Callable[[], PreTrainedModel], str, bool]] = {
    "gpt2": (tiny_gpt2, "GPT2Block", False),
    "llama": (tiny_llama, "LlamaDecoderLayer", False),
    "qwen3": (tiny_qwen3, "Qwen3DecoderLayer", False),
    "mistral": (tiny_mistral, "MistralDecoderLayer", False),
    "gemma": (tiny_gemma, "GemmaDecoderLayer", False),
    "mixtral": (tiny_mixtral, "MixtralDecoderLayer", False),
    "gpt2-adapted": (tiny_gpt2, "GPT2Block", True),
    "llama-adapted": (tiny_llama, "LlamaDecoderLayer", True),
}


def loaded(name: str, folder: Path) -> CausalGenerator:
    """Return a generator loaded from a folder, its adapter, if it has one, no longer the identity."""
    made, _, adapted = ARCHITECTURES[name]
    generator = CausalGenerator.from_pretrained(written(made, folder), most_tokens=5)
    if adapted:
        add_adapter(generator, rank=2)
        for weight_name, weight in generator.model.named_parameters():
            if "lora_" in weight_name:
                weight.data = 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel()))
    generator.model.train(False)
    generator.directions["v"] = V
    return generator


ALWAYS = ("gpt2", "mixtral", "llama-adapted")
"""The others take as long again and are like one of these; their layers are always looked for."""


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=[] if name in ALWAYS else [pytest.mark.slow]) for name in ARCHITECTURES],
)
def generator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CausalGenerator:
    return loaded(request.param, tmp_path_factory.mktemp("model"))


@pytest.fixture
def model(generator: CausalGenerator) -> PreTrainedModel:
    return generator.model


def at(kind: str, **changes: object) -> Perturbation:
    return PUSHES[kind].model_copy(update=changes)


def logits(model: PreTrainedModel, ids: Tensor = IDS) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(input_ids=ids, use_cache=False).logits
    return found


def pushed_logits(model: PreTrainedModel, push: Perturbation | None, ids: Tensor = IDS, seed: int = 3) -> Tensor:
    with perturbed(model, [push] * len(ids), [seed] * len(ids), {"v": V}):
        return logits(model, ids)


def seen_by(module: nn.Module, act: Callable[[], object], *, output: bool) -> Tensor:
    """Return what a module gets, or else what it gives, while ``act`` runs."""
    seen: list[Tensor] = []

    def keep(_: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor], given: Any = None) -> None:
        got = given if output else args[0] if args else kwargs["hidden_states"]
        seen.append((got[0] if isinstance(got, tuple) else got).clone())

    hook: Any = (
        module.register_forward_hook(keep, with_kwargs=True)
        if output
        else module.register_forward_pre_hook(keep, with_kwargs=True)
    )
    act()
    hook.remove()
    return seen[0]


def changed(model: PreTrainedModel, push: Perturbation, seed: int = 3) -> tuple[Tensor, Tensor]:
    """Return what the first layer gives in the plain model, and what the second then gets in the pushed one."""
    first, second = layers_of(model)
    plain = seen_by(first, lambda: logits(model), output=True)
    return plain, seen_by(second, lambda: pushed_logits(model, push, seed=seed), output=False)


def hooks(model: PreTrainedModel) -> int:
    return sum(len(module._forward_hooks) for module in model.modules())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_layers_are_the_blocks_of_the_model_and_can_be_pushed(name: str, tmp_path: Path) -> None:
    model = loaded(name, tmp_path).model
    assert [type(layer).__name__ for layer in layers_of(model)] == [ARCHITECTURES[name][1]] * 2
    plain, after = changed(model, at("ablate", strength=1.0))
    assert (after @ V).abs().max() < 1e-5 * plain.norm(dim=-1).max() < (plain @ V).abs().max()


@every_kind
def test_strength_0_is_the_plain_model_to_the_last_bit(model: PreTrainedModel, kind: str) -> None:
    assert torch.equal(pushed_logits(model, at(kind, strength=0.0)), logits(model))
    assert torch.equal(pushed_logits(model, None), logits(model))


def by_hand(kind: str, a: float, h: Tensor, e: Tensor) -> Tensor:
    """Return a state, (D,), after a push: the papers' formulas, one number after another."""
    size = math.sqrt(sum(x * x for x in h.tolist()))
    along = sum(x * y for x, y in zip(h.tolist(), V.tolist(), strict=True))
    if kind == "noise":
        return torch.tensor([x + a * size * y / math.sqrt(16) for x, y in zip(h.tolist(), e.tolist(), strict=True)])
    if kind == "add":
        return torch.tensor([x + a * size * y for x, y in zip(h.tolist(), V.tolist(), strict=True)])
    if kind == "ablate":
        return torch.tensor([x - a * along * y for x, y in zip(h.tolist(), V.tolist(), strict=True)])
    aside = [y - along / size * x / size for x, y in zip(h.tolist(), V.tolist(), strict=True)]
    width = math.sqrt(sum(x * x for x in aside))
    return torch.tensor(
        [size * (math.cos(a) * x / size + math.sin(a) * y / width) for x, y in zip(h.tolist(), aside, strict=True)]
    )


@pytest.mark.parametrize("kind", ["noise", "add", "rotate", "ablate"])
def test_a_layer_s_output_is_changed_by_the_formula(model: PreTrainedModel, kind: str) -> None:
    push = at(kind, layers=(0,))
    plain, after = changed(model, push)
    gap = (after - plain)[0, 0] / plain[0, 0].norm() / push.strength * math.sqrt(16)  # noise, and only it, is this
    for row, pushed_row in zip(plain, after, strict=True):
        for h, moved in zip(row, pushed_row, strict=True):
            assert torch.allclose(moved, by_hand(kind, push.strength, h, gap), atol=1e-4 * (1 + h.norm().item()))


def test_embeddings_are_moved_by_noise_of_their_own_size(model: PreTrainedModel) -> None:
    embedding = model.get_input_embeddings()
    plain = seen_by(embedding, lambda: logits(model), output=True)
    push, seen = PUSHES["embed"], []
    with perturbed(model, [push] * 3, [3] * 3):
        hook = embedding.register_forward_hook(lambda _, __, given: seen.append(given))
        logits(model)
        hook.remove()
    noise = (seen[0] - plain) / plain.norm(dim=-1, keepdim=True) / push.strength
    assert torch.allclose(noise, noise[0, 0].expand_as(noise), atol=1e-4)  # one thought, held
    assert not torch.allclose(pushed_logits(model, push), logits(model), atol=1e-2)


def test_ablation_leaves_nothing_along_the_direction(model: PreTrainedModel) -> None:
    plain, after = changed(model, at("ablate", strength=1.0))
    assert (after @ V).abs().max() < 1e-5 * plain.norm(dim=-1).max() < (plain @ V).abs().max()
    assert torch.allclose(after, plain - (plain @ V)[..., None] * V, atol=1e-5 * plain.norm(dim=-1).max().item())


@pytest.mark.parametrize("a", [0.2, 1.0, -0.5])
def test_rotation_keeps_the_norm_and_turns_by_its_angle_towards_the_direction(model: PreTrainedModel, a: float) -> None:
    plain, after = (states.double() for states in changed(model, at("rotate", strength=a)))
    assert torch.allclose(after.norm(dim=-1), plain.norm(dim=-1), rtol=1e-4)
    turned = nn.functional.cosine_similarity(plain, after, dim=-1).clamp(-1, 1).acos()
    assert torch.allclose(turned, torch.full_like(turned, abs(a)), atol=1e-3)
    before, then = (
        nn.functional.cosine_similarity(states, V.double().expand_as(states), dim=-1).clamp(-1, 1).acos()
        for states in (plain, after)
    )
    assert torch.allclose(then, (before - a).abs(), atol=1e-3)


@every_kind
def test_after_the_block_and_after_an_exception_the_model_is_as_it_was(model: PreTrainedModel, kind: str) -> None:
    before, count = logits(model), hooks(model)
    assert not torch.equal(pushed_logits(model, PUSHES[kind]), before)
    assert torch.equal(logits(model), before)
    with pytest.raises(IndexError, match="out of"), perturbed(model, [PUSHES[kind]] * 4, [0] * 4, {"v": V}):
        logits(model)  # of three rows
    assert torch.equal(logits(model), before) and hooks(model) == count


@every_kind
def test_only_the_rows_asked_are_changed_each_by_its_own_seed(model: PreTrainedModel, kind: str) -> None:
    plain = logits(model)
    with perturbed(model, [None, PUSHES[kind], at(kind, strength=0.0)], [1, 2, 3], {"v": V}):
        found = logits(model)
    assert torch.allclose(found[::2], plain[::2], atol=1e-5)  # an expert's sums depend on who else comes to it
    assert torch.allclose(found[1], pushed_logits(model, PUSHES[kind], IDS[1:2], seed=2)[0], atol=1e-4)
    assert not torch.allclose(found[1], plain[1], atol=1e-2)


@pytest.mark.parametrize("kind", ["noise", "embed"])
def test_noise_follows_from_its_seed(model: PreTrainedModel, kind: str) -> None:
    chance = torch.get_rng_state()
    one, same, other = (pushed_logits(model, PUSHES[kind], seed=seed) for seed in (2**61, 2**61, 7))
    assert torch.equal(one, same) and not torch.allclose(one, other, atol=1e-2)
    assert torch.equal(torch.get_rng_state(), chance)


def test_each_layer_has_noise_of_its_own_and_of_the_expected_length(model: PreTrainedModel) -> None:
    gaps = []
    for seed in range(12):
        plain, after = changed(model, at("noise", layers=(0,)), seed=seed)
        gaps.append((after - plain)[0, 0] / plain[0, 0].norm() / 0.3)
    lengths = torch.stack(gaps).square().sum(-1)  # chi-square with 16 degrees over 16
    assert lengths.mean().item() == pytest.approx(1.0, abs=4 * math.sqrt(2 / 16 / 12))
    both = pushed_logits(model, PUSHES["noise"])
    assert not torch.allclose(both, pushed_logits(model, at("noise", layers=(0,))), atol=1e-2)
    assert torch.equal(both, pushed_logits(model, at("noise", layers=(0, -1, 1))))  # named twice, pushed once


@every_kind
def test_a_push_is_not_lost_under_the_key_value_cache(
    model: PreTrainedModel, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    push = PUSHES[kind]
    recipes = [Recipe(perturbation=push), Recipe(temperature=1.5), Recipe(perturbation=push)]
    steps: list[Tensor] = []

    def greedy(chance: Tensor, uniform: Tensor) -> Tensor:
        steps.append(chance / chance.sum(-1, keepdim=True))
        return chance[:, 1:].argmax(-1) + 1  # never the end

    monkeypatch.setattr("hunch.agent.sampling.draw", greedy)
    mask = torch.tensor([[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1]])  # padded on the left
    out = sample(model, IDS, mask, recipes, [4, 5, 6], most=5, end=0, pad=0, directions={"v": V})
    for row, recipe in enumerate(recipes):
        whole = torch.cat([IDS[row][mask[row].bool()], out.tokens[row]])[None]
        before = int(mask[row].sum()) - 1
        pushed = pushed_logits(model, recipe.perturbation, whole, seed=4 + row)[0, before:-1] / recipe.temperature
        found = torch.stack(steps, 1)[row]
        assert torch.allclose(found, pushed.softmax(-1), atol=1e-4)
        plain = logits(model, whole)[0, before:-1].log_softmax(-1).gather(-1, out.tokens[row][:, None]).sum()
        assert out.model_logprob[row].item() == pytest.approx(plain.item(), abs=1e-3)


def test_the_generator_says_the_same_alone_and_beside_others(generator: CausalGenerator) -> None:
    recipes = [Recipe(perturbation=push) for push in PUSHES.values()] + [Recipe(), Recipe(temperature=2.0, min_p=0.1)]
    asked = [Spark(prompt="Fish oil lowers"[: 3 + i]) for i in range(len(recipes))]
    seeds = list(range(len(recipes)))
    together = generator.say(asked, recipes, seeds)
    alone = [generator.say([a], [r], [s])[0] for a, r, s in zip(asked, recipes, seeds, strict=True)]
    assert [said.token_ids for said in together] == [said.token_ids for said in alone]


def check_refused(model: PreTrainedModel, push: Perturbation, given: dict[str, Tensor], words: str) -> None:
    count = hooks(model)
    with pytest.raises(InputError, match=words), perturbed(model, [None, push], [0, 0], given):
        pass
    assert hooks(model) == count


@pytest.mark.parametrize("layer", [2, -3])
def test_a_layer_that_is_not_there_is_named(model: PreTrainedModel, layer: int) -> None:
    check_refused(model, at("noise", layers=(0, layer)), {}, rf"layer is {layer}, but the model has 2: 0 to 1")


def test_a_direction_that_is_not_loaded_or_of_another_width_is_named(model: PreTrainedModel) -> None:
    check_refused(model, PUSHES["add"], {"w": V}, r"direction is 'v', but only \['w'\] are loaded; load it")
    check_refused(model, PUSHES["add"], {"v": torch.ones(8)}, r"'v' has the shape \(8,\).*16 wide; find it anew")


def test_a_direction_counts_by_where_it_points_not_by_its_length(model: PreTrainedModel) -> None:
    with perturbed(model, [PUSHES["add"]] * 3, [3] * 3, {"v": 7 * V}):
        found = logits(model)
    assert torch.allclose(found, pushed_logits(model, PUSHES["add"]), atol=1e-4)


def test_a_model_without_a_list_of_layers_is_refused() -> None:
    model = tiny_gpt2()
    model.transformer.h = nn.ModuleDict({str(i): block for i, block in enumerate(model.transformer.h)})
    with pytest.raises(InputError, match=r"GPT2LMHeadModel has no list of layers; perturb a model"):
        layers_of(model)
