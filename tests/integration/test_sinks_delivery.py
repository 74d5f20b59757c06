"""The sinks on real Kafka, Valkey and ClickHouse: idempotence, refusals, the way to the backup, and the account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from flows.progress import Progress
from flows.redis_trip import connect
from flows.redrive import redrive_group
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.destination import DestinationError
from flows.sinks.encoded import EncodedParcel
from flows.sinks.kafka import (
    Appender,
    KafkaBackup,
    KafkaDeadLetters,
    KafkaScored,
    OutputTopics,
    Record,
    producer_config,
)
from flows.sinks.redis_results import RedisResults
from flows.sinks.writer import Writer, WriterPolicy
from flows.sinks.written import seen_signals
from infra.account import Account, read_account, read_start, wait_settled
from infra.settings import Settings
from infra.stack.local import LocalStack
from schemas.dead_letter import Reason, decode_dead_letter
from schemas.envelope import Attested, wrap
from schemas.result import decode_rejected, decode_result, result_key, session_key
from schemas.sealed import SEALED_MIN_BYTES, Header
from schemas.stored_results import unpacked
from tests.migrated import migrate
from tests.scored_parcels import DENIED_BY_RULE_FROM, encoded_parcel
from tests.stack_fixture import Namespace, forget_letters
from tests.waiting import PATIENCE, SECONDS

pytestmark = pytest.mark.stack
POLICY = WriterPolicy(
    block_rows=50, attempts=2, backoff_seconds=0.01, probe_seconds=60, close_seconds=PATIENCE, give_up_seconds=PATIENCE
)
SINKS = ("clickhouse", "redis", "scored", "dead_letter")


def read_all(stack: LocalStack, topic: str, start: dict[int, int] | None = None) -> list[Any]:
    consumer = Consumer({"bootstrap.servers": stack.bootstrap, "group.id": "t", "auto.offset.reset": "earliest"})
    try:
        partitions = consumer.list_topics(topic, timeout=PATIENCE).topics[topic].partitions
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=PATIENCE)[1] for p in partitions}
        due = sum(end - (start or {}).get(p, 0) for p, end in ends.items())
        consumer.assign([TopicPartition(topic, p, (start or {}).get(p, 0)) for p in partitions])
        found: list[Any] = []
        while len(found) < due:
            found += consumer.consume(1000, 0.2)
        return found
    finally:
        consumer.close()


@pytest.fixture
def appender(stack: LocalStack) -> Iterator[Appender]:
    made = Appender(producer_config(stack.bootstrap))
    yield made
    made.close()


@pytest.fixture
def topics(namespace: Namespace) -> OutputTopics:
    """The names of this test's own topics, in place of the real ones."""
    return OutputTopics(namespace.topic("scored"), namespace.topic("alerts"), namespace.topic("dead"))


def test_results_are_appended_in_order_and_alerts_only_where_not_allowed(
    stack: LocalStack, appender: Appender, topics: OutputTopics
) -> None:
    item = encoded_parcel(30)
    KafkaScored(appender, KafkaBackup(appender, topics.dead_letter), topics).write([item])
    scored = read_all(stack, topics.scored)
    assert [message.value() for message in scored] == list(item.records)
    assert [message.key().hex() for message in scored] == [result.device_id for result in item.results]
    assert dict(scored[0].headers()) == {
        "clickgoose.merchant": b"demo",
        "clickgoose.decision": item.results[0].decision.encode(),
    }
    alerts = [decode_result(message.value()) for message in read_all(stack, topics.alerts)]
    assert alerts == [result for result in item.results if result.decision != "allow"]


def test_dead_letters_are_appended_with_key_and_headers(
    stack: LocalStack, appender: Appender, topics: OutputTopics
) -> None:
    item = encoded_parcel(1, dead=2)
    KafkaDeadLetters(KafkaBackup(appender, topics.dead_letter)).write([item])
    found = read_all(stack, topics.dead_letter)
    assert [decode_dead_letter(message.value()) for message in found] == list(item.parcel.errs)
    assert [message.key().decode() for message in found] == [letter.event_id for letter in item.parcel.errs]
    assert dict(found[0].headers())["clickgoose.reason"] == b"normalize.out_of_range"


def test_a_record_that_kafka_refuses_for_good_goes_to_the_dead_letters_and_the_rest_goes_on(
    stack: LocalStack, namespace: Namespace, appender: Appender, topics: OutputTopics
) -> None:
    small = namespace.topic("small", **{"max.message.bytes": "200"})
    item = encoded_parcel(3)
    backup = KafkaBackup(appender, topics.dead_letter)
    KafkaScored(appender, backup, topics._replace(scored=small)).write([item])
    letters = [decode_dead_letter(message.value()) for message in read_all(stack, topics.dead_letter)]
    assert [(letter.reason, letter.offset) for letter in letters] == [(Reason.SINK_KAFKA, row) for row in range(3)]
    assert [letter.payload for letter in letters] == list(item.records)


def test_a_kafka_that_is_away_is_a_destination_error() -> None:
    away = Appender(producer_config("127.0.0.1:1", delivery_seconds=0.5))
    with pytest.raises(DestinationError, match="Kafka: _"):
        away.append([Record("nowhere", b"k", b"v", [])])
    away.close()


@pytest.fixture(params=(False, True), ids=("json", "packed"))
def results(stack: LocalStack, request: pytest.FixtureRequest) -> Iterator[RedisResults]:
    made = RedisResults(connect(stack.redis_url, PATIENCE), 600, packed=request.param)
    yield made
    made.close()


def own(item: EncodedParcel, merchant: str) -> EncodedParcel:
    """Return the parcel under another merchant, so that tests do not share keys."""
    from dataclasses import replace

    from schemas.result import encode_result

    found = tuple(encode_result(decode_result(r)).replace(b'"demo"', f'"{merchant}"'.encode()) for r in item.records)
    errs = tuple(replace(letter, merchant=merchant) for letter in item.parcel.errs)
    return EncodedParcel(replace(item.parcel, errs=errs), tuple(map(decode_result, found)), found)


def test_a_result_is_stored_with_its_time_to_live_and_the_first_one_stands(
    namespace: Namespace, results: RedisResults
) -> None:
    client, merchant = namespace.redis(), namespace.prefix
    item = own(encoded_parcel(3), merchant)
    results.write([item])
    keys = [result_key(merchant, result.event_id) for result in item.results]
    assert list(map(unpacked, client.mget(keys))) == list(item.records)
    assert 590 < client.ttl(keys[0]) <= 600
    other = EncodedParcel(item.parcel, item.results, tuple(b"other" for _ in item.records))
    results.write([other])
    assert list(map(unpacked, client.mget(keys))) == list(item.records)


def test_a_dead_event_is_answered_and_a_later_result_replaces_that(namespace: Namespace, results: RedisResults) -> None:
    client, merchant = namespace.redis(), namespace.prefix
    dead = own(encoded_parcel(0, dead=1), merchant)
    results.write([dead])
    event_id = dead.parcel.errs[0].event_id or ""
    key = result_key(merchant, event_id)
    rejected = decode_rejected(client.get(key))
    assert rejected is not None and rejected.reason == "normalize.out_of_range"
    alive = own(encoded_parcel(1), merchant)
    assert alive.results[0].event_id == event_id
    results.write([alive])
    assert unpacked(client.get(key)) == alive.records[0]
    results.write([dead])
    assert unpacked(client.get(key)) == alive.records[0]


def test_a_session_summary_is_the_same_whatever_is_written_again_and_in_whatever_order(
    namespace: Namespace, results: RedisResults
) -> None:
    client, merchant = namespace.redis(decode_responses=True), namespace.prefix
    parts = [own(encoded_parcel(4, first=first, session=7), merchant) for first in (0, 4, 8)]
    key = session_key(merchant, parts[0].results[0].session_id)
    wanted: dict[str, str] = {}
    for order in ((0, 1, 2), (2, 1, 0), (1, 1, 0, 2, 0)):
        client.delete(key)
        for at in order:
            results.write([parts[at]])
        found = {name: value for name, value in client.hgetall(key).items() if not name.startswith("e:")}
        wanted = wanted or found
        assert found == wanted
    last = max((r for part in parts for r in part.results), key=lambda r: (r.occurred_at, r.origin.offset))
    assert (wanted["events"], wanted["last_event"]) == ("12", last.event_id)
    assert float(wanted["max_score"]) == max(r.score for part in parts for r in part.results)
    assert (float(wanted["last_score"]), wanted["last_decision"]) == (last.score, last.decision)
    assert wanted["standing"] == last.standing
    assert wanted["last_signals"] == seen_signals(last).decode()
    assert client.ttl(key) > 0


def test_what_stands_of_a_session_is_what_the_policy_alone_decided(namespace: Namespace, results: RedisResults) -> None:
    item = own(encoded_parcel(DENIED_BY_RULE_FROM + 1, session=7), namespace.prefix)
    results.write([item])
    last = item.results[-1]
    key = session_key(last.merchant, last.session_id)
    assert namespace.redis().hmget(key, "last_decision", "standing") == [b"deny", b"review"]


def test_redis_letters_are_written_later_as_the_same_answers(namespace: Namespace, results: RedisResults) -> None:
    client, merchant = namespace.redis(), namespace.prefix
    item = own(encoded_parcel(2, dead=1), merchant)
    letters = results.letters([item], "Redis: ConnectionError")
    assert {letter.reason for letter in letters} == {Reason.SINK_REDIS}
    results.rewrite(letters)
    keys = [result_key(merchant, r.event_id) for r in item.results]
    assert list(map(unpacked, client.mget(keys))) == list(item.records)
    assert decode_rejected(client.get(result_key(merchant, item.parcel.errs[0].event_id or ""))) is not None


def test_a_redis_that_is_away_is_a_destination_error() -> None:
    with pytest.raises(DestinationError, match=r"^Redis: ConnectionError$"):
        RedisResults(connect("redis://127.0.0.1:1/0", 0.5), 600).write([encoded_parcel(1)])


class World:
    """All sinks of a flow on the real topics, with a ClickHouse database of the test's own."""

    def __init__(self, stack: LocalStack, namespace: Namespace) -> None:
        self.stack, self.merchant = stack, namespace.prefix
        self.start = read_start(stack.bootstrap)
        self.settings = Settings(
            home=stack.home,
            kafka={"bootstrap": stack.bootstrap},  # type: ignore[arg-type] # pydantic makes the section
            clickhouse={"url": namespace.clickhouse_url},  # type: ignore[arg-type]
            redis={"url": stack.redis_url},  # type: ignore[arg-type]
        )
        self.next = self.start["events.raw"][0]
        self.progress = Progress(SINKS)
        self.progress.begin(0, self.next)

    def append_raw(self, item: EncodedParcel) -> None:
        """Append what the parcel was made from, so that its places are right."""
        producer = Producer({"bootstrap.servers": self.stack.bootstrap})
        for letter_or_result in [*item.results, *item.parcel.errs]:
            producer.produce("events.raw", raw(bytes.fromhex(letter_or_result.event_id or "")), partition=0)
        for _ in range(item.parcel.dropped):
            producer.produce("events.raw", raw(bytes.fromhex(item.results[0].event_id)), partition=0)
        assert producer.flush(PATIENCE) == 0

    def parcel(self, rows: int, dead: int = 0, dropped: int = 0) -> EncodedParcel:
        item = own(encoded_parcel(rows, first=self.next, dead=dead, dropped=dropped), self.merchant)
        self.append_raw(item)
        self.next = item.spans[0].next
        return item

    def deliver(self, items: list[EncodedParcel], clickhouse_url: str | None = None, crash: str = "") -> None:
        """Run all writers over the parcels; ``crash`` names the sink that dies after its write, before its ack."""
        config = producer_config(self.stack.bootstrap)
        backup = KafkaBackup(Appender(config))
        clickhouse = ClickHouse(
            clickhouse_url or str(self.settings.clickhouse.url), connect_seconds=PATIENCE, answer_seconds=PATIENCE
        )
        redis = RedisResults(connect(self.stack.redis_url, PATIENCE), 600)
        writers = [
            Writer(clickhouse, self.progress_of("clickhouse", crash), POLICY, (clickhouse, backup)),
            Writer(redis, self.progress_of("redis", crash), POLICY, (redis, backup)),
            Writer(KafkaScored(Appender(config), backup), self.progress_of("scored", crash), POLICY),
            Writer(KafkaDeadLetters(backup), self.progress_of("dead_letter", crash), POLICY),
        ]
        for item in items:
            for writer in writers:
                writer.put(item)
        for writer in writers:
            if writer.name == crash:
                with pytest.raises(Exception, match=crash):
                    writer.close()
            else:
                writer.close()

    def progress_of(self, sink: str, crash: str) -> Progress:
        return Killed([sink]) if sink == crash else self.progress

    def account(self) -> Account:
        return read_account(self.settings, self.start)


class Killed(Progress):
    """A process that dies between the write and the acknowledgement."""

    def acknowledge(self, sink: str, spans: object) -> None:
        raise RuntimeError(f"killed before {sink} acknowledged")


def raw(event_id: bytes) -> bytes:
    sealed = Header(1, bytes(16), bytes(16), event_id, 0, 0).pack().ljust(SEALED_MIN_BYTES, b"\1")
    return wrap(Attested("m", "t", ""), 1, bytes(16), sealed)


@pytest.fixture
def world(stack: LocalStack, namespace: Namespace) -> Iterator[World]:
    migrate(namespace.clickhouse_url)
    yield World(stack, namespace)
    forget_letters(stack.bootstrap)


def test_the_account_balances_and_says_what_became_of_each_event(world: World) -> None:
    item = world.parcel(40, dead=3, dropped=2)
    world.deliver([item])
    account = wait_settled(world.settings, world.start, PATIENCE, still_seconds=SECONDS)
    assert account.problems == []
    assert (account.accepted, account.scored, account.dead_lettered, account.deduplicated, account.lost) == (
        45, 40, 3, 2, 0,
    )  # fmt: skip
    assert account.dead_by_reason == {"normalize.out_of_range": 3}
    assert (account.clickhouse_scored, account.clickhouse_dead, account.redis_results) == (40, 3, 40)
    assert account.score_histogram == np.histogram([r.score for r in item.results], 10, (0, 100))[0].tolist()
    assert sum(account.decisions.values()) == 40
    assert account.balanced and json.dumps(account.as_dict())


@pytest.mark.parametrize("sink", SINKS)
def test_a_writer_killed_between_write_and_acknowledgement_shows_nothing_twice_after_the_replay(
    world: World, sink: str
) -> None:
    items = [world.parcel(10, dead=1), world.parcel(10, dropped=1)]
    world.deliver(items, crash=sink)
    assert world.progress.watermark(0) == items[0].spans[0].first  # so the flow comes back to the first
    world.deliver(items)
    account = world.account()
    assert (account.problems, account.duplicated_for_users) == ([], 0)
    assert (account.accepted, account.scored, account.dead_lettered, account.deduplicated) == (22, 20, 1, 1)
    assert world.progress.watermark(0) == items[1].spans[0].next


def test_while_clickhouse_refuses_its_rows_wait_in_the_backup_and_everything_else_goes_on(world: World) -> None:
    items = [world.parcel(10, dead=1) for _ in range(3)]
    world.deliver(items, clickhouse_url="clickhouse://127.0.0.1:1/default")
    assert world.progress.watermark(0) == items[-1].spans[0].next
    account = world.account()
    assert account.waiting == {Reason.SINK_CLICKHOUSE: 33}
    assert (account.scored, account.dead_lettered, account.lost, account.redis_results) == (30, 3, 0, 30)
    assert account.clickhouse_scored == 0
    assert account.balanced
    found = [
        decode_dead_letter(message.value())
        for message in read_all(world.stack, "events.dead_letter", world.start["events.dead_letter"])
    ]
    there = ClickHouse(str(world.settings.clickhouse.url))
    there.rewrite([letter for letter in found if letter.reason is Reason.SINK_CLICKHOUSE])
    there.close()
    account = world.account()
    assert (account.clickhouse_scored, account.clickhouse_dead) == (30, 3)
    assert (account.waiting, account.redriven) == ({}, {Reason.SINK_CLICKHOUSE: 33})
    assert (account.problems, account.duplicated_for_users) == ([], 0)


def test_rows_that_redrive_passed_over_are_named(world: World, namespace: Namespace) -> None:
    item = world.parcel(10)
    world.deliver([item], clickhouse_url="clickhouse://127.0.0.1:1/default")
    ends = read_start(world.stack.bootstrap)["events.dead_letter"]
    consumer = Consumer({"bootstrap.servers": world.stack.bootstrap, "group.id": redrive_group("clickhouse")})
    places = [TopicPartition("events.dead_letter", partition, end) for partition, end in ends.items()]
    consumer.commit(offsets=places, asynchronous=False)
    consumer.close()
    account = world.account()
    assert (account.waiting, account.redriven, account.balanced) == ({}, {}, False)
    assert account.problems == ["10 rows that ClickHouse refused stay in the backup: the flow's log says which and why"]


def test_a_lost_event_is_called_lost(world: World) -> None:
    world.deliver([world.parcel(5)])
    world.parcel(2)  # accepted, and then nothing
    account = wait_settled(world.settings, world.start, 3, still_seconds=0.5)
    assert (account.lost, account.balanced) == (2, False)
    assert account.problems == ["2 accepted events are neither scored nor dead-lettered nor deduplicated"]


def test_stores_that_disagree_with_kafka_are_named(world: World, namespace: Namespace) -> None:
    item = world.parcel(5, dead=2)
    world.deliver([item])
    namespace.clickhouse().execute("TRUNCATE TABLE dead_letters")
    namespace.clickhouse().execute("DELETE FROM events WHERE offset = %(o)s", {"o": item.spans[0].first})
    namespace.redis().delete(result_key(world.merchant, item.results[1].event_id))
    assert sorted(world.account().problems) == [
        "ClickHouse lacks 1 scored events",
        "ClickHouse lacks 2 dead letters",
        "Redis has no result for 1 scored events",
    ]


def test_an_event_that_was_confirmed_but_is_not_in_kafka_is_named(world: World, tmp_path: Path) -> None:
    item = world.parcel(3)
    world.deliver([item])
    told = tmp_path / "accepted.hex"
    told.write_text("\n".join(result.event_id for result in item.results), "ascii")
    assert read_account(world.settings, world.start, told).balanced
    with told.open("a") as file:
        file.write("\n" + "ff" * 16 + "\n")
    assert read_account(world.settings, world.start, told).problems == [
        "1 events whose sender was told ok are not in events.raw"
    ]
