"""Countdown: reach a number from four others, each used once (a puzzle of French and British television).

Every item has a solution, for it was made from one. What is said is read by ``algebra``, never evaluated as code. Right
is an expression that uses exactly the given numbers, once each, and is worth exactly the target in rational arithmetic.
Items are numbered; disjoint ranges of numbers are disjoint sets of items drawn from the same distribution.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import cache

import numpy as np

from hunch.agent.environments.algebra import ExpressionError, evaluate, literals, parse
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Outcome, Spark, Status, Triple

MOST = 100
"""The largest target."""
PLACES = "abcdef"
"""Names of the numbers given, in order."""

_SIGN = re.compile(r"[0-9]+|[-+*/^()]")


class Countdown:
    """Countdown puzzles: asks them and verifies answers.

    Args:
        items: numbers of the items that are asked.
        numbers: how many are given.
        largest: the largest of them.
        seed: of all items.

    Raises:
        InputError: if there is nothing to ask, or too little to reach anything from.
    """

    def __init__(self, items: Sequence[int], *, numbers: int = 4, largest: int = 12, seed: int = 0) -> None:
        if not items or numbers < 2 or largest < 2:
            raise InputError(
                f"there are {len(items)} items of {numbers} numbers up to {largest}, but at least 1 item of 2 numbers "
                "up to 2 is needed; raise them."
            )
        self.items = list(items)
        self._shape = (numbers, largest, seed)

    def item(self, number: int) -> tuple[Spark, str]:
        """Return an item's question, and an answer to it."""
        given, target, answer = _made(number, *self._shape)
        question = f"{' '.join(map(str, given))} = {target}"
        return Spark(prompt=question, payload=str(number)), f"{question} : {answer}"

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return ``n`` random items."""
        return [self.item(self.items[i])[0] for i in rng.integers(len(self.items), size=n)]

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Confirm what reaches the target from the given numbers, each used once."""
        return [self._verified(spark, said) for spark, said in zip(sparks, hypotheses, strict=True)]

    def hindsight(self, said: Sequence[Hypothesis]) -> list[str | None]:
        """Return for each answer that is worth another target than the one asked for: that target, and the answer."""
        return [_in_hindsight(one.text) for one in said]

    def _verified(self, spark: Spark, said: Hypothesis) -> Outcome:
        given, target, _ = _made(int(spark.payload), *self._shape)
        question, _, answer = said.text.partition(" : ")
        if question != spark.prompt:
            return Outcome(status=Status.REFUTED, evidence="answers another question")
        try:
            value = _worth(answer, map(str, given))
        except ExpressionError as error:
            return Outcome(status=Status.REFUTED, evidence=str(error)[:200])
        if value != target:
            return Outcome(status=Status.REFUTED, evidence=f"is worth {str(value)[:40]}")
        return Outcome(status=Status.CONFIRMED, score=1.0, evidence=f"is worth {target}")


def _in_hindsight(text: str) -> str | None:
    question, _, answer = text.partition(" : ")
    given, _, target = question.partition(" = ")
    try:
        value = _worth(answer, given.split())
    except ExpressionError:
        return None
    reached = value.denominator == 1 and 1 <= value <= MOST and str(value) != target
    return f"{given} = {value} : {answer}" if reached else None


def _worth(answer: str, given: Iterable[str]) -> Fraction:
    """Return what an answer comes to.

    Raises:
        ExpressionError: if it cannot be read or does not use the given numbers, each once.
    """
    read = parse(answer, names="")
    if Counter(map(str, literals(read))) != Counter(given):
        raise ExpressionError("does not use the given numbers, each once")
    return evaluate(read, {})


@cache
def _made(number: int, numbers: int, largest: int, seed: int) -> tuple[tuple[int, ...], int, str]:
    """Return an item: the given numbers, the target, and the expression that it was made from."""
    rng = np.random.default_rng([seed, number])
    while True:
        given = rng.integers(1, largest + 1, size=numbers).tolist()
        parts = [(str(n), n) for n in given]
        while len(parts) > 1:
            i, j = rng.choice(len(parts), size=2, replace=False).tolist()
            (left, a), (right, b) = parts[i], parts[j]
            sign = "+-*"[int(rng.integers(3))]
            value = a + b if sign == "+" else a - b if sign == "-" else a * b
            parts = [part for place, part in enumerate(parts) if place not in (i, j)]
            parts.append((f"({left}{sign}{right})", value))
        text, target = parts[0]
        if 1 <= target <= MOST:
            return tuple(given), target, text[1:-1]


class CountdownForm:
    """Items as ``>|3|5|7|4|=|24|:`` and answers as ``|(|a|+|b|)|*|(|c|-|d|)``, ``a`` being the first number given.

    Every sign is a token. What the model says by places is read as numbers, so that a small one need not learn to copy.
    """

    atoms = True

    def lines(self, text: str, triple: Triple | None) -> list[str]:
        """Return the one line of an answered question."""
        question, _, answer = text.partition(" : ")
        given, places = question.partition(" =")[0].split(), list[str]()
        free = dict(zip(PLACES, given, strict=False))
        for sign in _SIGN.findall(answer):
            place = next((place for place, number in free.items() if number == sign), sign)
            free.pop(place, None)
            places.append(place)
        return ["|".join([">", *question.split(), ":", *places])]

    def prompt(self, spark: Spark) -> str:
        """Return where an answer begins."""
        return "|".join([">", *spark.prompt.split(), ":"])

    def read(self, spark: Spark, completion: str) -> tuple[str, Triple | None]:
        """Return the question and its answer."""
        given = dict(zip(PLACES, spark.prompt.partition(" =")[0].split(), strict=False))
        answer = "".join(given.get(sign, sign) for sign in completion.split("|"))
        return f"{spark.prompt} : {answer}", None
