"""Writing without half-written results: a temporary name beside the target, then a rename; and knowing damage.

What is renamed was written out before, and its folder after, so that a power cut too leaves the old or the new. A seal
is a file of sums: a folder that does not agree with its own was damaged, or never finished.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path
from typing import BinaryIO

SEAL = "seal.json"
"""Holds the size and the BLAKE2b of every other file of its folder."""


def replace_file(path: Path, body: bytes) -> None:
    """Write ``body`` to ``path`` so that a reader sees the old file or the new one, never a part."""
    with replaced_file(path) as file:
        file.write(body)


@contextmanager
def replaced_file(path: Path) -> Iterator[BufferedRandom]:
    """Yield an empty file to fill; it takes the place of ``path`` if the block ends well, else it is removed."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _write_out(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; sealed, it takes the place of ``path`` if the block ends well, else it is gone."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
        (fresh / SEAL).write_text(json.dumps(_sums_of(fresh), indent=1))
        for file in fresh.rglob("*"):
            _write_out(file)
        if path.exists():
            shutil.rmtree(path)
        fresh.replace(path)
        _write_out(path.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def is_sealed(folder: Path) -> bool:
    """Return whether a folder holds exactly what it was sealed with."""
    try:
        return bool(json.loads((folder / SEAL).read_bytes()) == _sums_of(folder))
    except (OSError, ValueError):
        return False


def sums(file: BinaryIO) -> dict[str, object]:
    """Return the size and the BLAKE2b of an open file, read from where it stands."""
    digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()  # type: ignore[arg-type]  # any file
    return {"bytes": file.tell(), "blake2b": digest}


def set_aside(path: Path) -> Path | None:
    """Move what cannot be trusted out of the way, in the place of what was there before; return where it is now."""
    aside = path.with_name(path.name + ".set-aside")
    if not path.exists():
        return None
    if aside.is_dir():
        shutil.rmtree(aside)
    path.replace(aside)
    return aside


def _sums_of(folder: Path) -> dict[str, dict[str, object]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != SEAL:
            with path.open("rb") as file:
                found[str(path.relative_to(folder))] = sums(file)
    return found


def _write_out(path: Path) -> None:
    """Ask the system to write out a file, or the names in a folder."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
