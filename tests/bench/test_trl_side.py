"""The comparison with TRL at its smallest size: what it tells, and whether both are given the same."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from bench import trl_side
from bench.siblings import pretrained
from bench.trl_step import ANSWERS, QUESTIONS, SAID, VOCABULARY, asked, evenness, speaker, trl_steps
from hunch.agent.forms import SentenceForm
from hunch.agent.generator import CausalGenerator
from hunch.memory.records import Spark

# TRL 1.16 asks transformers 5.23 by old names
pytestmark = pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.* deprecated:FutureWarning")


def test_every_answer_of_a_step_has_all_its_tokens() -> None:
    generator = CausalGenerator(*speaker(), SentenceForm(), most_tokens=SAID)
    sparks = [Spark(prompt=text) for text in asked()]
    assert {len(row) for row in generator.prompt_rows(sparks)} == {8} and len(set(asked())) == QUESTIONS
    said = generator.hallucinate(sparks, ANSWERS, np.random.default_rng(0))
    assert {len(hypothesis.token_ids) for hypothesis in said} == {SAID}
    assert np.mean([hypothesis.entropy_nats for hypothesis in said]) > 0.9 * np.log(VOCABULARY)


def test_the_reward_is_the_share_of_even_numbers() -> None:
    assert [evenness(ids) for ids in ([2, 4], [1, 2], [3], [])] == [1.0, 0.5, 0.0, 0.0]


@pytest.mark.slow
def test_both_learn_from_steps_alike() -> None:
    torch.set_num_threads(1)
    ours = trl_side.Steps()
    rewards = {"hunch": [ours.step() for _ in range(8)], "trl": trl_steps(8)}
    for means in rewards.values():
        assert 0.4 < means[0] < 0.6 and means[-1] > means[0] + 0.03
    assert abs(rewards["hunch"][-1] - rewards["trl"][-1]) < 0.1


@pytest.mark.slow
def test_the_whole_is_measured(capfd: pytest.CaptureFixture[str]) -> None:
    figures = trl_side.measure(1, samples=768, steps=2)
    json.dumps(figures)
    assert {"found_ratio", "time_ratio", "step_ratio", "step_cpu_ratio", "rss_ratio"} <= set(figures)
    hunch, trl = (figures["found"][arm]["found"]["median"] for arm in ("hunch", "trl"))
    assert figures["found_ratio"] == hunch / trl and 0 < trl <= 768
    assert figures["rss_mb"]["trl"] > figures["rss_mb"]["hunch"] > 200  # neither is this process's, which is larger
    assert figures["step"]["hunch"]["seconds"]["min"] > 0
    assert "trl: seed 0" in capfd.readouterr().err


@pytest.mark.slow
def test_trl_is_rewarded_more_as_it_learns_and_counts_what_is_new_once() -> None:
    base = pretrained(0)
    course = trl_side.trl_finds(base, 0, 20 * trl_side.WIDTH)
    assert course.rewarded[-1] > course.rewarded[0] + 0.1
    assert course.found == sorted(course.found) and len(course.found) == 20
    assert course.found[0] <= course.rewarded[0] * trl_side.WIDTH
    assert torch.equal(base.model.lm_head.weight, pretrained(0).model.lm_head.weight)  # the copy learned, not the base
