"""Scores of others as environments: what is no score is an error, and an error is never a score of 0."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hunch.agent.contracts import check_environment, check_sparker
from hunch.agent.environments.scored import Scored, from_reward_function, from_taskset, rows
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Outcome, Spark, Status

QUESTIONS = rows([{"prompt": f"{a}+1", "answer": str(a + 1), "kind": "sum"} for a in range(6)])


def said(*texts: str) -> list[Hypothesis]:
    return [Hypothesis(spark_id="s", text=text) for text in texts]


def status(outcomes: Sequence[Outcome]) -> list[Status]:
    return [outcome.status for outcome in outcomes]


def plain(prompt: str, completion: str) -> float:
    return {"right": 1.0, "half": 0.5, "nan": math.nan, "two": 2.0, "minus": -0.1, "inf": math.inf}.get(completion) or (
        float(int(completion)) if prompt else 0.0
    )


def matching(
    prompts: Sequence[str], completions: Sequence[str], answer: Sequence[str], **columns: Any
) -> list[float | None]:
    """Reward as TRL's functions do."""
    assert len(prompts) == len(completions) == len(answer) == len(columns["kind"])
    return [
        None if text == "?" else 3.0 if text == right else -1.0 + int(text) * 0
        for text, right in zip(completions, answer, strict=True)
    ]


def test_a_plain_function_is_an_environment_that_keeps_the_contracts() -> None:
    environment = Scored(plain, questions=QUESTIONS)
    check_sparker(environment)
    check_environment(environment, [Spark(prompt="?")] * 3, said("right", "half", "x"))


def test_what_is_no_score_between_0_and_1_is_an_error() -> None:
    texts = ("right", "half", "0", "nan", "two", "minus", "inf", "x")
    outcomes = Scored(plain).verify([Spark(prompt="?")] * 8, said(*texts))
    assert status(outcomes) == [Status.CONFIRMED, Status.REFUTED, Status.REFUTED] + [Status.ERROR] * 5
    assert [outcome.score for outcome in outcomes] == [1.0, 0.5, 0.0] + [0.0] * 5
    assert "the score is nan" in (outcomes[3].error or "") and "ValueError" in (outcomes[7].error or "")


def test_bounds_scale_scores_and_right_says_where_confirmation_begins() -> None:
    environment = Scored(lambda prompt, text: float(text), bounds=(-1.0, 3.0), right=0.75)
    outcomes = environment.verify([Spark()] * 4, said("3", "2", "1", "-1"))
    assert [outcome.score for outcome in outcomes] == [1.0, 0.75, 0.5, 0.0]
    assert status(outcomes) == [Status.CONFIRMED, Status.CONFIRMED, Status.REFUTED, Status.REFUTED]


@pytest.mark.parametrize(("bounds", "right"), [((1.0, 1.0), 1.0), ((0.0, math.inf), 1.0), ((0.0, 1.0), 0.0)])
def test_bounds_that_say_nothing_are_refused(bounds: tuple[float, float], right: float) -> None:
    with pytest.raises(InputError, match="bounds is"):
        Scored(plain, bounds=bounds, right=right)


def test_an_environment_without_questions_asks_none() -> None:
    with pytest.raises(InputError, match="no questions were given"):
        Scored(plain).sparks(np.random.default_rng(0), 1)


def test_a_reward_function_gets_prompts_completions_and_columns_and_keeps_the_contracts() -> None:
    environment = from_reward_function(matching, questions=QUESTIONS, bounds=(-1.0, 3.0))
    check_sparker(environment)
    check_environment(environment, QUESTIONS[:4], said("1", "1", "?", "x"))
    outcomes = environment.verify(QUESTIONS[:4], said("1", "1", "?", "x"))
    assert status(outcomes) == [Status.CONFIRMED, Status.REFUTED, Status.UNDECIDED, Status.ERROR]


def test_one_bad_completion_does_not_spoil_the_others_of_its_batch() -> None:
    calls: list[int] = []

    def counted(**given: Any) -> list[float | None]:
        calls.append(len(given["completions"]))
        return matching(**given)

    outcomes = from_reward_function(counted, bounds=(-1.0, 3.0)).verify(QUESTIONS[:3], said("1", "x", "3"))
    assert status(outcomes) == [Status.CONFIRMED, Status.ERROR, Status.CONFIRMED]
    assert calls == [3, 1, 1, 1]


def test_a_wrong_number_of_rewards_is_an_error() -> None:
    (outcome,) = from_reward_function(lambda **given: []).verify(QUESTIONS[:1], said("1"))
    assert outcome.error == "ValueError: 0 rewards came back for 1 completions"


def test_a_conversational_reward_function_gets_messages() -> None:
    def reward(prompts: Any, completions: Any, **columns: Any) -> list[float | None]:
        return [float(c[0]["content"] == p[0]["content"]) for p, c in zip(prompts, completions, strict=True)]

    outcomes = from_reward_function(reward, conversational=True).verify(QUESTIONS[:2], said("0+1", "no"))
    assert [outcome.score for outcome in outcomes] == [1.0, 0.0]


class Doubling:
    """A task with the interface of ``verifiers``: data, hooks, and a coroutine that scores a trace."""

    def __init__(self, number: int) -> None:
        self.data = SimpleNamespace(prompt=f"twice {number}?", prompt_text=f"twice {number}?")
        self.right = str(2 * number)

    def hooks(self, kind: str) -> list[Callable[..., Any]]:
        return []

    async def score(self, trace: Any) -> None:
        await asyncio.sleep(0)
        if trace.text == "boom":
            raise RuntimeError("no")
        if trace.text != "skip":
            trace.rewards["exact"] = trace.reward = float(trace.text == self.right)


class NeedingRuntime(Doubling):
    """One whose reward needs a sandbox."""

    def hooks(self, kind: str) -> list[Callable[..., Any]]:
        def in_sandbox(runtime: object) -> float:
            return 0.0

        return [in_sandbox]


def traced(task: Any, text: str) -> Any:
    return SimpleNamespace(text=text, rewards={"exact": None}, reward=0.0)


def test_a_taskset_is_an_environment_that_keeps_the_contracts() -> None:
    environment = from_taskset(map(Doubling, range(10)), items=4, trace=traced)
    check_sparker(environment)
    sparks = environment.sparks(np.random.default_rng(0), 4)
    assert {spark.prompt for spark in sparks} <= {f"twice {n}?" for n in range(4)}
    right = str(2 * int(sparks[0].prompt.split()[1].rstrip("?")))
    texts = said(right, "no", "boom", "skip")
    check_environment(environment, sparks, texts)
    outcomes = environment.verify(sparks, texts)
    assert status(outcomes) == [Status.CONFIRMED, Status.REFUTED, Status.ERROR, Status.ERROR]
    assert "no score for the rewards ['exact']" in (outcomes[3].error or "")


def test_a_taskset_can_be_scored_where_an_event_loop_runs() -> None:
    environment = from_taskset([Doubling(2)], trace=traced)

    async def within() -> list[Outcome]:
        return environment.verify(environment.sparks(np.random.default_rng(0), 1), said("4"))

    assert asyncio.run(within())[0].status is Status.CONFIRMED


def test_rewards_that_need_a_sandbox_are_refused_at_once() -> None:
    with pytest.raises(InputError, match=r"\['in_sandbox'\] need a running sandbox"):
        from_taskset([NeedingRuntime(1)], trace=traced)


def test_a_real_taskset_is_scored_offline() -> None:
    vf = pytest.importorskip("verifiers.v1")

    class Sum(vf.Task):  # type: ignore[misc, name-defined]
        @vf.reward  # type: ignore[untyped-decorator, unused-ignore]
        async def exact(self, trace: Any) -> float:
            return float(trace.last_reply == "4")

    environment = from_taskset([Sum(vf.TaskData(prompt="2+2"))])
    sparks = environment.sparks(np.random.default_rng(0), 2)
    assert status(environment.verify(sparks, said("4", "5"))) == [Status.CONFIRMED, Status.REFUTED]
