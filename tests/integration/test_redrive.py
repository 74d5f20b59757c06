"""Redrive by itself on real Kafka, Valkey and ClickHouse: everything arrives, once, whoever is killed or away."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import pytest

from flows.redis_trip import connect
from flows.redrive import RedriveParts, Redriver, redrive_group
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.destination import Redrivable
from flows.sinks.encoded import EncodedParcel
from flows.sinks.kafka import Appender, KafkaBackup, producer_config
from flows.sinks.redelivery import RedrivePolicy
from flows.sinks.redis_results import RedisResults
from infra.stack.local import LocalStack
from infra.topic_reader import committed_offsets
from schemas.dead_letter import DeadLetter, Reason
from schemas.result import result_key
from tests.faults.slow import Relay
from tests.integration.test_sinks_delivery import own
from tests.migrated import migrate
from tests.scored_parcels import encoded_parcel
from tests.stack_fixture import Namespace
from tests.waiting import PATIENCE

pytestmark = pytest.mark.stack
POLICY = RedrivePolicy(
    rows_per_second=5_000,
    attempts=2,
    backoff_seconds=0.05,
    probe_seconds=0.1,
    measure_seconds=0.2,
    close_seconds=20,
)


@dataclass
class Told:
    """What a redriver told of itself."""

    written: int = 0
    left: int = 0
    waiting: list[int] = field(default_factory=list)
    oldest: list[float] = field(default_factory=list)

    def on_redrive(self, sink: str, written: int, left: int) -> None:
        self.written += written
        self.left += left

    def on_backup(self, sink: str, waiting: int, oldest_seconds: float) -> None:
        self.waiting.append(waiting)
        self.oldest.append(oldest_seconds)


class Place:
    """A backup topic, a ClickHouse database and Redis keys of a test's own."""

    def __init__(self, stack: LocalStack, namespace: Namespace) -> None:
        self.stack, self.namespace, self.merchant = stack, namespace, namespace.prefix
        self.topic = namespace.topic("dead", partitions=2)
        migrate(namespace.clickhouse_url)
        self.backup = KafkaBackup(Appender(producer_config(stack.bootstrap)), self.topic)
        self.told = Told()
        self.running: list[Redriver] = []

    def clickhouse(self, port: int | None = None) -> ClickHouse:
        """Return the destination, which waits long for the server itself, and shortly through a relay at ``port``."""
        url = self.namespace.clickhouse_url
        if port is None:
            return ClickHouse(url, connect_seconds=PATIENCE, answer_seconds=PATIENCE)
        return ClickHouse(url.replace(f":{urlsplit(url).port}/", f":{port}/"), connect_seconds=0.5, answer_seconds=2.0)

    def redis(self) -> RedisResults:
        return RedisResults(connect(self.stack.redis_url), 600)

    def parcel(self, rows: int, first: int = 0, dead: int = 0) -> EncodedParcel:
        return own(encoded_parcel(rows, first=first, dead=dead), self.merchant)

    def redrive(self, make: Callable[[], Redrivable], reason: Reason = Reason.SINK_CLICKHOUSE) -> Redriver:
        parts = RedriveParts(make, reason, POLICY, self.told, lambda: None, time.monotonic, time.time_ns)
        redriver = Redriver(self.stack.bootstrap, parts, self.topic)
        self.running.append(redriver)
        redriver.start()
        return redriver

    def rows(self, table: str = "events") -> tuple[int, int]:
        """Return how many distinct rows a table shows, and how many rows."""
        queries = {
            "events": "SELECT uniqExact(event_id), count() FROM events FINAL",
            "dead_letters": "SELECT uniqExact(partition, offset), count() FROM dead_letters FINAL",
        }
        ((distinct, rows),) = self.namespace.clickhouse().execute(queries[table])
        return distinct, rows

    def has_written(self, rows: int) -> bool:
        return self.told.written == rows

    def committed(self, sink: str) -> int:
        return sum(committed_offsets(self.stack.bootstrap, redrive_group(sink, self.topic), self.topic).values())

    def until(self, true: Callable[[], bool], seconds: float = 120.0) -> None:
        ends = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < ends, f"it did not happen in time: {self.told}"
            time.sleep(0.05)


@pytest.fixture
def place(stack: LocalStack, namespace: Namespace) -> Iterator[Place]:
    made = Place(stack, namespace)
    yield made
    for redriver in made.running:
        redriver.join()
    made.backup.close()


def test_rows_go_back_to_their_own_destination_once_and_their_letters_are_committed(place: Place) -> None:
    item = place.parcel(300, dead=20)
    clickhouse, redis = place.clickhouse(), place.redis()
    clickhouse.write([place.parcel(100)])  # held before the connection broke: the first rows stand
    place.backup.append([*clickhouse.letters([item], "away"), *redis.letters([item], "away"), *item.parcel.errs])
    place.redrive(place.clickhouse)
    place.redrive(place.redis, Reason.SINK_REDIS)
    place.until(lambda: place.told.written == 640)
    assert (place.rows(), place.rows("dead_letters")) == ((300, 300), (20, 20))
    client = place.namespace.redis()
    keys = [result_key(place.merchant, result.event_id) for result in item.results]
    assert client.mget(keys) == list(item.records)
    place.until(lambda: place.committed("clickhouse") == place.committed("redis") == 660)
    place.until(lambda: 0 in place.told.waiting)
    assert place.told.left == 0


def test_redrive_waits_while_the_destination_is_away_or_silent_and_goes_on_when_it_is_back(place: Place) -> None:
    item = place.parcel(50)
    place.backup.append(place.clickhouse().letters([item], "away"))
    with Relay(urlsplit(place.stack.clickhouse_url).port or 0) as relay:
        relay.hold_seconds = 3_600.0
        place.redrive(lambda: place.clickhouse(relay.port))
        place.until(lambda: bool(place.told.waiting) and place.told.waiting[-1] == 50)
        assert place.told.oldest[-1] > 0
        assert (place.told.written, place.committed("clickhouse"), place.rows()) == (0, 0, (0, 0))
        relay.hold_seconds = 0.0
        place.until(lambda: place.told.written == 50)
    assert place.rows() == (50, 50)


def test_a_letter_that_is_refused_alone_stays_in_the_backup_and_the_rest_arrives(place: Place) -> None:
    letters = place.clickhouse().letters([place.parcel(30)], "away")
    poison = replace(letters[7], payload=b"\x81\xa6events\x81\xa5score\x92\xa3<f4\xa1x")
    place.backup.append([*letters[:7], poison, *letters[8:]])
    place.redrive(place.clickhouse)
    place.until(lambda: place.told.written == 29)
    for first in range(100, 500, 100):  # as others go on, it is tried again, and then no more
        place.backup.append(place.clickhouse().letters([place.parcel(1, first)], "away"))
        place.until(functools.partial(place.has_written, 29 + first // 100))
    place.until(lambda: place.told.left == 1)
    place.until(lambda: place.committed("clickhouse") == 34)
    assert place.rows() == (33, 33)


def test_a_record_that_is_no_letter_is_passed_over(place: Place) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": place.stack.bootstrap})
    producer.produce(place.topic, b"{", headers=[("clickgoose.reason", b"sink.clickhouse")], partition=0)
    producer.produce(place.topic, b"no headers", partition=1)
    assert producer.flush(PATIENCE) == 0
    place.backup.append(place.clickhouse().letters([place.parcel(5)], "away"))
    place.redrive(place.clickhouse)
    place.until(lambda: (place.told.written, place.told.left) == (5, 1))


def test_two_processes_share_the_backup_and_one_that_ends_hands_its_part_over(place: Place) -> None:
    class Killed(ClickHouse):
        """Writes a part, and then is killed before anything is committed."""

        def rewrite(self, letters: Sequence[DeadLetter]) -> None:
            super().rewrite(letters)
            if letters:
                raise RuntimeError("killed after the write")

    items = [place.parcel(200, first) for first in (0, 200, 400)]
    for item in items:
        place.backup.append(place.clickhouse().letters([item], "away"))
    first = place.redrive(lambda: Killed(place.namespace.clickhouse_url))
    place.until(lambda: place.rows()[0] > 0)
    first.stop()
    assert place.committed("clickhouse") == 0
    first.join()
    place.redrive(place.clickhouse)
    place.redrive(place.clickhouse)
    place.until(lambda: place.rows() == (600, 600))
    place.until(lambda: place.committed("clickhouse") == 600)
    began = time.monotonic()
    for redriver in place.running:
        redriver.join()
    assert time.monotonic() - began < 30
