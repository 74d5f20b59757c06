"""The source of a process that reads batches of another: records put in order, several of them one parcel.

What the process does beside, ``Gate`` says: ``enrich`` waits for scores, ``score`` for nothing. A checkpoint is taken
between two parcels, where all that was applied is remembered; Bytewax's own epochs mean nothing here.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from flows.metrics import FlowMetrics
from flows.parcel import Parcel, Span
from flows.sources.lag import LagMeter
from flows.sources.lane import Arrived, Lane
from flows.sources.raw_events import FATAL, IDLE_SECONDS, SourceBroken, SourceConfig, consumer_config
from flows.stage_records import head_of
from flows.stage_state import UNKNOWN, Positions
from schemas.batches import RawBatch
from schemas.columns import Columns

log = logging.getLogger("clickgoose.flow")
B = TypeVar("B", bound=RawBatch)
C = TypeVar("C", bound=Columns)
_RECORDS_AT_ONCE: Final = 64
_ENDS_SECONDS: Final = 2.0
_GATE_SECONDS: Final = 0.001  # so long a poll waits for what holds rows back
_STOP_SECONDS: Final = 5.0  # so long a process that was told to stop waits for what it sent
_FETCHED: Final = {"max.partition.fetch.bytes": 8 * 1024**2}  # a record may have nearly a MiB


class Gate(Protocol):
    """What may hold rows back."""

    def serve(self, seconds: float = 0.0, /) -> None:
        """Do what is to be done beside reading; wait at most so long where there is nothing."""
        ...

    def may_apply(self, span: Span, /) -> bool:
        """Tell whether the rows of a span may go on."""
        ...

    def drained(self) -> bool:
        """Tell whether nothing is under way: the time to checkpoint, and to end."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class NoGate:
    """Nothing is waited for."""

    def serve(self, seconds: float = 0.0, /) -> None:
        """Wait."""
        if seconds:
            time.sleep(seconds)

    def may_apply(self, span: Span, /) -> bool:
        """Say yes."""
        return True

    def drained(self) -> bool:
        """Say yes."""
        return True

    def close(self) -> None:
        """Hold nothing."""


class Reader(Generic[C]):
    """One consumer of a topic between processes, with a lane for each partition."""

    def __init__(
        self,
        config: SourceConfig,
        lanes: Mapping[int, Lane[C]],
        metrics: FlowMetrics,
    ) -> None:
        self._topic, self.lanes, self._metrics = config.topic, lanes, metrics
        self._consumer = Consumer(consumer_config(config) | _FETCHED, logger=log)
        self._consumer.assign(
            [
                TopicPartition(config.topic, partition, OFFSET_BEGINNING if lane.position is None else lane.position)
                for partition, lane in lanes.items()
            ]
        )

    def receive(self, seconds: float) -> list[Arrived[C]]:
        """Return what came that was not there; wait at most so long for the first record."""
        messages = self._consumer.consume(1, seconds)
        if messages:
            messages += self._consumer.consume(_RECORDS_AT_ONCE - 1, 0)
        return [found for message in messages if (found := self._taken(message)) is not None]

    def _taken(self, message: Message) -> Arrived[C] | None:
        error, partition, offset = message.error(), message.partition(), message.offset()
        if error is not None:
            if error.code() in FATAL:
                raise SourceBroken(f"Kafka cannot serve {self._topic}: {error.str()}; run `clickgoose doctor`")
            self._metrics.kafka_errors.inc()
            return None
        if partition is None or offset is None:
            return None
        lane = self.lanes[partition]
        before = lane.passed_over
        try:
            found = lane.take(head_of(message), message.value() or b"", offset)
        except ValueError as unreadable:
            raise SourceBroken(
                f"offset {offset} of partition {partition} of {self._topic} cannot be read: {unreadable}"
            ) from None
        self._metrics.passed_over.inc(lane.passed_over - before)
        return found

    def ends(self, partition: int) -> tuple[int, int]:
        """Return the first and the next offset of the topic; KafkaException where Kafka does not say."""
        found = self._consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=_ENDS_SECONDS)
        return (0, 0) if found is None else (found[0], found[1])

    def close(self) -> None:
        """Let go of the consumer."""
        self._consumer.close()


def lane_at(lane: Lane[C], applied: int | None, position: int, end: int) -> Lane[C]:
    """Put a lane where a state ends: at a position of the topic, unless that is of another topic of the name."""
    lane.next = applied
    if position != UNKNOWN and position <= end:
        lane.position = position
    return lane


@dataclass(frozen=True, slots=True)
class BatchParts(Generic[B]):
    """What the source works with; ``begin`` is told where the rows of a new state begin."""

    reader: Callable[[], Reader[B]]
    gate: Gate
    metrics: FlowMetrics
    clock: Callable[[], int]  # nanoseconds
    stopping: Callable[[], bool]
    owned: Callable[[], None]
    epoch: Callable[[], None]
    epoch_seconds: float
    begin: Callable[[int, int], None]
    positions: Callable[[int], Positions]
    unheld: Callable[[int], int]  # rows of a partition that were applied and that not every sink holds
    reading: Callable[[], None] = lambda: None


class Batches(FixedPartitionedSource[Parcel[B], None]):
    """One Bytewax partition a process, which reads a static set of Kafka partitions."""

    def __init__(self, config: SourceConfig, parts: BatchParts[B]) -> None:
        self._config = config
        self._parts = parts

    def list_parts(self) -> list[str]:
        """Name the process's one source partition."""
        return [self._config.part]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> BatchPoller[B]:
        """Open the consumer."""
        poller = BatchPoller(self._config, self._parts)
        self._parts.reading()
        return poller


class BatchPoller(StatefulSourcePartition[Parcel[B], None]):
    """Joins what came into parcels, in the order of the partitions, as far as the gate lets rows go on."""

    def __init__(self, config: SourceConfig, parts: BatchParts[B]) -> None:
        self._config, self._parts = config, parts
        self._reader = parts.reader()
        self._waiting: dict[int, deque[Arrived[B]]] = {number: deque() for number in sorted(self._reader.lanes)}
        self._epoch_at = parts.clock()
        self._stop_by: int | None = None
        self._lag = LagMeter(self._reader.ends, _Following(self._reader), _Unheld(self._reader, parts), parts.metrics)

    def next_batch(self) -> list[Parcel[B]]:
        """Poll once. An empty list means that nothing may go on yet."""
        parts = self._parts
        parts.owned()
        parts.gate.serve()
        if parts.stopping():
            self._end()
            return []
        if parts.clock() - self._epoch_at >= parts.epoch_seconds * 1e9:
            if parts.gate.drained():
                self._checkpoint()
            else:
                parts.gate.serve(_GATE_SECONDS)
            return []
        self._receive()
        parcel = self._parcel()
        if parcel is None and not parts.gate.drained():
            parts.gate.serve(_GATE_SECONDS)
        return [] if parcel is None else [parcel]

    def _end(self) -> None:
        """End once all that was sent has come back, or after a while: what is left is read again by the next start."""
        now = self._parts.clock()
        self._stop_by = self._stop_by or now + int(_STOP_SECONDS * 1e9)
        if self._parts.gate.drained() or now > self._stop_by:
            raise StopIteration
        self._parts.gate.serve(_GATE_SECONDS)

    def _checkpoint(self) -> None:
        self._parts.epoch()
        self._epoch_at = self._parts.clock()

    def _receive(self) -> None:
        waiting = sum(len(arrived.batch) for lane in self._waiting.values() for arrived in lane)
        if waiting >= self._config.max_events:
            return
        idle = not waiting and self._parts.gate.drained()  # else scores are under way: a poll may not wait
        for arrived in self._reader.receive(IDLE_SECONDS if idle else 0):
            self._waiting[arrived.span.partition].append(arrived)

    def _parcel(self) -> Parcel[B] | None:
        spans, batches, rows = list[Span](), list[B](), 0
        for partition, waiting in self._waiting.items():
            taken = list[Arrived[B]]()
            while waiting and rows < self._config.max_events and self._may_go(taken, waiting[0].span):
                taken.append(waiting.popleft())
                rows += len(taken[-1].batch)
            if taken:
                first, last = taken[0].span, taken[-1]
                self._parts.begin(partition, first.first)
                self._parts.positions(partition).batches = last.position
                spans.append(Span(partition, first.first, last.span.next))
                batches += [arrived.batch for arrived in taken]
        if not spans:
            return None
        filled = [batch for batch in batches if len(batch)] or batches[:1]
        joined = type(filled[0]).concat(filled)
        self._parts.metrics.batch_rows.observe(len(joined))
        return Parcel(tuple(spans), joined, len(joined))

    def _may_go(self, taken: list[Arrived[B]], span: Span) -> bool:
        """Tell whether a record may join those that were taken. A range that begins elsewhere begins a parcel."""
        if not taken:
            return self._parts.gate.may_apply(span)
        so_far = Span(span.partition, taken[0].span.first, span.next)
        return taken[-1].span.next == span.first and self._fits(so_far) and self._parts.gate.may_apply(so_far)

    def _fits(self, span: Span) -> bool:
        return span.next - span.first <= self._config.max_events

    def next_awake(self) -> datetime | None:
        """Poll again at once: the wait is inside the poll."""
        return None

    def snapshot(self) -> None:
        """Do nothing: checkpoints are taken between parcels."""

    def close(self) -> None:
        """Let go of the consumers."""
        self._lag.close()
        self._reader.close()
        self._parts.gate.close()


class _Following(Mapping[int, int]):
    """The next offset of the topic, by partition."""

    def __init__(self, reader: Reader[Any]) -> None:
        self._lanes = reader.lanes

    def __getitem__(self, partition: int) -> int:
        return self._lanes[partition].position or 0

    def __iter__(self) -> Iterator[int]:
        return iter(self._lanes)

    def __len__(self) -> int:
        return len(self._lanes)


class _Unheld:
    """What the lag meter subtracts: so that it shows rows of ``events.raw`` where it counts records."""

    def __init__(self, reader: Reader[Any], parts: BatchParts[Any]) -> None:
        self._lanes, self._unheld = reader.lanes, parts.unheld

    def watermark(self, partition: int) -> int:
        return (self._lanes[partition].position or 0) - self._unheld(partition)
