"""TRL side by side: ideas found, the time it takes to find them, and what a step costs in time and memory.

Both in one run, on one thread, with the same models, rewards, budgets and seeds:

* *found*: the mini sibling task. hunch is a ``Mind`` and ``stream`` (every draw grounded, judged and written to a
  ledger) that draws hot and is reinforced by ``PolicyGradient``; TRL is a ``GRPOTrainer`` at temperature 1, as its
  update knows no truncated sampling. Either draws 256 ideas a step and is rewarded for what is right and not known.
  What counts is the number of distinct new ideas, and the time until there are as many as TRL has in the end.
* *step*: one step of sampling and learning with a GPT-2 of 2.9 M parameters: 8 questions of 8 tokens, 8 answers of 24
  tokens to each, advantages standardised within groups, AdamW, gradients clipped, 32-bit floats. The two take turns.
* *memory*: the largest resident size of a process that takes such steps and does nothing else.

The model of the last two says its end token with next to no chance, so that each answer has all its tokens. The time of
building trainers, stores and models is nobody's.
"""

from __future__ import annotations

import copy
import multiprocessing
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, PreTrainedTokenizerFast
from transformers.trainer_callback import PrinterCallback, TrainerCallback

from hunch.agent.environments.siblings import IdeaForm, Siblings
from hunch.agent.forms import SentenceForm, encoded_lines
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning import losses, shaping
from hunch.agent.learning.policy_gradient import PolicyGradient
from hunch.agent.remembering import RememberingGrounder
from hunch.agent.small import next_token_loss, small_model, small_tokenizer
from hunch.graphs import Budget, Mind, stream
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Experience, Grounding, Hypothesis, Outcome, Recipe, Spark, Standing, Turn, Verdict

SAMPLES, WIDTH = 25_600, 256
"""Ideas that each draws on the sibling task, and how many of them in one step."""
HOT = Recipe(temperature=5.0, min_p=0.02)
QUESTIONS, ANSWERS, ASKED, SAID, VOCABULARY = 8, 8, 8, 24, 2_048
"""A step: questions, answers to each, tokens of a question, tokens of an answer, different tokens."""
WARM = 3
"""Steps that are not timed."""


def measure(seeds: int = 3, *, samples: int = SAMPLES, steps: int = 24) -> dict[str, Any]:
    """Return ratios, each with what it is made of: about eight minutes for three seeds.

    ``found_ratio`` and ``step_ratio`` are ours over TRL's, ``time_ratio`` is TRL's over ours, ``rss_ratio`` ours over
    TRL's; medians over seeds or steps.

    Args:
        seeds: number of runs on the sibling task, of seeds 0, 1, ...
        samples: ideas that each draws there.
        steps: timed steps of each.
    """
    torch.set_num_threads(1)
    each = []
    for seed in range(seeds):
        each.append(found(seed, samples))
        _say(f"seed {seed}: {each[-1]}")
    taken = _alone(step_seconds, steps)
    _say(f"a step: {taken}")
    largest = {arm: _alone(step_memory, arm, WARM) for arm in ("hunch", "trl")}
    _say(f"memory: {largest}")
    return {
        "found_ratio": median(one["hunch"]["found"] / one["trl"]["found"] for one in each),
        "time_ratio": median(one["trl"]["seconds"] / one["hunch"]["seconds_to_match"] for one in each),
        "step_ratio": median(taken["trl"]["seconds"]) / median(taken["hunch"]["seconds"]),
        "rss_ratio": largest["hunch"] / largest["trl"],
        "found": {
            arm: {name: spread([one[arm][name] for one in each]) for name in each[0][arm] if name != "curve"}
            for arm in each[0]
        },
        "step": {arm: {name: spread(values) for name, values in figures.items()} for arm, figures in taken.items()},
        "tokens_per_second": {
            arm: spread([QUESTIONS * ANSWERS * SAID / seconds for seconds in figures["seconds"]])
            for arm, figures in taken.items()
        },
        "rss_mb": largest,
        "samples": samples,
        "seeds": seeds,
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return minimum, median and maximum."""
    return {"min": min(values), "median": median(values), "max": max(values)}


# Ideas found


def found(seed: int, samples: int) -> dict[str, dict[str, float]]:
    """Return what each finds of one world, from the same pre-trained model, and the seconds that it takes.

    ``seconds_to_match`` is when hunch had found as many as TRL in the end; infinite where it never did.
    """
    world = Siblings(seed=seed)
    model, tokenizer, lines = pretrained(world, seed)
    trl = _trl_finds(world, copy.deepcopy(model), tokenizer, seed, samples)
    hunch = _hunch_finds(world, copy.deepcopy(model), tokenizer, lines, seed, samples)
    untrained = _hunch_finds(world, model, tokenizer, [], seed, samples, learns=False)
    matched = (seconds for count, seconds in hunch.curve if count >= trl.count)
    return {
        "hunch": {**hunch.figures, "seconds_to_match": next(matched, float("inf"))},
        "trl": {**trl.figures, "rewarded_first": trl.rewarded[0], "rewarded_last": trl.rewarded[-1]},
        "hot_without_learning": untrained.figures,
    }


@dataclass
class Course:
    """How many distinct new ideas were found when."""

    curve: list[tuple[int, float]] = field(default_factory=list)
    """Ideas and seconds after each step."""
    rewarded: list[float] = field(default_factory=list)
    """Share of each step's draws that were rewarded."""

    @property
    def count(self) -> int:
        """Ideas found in the end."""
        return self.curve[-1][0]

    @property
    def figures(self) -> dict[str, float]:
        """The last of each."""
        return {"found": self.count, "seconds": self.curve[-1][1]}


def pretrained(
    world: Siblings, seed: int, *, steps: int = 600, batch: int = 128
) -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast, list[str]]:
    """Return a model that was trained on a world's known ideas, its tokenizer and the lines of those ideas."""
    form = IdeaForm()
    lines = [line for text in world.known for line in form.lines(text, None)]
    said = [line for number in range(world.ideas) for line in form.lines(world.idea(number), None)]
    tokenizer = small_tokenizer(said, atoms=True)
    rows, end = encoded_lines(tokenizer, lines), int(tokenizer.eos_token_id)
    model = small_model(len(tokenizer), sum(map(len, rows)), len(rows[0]), end, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = next_token_loss(model, [rows[i] for i in rng.integers(len(rows), size=batch)], end).mean()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return model, tokenizer, lines


class _Anything:
    """Asks for any idea at all."""

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        return [Spark()] * n


def _hunch_finds(
    world: Siblings,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    lines: Sequence[str],
    seed: int,
    samples: int,
    *,
    learns: bool = True,
) -> Course:
    generator = CausalGenerator(model, tokenizer, IdeaForm(), recipe=HOT, most_tokens=8)
    knowledge = Knowledge.in_memory(world.known)
    mind = Mind(
        knowledge,
        generator,
        grounder=RememberingGrounder(knowledge),
        sparker=_Anything(),
        environment=world,
        # what it is to say is known to be right: drawing hot is left uncorrected, so that it goes on exploring
        learner=PolicyGradient(generator, lines, cap=0) if learns else None,
        budget=Budget(samples=samples, sparks=1, width=WIDTH),
        seed=seed,
    )
    course, began = Course(), time.perf_counter()
    for event in stream(mind):
        course.curve.append((event["kept"], time.perf_counter() - began))
    return course


def _trl_finds(
    world: Siblings, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, seed: int, samples: int
) -> Course:
    from hunch.agent.learning.trl_bridge import grounding_reward, questions

    form, course, ideas = IdeaForm(), Course(), set[str]()
    accepted = grounding_reward(form, RememberingGrounder(Knowledge.in_memory(world.known)), environment=world)

    def reward(prompts: list[str], completions: list[str], **columns: Any) -> list[float]:
        rewards = accepted(prompts, completions, **columns)
        said = [form.read(Spark(), completion)[0] for completion in completions]
        ideas.update(text for text, worth in zip(said, rewards, strict=True) if worth)
        course.rewarded.append(sum(map(bool, rewards)) / len(rewards))
        return rewards

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            course.curve.append((len(ideas), time.perf_counter() - began))

    steps = samples // WIDTH
    trainer = _trainer(
        model, tokenizer, reward, questions([Spark()] * WIDTH, form), Clock(),
        seed=seed, max_steps=steps, per_device_train_batch_size=WIDTH, max_completion_length=8,
    )  # fmt: skip
    began = time.perf_counter()
    trainer.train()
    return course


def _trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    reward: Callable[..., list[float]],
    dataset: Any,
    callback: TrainerCallback,
    **settings: Any,
) -> Any:
    """Return TRL's trainer, set for a small model on one core; it neither logs nor saves."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    from trl import GRPOConfig, GRPOTrainer

    config: dict[str, Any] = {
        "output_dir": tempfile.mkdtemp(prefix="hunch-bench-trl-"),
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "disable_dropout": True,
        "report_to": "none",
        "logging_strategy": "no",
        "save_strategy": "no",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "learning_rate": 1e-3,
        "lr_scheduler_type": "constant",
        "num_generations": 8,
        "beta": 0.0,
        "temperature": 1.0,
    }
    trainer = GRPOTrainer(
        model=model,
        reward_funcs=reward,
        args=GRPOConfig(**(config | settings)),
        train_dataset=dataset,
        processing_class=tokenizer,
        callbacks=[callback],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


# A step


def step_seconds(steps: int) -> dict[str, dict[str, list[float]]]:
    """Return the seconds, of the wall's clock and of the processor's, of steps of each; they take turns."""
    ours = HunchSteps()
    taken: dict[str, dict[str, list[float]]] = {arm: {"seconds": [], "cpu_seconds": []} for arm in ("hunch", "trl")}

    def note(arm: str, began: tuple[float, float]) -> None:
        taken[arm]["seconds"].append(time.perf_counter() - began[0])
        taken[arm]["cpu_seconds"].append(time.process_time() - began[1])

    class Turns(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = _now()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            note("trl", self.began)
            began = _now()
            ours.step()
            note("hunch", began)

    trl_steps(WARM + steps, Turns())
    return {arm: {name: values[WARM:] for name, values in figures.items()} for arm, figures in taken.items()}


def step_memory(arm: str, steps: int) -> float:
    """Return the largest resident size, in megabytes, of this process after steps of one arm."""
    if arm == "trl":
        trl_steps(steps, TrainerCallback())
    else:
        ours = HunchSteps()
        for _ in range(steps):
            ours.step()
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(size / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


class HunchSteps:
    """Steps of hunch: eight answers to each question, all rewarded, the update that GRPO makes."""

    def __init__(self) -> None:
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


def trl_steps(steps: int, callback: TrainerCallback) -> list[float]:
    """Take steps of TRL's GRPO and return the mean reward of each."""
    from datasets import Dataset

    means: list[float] = []

    def reward(prompts: list[str], completion_ids: list[list[int]], **columns: Any) -> list[float]:
        rewards = [evenness(ids) for ids in completion_ids]
        means.append(sum(rewards) / len(rewards))
        return rewards

    trainer = _trainer(
        *speaker(), reward, Dataset.from_dict({"prompt": asked()}), callback,
        max_steps=steps, per_device_train_batch_size=QUESTIONS * ANSWERS, max_completion_length=SAID,
    )  # fmt: skip
    trainer.train()
    return means


def speaker() -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]:
    """Return a model with random weights, always the same, that does not end by itself, and its tokenizer."""
    vocabulary = {"<|end|>": 0} | {f"w{number}": number for number in range(1, VOCABULARY)}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<|end|>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<|end|>", clean_up_tokenization_spaces=False)
    config = GPT2Config(
        vocab_size=VOCABULARY, n_positions=64, n_embd=224, n_layer=4, n_head=7, resid_pdrop=0.0, embd_pdrop=0.0,
        attn_pdrop=0.0, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = GPT2LMHeadModel(config)
    with torch.no_grad():  # the end token's logit is -40, whatever was said
        model.transformer.wte.weight[0] = 0.0
        model.transformer.wte.weight[0, 0] = -20.0
        model.transformer.ln_f.bias[0] = 2.0
    return model, tokenizer


def asked() -> list[str]:
    """Return the questions, always the same."""
    numbers = np.random.default_rng(0).integers(1, VOCABULARY, (QUESTIONS, ASKED))
    return [" ".join(f"w{number}" for number in row) + " " for row in numbers.tolist()]


def evenness(ids: Sequence[int]) -> float:
    """Return the reward of a step's answer: the share of even numbers among its tokens."""
    return sum(number % 2 == 0 for number in ids) / max(len(ids), 1)


def _kept(slot: int, hypothesis: Hypothesis, reward: float) -> Experience:
    grounding = Grounding(key=hypothesis.key, standing=Standing.HALLUCINATION, strength=0.0, p_value=1.0, novelty=1.0)
    verdict = Verdict(keep=True, reason="measured", reward=reward)
    return Experience(
        round=0, slot=slot, hypothesis=hypothesis, grounding=grounding, outcome=Outcome(), verdict=verdict
    )


def _now() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _alone(act: Callable[..., Any], *given: Any) -> Any:
    """Return what a function returns in a process of its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_one_thread) as pool:
        return pool.submit(act, *given).result()


def _one_thread() -> None:
    torch.set_num_threads(1)


def _say(what: str) -> None:
    print(f"trl: {what}", file=sys.stderr, flush=True)
