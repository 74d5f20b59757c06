"""Restarting children that die: with backoff, a bounded number of times, and said aloud."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from infra.stack.child import ChildProcess, StackError

TICK_SECONDS = 0.2
MOST_RESTARTS = 5
WINDOW_SECONDS = 300.0
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 8.0


class Watched:
    """One child and its restarts; :meth:`tick` never blocks for long."""

    def __init__(self, child: ChildProcess, ready_seconds: float) -> None:
        self.child, self._ready_seconds = child, ready_seconds
        self._deaths: list[float] = []
        self._start_at = self._ready_by = 0.0

    def tick(self, now: float, say: Callable[[str], None]) -> bool:
        """Look once; return whether the child has just become ready again."""
        if self._start_at:
            if now >= self._start_at:
                self._restart(now)
            return False
        if not self.child.running:
            self._died(now, say)
        elif self._ready_by and self.child.ready():
            self._ready_by = 0.0
            say(f"{self.child.name} is ready again.")
            return True
        elif self._ready_by and now > self._ready_by:
            self.child.kill()
        return False

    def _died(self, now: float, say: Callable[[str], None]) -> None:
        """Plan the next start, or give up."""
        self._deaths = [then for then in self._deaths if now - then < WINDOW_SECONDS] + [now]
        count, code = len(self._deaths), self.child.exit_code
        if count > MOST_RESTARTS:
            raise StackError(
                f"{self.child.name} ended {count} times within {WINDOW_SECONDS / 60:.0f} minutes, so the stack stops. "
                f"{self.child.hint()}"
            )
        wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** (count - 1))
        say(f"{self.child.name} ended with code {code}; starting it again in {wait:g} s ({count}/{MOST_RESTARTS}).")
        self._start_at = now + wait

    def _restart(self, now: float) -> None:
        """Start the child; a start that fails counts as one more death at the next look."""
        self._start_at = 0.0
        self._ready_by = now + self._ready_seconds
        try:
            self.child.start()
        except StackError:
            self.child.stop()


class Watch:
    """A thread that looks after all children until it is stopped."""

    def __init__(self, say: Callable[[str], None], on_change: Callable[[], None]) -> None:
        self._say, self._on_change = say, on_change
        self._watched: list[Watched] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.failed: str | None = None
        self.over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stack-watch", daemon=True)

    def add(self, child: ChildProcess, ready_seconds: float) -> None:
        """Look after a child that runs."""
        with self._lock:
            self._watched.append(Watched(child, ready_seconds))

    def remove(self, child: ChildProcess) -> None:
        """Look after it no more, as before a wanted stop."""
        with self._lock:
            self._watched = [watched for watched in self._watched if watched.child is not child]

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """End; nothing is restarted from here on."""
        self._stop.set()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        """Look at every child a few times a second."""
        while not self._stop.wait(TICK_SECONDS):
            with self._lock:
                try:
                    for watched in self._watched:
                        if watched.tick(time.monotonic(), self._say):
                            self._on_change()
                except StackError as error:
                    self.failed = str(error)
                    self.over.set()
                    return
