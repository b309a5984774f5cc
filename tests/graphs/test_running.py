"""Runs that stop, go on, and are killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hunch.agent.scripted import CountingLearner
from hunch.graphs import Budget, Mind, run, stream
from hunch.graphs.keeping import KEPT_VERSIONS
from hunch.memory.knowledge import Knowledge
from hunch.memory.records import Experience, Firing, Grounding, Hypothesis, Standing

Minds = Callable[..., Mind]
Left = Callable[[Path], tuple[list[object], list[object], list[tuple[object, ...]]]]


class Lenient:
    """A grounder for which everything is an insight and nothing costs time."""

    def ground(self, hypotheses: Sequence[Hypothesis]) -> list[Grounding]:
        return [
            Grounding(key=one.key, standing=Standing.INSIGHT, strength=1.0, p_value=0.01, novelty=1.0)
            for one in hypotheses
        ]

    def explain(self, hypotheses: Sequence[Hypothesis]) -> list[tuple[Firing, ...]]:
        return [()] * len(hypotheses)

    def absorb(self, experiences: Sequence[Experience]) -> None:
        pass


def told(folder: Path) -> list[dict[str, object]]:
    """Return the events in a run's log."""
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_a_run_logs_the_events_that_it_yields(mind_in: Minds, tmp_path: Path) -> None:
    assert list(stream(mind_in(tmp_path), tmp_path)) == told(tmp_path)


def test_a_run_without_a_folder_writes_none(mind_in: Minds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(mind_in(None))
    assert list(tmp_path.iterdir()) == []


def test_a_spent_run_does_nothing_when_it_is_run_again(mind_in: Minds, ledger_of: Left, tmp_path: Path) -> None:
    list(stream(mind_in(tmp_path), tmp_path))
    before, events = ledger_of(tmp_path), told(tmp_path)
    assert list(stream(mind_in(tmp_path), tmp_path)) == []
    assert (ledger_of(tmp_path), told(tmp_path)) == (before, events)


def test_a_larger_budget_goes_on_as_one_run_would_have(mind_in: Minds, ledger_of: Left, tmp_path: Path) -> None:
    small = Budget(samples=36, sparks=4, width=3)
    list(stream(mind_in(tmp_path / "two", budget=small), tmp_path / "two"))
    list(stream(mind_in(tmp_path / "two"), tmp_path / "two"))
    list(stream(mind_in(tmp_path / "one"), tmp_path / "one"))
    assert ledger_of(tmp_path / "two") == ledger_of(tmp_path / "one")
    assert [event["samples"] for event in told(tmp_path / "two")] == [12, 24, 36, 48, 60, 72]


def test_who_stops_listening_can_go_on_later(mind_in: Minds, ledger_of: Left, tmp_path: Path) -> None:
    for _ in range(3):
        for event in stream(mind_in(tmp_path / "often"), tmp_path / "often"):
            if event["round"] % 2:
                break
    list(stream(mind_in(tmp_path / "often"), tmp_path / "often"))
    list(stream(mind_in(tmp_path / "once"), tmp_path / "once"))
    assert ledger_of(tmp_path / "often") == ledger_of(tmp_path / "once")


def test_samples_given_to_run_take_the_place_of_the_budgets_and_nothing_else(mind_in: Minds) -> None:
    mind = mind_in(None, budget=Budget(samples=999, sparks=4, width=3, rounds=2))
    run(mind, samples=600)
    assert mind.budget == Budget(samples=600, sparks=4, width=3, rounds=2)
    assert len(mind.archive.draws()) == 24


def test_time_between_two_sessions_is_not_spent(
    mind_in: Minds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    class Tired:
        """An environment in which the program is interrupted."""

        def verify(self, *_: object) -> list[object]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(stream(mind_in(tmp_path, environment=Tired()), tmp_path))
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 86_400)
    events = list(stream(mind_in(tmp_path, budget=Budget(samples=12, sparks=4, width=3)), tmp_path))
    assert [event["seconds"] for event in events] == [0.0]


def test_only_the_last_weights_are_kept(mind_in: Minds, tmp_path: Path) -> None:
    list(stream(mind_in(tmp_path), tmp_path))
    left = sorted(folder.name for folder in (tmp_path / "weights").iterdir())
    assert left == ["after-round-000004", "after-round-000005"]
    assert len(left) == KEPT_VERSIONS


def test_weights_that_were_half_written_are_cleared_away(mind_in: Minds, tmp_path: Path) -> None:
    torn = tmp_path / "weights" / "after-round-000002.4321.tmp"
    torn.mkdir(parents=True)
    list(stream(mind_in(tmp_path), tmp_path))
    assert not torn.exists()


def test_a_torn_last_line_of_the_log_is_dropped(mind_in: Minds, tmp_path: Path) -> None:
    list(stream(mind_in(tmp_path, budget=Budget(samples=24, sparks=4, width=3)), tmp_path))
    with (tmp_path / "events.jsonl").open("a") as log:
        log.write('{"round": 2, "sam')
    list(stream(mind_in(tmp_path), tmp_path))
    assert [event["round"] for event in told(tmp_path)] == list(range(6))


def test_keeping_and_reinforcing_twice_change_nothing(mind_in: Minds, tmp_path: Path) -> None:
    from types import SimpleNamespace

    from hunch.graphs.cycle import ground, hallucinate, keep, reinforce, spark, verify
    from hunch.graphs.mind import START_STATE

    mind = mind_in(tmp_path, budget=Budget(sparks=40, width=3))
    mind.folder = tmp_path
    (tmp_path / "weights").mkdir()
    runtime = SimpleNamespace(context=mind, stream_writer=lambda event: None)
    state = dict(START_STATE)
    for step in (spark, hallucinate, ground, verify):
        state |= step(state, runtime)  # type: ignore[arg-type]  # stands in for LangGraph's runtime
    once = keep(state, runtime)  # type: ignore[arg-type]
    written = mind.archive.draws(), mind.archive.all(), mind.knowledge.facts()
    assert mind.archive.all()
    assert keep(state, runtime) == once  # type: ignore[arg-type]
    assert (mind.archive.draws(), mind.archive.all(), mind.knowledge.facts()) == written
    state |= once
    reinforce(state, runtime)  # type: ignore[arg-type]
    taste, version = dict(mind.generator.taste), mind.generator.version  # type: ignore[attr-defined]
    assert version == 1
    reinforce(state, runtime)  # type: ignore[arg-type]
    assert (mind.generator.taste, mind.generator.version) == (taste, version)  # type: ignore[attr-defined]


def test_a_learner_is_told_of_each_keep_once_as_new(mind_in: Minds) -> None:
    counter = CountingLearner()
    mind = mind_in(None, learner=counter)
    run(mind)
    assert counter.lessons == mind.archive.count() > 0


def test_a_claim_is_new_once_even_for_a_grounder_that_does_not_remember(mind_in: Minds) -> None:
    mind = mind_in(None, grounder=Lenient())
    events = list(stream(mind))
    draws = mind.archive.draws()
    assert sum(draw.kept for draw in draws) == len({draw.key for draw in draws}) == mind.archive.count()
    assert events[-1]["kept"] == mind.archive.count()


def test_hundreds_of_rounds_neither_hit_a_limit_nor_fill_the_disk(mind_in: Minds, tmp_path: Path) -> None:
    _many_rounds(mind_in, tmp_path, 120)


@pytest.mark.slow
def test_thousands_of_rounds_neither_hit_a_limit_nor_fill_the_disk(mind_in: Minds, tmp_path: Path) -> None:
    _many_rounds(mind_in, tmp_path, 2_000)


def _many_rounds(mind_in: Minds, folder: Path, rounds: int) -> None:
    mind = mind_in(folder, grounder=Lenient(), learner=None, budget=Budget(sparks=1, width=2, rounds=rounds))
    sizes = []
    for event in stream(mind, folder):
        if event["round"] % 20 == 19:
            sizes.append((folder / "checkpoints.sqlite").stat().st_size)
    assert event["round"] == rounds - 1
    assert len(mind.archive.draws()) == 2 * rounds
    assert max(sizes) <= 1.5 * max(sizes[:3])


def places(folder: Path, first: int, step: int) -> list[dict[str, object]]:
    """Kill runs at places ``first``, ``first + step``, ... and return what became of each."""
    command = [sys.executable, str(Path(__file__).with_name("killed.py")), str(folder), str(first), str(step)]
    root = str(Path(__file__).parents[2])  # for the benchmark's killer
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": root})
    assert ran.returncode == 0, ran.stderr[-2000:]
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_run_killed_on_the_way_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    found = places(tmp_path, 66, 33)
    assert len(found) >= 5
    assert [one for one in found if one["differs"]] == []


@pytest.mark.slow
def test_a_run_killed_at_every_single_place_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    found = places(tmp_path, 0, 1)
    names = {str(one["name"]) for one in found}
    writes = ("put", "put_writes", "delete_thread", "commit", "add", "save")
    assert {f"{when} {name}" for name in writes for when in ("before", "after")} <= names
    assert [one for one in found if one["differs"]] == []


def test_a_mind_made_of_a_store_and_a_generator_alone_runs(mind_in: Minds) -> None:
    mind = mind_in(None)
    plain = Mind(mind.knowledge, mind.generator)
    assert isinstance(plain.knowledge, Knowledge)
    plain.budget = replace(plain.budget, samples=40)
    assert len(list(stream(plain))) == 1
    assert len(plain.archive.draws()) == 40
