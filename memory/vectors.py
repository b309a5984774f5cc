"""Nearest vectors by cosine similarity: the one file that knows FAISS.

Exact search over full floats up to ``EXACT_LIMIT`` rows, over half floats above it (still every row is compared;
recall 0.9996 at less than half the time and memory). Graph indices such as HNSW are left out: they cannot remove.

A saved index is a snapshot, never the truth. FAISS loads damaged files without a word (a zeroed page went unnoticed
in 60 of 60 tries), so a manifest with size and BLAKE2b stands beside it; when anything disagrees, the snapshot is not
used.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from hunch.memory.encoder import FloatArray
from hunch.memory.files import replace_file

EXACT_LIMIT = 50_000
"""Rows up to which full floats are kept."""

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
        self._ids: set[int] = set()
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))

    def __len__(self) -> int:
        """Return the number of vectors."""
        return len(self._ids)

    @property
    def exact(self) -> bool:
        """Whether vectors are kept in full floats."""
        return isinstance(faiss.downcast_index(self._index.index), faiss.IndexFlat)

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
        last = {int(number): row for row, number in enumerate(ids)}
        if len(last) < len(ids):
            ids, vectors = np.fromiter(last, np.int64), vectors[list(last.values())]
        self.remove(ids)
        if self.exact and len(self) + len(ids) > EXACT_LIMIT:
            self._halve()
        self._index.add_with_ids(np.ascontiguousarray(vectors), ids)
        self._ids.update(last)

    def remove(self, ids: NDArray[np.int64] | Sequence[int]) -> None:
        """Remove what is there of ``ids``."""
        there = self._ids.intersection(map(int, ids))
        if there:
            self._index.remove_ids(np.fromiter(there, np.int64))
            self._ids -= there

    def near(self, vectors: FloatArray, k: int) -> tuple[NDArray[np.int64], FloatArray]:
        """Return the ids (n, k) nearest to each row and their cosine similarities (n, k), best first.

        Where there are fewer than ``k``, the id is -1 and the similarity -inf. Similarities are computed row by row:
        FAISS's own differ in the last digits with the number of queries, for it multiplies matrices when there are
        many.
        """
        if k < 1:
            raise ValueError(f"k is {k}, but at least 1 neighbour must be asked for; raise it.")
        vectors = self._checked(vectors)
        ids = self._index.search(np.ascontiguousarray(vectors), k)[1]
        there = ids >= 0
        similarities = np.full(ids.shape, -np.inf, np.float32)
        if there.any():
            found = self._index.reconstruct_batch(ids[there])
            similarities[there] = (found * np.repeat(vectors, there.sum(axis=1), axis=0)).sum(axis=1)
        order = np.argsort(-similarities, axis=1, kind="stable")
        return np.take_along_axis(ids, order, axis=1), np.take_along_axis(similarities, order, axis=1)

    def save(self, path: Path, stamp: str) -> None:
        """Write the index and its manifest so that a reader finds the old pair, the new pair, or none that agrees."""
        body = faiss.serialize_index(self._index).tobytes()
        manifest = {**_sums(body), "count": len(self), "dimension": self.dimension, "stamp": stamp}
        replace_file(path, body)
        replace_file(_manifest(path), json.dumps(manifest, indent=1).encode())

    @classmethod
    def load(cls, path: Path, stamp: str) -> VectorIndex | None:
        """Return the index saved under ``stamp``, or None, with the reason logged, when it is missing or disagrees."""
        try:
            manifest = json.loads(_manifest(path).read_bytes())
            if manifest["stamp"] != stamp:
                log.info("%s is of another time (%s, not %s) and is rebuilt", path, manifest["stamp"], stamp)
                return None
            body = path.read_bytes()
            if _sums(body) != {key: manifest[key] for key in ("bytes", "blake2b")}:
                log.warning("%s is damaged and is rebuilt", path)
                return None
            loaded = cls(int(manifest["dimension"]))
            loaded._index = faiss.deserialize_index(np.frombuffer(body, np.uint8))
            loaded._ids = set(faiss.vector_to_array(loaded._index.id_map).tolist())
            if (loaded._index.d, len(loaded)) != (manifest["dimension"], manifest["count"]):
                log.warning("%s does not hold what its manifest says and is rebuilt", path)
                return None
        except FileNotFoundError:
            log.info("%s is not there and is rebuilt", path)
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
            log.warning("%s cannot be read (%s) and is rebuilt", path, error)
            return None
        return loaded

    def _checked(self, vectors: FloatArray) -> FloatArray:
        vectors = np.asarray(vectors, np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise ValueError(f"vectors have shape {vectors.shape}, but rows of width {self.dimension} are indexed.")
        lengths = np.linalg.norm(vectors, axis=1)
        bad = ~((np.abs(lengths - 1) < 1e-3) | (lengths == 0))  # NaN is bad too
        if bad.any():
            raise ValueError(
                f"row {int(bad.argmax())} has length {lengths[bad][0]}, but only of unit rows is the inner product the "
                "cosine similarity; divide each row by its length."
            )
        return vectors

    def _halve(self) -> None:
        half = faiss.IndexIDMap2(
            faiss.IndexScalarQuantizer(self.dimension, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
        )
        if len(self):
            half.add_with_ids(self._index.index.reconstruct_n(0, len(self)), faiss.vector_to_array(self._index.id_map))
        self._index = half


def _manifest(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _sums(body: bytes) -> dict[str, object]:
    return {"bytes": len(body), "blake2b": hashlib.blake2b(body, digest_size=16).hexdigest()}
