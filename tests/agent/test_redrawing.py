"""What repeats is drawn again, whole, and only a few times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hunch.agent.contracts import check_generator
from hunch.agent.redrawing import TRIES, Redrawing
from hunch.agent.scripted import ScriptedGenerator
from hunch.memory.records import Hypothesis, Spark, Triple

ASKED = [Spark(prompt="a"), Spark(prompt="b")]


class Counting:
    """Says the numbers from 0 on below a bound, then begins again; remembers what it was asked."""

    version = 3

    def __init__(self, bound: int) -> None:
        self.asked: list[tuple[str, int]] = []
        self._next, self._bound = 0, bound

    def hallucinate(self, sparks: Sequence[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:
        self.asked += [(spark.prompt, width) for spark in sparks]
        said = []
        for spark in sparks:
            for _ in range(width):
                said.append(Hypothesis(spark_id=spark.id, text=str(self._next)))
                self._next = (self._next + 1) % self._bound
        return said


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_it_keeps_the_contract_of_a_generator() -> None:
    check_generator(Redrawing(ScriptedGenerator(["x is y", "y is x"]), ["x is y"]), ASKED)


def test_what_is_known_or_was_said_is_drawn_again_for_the_same_question() -> None:
    counting = Counting(9)
    drawing = Redrawing(counting, ["1"])
    drawing.add([("2", None), ("no number", Triple(subject="3", relation="is", object="3"))])
    said = drawing.hallucinate(ASKED, 2, rng())
    assert [one.text for one in said] == ["0", "4", "5", "3"]
    assert [one.spark_id for one in said] == [ASKED[0].id, ASKED[0].id, ASKED[1].id, ASKED[1].id]
    assert counting.asked == [("a", 2), ("b", 2), ("a", 1), ("b", 1)]
    assert drawing.version == 3


def test_of_equal_answers_of_one_round_the_first_stays() -> None:
    said = Redrawing(Counting(3), []).hallucinate(ASKED, 2, rng())  # 0 1 2 0, then 1, 2, 0, 1 for the last
    assert [one.text for one in said] == ["0", "1", "2", "1"]


def test_what_cannot_but_repeat_is_said_after_some_tries() -> None:
    counting = Counting(1)
    assert [one.text for one in Redrawing(counting, ["0"]).hallucinate(ASKED, 1, rng())] == ["0", "0"]
    assert len(counting.asked) == 2 * (1 + TRIES)
