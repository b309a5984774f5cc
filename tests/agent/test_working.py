"""Verification in workers: what hangs or dies is one error, the rest is as it would be."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from hunch.agent.contracts import check_environment
from hunch.agent.environments.working import InWorkers, WorkerError
from hunch.memory.errors import InputError
from hunch.memory.records import Hypothesis, Outcome, Spark, Status


class Fragile:
    """Confirms even numbers; hangs, dies or raises on request."""

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        return [self.verified(said.text) for said in hypotheses]

    def verified(self, text: str) -> Outcome:
        if text == "hang":
            time.sleep(600)
        if text == "die":
            os._exit(3)
        if text == "leave":
            sys.exit(0)
        if text.startswith("bear "):
            if os.fork() == 0:
                time.sleep(4)
                Path(text.split()[1]).touch()
                os._exit(0)
            time.sleep(600)
        right = int(text) % 2 == 0
        return Outcome(status=Status.CONFIRMED if right else Status.REFUTED, score=float(right), evidence=text)


def broken() -> Fragile:
    raise OSError("no such data")


def miscounting(counts: int) -> object:
    class Few:
        def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
            return [Outcome()] * counts

    return Few()


@pytest.fixture(scope="module")
def workers() -> Iterator[InWorkers]:
    with InWorkers(Fragile, workers=2, seconds_per_call=1.0, batch=4) as made:
        yield made


def said(*texts: str) -> tuple[list[Spark], list[Hypothesis]]:
    return [Spark(prompt=text) for text in texts], [Hypothesis(spark_id="s", text=text) for text in texts]


def test_workers_keep_the_contract_of_environments(workers: InWorkers) -> None:
    check_environment(workers, *said("2", "3", "4", "x", "6"))


def test_outcomes_come_in_order_and_say_what_they_cost(workers: InWorkers) -> None:
    texts = [str(n) for n in range(50)]
    outcomes = workers.verify(*said(*texts))
    assert [outcome.evidence for outcome in outcomes] == texts
    assert [outcome.score for outcome in outcomes] == [1.0, 0.0] * 25
    assert all(outcome.cost_seconds > 0 for outcome in outcomes)


def test_one_that_hangs_dies_or_raises_spoils_no_other(workers: InWorkers) -> None:
    outcomes = workers.verify(*said("0", "hang", "2", "die", "4", "x", "6", "leave", "8"))
    assert [outcome.status is Status.CONFIRMED for outcome in outcomes] == [True, False] * 4 + [True]
    reasons = ["longer than 1 seconds", "died (exit code 3)", "ValueError", "died (exit code 0)"]
    for outcome, reason in zip(outcomes[1::2], reasons, strict=True):
        assert outcome.status is Status.ERROR and outcome.error is not None and reason in outcome.error


def test_submitting_does_not_wait(workers: InWorkers) -> None:
    begun = time.perf_counter()
    pending = workers.submit(*said("hang", "2"))
    assert time.perf_counter() - begun < 0.5 and not pending.done()
    assert [outcome.status for outcome in pending.outcomes()] == [Status.ERROR, Status.CONFIRMED]
    assert pending.done()


def test_what_a_worker_started_is_killed_with_it(workers: InWorkers, tmp_path: Path) -> None:
    child = tmp_path / "grown"
    workers.verify(*said(f"bear {child}"))
    time.sleep(3.3)
    assert not child.exists()


def test_an_environment_that_cannot_be_made_is_no_fault_of_the_hypotheses() -> None:
    with (
        InWorkers(broken, workers=1) as workers,
        pytest.raises(WorkerError, match=r"could not|could be made .* OSError: no such data"),
    ):
        workers.verify(*said("1"))


@pytest.mark.parametrize("counts", [0, 2])
def test_a_wrong_number_of_outcomes_is_an_error(counts: int) -> None:
    with InWorkers(partial(miscounting, counts), workers=1, batch=1) as workers:  # type: ignore[arg-type]
        (outcome,) = workers.verify(*said("1"))
    assert outcome.error == f"the verifier returned {counts} outcomes for 1 hypotheses"


def test_closed_workers_are_gone() -> None:
    workers = InWorkers(Fragile, workers=1)
    workers.verify(*said("2"))
    process = workers._all[0]._process
    workers.close()
    assert not process.is_alive()
    with pytest.raises(RuntimeError):
        workers.verify(*said("2"))


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"batch": 0}, {"seconds_per_call": 0.0}])
def test_numbers_are_positive(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="above 0"):
        InWorkers(Fragile, **wrong)  # type: ignore[arg-type]
