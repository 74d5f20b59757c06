"""Where a partition ends is asked until Kafka can say, for a bounded time; what cannot change is said at once."""

from __future__ import annotations

from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from flows.sources import watermarks as module
from flows.sources.watermarks import PASSING, watermarks


class Says:
    """A consumer that is told what to answer; the last answer stays."""

    def __init__(self, *answers: int | tuple[int, int] | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def get_watermark_offsets(self, place: TopicPartition, timeout: float) -> tuple[int, int] | None:
        assert timeout > 0
        self.asked.append((place.topic, place.partition))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            raise KafkaException(KafkaError(answer))
        return answer


def ask(says: Says, seconds: float = 5.0) -> tuple[int, int]:
    return watermarks(cast("Any", says), "events.raw", 3, seconds)


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAUSE_SECONDS", 0.0)


def test_the_first_and_the_next_offset_are_returned() -> None:
    says = Says((7, 12))
    assert ask(says) == (7, 12)
    assert says.asked == [("events.raw", 3)]


@pytest.mark.parametrize("passing", sorted(PASSING))
def test_kafka_is_asked_again_while_it_cannot_tell_yet(passing: int) -> None:
    says = Says(passing, None, passing, (0, 5))
    assert ask(says) == (0, 5)
    assert len(says.asked) == 4


@pytest.mark.parametrize("answer", [KafkaError._UNKNOWN_PARTITION, None])
def test_it_is_not_asked_for_ever(answer: int | None) -> None:
    with pytest.raises(KafkaException):
        ask(Says(answer), 0.05)


def test_a_refusal_is_told_at_once() -> None:
    says = Says(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(KafkaException, match="authorization"):
        ask(says)
    assert len(says.asked) == 1


def test_a_consumer_of_a_broker_that_is_away_gives_up_in_time() -> None:
    consumer = Consumer({"bootstrap.servers": "127.0.0.1:9", "group.id": "unit", "log_level": 0})
    try:
        with pytest.raises(KafkaException):
            watermarks(consumer, "events.raw", 0, 0.2)
    finally:
        consumer.close()
