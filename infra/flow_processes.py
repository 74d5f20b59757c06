"""Several processes of one flow on one host: started, watched, restarted with backoff, drained together.

A process that ends without being asked is said with its last lines. One that refuses to start (exit code 2) or stops
itself on purpose (exit code 4: flows.breaker.FlowStopped) ends all: what is wrong will not mend itself.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger("clickgoose.flow")
_TICK_SECONDS = 0.1
_KEPT_LINES = 5
_LINE_CHARACTERS = 300
_REFUSED = 2
STOPPED = 4  # of a child alone: whoever started the flow gets 1
_FOLLOW_SECONDS = 5.0  # how long the others of a cluster may take to notice that one is gone


@dataclass(frozen=True, slots=True)
class Restarts:
    """How often a process may end without being asked, and how long the pauses are."""

    most: int = 5
    window_seconds: float = 300.0
    first_pause_seconds: float = 0.5
    longest_pause_seconds: float = 8.0

    def pause(self, deaths: int) -> float:
        """Return the pause after so many deaths within the window."""
        return min(self.longest_pause_seconds, self.first_pause_seconds * 2.0 ** (deaths - 1))


@dataclass(frozen=True, slots=True)
class ChildOrder:
    """How one process is started; it writes its metrics port into ``ready_file`` once it reads."""

    title: str
    argv: Sequence[str]
    ready_file: Path
    env: Mapping[str, str]


class FlowsFailed(Exception):
    """The processes cannot go on; the message is for the user. ``exit_code`` 2: one refused to start."""

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code


class _Child:
    """One process; what it prints goes to our standard error, line by line."""

    def __init__(self, order: ChildOrder) -> None:
        self.order = order
        self.start_at: float | None = 0.0
        self.deaths: list[float] = []
        self._lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        self.order.ready_file.unlink(missing_ok=True)
        self._lines.clear()
        self.start_at = None
        self._process = subprocess.Popen(
            [*self.order.argv, "--parent", str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **self.order.env},
        )
        self._reader = threading.Thread(target=self._copy, args=(self._process,), daemon=True)
        self._reader.start()

    def _copy(self, process: subprocess.Popen[bytes]) -> None:
        """Pass on what the process prints: JSON lines name it already, others are prefixed."""
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            self._lines.append(line[:_LINE_CHARACTERS])
            sys.stderr.write(f"{line}\n" if line.startswith("{") else f"{self.order.title}: {line}\n")

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def port(self) -> str | None:
        """Return the metrics port once the process reads."""
        try:
            return self.order.ready_file.read_text("utf-8").strip() if self.running else None
        except FileNotFoundError:
            return None

    def signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)  # harmless after it has ended: it was not waited for by anybody else

    def last_words(self) -> str:
        """Return how the process ended and what it printed last."""
        if self._reader is not None:
            self._reader.join(1.0)
        lines = " | ".join(self._lines) or "nothing"
        return f"{self.order.title} {_ending(self.exit_code)}; it printed last: {lines}"

    def last_line(self) -> str:
        if self._reader is not None:
            self._reader.join(1.0)
        return next(reversed(self._lines), "")

    @property
    def exit_code(self) -> int:
        code = self._process.poll() if self._process else None
        return 0 if code is None else code


def _ending(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


class FlowProcesses:
    """The processes of one flow. ``together``: they are a cluster, where one cannot go on without the others."""

    def __init__(
        self,
        orders: Sequence[ChildOrder],
        *,
        together: bool = False,
        restarts: Restarts | None = None,
        drain_seconds: float = 25.0,
    ) -> None:
        self._children = [_Child(order) for order in orders]
        self._together = together
        self._restarts = restarts or Restarts()
        self._drain_seconds = drain_seconds
        self._stopping = threading.Event()
        self._ports: list[str] | None = None

    def stop(self) -> None:
        """Ask for the end: safe in a signal handler."""
        self._stopping.set()

    def run(self, ready: Callable[[list[str]], None]) -> None:
        """Run until stopped; FlowsFailed where they cannot go on, or did not drain within the bound.

        ``ready`` gets the metrics ports, in order of the processes, whenever all read.
        """
        try:
            while not self._stopping.is_set():
                for child in self._children:
                    self._look_after(child)
                self._say_ready(ready)
                self._stopping.wait(_TICK_SECONDS)
        except BaseException:
            self._drain()
            raise
        if left := self._drain():
            raise FlowsFailed(
                f"{', '.join(left)} did not drain within {self._drain_seconds:g} s and was killed: "
                "nothing is lost, what was not acknowledged is read again"
            )

    def _look_after(self, child: _Child) -> None:
        now = time.monotonic()
        if child.start_at is not None:
            if now >= child.start_at:
                child.start()
            return
        if child.running:
            return
        self._heed(child)
        self._mourn(child, now)

    @staticmethod
    def _heed(child: _Child) -> None:
        """Raise FlowsFailed where a restart would change nothing."""
        if child.exit_code in (_REFUSED, STOPPED):
            code = _REFUSED if child.exit_code == _REFUSED else 1
            raise FlowsFailed(child.last_line() or child.last_words(), code)

    def _mourn(self, child: _Child, now: float) -> None:
        """Say who ended and why, and plan the next start."""
        policy = self._restarts
        child.deaths = [then for then in child.deaths if now - then < policy.window_seconds] + [now]
        count = len(child.deaths)
        words = child.last_words()
        if count > policy.most:
            raise FlowsFailed(
                f"{words}. It ended {count} times within {policy.window_seconds / 60:g} minutes, so the flow stops"
            )
        pause = policy.pause(count)
        log.error("%s. Starting it again in %g s (%d of %d)", words, pause, count, policy.most)
        self._ports = None
        child.start_at = now + pause
        if self._together:
            self._end_others(child, now + pause)

    def _end_others(self, dead: _Child, start_at: float) -> None:
        """Let the rest of a cluster end, which it does by itself once it notices, and start it again as well."""
        others = [child for child in self._children if child is not dead]
        gives_up = time.monotonic() + _FOLLOW_SECONDS
        while any(child.running for child in others) and time.monotonic() < gives_up:
            time.sleep(_TICK_SECONDS)
        for child in others:
            if child.running:
                child.signal(signal.SIGKILL)
            else:
                self._heed(child)
            child.start_at = start_at

    def _say_ready(self, ready: Callable[[list[str]], None]) -> None:
        if self._ports is not None:
            return
        ports = [port for child in self._children if (port := child.port())]
        if len(ports) == len(self._children):
            self._ports = ports
            ready(ports)

    def _drain(self) -> list[str]:
        """Ask all to drain; kill those that take too long, and return their titles."""
        for child in self._children:
            if child.running:
                child.signal(signal.SIGTERM)
        gives_up = time.monotonic() + self._drain_seconds
        while any(child.running for child in self._children) and time.monotonic() < gives_up:
            time.sleep(_TICK_SECONDS)
        left = [child for child in self._children if child.running]
        for child in left:
            child.signal(signal.SIGKILL)
        for child in self._children:
            child.last_words()  # waits until its output has been passed on
        return [child.order.title for child in left]
