"""What else is true: algebraic identities, hallucinated, refuted or proved, and built on.

    hunch run conjectures --arms

The generator has read a few hundred identities and says new ones. The world refutes each at a random rational point,
or proves it; what is proved, new and no trivial variant is kept and sparks the next. Search and learning take turns:
PUCT chooses which identities to go on from, what repeats is drawn again before it is tried, and the generator is
trained on what was found. Expect a few minutes on two cores, and as much for each of the three other arms.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import Field

from hunch.agent.environments.conjectures import Conjectures, IdentityForm
from hunch.agent.generator import CausalGenerator
from hunch.agent.small import embedded_generator
from hunch.memory.records import Draw, Fact, Spark, Status
from hunch.scenarios import arms
from hunch.scenarios.worlds import Searching, World, report_world, run_world


class Config(Searching):
    """Options of ``hunch run conjectures``."""

    run: Path = Path("runs/conjectures")
    """Folder of the run; the same folder again goes on where it stopped."""
    sparks: int = Field(50, ge=1)
    """Identities gone on from in a round."""
    width: int = Field(4, ge=1)
    """Hypotheses drawn from each."""
    most_epochs: int = Field(30, ge=1)
    """Train the small generator for at most this many epochs before the loop begins."""
    exploration: float = Field(0.05, ge=0)
    """The constant of PUCT: how much what was rarely asked is preferred to what yields."""
    known: int = Field(1_500, ge=20)
    """Identities that are given."""


def world_of(config: Config) -> World:
    """Return the world of identities."""
    conjectures = Conjectures(seed=0, known=config.known)
    form = IdentityForm(conjectures.parents)

    def generator(notice: Callable[[str], None]) -> CausalGenerator:
        def creativity(made: CausalGenerator) -> float:
            said = made.hallucinate([Spark()], 512, np.random.default_rng(9))
            outcomes = conjectures.verify([Spark()] * len(said), said)
            new = {one.key for one, outcome in zip(said, outcomes, strict=True) if outcome.status is Status.CONFIRMED}
            readable = sum("cannot be read" not in outcome.evidence for outcome in outcomes)
            return (len(new - {Fact(text=text).id for text in conjectures.known}) + 0.05 * readable) / len(said)

        return embedded_generator(
            [Fact(text=text) for text in conjectures.known],
            form,
            creativity,
            measure="new identities of 512, and a little for what can be read",
            cache=config.cache.expanduser(),
            seed=0,  # one generator for all seeds of the loop
            most_epochs=config.most_epochs,
            notice=notice,
        )

    return World(
        known=conjectures.known,
        environment=conjectures,
        roots=[Spark()],
        generator=generator,
        found=lambda draw: draw.key,
        ask=partial(go_on, form),
    )


def go_on(form: IdentityForm, draw: Draw, question: Spark) -> Spark:
    """Return the question that goes on from an identity, and let the form remember what that one was made from."""
    if question.prompt:
        form.parents.setdefault(draw.text, question.prompt)
    return Spark(prompt=draw.text, parents=(draw.key,))


def main(config: Config) -> int:
    """Run, write the report and print what was found."""
    with arms.claim(config.run, "conjectures", config):
        run_world(world_of(config), config, "conjectures")
    report(config, config.run)
    return 0


def report(config: Config, run: Path) -> None:
    """Write the report of a run and print its result."""
    report_world(
        run,
        lambda draw: draw.key,
        "conjectures",
        title="What else is true",
        question="Which identities follow, that were not given and are no variants of one another?",
        noun="distinct identities were proved that had not been given",
        builds=True,
        notes=("An identity counts once, whatever its variables are called and however its sides are arranged.",),
    )
