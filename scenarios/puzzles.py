"""Solve what was not seen: puzzles with an exact verifier, by search, by learning, and by both.

    hunch run puzzles --arms
    hunch run puzzles --dataset chain_sum --model my-model

Countdown, the default: reach a number from four others, each used once. The generator has read solved items; the items
asked are others, from a disjoint range. ``--dataset`` takes any data set of reasoning-gym (extra ``puzzles``); it is
audited first, and refused if a wild generator could cheat its verifier. Answers are verified in worker processes,
which a bad one may hang or kill. Expect five minutes on two cores, and as much for each of the three other arms.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import Field

from hunch.agent.environments.countdown import Countdown, CountdownForm
from hunch.agent.forms import Form
from hunch.agent.generator import CausalGenerator
from hunch.agent.protocols import Environment
from hunch.agent.small import embedded_generator
from hunch.memory.errors import InputError
from hunch.memory.records import Draw, Fact, Outcome, Spark, Status, Triple
from hunch.scenarios import arms
from hunch.scenarios.parts import Loading
from hunch.scenarios.worlds import Searching, World, report_world, run_world

HELD_OUT = 1_000_000
"""Number of the first countdown item that is asked; those the generator learns from are below."""
COUNTDOWN = "countdown"
LOOKED_AT = 200
"""Items, neither learned from nor asked, that training looks at."""


class Config(Searching):
    """Options of ``hunch run puzzles``."""

    run: Path = Path("runs/puzzles")
    """Folder of the run; the same folder again goes on where it stopped."""
    sparks: int = Field(100, ge=1)
    """Items asked in a round."""
    width: int = Field(2, ge=1)
    """Answers drawn to each."""
    most_epochs: int = Field(20, ge=1)
    """Train the small generator for at most this many epochs before the loop begins."""
    dataset: str = COUNTDOWN
    """What is solved: countdown, or the name of a data set of reasoning-gym."""
    model: str | None = None
    """Folder or hub name of a Hugging Face causal language model; without it a small one is trained on solved items."""
    loading: Loading = Loading()
    unaudited: bool = False
    """Use a data set that fails its audit too."""
    items: int = Field(2_000, ge=1)
    """Held-out items."""
    solved: int = Field(3_000, ge=50)
    """Solved items that the generator learns from first."""


class AnswerForm:
    """A question on a line and its answer on the next, marked so that it can be found whatever was asked."""

    def lines(self, text: str, triple: Triple | None) -> list[str]:
        """Return the question and the answer."""
        return [text.replace("<answer>", "").replace("</answer>", "")]

    def prompt(self, spark: Spark) -> str:
        """Return the question."""
        return f"{spark.prompt}\n"

    def read(self, spark: Spark, completion: str) -> tuple[str, Triple | None]:
        """Return the question with what was answered, marked."""
        return f"{spark.prompt}\n<answer>{completion.strip()}</answer>", None


def world_of(config: Config) -> World:
    """Return the world of a data set's items."""
    return _countdown(config) if config.dataset == COUNTDOWN else _reasoning_gym(config)


def _countdown(config: Config) -> World:
    asked = Countdown(range(HELD_OUT, HELD_OUT + config.items))
    taught = Countdown(range(config.solved))
    looked_at = Countdown(range(HELD_OUT // 2, HELD_OUT // 2 + LOOKED_AT))
    known = [taught.item(number)[1] for number in taught.items]
    questions = [looked_at.item(number)[0] for number in looked_at.items]
    return World(
        known=known,
        environment=asked,
        roots=[asked.item(number)[0] for number in asked.items],
        generator=partial(_generator, config, known, CountdownForm(), looked_at, questions),
        found=item_of,
        closes=True,
    )


def _reasoning_gym(config: Config) -> World:
    from hunch.agent.auditing import clean  # here: reasoning-gym is an extra
    from hunch.agent.environments.reasoning import Puzzles
    from hunch.agent.environments.working import InWorkers

    first = config.solved + LOOKED_AT
    puzzles = partial(Puzzles, config.dataset, size=first + config.items)
    if not config.unaudited and (defects := clean(puzzles(items=range(LOOKED_AT)))):
        raise InputError(
            f"--dataset is {config.dataset}, but it fails its audit ({defects[0]}); `hunch audit {config.dataset}` "
            "tells more; take another, or give --unaudited."
        )
    asked, taught = puzzles(items=range(first, first + config.items)), puzzles(items=range(config.solved))
    solved = [taught.spark(index) for index in taught.items]
    answers = [answer or "" for answer in taught.oracle(solved)]
    known = [f"{spark.prompt}\n<answer>{answer}</answer>" for spark, answer in zip(solved, answers, strict=True)]
    looked_at = puzzles(items=range(config.solved, first))
    questions = [looked_at.spark(index) for index in looked_at.items]
    return World(
        known=known,
        environment=InWorkers(partial(puzzles, items=asked.items)),
        roots=[asked.spark(index) for index in asked.items],
        generator=partial(_generator, config, known, AnswerForm(), looked_at, questions),
        found=item_of,
        closes=True,
    )


def _generator(
    config: Config,
    known: list[str],
    form: Form,
    looked_at: Environment,
    questions: list[Spark],
    notice: Callable[[str], None],
) -> CausalGenerator:
    """Return a generator that has read solved items, or the model that was given."""
    if config.model is not None:
        return config.loading.load(config.model, form)

    def solving(made: CausalGenerator) -> float:
        said = made.hallucinate(questions, 4, np.random.default_rng(9))
        outcomes = looked_at.verify([spark for spark in questions for _ in range(4)], said)
        return float(np.mean([_progress(outcome) for outcome in outcomes]))

    return embedded_generator(
        [Fact(text=text) for text in known],
        form,
        solving,
        measure=f"solved of {LOOKED_AT} others of {config.dataset}",
        cache=config.cache.expanduser(),
        seed=0,  # one generator for all seeds of the loop
        most_epochs=config.most_epochs,
        notice=notice,
    )


def _progress(outcome: Outcome) -> float:
    """Return what an answer shows of having learned the game: 1 solved, a little for playing by its rules."""
    if outcome.status is Status.CONFIRMED:
        return 1.0
    return 0.05 if "is worth" in outcome.evidence else 0.5 * outcome.score


def item_of(draw: Draw) -> str:
    """Return the item that a sample answers."""
    return draw.text.partition(" : ")[0] if "<answer>" not in draw.text else draw.text.rpartition("\n<answer>")[0]


def main(config: Config) -> int:
    """Run, write the report and print what was found."""
    with arms.claim(config.run, "puzzles", config):
        world = world_of(config)
        run_world(world, config, "puzzles")
        close = getattr(world.environment, "close", None)
        if close is not None:
            close()
    report(config, config.run)
    return 0


def report(config: Config, run: Path) -> None:
    """Write the report of a run and print its result."""
    report_world(
        run,
        item_of,
        "puzzles",
        title="Solve what was not seen",
        question=f"How many of {config.items} held-out items of {config.dataset} are solved?",
        noun=f"of {config.items} held-out items were solved",
        notes=("The generator never saw a solution of these items; the verifier checks each answer.",),
    )
