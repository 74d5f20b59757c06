"""One writer behind a bounded queue: groups parcels into blocks, delivers them, acknowledges them in order.

Plain Python: the dataflow, a replay and a poll loop use the same class.

Whatever a destination does, the flow is not held back by it as long as its rows can wait in the backup: an attempt is
bounded by the destination's own time limits, all attempts of a block by ``give_up_seconds``, and while a block hangs,
a second thread takes the oldest that wait to the backup as soon as the queue has passed its high-water mark.

While blocks are taken as they should the queue holds ``steady_rows``: what waits longer waits in Kafka, where it takes
no memory of the flow. The rest of the queue is for a destination that is slow, hangs or was given up.
"""

from __future__ import annotations

import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, Literal, NamedTuple, TypeVar

from flows.parcel import Span
from flows.progress import Progress
from flows.sinks.circuit import Circuit
from flows.sinks.destination import (
    Backup,
    Choosy,
    Deliverable,
    Destination,
    DestinationEnded,
    DestinationError,
    Recoverable,
)
from flows.sinks.waiting import ParcelQueue, Waiting, let_go, parts_of
from flows.sinks.writer_policy import WriterPolicy

__all__ = ["Outcome", "Report", "Writer", "WriterCrashed", "WriterPolicy", "WriterStopped"]

log = logging.getLogger(__name__)
T = TypeVar("T", bound=Deliverable)
Outcome = Literal["written", "backup", "spilled"]
_LETTERS_AT_ONCE = 1_000  # rows; a letter costs several times its row while it is made


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
    """A thread of the writer ended by an unforeseen exception, which is the cause. Nothing further is acknowledged."""


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
        self._choosy = destination if isinstance(destination, Choosy) else None
        self._progress = progress
        self._policy = policy
        self._steady_rows = policy.most_rows(steady=True)
        self._backup = backup
        self._on_block = on_block
        self._clock = clock
        # Each waits for its own, so that a parcel wakes nobody who has nothing to do: threads woken for nothing take
        # turns from the one that computes.
        self._lock = threading.Lock()
        self._due = threading.Condition(self._lock)  # the first thread: something waits, or a block is full
        self._moved = threading.Condition(self._lock)  # who waits for room, or until all is acknowledged
        self._filled = threading.Condition(self._lock)  # the second thread: more waits than should
        self._wakes_at = math.inf  # rows that wait before the first thread has to do; none while it is not asleep
        self._queue: ParcelQueue[T] = ParcelQueue(policy.queue_rows, policy.queue_bytes, self._acknowledge)
        self._circuit = Circuit(policy.probe_seconds, clock)
        self._writes_since: float | None = None  # set while a block is with the destination
        self._last_seconds = 0.0  # of the last block that was written
        self._closing = False
        self._flushing = 0  # callers that wait: then no block lingers
        self._abandoned = threading.Event()
        self._failure: BaseException | None = None
        self._random = random.Random()  # noqa: S311 - jitter, not a secret
        self.blocks_written = 0
        self._threads = [self._thread("sink", self._deliver_all)]
        if backup is not None:
            self._threads.append(self._thread("spill", self._spill_all))
        for thread in self._threads:
            thread.start()

    @property
    def name(self) -> str:
        """Return the destination's name."""
        return self._destination.name

    @property
    def rows_held(self) -> int:
        """Return the rows that wait or are in flight."""
        return self._queue.rows

    @property
    def bytes_held(self) -> int:
        """Return about how many bytes they take."""
        return self._queue.size

    @property
    def degraded(self) -> bool:
        """Tell whether rows go to the backup."""
        return self._circuit.open

    @property
    def pressed(self) -> bool:
        """Tell whether there is more to do than the destination takes: nobody should add to it."""
        with self._lock:
            steady = self._policy.spill_share * self._policy.most_rows(steady=True)
            return self._queue.over(self._policy.spill_share / 2) or (bool(self._queue) and self._queue.rows > steady)

    def put(self, parcel: T, stop: threading.Event | None = None) -> None:
        """Queue a parcel; blocks while the queue is full. One that has nothing for the destination passes an empty one.

        WriterCrashed if a thread has died. WriterStopped if the writer is closed meanwhile, or if there is still
        no room ``close_seconds`` after ``stop`` was set.
        """
        if self._choosy is not None and not self._choosy.concerned(parcel) and self._passed(parcel):
            return
        entry, queue = Waiting(parcel, parcel.spans, parcel.rows or 1, parcel.size, self._clock()), self._queue
        with self._lock:
            if not queue.has_room(entry, self._steady_rows):
                self._await_room(entry, stop)
            if self._closing or self._failure is not None:
                self._check()
            queue.put(entry)
            if queue.rows_waiting >= self._wakes_at:
                self._wakes_at = math.inf
                self._due.notify()
            if self._backup is not None and queue.over(self._policy.spill_share):
                self._filled.notify()

    def _await_room(self, entry: Waiting[T], stop: threading.Event | None, patience: float = 0.0) -> None:
        while not self._queue.has_room(entry, self._policy.most_rows(self._steady())):
            self._check()
            if stop is not None and stop.is_set():
                patience = patience or self._clock() + self._policy.close_seconds
            if patience and self._clock() >= patience:
                raise WriterStopped(f"sink {self.name}: told to stop while {self.rows_held} rows waited")
            self._moved.wait(0.1)  # bounded, so that a signal or a stop is seen

    def _steady(self) -> bool:
        """Tell whether blocks are taken as they should: neither the last one nor the one under way takes long."""
        since, most = self._writes_since, self._policy.steady_seconds
        hangs = since is not None and self._clock() - since > most
        return not (hangs or self._last_seconds > most or self._circuit.open)

    def _passed(self, parcel: T) -> bool:
        """Acknowledge a parcel of which nothing is to be written, where nothing is open before it: no thread wakes."""
        with self._lock:
            if self._closing or self._failure is not None:
                self._check()
            if not self._queue.settled:
                return False
            self._progress.acknowledge(self._destination.name, parcel.spans)
        if self._on_block is not None:
            self._on_block(Report(self._destination.name, "written", parcel.rows, 0, 0.0))
        return True

    def flush(self, seconds: float) -> bool:
        """Write what waits at once, and wait until all that was put is acknowledged; False if that takes longer.

        WriterCrashed as in put.
        """
        deadline = self._clock() + seconds
        with self._lock:
            self._flushing += 1
            self._due.notify()
            try:
                while not self._queue.settled:
                    self._check_alive()
                    left = deadline - self._clock()
                    if left <= 0:
                        return False
                    self._moved.wait(min(left, 0.1))
            finally:
                self._flushing -= 1
            self._check_alive()
        return True

    def close(self) -> None:
        """Deliver what waits, within ``close_seconds``, and end the threads.

        WriterStopped if rows were left: they are not acknowledged, so they come again.
        """
        ends = time.monotonic() + self._policy.close_seconds
        with self._lock:
            self._closing = True
            for waiting in (self._due, self._moved, self._filled):
                waiting.notify_all()
        for thread in self._threads:
            thread.join(max(0.0, ends - time.monotonic()))
        self._abandoned.set()
        for thread in self._threads:
            thread.join(0.5)
        if not any(thread.is_alive() for thread in self._threads):
            self._destination.close()
        self._check_alive()
        if self.rows_held:
            raise WriterStopped(
                f"sink {self.name}: {self.rows_held} rows were not delivered within "
                f"{self._policy.close_seconds:g} s; they will come again"
            )

    def _check(self) -> None:
        self._check_alive()
        if self._closing:
            raise WriterStopped(f"sink {self.name} is closed")

    def _check_alive(self) -> None:
        if self._failure is not None:
            raise WriterCrashed(f"sink {self.name}: {type(self._failure).__name__}") from self._failure

    def _acknowledge(self, spans: Sequence[Span]) -> None:
        self._progress.acknowledge(self.name, spans)

    def _thread(self, kind: str, work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except WriterStopped as stopped:  # close() says so
                log.warning("%s", stopped)
            except BaseException as error:  # the only place that sees it: put, flush and close raise it again
                if not isinstance(error, DestinationEnded):
                    log.exception("sink %s: a thread of the writer ended", self.name)
                with self._lock:
                    self._failure = error
                    self._moved.notify_all()

        return threading.Thread(target=run, name=f"{kind}-{self.name}", daemon=True)

    # The first thread: blocks to the destination.

    def _deliver_all(self) -> None:
        while block := self._next_block():
            began = self._clock()
            outcome, attempts = self._write([entry.taken() for entry in block])
            self._held(block, outcome, attempts, self._clock() - began)

    def _next_block(self) -> list[Waiting[T]]:
        """Wait for a block; an empty one means that the writer is closed and nothing waits."""
        with self._lock:
            while not self._queue and not self._closing:
                self._await_rows(1)
            if not self._queue or self._abandoned.is_set():
                return []
            due = self._queue.waits_since + self._policy.linger(self._last_seconds)
            while self._queue.rows_waiting < self._policy.block_rows and not (self._closing or self._flushing):
                left = due - self._clock()
                if left <= 0:
                    break
                self._await_rows(self._policy.block_rows, left)
            slow = self._last_seconds > self._policy.slow_seconds
            rows = max(self._policy.block_rows, self._policy.slow_block_rows if slow else 0)
            return self._queue.take(rows, self._policy.block_bytes)

    def _await_rows(self, rows: int, seconds: float | None = None) -> None:
        """Sleep until so many rows wait: no parcel before wakes this thread. A flush and the end do."""
        self._wakes_at = rows
        self._due.wait(seconds)

    def _held(self, block: Sequence[Waiting[T]], outcome: Outcome, attempts: int, seconds: float) -> None:
        if outcome == "written":
            self.blocks_written += 1
            self._last_seconds = seconds
        if self._on_block is not None:
            rows = sum(entry.taken().rows for entry in block)
            self._on_block(Report(self.name, outcome, rows, attempts, seconds))
        with self._lock:
            held = self._queue.hold(block)
            self._moved.notify_all()
        let_go(held)

    def _write(self, block: Sequence[T]) -> tuple[Outcome, int]:
        """Write a block, or hand it to the backup. Returns what became of it and how often it was tried."""
        self._writes_since = self._clock()
        attempts, refusal = self._try(block, self._writes_since)
        self._writes_since = None
        if attempts and refusal is None:
            return "written", attempts
        if attempts and self._circuit.give_up():
            log.error("sink %s: gave up: %s; rows go to the backup until it recovers", self.name, refusal)
        self._append(block, refusal or "not tried: the destination refused the blocks before")
        return "backup", attempts

    def _try(self, block: Sequence[T], began: float) -> tuple[int, str | None]:
        """Return how often a block was tried, and what the destination said at last if it did not take it."""
        attempts, refusal = 0, None
        while self._may_try(attempts, began):
            if attempts:
                self._pause(attempts)
            attempts += 1
            try:
                self._destination.write(block)
            except DestinationError as error:
                refusal = str(error)
                log.warning("sink %s: attempt %d failed: %s", self.name, attempts, refusal)
            else:
                self._recovered()
                return attempts, None
        return attempts, refusal

    def _may_try(self, attempts: int, began: float) -> bool:
        """Tell whether to try once more. While the circuit is open: once, after a probe that was answered."""
        if self._backup is None:
            return True
        if not self._circuit.open:
            return not attempts or (
                attempts < self._policy.attempts and self._clock() - began < self._policy.give_up_seconds
            )
        if attempts or not self._circuit.due():
            return False
        if self._backup[0].probe():
            return True
        self._circuit.give_up()
        return False

    def _pause(self, failures: int) -> None:
        if self._abandoned.wait(self._policy.backoff(failures, self._random.random())):
            raise WriterStopped(f"sink {self.name}: closed while its destination was away")

    def _recovered(self) -> None:
        seconds = self._circuit.recover()
        if seconds is not None:
            log.warning("sink %s: recovered after %.1f s", self.name, seconds)

    def _append(self, block: Sequence[T], detail: str) -> None:
        """Hand a block to the backup, however long that takes: there is nowhere else to put it."""
        if self._backup is None:
            raise AssertionError("a writer without a backup neither gives up nor spills")
        destination, backup = self._backup
        for part in parts_of(block, _LETTERS_AT_ONCE):
            letters = destination.letters(part, detail)
            failures = 0
            while letters:
                try:
                    backup.append(letters)
                except DestinationError as error:
                    failures += 1
                    log.warning("sink %s: backup attempt %d failed: %s", self.name, failures, error)
                    self._pause(failures)
                else:
                    break

    # The second thread: while a block hangs, the oldest that wait go to the backup.

    def _spill_all(self) -> None:
        said = False
        while (entries := self._next_spill()) is not None:
            if not entries:
                said = False
                continue
            if not said:
                log.warning("sink %s: slow; the oldest rows that wait for it go to the backup", self.name)
            said = True
            began = self._clock()
            self._append([entry.taken() for entry in entries], "not tried: the destination is slow")
            self._held(entries, "spilled", 0, self._clock() - began)

    def _next_spill(self) -> list[Waiting[T]] | None:
        """Return what has to go; nothing where all is well for now, None once the writer is closed."""
        with self._lock:
            if self._closing:
                return None
            over = self._queue.over(self._policy.spill_share)
            if over and self._hangs():
                return self._queue.take(_LETTERS_AT_ONCE, self._policy.block_bytes)
            self._filled.wait(0.1 if over else None)
            return []

    def _hangs(self) -> bool:
        """Tell whether the block or the probe that is under way takes too long; after giving up, any does."""
        since, patience = self._writes_since, 0.0 if self._circuit.open else self._policy.spill_after_seconds
        return since is not None and self._clock() - since >= patience
