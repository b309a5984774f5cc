"""Weights trained elsewhere: a run goes on with them, and nothing else of it changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GPT2LMHeadModel, PreTrainedTokenizerFast

from hunch.agent.environments.siblings import IdeaForm, Siblings
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.policy_gradient import PolicyGradient
from hunch.agent.remembering import RememberingGrounder
from hunch.agent.small import small_model, small_tokenizer
from hunch.graphs import Budget, Mind, run
from hunch.graphs.generations import adopt_into_run
from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.records import Hypothesis, Outcome, Spark, Status

WIDTH = 16
WORLD = Siblings(parents=2, children=4, seen=12)


class Anything:
    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        return [Spark()] * n


class Watching:
    """Confirms every other answer, and notes the weights and the version that it was drawn with."""

    def __init__(self, generator: CausalGenerator) -> None:
        self.generator = generator
        self.seen: list[tuple[Tensor, int]] = []

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        self.seen.append((weights(self.generator), hypotheses[0].weights_version))
        right, wrong = Outcome(status=Status.CONFIRMED, score=1.0), Outcome(status=Status.REFUTED)
        return [right if slot % 2 else wrong for slot in range(len(hypotheses))]


def weights(generator: CausalGenerator) -> Tensor:
    return torch.cat([weight.detach().flatten() for weight in generator.model.parameters()]).clone()


def made() -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]:
    lines = [line for number in range(WORLD.ideas) for line in IdeaForm().lines(WORLD.idea(number), None)]
    tokenizer = small_tokenizer(lines, atoms=True)
    return small_model(len(tokenizer), 100, 5, 0, seed=0), tokenizer


def mind_in(folder: Path, *, rounds: int, learns: bool = True) -> Mind:
    folder.mkdir(parents=True, exist_ok=True)
    knowledge = Knowledge(Ledger(folder / "memory.sqlite"))
    generator = CausalGenerator(*made(), IdeaForm(), most_tokens=5)
    return Mind(
        knowledge,
        generator,
        grounder=RememberingGrounder(knowledge),
        sparker=Anything(),
        environment=Watching(generator),
        learner=PolicyGradient(generator, learning_rate=1e-3) if learns else None,
        budget=Budget(samples=rounds * WIDTH, sparks=1, width=WIDTH),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a run that has learned for three rounds."""
    run(mind_in(tmp_path / "run", rounds=3), tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """Return a folder with weights of such a model."""
    model, tokenizer = made()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(1.1)
    model.save_pretrained(tmp_path / "trained")
    tokenizer.save_pretrained(tmp_path / "trained")
    return tmp_path / "trained"


def last(folder: Path) -> Path:
    return folder / "weights" / "after-round-000002"


def test_a_resumed_run_goes_on_with_the_weights_that_it_was_given(folder: Path, trained: Path) -> None:
    version = json.loads((last(folder) / "version.json").read_text())["version"]
    assert adopt_into_run(folder, trained) == version + 1 == 4
    mind = mind_in(folder, rounds=5)
    run(mind, folder)
    given = CausalGenerator.from_pretrained(trained, IdeaForm())
    assert isinstance(mind.environment, Watching)
    (began_with, drawn_by), *_ = mind.environment.seen
    assert torch.equal(began_with, weights(given)) and drawn_by == 4
    assert mind.generator.version == 6
    assert sorted({draw.round for draw in mind.archive.draws()}) == [0, 1, 2, 3, 4]


def test_the_optimiser_starts_afresh_and_all_else_is_kept(folder: Path, trained: Path) -> None:
    state = json.loads((last(folder) / "version.json").read_text())
    figures = (last(folder) / "learned.json").read_bytes()
    names = {file.name for file in last(folder).iterdir()}
    assert state["visits"] and load_file(last(folder) / "optimizer.safetensors")
    adopt_into_run(folder, trained)
    assert json.loads((last(folder) / "version.json").read_text()) == {**state, "version": state["version"] + 1}
    assert (last(folder) / "learned.json").read_bytes() == figures
    assert load_file(last(folder) / "optimizer.safetensors") == {}
    assert {file.name for file in last(folder).iterdir()} == names
    run(mind_in(folder, rounds=5), folder)
    after = load_file(folder / "weights" / "after-round-000004" / "optimizer.safetensors")
    assert {float(value) for name, value in after.items() if name.endswith(".step")} == {2.0}


def test_weights_can_be_adopted_again_and_again(folder: Path, trained: Path) -> None:
    assert [adopt_into_run(folder, trained) for _ in range(2)] == [4, 5]
    assert adopt_into_run(folder, last(folder)) == 6  # even its own
    assert [one.name for one in sorted((folder / "weights").iterdir())] == ["after-round-000001", "after-round-000002"]


def test_an_adapter_s_run_takes_an_adapter(tmp_path: Path) -> None:
    at = tmp_path / "run" / "weights" / "after-round-000000"
    at.mkdir(parents=True)
    save_file({"a": torch.zeros(2)}, at / "adapter_model.safetensors")
    save_file({"0.step": torch.ones(1)}, at / "optimizer.safetensors")
    (at / "version.json").write_text('{"version": 7}')
    (tmp_path / "new").mkdir()
    save_file({"a": torch.ones(2)}, tmp_path / "new" / "adapter_model.safetensors")
    assert adopt_into_run(tmp_path / "run", tmp_path / "new") == 8
    assert load_file(at / "adapter_model.safetensors")["a"].tolist() == [1, 1]


def test_what_does_not_fit_is_refused_and_changes_nothing(folder: Path, trained: Path, tmp_path: Path) -> None:
    before = {file.name: file.read_bytes() for file in last(folder).iterdir()}
    small_model(11, 100, 5, 0, seed=0).save_pretrained(tmp_path / "other")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "model.safetensors").write_bytes(b"torn")
    for given, said in (
        (
            tmp_path / "other",
            r"holds transformer\.w.e\.weight as \[.*\], but the run's model has it as \[.*give weights of",
        ),
        (tmp_path / "torn", r"torn/model\.safetensors cannot be read"),
        (tmp_path / "nowhere", r"nowhere holds no \*\.safetensors; give the folder"),
    ):
        with pytest.raises(InputError, match=said):
            adopt_into_run(folder, given)
    assert {file.name: file.read_bytes() for file in last(folder).iterdir()} == before


def test_a_run_that_learned_nothing_has_no_weights_to_replace(trained: Path, tmp_path: Path) -> None:
    run(mind_in(tmp_path / "idle", rounds=1, learns=False), tmp_path / "idle")
    for given in (tmp_path / "idle", tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"holds no weights/after-round-\*.*with a learner"):
            adopt_into_run(given, trained)


def test_what_no_learner_of_a_model_wrote_is_refused(folder: Path, trained: Path) -> None:
    (last(folder) / "version.json").write_text("[]")
    with pytest.raises(InputError, match=r"holds no version\.json that a learner wrote"):
        adopt_into_run(folder, trained)
