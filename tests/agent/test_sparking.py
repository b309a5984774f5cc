"""Questions come from observed facts, one end left open."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hunch.agent.sparking import OpenQuestions
from hunch.memory.errors import InputError
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Fact, Triple
from tests.agent.planted import World


def test_each_question_is_a_fact_with_one_end_open_and_gives_no_answer_away(world: World) -> None:
    stated = set(world.facts)
    for spark in OpenQuestions(world.knowledge).sparks(np.random.default_rng(0), 300):
        assert (spark.subject is None) != (spark.object is None) and spark.payload == ""
        fitting = [
            f
            for f in stated
            if f[1] == spark.relation and (spark.subject or f[0], spark.object or f[2]) == (f[0], f[2])
        ]
        assert fitting and (spark.subject or spark.object or "?") in spark.prompt and "_" not in spark.prompt


def test_relations_are_asked_about_as_often_as_they_occur_or_as_told(world: World) -> None:
    often = [(f"s{i}", "often", "o") for i in range(9)]
    knowledge = Knowledge.in_memory([*world.facts[:90], ("x", "rarely", "y"), *often])

    def counts(relations: dict[str, float] | None = None) -> Counter[str | None]:
        sparks = OpenQuestions(knowledge, relations).sparks(np.random.default_rng(0), 2000)
        return Counter(spark.relation for spark in sparks)

    assert counts()["rarely"] == pytest.approx(20, abs=15) and counts()["often"] == pytest.approx(180, abs=50)
    asked = counts({"rarely": 3.0, "often": 1.0})
    assert set(asked) == {"rarely", "often"} and asked["rarely"] == pytest.approx(1500, abs=100)


def test_asked_evenly_a_thing_with_many_facts_is_asked_about_as_often_as_one_with_few() -> None:
    knowledge = Knowledge.in_memory([("hub", "r", f"o{i}") for i in range(9)] + [("lone", "r", "o0")])

    def asked_about(evenly: bool) -> Counter[str | None]:
        sparks = OpenQuestions(knowledge, evenly=evenly).sparks(np.random.default_rng(0), 2000)
        return Counter(spark.subject for spark in sparks if spark.subject)

    assert asked_about(False)["hub"] > 5 * asked_about(False)["lone"]
    assert asked_about(True)["hub"] == pytest.approx(asked_about(True)["lone"], rel=0.2)


def test_half_of_the_questions_leave_the_subject_open(world: World) -> None:
    sparks = OpenQuestions(world.knowledge).sparks(np.random.default_rng(0), 2000)
    assert np.mean([spark.subject is None for spark in sparks]) == pytest.approx(0.5, abs=0.05)


def test_what_was_kept_is_not_asked_about(world: World) -> None:
    kept = Fact(text="a b c", triple=Triple(subject="a", relation="b", object="c"), weight=0.3, experience_id="e")
    knowledge = Knowledge.in_memory([*world.facts, kept])
    assert all(s.relation != "b" for s in OpenQuestions(knowledge).sparks(np.random.default_rng(0), 2000))


def test_a_sentence_is_asked_to_be_gone_on_with_from_one_to_three_words() -> None:
    sentence = "Fish oil lowers blood viscosity in many people."
    sparks = OpenQuestions(Knowledge.in_memory([sentence, "Two words"])).sparks(np.random.default_rng(0), 300)
    assert {spark.prompt for spark in sparks} == {"Fish", "Fish oil", "Fish oil lowers", "Two", "Two words"}


def test_nothing_to_ask_about_is_refused(world: World) -> None:
    with pytest.raises(InputError, match=r"no fact to ask about with relation 'cures'; import facts"):
        OpenQuestions(world.knowledge, {"treats": 1.0, "cures": 1.0})
    with pytest.raises(InputError, match=r"no fact to ask about; import facts"):
        OpenQuestions(Knowledge.in_memory([]))
