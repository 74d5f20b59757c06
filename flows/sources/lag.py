"""How far behind a flow is, asked of Kafka in a thread of its own.

What the consumer knows by the way is not enough: while the flow is held back by a sink it polls nothing, its fetch
queue is full, and the end that it last heard of grows old. An epoch does not end either.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from confluent_kafka import KafkaException

from flows.metrics import FlowMetrics

log = logging.getLogger("clickgoose.flow")
Ends = Callable[[int], tuple[int, int]]  # partition -> first and next offset of its log; KafkaException
MEASURE_SECONDS = 1.0


class Held(Protocol):
    """Knows up to where every sink holds a partition: ``Progress``."""

    def watermark(self, partition: int, /) -> int:
        """Return the next offset that is not held."""
        ...


class LagMeter:
    """Sets the gauges of lag and of what is not acknowledged, every second, until it is closed."""

    def __init__(
        self,
        ends: Ends,
        following: Mapping[int, int],
        progress: Held,
        metrics: FlowMetrics,
        seconds: float = MEASURE_SECONDS,
    ) -> None:
        """``following`` is read only: the offset that is polled next, by partition."""
        self._ends, self._following, self._progress, self._metrics = ends, following, progress, metrics
        self._seconds = seconds
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lag", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(self._seconds):
            for partition, following in self._following.items():
                self._measure(partition, following)

    def _measure(self, partition: int, following: int) -> None:
        held = self._progress.watermark(partition)
        self._metrics.unacknowledged.labels(str(partition)).set(max(0, following - held))
        try:
            low, high = self._ends(partition)
        except KafkaException:  # the last figure stays, and the source counts what librdkafka says
            return
        self._metrics.lag.labels(str(partition)).set(max(0, high - max(low, following)))

    def close(self) -> None:
        """End the thread: before the consumer that it asks is closed. Waits as long as an answer may take."""
        self._closed.set()
        self._thread.join()
