"""The Kafka source: one consumer for all partitions of a process, one parcel a poll.

The stock KafkaSource makes an item of every message and a consumer of every partition, which costs twice the CPU and
latency (measured; docs/performance.md).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

import numpy as np
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition

from flows.metrics import FlowMetrics
from flows.parcel import Parcel, Span
from flows.progress import Progress
from flows.sources.lag import LagMeter
from schemas.batches import Ledger, Origin, RawBatch
from schemas.makers import constructor

log = logging.getLogger("clickgoose.flow")
_ENDS_SECONDS = 2.0
_MARKS = ("appended", "polled")
_Found = tuple[int, int, int, bytes]  # partition, offset, Kafka's time stamp and the record
_new_parcel, _new_batch = constructor(Parcel), constructor(RawBatch)
_new_origin, _new_ledger = constructor(Origin), constructor(Ledger)
GATHERED_ROWS = 32
"""Rows of a parcel after which more are waited for: a parcel's fixed cost, 2.7 ms of CPU, is that of so many events."""
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
    wait_seconds: float = 0.0  # how long events of a parcel are gathered: at least,
    longest_wait_seconds: float = 0.002  # and at most, which is after a parcel of GATHERED_ROWS and more
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
        self._least_wait = min(config.wait_seconds, config.longest_wait_seconds)
        self._handed_over: int | None = None
        self._rows = 0
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
        parts = self._parts
        if parts.stopping():
            raise StopIteration
        parts.owned()
        messages = self._polled()
        parcel = self._parcel(messages) if messages else None
        if parcel is None:
            self._handed_over = None
            return []
        self._handed_over, self._rows = parts.clock(), parcel.rows_in
        return [parcel]

    def _polled(self) -> list[Message]:
        """Return what came. Each call hands the interpreter's lock over, so while events keep coming there is one."""
        most = self._config.max_events
        messages = self._consumer.consume(most, self._gather())
        if not messages:
            messages = self._consumer.consume(1, IDLE_SECONDS)
            if messages and most > 1:
                messages = [*messages, *self._consumer.consume(most - 1, self._least_wait)]
        return messages

    def _gather(self) -> float:
        """Return how long to wait for more events: not while parcels are small, else as the last one took, bounded.

        A parcel holds what came while the last one was worked on, so it grows with the load by itself. While it is
        small there is time left, and a wait would only be added to what its events have waited. A short wait for a
        larger one spares the fixed cost of a parcel, and leaves a part of the core to others.
        """
        if self._handed_over is None or self._rows < GATHERED_ROWS:
            return self._least_wait
        took = (self._parts.clock() - self._handed_over) / 1e9
        return min(max(took, self._least_wait), self._config.longest_wait_seconds)

    def next_awake(self) -> datetime | None:
        """Poll again at once: the wait is inside the poll, where a full batch ends it."""
        return None

    def _parcel(self, messages: Sequence[Message]) -> Parcel[RawBatch] | None:
        """Return what was polled; None where it is errors alone.

        Partitions lie in their order, not as they came: a replay gives what devices share the same order.
        """
        found, partitions = list[_Found](), set[int]()
        for message in messages:
            error, partition = message.error(), message.partition()
            if error is not None:
                self._heed(error)
            elif partition is not None:
                found.append((partition, message.offset() or 0, message.timestamp()[1], message.value() or b""))
                partitions.add(partition)
        if not found:
            return None
        if len(partitions) > 1:
            found.sort(key=itemgetter(0))  # stable: offsets ascend already
        self._metrics.batch_rows.observe(len(found))
        partition_of, offsets, appended, values = zip(*found, strict=True)
        spans = self._spans(partition_of, offsets, sorted(partitions))
        parcel: Parcel[RawBatch] = _new_parcel(
            spans, self._batch(partition_of, offsets, appended, values), len(found), (), 0
        )
        return parcel

    def _heed(self, error: KafkaError) -> None:
        if error.code() in FATAL:
            broken = f"Kafka cannot serve {self._config.topic}: {error.str()}; run `clickgoose doctor`"
            log.error("%s", broken)  # in a cluster nobody else would say it
            raise SourceBroken(broken)
        self._metrics.kafka_errors.inc()

    def _spans(
        self, partition_of: Sequence[int], offsets: Sequence[int], partitions: Sequence[int]
    ) -> tuple[Span, ...]:
        """Return the spans of partitions whose rows lie together, in their order; know what follows them."""
        spans, at = list[Span](), 0
        for partition in partitions:
            end = at + partition_of.count(partition) if len(partitions) > 1 else len(offsets)
            first, following = offsets[at], offsets[end - 1] + 1
            if first > self._next[partition]:
                self._say_gap(partition, first)
            self._next[partition] = following
            spans.append(Span(partition, first, following))
            at = end
        return tuple(spans)

    def _batch(
        self, partition_of: Sequence[int], offsets: Sequence[int], appended: Sequence[int], values: tuple[bytes, ...]
    ) -> RawBatch:
        rows, now = len(values), self._parts.clock()
        offset, appended_at, polled_at = np.array((offsets, appended, (now // 1_000_000,) * rows), np.int64)
        micros = np.empty((rows, 2), np.int64)
        np.multiply(appended_at, 1000, out=micros[:, 0])
        micros[:, 1] = now // 1000
        origin = _new_origin(self._config.topic, np.array(partition_of, np.int32), offset, appended_at, polled_at)
        batch: RawBatch = _new_batch(origin, values, _new_ledger(_MARKS, micros))
        return batch

    def _say_gap(self, partition: int, first: int) -> None:
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
