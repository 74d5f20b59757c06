"""The lock of one partition's state: one process works on it at a time, and the file says which."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import psutil

_LOCK = "lock"


class StateLocked(RuntimeError):
    """Another process, or another StateLog of this one, works on the partition."""


def take_lock(directory: Path) -> int:
    """Return a descriptor that holds the directory's lock until it is closed, also by the end of the process.

    StateLocked where somebody has it, OSError where the file cannot be written.
    """
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StateLocked(
            f"the state in {directory} is in use by process {holder}: stop that flow, or give this one other partitions"
        ) from None
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def let_go(descriptor: int) -> None:
    """Give the lock back, and say that nobody has it."""
    os.ftruncate(descriptor, 0)
    os.close(descriptor)


def holder_of(directory: Path) -> int | None:
    """Return the process that holds the lock, None where nobody does; the lock itself is not touched.

    A process of another user, whose open files cannot be seen, is believed to be the one that the file names.
    """
    path = directory / _LOCK
    try:
        number, held = int(path.read_text("ascii")), path.resolve()
    except (OSError, ValueError):
        return None
    try:
        opened = psutil.Process(number).open_files()
    except psutil.AccessDenied:
        return number
    except psutil.Error:
        return None
    return number if any(Path(file.path) == held for file in opened) else None
