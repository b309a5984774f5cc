"""Worlds that answer: one mind for each way to spend the same number of verifier calls, and what each found.

Four arms: ``sampling`` (the questions in random order, the generator as it is), ``learning`` (the same, and it is
reinforced on what was confirmed), ``search`` (questions chosen by PUCT over lineages, the generator as it is) and
``full`` (search and learn: what the search found and how often it went on from there is distilled into the generator).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import Field

from hunch.agent.generator import CausalGenerator
from hunch.agent.learning.imitation import NovelImitation
from hunch.agent.protocols import Environment, HindsightEnvironment, Learner
from hunch.agent.remembering import RememberingGrounder
from hunch.agent.search import Ask, Search
from hunch.agent.sifting import Sifting
from hunch.agent.sparking import GivenQuestions
from hunch.graphs.mind import Mind
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.records import Draw, Experience, Recipe, Spark
from hunch.scenarios import arms, reporting
from hunch.scenarios.parts import FULL, Arm, Common
from hunch.scenarios.results import ArmResult, arm_folder, result_of

ArmName = Literal["sampling", "learning", "search", "full"]
SEARCHING = ("search", "full")
ARMS = (
    Arm("sampling", "questions in random order, no learning", learns=False),
    Arm("learning", "questions in random order, reinforced on what was confirmed", learns=True),
    Arm("search", "questions chosen by PUCT over lineages, no learning", learns=False),
    Arm(FULL.name, "search and learn", learns=True),
)


class Searching(Common):
    """What every scenario of a world that answers can be told."""

    temperature: float = Field(1.0, gt=0)
    """Divides the logits after the cut; higher is wilder."""
    min_p: float = Field(0.0, ge=0, le=1)
    """Keep tokens with at least this share of the likeliest one's probability, before heating; 0 keeps all."""
    exploration: float = Field(1.0, ge=0)
    """The constant of PUCT: how much what was rarely asked is preferred to what yields."""
    learning_rate: float = Field(5e-4, gt=0)
    """Of AdamW."""
    passes: float = Field(8.0, gt=0)
    """How often what was newly kept is seen."""
    hindsight_passes: float = Field(4.0, ge=0)
    """How often a missed target's answer is seen as the answer to the target that it hit, in worlds that can tell."""
    candidates: int = Field(8, ge=1)
    """Answers drawn for each that is verified, where there is search: the likeliest of those that are new."""
    most_epochs: int = Field(60, ge=1)
    """Train the small generator for at most this many epochs before the loop begins."""

    @property
    def recipe(self) -> Recipe:
        """How wild, as it is logged with each hypothesis."""
        return Recipe(temperature=self.temperature, min_p=self.min_p)


@dataclass(frozen=True)
class World:
    """A world that answers, and what is known of it."""

    known: Sequence[str]
    """What is known, as texts: recall, and the anchor of learning."""
    environment: Environment
    roots: Sequence[Spark]
    """The questions to begin with."""
    generator: Callable[[Callable[[str], None]], CausalGenerator]
    """Makes a generator that has learned what is known, telling how that goes."""
    found: Callable[[Draw], str]
    """Names the discovery that a kept sample is; two samples with one name count once."""
    ask: Ask | None = None
    """Makes a question from an answer that was kept; None where answers lead nowhere."""
    closes: bool = False
    """Whether a question is done with once it was answered."""


def mind_of(world: World, config: Searching, arm: Arm, folder: Path | None, notice: Callable[[str], None]) -> Mind:
    """Choose the concrete parts of one arm's mind."""
    knowledge = Knowledge(Ledger(None if folder is None else folder / "memory.sqlite"))
    knowledge.add(world.known)
    generator = world.generator(notice)
    generator.recipe = config.recipe
    search = Search(world.roots, world.ask, exploration=config.exploration, closes=world.closes)
    learner: Learner | None = None
    if arm.learns:
        learner = NovelImitation(
            generator,
            [line for text in world.known for line in generator.form.lines(text, None)],
            learning_rate=config.learning_rate,
            elite=1.0,
            batch=64,
            replay=0.3,
            hold=0.5,
            passes=config.passes,
            importance=partial(_visited, search, config.width) if arm.name in SEARCHING else None,
            hindsight=world.environment.hindsight if isinstance(world.environment, HindsightEnvironment) else None,
            hindsight_passes=config.hindsight_passes,
        )
    sifted = Sifting(generator, world.known, candidates=config.candidates) if arm.name in SEARCHING else None
    return Mind(
        knowledge,
        sifted or generator,
        grounder=RememberingGrounder(knowledge),
        sparker=search if arm.name in SEARCHING else GivenQuestions(world.roots),
        environment=world.environment,
        learner=learner,
        budget=config.budget,
        seed=config.seed,
        refrain=sifted,
    )


def _visited(search: Search, width: int, kept: Experience) -> float:
    """Return how often the search went on from it, ``width`` answers at a time, and once for its own sake."""
    return 1.0 + search.visits((kept.id,)) / width


def run_world(world: World, config: Searching, scenario: str) -> None:
    """Run the arms of a scenario in its folder."""
    chosen = [ARMS[-1], *ARMS[:-1]] if config.arms else [ARMS[-1]]
    makers = {arm.name: partial(mind_of, world, config, arm) for arm in chosen}
    arms.live(config.run, scenario, config.samples, makers)


def discoveries(run: Path, arm: str, found: Callable[[Draw], str]) -> list[str]:
    """Return what an arm discovered, in order, each once."""
    with Ledger(arm_folder(run, arm) / "memory.sqlite", read_only=True) as ledger:
        return list(dict.fromkeys(found(draw) for draw in ledger.draws() if draw.kept))


def depths(kept: Sequence[Experience]) -> dict[str, int]:
    """Return for each experience how many others it was built on, one on the other: 0 for what began from a root."""
    found: dict[str, int] = {}
    for one in sorted(kept, key=lambda experience: (experience.round, experience.slot)):
        found[one.id] = 1 + max((found.get(parent, -1) for parent in one.hypothesis.parents), default=-1)
    return found


def report_world(
    run: Path,
    found: Callable[[Draw], str],
    scenario: str,
    *,
    title: str,
    question: str,
    noun: str,
    notes: Sequence[str],
    builds: bool = False,
) -> None:
    """Write the report of a run and print its result; ``builds`` where what was found may rest on what was before."""
    results: list[ArmResult] = [
        result_of(run, arm.name) for arm in ARMS if (arm_folder(run, arm.name) / "memory.sqlite").exists()
    ]
    counts = {result.name: len(discoveries(run, result.name, found)) for result in results}
    full = results[-1]
    summary = [
        f"{counts[full.name]} {noun} in {full.samples} verifier calls by search and learning"
        + "".join(f"; {count} by {name}" for name, count in counts.items() if name != full.name)
        + "."
    ]
    deep = depths(full.insights)
    if builds and deep:
        summary.append(
            f"What was found builds on itself: {sum(depth > 0 for depth in deep.values())} of {len(deep)} were found "
            f"from an earlier one, the longest chain has {max(deep.values())} steps."
        )
    reporting.write(
        run, title=title, question=question, scenario=scenario, summary=summary, results=results, notes=notes, arms=ARMS
    )
    reporting.tell(run, summary, results)
