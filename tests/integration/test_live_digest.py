"""What is live is compared before and after a replay: its own traces are told from what the live flow does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Producer

from enrichers.present import present
from flows.parcel import Parcel, Span
from flows.redis_trip import connect
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.encoded import EncodedParcel, encoder
from flows.sinks.kafka import OutputTopics
from flows.sinks.redis_results import RedisResults
from infra.stack.local import LocalStack
from replay.live_digest import Compared, LiveDigest, LiveStores, Taken
from replay.live_records import LiveRecords
from replay.plan import Piece, Plan, Start
from schemas.batches import Ledger
from schemas.dead_letter import encode_dead_letter
from schemas.result import result_key, session_key
from tests.migrated import migrate
from tests.scored_parcels import BUILD, explain, letters_of, scored_batch
from tests.stack_fixture import Namespace

pytestmark = pytest.mark.stack
ROWS, DEAD = 40, 4


class Live:
    """A live database and live keys with rows of a range, and the digest of them."""

    def __init__(self, stack: LocalStack, namespace: Namespace) -> None:
        migrate(namespace.clickhouse_url)
        self.namespace, self.clickhouse, self.redis = namespace, namespace.clickhouse(), namespace.redis()
        self.topic = f"{namespace.prefix}.raw"
        self.tables = ClickHouse(namespace.clickhouse_url)
        self.results = RedisResults(connect(stack.redis_url), 600)
        self.now = 1_000_000.0
        stores = LiveStores("", stack.redis_url, namespace.clickhouse_url)
        plan = Plan("june", self.topic, Start.SEALED, (), (Piece(0, 0, 1_000),))
        self.digest = LiveDigest(stores, plan, lambda: self.now)

    def parcel(self, first: int = 0, *, replayed: bool = False) -> EncodedParcel:
        """Return what a live flow, or a replay, writes."""
        whole = scored_batch(ROWS + DEAD, first=first)
        rows, origin = len(whole), replace(whole.origin, topic=self.topic)
        marks = np.repeat(origin.appended_at[:, None] * 1_000, 5, axis=1)
        spread = 0 if replayed else np.arange(1, 6) * 1_500
        batch = replace(
            whole,
            origin=replace(origin, polled_at=origin.appended_at + (0 if replayed else 7)),
            event=replace(whole.event, merchant=(self.namespace.prefix,) * rows),
            ledger=Ledger(("appended", "polled", "decode", "score", "decide"), marks + spread),
        )
        errs = letters_of(batch, list(range(ROWS, rows)))
        parcel = Parcel((Span(0, first, first + rows),), batch.take(np.arange(ROWS)), rows, errs)
        return encoder(explain, present, BUILD)(parcel)

    def write(self, item: EncodedParcel) -> None:
        self.tables.write([item])
        self.results.write([item])

    def after(self, before: Taken) -> Compared:
        return self.digest.compared(before)


@pytest.fixture
def live(stack: LocalStack, namespace: Namespace) -> Live:
    made = Live(stack, namespace)
    made.write(made.parcel())
    return made


def test_what_nobody_touches_is_unchanged_and_the_digest_is_of_all_rows(live: Live) -> None:
    before = live.digest.take()
    assert (before.tables["events"][0], before.tables["dead_letters"][0], before.unknown) == (ROWS, DEAD, [])
    assert len(before.events) == ROWS and len(before.keys) > ROWS
    found = live.after(before)
    assert found.unchanged is True
    assert f"events: {ROWS} live rows of the range are as they were" in found.sentences
    assert live.after(live.digest.take()).digest == found.digest


def test_rows_that_are_written_again_by_the_live_flow_change_nothing(live: Live) -> None:
    before = live.digest.take()
    live.write(live.parcel())
    live.clickhouse.execute("OPTIMIZE TABLE events FINAL")
    assert live.after(before).unchanged is True


def test_what_the_live_flow_adds_is_told_apart(live: Live) -> None:
    before = live.digest.take()
    live.write(live.parcel(first=100))
    found = live.after(before)
    assert found.unchanged is True
    assert f"events: {ROWS} rows of the range were written by the live flow meanwhile" in found.sentences


@pytest.mark.parametrize("first", [0, 100])
def test_rows_of_a_replay_in_the_live_tables_are_found(live: Live, first: int) -> None:
    before = live.digest.take()
    live.tables.write([live.parcel(first=first, replayed=True)])
    found = live.after(before)
    assert found.unchanged is False
    assert found.sentences[:2] == (
        f"{ROWS} rows of a replay came to the live table events",
        f"{DEAD} rows of a replay came to the live table dead_letters",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE events DELETE WHERE offset = 3 SETTINGS mutations_sync = 1",
        "ALTER TABLE events UPDATE score = score + 1 WHERE offset = 3 SETTINGS mutations_sync = 1",
        "ALTER TABLE dead_letters DELETE WHERE offset = 41 SETTINGS mutations_sync = 1",
    ],
)
def test_a_live_row_that_is_changed_or_gone_is_found(live: Live, statement: str) -> None:
    before = live.digest.take()
    live.clickhouse.execute(statement)
    found = live.after(before)
    assert found.unchanged is False and found.sentences[0].startswith("rows of the live table ")


def test_live_keys_that_are_changed_or_deleted_are_found_and_those_that_expired_told_apart(live: Live) -> None:
    item = live.parcel()
    keys = [result_key(one.merchant, one.event_id) for one in item.results[:3]]
    before = live.digest.take()
    live.redis.set(keys[0], live.parcel(replayed=True).records[0], keepttl=True)
    assert live.after(before).sentences[0] == "1 live results in Redis changed"
    live.redis.set(keys[0], item.records[0], keepttl=True)
    live.redis.delete(keys[1])
    assert live.after(before).unchanged is False
    live.now += 700  # its time to live was 600 s: now it may have expired
    found = live.after(before)
    assert found.unchanged is True and any("1 expired" in sentence for sentence in found.sentences)


def test_a_live_session_that_is_changed_is_found_and_one_that_goes_on_is_not(live: Live) -> None:
    before = live.digest.take()
    one = live.parcel().results[0]
    key = session_key(one.merchant, one.session_id)
    live.redis.hincrby(key, "events", 1)
    assert live.after(before).unchanged is True
    live.redis.hincrby(key, "events", -1)
    live.redis.hset(key, "last_score", "99")
    assert live.after(before).sentences[0] == "1 live summaries of sessions in Redis changed"


def test_records_of_a_replay_in_live_topics_are_found(live: Live, stack: LocalStack) -> None:
    topics = OutputTopics(*(live.namespace.topic(name) for name in ("scored", "alerts", "dead")))
    records = LiveRecords(stack.bootstrap, topics)
    producer = Producer({"bootstrap.servers": stack.bootstrap})

    def send(item: EncodedParcel) -> None:
        for record in item.records:
            producer.produce(topics.scored, record)
        for letter in item.parcel.errs:
            producer.produce(topics.dead_letter, encode_dead_letter(letter))
        assert producer.flush(30) == 0

    send(live.parcel(replayed=True))  # before: not looked at
    before = records.take()
    assert list(records.compare(before)) == []
    send(live.parcel())
    assert [good for good, _ in records.compare(before)] == [True, True]
    send(live.parcel(replayed=True))
    assert [said for good, said in records.compare(before) if not good] == [
        f"{ROWS} records of a replay came to the live topic {topics.scored}",
        f"{DEAD} records of a replay came to the live topic {topics.dead_letter}",
    ]


def test_a_store_that_does_not_answer_is_said_and_is_no_proof(live: Live) -> None:
    before = live.digest.take()
    plan: Any = Plan("june", live.topic, Start.SEALED, (), (Piece(0, 0, 1_000),))
    away = LiveDigest(LiveStores("", "redis://127.0.0.1:1/0", live.namespace.clickhouse_url), plan)
    found = away.compared(before)
    assert found.unchanged is None and "what is live in Redis is not known" in found.sentences[0]
