"""Arrays saved in one file with a manifest beside it, believed only when the two agree.

A snapshot is never the truth: what it was made from can make it again. The manifest holds the file's size and BLAKE2b,
for a library that reads it may not notice damage (FAISS loaded a zeroed page without a word in 60 of 60 tries). The
file is mapped, not read: a big one opens as fast as it is checked, and costs the memory of what is used.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hunch.memory.files import replace_file, replaced_file

ALIGNED = 64
"""Each part starts at a multiple of this many bytes, so that it may hold numbers of any kind."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Snapshot:
    """What was saved."""

    claims: dict[str, Any]
    """What the manifest says of it."""
    parts: list[NDArray[np.uint8]]
    """Mapped copy-on-write: they may be changed in memory, which the file never sees."""


def write(path: Path, parts: Sequence[Iterable[NDArray[Any]]], claims: dict[str, Any]) -> Snapshot:
    """Write parts, each given piece by piece, and the manifest; return them as read from the file.

    A reader finds the old pair, the new pair, or none that agrees.
    """
    ends: list[int] = []
    with replaced_file(path) as file:  # never whole in memory
        for pieces in parts:
            for piece in pieces:
                file.write(np.ascontiguousarray(piece).data)
            ends.append(file.tell())
            file.write(bytes(-file.tell() % ALIGNED))
        file.seek(0)
        claims = {**claims, **_sums(file), "ends": ends}
        snapshot = Snapshot(claims, list(_mapped(file, ends)))
    replace_file(_manifest(path), json.dumps(claims, indent=1).encode())
    return snapshot


def read(path: Path, stamp: str) -> Snapshot | None:
    """Return what was saved with the claim ``stamp``, or None, with the reason logged, when it cannot be believed."""
    try:
        claims = json.loads(_manifest(path).read_bytes())
        if claims["stamp"] != stamp:
            log.info("%s is of another time (%s, not %s) and is rebuilt", path, claims["stamp"], stamp)
            return None
        with path.open("rb") as file:
            if _sums(file) != {key: claims[key] for key in ("bytes", "blake2b")}:
                log.warning("%s is damaged and is rebuilt", path)
                return None
            return Snapshot(claims, list(_mapped(file, claims["ends"])))
    except FileNotFoundError:
        log.info("%s is not there and is rebuilt", path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s cannot be read (%s) and is rebuilt", path, error)
    return None


def _manifest(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _sums(file: BufferedReader | BufferedRandom) -> dict[str, object]:
    sums = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    return {"bytes": file.tell(), "blake2b": sums}


def _mapped(file: BufferedReader | BufferedRandom, ends: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    whole, start = np.memmap(file, np.uint8, mode="c").view(np.ndarray), 0
    for end in ends:
        yield whole[start:end]
        start = end + -end % ALIGNED
