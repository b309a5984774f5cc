"""Nearest vectors by cosine similarity: the one file that knows FAISS.

How rows are kept depends on how many there are, and changes as they come:

* up to ``EXACT_LIMIT`` in full floats, every row compared;
* up to ``FLAT_LIMIT`` in half floats, still every row compared (recall 0.9996 at half the memory);
* above it as codes of one bit per dimension in inverted lists (IVF; RaBitQ, Gao & Long 2024, after a random rotation,
  for real vectors are not alike in every direction), about 70 bytes a row. A search reads the lists nearest to the
  query, and the best codes are compared again by their rows in half floats, which ``save`` moves from memory to a
  mapped file. ``python -m bench scale``: recall@10 0.98 on a million clustered rows of width 384, at 1 GB in memory
  and 0.4 GB once saved.

Left out: graph indices such as HNSW, which cannot remove; and the fast-scan layout of the codes, twice as fast, for
FAISS 1.15.1 spoils 2 to 5 in 100 of its estimates when rows are added after some were removed.

A saved index is a snapshot, never the truth (``memory/snapshots.py``).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from hunch.memory import snapshots
from hunch.memory.encoder import FloatArray
from hunch.memory.halves import HalfRows
from hunch.memory.snapshots import Snapshot

EXACT_LIMIT = 200_000
"""Rows up to which full floats are kept: a batch of queries is then one product of matrices, several times faster than
over half floats, and 300 MB at width 384."""
FLAT_LIMIT = 300_000
"""Rows up to which every row is compared."""
LISTS, PROBES = 2_048, 64
"""Inverted lists, and how many of them a search reads."""
TRAINING_ROWS, TRAINING_ROUNDS = 32, 4
"""Rows per list that the lists are placed by, and rounds of k-means; twice as many gained nothing."""
DRIFT = 0.1
"""Change of how rows are spread over the lists (total variation) beyond which the lists are placed anew. Rows drawn
evenly change it by 0.03. A million rows sorted by topic cause seven placings and end at recall 0.95; with one, 0.63."""
RERANKED = 10
"""Codes compared again by their rows, for each neighbour asked for; for fewer than 10 neighbours as for 10."""
BATCH = 8_192
"""Rows moved or compared at a time."""

log = logging.getLogger(__name__)


class VectorIndex:
    """Vectors by their numbers; adds, replaces, removes and finds in batches."""

    def __init__(self, dimension: int) -> None:
        """Make an empty index for rows of width ``dimension``."""
        if dimension < 1:
            raise ValueError(f"dimension is {dimension}, but a vector has at least 1 number; give the encoder's width.")
        # More threads cost more than they save at our sizes. From this threshold on FAISS multiplies matrices;
        # its default makes batches of 20 to 256 queries 4 to 8 times slower.
        faiss.omp_set_num_threads(1)
        faiss.cvar.distance_compute_blas_threshold = 2 * dimension
        self.dimension = dimension
        self._stage: _Flat | _Lists = _Flat.empty(dimension, exact=True)

    def __len__(self) -> int:
        """Return the number of vectors."""
        return len(self._stage.ids)

    @property
    def exact(self) -> bool:
        """Whether vectors are kept in full floats."""
        return isinstance(self._stage, _Flat) and self._stage.exact

    @property
    def faiss_index(self) -> Any:
        """FAISS's own index as it is now, to compare with; not to be changed."""
        return self._stage.index

    def add(self, ids: NDArray[np.int64], vectors: FloatArray) -> None:
        """Add rows of length 1, or 0 (similar to nothing), under ids of 0 or more; a known id is replaced.

        Raises:
            ValueError: if shapes disagree, an id is negative, or a row is neither of length 1 nor 0.
        """
        ids, vectors = np.asarray(ids, np.int64), self._checked(vectors)
        if ids.shape != (len(vectors),) or (len(ids) and ids.min() < 0):
            raise ValueError(
                f"ids have shape {ids.shape} for {len(vectors)} vectors; give one id of 0 or more for each."
            )
        if len(set(ids.tolist())) < len(ids):
            last = {number: row for row, number in enumerate(ids.tolist())}
            ids, vectors = np.fromiter(last, np.int64), vectors[list(last.values())]
        self.remove(ids)
        stage = self._stage_for(len(self) + len(ids))
        stage.add(ids, vectors)
        stage.settle()
        self._stage = stage

    def remove(self, ids: NDArray[np.int64] | Sequence[int]) -> None:
        """Remove what is there of ``ids``; many at once cost hardly more than one."""
        there = set(np.asarray(ids, np.int64).tolist()) & self._stage.ids
        if there:
            self._stage.remove(np.fromiter(there, np.int64))

    def near(self, vectors: FloatArray, k: int) -> tuple[NDArray[np.int64], FloatArray]:
        """Return the ids (n, k) nearest to each row and their cosine similarities (n, k), best first.

        Where there are fewer than ``k``, the id is -1 and the similarity -inf. Similarities are computed row by row:
        FAISS's own differ in the last digits with the number of queries, for it multiplies matrices when there are
        many.
        """
        if k < 1:
            raise ValueError(f"k is {k}, but at least 1 neighbour must be asked for; raise it.")
        vectors = self._checked(vectors)
        ids = self._stage.candidates(vectors, k)  # (n, r), r >= k
        similarities = np.full(ids.shape, -np.inf, np.float32)
        there, any_id = ids >= 0, ids.max(initial=-1)
        step = max(1, BATCH // ids.shape[1])
        for start in range(0, len(ids) if any_id >= 0 else 0, step):
            part = slice(start, start + step)
            rows = self._stage.rows(np.where(there[part], ids[part], any_id).ravel())
            similarities[part] = np.einsum("nrd,nd->nr", rows.reshape(*there[part].shape, -1), vectors[part])
        similarities[~there] = -np.inf
        order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
        return np.take_along_axis(ids, order, axis=1), np.take_along_axis(similarities, order, axis=1)

    def save(self, path: Path, origin: dict[str, Any]) -> None:
        """Write the index and its manifest so that a reader finds the old pair, the new pair, or none that agrees.

        ``origin`` tells what it was made from: ``position`` (of the ledger) and any other names and values.

        From then on rows compared again are read from the file, not kept in memory.
        """
        claims = {"count": len(self), "dimension": self.dimension, **origin}
        self._stage.keep_in(snapshots.write(path, self._stage.parts(), claims))

    @classmethod
    def load(cls, path: Path, origin: dict[str, Any]) -> VectorIndex | None:
        """Return the index saved of ``origin``, or None, with the reason logged, when it is missing or disagrees."""
        snapshot = snapshots.read(path, origin)
        if snapshot is None:
            return None
        try:
            loaded = cls(int(snapshot.claims["dimension"]))
            stage = _Flat if len(snapshot.parts) == 1 else _Lists
            loaded._stage = stage.of(snapshot)
            held = loaded.faiss_index.d, loaded.faiss_index.ntotal, len(loaded)
            if held != (loaded.dimension, snapshot.claims["count"], snapshot.claims["count"]):
                log.warning("%s does not hold what its manifest says and is rebuilt", path)
                return None
        except (ValueError, LookupError, TypeError, AttributeError, RuntimeError) as error:
            log.warning("%s cannot be read (%s) and is rebuilt", path, error)
            return None
        return loaded

    def _checked(self, vectors: FloatArray) -> FloatArray:
        vectors = np.ascontiguousarray(vectors, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise ValueError(f"vectors have shape {vectors.shape}, but rows of width {self.dimension} are indexed.")
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
        bad = ~((np.abs(lengths - 1) < 1e-3) | (lengths == 0))  # NaN is bad too
        if bad.any():
            raise ValueError(
                f"row {int(bad.argmax())} has length {lengths[bad][0]}, but only of unit rows is the inner product the "
                "cosine similarity; divide each row by its length."
            )
        return vectors

    def _stage_for(self, count: int) -> _Flat | _Lists:
        """Return what keeps ``count`` rows, with those that are there; never back to what keeps fewer."""
        old = self._stage
        if isinstance(old, _Lists) or count <= (EXACT_LIMIT if old.exact else FLAT_LIMIT):
            return old
        half = count <= FLAT_LIMIT
        stage = _Flat.empty(self.dimension, exact=False) if half else _Lists(HalfRows(self.dimension))
        for ids, rows in old.batches():
            stage.add(ids, rows)
        return stage


class _Flat:
    """All rows compared: kept in FAISS, in full or in half floats."""

    def __init__(self, index: Any) -> None:
        self.index = index
        self.ids: set[int] = set(self._numbers().tolist())

    @classmethod
    def empty(cls, dimension: int, *, exact: bool) -> _Flat:
        if exact:
            return cls(faiss.IndexIDMap2(faiss.IndexFlatIP(dimension)))
        half = faiss.IndexScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        return cls(faiss.IndexIDMap2(half))

    @classmethod
    def of(cls, snapshot: Snapshot) -> _Flat:
        return cls(faiss.deserialize_index(snapshot.parts[0]))

    @property
    def exact(self) -> bool:
        return isinstance(faiss.downcast_index(self.index.index), faiss.IndexFlat)

    def add(self, ids: NDArray[np.int64], vectors: FloatArray) -> None:
        self.index.add_with_ids(vectors, ids)
        self.ids.update(ids.tolist())

    def remove(self, ids: NDArray[np.int64]) -> None:
        self.index.remove_ids(ids)
        self.ids.difference_update(ids.tolist())

    def settle(self) -> None:
        """Do nothing: where rows come from does not matter here."""

    def candidates(self, vectors: FloatArray, k: int) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self.index.search(vectors, k)[1]
        return found

    def rows(self, ids: NDArray[np.int64]) -> FloatArray:
        rows: FloatArray = self.index.reconstruct_batch(ids)
        return rows

    def batches(self) -> Iterator[tuple[NDArray[np.int64], FloatArray]]:
        for ids in _batches(self._numbers()):
            yield ids, self.rows(ids)

    def parts(self) -> list[Iterable[NDArray[Any]]]:
        return [[faiss.serialize_index(self.index)]]

    def keep_in(self, snapshot: Snapshot) -> None:
        """Stay in memory: FAISS cannot add to what it maps."""

    def _numbers(self) -> NDArray[np.int64]:
        numbers: NDArray[np.int64] = faiss.vector_to_array(self.index.id_map)
        return numbers


class _Lists:
    """The nearest lists' codes compared, then the rows of the best codes."""

    def __init__(self, rows: HalfRows) -> None:
        self._rows = rows
        self.index: Any = None
        self._placed = np.zeros(0)

    @classmethod
    def of(cls, snapshot: Snapshot) -> _Lists:
        index = faiss.deserialize_index(snapshot.parts[2])
        lists = cls(HalfRows(index.d))
        lists.index, lists._placed = index, _shares(index)
        lists.keep_in(snapshot)
        return lists

    @property
    def ids(self) -> AbstractSet[int]:
        return self._rows.ids

    def add(self, ids: NDArray[np.int64], vectors: FloatArray) -> None:
        for some, rows in zip(_batches(ids), _batches(vectors), strict=True):
            self._rows.add(some, rows)  # first: a row without a code is not found, a code without a row would be
            if self.index is not None:
                self.index.add_with_ids(rows, some)

    def settle(self) -> None:
        """Place the lists if that was not done yet, or if rows now come from elsewhere than when it was."""
        if self.index is None or (self.ids and np.abs(_shares(self.index) - self._placed).sum() / 2 > DRIFT):
            self._place()

    def remove(self, ids: NDArray[np.int64]) -> None:
        self.index.remove_ids(ids)
        self._rows.remove(ids.tolist())

    def candidates(self, vectors: FloatArray, k: int) -> NDArray[np.int64]:
        found: NDArray[np.int64] = self.index.search(vectors, RERANKED * max(k, 10))[1]
        return found

    def rows(self, ids: NDArray[np.int64]) -> FloatArray:
        return self._rows.get(ids).astype(np.float32)

    def parts(self) -> list[Iterable[NDArray[Any]]]:
        ids = np.fromiter(self.ids, np.int64)
        return [[ids], map(self._rows.get, _batches(ids)), [faiss.serialize_index(self.index)]]

    def keep_in(self, snapshot: Snapshot) -> None:
        """Read rows from the file from now on."""
        ids, table, _ = snapshot.parts
        self._rows = HalfRows.of(ids.view(np.int64), table.view(np.float16).reshape(-1, self.index.d))

    def _place(self) -> None:
        """Place the lists anew, by k-means where rows are dense, and sort the rows into them."""
        ids, dimension = np.fromiter(self.ids, np.int64), self._rows.dimension
        count = min(LISTS, len(ids))
        log.info("placing %d lists for %d vectors", count, len(ids))
        index = faiss.index_factory(dimension, f"RR{dimension},IVF{count},RaBitQ", faiss.METRIC_INNER_PRODUCT)
        lists = faiss.extract_index_ivf(index)
        lists.nprobe = PROBES
        lists.cp.niter, lists.cp.spherical, lists.cp.min_points_per_centroid = TRAINING_ROUNDS, True, 1
        sample = np.random.default_rng(0).permutation(ids)[: count * TRAINING_ROWS]
        index.train(self.rows(sample))
        for some in _batches(ids):
            index.add_with_ids(self.rows(some), some)
        self.index, self._placed = index, _shares(index)


def _shares(index: Any) -> NDArray[np.float64]:
    """Return how the rows are spread over the lists."""
    lists = faiss.extract_index_ivf(index)
    sizes = np.fromiter(map(lists.get_list_size, range(lists.nlist)), np.float64)
    return sizes / max(1, int(index.ntotal))


def _batches(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (array[start : start + BATCH] for start in range(0, len(array), BATCH))
