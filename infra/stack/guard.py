"""Stands between the supervisor and one child, so that no orphan can outlive the supervisor.

Run as a plain script on the standard library alone (``python -I -S guard.py``), because it stays for as long as the
child runs. It ends the child when the supervisor's end of a pipe closes, which kill -9 also does; the kernel ends the
child when the guard itself is killed. It also writes the child's output to a log of bounded size.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

LOCK_SECONDS = 15.0
POLL_SECONDS = 0.5
EXIT_LOCKED = 75
EXIT_NOT_STARTED = 127
_PR_SET_PDEATHSIG = 1


class BoundedLog:
    """A log file that moves to ``.1`` when it is full; a full disk is not the child's problem."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path, self._limit = path, limit
        self._fd, self._size = -1, 0
        self._open()

    def _open(self) -> None:
        with contextlib.suppress(OSError):
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._size = os.fstat(self._fd).st_size

    def write(self, data: bytes) -> None:
        """Append, and begin a new file where the old one is full."""
        with contextlib.suppress(OSError):
            if self._size + len(data) > self._limit:
                os.close(self._fd)
                self._path.replace(self._path.with_suffix(self._path.suffix + ".1"))
                self._open()
            self._size += os.write(self._fd, data)


def die_with_parent() -> None:
    """Ask the kernel (Linux) to kill this process when the guard dies; the guard has one thread, so it is exact."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def take_lock(path: str) -> bool:
    """Wait, within bounds, for the guard of an earlier run to be done with the same child's data."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + LOCK_SECONDS
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.05)
    return False


class Guard:
    """The child and what ends it."""

    def __init__(self, order: dict[str, Any], supervisor: int, alive: int) -> None:
        self._supervisor, self._alive = supervisor, alive
        self._grace = float(order["grace"])
        self._log = BoundedLog(Path(order["log"]), int(order["log_bytes"]))
        self._deadline: float | None = None
        self._wake, wake_end = os.pipe()
        for end in (self._wake, wake_end):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.child = subprocess.Popen(
            order["argv"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 -- one thread
        )
        assert self.child.stdout is not None  # noqa: S101 -- a pipe was asked for
        self._output = self.child.stdout.fileno()
        os.set_blocking(self._output, False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.end())

    def end(self) -> None:
        """Ask the child to stop; its time is bounded from here on."""
        if self._deadline is None:
            self._deadline = time.monotonic() + self._grace
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals, group: bool = False) -> None:
        """Signal the child, which cannot be another process as long as it is not waited for."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            (os.killpg if group else os.kill)(self.child.pid, number)

    def run(self) -> int:
        """Copy output until the child is gone; take what it left behind down with it."""
        watched = [self._output, self._alive, self._wake]
        while not self._gone():
            ready = select.select(watched, [], [], POLL_SECONDS)[0]
            if self._wake in ready:
                self._drain(self._wake)
            if self._output in ready and not self._copy():
                watched.remove(self._output)
            if self._alive in ready or os.getppid() != self._supervisor:
                watched = [fd for fd in watched if fd != self._alive]
                self.end()
            if self._deadline is not None and time.monotonic() > self._deadline:
                self._signal(signal.SIGKILL, group=True)
        self._signal(signal.SIGKILL, group=True)
        code = self.child.wait()
        self._copy()
        return code

    def _gone(self) -> bool:
        """Tell whether the child has ended, without collecting it, so that its id stays its own."""
        found = os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return found is not None

    @staticmethod
    def _drain(fd: int) -> bytes:
        """Read what is there; nothing where the end is reached."""
        try:
            return os.read(fd, 65_536)
        except BlockingIOError:
            return b"-"

    def _copy(self) -> bool:
        """Move output to the log; false at its end."""
        while True:
            try:
                data = os.read(self._output, 65_536)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._log.write(data)


def main() -> int:
    """``guard.py SUPERVISOR_PID ALIVE_FD REPORT_FD ORDER`` where the order is JSON."""
    supervisor, alive, report = (int(argument) for argument in sys.argv[1:4])
    order = json.loads(sys.argv[4])
    os.set_inheritable(alive, False)
    os.set_inheritable(report, False)
    if not take_lock(order["lock"]):
        os.write(report, b"locked\n")
        return EXIT_LOCKED
    try:
        guard = Guard(order, supervisor, alive)
    except OSError as error:
        os.write(report, f"failed {error.strerror}: {order['argv'][0]}\n".encode())
        return EXIT_NOT_STARTED
    os.write(report, f"pid {guard.child.pid}\n".encode())
    os.close(report)
    code = guard.run()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
