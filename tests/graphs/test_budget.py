"""When a run stops."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hunch.agent.scripted import ScriptedEnvironment
from hunch.graphs import Budget, Mind, stream
from hunch.graphs.mind import START_STATE, State
from hunch.memory.errors import InputError
from hunch.memory.records import Status

Minds = Callable[..., Mind]


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


@pytest.mark.parametrize("name", ["sparks", "width", "patience"])
def test_a_budget_that_would_never_be_spent_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"{name} is 0, but a round needs at least 1; raise `{name}`"):
        Budget(**{name: 0})
