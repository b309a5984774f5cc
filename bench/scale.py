"""What size costs: adding, removing, searching and memory, from ten thousand facts to a million.

Vectors are synthetic and harder than those of real sentences: unit rows around 2,000 topics of very different sizes,
which vary in 64 directions and a little in all. They are drawn piece by piece, each by its own seed, so they never
count as memory of the index. Each size is measured in a process of its own, on one thread; memory is what that process
grew by, as Linux tells it (elsewhere it is left open). FAISS alone means the same kind of FAISS index, already
trained, given the same vectors in the same process: what it costs without ids that are checked, without half floats to
compare by, and without training.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from hunch.memory.calibration import swaps
from hunch.memory.encoder import FloatArray, unit_rows
from hunch.memory.links import Floats, Ints, Links
from hunch.memory.meter import Meter
from hunch.memory.vectors import VectorIndex

SIZES = (10_000, 100_000, 1_000_000)
"""Numbers of facts."""
TOPICS, DIRECTIONS = 2_000, 64
VARIATION, NOISE = 0.75, 0.33
"""Lengths of what varies within a topic and of what varies everywhere, against a topic's own length of 1."""
PIECE = 10_000
"""Vectors drawn and added at a time."""
K, RECALLED = 20, 10
"""Neighbours asked for, and how many of them count for recall."""
ROUNDS = 5
"""Searches of a batch, each beside one by FAISS alone."""


def measure(*, sizes: Sequence[int] = SIZES, dimension: int = 384, batch: int = 256) -> dict[str, Any]:
    """Return the figures of each size: about three minutes for the three together.

    Args:
        sizes: numbers of facts.
        dimension: width of their vectors.
        batch: how many are searched for at once.
    """
    return {
        "dimension": dimension,
        "batch": batch,
        "sizes": {
            str(size): {
                "vectors": _in_own_process(vectors_at, size, dimension, batch),
                "firing": _in_own_process(firing_at, size, dimension, batch),
            }
            for size in sizes
        },
    }


def vectors_at(size: int, dimension: int, batch: int) -> dict[str, Any]:
    """Return what ``size`` vectors cost in ``VectorIndex`` and in FAISS alone."""
    world = World(dimension)
    asked = world.draw(batch, seed=-1)
    world.draw(PIECE, seed=0)  # what drawing needs counts as there before
    before, index = _resident_mb(), VectorIndex(dimension)

    add_seconds = sum(_seconds(index.add, ids, rows) for ids, rows in world.pieces(size))
    kind = type(faiss.downcast_index(getattr(index.faiss_index, "index", index.faiss_index))).__name__
    figures: dict[str, Any] = {"index": kind, "adds_per_second": _per_second(size, add_seconds)}
    built = _resident_mb()
    _say(f"{size:,}: {figures['adds_per_second']:,.0f} added per second")

    own, alone = [], []
    for _ in range(ROUNDS):
        own.append(_seconds(index.near, asked, K))
        alone.append(_seconds(index.faiss_index.search, asked, K))
    figures |= {
        "searches_per_second": _spread([_per_second(batch, seconds) for seconds in own]),
        "faiss_searches_per_second": _spread([_per_second(batch, seconds) for seconds in alone]),
        "searches_to_faiss": round(median(alone) / median(own), 3),
    }
    _say(f"{size:,}: {figures['searches_per_second']['median']:,.0f} searches per second")

    with tempfile.TemporaryDirectory(prefix="hunch-scale-") as folder:
        path = Path(folder) / "index"
        figures["save_seconds"] = _seconds(index.save, path, {"position": 1})
        saved = _resident_mb()
        figures["load_seconds"] = _seconds(VectorIndex.load, path, {"position": 1})
    figures["resident_mb"] = None
    if before and built and saved:
        grown = {"built": built["VmRSS"], "peak": built["VmHWM"], "saved": saved["VmRSS"]}
        figures["resident_mb"] = {name: round(now - before["VmRSS"]) for name, now in grown.items()}

    found = index.near(asked, K)[0][:, :RECALLED]
    remove_seconds = _seconds(index.remove, np.arange(0, size, 100))
    figures |= {"remove_1_percent_seconds": remove_seconds, **_compared(index, world, size, asked, found)}
    figures["adds_to_faiss"] = round(figures["adds_per_second"] / figures["faiss_adds_per_second"], 3)
    _say(f"{size:,}: recall {figures['recall_at_10']}, {figures['adds_to_faiss']} of FAISS's own adds per second")
    return figures


def firing_at(size: int, dimension: int, batch: int) -> dict[str, Any]:
    """Return how many hypotheses fire per second through ``size`` facts, vectors included, and what the rest costs.

    Each fact joins two of ``size / 5`` concepts by one of 50 relations. Concepts have kinds, relations join kinds, and
    some concepts are far more popular than others; names are of two words. How evidence adds up is learned from the
    store as always. A batch's vectors are at hand, as they are where a model has encoded them.
    """
    world, rng = World(dimension), np.random.default_rng(1)
    index = VectorIndex(dimension)
    for ids, rows in world.pieces(size):
        index.add(ids, rows)
    before = _resident_mb()
    links = _store(size, rng)
    known, codes = links.claims, links.codes(links.claims)

    def near(claims: Ints) -> tuple[Ints, Floats]:
        ids, similarity = index.near(world.draw(len(claims), seed=-len(claims)), K)
        return np.where(ids >= 0, codes[ids], -1), similarity.astype(np.float64)

    names = [f"w{a} w{b}" for a, b in rng.integers(links.concepts // 4, size=(links.concepts, 2)).tolist()]
    began = time.perf_counter()
    meter = Meter(links, names, near)
    figures: dict[str, Any] = {"fit_seconds": round(time.perf_counter() - began, 1)}
    asked = swaps(links, rng, 2 * batch, of=known)[:batch]
    meter.measure(asked)
    vectors = world.draw(len(asked), seed=-2)
    times = [(_seconds(meter.measure, asked), _seconds(index.faiss_index.search, vectors, K)) for _ in range(ROUNDS)]
    figures |= {
        "hypotheses_per_second": _spread([_per_second(len(asked), own) for own, _ in times]),
        "to_faiss_search": round(median(alone for _, alone in times) / median(own for own, _ in times), 3),
    }
    after = _resident_mb()
    if before and after:
        figures["network_mb"] = round(after["VmRSS"] - before["VmRSS"])
    _say(f"{size:,}: {figures['hypotheses_per_second']['median']:,.0f} hypotheses fired per second")
    return figures


def _store(size: int, rng: np.random.Generator) -> Links:
    """Return facts between concepts of ten kinds, popular ones more often."""
    concepts, relations, kinds = size // 5, 50, 10
    popularity = np.where(
        rng.random(4 * size) < 0.5, rng.random(4 * size), np.minimum(rng.pareto(1.2, 4 * size) / 50, 1)
    )
    place = (popularity * (concepts // kinds - 1)).astype(np.int64).reshape(2, -1)
    relation = rng.integers(relations, size=2 * size)
    joins = rng.integers(kinds, size=(2, relations))
    ends = place * kinds + joins[:, relation]
    rows = np.unique(np.column_stack([ends[0], relation, ends[1]])[ends[0] != ends[1]], axis=0)
    rows = rows[rng.permutation(len(rows))[:size]]
    return Links(rows[:, 0], rows[:, 1], rows[:, 2], np.ones(len(rows)), concepts, relations)


class World:
    """Clustered unit vectors, the same for the same seed."""

    def __init__(self, dimension: int) -> None:
        rng = np.random.default_rng(0)
        self._topics = unit_rows(rng.standard_normal((TOPICS, dimension), np.float32))
        self._directions = unit_rows(rng.standard_normal((DIRECTIONS, dimension), np.float32))
        sizes = 1 / np.arange(1, TOPICS + 1)
        self._shares = sizes / sizes.sum()

    def draw(self, count: int, seed: int) -> FloatArray:
        """Return ``count`` rows; seeds of 0 or more are pieces of the store, others are not in it."""
        rng = np.random.default_rng([abs(seed), int(seed < 0)])
        rows = self._topics[rng.choice(TOPICS, count, p=self._shares)]
        rows += rng.standard_normal((count, DIRECTIONS), np.float32) @ self._directions * (VARIATION / DIRECTIONS**0.5)
        rows += rng.standard_normal(rows.shape, np.float32) * (NOISE / rows.shape[1] ** 0.5)
        return unit_rows(rows)

    def pieces(self, size: int) -> Iterator[tuple[NDArray[np.int64], FloatArray]]:
        """Yield ids and rows of a store of ``size``."""
        for first in range(0, size, PIECE):
            count = min(PIECE, size - first)
            yield np.arange(first, first + count), self.draw(count, seed=first)


def _compared(
    index: VectorIndex, world: World, size: int, asked: FloatArray, found: NDArray[np.int64]
) -> dict[str, float]:
    """Return how fast FAISS alone adds, and the share of the truly nearest that are in ``found``."""
    alone = faiss.clone_index(index.faiss_index)
    alone.reset()
    alone = faiss.clone_index(alone)  # the first one keeps its memory: adding to it costs less than to a new one
    seconds, best, ids = 0.0, np.full((len(asked), RECALLED), -np.inf), np.full((len(asked), RECALLED), -1)
    for numbers, rows in world.pieces(size):
        seconds += _seconds(alone.add_with_ids, rows, numbers)
        similarities = np.hstack([best, asked @ rows.T])
        candidates = np.hstack([ids, np.broadcast_to(numbers, (len(asked), len(numbers)))])
        top = np.argpartition(-similarities, RECALLED - 1, axis=1)[:, :RECALLED]
        best, ids = np.take_along_axis(similarities, top, axis=1), np.take_along_axis(candidates, top, axis=1)
    hits = (found[:, :, None] == ids[:, None, :]).any(axis=2)
    return {"faiss_adds_per_second": _per_second(size, seconds), "recall_at_10": round(float(hits.mean()), 4)}


def _in_own_process(function: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
        return process.submit(function, *given).result()


def _seconds(act: Callable[..., object], *given: Any) -> float:
    began = time.perf_counter()
    act(*given)
    return round(time.perf_counter() - began, 6)


def _per_second(count: int, seconds: float) -> float:
    return round(count / max(seconds, 1e-9), 1)


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"min": min(values), "median": median(values), "max": max(values)}


def _resident_mb() -> dict[str, float] | None:
    """Return the memory of this process, now (VmRSS) and at most so far (VmHWM); None where Linux does not tell."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    told = dict(line.split(":", 1) for line in lines)
    return {name: int(told[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
