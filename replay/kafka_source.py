"""Records of ``events.raw`` as Kafka has them: a consumer for each piece that is open, each with a bounded queue.

A replay merges partitions by time, so one of them may wait for another for long. With one consumer for all, what was
fetched of it would have to be thrown away and fetched again, or held without a bound.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from replay.parts import SourceFailed
from replay.plan import Piece
from schemas.batches import Ledger, Origin, RawBatch

MARKS: Final = ("appended", "polled")  # of the ledger, as the flow's source makes them
_GROUP: Final = "clickgoose-replay"  # the client wants one; nothing is committed
_POLL_SECONDS: Final = 0.05
_MARKS_SECONDS: Final = 5.0
_LEAST_QUEUE_BYTES: Final = 1 << 20
_PASSING: Final = {
    KafkaError._TRANSPORT,
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.OFFSET_NOT_AVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Fetching:
    """How records are fetched. ``queue_bytes``: of all pieces that are open together, ``pieces`` at most."""

    pieces: int = 1
    queue_bytes: int = 128 * 1024**2
    rows: int = 1_024  # of a batch
    silence_seconds: float = 30.0  # after so long without a record, Kafka is told to be away


class KafkaSource:
    """A ``Source`` of sealed events. Offsets that hold no record (compacted, of aborted transactions) are passed over.

    SourceFailed where retention took a record since the plan was made, where the topic was made anew and is shorter
    now, and where Kafka is silent for too long.
    """

    def __init__(self, bootstrap: str, topic: str, fetching: Fetching = Fetching()) -> None:
        self._bootstrap, self._topic, self._fetching = bootstrap, topic, fetching
        self._open: set[Consumer] = set()

    def read(self, piece: Piece, first: int, /) -> Iterator[RawBatch]:
        """Yield the records of a piece from an offset on. It is fetched from now on, before the first is asked for."""
        at = max(first, piece.first)
        if at >= piece.next:
            return iter(())
        consumer = Consumer(self._config())
        self._open.add(consumer)
        consumer.assign([TopicPartition(self._topic, piece.partition, at)])
        return self._read(consumer, piece, at)

    def _read(self, consumer: Consumer, piece: Piece, at: int) -> Iterator[RawBatch]:
        try:
            yield from self._batches(consumer, piece, at)
        finally:
            if consumer in self._open:  # else the source was closed
                self._open.discard(consumer)
                consumer.close()

    def close(self) -> None:
        """Let go of all consumers."""
        while self._open:
            self._open.pop().close()

    def _batches(self, consumer: Consumer, piece: Piece, at: int) -> Iterator[RawBatch]:
        heard = time.monotonic()
        while at < piece.next:
            messages = consumer.consume(min(self._fetching.rows, piece.next - at), _POLL_SECONDS)
            found: list[Message] = []
            for message in messages:
                offset, error = message.offset() or 0, message.error()
                if error is None:
                    at = offset + 1
                    if offset < piece.next:
                        found.append(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    at = max(at, self._end(consumer, piece, offset))
                else:
                    self._heed(error, piece, at)
            if any(message.error() is None for message in messages):
                heard = time.monotonic()
            elif time.monotonic() - heard > self._fetching.silence_seconds:
                raise SourceFailed(
                    f"Kafka gave no record of partition {piece.partition} from offset {at} on for "
                    f"{self._fetching.silence_seconds:g} s, and the plan ends at {piece.next}"
                )
            if found:
                yield _batch(self._topic, piece.partition, found)

    def _end(self, consumer: Consumer, piece: Piece, end: int) -> int:
        """Return up to where the log can be read; what is below it and was not given holds no record."""
        if end >= piece.next:
            return end
        marks = self._marks(consumer, piece.partition)
        if marks is not None and marks[1] < piece.next:
            raise SourceFailed(
                f"partition {piece.partition} of {self._topic} ends at {marks[1]} and the plan at {piece.next}: the "
                "topic was made anew; plan again"
            )
        return end

    def _marks(self, consumer: Consumer, partition: int) -> tuple[int, int] | None:
        try:
            return consumer.get_watermark_offsets(TopicPartition(self._topic, partition), timeout=_MARKS_SECONDS)
        except KafkaException:
            return None  # whoever is away is told by his silence

    def _heed(self, error: KafkaError, piece: Piece, at: int) -> None:
        if error.code() in (KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE):
            raise SourceFailed(
                f"Kafka no longer has offset {at} of partition {piece.partition}: retention took it since the plan was "
                "made; plan again"
            )
        if error.code() not in _PASSING and not error.retriable():
            raise SourceFailed(f"Kafka does not give partition {piece.partition} of {self._topic}: {error.str()}")

    def _config(self) -> dict[str, Any]:
        each = max(_LEAST_QUEUE_BYTES, self._fetching.queue_bytes // max(1, self._fetching.pieces))
        return {
            "bootstrap.servers": self._bootstrap,
            "group.id": _GROUP,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",
            "enable.partition.eof": True,
            "fetch.wait.max.ms": 50,
            "fetch.error.backoff.ms": 100,
            "reconnect.backoff.max.ms": 1_000,
            # What waits: the queue, and one answer that may lie beyond its bound.
            "queued.max.messages.kbytes": each // 1024,
            "queued.min.messages": 100_000,
            "fetch.max.bytes": max(each // 2, 1 << 20),
            "message.max.bytes": 1 << 20,
            "max.partition.fetch.bytes": each // 2,
            "log_level": 0,
        }


def raw_batch(topic: str, partition: int, offsets: Any, appended: Any, values: Sequence[bytes]) -> RawBatch:
    """Return records of a partition as a replay gives them: polled when they were appended, in the ledger too."""
    at = np.ascontiguousarray(appended, np.int64)
    origin = Origin(
        topic=topic,
        partition=np.full(len(at), partition, np.int32),
        offset=np.ascontiguousarray(offsets, np.int64),
        appended_at=at,
        polled_at=at.copy(),
    )
    return RawBatch(origin, tuple(values), Ledger(MARKS, np.repeat(at[:, None] * 1000, len(MARKS), axis=1)))


def first_record_at(bootstrap: str, piece: Piece, topic: str) -> int | None:
    """Return the append time (ms) of a piece's first record, None where it holds none."""
    with closing(KafkaSource(bootstrap, topic, Fetching(queue_bytes=_LEAST_QUEUE_BYTES, rows=1))) as source:
        batch = next(iter(source.read(piece, piece.first)), None)
        return None if batch is None else int(batch.origin.appended_at[0])


def _batch(topic: str, partition: int, messages: Sequence[Message]) -> RawBatch:
    rows = len(messages)
    offsets = np.fromiter((message.offset() for message in messages), np.int64, rows)
    appended = np.fromiter((message.timestamp()[1] for message in messages), np.int64, rows)
    return raw_batch(topic, partition, offsets, appended, [message.value() or b"" for message in messages])


def unreadable(error: KafkaException) -> str:
    """Return what Kafka said, for a sentence."""
    return str(error.args[0].str() if error.args and isinstance(error.args[0], KafkaError) else error)
