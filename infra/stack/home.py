"""The home: the one directory of a stack, and who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.stack.child import StackError
from infra.stack.files import told_plainly

_MARK = ".clickgoose-home"
_OURS = ("kafka", "valkey", "clickhouse", "logs", "tls", "ports.json", "secrets.json", "merchants.json")


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that runs a home's stack; its start time tells it from a later process of the same id."""

    pid: int
    created: float

    @classmethod
    def of_this_process(cls) -> Holder:
        """Describe the calling process."""
        return cls(os.getpid(), psutil.Process().create_time())

    def process(self) -> psutil.Process | None:
        """Return the process if it still lives."""
        try:
            found = psutil.Process(self.pid)
            return found if abs(found.create_time() - self.created) < 1.0 else None
        except psutil.Error:
            return None


def claim(home: Path) -> None:
    """Make the home; mark it as wholly the stack's unless it held other things before."""
    new = not home.exists() or not any(home.iterdir())
    home.mkdir(parents=True, exist_ok=True)
    if new:
        (home / _MARK).touch()


class HomeLock:
    """Held by a running stack; the kernel lets go of it when the process ends, however it ends."""

    def __init__(self, home: Path) -> None:
        self._path = home / "lock"
        self._fd = -1

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd >= 0

    def take(self) -> None:
        """Take the lock, or say who has it."""
        with told_plainly(self._path.parent):
            claim(self._path.parent)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(fd)
                holder = holder_of(self._path.parent)
                who = f" (process {holder.pid})" if holder else ""
                raise StackError(
                    f"A stack already runs in {self._path.parent}{who}: stop it with `clickgoose down`."
                ) from None
            me = Holder.of_this_process()
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps({"pid": me.pid, "created": me.created}).encode(), 0)
        self._fd = fd

    def release(self) -> None:
        """Let go of the home."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1


def holder_of(home: Path) -> Holder | None:
    """Return who runs the home's stack; nothing if nobody does."""
    try:
        found = json.loads((home / "lock").read_text("ascii"))
        holder = Holder(int(found["pid"]), float(found["created"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return holder if holder.process() else None


def read_state(home: Path) -> dict[str, Any]:
    """Return what ``stack.json`` says; nothing if there is none."""
    try:
        found = json.loads((home / "stack.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def purge(home: Path) -> None:
    """Remove a home; of a directory that held other things first, only what is the stack's."""
    with told_plainly(home):
        if (home / _MARK).exists():
            shutil.rmtree(home)
            return
        for name in (*_OURS, "lock", "stack.json"):
            path = home / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        if home.exists() and not any(home.iterdir()):
            home.rmdir()
