"""The one Bytewax sink: hands parcels to a writer thread. What counts as delivered is decided there, by progress."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from bytewax.outputs import DynamicSink, StatelessSinkPartition

from flows.progress import Progress
from flows.sinks.destination import Deliverable
from flows.sinks.encoded import EncodedParcel
from flows.sinks.writer import Writer

T = TypeVar("T", bound=Deliverable)


class _Partition(StatelessSinkPartition[T]):
    def __init__(self, writer: Writer[T], stop: threading.Event | None) -> None:
        self._writer = writer
        self._stop = stop

    def write_batch(self, items: list[T]) -> None:
        for parcel in items:
            self._writer.put(parcel, self._stop)

    def close(self) -> None:
        self._writer.close()


class BackgroundSink(DynamicSink[T]):
    """A dynamic sink is safe here, although Bytewax does not wait for it: offsets follow ``Progress``, not epochs.

    ``make`` builds the writer inside the worker. ``stop``, once set, bounds the wait for room in the queue, so that
    a shutdown never hangs behind a destination that is away.
    """

    def __init__(self, make: Callable[[], Writer[T]], stop: threading.Event | None = None) -> None:
        self._make = make
        self._stop = stop

    def build(self, step_id: str, worker_index: int, worker_count: int) -> StatelessSinkPartition[T]:
        """Return the worker's only partition."""
        return _Partition(self._make(), self._stop)


@dataclass(slots=True)
class Counts:
    """What a counting sink saw."""

    parcels: int = 0
    rows_in: int = 0
    scored: int = 0
    dead: int = 0
    dropped: int = 0
    record_bytes: int = field(default=0)

    def add(self, item: EncodedParcel) -> None:
        """Count a parcel."""
        self.parcels += 1
        self.rows_in += item.parcel.rows_in
        self.scored += len(item.records)
        self.dead += len(item.parcel.errs)
        self.dropped += item.parcel.dropped
        self.record_bytes += sum(map(len, item.records))


class _CountingPartition(StatelessSinkPartition[EncodedParcel]):
    def __init__(self, counts: Counts, name: str, progress: Progress | None) -> None:
        self._counts, self._name, self._progress = counts, name, progress

    def write_batch(self, items: list[EncodedParcel]) -> None:
        for item in items:
            self._counts.add(item)
            if self._progress is not None:
                self._progress.acknowledge(self._name, item.spans)


class CountingSink(DynamicSink[EncodedParcel]):
    """Counts and acknowledges, for benchmarks. Keeps nothing."""

    def __init__(self, counts: Counts, name: str = "counting", progress: Progress | None = None) -> None:
        self._counts, self._name, self._progress = counts, name, progress

    def build(self, step_id: str, worker_index: int, worker_count: int) -> StatelessSinkPartition[EncodedParcel]:
        """Return the worker's only partition."""
        return _CountingPartition(self._counts, self._name, self._progress)
