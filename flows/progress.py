"""Progress: up to which offset every sink has acknowledged. The flow resumes from there, never from beyond."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from flows.parcel import Span


class Progress:
    """Thread-safe acknowledgements by sink and partition.

    Every sink sees the parcels of a partition in order and acknowledges them in order, so one number a sink and
    partition is enough: the next offset that it has not acknowledged.
    """

    def __init__(self, sinks: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._acked: dict[str, dict[int, int]] = {sink: {} for sink in sinks}

    def begin(self, partition: int, offset: int) -> None:
        """State where the source starts to read a partition."""
        with self._lock:
            for acked in self._acked.values():
                acked[partition] = offset

    def acknowledge(self, sink: str, spans: Iterable[Span]) -> None:
        """State that a sink holds every row of the spans, durably."""
        with self._lock:
            acked = self._acked[sink]
            for partition, first, after in spans:
                known = acked.get(partition, first)
                acked[partition] = after if after > known else known

    def watermark(self, partition: int) -> int:
        """Return the next offset that at least one sink has not acknowledged."""
        with self._lock:
            return min(acked[partition] for acked in self._acked.values())
