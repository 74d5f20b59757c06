"""The Kafka source against a consumer that is given: parcels, errors, gaps, lag."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, KafkaError, KafkaException, TopicPartition
from prometheus_client import CollectorRegistry

from flows.metrics import FlowMetrics
from flows.parcel import Span
from flows.progress import Progress
from flows.sources import raw_events
from flows.sources.fence import TakenOver
from flows.sources.lag import LagMeter
from flows.sources.raw_events import GATHERED_ROWS, IDLE_SECONDS, RawEvents, SourceBroken, SourceConfig, SourceParts
from tests.waiting import SECONDS

NOW_NS = 1_790_000_000_123_456_789


class Message:
    """What a consumer gives: a record or an error."""

    def __init__(self, partition: int | None, offset: int, value: bytes | None = b"x", error: Any = None) -> None:
        self._found = (partition, offset, value, error)

    def partition(self) -> int | None:
        return self._found[0]

    def offset(self) -> int:
        return self._found[1]

    def value(self) -> bytes | None:
        return self._found[2]

    def error(self) -> Any:
        return self._found[3]

    def timestamp(self) -> tuple[int, int]:
        return (1, 1_000 + self._found[1])


class FakeConsumer:
    """Answers each poll with the next batch."""

    last: FakeConsumer

    def __init__(self, config: dict[str, Any], logger: logging.Logger) -> None:
        self.config = config
        self.polls: list[Sequence[Message]] = []
        self.waits: list[float] = []
        self.most: list[int] = []
        self.assigned: list[TopicPartition] = []
        self.marks: Any = (0, 50)
        self.refuse = False
        self.closed = False
        FakeConsumer.last = self

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions

    def consume(self, most: int, seconds: float) -> Sequence[Message]:
        self.waits.append(seconds)
        self.most.append(most)
        return self.polls.pop(0) if self.polls else []

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> Any:
        assert timeout > 0
        if self.refuse:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return self.marks

    def close(self) -> None:
        self.closed = True


class World:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> None:
        monkeypatch.setattr(raw_events, "Consumer", FakeConsumer)
        monkeypatch.setattr(raw_events, "LagMeter", functools.partial(LagMeter, seconds=0.01))
        self.registry = CollectorRegistry()
        self.progress = Progress(["sink"])
        self.stopping = False
        self.now = NOW_NS
        self.epochs: list[None] = []
        self.taken: TakenOver | None = None
        resume = {0: None, 2: 40}
        for partition, offset in resume.items():
            self.progress.begin(partition, offset or 0)
        config = SourceConfig("broker:9092", "events.raw", "group", **settings)
        metrics = FlowMetrics(self.registry)
        source = RawEvents(
            config,
            SourceParts(
                resume,
                self.progress,
                metrics,
                lambda: self.now,
                lambda: self.stopping,
                self.check_owned,
                self.end_epoch,
            ),
        )
        assert source.list_parts() == ["raw-events"]
        self.poller = source.build_part("raw_events", "raw-events", None)
        self.consumer = FakeConsumer.last

    def poll(self, *messages: Message) -> list[Any]:
        self.consumer.polls.append(messages)
        return self.poller.next_batch()

    def check_owned(self) -> None:
        if self.taken is not None:
            raise self.taken

    def end_epoch(self) -> None:
        self.epochs.append(None)

    def metric(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def shows(self, name: str, value: float, **labels: str) -> bool:
        """Wait a little for a figure that another thread measures."""
        ends = time.monotonic() + SECONDS
        while self.metric(name, **labels) != value and time.monotonic() < ends:
            time.sleep(0.005)
        return self.metric(name, **labels) == value


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(monkeypatch)
    yield made
    made.poller.close()


def test_each_partition_begins_where_it_resumes_or_at_the_beginning_and_nothing_commits_by_itself(world: World) -> None:
    assert [(one.topic, one.partition, one.offset) for one in world.consumer.assigned] == [
        ("events.raw", 0, OFFSET_BEGINNING),
        ("events.raw", 2, 40),
    ]
    assert world.consumer.config["enable.auto.commit"] is False
    assert world.consumer.config["auto.offset.reset"] == "earliest"


def test_a_poll_gives_one_parcel_with_the_partitions_together_places_and_times(world: World) -> None:
    parcels = world.poll(Message(2, 40, b"a"), Message(0, 0, b"b"), Message(2, 41, None))
    (parcel,) = parcels
    assert parcel.spans == (Span(0, 0, 1), Span(2, 40, 42))
    batch = parcel.batch
    assert batch.values == (b"b", b"a", b"")
    assert batch.origin.topic == "events.raw"
    assert batch.origin.partition.tolist() == [0, 2, 2]
    assert batch.origin.offset.tolist() == [0, 40, 41]
    assert batch.origin.appended_at.tolist() == [1_000, 1_040, 1_041]
    assert batch.origin.polled_at.tolist() == [NOW_NS // 1_000_000] * 3
    assert batch.ledger.marks == ("appended", "polled")
    assert batch.ledger.micros.tolist() == [[at, NOW_NS // 1000] for at in (1_000_000, 1_040_000, 1_041_000)]
    assert parcel.rows_in == 3


def test_a_poll_without_messages_gives_nothing_and_comes_again_at_once(world: World) -> None:
    assert world.poll() == []
    assert world.poller.next_awake() is None


def test_it_ends_when_the_flow_is_stopping(world: World) -> None:
    world.stopping = True
    with pytest.raises(StopIteration):
        world.poller.next_batch()


def test_passing_errors_are_counted_and_messages_beside_them_are_kept(world: World) -> None:
    error = KafkaError(KafkaError._ALL_BROKERS_DOWN)
    (parcel,) = world.poll(Message(None, -1, None, error), Message(2, 40), Message(2, -1, None, error))
    assert parcel.spans == (Span(2, 40, 41),)
    assert world.metric("clickgoose_source_errors_total") == 2


@pytest.mark.parametrize("code", [KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED])
def test_errors_that_waiting_cannot_mend_end_the_source_with_advice(world: World, code: int) -> None:
    with pytest.raises(SourceBroken, match=r"Kafka cannot serve events\.raw: .*; run `clickgoose doctor`"):
        world.poll(Message(None, -1, None, KafkaError(code)))


def test_offsets_that_retention_took_are_said_aloud(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "clickgoose.flow"):
        world.poll(Message(2, 45))
        world.poll(Message(2, 46))
    assert [line.getMessage() for line in caplog.records] == [
        "offsets 40 to 44 are no longer in Kafka: retention passed them before the flow read them"
    ]


def test_lag_is_measured_while_nothing_is_polled_and_no_epoch_ends(world: World) -> None:
    world.poll(Message(2, 40), Message(2, 41))
    lag, unacknowledged = "clickgoose_source_lag_events", "clickgoose_unacknowledged_events"
    assert world.shows(lag, 8, partition="2") and world.shows(lag, 50, partition="0")
    assert world.shows(unacknowledged, 2, partition="2")
    world.consumer.marks = (48, 1_000)  # the flow is held back; retention goes on
    world.progress.acknowledge("sink", [Span(2, 40, 41)])
    assert world.shows(lag, 952, partition="2") and world.shows(unacknowledged, 1, partition="2")


def test_lag_keeps_its_last_figure_while_kafka_does_not_answer(world: World) -> None:
    assert world.shows("clickgoose_source_lag_events", 10, partition="2")
    world.consumer.refuse = True
    world.consumer.marks = (0, 1_000)
    time.sleep(0.05)
    assert world.metric("clickgoose_source_lag_events", partition="2") == 10


def test_it_reads_nothing_more_once_another_flow_has_a_partition(world: World) -> None:
    world.taken = TakenOver("another flow took over")
    with pytest.raises(TakenOver):
        world.poll(Message(2, 40))
    assert world.consumer.waits == []


def test_closing_lets_go_of_the_consumer(world: World) -> None:
    world.poller.close()
    assert world.consumer.closed


def a_parcel_of(rows: int, first: int) -> list[Message]:
    return [Message(2, first + row) for row in range(rows)]


def test_events_that_lie_ready_are_one_parcel_and_asked_for_once_without_a_wait(world: World) -> None:
    (parcel,) = world.poll(Message(2, 40), Message(0, 7), Message(2, 41))
    assert parcel.spans == (Span(0, 7, 8), Span(2, 40, 42))
    assert world.consumer.waits == [0.0]


def test_where_nothing_lies_ready_one_event_is_waited_for_and_what_came_with_it_joins_it(world: World) -> None:
    world.consumer.polls = [(), (Message(2, 40),), (Message(2, 41), Message(0, 7))]
    (parcel,) = world.poller.next_batch()
    assert parcel.spans == (Span(0, 7, 8), Span(2, 40, 42))
    assert world.consumer.waits == [0.0, IDLE_SECONDS, 0.0]
    assert world.consumer.most == [512, 1, 511]


def test_nothing_is_waited_for_while_parcels_are_small_however_long_they_take(world: World) -> None:
    for first in range(3):
        world.poll(*a_parcel_of(GATHERED_ROWS - 1, 100 * first))
        world.now += 500_000_000
    assert world.consumer.waits == [0.0] * 3


def test_after_a_large_parcel_events_are_gathered_as_long_as_it_took_within_bounds(world: World) -> None:
    for number, took_ms in enumerate((1, 500, 0)):
        world.poll(*a_parcel_of(GATHERED_ROWS, 100 * number))
        world.now += took_ms * 1_000_000
    world.poll(Message(2, 400))
    world.poll(Message(2, 401))
    assert world.consumer.waits == [0.0, 0.001, 0.002, 0.0, 0.0]


def test_after_a_pause_nothing_is_gathered_though_the_parcel_before_was_large(world: World) -> None:
    world.poll(*a_parcel_of(GATHERED_ROWS, 0))
    world.now += 1_000_000
    assert world.poll() == []
    world.poll(Message(2, 100))
    assert world.consumer.waits == [0.0, 0.001, IDLE_SECONDS, 0.0]


def test_a_wait_that_is_asked_for_is_kept_however_small_parcels_are(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, wait_seconds=0.001)
    try:
        world.poll(Message(2, 40))
        world.now += 500_000_000
        world.poll(Message(2, 41))
        assert world.consumer.waits == [0.001, 0.001]
    finally:
        world.poller.close()


def test_where_parcels_have_one_event_no_more_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, max_events=1)
    try:
        world.consumer.polls = [(), (Message(2, 40),)]
        (parcel,) = world.poller.next_batch()
        assert parcel.spans == (Span(2, 40, 41),)
        assert world.consumer.most == [1, 1]
    finally:
        world.poller.close()


def test_the_end_of_an_epoch_is_the_time_to_checkpoint(world: World) -> None:
    world.poller.snapshot()
    assert world.epochs == [None]


def test_an_error_alone_makes_no_parcel(world: World) -> None:
    assert world.poll(Message(2, -1, None, KafkaError(KafkaError._TRANSPORT))) == []
