"""The loop with a real, if tiny, language model that learns."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hunch.agent import CausalGenerator, NovelImitation, TripleForm, embedded_generator
from hunch.graphs import Budget, Mind, stream

Minds = Callable[..., Mind]
Left = Callable[[Path], tuple[list[object], list[object], list[tuple[object, ...]]]]
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def thinking(mind_in: Minds, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, int], Mind]:
    """Return a function from a folder and a number of samples to a mind with a generator trained on its store."""
    torch.set_num_threads(1)

    def mind(folder: Path, samples: int) -> Mind:
        made = mind_in(folder, learner=None, budget=Budget(samples=samples, sparks=10, width=4))
        facts = [fact for fact in made.knowledge.facts() if fact.experience_id is None]
        generator = embedded_generator(facts, TripleForm(), lambda _: 1.0, cache=cache, seed=0, most_epochs=12)
        lines = [line for fact in facts for line in TripleForm().lines(fact.text, fact.triple)]
        made.generator, made.learner = generator, NovelImitation(generator, lines, batch=32)
        return made

    return mind


def weights(mind: Mind) -> Weights:
    assert isinstance(mind.generator, CausalGenerator)
    return {name: value.clone() for name, value in mind.generator.model.state_dict().items()}


def test_it_speaks_of_the_store_and_learns_from_what_is_kept(
    thinking: Callable[[Path, int], Mind], tmp_path: Path
) -> None:
    mind = thinking(tmp_path, 240)
    before = weights(mind)
    events = list(stream(mind, tmp_path))
    assert mind.archive.count() > 0
    assert any("loss" in event for event in events)
    assert mind.generator.version == sum("loss" in event for event in events)
    assert any(not torch.equal(value, before[name]) for name, value in weights(mind).items())
    read = [draw for draw in mind.archive.draws() if draw.triple is not None]
    assert len(read) > 200


def test_an_interrupted_run_ends_bit_identical(
    thinking: Callable[[Path, int], Mind], ledger_of: Left, tmp_path: Path
) -> None:
    whole, parts = thinking(tmp_path / "whole", 240), tmp_path / "parts"
    list(stream(whole, tmp_path / "whole"))
    list(stream(thinking(parts, 120), parts))
    for event in stream(thinking(parts, 240), parts):
        if event["round"] == 4:
            break
    resumed = thinking(parts, 240)
    list(stream(resumed, parts))
    assert ledger_of(parts) == ledger_of(tmp_path / "whole")
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(resumed)[name]), name


def test_the_weights_of_a_run_can_be_loaded_as_a_model(thinking: Callable[[Path, int], Mind], tmp_path: Path) -> None:
    mind = thinking(tmp_path, 80)
    list(stream(mind, tmp_path))
    last = sorted((tmp_path / "weights").iterdir())[-1]
    shutil.copytree(last, tmp_path / "model")
    loaded = CausalGenerator.from_pretrained(tmp_path / "model", TripleForm())
    for name, value in weights(mind).items():
        assert torch.equal(value, loaded.model.state_dict()[name]), name
