"""One supervised child process: started under a guard, probed until ready, stopped by its id within bounded time.

    child = ChildProcess("ingest", [sys.executable, "-m", "ingest_api"], log=home / "logs/ingest.log", probe=is_up)
    child.start()
    child.wait_ready(30)      # raises StackError with one sentence and the end of the log
    child.stop()

A child, and what it starts itself, dies with the process that made it, even on kill -9 (see ``guard.py``).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

LOG_BYTES = 10 * 1024 * 1024
GUARD = Path(__file__).with_name("guard.py")
_START_SECONDS = 20.0


class StackError(Exception):
    """Something stands in the way of the stack; the message is one sentence for the user."""


class ChildProcess:
    """A child that can be started again after it ended; not for use by two threads at once."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        probe: Callable[[], bool] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace: float = 10.0,
        port: int | None = None,
    ) -> None:
        self.name, self.argv, self.log, self.port = name, list(argv), log, port
        self._probe, self._env, self._cwd, self._grace = probe, env, cwd, grace
        self._guard: subprocess.Popen[bytes] | None = None
        self._alive_end = -1
        self.pid: int | None = None

    def start(self) -> None:
        """Start the child under a new guard; it runs, but need not be ready yet."""
        if self.running:
            raise StackError(f"{self.name} runs already, as process {self.pid}.")
        self._forget()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        alive, self._alive_end = os.pipe()
        report, report_end = os.pipe()
        try:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(GUARD), str(os.getpid()), str(alive), str(report_end), self._order()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(alive, report_end),
                env={**os.environ, **(self._env or {})},
                cwd=self._cwd,
                start_new_session=True,
            )
        finally:
            os.close(alive)
            os.close(report_end)
        with os.fdopen(report) as lines:
            self._read_report(lines.readline())

    def _order(self) -> str:
        """Say what the guard is to do."""
        lock = self.log.with_suffix(".lock")
        order = {"argv": self.argv, "log": str(self.log), "log_bytes": LOG_BYTES, "grace": self._grace}
        return json.dumps({**order, "lock": str(lock)})

    def _read_report(self, line: str) -> None:
        """Learn the child's id, or why there is none."""
        word, _, rest = line.strip().partition(" ")
        if word == "pid":
            self.pid = int(rest)
            return
        self._forget()
        if word == "locked":
            raise StackError(f"{self.name} of an earlier run still ends; try again in a few seconds.")
        raise StackError(f"{self.name} cannot be started: {rest or 'its guard ended at once'}.")

    @property
    def running(self) -> bool:
        """Whether the child still runs."""
        return self._guard is not None and self._guard.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the child ended (128 + n after signal n); nothing while it runs."""
        return self._guard.poll() if self._guard else None

    def ready(self) -> bool:
        """Ask once whether the child serves; without a probe, running is enough."""
        return self.running and (self._probe is None or self._probe())

    def wait_ready(self, seconds: float, cancel: threading.Event | None = None) -> None:
        """Probe until the child serves; say so if it ends first or takes too long."""
        end = time.monotonic() + seconds
        while not self.ready():
            _unless(cancel)
            if not self.running:
                raise StackError(f"{self.name} ended with code {self.exit_code} before it was ready. {self.hint()}")
            if time.monotonic() > end:
                raise StackError(f"{self.name} was not ready within {seconds:.0f} s. {self.hint()}")
            time.sleep(0.05)

    def run_to_end(self, seconds: float, cancel: threading.Event | None = None) -> int:
        """Run a child that ends by itself; return its exit code. One that takes too long is stopped."""
        self.start()
        end = time.monotonic() + seconds
        try:
            while self.running:
                _unless(cancel)
                if time.monotonic() > end:
                    raise StackError(f"{self.name} did not end within {seconds:.0f} s. {self.hint()}")
                time.sleep(0.05)
            return self.exit_code or 0
        finally:
            self.stop()

    def hint(self) -> str:
        """Point to the log with its last telling line."""
        return f"Its log is {self.log}" + (f" and ends: {last}" if (last := last_line(self.log)) else ".")

    def stop(self) -> None:
        """Stop the child: SIGTERM, then SIGKILL when its grace is over. Harmless if it does not run."""
        if self._guard is not None:
            self._guard.terminate()
            try:
                self._guard.wait(self._grace + 5)
            except subprocess.TimeoutExpired:
                self.kill()
        self._forget()

    def kill(self) -> None:
        """Kill the child at once, as a crash would; what it started dies with it."""
        if self._guard is not None and self.pid is not None and self.running:
            try:
                psutil.Process(self.pid).kill()
                self._guard.wait(10)
            except (psutil.NoSuchProcess, subprocess.TimeoutExpired):
                self._guard.kill()
                self._guard.wait(10)

    def _forget(self) -> None:
        """Close the pipe; a guard that still runs takes it as the order to end."""
        if self._alive_end >= 0:
            os.close(self._alive_end)
            self._alive_end = -1
        if self._guard is not None:
            self._guard.wait(self._grace + _START_SECONDS)
        self._guard = self.pid = None


def _unless(cancel: threading.Event | None) -> None:
    """Give up a wait that is no longer wanted."""
    if cancel is not None and cancel.is_set():
        raise StackError("The start was interrupted.")


def last_line(path: Path) -> str:
    """Return the last line that says something, cut to a sensible length."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 4096))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")
