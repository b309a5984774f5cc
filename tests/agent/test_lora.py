"""Low-rank adapters: no change at first, the only thing trained, and folders that PEFT and transformers load."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM

from hunch.agent.contracts import check_learner
from hunch.agent.forms import SentenceForm, TripleForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.imitation import NovelImitation
from hunch.agent.learning.policy_gradient import PolicyGradient
from hunch.agent.learning.training import load_weights
from hunch.agent.lora import add_adapter, merged
from hunch.memory.errors import InputError
from hunch.memory.records import Experience, Spark, Turn
from tests.agent.conftest import tiny_gpt2
from tests.agent.planted import claim, experience

# PEFT 0.21 asks transformers 5.23 by an old name
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")

ANCHOR = [">|a|b|c", ">|d|b|e"]
one_model = pytest.mark.parametrize("model_folder", [tiny_gpt2], indirect=True, ids=["gpt2"])


def made(folder: Path, **options: int) -> CausalGenerator:
    generator = CausalGenerator.from_pretrained(folder, TripleForm(), most_tokens=6)
    add_adapter(generator, **{"rank": 4, **options})
    return generator


def logits(model: torch.nn.Module) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.train(False)(input_ids=torch.arange(1, 21)[None]).logits
    return found


def kept(count: int) -> list[Experience]:
    return [experience(claim(f"x{i}", "b", f"y{i}"), slot=i) for i in range(count)]


def taught(generator: CausalGenerator) -> NovelImitation:
    learner = NovelImitation(generator, ANCHOR, batch=4, learning_rate=1e-2)
    for step in range(2):  # at the first, half of an adapter is 0 and the other half has no gradient
        learner.learn(Turn(), kept(2), [], np.random.default_rng(step))
    return learner


def test_an_adapter_begins_as_no_change_and_follows_from_its_seed(model_folder: Path) -> None:
    plain, chance = CausalGenerator.from_pretrained(model_folder), torch.get_rng_state()
    first, same, other = made(model_folder), made(model_folder), made(model_folder, seed=1)
    assert torch.equal(logits(first.model), logits(plain.model))
    inner = [next(w for n, w in g.model.named_parameters() if "lora_A" in n) for g in (first, same, other)]
    assert torch.equal(inner[0], inner[1]) and not torch.equal(inner[0], inner[2])
    assert torch.equal(torch.get_rng_state(), chance)


def test_only_the_adapter_is_trained(model_folder: Path) -> None:
    generator = made(model_folder)
    before = {name: weight.clone() for name, weight in generator.model.named_parameters()}
    start = logits(generator.model)
    taught(generator)
    for name, weight in generator.model.named_parameters():
        assert torch.equal(weight, before[name]) == ("lora_" not in name), name
    assert not torch.equal(logits(generator.model), start) and generator.version == 2


def test_a_saved_adapter_is_one_that_peft_loads_and_merged_is_one_that_transformers_load(
    model_folder: Path, tmp_path: Path
) -> None:
    generator = made(model_folder)
    taught(generator).save(tmp_path)
    ours = logits(generator.model)
    base = AutoModelForCausalLM.from_pretrained(model_folder)
    assert torch.allclose(logits(PeftModel.from_pretrained(base, tmp_path)), ours, atol=1e-5)
    assert not (tmp_path / "model.safetensors").exists()

    merged(generator).save_pretrained(tmp_path / "merged")
    folded = logits(AutoModelForCausalLM.from_pretrained(tmp_path / "merged"))
    plain = logits(AutoModelForCausalLM.from_pretrained(model_folder))
    assert torch.allclose(folded, ours, atol=1e-4) and not torch.allclose(folded, plain, atol=1e-2)
    assert torch.equal(logits(generator.model), ours)  # the generator keeps its adapter


@one_model
def test_an_adapter_goes_into_another_generator_by_load_weights(model_folder: Path, tmp_path: Path) -> None:
    generator, fresh = made(model_folder), made(model_folder)
    taught(generator).save(tmp_path)
    load_weights(fresh, tmp_path)
    assert torch.allclose(logits(fresh.model), logits(generator.model), atol=1e-5)
    for one, other in zip(generator.model.parameters(), fresh.model.parameters(), strict=True):
        assert torch.equal(one, other)


@one_model
def test_the_update_is_scaled_as_asked_even_by_a_fraction(model_folder: Path) -> None:
    updates = []
    for scale in (1.0, 0.1):
        generator = CausalGenerator.from_pretrained(model_folder)
        add_adapter(generator, rank=3, scale=scale)
        with torch.no_grad():
            for name, weight in generator.model.named_parameters():
                if "lora_B" in name:
                    weight.fill_(0.01)
        plain = dict(CausalGenerator.from_pretrained(model_folder).model.named_parameters())
        updates.append({name: weight - plain[name] for name, weight in merged(generator).named_parameters()})
    for name, update in updates[0].items():
        assert torch.allclose(updates[1][name], 0.1 * update, atol=1e-6), name
    assert max(update.abs().max() for update in updates[0].values()) > 1e-3


@one_model
def test_an_adapted_generator_hallucinates_and_keeps_the_contract_of_learners(
    model_folder: Path, tmp_path: Path
) -> None:
    generator = made(model_folder)
    generator.form = SentenceForm()
    sparks = (Spark(prompt="lipid"), Spark(prompt="why?"))
    turn = Turn(sparks=sparks, hypotheses=tuple(generator.hallucinate(sparks, 3, np.random.default_rng(0))))
    learner = PolicyGradient(generator, ANCHOR, kl=0.1, hold=0.5, rehearsed=2, learning_rate=1e-2, checkpointing=True)
    start = logits(generator.model)
    check_learner(learner, turn, [experience(turn.hypotheses[i]) for i in (0, 4)], [], tmp_path)
    assert not torch.equal(logits(generator.model), start)


@one_model
def test_what_is_not_this_adapter_s_folder_is_refused_and_changes_nothing(model_folder: Path, tmp_path: Path) -> None:
    generator = made(model_folder)
    for name, other in {
        "rank": made(model_folder, rank=2),
        "fewer": CausalGenerator.from_pretrained(model_folder),
    }.items():
        if name == "fewer":
            add_adapter(other, rank=4, targets=["c_fc"])
        other.model.save_pretrained(tmp_path / name)
        before = logits(generator.model)
        with pytest.raises(InputError, match=rf"{name} holds another model's adapter \(.*give what this one was saved"):
            load_weights(generator, tmp_path / name)
        assert torch.equal(logits(generator.model), before)
    with pytest.raises(InputError, match=r"holds no adapter: there is no adapter_model\.safetensors; give"):
        load_weights(generator, model_folder)
    (tmp_path / "rank" / "adapter_model.safetensors").write_bytes(b"no weights" * 20)
    with pytest.raises(InputError, match="rank holds another model's adapter"):
        load_weights(generator, tmp_path / "rank")
    plain = CausalGenerator.from_pretrained(model_folder)
    with pytest.raises(InputError, match="fewer holds no weights of this model"):
        load_weights(plain, tmp_path / "fewer")


@one_model
def test_what_cannot_be_adapted_or_folded_is_told_with_its_reason(model_folder: Path) -> None:
    plain = CausalGenerator.from_pretrained(model_folder)
    with pytest.raises(InputError, match="has no adapter, so there is nothing to fold in"):
        merged(plain)
    with pytest.raises(InputError, match=r"targets is \['nowhere'\], but no layer of the model goes by it"):
        add_adapter(plain, targets=["nowhere"])
    with pytest.raises(InputError, match=r"rank is 0, but .* at least rank 1"):
        add_adapter(plain, rank=0)
    assert not isinstance(plain.model, PeftModel)
