"""One writer thread behind a bounded queue: groups parcels into blocks, delivers them, acknowledges them in order.

Plain Python: the dataflow, a replay and a poll loop use the same class.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeVar

from flows.progress import Progress
from flows.sinks.destination import Backup, Deliverable, Destination, DestinationError, Recoverable

log = logging.getLogger(__name__)
T = TypeVar("T", bound=Deliverable)
Outcome = Literal["written", "backup"]


@dataclass(frozen=True, slots=True)
class WriterPolicy:
    """How a sink groups, waits, retries and gives up."""

    block_rows: int = 1_000
    linger_seconds: float = 0.0
    queue_rows: int = 20_000  # waiting and in flight; a single larger parcel still passes
    attempts: int = 5
    backoff_seconds: float = 0.1
    backoff_limit_seconds: float = 5.0
    probe_seconds: float = 2.0  # after giving up: how often one block tries the destination again
    close_seconds: float = 10.0

    def backoff(self, failures: int, random_unit: float) -> float:
        """Return the pause after so many failures in a row: exponential, capped, half of it jitter."""
        full = min(self.backoff_limit_seconds, self.backoff_seconds * 2.0 ** min(failures - 1, 30))
        return full * (0.5 + 0.5 * random_unit)


class Report(NamedTuple):
    """What became of one block."""

    sink: str
    outcome: Outcome
    rows: int
    attempts: int
    seconds: float


class WriterStopped(Exception):
    """The writer was closed, or was told to stop, while rows waited. They were not acknowledged."""


class WriterCrashed(Exception):
    """The writer thread ended by an unforeseen exception, which is the cause. Nothing further is acknowledged."""


class Writer(Generic[T]):
    """Delivers to one destination. Every parcel is acknowledged once, in order, after it is held.

    With a backup, rows that the destination refuses for longer than the bounded retries go there; without one, the
    writer retries for ever, and its full queue holds the flow back.
    """

    def __init__(
        self,
        destination: Destination[T],
        progress: Progress,
        policy: WriterPolicy,
        backup: tuple[Recoverable[T], Backup] | None = None,
        on_block: Callable[[Report], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._destination = destination
        self._progress = progress
        self._policy = policy
        self._backup = backup
        self._on_block = on_block
        self._clock = clock
        self._changed = threading.Condition()
        self._waiting: deque[tuple[float, T]] = deque()
        self._rows_waiting = 0
        self._rows_in_flight = 0
        self._closing = False
        self._abandoned = threading.Event()
        self._failure: BaseException | None = None
        self._refused_since: float | None = None  # set while the circuit is open
        self._next_probe = 0.0
        self._random = random.Random()  # noqa: S311 - jitter, not a secret
        self._thread = threading.Thread(target=self._run, name=f"sink-{destination.name}", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """Return the destination's name."""
        return self._destination.name

    @property
    def rows_held(self) -> int:
        """Return the rows that wait or are in flight."""
        return self._rows_waiting + self._rows_in_flight

    @property
    def degraded(self) -> bool:
        """Tell whether rows go to the backup."""
        return self._refused_since is not None

    def put(self, parcel: T, stop: threading.Event | None = None) -> None:
        """Queue a parcel; blocks while the queue is full.

        WriterCrashed if the thread has died. WriterStopped if the writer is closed meanwhile, or if there is still
        no room ``close_seconds`` after ``stop`` was set.
        """
        rows = max(1, parcel.rows)
        patience = 0.0
        with self._changed:
            while self._full(rows):
                self._check()
                if stop is not None and stop.is_set():
                    patience = patience or self._clock() + self._policy.close_seconds
                if patience and self._clock() >= patience:
                    raise WriterStopped(f"sink {self.name}: told to stop while {self.rows_held} rows waited")
                self._changed.wait(0.1)  # bounded, so that a signal or a stop is seen
            self._check()
            self._waiting.append((self._clock(), parcel))
            self._rows_waiting += rows
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until all that was put is acknowledged; False if that takes longer. WriterCrashed as in put."""
        deadline = self._clock() + seconds
        with self._changed:
            while self.rows_held:
                self._check_alive()
                left = deadline - self._clock()
                if left <= 0:
                    return False
                self._changed.wait(min(left, 0.1))
            self._check_alive()
        return True

    def close(self) -> None:
        """Deliver what waits, within ``close_seconds``, and end the thread.

        WriterStopped if rows were left: they are not acknowledged, so they come again.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(self._policy.close_seconds)
        self._abandoned.set()
        self._thread.join(0.5)
        if not self._thread.is_alive():
            self._destination.close()
        self._check_alive()
        if self.rows_held:
            raise WriterStopped(
                f"sink {self.name}: {self.rows_held} rows were not delivered within "
                f"{self._policy.close_seconds:g} s; they will come again"
            )

    def _full(self, rows: int) -> bool:
        return self.rows_held > 0 and self.rows_held + rows > self._policy.queue_rows

    def _check(self) -> None:
        self._check_alive()
        if self._closing:
            raise WriterStopped(f"sink {self.name} is closed")

    def _check_alive(self) -> None:
        if self._failure is not None:
            raise WriterCrashed(f"sink {self.name}: {type(self._failure).__name__}") from self._failure

    def _run(self) -> None:
        try:
            while block := self._next_block():
                self._deliver(block)
                self._acknowledge(block)
        except WriterStopped as stopped:  # close() says so
            log.warning("%s", stopped)
        except BaseException as error:  # the only place that sees it: put, flush and close raise it again
            log.exception("sink %s: the writer thread ended", self.name)
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _next_block(self) -> list[T]:
        """Wait for a block; an empty one means that the writer is closed and nothing waits."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait(0.5)
            if not self._waiting or self._abandoned.is_set():
                return []
            due = self._waiting[0][0] + self._policy.linger_seconds
            while self._rows_waiting < self._policy.block_rows and not self._closing:
                left = due - self._clock()
                if left <= 0:
                    break
                self._changed.wait(left)
            return self._take()

    def _take(self) -> list[T]:
        block: list[T] = []
        rows = 0
        while self._waiting and rows < self._policy.block_rows:
            parcel = self._waiting.popleft()[1]
            block.append(parcel)
            rows += max(1, parcel.rows)
        self._rows_waiting -= rows
        self._rows_in_flight = rows
        return block

    def _acknowledge(self, block: Sequence[T]) -> None:
        for parcel in block:
            self._progress.acknowledge(self.name, parcel.spans)
        with self._changed:
            self._rows_in_flight = 0
            self._changed.notify_all()

    def _deliver(self, block: Sequence[T]) -> None:
        began = self._clock()
        outcome, attempts = self._write(block)
        if self._on_block is not None:
            rows = sum(parcel.rows for parcel in block)
            self._on_block(Report(self.name, outcome, rows, attempts, self._clock() - began))

    def _write(self, block: Sequence[T]) -> tuple[Outcome, int]:
        """Write a block, or hand it to the backup. Returns what became of it and how often it was tried."""
        detail = "not tried: the destination refused the blocks before"
        attempts = 0
        while self._may_try(attempts):
            attempts += 1
            try:
                self._destination.write(block)
            except DestinationError as error:
                detail = str(error)
                self._failed(attempts, detail)
            else:
                self._recovered()
                return "written", attempts
        if self._backup is None:
            raise AssertionError("a writer without a backup never gives up")
        self._give_up(detail)
        self._append(block, detail, *self._backup)
        return "backup", attempts

    def _may_try(self, attempts: int) -> bool:
        if self._backup is None:
            return True
        if self._refused_since is not None:
            return attempts == 0 and self._clock() >= self._next_probe
        return attempts < self._policy.attempts

    def _failed(self, failures: int, detail: str) -> None:
        log.warning("sink %s: attempt %d failed: %s", self.name, failures, detail)
        if self._backup is None or (self._refused_since is None and failures < self._policy.attempts):
            self._pause(failures)

    def _pause(self, failures: int) -> None:
        if self._abandoned.wait(self._policy.backoff(failures, self._random.random())):
            raise WriterStopped(f"sink {self.name}: closed while its destination was away")

    def _give_up(self, detail: str) -> None:
        now = self._clock()
        if self._refused_since is None:
            self._refused_since = now
            log.error("sink %s: gave up: %s; rows go to the backup until it recovers", self.name, detail)
        if now >= self._next_probe:
            self._next_probe = now + self._policy.probe_seconds

    def _recovered(self) -> None:
        if self._refused_since is not None:
            log.warning("sink %s: recovered after %.1f s", self.name, self._clock() - self._refused_since)
            self._refused_since = None

    def _append(self, block: Sequence[T], detail: str, destination: Recoverable[T], backup: Backup) -> None:
        """Hand a block to the backup, however long that takes: there is nowhere else to put it."""
        letters = destination.letters(block, detail)
        failures = 0
        while letters:
            try:
                backup.append(letters)
            except DestinationError as error:
                failures += 1
                log.warning("sink %s: backup attempt %d failed: %s", self.name, failures, error)
                self._pause(failures)
            else:
                return
