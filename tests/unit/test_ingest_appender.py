"""Records on their way to Kafka: one outcome each, whatever librdkafka says, and however late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import KafkaError

from ingest_api.appender import Delivered, KafkaAppender
from ingest_api.checks import Record
from tests.waiting import soon

Report = Callable[[KafkaError | None, Any], None]


class Kafka:
    """Stands for librdkafka's producer: takes up to ``room`` records, and reports what the test says."""

    made: list[Kafka]
    room = 100

    def __init__(self, conf: dict[str, Any]) -> None:
        self.conf = conf
        self.queued: list[Report] = []
        self.reports: list[tuple[Report, KafkaError | None]] = []
        self.polls = 0
        self.closed = False
        self.made.append(self)

    def produce(self, topic: str, value: bytes, key: bytes, on_delivery: Report) -> None:
        """Take a record."""
        if len(self) >= self.room:
            raise BufferError("Local: Queue full")
        self.queued.append(on_delivery)

    def tell(self, *errors: KafkaError | None) -> None:
        """Have the oldest records reported at the next poll."""
        told, self.queued = self.queued[: len(errors)], self.queued[len(errors) :]
        self.reports += zip(told, errors, strict=True)

    def poll(self, seconds: float) -> int:
        """Report."""
        assert seconds == 0, "the event loop may not wait"
        self.polls += 1
        told, self.reports = self.reports, []
        for report, error in told:
            report(error, None)
        return len(told)

    def purge(self, in_queue: bool, in_flight: bool) -> None:
        """Give up on everything."""
        self.tell(*[KafkaError(KafkaError._PURGE_QUEUE)] * len(self.queued))

    def close(self) -> bool:
        """Note it."""
        self.closed = True
        return True

    def __len__(self) -> int:
        return len(self.queued) + len(self.reports)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Kafka]:
    """The producers that were made."""
    monkeypatch.setattr(Kafka, "made", [], raising=False)
    monkeypatch.setattr("ingest_api.appender.Producer", Kafka)
    return Kafka.made


def records(count: int) -> list[Record]:
    return [Record(b"device", b"%d" % number) for number in range(count)]


def appender() -> Any:
    return KafkaAppender("127.0.0.1:9", "events.raw", 1_000)


async def test_each_record_has_the_outcome_that_was_reported_for_it(made: list[Kafka]) -> None:
    asked = asyncio.create_task(appender().append(records(4)))
    await soon(lambda: made[0].queued)
    made[0].tell(None, KafkaError(KafkaError._MSG_TIMED_OUT), KafkaError(KafkaError.MSG_SIZE_TOO_LARGE))
    await soon(lambda: not made[0].reports)
    assert not asked.done()
    made[0].tell(None)
    assert await asked == [Delivered.YES, Delivered.NOT_NOW, Delivered.NEVER, Delivered.YES]


async def test_calls_that_overlap_get_their_own_outcomes(made: list[Kafka]) -> None:
    one = appender()
    first, second = (asyncio.create_task(one.append(records(2))) for _ in range(2))
    await soon(lambda: len(made[0].queued) == 4)
    made[0].tell(None, None, KafkaError(KafkaError._MSG_TIMED_OUT), None)
    assert await first == [Delivered.YES, Delivered.YES]
    assert await second == [Delivered.NOT_NOW, Delivered.YES]


async def test_a_lone_record_goes_at_once_and_what_comes_meanwhile_as_the_next_flight(
    made: list[Kafka], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest_api.appender._LONGEST_HOLD", 3_600.0)
    one = appender()
    first = asyncio.create_task(one.append(records(2)))
    await soon(lambda: len(made[0].queued) == 2)
    later = [asyncio.create_task(one.append(records(count))) for count in (1, 3)]
    made[0].tell(None)
    seen = made[0].polls
    await soon(lambda: made[0].polls > seen + 2)
    assert len(made[0].queued) == 1, "a record of the first flight is not reported yet"
    made[0].tell(None)
    assert await first == [Delivered.YES] * 2
    await soon(lambda: len(made[0].queued) == 4)
    made[0].tell(None, KafkaError(KafkaError._MSG_TIMED_OUT), None, None)
    assert await asyncio.gather(*later) == [[Delivered.YES], [Delivered.NOT_NOW, Delivered.YES, Delivered.YES]]


async def test_a_flight_that_is_not_answered_holds_up_what_follows_for_a_bounded_time(made: list[Kafka]) -> None:
    one = appender()
    stuck = asyncio.create_task(one.append(records(1)))
    await soon(lambda: made[0].queued)
    following = asyncio.create_task(one.append(records(1)))
    await soon(lambda: len(made[0].queued) == 2)
    made[0].tell(None, None)
    assert await stuck == await following == [Delivered.YES]


async def test_a_close_hands_over_what_is_held(made: list[Kafka], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest_api.appender._LONGEST_HOLD", 3_600.0)
    one = appender()
    asked = [asyncio.create_task(one.append(records(1)))]
    await soon(lambda: made[0].queued)
    asked.append(asyncio.create_task(one.append(records(1))))
    await asyncio.sleep(0)
    closing = asyncio.create_task(one.close())
    await soon(lambda: len(made[0].queued) == 2)
    made[0].tell(None, None)
    await closing
    assert await asyncio.gather(*asked) == [[Delivered.YES]] * 2


async def test_a_bug_with_the_records_of_one_call_is_raised_there_and_the_others_go_on(
    made: list[Kafka], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, taken = appender(), Kafka.produce

    def produce(self: Kafka, topic: str, value: bytes, key: bytes, on_delivery: Report) -> None:
        if key == b"strange":
            raise TypeError("a bug of a test")
        taken(self, topic, value, key, on_delivery)

    monkeypatch.setattr(Kafka, "produce", produce)
    strange = asyncio.create_task(one.append([Record(b"strange", b"0")]))
    good = asyncio.create_task(one.append(records(1)))
    with pytest.raises(TypeError, match="a bug of a test"):
        await strange
    made[0].tell(None)
    assert await good == [Delivered.YES]


async def test_what_follows_a_record_that_found_no_room_waits_as_well(
    made: list[Kafka], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kafka, "room", 2)
    one = appender()
    asked = asyncio.create_task(one.append(records(4)))
    await soon(lambda: made[0].queued)
    made[0].tell(None, None)
    assert await asked == [Delivered.YES, Delivered.YES, Delivered.NOT_NOW, Delivered.NOT_NOW]
    monkeypatch.setattr(Kafka, "room", 0)
    assert await one.append(records(2)) == [Delivered.NOT_NOW] * 2


async def test_what_is_queued_at_a_fatal_error_fails_and_a_new_producer_takes_what_follows(made: list[Kafka]) -> None:
    one = appender()
    lost = asyncio.create_task(one.append(records(2)))
    await soon(lambda: made[0].queued)
    made[0].conf["error_cb"](KafkaError(KafkaError._FATAL, fatal=True))
    assert await lost == [Delivered.NOT_NOW] * 2
    kept = asyncio.create_task(one.append(records(1)))
    await soon(lambda: len(made) == 2 and made[1].queued)
    made[1].tell(None)
    assert await kept == [Delivered.YES]
    await soon(lambda: made[0].closed)
    assert not made[1].closed


async def test_a_bug_in_a_report_does_not_end_the_others(made: list[Kafka]) -> None:
    one, said = appender(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context["exception"]))
    asked = asyncio.create_task(one.append(records(1)))
    await soon(lambda: made[0].queued)

    def broken(error: KafkaError | None, message: Any) -> None:
        raise ValueError("a bug of a test")

    made[0].reports.append((broken, None))
    await soon(lambda: said)
    made[0].tell(None)
    assert await asked == [Delivered.YES]
    assert [str(one) for one in said] == ["a bug of a test"]


async def test_errors_are_heard_of_while_nothing_is_sent(made: list[Kafka]) -> None:
    one = appender()
    one.start()
    await soon(lambda: made[0].polls >= 2)
    one._on_error(KafkaError(KafkaError._FATAL, fatal=True))
    await soon(lambda: len(made) == 2)
    await one.close()


async def test_a_close_waits_for_what_is_queued_and_ends_the_looking(made: list[Kafka]) -> None:
    one = appender()
    asked = asyncio.create_task(one.append(records(1)))
    await soon(lambda: made[0].queued)
    closing = asyncio.create_task(one.close())
    await asyncio.sleep(0.01)
    assert not closing.done()
    made[0].tell(None)
    await closing
    assert await asked == [Delivered.YES]
    await asyncio.sleep(0)
    seen = made[0].polls
    await asyncio.sleep(0.3)
    assert made[0].polls == seen
