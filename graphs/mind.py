"""What a run is made of: the live parts, and what they know of the run so far.

``State`` holds numbers and records; ``Mind`` holds what cannot be saved: models, stores, connections. It is handed to
the nodes as LangGraph's runtime context and is never checkpointed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TypedDict, cast

import numpy as np

from hunch.agent.grounding import StoreGrounder, as_fact
from hunch.agent.judging import keep_accepted, keep_insights
from hunch.agent.protocols import (
    Environment,
    Generator,
    Grounder,
    Judge,
    Learner,
    Memory,
    RecipeGenerator,
    RevisingEnvironment,
    SearchingSparker,
    Sparker,
    TeachingEnvironment,
)
from hunch.agent.recipe import RecipeBandit
from hunch.agent.sparking import OpenQuestions
from hunch.graphs.budget import Budget
from hunch.graphs.panel import Panel
from hunch.memory.experience import Archive
from hunch.memory.knowledge import Knowledge
from hunch.memory.rankings import Rankings
from hunch.memory.records import Draw, Experience, Hypothesis, Outcome, Recipe, Spark, Status, Turn, Verdict


class State(TypedDict):
    """What a checkpoint may hold: counters and one round's records. No tensors, no numpy scalars, no growth."""

    round: int
    samples: int
    kept: int
    seconds: float
    """Spent in finished rounds, over all sessions of the run."""
    recent_yield: list[float]
    """Kept per sample in the last rounds, at most ``Budget.patience`` of them."""
    recent_memorised: list[float]
    """Share of each of the last rounds that was known or kept before, at most twice ``Budget.patience`` of them."""
    recent_new: list[float]
    """Distinct new hypotheses per sample of the same rounds."""
    turn: Turn


START_STATE = State(
    round=0, samples=0, kept=0, seconds=0.0, recent_yield=[], recent_memorised=[], recent_new=[], turn=Turn()
)


class Unverified:
    """The environment of a world that does not answer: every outcome is undecided."""

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Return ``undecided`` for each hypothesis."""
        return [Outcome()] * len(hypotheses)


@dataclass(init=False, eq=False)
class Mind:
    """The live parts of a run. Only knowledge and a generator must be given; what is left out is made for them.

    Raises:
        InputError: if the knowledge is too small to ask about or to ground anything in.
    """

    knowledge: Knowledge
    """The store; its ledger takes the experience too."""
    generator: Generator
    grounder: Grounder
    """Fires through the store when left out."""
    sparker: Sparker
    """Asks about the store's own facts when left out."""
    environment: Environment
    """Decides nothing when left out."""
    judge: Judge
    learner: Learner | None
    """Without one the generator stays as it is."""
    budget: Budget
    seed: int
    """Of everything random."""
    trust: float
    """The most that a kept insight weighs in the store, against 1 for an observed fact."""
    refrain: Memory | None
    """The generator's memory of what it is not to say again: all that was drawn joins it."""
    recipes: RecipeBandit | None
    """Chooses how wild each answer is, by what was kept before; without it the generator's own recipe is used."""
    panel: Panel | None
    """Experts who rank what is said, and decide what is kept of it; nobody is asked without them."""

    def __init__(
        self,
        knowledge: Knowledge,
        generator: Generator,
        *,
        grounder: Grounder | None = None,
        sparker: Sparker | None = None,
        environment: Environment | None = None,
        judge: Judge = keep_insights,
        learner: Learner | None = None,
        budget: Budget | None = None,
        seed: int = 0,
        trust: float = 0.5,
        refrain: Memory | None = None,
        recipes: RecipeBandit | None = None,
        panel: Panel | None = None,
    ) -> None:
        self.knowledge = knowledge
        self.generator = generator
        self.sparker = sparker or OpenQuestions(knowledge)
        self.grounder = grounder or StoreGrounder(knowledge, seed=seed, trust=trust)
        self.environment = environment or Unverified()
        self.judge = judge
        self.learner = learner
        self.budget = budget or Budget()
        self.seed = seed
        self.trust = trust
        self.refrain = refrain
        self.recipes = recipes
        self.panel = panel
        self.rankings = Rankings(knowledge.ledger)
        self.archive = Archive(knowledge.ledger)
        self.folder: Path | None = None
        """The run's folder; None for a run without one."""
        self.woken = 0.0
        """When this session of the run began, in seconds since 1970; the time before it was not spent on the run."""
        self.kept: dict[str, Experience] = {}
        """What was kept in the rounds that the grounder has absorbed and still holds, by content id."""
        self.gone: set[str] = set()
        """Content ids of what was kept and does not hold any more: it is not kept again."""
        self._absorbed = 0  # the rounds below this

    def hallucinate(self, round: int, sparks: Sequence[Spark]) -> list[Hypothesis]:
        """Answer each spark ``budget.width`` times."""
        if self.recipes is None:
            return self.generator.hallucinate(sparks, self.budget.width, self.rng(round, 1))
        wild = cast(RecipeGenerator, self.generator)
        return wild.hallucinate(sparks, self.budget.width, self.rng(round, 1), self._chosen(round, sparks))

    def verdicts(self, turn: Turn) -> list[Verdict]:
        """Return what is kept of a round: what the judge says, and of what was ranked, what the experts accepted."""
        verdicts = self.judge(turn.hypotheses, turn.groundings, turn.outcomes)
        return keep_accepted(turn, verdicts) if self.panel is not None else verdicts

    def revise(self, round: int) -> list[Experience]:
        """Retract what the environment has refuted since the round began, and all that rests on nothing else.

        The grounder then begins anew from what still holds, which is the same as a run that is resumed would do.
        """
        if not isinstance(self.environment, RevisingEnvironment):
            return []
        refuted = {id: why for id, why in self.environment.invalidate(round).items() if id in self.kept}
        fell = [one for id, why in refuted.items() for one in self.archive.retract([id], why, round=round)]
        if fell:
            self.grounder.forget()
            self.kept, absorbed, self._absorbed = {}, self._absorbed, 0
            self._hold(absorbed)
        return fell

    def remember(self, round: int, new: Sequence[Experience], draws: Sequence[Draw]) -> None:
        """Write a round's keeps and samples to the ledger, and let the store grow by what was kept; all or none."""
        with self.knowledge.ledger.transaction():
            self.archive.commit(new, draws)
            self.knowledge.add([as_fact(experience, self.trust) for experience in new])
        if round >= self._absorbed:
            self._absorb(round, new)
            self._learn_from(round, draws)
        self.knowledge.ledger.settle()

    def recall(self, before_round: int) -> None:
        """Let the grounder absorb, round by round as it first did, what was kept before, if it has not done so."""
        if before_round <= self._absorbed:
            return
        replayed = self.refrain or self.recipes or isinstance(self.sparker, SearchingSparker)
        replayed = replayed or isinstance(self.environment, TeachingEnvironment)
        remembered = self.archive.draws() if replayed else []
        drawn = [draw for draw in remembered if self._absorbed <= draw.round < before_round]
        for round, draws in groupby(drawn, key=lambda draw: draw.round):
            self._learn_from(round, list(draws))
        self._hold(before_round)

    def _hold(self, before_round: int) -> None:
        """Absorb what was kept in earlier rounds and holds."""
        past = [experience for experience in self.archive.before(before_round) if experience.round >= self._absorbed]
        for round, kept in groupby(past, key=lambda experience: experience.round):
            self._absorb(round, list(kept))
        self._absorbed = before_round
        self.gone = self.archive.gone()

    def _learn_from(self, round: int, draws: Sequence[Draw]) -> None:
        """Tell what was drawn to what remembers it: the same whether the round ends now or is read from the ledger."""
        if self.refrain is not None:
            self.refrain.add((draw.text, draw.triple) for draw in draws)
        width = self.budget.width
        if draws and (isinstance(self.sparker, SearchingSparker) or self.recipes is not None):
            sparks = self.sparker.sparks(self.rng(round, 0), len(draws) // width)
            if isinstance(self.sparker, SearchingSparker):
                self.sparker.told(sparks, draws)
            if self.recipes is not None:
                kept = [sum(draw.kept for draw in draws[at : at + width]) for at in range(0, len(draws), width)]
                self.recipes.told(sparks, self._chosen(round, sparks), kept, width)
        self._teach(round, draws)

    def _teach(self, round: int, draws: Sequence[Draw]) -> None:
        if isinstance(self.environment, TeachingEnvironment) and draws:
            solved = sum(draw.status is Status.CONFIRMED for draw in draws) / len(draws)
            errors = sum(draw.status is Status.ERROR for draw in draws) / len(draws)
            self.environment.curriculum({"round": float(round), "solved": solved, "errors": errors})

    def _chosen(self, round: int, sparks: Sequence[Spark]) -> list[Recipe]:
        assert self.recipes is not None
        return self.recipes.choose(sparks, self.rng(round, 3))

    def _absorb(self, round: int, new: Sequence[Experience]) -> None:
        self.grounder.absorb(new)
        self.kept |= {experience.id: experience for experience in new}
        self._absorbed = round + 1

    def rng(self, round: int, purpose: int) -> np.random.Generator:
        """Return the random numbers of one purpose in one round: the same whenever, and however often, it is asked."""
        return np.random.default_rng([self.seed, round, purpose])
