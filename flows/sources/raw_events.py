"""The Kafka source: one consumer for all partitions of a process, one parcel a poll.

The stock KafkaSource makes an item of every message and a consumer of every partition, which costs twice the CPU and
latency (measured; docs/performance.md).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from flows.metrics import FlowMetrics
from flows.parcel import Parcel, Span
from flows.progress import Progress
from flows.sources.lag import LagMeter
from schemas.batches import Ledger, Origin, RawBatch

log = logging.getLogger("clickgoose.flow")
_ENDS_SECONDS = 2.0
IDLE_SECONDS = 0.02  # a poll that finds nothing returns after so long, so that epochs end and a stop is seen
FATAL = {
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError._UNKNOWN_TOPIC,
    KafkaError._UNKNOWN_PARTITION,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError._FATAL,
}


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """What to read, and how."""

    bootstrap: str
    topic: str
    group: str
    part: str = "raw-events"  # of its own in every process of a cluster
    max_events: int = 512
    wait_seconds: float = 0.0  # how long events are gathered after the first one of a parcel: at least,
    longest_wait_seconds: float = 0.002  # and at most
    queue_bytes: int = 16 * 1024**2  # of records that are fetched and not polled


class SourceBroken(RuntimeError):
    """Kafka said something that waiting cannot mend."""


@dataclass(frozen=True, slots=True)
class SourceParts:
    """What the source works with.

    ``owned`` raises where another flow took a partition over. ``epoch`` is called whenever Bytewax ends an epoch: the
    time to checkpoint.
    """

    resume: Mapping[int, int | None]
    progress: Progress
    metrics: FlowMetrics
    clock: Callable[[], int]  # nanoseconds
    stopping: Callable[[], bool]
    owned: Callable[[], None]
    epoch: Callable[[], None]
    reading: Callable[[], None] = lambda: None  # called once, when the consumer is open


class RawEvents(FixedPartitionedSource[Parcel[RawBatch], None]):
    """One Bytewax partition a process, which reads a static set of Kafka partitions.

    In a cluster each process lists only its own, so that Bytewax runs it where its state is.
    """

    def __init__(self, config: SourceConfig, parts: SourceParts) -> None:
        self._config = config
        self._parts = parts

    def list_parts(self) -> list[str]:
        """Name the process's one source partition."""
        return [self._config.part]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> Poller:
        """Open the consumer."""
        poller = Poller(self._config, self._parts)
        self._parts.reading()
        return poller


class Poller(StatefulSourcePartition[Parcel[RawBatch], None]):
    """Polls: the first event at once when idle, and as many as have come under load."""

    def __init__(self, config: SourceConfig, parts: SourceParts) -> None:
        self._config = config
        self._parts = parts
        self._metrics = parts.metrics
        self._next = {partition: offset or 0 for partition, offset in parts.resume.items()}
        self._handed_over: int | None = None
        self._consumer = Consumer(consumer_config(config), logger=log)
        self._consumer.assign(
            [
                TopicPartition(config.topic, partition, OFFSET_BEGINNING if offset is None else offset)
                for partition, offset in parts.resume.items()
            ]
        )
        self._lag = LagMeter(self._ends, self._next, parts.progress, parts.metrics)

    def next_batch(self) -> list[Parcel[RawBatch]]:
        """Poll once. An empty list means that nothing came within the wait."""
        if self._parts.stopping():
            raise StopIteration
        self._parts.owned()
        messages = self._consumer.consume(1, IDLE_SECONDS)
        if messages and self._config.max_events > 1:
            messages = [*messages, *self._consumer.consume(self._config.max_events - 1, self._gather())]
        parcel = self._parcel(messages) if messages else None
        self._handed_over = self._parts.clock() if parcel else None
        return [parcel] if parcel else []

    def _gather(self) -> float:
        """Return how long to wait for more than one event: not after a pause, else as the last parcel took, bounded.

        A parcel holds what came while the last one was worked on, so it grows with the load by itself. A short wait
        beyond that spares the fixed cost of a parcel, and leaves a part of the core to others.
        """
        took = 0.0 if self._handed_over is None else (self._parts.clock() - self._handed_over) / 1e9
        return min(max(took, self._config.wait_seconds), self._config.longest_wait_seconds)

    def next_awake(self) -> datetime | None:
        """Poll again at once: the wait is inside the poll, where a full batch ends it."""
        return None

    def _parcel(self, messages: list[Message]) -> Parcel[RawBatch] | None:
        by_partition: dict[int, list[Message]] = {}
        for message in messages:
            error = message.error()
            partition = message.partition()
            if error is not None:
                self._heed(error)
            elif partition is not None:
                by_partition.setdefault(partition, []).append(message)
        if not by_partition:
            return None
        groups = sorted(by_partition.items())  # not as they came: a replay gives what devices share the same order
        spans = tuple(self._span(partition, group) for partition, group in groups)
        ordered = [message for _, group in groups for message in group]
        self._metrics.batch_rows.observe(len(ordered))
        return Parcel(spans, self._batch(ordered), len(ordered))

    def _heed(self, error: KafkaError) -> None:
        if error.code() in FATAL:
            broken = f"Kafka cannot serve {self._config.topic}: {error.str()}; run `clickgoose doctor`"
            log.error("%s", broken)  # in a cluster nobody else would say it
            raise SourceBroken(broken)
        self._metrics.kafka_errors.inc()

    def _span(self, partition: int, messages: list[Message]) -> Span:
        first, last = messages[0].offset() or 0, messages[-1].offset() or 0
        self._say_gap(partition, first)
        self._next[partition] = last + 1
        return Span(partition, first, last + 1)

    def _batch(self, messages: list[Message]) -> RawBatch:
        rows = len(messages)
        now = self._parts.clock()
        appended = np.fromiter((message.timestamp()[1] for message in messages), np.int64, rows)
        origin = Origin(
            topic=self._config.topic,
            partition=np.fromiter((message.partition() for message in messages), np.int32, rows),
            offset=np.fromiter((message.offset() for message in messages), np.int64, rows),
            appended_at=appended,
            polled_at=np.full(rows, now // 1_000_000, np.int64),
        )
        micros = np.stack((appended * 1000, np.full(rows, now // 1000, np.int64)), axis=1)
        values = tuple([message.value() or b"" for message in messages])
        return RawBatch(origin, values, Ledger(("appended", "polled"), micros))

    def _say_gap(self, partition: int, first: int) -> None:
        if first > self._next[partition]:
            log.warning(
                "offsets %d to %d are no longer in Kafka: retention passed them before the flow read them",
                self._next[partition],
                first - 1,
                extra={"partition": partition},
            )

    def snapshot(self) -> None:
        """Checkpoint. Offsets are committed by the fence: the flow resumes from its own log."""
        self._parts.epoch()

    def _ends(self, partition: int) -> tuple[int, int]:
        place = TopicPartition(self._config.topic, partition)
        found = self._consumer.get_watermark_offsets(place, timeout=_ENDS_SECONDS)
        return (0, 0) if found is None else (found[0], found[1])

    def close(self) -> None:
        """Let go of the consumer."""
        self._lag.close()
        self._consumer.close()


def consumer_config(config: SourceConfig) -> dict[str, Any]:
    """Return the settings of a consumer whose queue is bounded and which commits nothing."""
    return {
        "bootstrap.servers": config.bootstrap,
        "group.id": config.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        # Whatever comes is answered at once; so long an answer waits where nothing does. With 5 ms a broker that was
        # asked for 200 events a second spent a quarter of its time on empty answers.
        "fetch.wait.max.ms": 50,
        "fetch.error.backoff.ms": 100,
        # How long fetching rests once the queue is full: by default a second, in which a fast flow runs dry.
        "fetch.queue.backoff.ms": 5,
        # What waits between Kafka and the flow: the queue, and one answer that may lie beyond its bound.
        "queued.max.messages.kbytes": config.queue_bytes // 1024,
        "fetch.max.bytes": config.queue_bytes // 4,
        "reconnect.backoff.max.ms": 1_000,
    }
