"""The arms of the ladder: a generator that half knows its world, reinforced in some cells, measured in all.

One job is one arm with one seed and one share of common vocabulary; it depends on nothing but the generator that its
seed and share were given. Reinforcement is hunch's own: policy gradient on what is coherent and new, weighted by
unlikeliness (He et al. 2025), with an anchor over the known ideas of all cells. The loop's graph is left out: its
ledger and checkpoints cost as much as a step of so small a model, and a job that was interrupted is run again.

Creativity (Nagarajan et al., ICML 2025, eq. 1) is measured in every cell on one grid of samplers, the same for every
arm. All cells of a level go through the model together.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from hunch.agent.diversity import creativity_in_parts
from hunch.agent.environments.ladder import PATTERNS, Ladder, LadderForm, cells
from hunch.agent.forms import encoded_lines
from hunch.agent.generator import CausalGenerator
from hunch.agent.learning import shaping
from hunch.agent.learning.policy_gradient import PolicyGradient
from hunch.agent.learning.rehearsal import Rehearsal
from hunch.agent.learning.training import Trainer
from hunch.agent.sampling import sample
from hunch.agent.small import next_token_loss, small_model, small_tokenizer
from hunch.memory.files import is_sealed, replaced_folder
from hunch.memory.records import (
    Experience,
    Grounding,
    Hypothesis,
    Outcome,
    Recipe,
    Spark,
    Standing,
    Status,
    Turn,
    Verdict,
)

GRID = (
    Recipe(),
    Recipe(temperature=2.0, min_p=0.1),
    Recipe(temperature=5.0, min_p=0.05),
    Recipe(temperature=5.0, min_p=0.2),
)
"""Samplers that creativity is measured with; the first is plain sampling at T = 1."""


@dataclass(frozen=True)
class Plan:
    """How large all is."""

    fields: int = 4
    levels: int = 4
    families: int = 6
    children: int = 16
    seen: int = 80
    """Known ideas of a cell."""
    steps: int = 300
    """Of training on what is known, before any arm."""
    batch: int = 128
    """Lines in such a step."""
    rate: float = 2e-3
    """Its learning rate; of a model that is given, that of the arms."""
    updates: int = 40
    """Of an arm."""
    rollouts: int = 256
    """Ideas drawn in an update."""
    learning_rate: float = 5e-4
    anchor: int = 128
    """Known ideas seen beside them."""
    n: int = 1024
    """Samples of a cell that creativity is measured with, at each setting."""


SIZES = {
    "tiny": Plan(fields=2, levels=2, families=6, children=6, seen=12, steps=4, batch=16, updates=2, rollouts=16, n=32),
    "mini": Plan(),
    "paper": Plan(families=15, children=100, seen=10_000, steps=40_000, updates=600, rollouts=1024, anchor=512),
}


@dataclass(frozen=True)
class Job:
    """One arm, by one seed, in one world."""

    arm: str
    seed: int
    shared: float = 0.0
    stages: tuple[tuple[str, ...], ...] = ()
    """Cells that are reinforced, together within a stage, one stage after the other; none: the anchor's steps alone."""
    anchored: bool = True
    trained: bool = True
    """False: the generator is left as it is."""

    @property
    def name(self) -> str:
        """Of its file."""
        return f"seed-{self.seed}-shared-{self.shared:g}-{self.arm}"


def world_of(plan: Plan, seed: int, shared: float) -> Ladder:
    """Return the world of a seed."""
    return Ladder(
        fields=plan.fields,
        levels=plan.levels,
        shared=shared,
        size=plan.families,
        children=plan.children,
        seen=plan.seen,
        seed=seed,
    )


def cells_of(plan: Plan) -> tuple[str, ...]:
    """Return the names of a plan's cells, field by field."""
    return cells(plan.fields, plan.levels)


def lines_of(world: Ladder, form: LadderForm) -> list[str]:
    """Return what a generator learns from: the known ideas of all cells."""
    return [
        line for cell, known in world.known.items() for idea in known for line in form.lines(f"{cell} {idea}", None)
    ]


def generator_at(run: Path, plan: Plan, seed: int, shared: float, model: Path | None) -> CausalGenerator:
    """Return the generator that all arms of a seed and share begin with; made where it is not there yet."""
    folder = run / "generators" / f"seed-{seed}-shared-{shared:g}"
    form = LadderForm(plain=model is not None)
    if not is_sealed(folder):
        generator = _pretrained(plan, world_of(plan, seed, shared), form, seed, model)
        with replaced_folder(folder) as fresh:
            generator.model.save_pretrained(fresh)
            generator.tokenizer.save_pretrained(fresh)
            (fresh / "longest.json").write_text(json.dumps(generator.most_tokens))
    most = json.loads((folder / "longest.json").read_text())
    return CausalGenerator.from_pretrained(folder, form, most_tokens=most, batch=plan.n)


def _pretrained(plan: Plan, world: Ladder, form: LadderForm, seed: int, model: Path | None) -> CausalGenerator:
    lines = lines_of(world, form)
    if model is None:
        tokenizer = small_tokenizer(["|".join(["", *world.words()]), *world.cells], atoms=True)
        rows = encoded_lines(tokenizer, lines)
        small = small_model(len(tokenizer), 0, max(map(len, rows)), int(tokenizer.eos_token_id), seed=seed)
        generator = CausalGenerator(small, tokenizer, form)
    else:
        generator = CausalGenerator.from_pretrained(model, form)
        rows = encoded_lines(generator.tokenizer, lines)
    generator.most_tokens = max(map(len, rows)) - 1
    trainer = Trainer(generator, learning_rate=plan.rate if model is None else plan.learning_rate)
    rng, end = np.random.default_rng([seed, 42]), int(generator.tokenizer.eos_token_id)
    for _ in range(plan.steps):
        some = [rows[i] for i in rng.integers(len(rows), size=plan.batch)]
        trainer.step([next_token_loss(generator.model, some, end).mean()])
    return generator


def measured(
    generator: CausalGenerator, world: Ladder, n: int, grid: Sequence[Recipe] = GRID, seed: int = 9
) -> dict[str, list[dict[str, float]]]:
    """Return for each cell, at each setting of the grid, creativity and its parts (``agent.diversity``)."""
    found: dict[str, list[dict[str, float]]] = {cell: [] for cell in world.cells}
    for recipe in grid:
        for level in range(1, world.levels + 1):
            for cell in (cell for cell in world.cells if cell.endswith(str(level))):
                said = _said(generator, world.spark(cell), n, recipe, seed, most=_longest(generator, level))
                found[cell].append(_parts(world, cell, said))
    return found


def _parts(world: Ladder, cell: str, texts: Sequence[str]) -> dict[str, float]:
    parts = creativity_in_parts(
        texts,
        lambda text: world.coherent(text, cell),
        world.known_forms[cell],
        lambda text: world.canonical(text, cell),
    )
    return asdict(parts)


def _longest(generator: CausalGenerator, level: int) -> int:
    """Return how many tokens an idea of a level may have; where words are tokens, one more than its words."""
    return len(PATTERNS[level - 1]) + 1 if getattr(generator.form, "atoms", False) else generator.most_tokens


def _said(generator: CausalGenerator, spark: Spark, n: int, recipe: Recipe, seed: int, *, most: int) -> list[str]:
    """Return ``n`` answers as texts; as ``hallucinate`` says them, without a record of each."""
    (row,) = generator.prompt_rows([spark])
    end = int(generator.tokenizer.eos_token_id)
    prompts = torch.tensor([row] * n)
    seeds = np.random.default_rng(seed).integers(2**62, size=n).tolist()
    drawn = sample(
        generator.model,
        prompts,
        torch.ones_like(prompts),
        [recipe] * n,
        seeds,
        most=most,
        end=end,
        pad=end,
    )
    said = generator.tokenizer.batch_decode(drawn.tokens.tolist(), skip_special_tokens=True)
    return [generator.form.read(spark, text)[0] for text in said]


def reinforce(generator: CausalGenerator, world: Ladder, plan: Plan, job: Job) -> list[float]:
    """Take a job's updates; return how much of each update's rollouts was coherent and new."""
    lines = lines_of(world, LadderForm(plain=not getattr(generator.form, "atoms", False)))
    rng = np.random.default_rng([job.seed, 43])
    if not job.stages:
        rehearsal = Rehearsal(generator, lines, replay=0.0, hold=1.0, batch=plan.anchor)
        trainer = Trainer(generator, learning_rate=plan.learning_rate)
        for _ in range(plan.updates):
            trainer.step(rehearsal.losses([], rng))
        return []
    learner = PolicyGradient(
        generator,
        lines if job.anchored else (),
        factor=shaping.unlikely(0.25),
        learning_rate=plan.learning_rate,
        cap=0.0,
        hold=1.0,
        rehearsed=plan.anchor,
    )
    shares = []
    for update in range(plan.updates):
        cells = stage_at(job.stages, update, plan.updates)
        turn = Turn(sparks=tuple(world.spark(cell) for cell in cells))
        said = generator.hallucinate(turn.sparks, plan.rollouts // len(cells), rng)
        turn = turn.model_copy(update={"hypotheses": tuple(said)})
        kept = kept_of(world, turn)
        learner.learn(turn, kept, (), rng)
        shares.append(len(kept) / len(said))
    return shares


def stage_at(stages: Sequence[tuple[str, ...]], update: int, updates: int) -> tuple[str, ...]:
    """Return the cells that an update reinforces; every stage has as many updates."""
    return stages[update * len(stages) // updates]


def kept_of(world: Ladder, turn: Turn) -> list[Experience]:
    """Return what is coherent and not known, with a reward of 1."""
    kept = []
    for slot, (spark, said, outcome) in enumerate(
        zip(turn.asked, turn.hypotheses, world.verify(turn.asked, turn.hypotheses), strict=True)
    ):
        known = world.canonical(said.text, spark.prompt) in world.known_forms[spark.prompt]
        if outcome.status is Status.CONFIRMED and not known:
            kept.append(_experience(slot, said, outcome))
    return kept


def _experience(slot: int, said: Hypothesis, outcome: Outcome) -> Experience:
    new = Grounding(key=said.key, standing=Standing.INSIGHT, strength=0.0, p_value=0.0, novelty=1.0)
    verdict = Verdict(keep=True, reason="coherent and new", reward=outcome.score)
    return Experience(round=0, slot=slot, hypothesis=said, grounding=new, outcome=outcome, verdict=verdict)
