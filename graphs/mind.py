"""What a run is made of: the live parts, the budget, and what a checkpoint may hold.

``State`` holds numbers and records; ``Mind`` holds what cannot be saved: models, stores, connections. It is handed to the
nodes as LangGraph's runtime context and is never checkpointed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TypedDict

import numpy as np

from hunch.agent.grounding import StoreGrounder, as_fact
from hunch.agent.judging import keep_insights
from hunch.agent.protocols import Environment, Generator, Grounder, Judge, Learner, Sparker
from hunch.agent.sparking import OpenQuestions
from hunch.memory.experience import Archive
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Draw, Experience, Hypothesis, Outcome, Spark, Turn


class State(TypedDict):
    """What a checkpoint may hold: counters and one round's records. No tensors, no numpy scalars, nothing that grows."""

    round: int
    samples: int
    kept: int
    seconds: float
    recent_yield: list[float]
    """Kept per sample in the last rounds, at most ``Budget.patience`` of them."""
    turn: Turn


START_STATE = State(round=0, samples=0, kept=0, seconds=0.0, recent_yield=[], turn=Turn())


@dataclass(frozen=True)
class Budget:
    """When a run stops, and how much one round draws."""

    samples: int = 10_000
    """Stop after this many hypotheses."""
    sparks: int = 50
    """Open questions in a round."""
    width: int = 4
    """Hypotheses per question."""
    rounds: int | None = None
    """Stop after this many rounds."""
    seconds: float | None = None
    """Stop after the round in which this much time was spent, over all sessions of the run."""
    least_yield: float = 0.0
    """Stop when fewer were kept per sample over the last ``patience`` rounds."""
    patience: int = 10

    def spent(self, state: State) -> str | None:
        """Return why the run is over; None while it is not."""
        if state["samples"] >= self.samples:
            return f"{state['samples']} samples drawn"
        if self.rounds is not None and state["round"] >= self.rounds:
            return f"{state['round']} rounds done"
        if self.seconds is not None and state["seconds"] >= self.seconds:
            return f"{state['seconds']:.0f} seconds spent"
        recent = state["recent_yield"]
        if len(recent) >= self.patience and sum(recent) / len(recent) < self.least_yield:
            return f"yield below {self.least_yield:g} over {self.patience} rounds"
        return None


class Unverified:
    """The environment of a world that does not answer: every outcome is undecided."""

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Return ``undecided`` for each hypothesis."""
        return [Outcome()] * len(hypotheses)


@dataclass
class Mind:
    """The live parts of a run. Only knowledge and a generator must be given; what is left out is made for them.

    Raises:
        InputError: if the knowledge is too small to ground anything in.
    """

    knowledge: Knowledge
    generator: Generator
    grounder: Grounder | None = None
    sparker: Sparker | None = None
    environment: Environment = field(default_factory=Unverified)
    judge: Judge = keep_insights
    learner: Learner | None = None
    budget: Budget = field(default_factory=Budget)
    seed: int = 0
    trust: float = 0.3
    """The most a kept insight weighs in the store, against 1 for an observed fact."""

    def __post_init__(self) -> None:
        self.archive = Archive(self.knowledge.ledger)
        if self.sparker is None:
            self.sparker = OpenQuestions(self.knowledge)
        if self.grounder is None:
            self.grounder = StoreGrounder(self.knowledge, seed=self.seed, trust=self.trust)
        self.weights: Path | None = None

    def remember(self, new: Sequence[Experience], draws: Sequence[Draw]) -> None:
        """Write a round's keeps and samples to the ledger, and let the store grow by what was kept."""
        self.archive.commit(new, draws)
        self.knowledge.add([as_fact(experience, self.trust) for experience in new])
        self.grounder.absorb(new)

    def recall(self, before_round: int) -> None:
        """Let the grounder absorb, round by round as it first did, what was kept before."""
        for _, kept in groupby(self.archive.before(before_round), key=lambda experience: experience.round):
            self.grounder.absorb(list(kept))

    def rng(self, round: int, purpose: int) -> np.random.Generator:
        """Return the random numbers of one purpose in one round: the same whenever, and however often, it is asked."""
        return np.random.default_rng([self.seed, round, purpose])
