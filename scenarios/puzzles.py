"""Solve what was not seen: puzzles with an exact verifier, by search, by learning, and by both.

    hunch run puzzles --arms

Countdown: reach a number from four others, each used once. The generator has read solved items; the items asked are
others, from a disjoint range. Expect a few minutes on two cores, and as much for each of the three other arms.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydantic import Field

from hunch.agent.environments.countdown import Countdown, CountdownForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.small import embedded_generator
from hunch.memory.records import Draw, Fact, Outcome, Status
from hunch.scenarios import arms
from hunch.scenarios.worlds import Searching, World, report_world, run_world

HELD_OUT = 1_000_000
"""Number of the first item that is asked; those the generator learns from are below."""


class Config(Searching):
    """Options of ``hunch run puzzles``."""

    run: Path = Path("runs/puzzles")
    """Folder of the run; the same folder again goes on where it stopped."""
    sparks: int = Field(100, ge=1)
    """Items asked in a round."""
    width: int = Field(4, ge=1)
    """Answers drawn to each."""
    items: int = Field(2_000, ge=1)
    """Held-out items."""
    solved: int = Field(3_000, ge=50)
    """Solved items that the generator learns from first."""
    numbers: int = Field(4, ge=2, le=6)
    """Numbers given in an item."""
    largest: int = Field(12, ge=2)
    """The largest of them."""


def world_of(config: Config) -> World:
    """Return the world of countdown items."""
    shape = {"numbers": config.numbers, "largest": config.largest}
    asked = Countdown(range(HELD_OUT, HELD_OUT + config.items), **shape)
    taught = Countdown(range(config.solved), **shape)
    looked_at = Countdown(range(HELD_OUT // 2, HELD_OUT // 2 + 200), **shape)
    known = [taught.item(number)[1] for number in taught.items]

    def generator(notice: Callable[[str], None]) -> CausalGenerator:
        def solving(made: CausalGenerator) -> float:
            sparks = [looked_at.item(number)[0] for number in looked_at.items]
            said = made.hallucinate(sparks, 4, np.random.default_rng(9))
            outcomes = looked_at.verify([spark for spark in sparks for _ in range(4)], said)
            return float(np.mean([_progress(outcome) for outcome in outcomes]))

        return embedded_generator(
            [Fact(text=text) for text in known],
            CountdownForm(),
            solving,
            measure="solved of 200 others",
            cache=config.cache.expanduser(),
            seed=config.seed,
            most_epochs=config.most_epochs,
            notice=notice,
        )

    return World(
        known=known,
        environment=asked,
        roots=[asked.item(number)[0] for number in asked.items],
        generator=generator,
        found=item_of,
        closes=True,
    )


def _progress(outcome: Outcome) -> float:
    """Return what an answer shows of having learned the game: 1 solved, a little for playing by its rules."""
    return 1.0 if outcome.status is Status.CONFIRMED else 0.05 if "is worth" in outcome.evidence else 0.0


def item_of(draw: Draw) -> str:
    """Return the item that a sample answers."""
    return draw.text.partition(" : ")[0]


def main(config: Config) -> int:
    """Run, write the report and print what was found."""
    with arms.claim(config.run, "puzzles", config):
        run_world(world_of(config), config, "puzzles")
    report(config, config.run)
    return 0


def report(config: Config, run: Path) -> None:
    """Write the report of a run and print its result."""
    report_world(
        config,
        run,
        world_of(config),
        "puzzles",
        title="Solve what was not seen",
        question=f"How many of {config.items} held-out items are solved?",
        noun=f"of {config.items} held-out items were solved",
        notes=("The generator never saw a solution of these items; the verifier checks each answer exactly.",),
    )
