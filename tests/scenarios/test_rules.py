"""Every rule of reinforcement by its name: it learns from a round, and only when it is asked to."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch

from hunch.agent.forms import TripleForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.small import small_model, small_tokenizer
from hunch.memory.records import Experience, Grounding, Outcome, Spark, Standing, Triple, Turn, Verdict
from hunch.scenarios.rules import Learning, Rule, learner_for

FACTS = [Triple(subject=f"s{i}", relation="lowers", object=f"o{j}") for i in range(4) for j in range(4)]
LINES = [line for fact in FACTS for line in TripleForm().lines("", fact)]


def generator_of() -> CausalGenerator:
    tokenizer = small_tokenizer(LINES, atoms=True)
    model = small_model(len(tokenizer), 1_000, 5, int(tokenizer.eos_token_id), seed=0)
    return CausalGenerator(model, tokenizer, TripleForm(), most_tokens=6)


def weights(generator: CausalGenerator) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in generator.model.parameters()])


def a_round(generator: CausalGenerator) -> tuple[Turn, list[Experience]]:
    """Return a round in which every second answer was kept."""
    sparks = tuple(Spark(subject=f"s{i}", relation="lowers") for i in range(4))
    said = generator.hallucinate(sparks, 4, np.random.default_rng(0))
    kept = [
        Experience(
            round=0,
            slot=slot,
            hypothesis=one,
            grounding=Grounding(key=one.key, standing=Standing.INSIGHT, strength=1.0, p_value=0.1, novelty=0.5),
            outcome=Outcome(),
            verdict=Verdict(keep=True, reason="fires", reward=0.9),
        )
        for slot, one in enumerate(said)
        if slot % 2 == 0
    ]
    return Turn(sparks=sparks, hypotheses=tuple(said)), kept


@pytest.mark.parametrize("rule", [rule for rule in get_args(Rule) if rule != "none"])
def test_a_rule_changes_the_weights_and_tells_finite_figures(rule: Rule) -> None:
    generator = generator_of()
    learner = learner_for(Learning(rule=rule), generator, LINES)
    assert learner is not None
    turn, kept = a_round(generator)
    before = weights(generator).clone()
    figures = learner.learn(turn, kept, [], np.random.default_rng(0))
    assert figures and all(np.isfinite(value) for value in figures.values())
    assert not torch.equal(weights(generator), before) and generator.version == 1


def test_no_rule_is_no_learner() -> None:
    assert learner_for(Learning(rule="none"), generator_of(), LINES) is None


def test_rules_teach_different_things() -> None:
    ends = {}
    for rule in get_args(Rule):
        generator = generator_of()
        learner = learner_for(Learning(rule=rule, anchor=0.0, replay=0.0), generator, LINES)
        if learner is not None:
            learner.learn(*a_round(generator), [], np.random.default_rng(0))
        ends[rule] = weights(generator)
    assert not torch.equal(ends["grpo"], ends["unlikely"]) and not torch.equal(ends["grpo"], ends["maxrl"])
    assert not torch.equal(ends["imitation"], ends["none"])


def test_an_adapter_leaves_the_base_weights_alone(tmp_path: Path) -> None:
    generator = generator_of()
    base = {name: weight.clone() for name, weight in generator.model.named_parameters()}
    learner = learner_for(Learning(rule="imitation", lora_rank=2), generator, LINES)
    assert learner is not None
    learner.learn(*a_round(generator), [], np.random.default_rng(0))
    after = {
        name.replace("base_model.model.", "").replace(".base_layer", ""): weight
        for name, weight in generator.model.named_parameters()
        if "lora_" not in name
    }
    assert set(after) == set(base)
    assert all(torch.equal(after[name], weight) for name, weight in base.items())
    learner.save(tmp_path)
    assert (tmp_path / "adapter_model.safetensors").exists()
