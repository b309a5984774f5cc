"""When a run stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from hunch.agent.scripted import ScriptedEnvironment
from hunch.graphs import Budget, Mind, stream
from hunch.graphs.mind import START_STATE, State
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Spark, Status, Triple
from tests.graphs.conftest import Rambler, planted

Minds = Callable[..., Mind]


class Fading(Rambler):
    """Says new things at first, and after some rounds one known thing only."""

    rounds = 0

    def hallucinate(self, sparks: Sequence[Spark], width: int, rng: np.random.Generator) -> list[Hypothesis]:
        self.rounds += 1
        said = super().hallucinate(sparks, width, rng)
        subject, relation, target = planted()[0]
        known = Triple(subject=subject, relation=relation, object=target)
        return said if self.rounds < 6 else [one.model_copy(update={"triple": known}) for one in said]


def test_a_run_draws_the_samples_asked_for_and_no_more_than_a_question_over(mind_in: Minds) -> None:
    assert list(stream(mind_in(None, budget=Budget(samples=30, sparks=4, width=3))))[-1]["samples"] == 30
    assert list(stream(mind_in(None, budget=Budget(samples=31, sparks=4, width=3))))[-1]["samples"] == 33


def test_a_run_stops_after_the_rounds_asked_for(mind_in: Minds) -> None:
    assert len(list(stream(mind_in(None, budget=Budget(sparks=2, width=2, rounds=5))))) == 5


def test_a_run_stops_after_the_round_in_which_its_time_was_spent(mind_in: Minds) -> None:
    events = list(stream(mind_in(None, budget=Budget(sparks=2, width=2, seconds=0.2))))
    assert events[-1]["seconds"] >= 0.2
    assert all(event["seconds"] <= 0.2 for event in events[:-1])


def test_a_run_stops_when_its_yield_stays_below_the_floor(mind_in: Minds) -> None:
    budget = Budget(sparks=2, width=2, least_yield=0.1, patience=3)
    nothing = ScriptedEnvironment({}, otherwise=Status.REFUTED)
    assert len(list(stream(mind_in(None, budget=budget, environment=nothing)))) == 3


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"samples": 100}, "100 samples drawn"),
        ({"round": 7}, "7 rounds done"),
        ({"seconds": 60.0}, "60 seconds spent"),
        ({"recent_yield": [0.0, 0.1]}, "yield below 0.1 over 2 rounds"),
        ({"recent_yield": [0.0]}, None),
        ({"samples": 99, "round": 6, "seconds": 59.9, "recent_yield": [0.1, 0.2]}, None),
    ],
)
def test_a_spent_budget_says_why(state: dict[str, object], reason: str | None) -> None:
    budget = Budget(samples=100, rounds=7, seconds=60, least_yield=0.1, patience=2)
    assert budget.spent(State(**{**START_STATE, **state})) == reason  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("memorised", "new", "collapses"),
    [
        ([0.1, 0.1, 0.3, 0.3], [0.8, 0.8, 0.6, 0.6], True),
        ([0.1, 0.1, 0.3, 0.3], [0.8, 0.8, 0.8, 0.8], False),  # more is known, yet as much is new
        ([0.3, 0.3, 0.3, 0.3], [0.8, 0.8, 0.6, 0.6], False),
        ([0.3, 0.3, 0.1, 0.1], [0.6, 0.6, 0.8, 0.8], False),
        ([0.1, 0.3, 0.3], [0.8, 0.6, 0.6], False),  # too few rounds to tell
    ],
)
def test_memory_that_grows_while_new_things_get_fewer_is_a_collapse(
    memorised: list[float], new: list[float], collapses: bool
) -> None:
    state = State(**{**START_STATE, "recent_memorised": memorised, "recent_new": new})
    assert Budget(patience=2).collapsing(state) is collapses
    assert Budget(patience=2).spent(state) is None
    stopped = Budget(patience=2, stop_on_collapse=True).spent(state)
    assert (stopped is not None and "repeats itself" in stopped) is collapses


def test_a_generator_that_only_repeats_itself_ends_a_run_that_may_stop(mind_in: Minds) -> None:
    budget = Budget(samples=2_000, sparks=4, width=3, patience=3, stop_on_collapse=True)
    events = list(stream(mind_in(None, budget=budget, generator=Fading())))
    assert events[-1]["collapsing"] and not events[0]["collapsing"]
    assert len(events) < 2_000 / 12


@pytest.mark.parametrize("name", ["sparks", "width", "patience"])
def test_a_budget_that_would_never_be_spent_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is 0, but a round needs at least 1; raise `{name}`"):
        Budget(**{name: 0})
