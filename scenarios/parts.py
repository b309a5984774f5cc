"""What the scenarios share: groups of options, and the mind that they assemble for each arm."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, Self

import torch
from pydantic import Field, model_validator
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types
from transformers.utils import logging as transformers_logging

from hunch.agent.creativity import creativity_by_firing
from hunch.agent.forms import Form, form_for
from hunch.agent.generator import CausalGenerator, one_place
from hunch.agent.grounding import StoreGrounder
from hunch.agent.judging import rewarding_at
from hunch.agent.protocols import Learner, Sparker
from hunch.agent.recipe import PRESETS, PUSHED, RecipeBandit
from hunch.agent.refraining import Refrain
from hunch.agent.small import Creativity, embedded_generator
from hunch.graphs.budget import Budget
from hunch.graphs.mind import Mind
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.reading import Reading
from hunch.memory.records import Fact, Recipe
from hunch.scenarios.doctor import CACHE
from hunch.scenarios.rules import Learning, learner_for
from hunch.scenarios.settings import Settings


class Loading(Settings):
    """How a given model is loaded; nothing here touches the small one."""

    device: str | None = None
    """Where it runs: cpu, cuda, cuda:1; the processor when left out."""
    device_map: str | None = None
    """Spread its layers instead: auto, balanced, sequential (takes the package accelerate)."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of its weights; auto takes what they were saved in."""
    attention: str | None = None
    """How attention is computed: sdpa, eager, flash_attention_2; the model's own choice when left out."""
    chat: bool | None = None
    """Whether questions go through its chat template; when left out, where it has one and the scenario's questions are
    in words, not in a form of their own."""
    trust_remote_code: bool = False
    """Run code that comes with the model; only for models you trust."""

    @model_validator(mode="after")
    def _in_one_place(self) -> Self:
        one_place(self.device, self.device_map)
        return self

    def load(self, path: str, form: Form | None = None) -> CausalGenerator:
        """Return a generator of the model at ``path``."""
        return CausalGenerator.from_pretrained(
            path,
            form,
            device=self.device,
            device_map=self.device_map,
            dtype=self.dtype,
            attn_implementation=self.attention,
            chat=self.chat,
            trust_remote_code=self.trust_remote_code,
        )


class Generating(Settings):
    """The generator, and how wild it is."""

    model: str | None = None
    """Folder or hub name of a Hugging Face causal language model; without it a small one is trained on the facts."""
    loading: Loading = Loading()
    temperature: float = Field(1.0, gt=0)
    """Divides the logits after the cut; higher is wilder."""
    min_p: float = Field(0.0, ge=0, le=1)
    """Keep tokens with at least this share of the likeliest one's probability, before heating; 0 keeps all."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Keep the smallest set of tokens with this much probability; 1 keeps all."""
    top_k: int = Field(0, ge=0)
    """Keep this many likeliest tokens; 0 keeps all."""
    fresh: bool = True
    """Hold back what is known or was said before, wherever another plausible answer is left.
    Not through a chat template, where the same is said in many ways."""
    adaptive: bool = False
    """Choose among several recipes, for each kind of question, by what was kept before (Thompson sampling)."""
    perturb: bool = False
    """Choose so among pushes of the latent state too: noise of several strengths, at twice the time."""
    most_epochs: int = Field(60, ge=1)
    """Train the small generator for at most this many epochs; it stops earlier, when its creativity has peaked."""

    @property
    def recipe(self) -> Recipe:
        """How wild, as it is logged with each hypothesis."""
        return Recipe(temperature=self.temperature, min_p=self.min_p, top_p=self.top_p, top_k=self.top_k)


class Grounding(Settings):
    """When a hypothesis counts as an insight."""

    alpha: float = Field(0.2, gt=0, lt=1)
    """Share of meaningless hypotheses that may pass."""
    trust: float = Field(0.5, ge=0, le=1)
    """The most that a kept insight weighs when later ones are grounded, against 1 for an observed fact."""


class Common(Settings):
    """What every scenario can be told; each gives its own defaults where they differ."""

    run: Path
    """Folder of the run; the same folder again goes on where it stopped."""
    arms: bool = False
    """Run the control arms too, at the same budget."""
    samples: int = Field(10_000, ge=1)
    """Hypotheses drawn by each arm."""
    seed: int = Field(0, ge=0)
    """Of everything random."""
    sparks: int = Field(100, ge=1)
    """Open questions asked in a round."""
    width: int = Field(5, ge=1)
    """Hypotheses drawn per question."""
    rounds: int | None = Field(None, ge=1)
    """Stop after this many rounds."""
    seconds: float | None = Field(None, gt=0)
    """Stop after the round in which this much time was spent."""
    least_yield: float = Field(0.0, ge=0, le=1)
    """Stop when fewer hypotheses than this were kept per sample over ten rounds."""
    stop_on_collapse: bool = False
    """Stop when the generator repeats itself more and more over twenty rounds; otherwise the run only says so."""
    threads: int = Field(0, ge=0)
    """Processor threads; 0 takes all cores of an idle machine and one of a busy one."""
    cache: Path = CACHE
    """Folder of trained generators, used again when the same facts come with the same seed."""

    @property
    def budget(self) -> Budget:
        """When an arm stops, and how much one round draws."""
        return Budget(
            samples=self.samples,
            sparks=self.sparks,
            width=self.width,
            rounds=self.rounds,
            seconds=self.seconds,
            least_yield=self.least_yield,
            stop_on_collapse=self.stop_on_collapse,
        )


class Run(Common):
    """What a scenario over a store of facts can be told."""

    arms: bool = False
    """Run the control arms too, at the same budget and gate: cold, hot, fresh and placebo."""
    generating: Generating = Generating()
    grounding: Grounding = Grounding()
    learning: Learning = Learning()


@dataclass(frozen=True)
class Arm:
    """One way to spend the budget: the full loop, or a control that lacks one part."""

    name: str
    description: str
    learns: bool
    placebo: bool = False
    fresh: bool = True
    """Whether it may hold back what is known or was said."""
    recipe: Recipe | None = None
    """Its own recipe, where it differs."""


FULL = Arm("full", "the whole loop", learns=True)
CONTROLS = (
    Arm("cold", "cold sampling (T = 0.7), no memory, no learning", False, fresh=False, recipe=Recipe(temperature=0.7)),
    Arm("hot", "the full loop's temperature and cut, no memory, no learning", False, fresh=False),
    Arm("fresh", "as hot, but nothing known or said before is said again; no learning", False),
    Arm("placebo", "the loop on a store whose facts were shuffled", True, placebo=True),
)


@dataclass(frozen=True)
class Kit:
    """What a scenario hands over to be run: its facts, its questions and its options."""

    reading: Reading
    config: Run
    questions: Callable[[Knowledge], Sparker]


def idle_threads() -> int:
    """Return how many threads pay now: all cores of an idle machine, one of a busy one."""
    cores = os.cpu_count() or 1
    return cores if os.getloadavg()[0] < cores / 2 else 1


def settle(threads: int) -> None:
    """Set how many threads torch and numpy use, and silence transformers' own progress bars.

    Small products on more threads than there are free cores take three times as long, not half.
    """
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]  # ships no types
    torch.set_num_threads(threads)
    threadpool_limits(threads, user_api="blas")


def open_store(folder: Path, reading: Reading) -> Knowledge:
    """Return the store of a run's folder with the facts in it."""
    knowledge = Knowledge(Ledger(folder / "memory.sqlite"))
    knowledge.add(reading.facts, reading.concepts)
    return knowledge


def assemble(kit: Kit, arm: Arm, folder: Path, notice: Callable[[str], None]) -> Mind:
    """Choose the concrete parts of one arm's mind."""
    config = kit.config
    knowledge = open_store(folder, kit.reading)
    facts = knowledge.observed()
    grounder = StoreGrounder(
        knowledge,
        alpha=config.grounding.alpha,
        seed=config.seed,
        trust=config.grounding.trust,
        placebo=arm.placebo,
    )
    generator = _generator(kit, knowledge, facts, notice)
    generator.recipe = arm.recipe or config.generating.recipe
    refrain = None
    if arm.fresh and config.generating.fresh and generator.template is None:
        refrain = generator.refrain = Refrain(generator.tokenizer, generator.form)
        refrain.add((fact.text, fact.triple) for fact in facts)
    learner: Learner | None = None
    if arm.learns:
        lines = [line for fact in facts for line in generator.form.lines(fact.text, fact.triple)]
        learner = learner_for(config.learning, generator, lines, lambda: knowledge.encoder, seed=config.seed)
    return Mind(
        knowledge,
        generator,
        grounder=grounder,
        sparker=kit.questions(knowledge),
        judge=rewarding_at(config.learning.level),
        learner=learner,
        budget=config.budget,
        seed=config.seed,
        trust=config.grounding.trust,
        refrain=refrain,
        recipes=_bandit(config.generating, generator.recipe) if arm.fresh else None,
    )


def _bandit(generating: Generating, recipe: Recipe) -> RecipeBandit | None:
    if not (generating.adaptive or generating.perturb):
        return None
    return RecipeBandit((recipe, *PRESETS, *(PUSHED if generating.perturb else ())))


def _generator(kit: Kit, knowledge: Knowledge, facts: Sequence[Fact], notice: Callable[[str], None]) -> CausalGenerator:
    config = kit.config
    if config.generating.model is not None:
        return config.generating.loading.load(config.generating.model, form_of(config.generating.model, facts))

    @cache
    def measure() -> Creativity:
        """Return what training maximises, made when it is first needed: the true store's in every arm."""
        return creativity_by_firing(
            StoreGrounder(knowledge.copy_with(facts), alpha=config.grounding.alpha, seed=config.seed),
            kit.questions(knowledge),
            alpha=config.grounding.alpha,
            seed=config.seed,
        )

    return embedded_generator(
        facts,
        form_for(list(facts)),
        lambda generator: measure()(generator),
        measure=f"firing at {kit.config.grounding.alpha}, {kit.questions.__module__}",
        cache=config.cache.expanduser(),
        seed=config.seed,
        most_epochs=config.generating.most_epochs,
        notice=notice,
    )


MARKS = ("trained.json", "version.json")
"""Files that only our own generators have: one embedded, and one that a run has reinforced."""


def form_of(model: str, facts: Sequence[Fact]) -> Form | None:
    """Return the form that a model speaks, if it is ours: one embedded or reinforced has learned its store's.

    One with a chat template is asked in words, reinforced or not.
    """
    folder = Path(model)
    ours = any((folder / mark).exists() for mark in MARKS) and not (folder / "chat_template.jinja").exists()
    return form_for(list(facts)) if ours else None
