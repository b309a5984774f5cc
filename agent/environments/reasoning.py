"""Puzzles of reasoning-gym (Stojanovski et al. 2025) as an environment: any data set by its name. Extra ``puzzles``.

An item is (data set, seed, index). reasoning-gym draws it from ``Random(seed + index)``, so seed 1 has nearly the items
of seed 0, one place on: what is held out is therefore a disjoint range of indices of one seed (``split``).

Around each scorer stand four things; ``docs/audit.md`` shows why. The answer is read out of what was said. What an
empty answer earns is subtracted. An exception is an ``error``, never a 0. Nine scorers hand the answer to ``eval`` or
to sympy, which runs it as code: only plain data, or plain arithmetic with small powers, reaches them. A scorer may
still take forever: put ``hunch.agent.environments.working.InWorkers`` around. Four data sets make other items in
another process (three by ``PYTHONHASHSEED``); what was asked there is then an ``error`` too. Left out: ``composite``,
a mixture of the others.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Outcome, Spark, Status

try:
    from reasoning_gym.factory import CURRICULA, DATASETS, create_curriculum
except ImportError as error:
    raise InputError(
        "reasoning-gym is not installed, but its puzzles need it; run pip install 'hunch-agent[puzzles]'."
    ) from error

RIGHT = 0.999
"""The score from which on an answer is confirmed."""
LONGEST = 20_000
"""Letters of an answer; the longest right one that was seen has about 4,000."""
KEPT = 4096
"""Items that are remembered: some take a second to make."""
ANOTHER = "the data set makes another question of this index in this process; set PYTHONHASHSEED for all processes"
"""Why an item cannot be verified: isomorphic_strings, polynomial_multiplication and ransom_note depend on it, and a few
items of list_functions on something else."""
HARDER, EASIER = 0.8, 0.2
"""Shares solved from which on, and up to which, the level changes."""

_LITERAL = frozenset({"binary_matrix", "n_queens", "rotate_matrix", "spiral_matrix", "string_insertion"})
"""Data sets whose scorers call ``eval`` on an answer."""
_ARITHMETIC = frozenset({"countdown", "puzzle24"})
_ALGEBRA = frozenset({"intermediate_integration", "polynomial_multiplication", "simple_integration"})
"""Data sets whose scorers give an answer to sympy, which evaluates it."""
_NAMES = frozenset(
    [
        "sin",
        "cos",
        "tan",
        "asin",
        "acos",
        "atan",
        "sinh",
        "cosh",
        "tanh",
        "sec",
        "csc",
        "cot",
        "exp",
        "log",
        "ln",
        "sqrt",
        "pi",
        "Abs",
    ]
)
_POWER = re.compile(r"(?:-?\d{1,2}|\(-?\d{1,2}(?:/\d{1,2})?\)|[A-Za-z])(?![\d.]|\s*(?:\*\*|\^))")


class Puzzles:
    """The items of one data set: asks them and verifies answers.

    Args:
        name: of the data set.
        items: indices of the items that are asked.
        seed: of all items.
        config: options of the data set.
        level: where its curriculum begins; None leaves the curriculum alone.
        bare: score the whole text as it is, with nothing subtracted and nothing kept from a scorer that runs it as
            code. For an audit, not for what others say.
        size: of the data set that the items lie in; the items of a few data sets depend on it.

    Raises:
        InputError: if there is no such data set, option, level or item.
    """

    def __init__(
        self,
        name: str,
        *,
        items: Sequence[int] = range(1000),
        seed: int = 0,
        config: Mapping[str, Any] | None = None,
        level: int | None = None,
        bare: bool = False,
        size: int | None = None,
    ) -> None:
        if name not in DATASETS or name == "composite":
            raise InputError(f"name is {name!r}, but reasoning-gym has no such data set; `names()` lists them.")
        if not items or min(items) < 0:
            raise InputError(f"{len(items)} items are given, but at least one index of 0 or more is needed.")
        if level is not None and (name not in CURRICULA or level < 0):
            raise InputError(f"level is {level}, but {name} has no such level of a curriculum; leave it out.")
        self.name, self.items, self.seed, self.level, self.bare = name, items, seed, level, bare
        self.size = max(max(items) + 1, size or 0)
        self._config = dict(config or {})
        self._datasets: dict[int | None, Any] = {}
        self._entries: OrderedDict[tuple[int, int | None], dict[str, Any]] = OrderedDict()
        self._dataset(level)  # a wrong option shows at once

    def split(self, held_out: int) -> tuple[Puzzles, Puzzles]:
        """Return the first items and the last ``held_out`` ones: disjoint indices of one seed.

        Where a data set can make few different puzzles, both may still hold the same one.

        Raises:
            InputError: if one of the two would be empty.
        """
        if not 0 < held_out < len(self.items):
            raise InputError(
                f"held_out is {held_out}, but of {len(self.items)} items at least 1 must go to each side; change it."
            )
        first, last = (
            Puzzles(
                self.name, items=items, seed=self.seed, config=self._config, level=self.level, bare=self.bare,
                size=self.size,
            )
            for items in (self.items[:-held_out], self.items[-held_out:])
        )  # fmt: skip
        return first, last

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return ``n`` random items at the present level."""
        return [self.spark(int(self.items[i])) for i in rng.integers(len(self.items), size=n)]

    def spark(self, index: int) -> Spark:
        """Return an item's question."""
        payload: dict[str, Any] = {"dataset": self.name, "seed": self.seed, "index": index}
        if self.level is not None:
            payload["level"] = self.level
        return Spark(prompt=self._entry(index, self.level)["question"], payload=json.dumps(payload))

    def oracle(self, sparks: Sequence[Spark]) -> list[str | None]:
        """Return the data set's own answers; None where it has none."""
        answers = [self._asked(spark)["answer"] for spark in sparks]
        return [answer if answer is None else str(answer) for answer in answers]

    def floors(self, sparks: Sequence[Spark]) -> list[float]:
        """Return what an empty answer earns from the bare scorer, which is what is subtracted."""
        return [self._floor(self._asked(spark)) for spark in sparks]

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Confirm what the data set scores 1, refute the rest, which may have a score above 0 too.

        Raises:
            InputError: if a question is not of this data set and seed.
        """
        outcomes = []
        for spark, said in zip(sparks, hypotheses, strict=True):
            entry, begun = self._asked(spark), perf_counter()
            if entry["question"] == spark.prompt:
                outcome = self._verified(entry, said.text)
            else:
                outcome = Outcome(status=Status.ERROR, error=ANOTHER)
            outcomes.append(outcome.model_copy(update={"cost_seconds": perf_counter() - begun}))
        return outcomes

    def curriculum(self, stats: Mapping[str, float]) -> None:
        """Go one level up where most was solved, one down where little was; nothing without a ``level``."""
        if self.level is None or "solved" not in stats:
            return
        ladder = create_curriculum(self.name)
        highest = max((len(attribute.levels) for attribute in ladder.attributes.values()), default=1) - 1
        step = (stats["solved"] >= HARDER) - (stats["solved"] <= EASIER)
        self.level = min(max(self.level + step, 0), highest)

    def _verified(self, entry: dict[str, Any], text: str) -> Outcome:
        answer = text if self.bare else answer_in(text)
        if len(answer) > LONGEST:
            return Outcome(status=Status.REFUTED, evidence=f"is longer than {LONGEST:,} letters")
        if not self.bare and not harmless(self.name, answer):
            return Outcome(status=Status.REFUTED, evidence="is no plain answer: it would be run as code")
        try:
            score = self._scored(answer, entry)
        except Exception as error:  # noqa: BLE001  # the boundary: a foreign scorer given untrusted text
            said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            return Outcome(status=Status.ERROR, error=f"the scorer of {self.name} raised {said}")
        floor = 0.0 if self.bare else self._floor(entry)
        score = max(0.0, (score - floor) / (1.0 - floor)) if floor < RIGHT else score
        status = Status.CONFIRMED if score >= RIGHT else Status.REFUTED
        return Outcome(status=status, score=score, evidence=f"{self.name} scores it {score:.3g}")

    def _scored(self, answer: str, entry: dict[str, Any]) -> float:
        score = float(self._dataset(self.level).score_answer(answer, entry))
        if not math.isfinite(score):
            raise ValueError(f"a score of {score}")
        return min(max(score, 0.0), 1.0)

    def _floor(self, entry: dict[str, Any]) -> float:
        try:
            return self._scored("", entry)
        except Exception:  # noqa: BLE001  # the boundary again: what cannot score an empty answer gives it nothing
            return 0.0

    def _asked(self, spark: Spark) -> dict[str, Any]:
        try:
            asked = json.loads(spark.payload)
            dataset, seed, index, level = asked["dataset"], asked["seed"], asked["index"], asked.get("level")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InputError(
                f"a question's payload is {spark.payload[:80]!r}, but {self.name} asked none such; verify its own."
            ) from error
        if (dataset, seed) != (self.name, self.seed):
            raise InputError(f"a question is of {dataset}, seed {seed}, but this is {self.name}, seed {self.seed}.")
        return self._entry(index, level)

    def _entry(self, index: int, level: int | None) -> dict[str, Any]:
        place = index, level
        if place not in self._entries:
            self._entries[place] = self._dataset(level)[index]
            if len(self._entries) > KEPT:
                self._entries.popitem(last=False)
        return self._entries[place]

    def _dataset(self, level: int | None) -> Any:
        if level not in self._datasets:
            made, configured = DATASETS[self.name]
            options = {**self._config, "seed": self.seed, "size": self.size}
            try:
                if level is None:
                    config = configured(**options)
                else:
                    ladder = create_curriculum(self.name)
                    ladder.set_global_level(level)
                    config = ladder.generate_configuration(options)
                if hasattr(config, "validate"):
                    config.validate()
                self._datasets[level] = made(config=config)
            except (TypeError, ValueError, AssertionError) as error:
                raise InputError(
                    f"config is {self._config}, but {self.name} refuses it ({error}); change it."
                ) from error
        return self._datasets[level]


def names() -> list[str]:
    """Return the names of all data sets, in alphabetical order."""
    return sorted(name for name in DATASETS if name != "composite")


def answer_in(text: str) -> str:
    """Return what stands in the last ``<answer>...</answer>``, or else all of the text, without white space around."""
    end = text.rfind("</answer>")
    start = text.rfind("<answer>", 0, end) if end >= 0 else -1
    return (text[start + len("<answer>") : end] if start >= 0 else text).strip()


def harmless(name: str, answer: str) -> bool:
    """Return whether a data set's scorer may be given an answer: nothing in it runs, nor grows without bounds."""
    if name in _LITERAL:
        return not re.search(r"[()\[\]{}*<]", answer) or _plain(answer)
    if name not in _ARITHMETIC | _ALGEBRA:
        return True
    if not re.fullmatch(r"[0-9A-Za-z+\-*/^().=\s]*", answer) or re.search(r"\d{13}|\.\s*[A-Za-z.]", answer):
        return False
    words = re.findall(r"[A-Za-z]+", answer)
    powers = [match.end() for match in re.finditer(r"(?:\*\*|\^)\s*", answer)]
    if name in _ARITHMETIC:
        return not words and not powers
    # a scorer of integrals takes the question said again, `Integral(...)`, for an answer: it is no known name
    known = all(len(word) == 1 or word in _NAMES for word in words)
    return (
        known
        and all(_POWER.match(answer, place) for place in powers)
        and len(re.findall(r"\)\s*(?:\*\*|\^)", answer)) < 3
    )


def _plain(answer: str) -> bool:
    """Return whether an answer is a list of plain values."""
    try:
        ast.literal_eval(answer)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return False
    return True
