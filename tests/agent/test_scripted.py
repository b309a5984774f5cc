"""Scripted parts do as they are told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hunch.agent.scripted import CountingLearner, ScriptedEnvironment, ScriptedGenerator
from hunch.memory.errors import InputError
from hunch.memory.records import Spark, Status, Triple, Turn
from tests.agent.planted import claim, experience


def test_answers_are_said_in_turn_from_a_random_one_and_go_round() -> None:
    answers = ["zero", "one", "two"]
    said = ScriptedGenerator(answers).hallucinate([Spark(prompt="?")] * 50, 4, np.random.default_rng(0))
    firsts = set()
    for at in range(0, 200, 4):
        numbers = [answers.index(h.text) for h in said[at : at + 4]]
        assert numbers == [(numbers[0] + i) % 3 for i in range(4)]
        firsts.add(numbers[0])
    assert firsts == {0, 1, 2}


def test_each_spark_gets_its_own_answers_and_triples_stay_triples() -> None:
    why, how = Spark(prompt="why?"), Spark(prompt="how?")
    triple = Triple(subject="a", relation="is_like", object="b")
    said = ScriptedGenerator({why: ["because"], how: [triple]}).hallucinate([how, why], 1, np.random.default_rng(0))
    assert [(h.spark_id, h.text, h.triple) for h in said] == [
        (how.id, "a is like b", triple),
        (why.id, "because", None),
    ]


def test_without_an_answer_it_says_which_spark_lacks_one() -> None:
    with pytest.raises(InputError, match=r"at least one; add"):
        ScriptedGenerator({Spark(): []})
    with pytest.raises(InputError, match=r"'how\?'.*no answer to it; add one"):
        ScriptedGenerator({Spark(): ["x"]}).hallucinate([Spark(prompt="how?")], 1, np.random.default_rng(0))


def test_the_environment_decides_by_its_list() -> None:
    said = [claim(name, "b", "c") for name in "xyz"]
    environment = ScriptedEnvironment({said[0].key: Status.CONFIRMED, said[1].key: Status.ERROR}, Status.REFUTED)
    outcomes = environment.verify([Spark()] * 3, said)
    assert [(o.status, o.score) for o in outcomes] == [
        (Status.CONFIRMED, 1.0),
        (Status.ERROR, 0.0),
        (Status.REFUTED, 0.0),
    ]
    assert [o.error is None for o in outcomes] == [True, False, True]


def test_the_learner_counts_what_was_kept_and_goes_on_counting_after_a_load(tmp_path: Path) -> None:
    generator = ScriptedGenerator(["x"])
    learner, kept = CountingLearner(generator), [experience(claim("a", "b", "c"))]
    assert learner.learn(Turn(), [], kept, np.random.default_rng(0)) == {} and generator.version == 0
    assert learner.learn(Turn(), kept * 3, kept, np.random.default_rng(0)) == {"lessons": 3.0, "archive": 1.0}
    learner.save(tmp_path)
    again = CountingLearner(ScriptedGenerator(["x"]))
    again.load(tmp_path)
    again.learn(Turn(), kept, [], np.random.default_rng(0))
    assert (again.rounds, again.lessons, generator.version) == (2, 4, 1)
