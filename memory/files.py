"""Writing without half-written results: a temporary name beside the target, then a rename."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path


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
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill; it takes the place of ``path`` if the block ends well, else it is removed."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        yield fresh
        if path.exists():
            shutil.rmtree(path)
        fresh.replace(path)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
