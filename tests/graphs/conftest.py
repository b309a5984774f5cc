"""A small world with a planted rule, and parts that learn in it without a model.

Substances lower physiology that is raised in conditions: that one relieves the other is what the facts suggest. The
generator answers with any name; the learner makes kept answers likelier, so that weights, order and randomness all
leave their mark on what is drawn.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from bench.killing import planted
from hunch.agent.grounding import StoreGrounder
from hunch.graphs import Budget, Mind
from hunch.memory.knowledge import Knowledge
from hunch.memory.ledger import Ledger
from hunch.memory.records import Experience, Hypothesis, Spark, Triple, Turn

SIZE = 8


NAMES = sorted({name for subject, _, object in planted(SIZE) for name in (subject, object)})


class Rambler:
    """Fills the open end with any name; what was learned is likelier."""

    def __init__(self) -> None:
        self.taste = dict.fromkeys(NAMES, 1.0)
        self.version = 0

    def hallucinate(self, sparks: Sequence[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:
        chance = np.array([self.taste[name] for name in NAMES])
        said = []
        for spark in [spark for spark in sparks for _ in range(width)]:
            name = str(rng.choice(NAMES, p=chance / chance.sum()))
            triple = Triple(
                subject=spark.subject or name, relation=spark.relation or "lowers", object=spark.object or name
            )
            text = f"{triple.subject} {triple.relation} {triple.object}"
            said.append(Hypothesis(spark_id=spark.id, text=text, triple=triple, weights_version=self.version))
        return said


class Savourer:
    """Raises the taste for names that were kept, by a random amount."""

    def __init__(self, generator: Rambler) -> None:
        self.generator = generator

    def learn(
        self, turn: Turn, kept: Sequence[Experience], archive: Sequence[Experience], rng: np.random.Generator
    ) -> dict[str, float]:
        for experience in kept:
            assert experience.hypothesis.triple is not None
            self.generator.taste[experience.hypothesis.triple.object] += float(rng.random())
        self.generator.version += bool(kept)
        return {"archive": float(len(archive))}

    def save(self, folder: Path) -> None:
        (folder / "taste.json").write_text(json.dumps([self.generator.taste, self.generator.version]))

    def load(self, folder: Path) -> None:
        self.generator.taste, self.generator.version = json.loads((folder / "taste.json").read_text())


def rambling(folder: Path | None, *, seed: int = 0, **parts: object) -> Mind:
    """Return a mind that lives in this world, its ledger in ``folder``."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    knowledge = Knowledge(Ledger(None if folder is None else folder / "memory.sqlite"))
    knowledge.add(planted(SIZE))
    generator = Rambler()
    given = {
        "learner": Savourer(generator),
        "grounder": StoreGrounder(knowledge, alpha=0.5, seed=seed),
        "budget": Budget(samples=72, sparks=4, width=3),
    }
    return Mind(knowledge, **({"generator": generator, "seed": seed} | given | parts))  # type: ignore[arg-type]  # parts of a test's choosing


def left(folder: Path) -> tuple[list[object], list[object], list[tuple[object, ...]]]:
    """Return all that a run left in its ledger."""
    with Ledger(folder / "memory.sqlite", read_only=True) as ledger:
        experiences: list[object] = list(ledger.experiences())
        draws: list[object] = list(ledger.draws())
        facts = [(fact.id, fact.text, fact.weight, fact.experience_id) for _, fact in ledger.changes().facts]
    return draws, experiences, facts


@pytest.fixture
def mind_in() -> Callable[..., Mind]:
    """Return a function from a folder (or None) and parts to a mind of the small world."""
    return rambling


@pytest.fixture
def ledger_of() -> Callable[[Path], tuple[list[object], list[object], list[tuple[object, ...]]]]:
    """Return a function from a run's folder to the draws, experiences and facts in its ledger."""
    return left
