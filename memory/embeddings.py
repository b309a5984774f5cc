"""Embeddings on disk, so that a text is encoded once: what is slow is the model, not the reading.

A row is found by the encoder's name and the text's content, nothing else; so a changed store, another run or another
program finds it too, and another encoder finds nothing. Rows lie in shards, two plain NumPy files each (sorted keys,
and rows that are mapped, not read), written in full under a temporary name. Keys come after their rows: a shard with
keys is complete. Many small shards are merged into one now and then.

Left out: forgetting. A folder may be deleted at any time; it is filled again.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hunch.memory.encoder import Encoder, FloatArray
from hunch.memory.errors import InputError
from hunch.memory.files import replace_file
from hunch.memory.values import digest

PIECE = 1_024
"""Texts that are encoded before they are written: what an interrupted run loses at most."""
FULL_SHARD = 32_768
"""Rows from which on a shard is not merged any more."""
SMALL_SHARDS = 32
"""Smaller shards that may lie about before they are merged."""

Keys = NDArray[np.bytes_]

log = logging.getLogger(__name__)


class _Shard(NamedTuple):
    path: Path
    """Of the keys; the rows lie beside it."""
    keys: Keys
    """Sorted."""
    rows: FloatArray
    """``rows[i]`` is of the text of ``keys[i]``; mapped from the file where there is one."""


class CachedEncoder:
    """An encoder that remembers on disk what it has encoded."""

    def __init__(self, encoder: Encoder, folder: Path) -> None:
        """Remember in a subfolder of ``folder`` that is ``encoder``'s own.

        Raises:
            InputError: if rows of another width lie there, or the folder cannot be made.
        """
        self._encoder = encoder
        self.name, self.dimension = encoder.name, encoder.dimension
        self._folder = folder / digest(encoder.name)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder} cannot be made ({error.strerror}); give another folder to cache in.") from error
        found = (_opened(path) for path in sorted(self._folder.glob("*.keys.npy")))
        self._shards = [shard for shard in found if shard is not None]
        for shard in self._shards:
            if shard.rows.shape[1] != self.dimension:
                raise InputError(
                    f"{shard.path} holds rows of width {shard.rows.shape[1]}, but {self.name} makes rows of width "
                    f"{self.dimension} and the two cannot be mixed; delete {self._folder} or give another folder."
                )

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one unit row per text, shape (len(texts), dimension); what is new is encoded and written.

        Raises:
            InputError: if the encoder returns rows of another width.
        """
        keys = np.array([_key(text) for text in texts], "S16")
        rows = np.zeros((len(texts), self.dimension), np.float32)
        waiting = np.ones(len(texts), np.bool_)
        for shard in self._shards:
            _fill(rows, waiting, keys, shard)
        new = {keys[i]: texts[i] for i in np.flatnonzero(waiting).tolist()}
        fresh = list(new.items())
        for start in range(0, len(fresh), PIECE):
            piece = fresh[start : start + PIECE]
            encoded = self._encoder.encode([text for _, text in piece])
            if encoded.shape != (len(piece), self.dimension):
                raise InputError(
                    f"{self.name} returned rows of shape {encoded.shape} for {len(piece)} texts, but its width is "
                    f"{self.dimension} and the two cannot be mixed; mend the encoder."
                )
            shard = _sorted(self._folder, np.array([key for key, _ in piece], "S16"), encoded)
            _fill(rows, waiting, keys, shard)
            self._keep(shard)
        return rows

    def _keep(self, shard: _Shard) -> None:
        """Write a shard, and merge the small ones when they have become many."""
        try:
            self._shards.append(_written(shard))
            small = [shard for shard in self._shards if len(shard.keys) < FULL_SHARD]
            if len(small) <= SMALL_SHARDS:
                return
            mean = sum(len(shard.keys) for shard in small) / len(small)
            merged = [shard for shard in small if len(shard.keys) <= mean]
            sound = [_sound(shard.rows) for shard in merged]
            keys, places = np.unique(
                np.concatenate([shard.keys[rows] for shard, rows in zip(merged, sound, strict=True)]), return_index=True
            )
            rows = np.concatenate([shard.rows[rows] for shard, rows in zip(merged, sound, strict=True)])[places]
            whole = _written(_sorted(self._folder, keys, rows))
            others = [shard for shard in self._shards if all(shard is not one for one in merged)]
            self._shards = [*others, whole]
            for shard in merged:
                if shard.path != whole.path:
                    shard.path.unlink(missing_ok=True)
                    _rows_of(shard.path).unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be written (%s); its texts will be encoded again", shard.path, error)


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _fill(rows: FloatArray, waiting: NDArray[np.bool_], keys: Keys, shard: _Shard) -> None:
    """Take from a shard what still waits; what is damaged there goes on waiting."""
    asked = np.flatnonzero(waiting)
    places = np.minimum(np.searchsorted(shard.keys, keys[asked]), len(shard.keys) - 1)
    there = shard.keys[places] == keys[asked]
    asked, found = asked[there], np.asarray(shard.rows[places[there]])
    sound = _sound(found)
    rows[asked[sound]], waiting[asked[sound]] = found[sound], False


def _sound(rows: FloatArray) -> NDArray[np.bool_]:
    """Say of each row whether it is as encoders make them: of length 1 or 0."""
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = np.linalg.norm(rows, axis=1)
    sound: NDArray[np.bool_] = (np.abs(lengths - 1) < 1e-3) | (lengths == 0)
    return sound


def _sorted(folder: Path, keys: Keys, rows: FloatArray) -> _Shard:
    order = np.argsort(keys)
    name = hashlib.blake2b(keys[order].tobytes(), digest_size=16).hexdigest()
    return _Shard(folder / f"{name}.keys.npy", keys[order], rows[order])


def _written(shard: _Shard) -> _Shard:
    """Write a shard and return it with its rows mapped."""
    for path, body in ((_rows_of(shard.path), shard.rows), (shard.path, shard.keys)):
        buffer = io.BytesIO()
        np.save(buffer, body, allow_pickle=False)
        replace_file(path, buffer.getvalue())
    return _opened(shard.path) or shard


def _opened(path: Path) -> _Shard | None:
    """Return a shard as it lies on disk; None, with a line in the log, for what is no shard."""
    try:
        keys: Any = np.load(path, allow_pickle=False)
        rows: Any = np.load(_rows_of(path), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        log.warning("%s cannot be read (%s); its texts will be encoded again", path, error)
        return None
    if keys.dtype != "S16" or keys.ndim != 1 or not len(keys) or rows.dtype != np.float32 or rows.ndim != 2:
        log.warning("%s holds no embeddings; its texts will be encoded again", path)
        return None
    if len(keys) != len(rows):
        log.warning("%s has %d keys for %d rows; its texts will be encoded again", path, len(keys), len(rows))
        return None
    return _Shard(path, keys, rows)


def _rows_of(path: Path) -> Path:
    return path.with_name(path.name.replace(".keys.", ".rows."))
