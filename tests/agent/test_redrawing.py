"""What repeats is drawn again before it is judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hunch.agent.redrawing import Redrawing
from hunch.memory.records import Fact, Hypothesis, Spark


class Dice:
    """Says one of a few numbers, with the question in front; counts what it drew."""

    version = 7

    def __init__(self, sides: int) -> None:
        self.sides, self.drawn = sides, 0

    def hallucinate(self, sparks: Sequence[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:
        asked = [spark for spark in sparks for _ in range(width)]
        self.drawn += len(asked)
        numbers = rng.integers(self.sides, size=len(asked)).tolist()
        return [
            Hypothesis(spark_id=spark.id, text=f"{spark.prompt} {n}") for spark, n in zip(asked, numbers, strict=True)
        ]


SPARKS = [Spark(prompt="a"), Spark(prompt="b")]


def test_nothing_is_said_twice_while_there_is_something_else_to_say() -> None:
    speaker = Redrawing(Dice(20), tries=200)
    for _ in range(2):
        said = speaker.hallucinate(SPARKS, 10, np.random.default_rng(0))
        assert [one.spark_id for one in said] == [spark.id for spark in SPARKS for _ in range(10)]
        assert len({one.text for one in said}) == 20
        speaker.add((one.text, None) for one in said)
    assert len(speaker._known) == 40  # all that there is


def test_what_is_known_is_not_said_and_what_cannot_be_helped_is() -> None:
    speaker = Redrawing(Dice(2), tries=50)
    speaker.add([("a 0", None)])
    (said,) = speaker.hallucinate(SPARKS[:1], 1, np.random.default_rng(0))
    assert said.text == "a 1" and said.key == Fact(text="a 1").id
    speaker.add([("a 1", None)])
    dice = Dice(2)
    stuck = Redrawing(dice, tries=3)
    stuck.add([("a 0", None), ("a 1", None)])
    assert len(stuck.hallucinate(SPARKS[:1], 5, np.random.default_rng(0))) == 5
    assert dice.drawn == 5 * (1 + 3) and stuck.version == 7


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(0, 4))
def test_the_same_numbers_say_the_same_and_redrawing_never_repeats_more(seed: int, sides: int, tries: int) -> None:
    one, other = (
        Redrawing(Dice(sides), tries=tries).hallucinate(SPARKS, 3, np.random.default_rng(seed)) for _ in range(2)
    )
    plain = Dice(sides).hallucinate(SPARKS, 3, np.random.default_rng(seed))
    assert one == other and (tries or one == plain)
    assert one[0] == plain[0]  # nothing stands before it
    assert len({said.key for said in one}) >= len({said.key for said in plain})
