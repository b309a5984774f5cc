"""How a run stops before its end: cleanly, with one line that says why, so that the same command goes on later."""

from __future__ import annotations

import errno
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl

from hunch.memory.errors import HunchError, InputError, StorageError
from hunch.memory.ledger import DATABASE_ERROR

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE)
"""Errors of the system that say the disk, not the program, is at fault."""


class StoppedError(HunchError):
    """A run stopped before its end and can go on: it was asked to, or the machine has no room left."""


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold a run's folder, so that no other process writes there; it is free again when this one ends, however it does.

    Raises:
        InputError: if another process holds it, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", is_singleton=True, thread_local=False)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(f"{folder} is being written to by another process; wait for it or give another.") from error
    except OSError as error:
        raise InputError(f"{folder} cannot be written to ({error.strerror}); give another folder.") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def on_sigterm() -> Iterator[RunControl]:
    """Yield what drains a run when the process gets SIGTERM; as before afterwards, and outside the main thread."""
    control = RunControl()
    if threading.current_thread() is not threading.main_thread():
        yield control
        return
    before = signal.signal(signal.SIGTERM, lambda *_: control.request_drain("SIGTERM"))
    try:
        yield control
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def stopping(folder: Path | None) -> Iterator[None]:
    """Turn what stops a run from outside into ``StoppedError``: a request to drain, a full disk, too little memory."""
    later = "its rounds up to here are saved" if folder else "it had no folder to save to"
    try:
        yield
    except GraphDrained as error:
        raise StoppedError(f"the run was asked to stop ({error}); {later}.") from error
    except MemoryError as error:
        raise StoppedError(f"the memory does not suffice; {later}; draw fewer at a time.") from error
    except (StorageError, DATABASE_ERROR) as error:
        raise StoppedError(f"{folder} could not be written to ({error}); {later}; make room there.") from error
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StoppedError(
            f"{error.filename or folder} could not be written to ({error.strerror}); {later}; make room."
        ) from error
    except Exception as error:  # torch and the libraries written in Rust have classes of their own for these
        line = (str(error).splitlines() or [""])[0]
        if "out of memory" in line or "can't allocate memory" in line:
            raise StoppedError(f"the memory does not suffice ({line}); {later}; draw fewer at a time.") from error
        if (number := re.search(r"\(os error (\d+)\)", line)) and int(number[1]) in FULL:
            raise StoppedError(f"{folder} could not be written to ({line}); {later}; make room.") from error
        raise
