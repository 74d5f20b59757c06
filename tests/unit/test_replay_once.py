"""Records of a replay are appended once, also where Kafka's word on them was lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from flows.parcel import Span
from flows.sinks.destination import DestinationError
from flows.sinks.kafka import Record
from replay import outputs_once
from replay.outputs_once import Name, OnceAppender, Tail, name_of

TOPIC = "events.scored.june"
LOST = KafkaError(KafkaError._MSG_TIMED_OUT)


class Topic:
    """Holds what is produced; ``words_lost``: it holds records of which the producer hears nothing good."""

    def __init__(self) -> None:
        self.held: list[bytes] = []
        self.words_lost = False

    def producer(self, _: dict[str, Any]) -> Topic:
        return self

    def produce(self, topic: str, value: bytes, *_: object, headers: object, on_delivery: Callable[..., None]) -> None:
        assert topic == TOPIC
        self.held.append(value)
        on_delivery(LOST if self.words_lost else None, None)

    def poll(self, _: float) -> None:
        """Nothing waits."""

    def flush(self, _: float) -> int:
        """Nothing waits."""
        return 0

    def purge(self) -> None:
        """Nothing waits."""

    def beyond(self, _: str, marks: dict[str, dict[str, int]]) -> set[Name]:
        names = [name_of(TOPIC, value, ()) for value in self.held[marks[TOPIC].get("0", 0) :]]
        return {name for name in names if name is not None}

    def ends(self, *_: object) -> dict[str, dict[str, int]]:
        return {TOPIC: {"0": len(self.held)}}


def record(offset: int) -> Record:
    return Record(TOPIC, b"", b'{"origin":{"partition":0,"offset":%d}}' % offset, [])


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    made = Topic()
    monkeypatch.setattr(outputs_once, "read_tail", made.beyond)
    monkeypatch.setattr(outputs_once, "_ends", made.ends)
    return made


@pytest.mark.parametrize("checkpoint", [False, True])
def test_records_that_kafka_holds_although_it_did_not_say_so_are_not_appended_again(
    topic: Topic, checkpoint: bool
) -> None:
    """Rows are noted as written when they are queued, which is before they are appended."""
    tail = Tail("", (TOPIC,))
    tail.resume({})
    appender = OnceAppender({}, topic.producer, tail)
    if checkpoint:
        tail.wrote([Span(0, 0, 2)])
        appender.append([record(0), record(1)])
        tail.marks()
    tail.wrote([Span(0, 2, 6)])
    topic.words_lost = True
    with pytest.raises(DestinationError):
        appender.append([record(2), record(3)])
    topic.words_lost = False
    appender.append([record(2), record(3)])
    appender.append([record(4), record(5)])
    assert topic.held == [record(offset).value for offset in range(0 if checkpoint else 2, 6)]


def test_a_resumed_run_appends_what_the_topic_does_not_hold_beyond_the_checkpoint(topic: Topic) -> None:
    tail = Tail("", (TOPIC,))
    tail.resume({})
    appender = OnceAppender({}, topic.producer, tail)
    appender.append([record(0), record(1)])
    tail.wrote([Span(0, 0, 2)])
    marks = tail.marks()
    appender.append([record(2)])  # and then it was killed

    again = Tail("", (TOPIC,))
    again.resume(marks)
    resumed = OnceAppender({}, topic.producer, again)
    again.wrote([Span(0, 2, 4)])
    resumed.append([record(2), record(3)])
    assert topic.held == [record(offset).value for offset in range(4)]
    assert again.marks()[TOPIC] == {"0": 4}
