"""The appender: it waits until Kafka has said something of every record, and hears of those that Kafka did not take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from flows.sinks.destination import DestinationError
from flows.sinks.kafka import Appender, Record, producer_config

Failed = Callable[[KafkaError | None, object], None]


class Kafka:
    """A client that takes records, and says what becomes of them while it is flushed: ``says`` by the record's value.

    A flush looks at one report at most, as one that runs out of time.
    """

    def __init__(self, says: dict[bytes, KafkaError] | None = None, room: int = 100) -> None:
        self.says = says or {}
        self.room = room
        self.open: list[tuple[bytes, Failed]] = []
        self.held: list[bytes] = []
        self.only_errors = True

    def produce(
        self, topic: str, value: bytes, key: bytes | None, partition: int, *, headers: Any, on_delivery: Failed
    ) -> None:
        if len(self.open) == self.room:
            raise BufferError("queue full")
        if value == b"larger than the client allows":
            raise KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
        self.open.append((value, on_delivery))

    def poll(self, _: float) -> int:
        if not self.open:
            return 0
        value, on_delivery = self.open.pop(0)
        error = self.says.get(value)
        if error is None:
            self.held.append(value)
        if error is not None or not self.only_errors:
            on_delivery(error, None)
        return 1

    def flush(self, seconds: float) -> int:
        self.poll(seconds)
        return len(self.open)


def records(*values: bytes) -> list[Record]:
    return [Record("events.scored", b"key", value, [("name", b"value")]) for value in values]


def appender(*clients: Kafka) -> Appender:
    left = list(clients)
    return Appender({}, lambda _: left.pop(0))  # type: ignore[arg-type, return-value] # what is asked of a client


@pytest.mark.parametrize("only_errors", [True, False])
def test_an_append_returns_once_every_record_was_reported(only_errors: bool) -> None:
    kafka = Kafka()
    kafka.only_errors = only_errors
    assert appender(kafka).append(records(b"a", b"b", b"c")) == []
    assert (kafka.held, kafka.open) == ([b"a", b"b", b"c"], [])


@pytest.mark.parametrize("code", [KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD])
def test_records_that_are_refused_for_good_are_named_and_the_others_are_held(code: int) -> None:
    kafka = Kafka({b"b": KafkaError(code), b"d": KafkaError(code)})
    assert appender(kafka).append(records(b"a", b"b", b"larger than the client allows", b"c", b"d")) == [1, 2, 4]
    assert kafka.held == [b"a", b"c"]


def test_a_record_that_is_not_held_fails_the_append_once_all_were_reported() -> None:
    kafka = Kafka({b"a": KafkaError(KafkaError._MSG_TIMED_OUT)})
    one = appender(kafka)
    with pytest.raises(DestinationError, match="Kafka: _MSG_TIMED_OUT"):
        one.append(records(b"a", b"b"))
    assert (kafka.held, kafka.open) == ([b"b"], [])
    assert one.append(records(b"c")) == []
    assert kafka.held == [b"b", b"c"], "the client is the same"


def test_a_client_that_cannot_go_on_is_replaced() -> None:
    broken, fresh = Kafka({b"a": KafkaError(KafkaError._FATAL, "sequence", True)}), Kafka()
    one = appender(broken, fresh)
    with pytest.raises(DestinationError, match="Kafka: _FATAL"):
        one.append(records(b"a"))
    assert one.append(records(b"a")) == []
    assert fresh.held == [b"a"]


def test_a_full_queue_is_waited_for() -> None:
    kafka = Kafka({b"b": KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)}, room=1)
    assert appender(kafka).append(records(b"a", b"b", b"c")) == [1]
    assert kafka.held == [b"a", b"c"]


def test_the_client_itself_counts_what_is_held_and_tells_of_what_is_not() -> None:
    """With the real client, whose own mock of a broker takes everything, and with an address where nobody is."""
    config = producer_config("127.0.0.1:1", delivery_seconds=0.5)
    with_broker = {name: value for name, value in config.items() if name != "bootstrap.servers"}
    held = Appender(with_broker | {"test.mock.num.brokers": 1, "delivery.timeout.ms": 60_000})
    assert held.append(records(*(b"%d" % number for number in range(500)), bytes(5_000_000))) == [500]
    held.close()
    away = Appender(config)
    with pytest.raises(DestinationError, match="Kafka: _"):
        away.append(records(b"a", b"b"))
    away.close()
