"""Rows of a later start: the batches that the staged topology left on ``events.extracted`` and ``events.enriched``.

A record covers a range of offsets of one partition; ranges follow each other, and those that were sent again after a
kill overlap (flows/stage_records.py). So the record that holds an offset is found by halving the topic, and rows come
once and in order from there on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any, Final

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from flows.sources.lane import Arrived, Lane
from flows.sources.watermarks import watermarks
from flows.stage_records import ENRICHED, EXTRACTED, Head, head_of
from replay.parts import SourceFailed
from replay.plan import Piece, Plan, Start
from replay.ranges import Offsets
from schemas.batch_codec import layout_in
from schemas.batch_layout import layout_of
from schemas.batches import Enriched, RawBatch, Verified

TOPICS: Final = {Start.EXTRACTED: EXTRACTED, Start.ENRICHED: ENRICHED}
_KINDS: Final[dict[Start, type[Any]]] = {Start.EXTRACTED: Verified, Start.ENRICHED: Enriched}
_GROUP: Final = "clickgoose-replay"  # the client wants one; nothing is committed
_SECONDS: Final = 10.0  # an answer
_SILENCE_SECONDS: Final = 30.0
_LAST_RECORDS: Final = 64  # among which the furthest is: after a kill, records of before come again
_LEAST_QUEUE_BYTES: Final = 2 << 20


class BatchSource:
    """A ``Source`` of extracted or enriched rows. One consumer for each piece that is open, with a bounded queue.

    SourceFailed where a range is not there or cannot be read by this build. ``topic``: instead of that of the start.
    """

    def __init__(self, bootstrap: str, plan: Plan, queue_bytes: int = 64 * 1024**2, topic: str = "") -> None:
        self._topic, self._kind = topic or TOPICS[plan.start], _KINDS[plan.start]
        each = max(_LEAST_QUEUE_BYTES, queue_bytes // max(1, len(plan.partitions)))
        self._bootstrap, self._queue_bytes = bootstrap, each
        self._open: set[_Log] = set()

    def read(self, piece: Piece, first: int, /) -> Iterator[RawBatch]:
        """Yield the rows of a piece from an offset on."""
        at = max(first, piece.first)
        if at >= piece.next:
            return
        log = _Log(self._bootstrap, self._topic, piece.partition, self._queue_bytes)
        self._open.add(log)
        try:
            yield from self._batches(log, at, piece.next)
        finally:
            self._open.discard(log)
            log.close()

    def close(self) -> None:
        """Let go of all consumers."""
        while self._open:
            self._open.pop().close()

    def _batches(self, log: _Log, at: int, end: int) -> Iterator[RawBatch]:
        position, stream = log.find(at)
        # A record that lies before those that it follows comes again, or the log ends.
        lane: Lane[Any] = Lane(self._topic, self._kind, _offsets, stream, time.monotonic, patience=math.inf)
        lane.next = at
        lane.position = position
        for message in log.records(position):
            arrived = self._taken(lane, message)
            if arrived is None:
                continue
            if arrived.span.first != at:
                raise log.missing(at, arrived.span.first)
            at = arrived.span.next
            rows = arrived.batch
            if at > end:
                rows = rows.take(np.flatnonzero(_offsets(rows) < end))
            if len(rows):
                yield _as_polled_at_once(rows)
            if at >= end:
                return
        raise log.missing(at, end)

    def _taken(self, lane: Lane[Any], message: Message) -> Arrived[Any] | None:
        try:
            return lane.take(head_of(message), message.value() or b"", message.offset() or 0)
        except ValueError as unreadable:
            raise SourceFailed(
                f"offset {message.offset()} of partition {message.partition()} of {self._topic}: {unreadable}"
            ) from None


def extents_of(bootstrap: str, start: Start, partitions: Iterable[int], topic: str = "") -> dict[int, Offsets]:
    """Return which offsets of ``events.raw`` a start can be given, by partition; one without any record is left out.

    SourceFailed where Kafka does not say, or where the first record is of a build whose rows this one cannot read.
    What lies in between is not read: a gap shows when a run comes to it.
    """
    found = {}
    for partition in partitions:
        with closing(_Log(bootstrap, topic or TOPICS[start], partition, _LEAST_QUEUE_BYTES)) as log:
            extent = log.extent(_KINDS[start])
        if extent is not None:
            found[partition] = extent
    return found


class _Log:
    """One partition of a topic of batches."""

    def __init__(self, bootstrap: str, topic: str, partition: int, queue_bytes: int) -> None:
        self._topic, self._partition = topic, partition
        self._consumer: Consumer | None = Consumer(_config(bootstrap, queue_bytes))

    def close(self) -> None:
        """Let go of the consumer. Twice is once."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close()

    def missing(self, first: int, next_: int) -> SourceFailed:
        """Return the sentence that a range is not there."""
        return SourceFailed(
            f"{self._topic} does not hold offsets {first} to {next_ - 1} of partition {self._partition}: plan another "
            "range, or start at an earlier stage"
        )

    def extent(self, kind: type[Any]) -> Offsets | None:
        """Return the first and next offset of ``events.raw`` that the records cover, None where there is none."""
        low, high = self._ends()
        if low == high:
            return None
        last = [head for message in self.records(max(low, high - _LAST_RECORDS), high) if (head := head_of(message))]
        if not last:
            return None
        for message in self.records(low, high):
            head = head_of(message)
            if head is not None and head.stream == last[-1].stream:
                self._check_layout(message, kind)
                return Offsets(head.span.first, max(one.span.next for one in last if one.stream == head.stream))
        return None

    def _check_layout(self, message: Message, kind: type[Any]) -> None:
        try:
            layout = layout_in(message.value() or b"")
        except ValueError as error:
            raise SourceFailed(f"{self._topic} cannot be read: {error}") from None
        if layout != layout_of(kind):
            raise SourceFailed(
                f"{self._topic} holds rows of another build, whose layout this one cannot read: start at an earlier "
                "stage"
            )

    def find(self, offset: int) -> tuple[int, bytes]:
        """Return which record holds an offset of ``events.raw``, or follows it, and of which stream it is."""
        low, high = self._ends()
        newest = self._head(high - 1) if low < high else None
        if newest is None:
            raise self.missing(offset, offset + 1)
        first, last = low, high - 1  # the record lies in first..last, if anywhere
        while first < last:
            middle = (first + last) // 2
            head = self._head(middle)
            if head is not None and head.stream == newest.stream and head.span.next > offset:
                last = middle
            else:
                first = middle + 1
        return first, newest.stream

    def _head(self, position: int) -> Head | None:
        message = next(self.records(position), None)
        return None if message is None else head_of(message)

    def records(self, position: int, end: int | None = None) -> Iterator[Message]:
        """Yield records from a position on, up to the end that the log has when it is reached."""
        consumer = self._consumer
        if consumer is None:
            return
        consumer.assign([TopicPartition(self._topic, self._partition, position)])
        heard = time.monotonic()
        while end is None or position < end:
            for message in consumer.consume(1, 0.05):
                heard, error = time.monotonic(), message.error()
                if error is None:
                    position = (message.offset() or 0) + 1
                    yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    return
                else:
                    self._heed(error)
            if time.monotonic() - heard > _SILENCE_SECONDS:
                raise SourceFailed(f"Kafka gave no record of {self._topic} for {_SILENCE_SECONDS:g} s")

    def _heed(self, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET or not (error.retriable() or _passes(error)):
            raise SourceFailed(f"Kafka does not give partition {self._partition} of {self._topic}: {error.str()}")

    def _ends(self) -> tuple[int, int]:
        if self._consumer is None:
            return 0, 0
        try:
            return watermarks(self._consumer, self._topic, self._partition, _SECONDS)
        except KafkaException as error:
            place = f"partition {self._partition} of {self._topic}"
            raise SourceFailed(f"Kafka does not say what {place} holds: {error.args[0].str()}") from error


def _passes(error: KafkaError) -> bool:
    return error.code() in (KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT)


def _offsets(batch: RawBatch) -> Any:
    return batch.origin.offset


def _as_polled_at_once(batch: RawBatch) -> RawBatch:
    """Return rows without the times of the processes that made them: a replay has no clock of its own."""
    appended = batch.origin.appended_at
    micros = np.repeat(appended[:, None] * 1000, len(batch.ledger.marks), axis=1)
    origin = replace(batch.origin, polled_at=appended.copy())
    return replace(batch, origin=origin, ledger=replace(batch.ledger, micros=micros))


def _config(bootstrap: str, queue_bytes: int) -> dict[str, Any]:
    return {
        "bootstrap.servers": bootstrap,
        "group.id": _GROUP,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "fetch.wait.max.ms": 50,
        "fetch.error.backoff.ms": 100,
        "reconnect.backoff.max.ms": 1_000,
        "queued.max.messages.kbytes": queue_bytes // 1024,
        "fetch.max.bytes": queue_bytes,
        "message.max.bytes": 1 << 20,
        "max.partition.fetch.bytes": max(1 << 20, queue_bytes // 2),
        "log_level": 0,
    }
