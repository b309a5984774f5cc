"""Parts without a model: they say, verify and count what they are told to.

For tests, for documentation and for a first look at the loop. All are as deterministic as the real ones: what they do
follows from what they were given and the random numbers handed in, so that a run with them can be interrupted and
resumed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from hunch.agent.forms import sentence_of
from hunch.memory.errors import InputError
from hunch.memory.expertise import Ranking, Sheet, order_by
from hunch.memory.files import replace_file
from hunch.memory.records import Experience, Hypothesis, Outcome, Spark, Status, Triple, Turn

Answer = str | Triple
"""A hypothesis in words or in symbols."""


class ScriptedGenerator:
    """Answers from a script.

    Args:
        answers: what is said to any spark, or what is said to each. The answers to a spark are said in turn, beginning
            at a random one and going round.

    Raises:
        InputError: if there is nothing to say.
    """

    def __init__(self, answers: Sequence[Answer] | Mapping[Spark, Sequence[Answer]]) -> None:
        scripts = answers.values() if isinstance(answers, Mapping) else [answers]
        if not scripts or not all(scripts):
            raise InputError(f"the answers are {answers!r}, but each spark needs at least one; add what is to be said.")
        self._answers = answers
        self.version = 0

    def hallucinate(self, sparks: Sequence[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:
        """Return ``len(sparks) * width`` hypotheses, the ``width`` of the first spark first.

        Raises:
            InputError: if the script has no answer to a spark.
        """
        said = []
        for spark in sparks:
            answers = self._to(spark)
            first = int(rng.integers(len(answers)))
            said += [self._hypothesis(spark, answers[(first + i) % len(answers)], len(answers)) for i in range(width)]
        return said

    def _to(self, spark: Spark) -> Sequence[Answer]:
        if not isinstance(self._answers, Mapping):
            return self._answers
        if spark not in self._answers:
            raise InputError(f"the spark is {spark.prompt!r}, but the script has no answer to it; add one.")
        return self._answers[spark]

    def _hypothesis(self, spark: Spark, answer: Answer, among: int) -> Hypothesis:
        text, triple = (answer, None) if isinstance(answer, str) else (sentence_of(answer), answer)
        chance = -math.log(among)
        return Hypothesis(
            spark_id=spark.id,
            text=text,
            triple=triple,
            logprob=chance,
            model_logprob=chance,
            entropy_nats=-chance,
            weights_version=self.version,
            parents=spark.parents,
        )


class ScriptedEnvironment:
    """Decides by a list.

    Args:
        statuses: what to say of each hypothesis, by its key.
        otherwise: what to say of all others.
    """

    def __init__(self, statuses: Mapping[str, Status], otherwise: Status = Status.UNDECIDED) -> None:
        self._statuses = statuses
        self._otherwise = otherwise

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Return one outcome per hypothesis; the sparks do not matter."""
        return [_outcome(self._statuses.get(hypothesis.key, self._otherwise)) for hypothesis in hypotheses]


def _outcome(status: Status) -> Outcome:
    return Outcome(
        status=status,
        score=1.0 if status is Status.CONFIRMED else 0.0,
        evidence=f"{status.value} by the script",
        error="could not be run, says the script" if status is Status.ERROR else None,
    )


class ScriptedExpert:
    """Ranks by a score, and holds the first places to be worth keeping.

    Args:
        score: of a card's text; the highest comes first, equal ones are tied.
        accepts: how many places are worth keeping.
        name: the name it goes by.
    """

    def __init__(self, score: Callable[[str], float], *, accepts: int = 3, name: str = "script") -> None:
        self._score = score
        self._accepts = accepts
        self._name = name

    def rank(self, sheets: Sequence[Sheet]) -> list[Ranking]:
        """Return one ranking of each sheet by each of its criteria, all alike."""
        return [self._ranked(sheet, criterion) for sheet in sheets for criterion in sheet.criteria]

    def _ranked(self, sheet: Sheet, criterion: str) -> Ranking:
        order = order_by({card.key: self._score(card.text) for card in sheet.cards})
        return Ranking(
            sheet_id=sheet.id,
            expert=self._name,
            criterion=criterion,
            order=order,
            accepted=min(self._accepts, len(order)),
            origin="simulated",
        )


class CountingLearner:
    """Changes no weights and counts what it was given.

    Args:
        generator: its version rises by one each time something was kept, as if it had learned; None for no generator.
    """

    def __init__(self, generator: ScriptedGenerator | None = None) -> None:
        self._generator = generator
        self.rounds = 0
        """How often something was kept."""
        self.lessons = 0
        """How many experiences were newly kept in all."""

    def learn(
        self, turn: Turn, kept: Sequence[Experience], archive: Sequence[Experience], rng: np.random.Generator
    ) -> dict[str, float]:
        """Count; nothing changes when nothing was kept."""
        if not kept:
            return {}
        self.rounds += 1
        self.lessons += len(kept)
        self._tell()
        return {"lessons": float(self.lessons), "archive": float(len(archive))}

    def save(self, folder: Path) -> None:
        """Write the counts."""
        folder.mkdir(parents=True, exist_ok=True)
        counts = {"rounds": self.rounds, "lessons": self.lessons}
        replace_file(folder / "counts.json", json.dumps(counts).encode())

    def load(self, folder: Path) -> None:
        """Continue from what ``save`` wrote."""
        counts = json.loads((folder / "counts.json").read_text("utf-8"))
        self.rounds, self.lessons = int(counts["rounds"]), int(counts["lessons"])
        self._tell()

    def _tell(self) -> None:
        if self._generator is not None:
            self._generator.version = self.rounds
