"""Creativity counts distinct insights per sample."""

from __future__ import annotations

import numpy as np
import pytest

from hunch.agent.creativity import GRID, creativity_by_firing
from hunch.agent.generator import CausalGenerator
from hunch.agent.grounding import StoreGrounder
from hunch.agent.scripted import ScriptedGenerator
from hunch.agent.sparking import OpenQuestions
from hunch.memory.records import Hypothesis, Recipe, Spark, Standing, Triple
from tests.agent.planted import World, claim


class Scripted(ScriptedGenerator):
    """A scripted generator that has a recipe, and wilder answers when hot."""

    recipe = Recipe(temperature=0.3)

    def __init__(self, cold: list[Triple], hot: list[Triple]) -> None:
        super().__init__(cold)
        self._hot = ScriptedGenerator(hot)

    def hallucinate(self, sparks: list[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:  # type: ignore[override]  # lists will do
        wild = self.recipe.temperature > 1
        return self._hot.hallucinate(sparks, width, rng) if wild else super().hallucinate(sparks, width, rng)


def triples(claims: list[tuple[str, str, str]]) -> list[Triple]:
    return [triple for triple in (claim(*parts).triple for parts in claims) if triple]


def measured(world: World, cold: list[Triple], hot: list[Triple]) -> float:
    measure = creativity_by_firing(StoreGrounder(world.knowledge), OpenQuestions(world.knowledge), samples=64)
    generator: CausalGenerator = Scripted(cold, hot)  # type: ignore[assignment]  # speaks without a model
    value = measure(generator)
    assert measure(generator) == value  # the same questions and random numbers each time
    assert generator.recipe == Recipe(temperature=0.3)  # left as it was
    return value


def test_memory_and_nonsense_are_worth_nothing(world: World) -> None:
    known = triples(list(world.facts[:20]))
    assert measured(world, known, triples([("substance 0", "treats", "nobody")])) == 0.0


def test_each_insight_counts_once_and_the_best_of_the_grid_counts(world: World) -> None:
    hidden = triples(list(world.hidden))
    grounded = StoreGrounder(world.knowledge).ground([claim(*h) for h in world.hidden])
    gains = [1 - g.p_value / 0.2 if g.standing is Standing.INSIGHT else 0.0 for g in grounded]
    assert len(GRID) == 2
    assert measured(world, hidden[:1], hidden[1:4]) == pytest.approx(max(gains[0], sum(gains[1:4])) / 64)
