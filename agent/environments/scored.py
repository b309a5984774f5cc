"""Environments out of what others score with: a plain function, TRL's reward functions, tasksets of ``verifiers``.

Whatever the form, the same holds: a score is a finite number that is scaled to [0, 1], an exception or anything else is
an ``error``, and an error is never a score of 0, for a learner would take it as one. TRL's form is
``f(prompts=[...], completions=[...], **columns) -> list[float | None]``; that of ``verifiers`` (0.4, its v1 interface)
is ``await task.score(trace)`` on a trace that is made here of the question and the answer: no model, no sandbox.

Left out: asynchronous reward functions, and rewards of ``verifiers`` that need a running sandbox (refused at once).
"""

from __future__ import annotations

import asyncio
import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np

from hunch.agent.sparking import GivenQuestions
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Outcome, Spark, Status


class Scored:
    """An environment of a plain function.

    Args:
        f: returns the score of a completion of a prompt.
        questions: what it asks, if it is to ask.
        bounds: the scores that are wholly wrong and wholly right.
        right: the scaled score from which on a hypothesis is confirmed.

    Raises:
        InputError: if the bounds are not two different numbers in order.
    """

    def __init__(
        self,
        f: Callable[[str, str], float],
        *,
        questions: Sequence[Spark] = (),
        bounds: tuple[float, float] = (0.0, 1.0),
        right: float = 1.0,
    ) -> None:
        self._f = f
        self._asking = GivenQuestions(questions)
        self._scale = _Scale(bounds, right)

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return ``n`` of the questions at random."""
        return self._asking.sparks(rng, n)

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Confirm what scores highest, refute the rest."""
        return [
            self._scale.outcome(lambda spark=spark, said=said: self._f(spark.prompt, said.text))  # type: ignore[misc]
            for spark, said in zip(sparks, hypotheses, strict=True)
        ]


class Rewarded:
    """An environment of a TRL reward function; ``from_reward_function`` makes it."""

    def __init__(
        self, f: Callable[..., Sequence[float | None]], questions: Sequence[Spark], scale: _Scale, conversational: bool
    ) -> None:
        self._f, self._scale, self._conversational = f, scale, conversational
        self._asking = GivenQuestions(questions)

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return ``n`` of the questions at random."""
        return self._asking.sparks(rng, n)

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Ask for all scores at once, and one by one where that fails; a reward of None is undecided."""
        if not hypotheses:
            return []
        begun = perf_counter()
        try:
            scores = self._scores(sparks, hypotheses)
        except Exception as error:  # noqa: BLE001  # the boundary: a foreign function given untrusted text
            if len(hypotheses) > 1:
                pairs = zip(sparks, hypotheses, strict=True)
                return [outcome for spark, said in pairs for outcome in self.verify([spark], [said])]
            return [_failed(error, perf_counter() - begun)]
        cost = (perf_counter() - begun) / len(scores)
        return [
            Outcome(evidence="the reward function leaves it open", cost_seconds=cost)
            if score is None
            else self._scale.outcome(lambda score=score: score, cost)  # type: ignore[misc]
            for score in scores
        ]

    def _scores(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[float | None]:
        rows = [_columns(spark) for spark in sparks]
        names = dict.fromkeys(name for row in rows for name in row)
        columns = {name: [row.get(name) for row in rows] for name in names}
        prompts: list[Any] = [spark.prompt for spark in sparks]
        completions: list[Any] = [said.text for said in hypotheses]
        if self._conversational:
            prompts = [[{"role": "user", "content": text}] for text in prompts]
            completions = [[{"role": "assistant", "content": text}] for text in completions]
        scores = list(self._f(prompts=prompts, completions=completions, **columns))
        if len(scores) != len(hypotheses):
            raise ValueError(f"{len(scores)} rewards came back for {len(hypotheses)} completions")
        return scores


def from_reward_function(
    f: Callable[..., Sequence[float | None]],
    *,
    questions: Sequence[Spark] = (),
    bounds: tuple[float, float] = (0.0, 1.0),
    right: float = 1.0,
    conversational: bool = False,
) -> Rewarded:
    """Return the environment of a TRL reward function.

    Args:
        f: called with ``prompts``, ``completions`` and the columns that a question's payload holds as a JSON object.
        questions: what is asked (``rows`` makes them).
        bounds: the rewards that are wholly wrong and wholly right.
        right: the scaled score from which on a hypothesis is confirmed.
        conversational: hand over lists of messages instead of strings.
    """
    return Rewarded(f, questions, _Scale(bounds, right), conversational)


def rows(data: Iterable[Mapping[str, Any]]) -> list[Spark]:
    """Return the rows of a data set as questions: ``prompt``, and all other columns as the payload."""
    sparks = []
    for row in data:
        others = {name: value for name, value in row.items() if name != "prompt"}
        sparks.append(Spark(prompt=row["prompt"], payload=json.dumps(others)))
    return sparks


class Tasks:
    """An environment of a ``verifiers`` taskset; ``from_taskset`` makes it."""

    def __init__(self, tasks: Sequence[Any], scale: _Scale, trace: Callable[[Any, str], Any]) -> None:
        self._tasks, self._scale, self._trace = tasks, scale, trace
        for task in tasks[:1]:
            needy = [f.__name__ for f in task.hooks("reward") if _needs_runtime(f)] if hasattr(task, "hooks") else []
            if needy:
                raise InputError(f"the rewards {needy} need a running sandbox, but scores are found offline here.")
        self._asking = GivenQuestions(
            [Spark(prompt=_prompt(task), payload=json.dumps({"task": i})) for i, task in enumerate(tasks)]
        )

    def sparks(self, rng: np.random.Generator, n: int) -> list[Spark]:
        """Return ``n`` of the tasks at random."""
        return self._asking.sparks(rng, n)

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Have each task score a trace in which it was answered so: the sum of its weighted rewards."""
        asked = [self._tasks[_columns(spark)["task"]] for spark in sparks]
        return [
            self._scale.outcome(lambda task=task, said=said: self._scored(task, said.text))  # type: ignore[misc]
            for task, said in zip(asked, hypotheses, strict=True)
        ]

    def _scored(self, task: Any, text: str) -> float:
        trace = self._trace(task, text)
        with ThreadPoolExecutor(1) as thread:  # where an event loop runs already, another needs a thread of its own
            thread.submit(lambda: asyncio.run(task.score(trace))).result()
        missing = [name for name, reward in trace.rewards.items() if reward is None]
        if missing or not trace.rewards:
            raise ValueError(f"no score for the rewards {missing or 'at all'}")
        return float(trace.reward)


def from_taskset(
    taskset: Iterable[Any],
    *,
    items: int = 1000,
    bounds: tuple[float, float] = (0.0, 1.0),
    right: float = 1.0,
    trace: Callable[[Any, str], Any] | None = None,
) -> Tasks:
    """Return the environment of a ``verifiers`` taskset.

    Args:
        taskset: yields tasks.
        items: at most so many of its first tasks are asked.
        bounds: the sums of rewards that are wholly wrong and wholly right.
        right: the scaled score from which on a hypothesis is confirmed.
        trace: makes the trace of a task and an answer; None makes that of ``verifiers`` 0.4.

    Raises:
        InputError: if a reward needs a running sandbox, or ``verifiers`` is needed and not there.
    """
    return Tasks(list(islice(taskset, items)), _Scale(bounds, right), trace or _trace_of_verifiers())


class _Scale:
    """Turns scores into outcomes."""

    def __init__(self, bounds: tuple[float, float], right: float) -> None:
        self.low, self.high = bounds
        self.right = right
        if not -math.inf < self.low < self.high < math.inf or not 0 < right <= 1:
            raise InputError(
                f"bounds is {bounds} and right {right}, but wrong must score less than right, and `right` lie above 0."
            )

    def outcome(self, scored: Callable[[], float], cost_seconds: float | None = None) -> Outcome:
        begun = perf_counter()
        try:
            raw = float(scored())
            if not self.low <= raw <= self.high:  # NaN too
                raise ValueError(f"the score is {raw:g}, but it must lie between {self.low:g} and {self.high:g}")
        except Exception as error:  # noqa: BLE001  # the boundary: a foreign function given untrusted text
            return _failed(error, perf_counter() - begun if cost_seconds is None else cost_seconds)
        score = (raw - self.low) / (self.high - self.low)
        return Outcome(
            status=Status.CONFIRMED if score >= self.right else Status.REFUTED,
            score=score,
            evidence=f"scores {raw:.3g}",
            cost_seconds=perf_counter() - begun if cost_seconds is None else cost_seconds,
        )


def _failed(error: Exception, cost_seconds: float) -> Outcome:
    said = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    return Outcome(status=Status.ERROR, error=said, cost_seconds=cost_seconds)


def _columns(spark: Spark) -> dict[str, Any]:
    try:
        columns = json.loads(spark.payload or "{}")
    except ValueError:
        columns = None
    if not isinstance(columns, dict):
        raise InputError(f"a question's payload is {spark.payload[:80]!r}, but a JSON object of columns is needed.")
    return columns


def _needs_runtime(f: Callable[..., Any]) -> bool:
    parameter = inspect.signature(f).parameters.get("runtime")
    return parameter is not None and parameter.default is inspect.Parameter.empty


def _prompt(task: Any) -> str:
    data = task.data
    return str(getattr(data, "prompt_text", None) or data.prompt or "")


def _trace_of_verifiers() -> Callable[[Any, str], Any]:
    """Return what makes a trace of a task and an answer."""
    try:
        vf = import_module("verifiers.v1")  # of fifty packages, and not needed for the other two forms
    except ImportError as error:
        raise InputError(
            "verifiers is not installed, but its traces need it; run pip install 'verifiers>=0.4,<0.5'."
        ) from error

    def trace(task: Any, text: str) -> Any:
        return vf.Trace(
            task=vf.TraceTask(type=type(task).__name__, data=task.data),
            agent=vf.AgentInfo(config=vf.AgentConfig(model="hunch")),
            nodes=[
                vf.MessageNode(message=vf.UserMessage(content=_prompt(task))),
                vf.MessageNode(parent=0, message=vf.AssistantMessage(content=text), sampled=True),
            ],
        )

    return trace
