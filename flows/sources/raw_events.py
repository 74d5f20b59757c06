"""The Kafka source: one consumer for all partitions of a process, one parcel a partition and poll.

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
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from flows.metrics import FlowMetrics
from flows.parcel import Parcel, Span
from flows.progress import Progress
from schemas.batches import Ledger, Origin, RawBatch

log = logging.getLogger("clickgoose.flow")
_FATAL = {
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
    max_events: int = 512
    wait_seconds: float = 0.001


class SourceBroken(RuntimeError):
    """Kafka said something that waiting cannot mend."""


class RawEvents(FixedPartitionedSource[Parcel[RawBatch], None]):
    """One Bytewax partition a process, which reads a static set of Kafka partitions."""

    def __init__(
        self,
        config: SourceConfig,
        resume: Mapping[int, int | None],
        progress: Progress,
        metrics: FlowMetrics,
        clock: Callable[[], int],
        stopping: Callable[[], bool],
    ) -> None:
        self._args = (config, resume, progress, metrics, clock, stopping)

    def list_parts(self) -> list[str]:
        """Name the process's one source partition."""
        return ["raw-events"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Poller:
        """Open the consumer."""
        return _Poller(*self._args)


class _Poller(StatefulSourcePartition[Parcel[RawBatch], None]):
    def __init__(
        self,
        config: SourceConfig,
        resume: Mapping[int, int | None],
        progress: Progress,
        metrics: FlowMetrics,
        clock: Callable[[], int],
        stopping: Callable[[], bool],
    ) -> None:
        self._config = config
        self._progress = progress
        self._metrics = metrics
        self._clock = clock
        self._stopping = stopping
        self._next = {partition: offset or 0 for partition, offset in resume.items()}
        self._consumer = Consumer(
            {
                "bootstrap.servers": config.bootstrap,
                "group.id": config.group,
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "earliest",
                "fetch.wait.max.ms": 5,
                "fetch.error.backoff.ms": 100,
                "queued.max.messages.kbytes": 65_536,
                "reconnect.backoff.max.ms": 1_000,
            },
            logger=log,
        )
        self._consumer.assign(
            [
                TopicPartition(config.topic, partition, OFFSET_BEGINNING if offset is None else offset)
                for partition, offset in resume.items()
            ]
        )

    def next_batch(self) -> list[Parcel[RawBatch]]:
        """Poll once. An empty list means that nothing came within the wait."""
        if self._stopping():
            raise StopIteration
        messages = self._consumer.consume(self._config.max_events, self._config.wait_seconds)
        if not messages:
            return []
        return self._parcels(messages)

    def next_awake(self) -> datetime | None:
        """Poll again at once: the wait is inside the poll, where a message ends it."""
        return None

    def _parcels(self, messages: list[Message]) -> list[Parcel[RawBatch]]:
        by_partition: dict[int, list[Message]] = {}
        for message in messages:
            error = message.error()
            partition = message.partition()
            if error is not None:
                self._heed(error)
            elif partition is not None:
                by_partition.setdefault(partition, []).append(message)
        now = self._clock()
        return [self._parcel(partition, group, now) for partition, group in by_partition.items()]

    def _heed(self, error: KafkaError) -> None:
        if error.code() in _FATAL:
            raise SourceBroken(f"Kafka cannot serve {self._config.topic}: {error.str()}; run `clickgoose doctor`")
        self._metrics.kafka_errors.inc()

    def _parcel(self, partition: int, messages: list[Message], now: int) -> Parcel[RawBatch]:
        rows = len(messages)
        offsets = np.fromiter((message.offset() for message in messages), np.int64, rows)
        appended = np.fromiter((message.timestamp()[1] for message in messages), np.int64, rows)
        first, following = int(offsets[0]), int(offsets[-1]) + 1
        self._say_gap(partition, first)
        self._next[partition] = following
        origin = Origin(
            topic=self._config.topic,
            partition=np.full(rows, partition, np.int32),
            offset=offsets,
            appended_at=appended,
            polled_at=np.full(rows, now // 1_000_000, np.int64),
        )
        micros = np.stack((appended * 1000, np.full(rows, now // 1000, np.int64)), axis=1)
        values = tuple(message.value() or b"" for message in messages)
        batch = RawBatch(origin, values, Ledger(("appended", "polled"), micros))
        self._metrics.batch_rows.observe(rows)
        return Parcel(Span(partition, first, following), batch, rows)

    def _say_gap(self, partition: int, first: int) -> None:
        if first > self._next[partition]:
            log.warning(
                "offsets %d to %d are no longer in Kafka: retention passed them before the flow read them",
                self._next[partition],
                first - 1,
                extra={"partition": partition},
            )

    def snapshot(self) -> None:
        """Commit the watermarks to Kafka for lag tools, and measure lag. The flow itself resumes from its own log."""
        watermarks = {partition: self._progress.watermark(partition) for partition in self._next}
        offsets = [TopicPartition(self._config.topic, p, offset) for p, offset in watermarks.items() if offset]
        try:
            if offsets:
                self._consumer.commit(offsets=offsets, asynchronous=True)
            self._measure_lag()
        except KafkaException:
            self._metrics.kafka_errors.inc()

    def _measure_lag(self) -> None:
        for partition, following in self._next.items():
            known: Any = self._consumer.get_watermark_offsets(
                TopicPartition(self._config.topic, partition), cached=True
            )
            if known and known[1] >= 0:
                self._metrics.lag.labels(str(partition)).set(max(0, known[1] - following))

    def close(self) -> None:
        """Let go of the consumer."""
        self._consumer.close()
