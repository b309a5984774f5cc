"""Creativity of a generator: distinct hypotheses that are coherent and new, per sample.

As in Nagarajan et al. (ICML 2025), eq. 1; what counts as coherent is that the store fires.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hunch.agent.generator import CausalGenerator
from hunch.agent.protocols import Grounder, Sparker
from hunch.agent.small import Creativity
from hunch.memory.records import Recipe, Standing

GRID = (Recipe(), Recipe(temperature=1.5, min_p=0.05))
"""The fixed grid of samplers that a generator is measured on; the best of them counts."""


def creativity_by_firing(
    grounder: Grounder,
    sparker: Sparker,
    *,
    alpha: float = 0.2,
    samples: int = 1024,
    grid: Sequence[Recipe] = GRID,
    seed: int = 0,
) -> Creativity:
    """Return a measure of creativity: distinct insights per sample, the best value on the grid, in [0, 1].

    Each distinct insight counts ``1 - p / alpha``, with the grounder's ``alpha``: barely passing is worth nothing. (On
    CoDEx-S this rose with the validation truths as training went on, when the bare number of insights no longer did.)
    The questions and the random numbers are the same at each call.
    """

    def creativity(generator: CausalGenerator) -> float:
        own, values = generator.recipe, []
        for recipe in grid:
            rng = np.random.default_rng([seed, 3])
            generator.recipe = recipe
            groundings = grounder.ground(generator.hallucinate(sparker.sparks(rng, samples // 4), 4, rng))
            insights = {g.key: 1 - g.p_value / alpha for g in groundings if g.standing is Standing.INSIGHT}
            values.append(sum(insights.values()) / samples)
        generator.recipe = own
        return max(values)

    return creativity
