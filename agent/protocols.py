"""The parts a mind is made of, as protocols: batch in, batch out, ``out[i]`` belonging to ``in[i]``.

Parts with one method and no state are plain callables (``Judge``). Nobody needs to inherit from these; the conformance
checks of ``hunch.agent.contracts`` tell whether a part keeps its promise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from hunch.memory.expertise import Ranking, Sheet
from hunch.memory.records import (
    Draw,
    Experience,
    Firing,
    Grounding,
    Hypothesis,
    Outcome,
    Recipe,
    Spark,
    Triple,
    Turn,
    Verdict,
)


class Sparker(Protocol):
    """Asks the open questions of a round."""

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return ``n`` questions; repeats are allowed."""
        ...


class Generator(Protocol):
    """Hallucinates hypotheses."""

    @property
    def version(self) -> int:
        """The version of its weights: 0 before any reinforcement."""
        ...

    def hallucinate(self, sparks: Sequence[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:
        """Return ``len(sparks) * width`` hypotheses, the ``width`` of the first spark first."""
        ...


class RecipeGenerator(Protocol):
    """A generator that can be told how wild to be, spark by spark."""

    def hallucinate(
        self,
        sparks: Sequence[Spark],
        width: int,
        rng: np.random.Generator,
        recipes: Sequence[Recipe] | None = None,
    ) -> list[Hypothesis]:
        """As ``Generator.hallucinate``, ``recipes[i]`` being that of ``sparks[i]``."""
        ...


class Grounder(Protocol):
    """Tells how hypotheses stand to what is known."""

    def ground(self, hypotheses: Sequence[Hypothesis]) -> list[Grounding]:
        """Return one grounding per hypothesis."""
        ...

    def explain(self, hypotheses: Sequence[Hypothesis]) -> list[tuple[Firing, ...]]:
        """Return what fired for each hypothesis, what carried most first; empty where nothing did."""
        ...

    def absorb(self, experiences: Sequence[Experience]) -> None:
        """Let later groundings build on what was kept."""
        ...

    def forget(self) -> None:
        """Be as before anything was absorbed: something that was kept has been retracted, what holds comes anew."""
        ...


class Environment(Protocol):
    """Confirms or refutes hypotheses. One that asks questions of its own is a ``Sparker`` too."""

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Return one outcome per hypothesis; ``sparks[i]`` is the question that ``hypotheses[i]`` answers."""
        ...


@runtime_checkable
class RevisingEnvironment(Protocol):
    """An environment that may find later that what it or anyone held to be true is wrong."""

    def invalidate(self, since: int) -> Mapping[str, str]:
        """Return ids of experiences that it has refuted since a round began, each with the reason.

        It is asked in each round before anything new is kept, and may be asked again of the same round.
        """
        ...


@runtime_checkable
class TeachingEnvironment(Protocol):
    """An environment that asks harder or easier questions as the answers get better or worse."""

    def curriculum(self, stats: Mapping[str, float]) -> None:
        """Be told how a round went: its number, ``solved`` (share confirmed) and ``errors``; once for each round."""
        ...


@runtime_checkable
class HindsightEnvironment(Protocol):
    """An environment in which a wrong answer to one question may be the right one to another."""

    def hindsight(self, said: Sequence[Hypothesis]) -> list[str | None]:
        """Return for each answer, as text, the question that it does answer together with it; None where it is none."""
        ...


class Memory(Protocol):
    """What a generator, or its sampler, keeps in mind so as not to say it again."""

    def add(self, said: Iterable[tuple[str, Triple | None]]) -> None:
        """Keep these claims in mind, each given as its text and, where it can be read so, its triple."""
        ...


@runtime_checkable
class SearchingSparker(Protocol):
    """A sparker that goes on from what was answered before."""

    def told(self, sparks: Sequence[Spark], draws: Sequence[Draw]) -> None:
        """Learn what became of the answers, ``len(draws) / len(sparks)`` to each spark, in order."""
        ...


Judge = Callable[[Sequence[Hypothesis], Sequence[Grounding], Sequence[Outcome]], list[Verdict]]
"""Decides what is kept, given hypotheses, their groundings and their outcomes."""


class Expert(Protocol):
    """Ranks what was hallucinated: a person behind a page, or a simulation that says that it is one."""

    def rank(self, sheets: Sequence[Sheet]) -> list[Ranking]:
        """Return rankings of the sheets, as many as there are; none while nobody is there, and the run then waits."""
        ...


class Learner(Protocol):
    """Reinforces a generator on what was kept."""

    def learn(
        self, turn: Turn, kept: Sequence[Experience], archive: Sequence[Experience], rng: np.random.Generator
    ) -> dict[str, float]:
        """Change the weights once and return figures worth logging.

        Args:
            turn: all that this round drew, what was refused included.
            kept: what it kept.
            archive: what earlier rounds kept, oldest first.
            rng: the only source of randomness.
        """
        ...

    def save(self, folder: Path) -> None:
        """Write weights and optimiser so that ``load`` continues exactly here."""
        ...

    def load(self, folder: Path) -> None:
        """Continue from what ``save`` wrote."""
        ...
