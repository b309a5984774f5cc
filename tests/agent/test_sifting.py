"""Of many answers the new and likeliest are said; repeats only where nothing else was drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from hunch.agent.contracts import check_generator
from hunch.agent.scripted import ScriptedGenerator
from hunch.agent.sifting import Sifting
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Spark, Triple

ASKED = [Spark(prompt="a"), Spark(prompt="b")]


class Listed:
    """Says what it is given, in order, with its log-probability."""

    version = 3

    def __init__(self, *answers: tuple[str, float]) -> None:
        self.asked: list[tuple[str, int]] = []
        self._answers = list(answers)

    def hallucinate(self, sparks: Sequence[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:
        self.asked += [(spark.prompt, width) for spark in sparks]
        ids = [spark.id for spark in sparks for _ in range(width)]
        answers = self._answers[: len(ids)]
        return [
            Hypothesis(spark_id=id, text=text, model_logprob=logprob)
            for id, (text, logprob) in zip(ids, answers, strict=True)
        ]


def said(sifting: Sifting, width: int) -> list[str]:
    return [one.text for one in sifting.hallucinate(ASKED, width, np.random.default_rng(0))]


def test_it_keeps_the_contract_of_a_generator() -> None:
    check_generator(Sifting(ScriptedGenerator(["x is y", "y is x"]), ["x is y"], candidates=3), ASKED)


def test_the_likeliest_of_each_question_are_said_in_order() -> None:
    listed = Listed(("1", -3.0), ("2", -1.0), ("3", -2.0), ("4", -9.0), ("5", -8.0), ("6", -7.0))
    sifting = Sifting(listed, [], candidates=3)
    assert said(sifting, 1) == ["2", "6"]
    assert listed.asked == [("a", 3), ("b", 3)]
    assert sifting.version == 3
    assert said(Sifting(listed, [], candidates=1), 3) == ["2", "3", "1", "6", "5", "4"]


def test_what_is_known_or_was_said_is_left_out_however_likely() -> None:
    sifting = Sifting(Listed(("1", -1.0), ("2", -2.0), ("3", -1.0), ("4", -2.0)), ["1"], candidates=2)
    assert said(sifting, 1) == ["2", "3"]
    sifting.add([("2", None), ("no number", Triple(subject="3", relation="is", object="3"))])
    assert said(sifting, 1) == ["1", "3"]  # nothing new for the first: it repeats what it drew first
    assert Hypothesis(spark_id="s", text="3").key != Hypothesis(spark_id="s", text="no number").key


def test_two_questions_are_not_given_the_same_answer() -> None:
    assert said(Sifting(Listed(("1", -1.0), ("2", -2.0), ("1", -1.0), ("3", -2.0)), [], candidates=2), 1) == ["1", "3"]


def test_repeats_fill_what_lacks() -> None:
    assert said(Sifting(Listed(*[("1", -1.0)] * 8), ["1"], candidates=2), 2) == ["1"] * 4


def test_no_candidate_is_refused() -> None:
    with pytest.raises(InputError, match="candidates is 0, but at least 1"):
        Sifting(ScriptedGenerator(["x is y"]), [], candidates=0)
