"""Verification in processes of its own: what hangs or dies takes nothing with it.

A worker is started fresh (``forkserver``, or ``spawn`` where there is none; never ``fork``, which copies locks that
threads of ours may hold), makes the environment by a picklable factory and answers one call at a time. One that takes
longer than it may, or dies, is killed with all that it started, and another takes its place. If the call was of several
hypotheses, each is then tried alone, so that only the one at fault becomes an ``error``.

Only JSON comes back through the pipe, so a worker that hostile text has taken over cannot make us unpickle anything.
Left out: a sandbox. A worker may read files and open connections as we may; it is a guard against accidents.

As always with ``multiprocessing``, a script that uses this keeps its work under ``if __name__ == "__main__":``.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from time import perf_counter
from typing import Any, Self

from hunch.agent.protocols import Environment
from hunch.memory.errors import HunchError, InputError
from hunch.memory.records import Hypothesis, Outcome, Spark, Status

LARGEST = 64 * 2**20
"""Bytes of a worker's answer."""


class WorkerError(HunchError, RuntimeError):
    """No worker could be started: the environment itself is broken, not what was said."""


class Pending:
    """Verdicts under way."""

    def __init__(self, calls: Sequence[Future[list[Outcome]]]) -> None:
        self._calls = list(calls)

    def done(self) -> bool:
        """Return whether ``outcomes`` would return at once."""
        return all(call.done() for call in self._calls)

    def outcomes(self) -> list[Outcome]:
        """Wait, and return one outcome per hypothesis, in order."""
        return [outcome for call in self._calls for outcome in call.result()]


class InWorkers:
    """An environment whose verdicts are found in worker processes.

    Args:
        factory: makes the environment; a function or class of a module, or a ``functools.partial`` of one.
        workers: how many processes.
        seconds_per_call: how long one call of ``verify`` may take, whatever number of hypotheses it is of.
        seconds_to_start: how long making the environment may take.
        batch: hypotheses of one call.

    Raises:
        InputError: if one of the numbers is not positive.
    """

    def __init__(
        self,
        factory: Callable[[], Environment],
        *,
        workers: int = 2,
        seconds_per_call: float = 10.0,
        seconds_to_start: float = 120.0,
        batch: int = 8,
    ) -> None:
        if min(workers, batch) < 1 or not min(seconds_per_call, seconds_to_start) > 0:
            raise InputError(
                f"workers is {workers}, batch {batch}, seconds_per_call {seconds_per_call} and seconds_to_start "
                f"{seconds_to_start}, but all are above 0; raise them."
            )
        self.batch, self.seconds_per_call = batch, seconds_per_call
        self._all = [_Worker(factory, seconds_to_start) for _ in range(workers)]
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        for worker in self._all:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="verifying")

    def submit(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> Pending:
        """Begin to verify, and return at once."""
        pairs = list(zip(sparks, hypotheses, strict=True))
        batches = [pairs[i : i + self.batch] for i in range(0, len(pairs), self.batch)]
        return Pending([self._threads.submit(self._verified, batch) for batch in batches])

    def verify(self, sparks: Sequence[Spark], hypotheses: Sequence[Hypothesis]) -> list[Outcome]:
        """Return one outcome per hypothesis; an ``error`` for one that raised, took too long or killed its worker.

        Raises:
            WorkerError: if the environment cannot be made.
        """
        return self.submit(sparks, hypotheses).outcomes()

    def close(self) -> None:
        """End all workers; what is under way is lost."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._all:
            worker.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _verified(self, pairs: Sequence[tuple[Spark, Hypothesis]]) -> list[Outcome]:
        """Return outcomes of one batch, each found alone if the batch as a whole has none."""
        worker = self._idle.get()
        begun = perf_counter()
        try:
            worker.ready()
            begun = perf_counter()
            outcomes = worker.ask(pairs, self.seconds_per_call)
        except _LostError as lost:
            outcomes = [Outcome(status=Status.ERROR, error=str(lost))] if len(pairs) == 1 else []
        finally:
            self._idle.put(worker)
        if pairs and not outcomes:
            return [outcome for pair in pairs for outcome in self._verified([pair])]
        share = (perf_counter() - begun) / len(pairs)
        return [
            outcome if outcome.cost_seconds else outcome.model_copy(update={"cost_seconds": share})
            for outcome in outcomes
        ]


class _LostError(HunchError):
    """A call that has no answer."""


class _Worker:
    """One process at a time, started when it is needed."""

    def __init__(self, factory: Callable[[], Environment], seconds_to_start: float) -> None:
        self._factory, self._seconds_to_start = factory, seconds_to_start
        self._process: Any = None
        self._pipe: Connection | None = None
        self._closed = False

    def ask(self, pairs: Sequence[tuple[Spark, Hypothesis]], seconds: float) -> list[Outcome]:
        """Return the outcomes of one call.

        Raises:
            _LostError: if it raised, took too long or died.
            WorkerError: if the environment could not be made.
        """
        pipe = self.ready()
        asked = [[spark.model_dump(), said.model_dump()] for spark, said in pairs]
        told = self._told(pipe, seconds, json.dumps(asked).encode())
        if "raised" in told:
            raise _LostError(f"the verifier raised {told['raised']}")
        outcomes = [Outcome.model_validate(outcome) for outcome in told["outcomes"]]
        if len(outcomes) != len(pairs):
            raise _LostError(f"the verifier returned {len(outcomes)} outcomes for {len(pairs)} hypotheses")
        return outcomes

    def close(self) -> None:
        """End the process for good."""
        self._closed = True
        self._kill()

    def ready(self) -> Connection:
        """Return the pipe to a process that has made its environment; start one if there is none."""
        if self._pipe is not None:
            return self._pipe
        if self._closed:
            raise _LostError("the workers are closed")
        context = _context(self._factory)
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, self._factory), daemon=True)
        self._process.start()
        theirs.close()
        pipe = self._pipe
        try:
            told = self._told(pipe, self._seconds_to_start)
        except _LostError as lost:
            raise WorkerError(f"no environment could be made in a worker: {lost}.") from lost
        if "raised" in told:
            self._kill()
            raise WorkerError(f"no environment could be made in a worker: it raised {told['raised']}.")
        return pipe

    def _told(self, pipe: Connection, seconds: float, request: bytes | None = None) -> dict[str, Any]:
        """Return what the process answers; kill it if it does not."""
        try:
            if request is not None:
                pipe.send_bytes(request)
            if pipe.poll(seconds):
                told: dict[str, Any] = json.loads(pipe.recv_bytes(LARGEST))
                return told
            reason = f"the verifier took longer than {seconds:g} seconds"
        except (OSError, EOFError, ValueError):
            reason = f"the verifier died ({self._ended()})"
        self._kill()
        raise _LostError(reason)

    def _ended(self) -> str:
        process = self._process
        if process is None:
            return "closed"
        process.join(1.0)
        code = process.exitcode
        if code is None:
            return "its pipe closed"
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"

    def _kill(self) -> None:
        process, pipe, self._process, self._pipe = self._process, self._pipe, None, None
        if process is not None:
            with suppress(OSError, AttributeError):
                os.killpg(process.pid, signal.SIGKILL)  # the worker leads a group: what it started goes with it
            process.kill()
            process.join(5.0)
        if pipe is not None:
            pipe.close()


def _context(factory: Callable[[], Environment]) -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    made = getattr(factory, "func", factory)
    context.set_forkserver_preload([__name__, getattr(made, "__module__", __name__)])  # imported once, for all workers
    return context


def _serve(pipe: Connection, factory: Callable[[], Environment]) -> None:
    """Answer calls until the pipe ends."""
    with suppress(OSError, AttributeError):
        os.setsid()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    environment: Environment | None = None
    told: dict[str, Any]
    try:
        environment = factory()
        told = {}
    except Exception as error:  # noqa: BLE001  # the boundary between their code and ours
        told = {"raised": _worded(error)}
    while True:
        try:
            pipe.send_bytes(json.dumps(told).encode())
            if environment is None:
                return
            pairs = json.loads(pipe.recv_bytes())
        except (OSError, EOFError):
            return
        try:
            sparks = [Spark.model_validate(spark) for spark, _ in pairs]
            hypotheses = [Hypothesis.model_validate(said) for _, said in pairs]
            outcomes = environment.verify(sparks, hypotheses)
            told = {"outcomes": [outcome.model_dump(mode="json") for outcome in outcomes]}
        except Exception as error:  # noqa: BLE001  # the same boundary
            told = {"raised": _worded(error)}


def _worded(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
