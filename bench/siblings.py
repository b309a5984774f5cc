"""The mini sibling task, ready to be learned on: a generator that half knows its world, and the loop around it.

The generator (133 k parameters, as in the published task's mini size) is trained for 600 steps of 128 ideas, 31 epochs,
until it says more of what it has seen than new things: about 0.29 of its samples are new and coherent, 0.65 memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from hunch.agent.environments.siblings import IdeaForm, Siblings
from hunch.agent.forms import encoded_lines
from hunch.agent.generator import CausalGenerator
from hunch.agent.protocols import Environment, Learner
from hunch.agent.remembering import RememberingGrounder
from hunch.agent.small import next_token_loss, small_model, small_tokenizer
from hunch.agent.sparking import OpenQuestions
from hunch.graphs.budget import Budget
from hunch.graphs.mind import Mind
from hunch.graphs.running import stream
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Hypothesis, Outcome, Recipe, Spark

SAMPLES, WIDTH = 25_600, 256
"""Hypotheses drawn by an arm, and in a round."""
HOT = Recipe(temperature=5.0, min_p=0.02)
GRID = (Recipe(), Recipe(temperature=2.0, min_p=0.05), HOT)
"""Samplers that creativity is measured with; the best counts."""


@dataclass(frozen=True)
class Pretrained:
    """A world, and a generator that was trained on what is known of it."""

    world: Siblings
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerFast
    lines: list[str]

    def generator(self, recipe: Recipe) -> CausalGenerator:
        """Return a copy that may be reinforced."""
        return CausalGenerator(
            deepcopy(self.model), self.tokenizer, IdeaForm(), recipe=recipe, most_tokens=8, batch=512
        )


def pretrained(seed: int, *, steps: int = 600, batch: int = 128) -> Pretrained:
    """Train a generator on a world's known ideas; the same seed gives the same."""
    world, form = Siblings(seed=seed), IdeaForm()
    vocabulary = [line for number in range(world.ideas) for line in form.lines(world.idea(number), None)]
    tokenizer = small_tokenizer(vocabulary, atoms=True)
    lines = [line for idea in world.known for line in form.lines(idea, None)]
    rows = encoded_lines(tokenizer, lines)
    end = int(tokenizer.eos_token_id)
    model = small_model(len(tokenizer), len(rows) * len(rows[0]), len(rows[0]), end, seed=seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        loss = next_token_loss(model, [rows[i] for i in rng.integers(len(rows), size=batch)], end).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return Pretrained(world, model, tokenizer, lines)


class Meaningless:
    """A world whose verdicts are dealt out at random: as many are confirmed as in the true one, but not the same."""

    def __init__(self, world: Siblings, seed: int) -> None:
        self._world = world
        self._rng = np.random.default_rng([seed, 12])

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Return the true outcomes in random order."""
        outcomes = self._world.verify(sparks, hypotheses)
        return [outcomes[i] for i in self._rng.permutation(len(outcomes))]


def mind_of(
    base: Pretrained,
    generator: CausalGenerator,
    learner: Learner | None,
    *,
    seed: int,
    samples: int,
    environment: Environment | None = None,
) -> Mind:
    """Return the loop around a generator, asked for anything at all; the world decides unless another is given."""
    knowledge = Knowledge.in_memory(base.world.known)
    return Mind(
        knowledge,
        generator,
        grounder=RememberingGrounder(knowledge),
        sparker=OpenQuestions(knowledge, anything=1.0),
        environment=environment or base.world,
        learner=learner,
        budget=Budget(samples=samples, sparks=1, width=WIDTH),
        seed=seed,
    )


def discoveries(
    base: Pretrained,
    recipe: Recipe,
    learner: Callable[[CausalGenerator, list[str]], Learner | None],
    *,
    seed: int,
    samples: int = SAMPLES,
    environment: Environment | None = None,
) -> tuple[list[int], CausalGenerator]:
    """Run the loop; return how many coherent new ideas were found after each round, and the generator as it became."""
    generator = base.generator(recipe)
    mind = mind_of(base, generator, learner(generator, base.lines), seed=seed, samples=samples, environment=environment)
    for _ in stream(mind):
        pass
    known, found, curve = set(base.world.known), set(), {}
    for draw in mind.archive.draws():
        if draw.text not in known and base.world.coherent(draw.text):
            found.add(draw.text)
        curve[draw.round] = len(found)
    mind.knowledge.ledger.close()
    return list(curve.values()), generator


def creativity(base: Pretrained, generator: CausalGenerator, *, n: int = 1024) -> float:
    """Return the share of ``n`` samples that is coherent, new and said for the first time: the best of ``GRID``."""
    known, best = set(base.world.known), 0.0
    for recipe in GRID:
        generator.recipe = recipe
        said = {h.text for h in generator.hallucinate([Spark()], n, np.random.default_rng(9))}
        best = max(best, sum(base.world.coherent(text) for text in said - known) / n)
    return best
