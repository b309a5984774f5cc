"""Arrays saved in one file with a manifest beside it, believed only when the two agree.

A snapshot is never the truth: what it was made from can make it again. The manifest holds the file's size and BLAKE2b,
for a library that reads it may not notice damage (FAISS loaded a zeroed page without a word in 60 of 60 tries). The
file is mapped, not read: a big one opens as fast as it is checked, and costs the memory of what is used. One that is
damaged or of another store is set aside, so that a person can look at it, and a line in the log says so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedRandom, BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hunch.memory.files import replace_file, replaced_file, set_aside, sums
from hunch.memory.values import digest

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
        claims = {**claims, **sums(file), "ends": ends}
        snapshot = Snapshot(claims, list(_mapped(file, ends)))
    replace_file(_manifest(path), json.dumps({**claims, "manifest": digest(json.dumps(claims))}, indent=1).encode())
    return snapshot


def read(path: Path, expected: dict[str, Any]) -> Snapshot | None:
    """Return what was saved with the claims ``expected``; None, with the reason logged, if it cannot be believed.

    A snapshot of the same origin but another position is old and is left to be overwritten; any other is set aside.
    """
    try:
        claims = _claims(path)
        if any(claims[name] != value for name, value in expected.items()):
            if claims["position"] < expected["position"]:
                log.info("%s is of an earlier time and is rebuilt", path)
            else:
                _refuse(path, "is of other facts or another encoder")
            return None
        with path.open("rb") as file:
            if sums(file) == {key: claims[key] for key in ("bytes", "blake2b")}:
                return Snapshot(claims, list(_mapped(file, claims["ends"])))
        _refuse(path, "is damaged")
    except FileNotFoundError:
        if path.exists() or _manifest(path).exists():
            _refuse(path, "lacks its other half")
        else:
            log.info("%s is not there and is made", path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        _refuse(path, f"cannot be read ({error})")
    return None


def whole(path: Path) -> bool:
    """Return whether a snapshot agrees with its manifest, whatever it is of."""
    try:
        claims = _claims(path)
        with path.open("rb") as file:
            return sums(file) == {key: claims[key] for key in ("bytes", "blake2b")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _claims(path: Path) -> dict[str, Any]:
    """Return what a manifest says.

    Raises:
        ValueError: if it is damaged itself.
    """
    claims: dict[str, Any] = json.loads(_manifest(path).read_bytes())
    if claims.pop("manifest") != digest(json.dumps(claims)):
        raise ValueError("its manifest is damaged")
    return claims


def _refuse(path: Path, why: str) -> None:
    try:
        set_aside(path)
        set_aside(_manifest(path))
    except OSError as error:
        log.warning("%s %s and cannot be set aside (%s); it is rebuilt", path, why, error)
    else:
        log.warning("%s %s; it is set aside (%s.set-aside) and rebuilt", path, why, path.name)


def _manifest(path: Path) -> Path:
    return path.with_name(path.name + ".json")


def _mapped(file: BufferedReader | BufferedRandom, ends: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    whole, start = np.memmap(file, np.uint8, mode="c").view(np.ndarray), 0
    for end in ends:
        yield whole[start:end]
        start = end + -end % ALIGNED
