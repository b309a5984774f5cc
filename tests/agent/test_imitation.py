"""Imitation: nothing for nothing, more of what was kept, and exactly on after a save."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hunch.agent.forms import TripleForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.imitation import NovelImitation
from hunch.agent.small import next_token_loss
from hunch.memory.errors import InputError
from hunch.memory.records import Experience, Hypothesis, Turn, Verdict
from tests.agent.planted import claim, experience

ANCHOR = [">|a|b|c", ">|d|b|e"]


def kept(count: int, start: int = 0) -> list[Experience]:
    return [experience(claim(f"x{i}", "b", f"y{i}"), slot=i) for i in range(start, start + count)]


@pytest.fixture
def generator(model_folder: Path) -> CausalGenerator:
    return CausalGenerator.from_pretrained(model_folder, TripleForm(), most_tokens=8)


def learner_of(generator: CausalGenerator) -> NovelImitation:
    return NovelImitation(generator, ANCHOR, batch=4, learning_rate=3e-3)


def weights(generator: CausalGenerator) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in generator.model.parameters()]).clone()


def nats(generator: CausalGenerator, lines: list[str]) -> float:
    rows = [[*generator.tokenizer(line)["input_ids"], 0] for line in lines]
    with torch.no_grad():
        return float(next_token_loss(generator.model.train(False), rows, 0).mean())


def test_nothing_kept_moves_no_weight(generator: CausalGenerator) -> None:
    before = weights(generator)
    assert learner_of(generator).learn(Turn(), [], kept(3), np.random.default_rng(0)) == {}
    assert torch.equal(weights(generator), before) and generator.version == 0


def test_what_was_kept_becomes_likelier_and_the_version_rises(generator: CausalGenerator) -> None:
    learner, new = learner_of(generator), kept(2)
    lines = [line for e in new for line in generator.form.lines(e.hypothesis.text, e.hypothesis.triple)]
    before = nats(generator, lines)
    first = learner.learn(Turn(), new, [], np.random.default_rng(0))
    assert first["steps"] == 1 and first["loss"] > 0
    assert nats(generator, lines) < before and generator.version == 1


def test_the_anchor_holds_what_was_known(model_folder: Path) -> None:
    after = {}
    for hold in (0.0, 1.0):
        generator = CausalGenerator.from_pretrained(model_folder, TripleForm())
        learner = NovelImitation(generator, ANCHOR, batch=4, learning_rate=3e-3, hold=hold)
        for step in range(10):
            learner.learn(Turn(), kept(4), [], np.random.default_rng(step))
        after[hold] = nats(generator, ANCHOR)
    assert after[1.0] < after[0.0]


def test_replay_holds_what_was_found_before(model_folder: Path) -> None:
    old = kept(2, start=50)
    lines = [line for e in old for line in TripleForm().lines("", e.hypothesis.triple)]
    after = {}
    for replay in (0.0, 1.0):
        generator = CausalGenerator.from_pretrained(model_folder, TripleForm())
        learner = NovelImitation(generator, [], batch=4, learning_rate=3e-3, replay=replay)
        for step in range(10):
            learner.learn(Turn(), kept(4), old, np.random.default_rng(step))
        after[replay] = nats(generator, lines)
    assert after[1.0] < after[0.0]


def test_what_earned_more_is_imitated_more(model_folder: Path) -> None:
    said = claim("qqq", "b", "qqq"), claim("zzz", "b", "zzz")
    lines, after = TripleForm().lines("", said[0].triple), {}
    for reward in (1.0, 0.0):
        generator = CausalGenerator.from_pretrained(model_folder, TripleForm())
        learner = NovelImitation(generator, [], batch=8, learning_rate=3e-3)
        both = [experience(said[0], reward=reward), experience(said[1], reward=1 - reward)]
        for step in range(5):
            learner.learn(Turn(), both, [], np.random.default_rng(step))
        after[reward] = nats(generator, lines)
    assert after[1.0] < after[0.0] - 0.1


def test_the_same_lesson_gives_the_same_weights_and_leaves_torch_s_own_generator_alone(model_folder: Path) -> None:
    ends, before = [], torch.get_rng_state()
    for _ in range(2):
        generator = CausalGenerator.from_pretrained(model_folder, TripleForm())
        learner_of(generator).learn(Turn(), kept(3), kept(2, start=9), np.random.default_rng(0))
        ends.append(weights(generator))
    assert torch.equal(*ends) and torch.equal(torch.get_rng_state(), before)


def test_passes_say_how_often_each_new_line_is_seen(generator: CausalGenerator) -> None:
    learner = NovelImitation(generator, ANCHOR, batch=4, passes=2.0)
    assert learner.learn(Turn(), kept(6), [], np.random.default_rng(0))["steps"] == 6  # 12 lines twice, 4 a step


def test_after_loading_one_more_step_gives_identical_weights(model_folder: Path, tmp_path: Path) -> None:
    generator = CausalGenerator.from_pretrained(model_folder, TripleForm())
    learner = learner_of(generator)
    learner.learn(Turn(), kept(3), [], np.random.default_rng(0))
    learner.save(tmp_path)
    saved = weights(generator)
    learner.learn(Turn(), kept(3, start=3), kept(3), np.random.default_rng(1))

    fresh = CausalGenerator.from_pretrained(model_folder, TripleForm())
    resumed = learner_of(fresh)
    resumed.load(tmp_path)
    assert torch.equal(weights(fresh), saved) and fresh.version == 1
    resumed.learn(Turn(), kept(3, start=3), kept(3), np.random.default_rng(1))
    assert torch.equal(weights(fresh), weights(generator)) and fresh.version == 2


def missed(*texts: str) -> Turn:
    said = tuple(Hypothesis(spark_id="s", text=text) for text in texts)
    return Turn(hypotheses=said, verdicts=tuple(Verdict(keep=text == "right", reason="") for text in texts))


def other_question(said: Sequence[Hypothesis]) -> list[str | None]:
    return [f">|{one.text}" if one.text.isdecimal() else None for one in said]


def looking_back(generator: CausalGenerator, passes: float = 4.0) -> NovelImitation:
    return NovelImitation(
        generator, ANCHOR, batch=4, learning_rate=3e-3, hindsight=other_question, hindsight_passes=passes
    )


def test_what_a_miss_does_answer_is_learned_and_held(model_folder: Path) -> None:
    generator = CausalGenerator.from_pretrained(model_folder, TripleForm())
    learner, before = looking_back(generator), nats(generator, [">|7"])
    figures = learner.learn(missed("7", "nothing", "right"), [], [], np.random.default_rng(0))
    assert figures["steps"] == 1 and generator.version == 1
    learned = nats(generator, [">|7"])
    assert learned < before
    for step in range(1, 10):
        learner.learn(Turn(), kept(4), [], np.random.default_rng(step))
    assert nats(generator, [">|7"]) < before  # it has joined the anchor


def test_only_misses_are_looked_back_on_and_each_once(generator: CausalGenerator) -> None:
    learner = looking_back(generator)
    assert learner.learn(missed("right", "nothing"), [], [], np.random.default_rng(0)) == {}
    assert learner.learn(missed("7", "7", "8"), [], [], np.random.default_rng(0))["steps"] == 2  # 2 lines, 4 times
    assert learner.learn(missed("8", "7"), [], [], np.random.default_rng(0)) == {}
    assert looking_back(generator, passes=0.0).learn(missed("7"), [], [], np.random.default_rng(0)) == {}


def test_hindsight_goes_on_exactly_after_loading(model_folder: Path, tmp_path: Path) -> None:
    ends = []
    for loads in (False, True):
        generator = CausalGenerator.from_pretrained(model_folder, TripleForm())
        learner = looking_back(generator)
        learner.learn(missed("7"), kept(2), [], np.random.default_rng(0))
        if loads:
            learner.save(tmp_path)
            generator = CausalGenerator.from_pretrained(model_folder, TripleForm())
            learner = looking_back(generator)
            learner.load(tmp_path)
            learner.load(tmp_path)  # what it knew before is forgotten
        learner.learn(missed("7", "8"), kept(2, start=2), kept(2), np.random.default_rng(1))
        ends.append(weights(generator))
    assert torch.equal(*ends)


def test_what_was_saved_is_a_model_folder_of_its_own(generator: CausalGenerator, tmp_path: Path) -> None:
    learner_of(generator).learn(Turn(), kept(2), [], np.random.default_rng(0))
    learner_of(generator).save(tmp_path)
    again = CausalGenerator.from_pretrained(tmp_path, TripleForm())
    assert torch.equal(weights(again), weights(generator))
    assert {file.suffix for file in tmp_path.iterdir()} <= {".json", ".safetensors"}


def test_pieces_give_the_step_of_the_whole_batch(model_folder: Path) -> None:
    gradients = []
    for piece in (256, 3):
        generator = CausalGenerator.from_pretrained(model_folder, TripleForm())
        learner = NovelImitation(generator, ANCHOR, batch=8, piece=piece, elite=1.0)
        told = learner.learn(Turn(), kept(12), kept(2, start=20), np.random.default_rng(0))
        gradients.append([told["loss"], *(w.grad for w in generator.model.parameters())])
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(torch.as_tensor(one), torch.as_tensor(other), atol=1e-6)


def test_weights_of_another_model_are_refused(generator: CausalGenerator, tmp_path: Path) -> None:
    learner = learner_of(generator)
    learner.save(tmp_path)
    part = load_file(tmp_path / "model.safetensors")
    part.pop(next(iter(sorted(part))))
    save_file(part, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"holds no weights of this model \(it lacks the weights.*give what it was"):
        learner.load(tmp_path)
    assert json.loads((tmp_path / "version.json").read_text()) == {"version": 0, "missed": []}
