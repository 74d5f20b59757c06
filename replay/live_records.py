"""What came to the live topics while a replay ran: none of it may be of a replay."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, Final

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition

from flows.sinks.kafka import OutputTopics
from flows.sources.watermarks import watermarks

Ends = dict[str, dict[int, int]]
"""By topic and partition."""
_RECORDS: Final = 20_000  # of all topics together
_SECONDS: Final = 10.0


class _Result(msgspec.Struct):
    ledger: dict[str, int]


class _Letter(msgspec.Struct):
    first_failed_at: int
    appended_at: int = 0


_RESULT, _LETTER = msgspec.json.Decoder(_Result), msgspec.json.Decoder(_Letter)


def is_of_a_replay(value: bytes) -> bool:
    """Return whether a result, or a dead letter, was made by a replay: no time passed between its stages."""
    try:
        marks = _RESULT.decode(value).ledger
    except (msgspec.MsgspecError, UnicodeDecodeError):
        try:
            letter = _LETTER.decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        return letter.appended_at > 0 and letter.first_failed_at == letter.appended_at
    return len(marks) > 1 and len(set(marks.values())) == 1


class LiveRecords:
    """Reads the live output topics; KafkaException where Kafka does not answer."""

    def __init__(self, bootstrap: str, topics: OutputTopics | None = None) -> None:
        self._bootstrap, self._topics = bootstrap, topics or OutputTopics()

    def take(self) -> Ends:
        """Return where the topics end."""
        with self._consumer() as consumer:
            return self._ends(consumer)

    def compare(self, before: Ends) -> Iterator[tuple[bool, str]]:
        """Yield, of each topic to which something came, whether none of it is of a replay, and a sentence."""
        with self._consumer() as consumer:
            after = self._ends(consumer)
            for topic, ends in before.items():
                came = {number: (ends.get(number, 0), end) for number, end in after.get(topic, {}).items()}
                came = {number: (first, end) for number, (first, end) in came.items() if end > first}
                ours, read = _count(consumer, topic, came)
                total = sum(end - first for first, end in came.values())
                if ours:
                    yield False, f"{ours:,} records of a replay came to the live topic {topic}"
                elif total:
                    yield True, f"{topic}: {total:,} records came meanwhile, none of {read:,} looked at is of a replay"

    def _ends(self, consumer: Consumer) -> Ends:
        topics = consumer.list_topics(timeout=_SECONDS).topics
        return {
            topic: {number: watermarks(consumer, topic, number, _SECONDS)[1] for number in topics[topic].partitions}
            for topic in self._topics
            if topic in topics
        }

    def _consumer(self) -> closing[Any]:
        return closing(
            Consumer({
                "bootstrap.servers": self._bootstrap, "group.id": "clickgoose-replay", "enable.auto.commit": False,
                "auto.offset.reset": "earliest", "log_level": 0,
            })
        )  # fmt: skip


def _count(consumer: Consumer, topic: str, came: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
    """Return how many of a bounded number of records are of a replay, and how many were looked at."""
    ours = read = 0
    for number, (first, end) in came.items():
        consumer.assign([TopicPartition(topic, number, first)])
        for value in _values(consumer, min(end - first, _RECORDS // (len(OutputTopics()) * len(came)))):
            read += 1
            ours += is_of_a_replay(value)
    return ours, read


def _values(consumer: Consumer, left: int) -> Iterator[bytes]:
    gives_up = time.monotonic() + _SECONDS
    while left > 0 and time.monotonic() < gives_up:
        for message in consumer.consume(min(left, 1_000), 0.5):
            if error := message.error():
                raise KafkaException(error)
            gives_up = time.monotonic() + _SECONDS
            left -= 1
            yield message.value() or b""
