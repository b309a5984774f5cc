"""TRL side by side: ideas found, the time it takes to find them, and what a step costs in time and memory.

Both in one run, on one thread, with the same models, rewards, budgets and seeds; the time of building trainers, stores
and models is nobody's.

* *found*: the mini sibling task. hunch is a ``Mind`` and ``stream`` (every draw grounded, judged and written to a
  ledger) that draws hot and is reinforced by ``PolicyGradient``; TRL is a ``GRPOTrainer`` at the same learning rate,
  its defaults otherwise, drawing from the model as it is. Either draws 256 ideas a step and is rewarded for each that
  is right and not known. What counts is the number of distinct new ideas, and the time until there are as many as TRL
  has in the end.
* *step*: one step as ``bench.trl_step`` has it, advantages standardised within groups, AdamW, gradients clipped, 32-bit
  floats. The two take turns.
* *memory*: the largest resident size of a process that takes such steps and does nothing else.

TRL's other settings matter here. On seed 0 it finds 2,553 ideas (hunch 8,577); tried by hand were learning rates of
3e-4 (4,502) and 1e-4 (4,857), an entropy bonus of 0.02 (2,916), groups of 256 (2,446), temperature 1.5 (5,667) and, the
best of a dozen, temperature 2 with min_p 0.05 (6,701), which TRL's update takes for the model's own draws.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch
from transformers import TrainerCallback

from bench.siblings import HOT, SAMPLES, WIDTH, Pretrained, mind_of, pretrained
from bench.trl_step import ANSWERS, QUESTIONS, SAID, asked, evenness, largest, speaker, trainer, trl_steps
from hunch.agent.environments.siblings import IdeaForm
from hunch.agent.forms import SentenceForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning import losses, shaping
from hunch.agent.learning.policy_gradient import PolicyGradient
from hunch.agent.remembering import RememberingGrounder
from hunch.graphs import stream
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Experience, Grounding, Hypothesis, Outcome, Recipe, Spark, Standing, Turn, Verdict

WARM = 3
"""Steps that are not timed."""


def measure(seeds: int = 3, *, samples: int = SAMPLES, steps: int = 24) -> dict[str, Any]:
    """Return ratios, medians over seeds or steps, and what they are made of: about eight minutes for three seeds.

    ``found_ratio`` and ``step_ratio`` (tokens drawn and learned from per second) are ours over TRL's, ``time_ratio`` is
    TRL's seconds over ours, ``rss_ratio`` ours over TRL's.

    Args:
        seeds: runs on the sibling task, of seeds 0, 1, ...
        samples: ideas that each draws there.
        steps: steps of each that are timed.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    each = []
    for seed in range(seeds):
        each.append(found(pretrained(seed), seed, samples))
        _say(f"seed {seed}: {each[-1]}")
    torch.set_num_threads(threads)
    taken = _alone("trl_side", "step_seconds", steps)
    rss = {arm: _alone(*where, WARM) for arm, where in MEMORY.items()}
    _say(f"megabytes: {rss}")
    return {
        "found_ratio": median(one["hunch"]["found"] / one["trl"]["found"] for one in each),
        "time_ratio": median(one["trl"]["seconds"] / one["hunch"]["seconds_to_match"] for one in each),
        "step_ratio": median(taken["trl"]["seconds"]) / median(taken["hunch"]["seconds"]),
        "step_cpu_ratio": median(taken["trl"]["cpu_seconds"]) / median(taken["hunch"]["cpu_seconds"]),
        "rss_ratio": rss["hunch"] / rss["trl"],
        "found": {arm: {name: _spread([one[arm][name] for one in each]) for name in each[0][arm]} for arm in each[0]},
        "step": {arm: {name: _spread(values) for name, values in figures.items()} for arm, figures in taken.items()},
        "tokens_per_second": {
            arm: _spread([QUESTIONS * ANSWERS * SAID / seconds for seconds in figures["seconds"]])
            for arm, figures in taken.items()
        },
        "rss_mb": rss,
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": median(values), "max": max(values)}


def _say(what: str) -> None:
    print(f"trl: {what}", file=sys.stderr, flush=True)


# Ideas found


@dataclass
class Course:
    """How many distinct new ideas were found when."""

    found: list[int] = field(default_factory=list)
    """Ideas after each step."""
    seconds: list[float] = field(default_factory=list)
    """Since the beginning."""
    rewarded: list[float] = field(default_factory=list)
    """Share of each step's draws that were rewarded."""


def found(base: Pretrained, seed: int, samples: int) -> dict[str, dict[str, float]]:
    """Return what each finds of one world, beginning with the same model, and the seconds that it takes.

    ``seconds_to_match`` is when hunch had found as many as TRL had in the end; infinite where it never did.
    """
    trl, hunch = trl_finds(base, seed, samples), hunch_finds(base, seed, samples)
    enough = [seconds for count, seconds in zip(hunch.found, hunch.seconds, strict=True) if count >= trl.found[-1]]
    figures = {
        arm: {
            "found": float(course.found[-1]),
            "seconds": course.seconds[-1],
            "rewarded_first": course.rewarded[0],
            "rewarded_last": course.rewarded[-1],
        }
        for arm, course in (("hunch", hunch), ("trl", trl))
    }
    figures["hunch"]["seconds_to_match"] = min(enough, default=float("inf"))
    return figures


def hunch_finds(base: Pretrained, seed: int, samples: int) -> Course:
    """Return hunch's course: hot, the policy gradient with its defaults but for the correction for heat."""
    generator = base.generator(HOT)
    mind = mind_of(base, generator, PolicyGradient(generator, base.lines, cap=0), seed=seed, samples=samples)
    course, began = Course(), time.perf_counter()
    for event in stream(mind):
        course.found.append(event["kept"])
        course.seconds.append(time.perf_counter() - began)
        course.rewarded.append(event["acceptance"])
    mind.knowledge.ledger.close()
    return course


def trl_finds(base: Pretrained, seed: int, samples: int, **settings: Any) -> Course:
    """Return TRL's course.

    Args:
        base: world and model.
        seed: of what it draws.
        samples: ideas that it draws.
        **settings: of its ``GRPOConfig``.
    """
    from hunch.agent.learning.trl_bridge import grounding_reward, questions  # here: it needs TRL

    form, course, ideas = IdeaForm(), Course(), set[str]()
    grounder = RememberingGrounder(Knowledge.in_memory(base.world.known))
    accepted = grounding_reward(form, grounder, environment=base.world)

    def reward(completions: list[str], **columns: Any) -> list[float]:
        rewards = accepted(completions=completions, **columns)
        course.rewarded.append(sum(map(bool, rewards)) / len(rewards))
        said = (form.read(Spark(), completion)[0] for completion in completions)
        ideas.update(text for text, worth in zip(said, rewards, strict=True) if worth)
        return rewards

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            course.found.append(len(ideas))
            course.seconds.append(time.perf_counter() - began)

    made = trainer(
        base.generator(Recipe()).model, base.tokenizer, reward, questions([Spark()] * WIDTH, form), Clock(),
        **{
            "seed": seed, "max_steps": samples // WIDTH, "per_device_train_batch_size": WIDTH,
            "max_completion_length": 8, **settings,
        },
    )  # fmt: skip
    began = time.perf_counter()
    made.train()
    return course


# A step


def step_seconds(steps: int) -> dict[str, dict[str, list[float]]]:
    """Return of steps of each, which take turns: seconds by the wall's clock, by the processor's, and mean rewards."""
    torch.set_num_threads(1)
    ours = Steps()
    taken: dict[str, dict[str, list[float]]] = {
        arm: {"seconds": [], "cpu_seconds": [], "reward": []} for arm in ("hunch", "trl")
    }

    class Turns(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.wall, self.processor = time.perf_counter(), time.process_time()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.note("trl")
            self.on_step_begin()
            taken["hunch"]["reward"].append(ours.step())
            self.note("hunch")

        def note(self, arm: str) -> None:
            taken[arm]["seconds"].append(time.perf_counter() - self.wall)
            taken[arm]["cpu_seconds"].append(time.process_time() - self.processor)

    taken["trl"]["reward"] = trl_steps(WARM + steps, Turns())
    return {arm: {name: values[WARM:] for name, values in figures.items()} for arm, figures in taken.items()}


def hunch_memory(steps: int) -> float:
    """Return what this process holds at most, in megabytes, when hunch takes steps in it."""
    torch.set_num_threads(1)
    ours = Steps()
    for _ in range(steps):
        ours.step()
    return largest()


MEMORY = {"hunch": ("trl_side", hunch_memory.__name__), "trl": ("trl_step", "trl_memory")}
"""Where each's memory is measured."""


class Steps:
    """hunch's steps: the update that TRL's GRPO makes."""

    def __init__(self) -> None:
        """Take the model as it is before the first."""
        self._generator = CausalGenerator(*speaker(), SentenceForm(), most_tokens=SAID)
        self._learner = PolicyGradient(self._generator, factor=shaping.of(), advantage=losses.standardised)
        self._sparks = tuple(Spark(prompt=text) for text in asked())
        self._rng = np.random.default_rng(0)

    def step(self) -> float:
        """Draw, reward and learn; return the mean reward."""
        said = self._generator.hallucinate(self._sparks, ANSWERS, self._rng)
        rewards = [evenness(hypothesis.token_ids) for hypothesis in said]
        kept = [_kept(slot, one, worth) for slot, (one, worth) in enumerate(zip(said, rewards, strict=True))]
        self._learner.learn(Turn(sparks=self._sparks, hypotheses=tuple(said)), kept, [], self._rng)
        return sum(rewards) / len(rewards)


def _kept(slot: int, hypothesis: Hypothesis, reward: float) -> Experience:
    return Experience(
        round=0,
        slot=slot,
        hypothesis=hypothesis,
        grounding=Grounding(key=hypothesis.key, standing=Standing.INSIGHT, strength=0.0, p_value=0.0, novelty=1.0),
        outcome=Outcome(),
        verdict=Verdict(keep=True, reason="measured", reward=reward),
    )


def _alone(module: str, act: str, *given: int) -> Any:
    """Return what a function of a benchmark returns in a process of its own."""
    asks = f"import json; from bench.{module} import {act}; print(json.dumps({act}(*{given})))"
    ran = subprocess.run(
        [sys.executable, "-c", asks],
        stdout=subprocess.PIPE, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return json.loads(ran.stdout.splitlines()[-1])
