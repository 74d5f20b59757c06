"""Redrive by hand on real Kafka, ClickHouse and Valkey: what is sent where, what is left out, what the audit says."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Message, TopicPartition

from flows.redis_trip import connect
from flows.redrive import redrive_group
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.destination import DestinationError
from flows.sinks.kafka import Appender, KafkaBackup, Record, producer_config
from flows.sinks.letters import Undelivered
from flows.sinks.redis_results import RedisResults
from flows.sinks.tables import letter_columns
from infra import letter_redrive
from infra.dead_letters import DeadLetters, DeadLettersError, Filter
from infra.letter_redrive import Limits, Topics, plan_redrive
from infra.letter_redrive_journal import Journal
from infra.letter_redrive_run import CHANGED, OTHER_LAYOUT, Outcome, Pace, Redrive
from infra.letter_redrive_settle import settle
from infra.letter_redrive_sinks import SENT_BEFORE, SinkRedrive
from infra.letter_repairs import Applied, Repair, let_stand, write_repairs
from infra.letter_states import Move, history_of, move
from infra.topic_reader import TopicReader
from schemas.dead_letter import DeadLetter, Reason
from schemas.letter_state import LetterAddress, LetterState
from schemas.redriven import is_redriven, unwrap_redriven
from schemas.result import result_key
from schemas.told import told_of
from tests.builders import related
from tests.migrated import migrate
from tests.scored_parcels import encoded_parcel
from tests.stack_fixture import Namespace
from tests.wire import digest, header, record

pytestmark = pytest.mark.stack
NOW = int(time.time() * 1000)
DAY = 86_400_000
TOLD = told_of(related([{}]), 0)
PACE = Pace(1e6, time.monotonic, lambda _: None)


class Place:
    """Topics, a database and a home of a test's own."""

    def __init__(self, namespace: Namespace, home: Path) -> None:
        self.namespace, self.home = namespace, home
        migrate(namespace.clickhouse_url)
        self.raw = namespace.topic("raw", partitions=2)
        self.topics = Topics(raw=self.raw, decided=f"{namespace.prefix}.decided")
        self.store = DeadLetters(namespace.clickhouse_url)
        self.appender = Appender(producer_config(namespace.stack.bootstrap))

    def letter(self, row: int, reason: Reason = Reason.BUG, stage: str = "enrich", **changes: Any) -> DeadLetter:
        made = DeadLetter(
            reason=reason, stage=stage, detail="why", topic=self.raw, partition=0, offset=row, received_at=NOW,
            first_failed_at=NOW + row, payload=record(row), payload_format="envelope", payload_sha256=f"{row:064x}",
            event_id=digest("event", row)[:16].hex(), merchant="shop-1", told=TOLD,
        )  # fmt: skip
        return replace(made, **changes)

    def write(self, letters: Sequence[DeadLetter], fixed: bool = True) -> None:
        there = ClickHouse(self.namespace.clickhouse_url)
        there.insert({"dead_letters": letter_columns(letters)})
        there.close()
        if fixed:
            move(self.store, Filter(), Move(LetterState.FIXED, "ann", "mended"))

    def plan(self, **changes: Any) -> letter_redrive.RedrivePlan:
        return plan_redrive(self.store, Filter(), replace(Limits(NOW, DAY), **changes), self.topics)

    def begin(self) -> Journal:
        journal = Journal.begin("ann", "after the fix", NOW, self.plan().letters)
        journal.write(self.home)
        return journal

    def run(self, journal: Journal, appender: Any = None) -> Outcome:
        again = Journal.read(self.home, journal.command)
        return Redrive(self.store, appender or self.appender, again, PACE, self.topics).run()

    def sent(self) -> list[Message]:
        found: list[Message] = []
        reader = TopicReader(self.namespace.stack.bootstrap, self.raw)
        reader.read(found.extend)
        reader.close()
        return found

    def changes(self, row: int, stage: str = "enrich") -> list[tuple[str, str, str, int]]:
        address = LetterAddress(self.raw, 0, row, stage)
        return [
            (one.before.value, one.after.value, one.note, one.attempts) for _, one in history_of(self.store, address)
        ]


@pytest.fixture
def place(namespace: Namespace, tmp_path: Path) -> Any:
    made = Place(namespace, tmp_path)
    yield made
    made.store.__exit__()
    made.appender.close()


def test_what_is_left_out_is_counted_with_its_reason(place: Place) -> None:
    item = encoded_parcel(1)
    there = ClickHouse(place.namespace.clickhouse_url)
    there.write([item])
    there.close()
    (scored,) = item.results
    place.write(
        [
            place.letter(1),
            place.letter(2, event_id=scored.event_id, merchant=scored.merchant),
            place.letter(3, Reason.EMAIL, "verify_mask", payload=b"{}", payload_format="redacted", told=b""),
            place.letter(4, attempts=5),
            place.letter(5, Reason.UNKNOWN_KEY, "decode", received_at=NOW - 2 * DAY, told=b""),
            place.letter(6, received_at=NOW - 2 * DAY),  # it was counted: no event is too late then
            place.letter(7, topic="events.elsewhere"),
        ]
    )
    place.write([place.letter(8)], fixed=False)
    plan = place.plan()
    assert [one.address.offset for one in plan.letters] == [1, 6]
    assert dict(plan.destinations) == {place.raw: 2}
    assert {why.partition(":")[0]: count for why, count in plan.left_out.items()} == {
        "it is new": 1,
        letter_redrive.SCORED_ALREADY: 1,
        letter_redrive.REDACTED: 1,
        letter_redrive.TRIED_OUT: 1,
        letter_redrive.TOO_OLD.partition(":")[0]: 1,
        letter_redrive.ELSEWHERE: 1,
    }
    assert 5 in [one.address.offset for one in place.plan(late=True).letters]
    assert [one.address.offset for one in place.plan(letters=1).letters] == [1]
    assert place.plan(letters=1).more
    assert place.sent() == []


def test_events_go_back_under_their_device_with_what_they_were_told(place: Place) -> None:
    place.write([place.letter(1, attempts=2), place.letter(2, Reason.UNKNOWN_KEY, "decode", told=b"")])
    assert place.run(place.begin()) == Outcome(sent=2)
    found = {unwrap_redriven(message.value() or b""): message.key() for message in place.sent()}
    assert {(one.attempt, one.told, one.record): key for one, key in found.items()} == {
        (2, TOLD, record(1)): header(1).device_id,
        (1, b"", record(2)): header(2).device_id,
    }
    assert place.changes(1) == [("new", "fixed", "mended", 2), ("fixed", "redriven", "after the fix", 3)]
    assert place.plan().letters == []


def test_a_repaired_payload_goes_in_place_of_the_one_that_failed(place: Place) -> None:
    letters = [place.letter(row) for row in (1, 2)]
    place.write(letters, fixed=False)
    applied = Applied(uuid4(), "bob", "f" * 64)
    mended = [record(1, {"page.title": "mended"}), record(99)]  # the second one is another event now
    addresses = [LetterAddress(place.raw, 0, row, "enrich") for row in (1, 2)]
    repairs = [Repair(address, payload, False, 1) for address, payload in zip(addresses, mended, strict=True)]
    write_repairs(place.store, applied, repairs)
    let_stand(place.store, applied, "by a recovery file")
    assert place.run(place.begin()).sent == 2
    found = [unwrap_redriven(message.value() or b"") for message in place.sent()]
    assert {one.record: one.told for one in found} == {mended[0]: TOLD, mended[1]: b""}


class Dies:
    """An appender whose process dies after a block is sent: nothing is recorded of it."""

    def __init__(self, appender: Appender) -> None:
        self._appender = appender

    def append(self, records: Sequence[Record], /) -> list[int]:
        self._appender.append(records)
        raise KeyboardInterrupt


def test_a_block_that_was_sent_and_not_recorded_is_sent_again_as_the_same_attempt(place: Place) -> None:
    place.write([place.letter(row) for row in range(5)])
    journal = place.begin()
    with pytest.raises(KeyboardInterrupt):
        place.run(journal, Dies(place.appender))
    assert len(place.sent()) == 5
    assert place.run(journal) == Outcome(sent=5)
    assert place.run(journal) == Outcome(before=5)
    values = [message.value() or b"" for message in place.sent()]
    assert len(values) == 10
    assert len(set(values)) == 5
    assert all(map(is_redriven, values))


class Away:
    """Kafka, when it is away."""

    def append(self, records: Sequence[Record], /) -> list[int]:
        raise DestinationError("Kafka: _MSG_TIMED_OUT")


def test_nothing_is_recorded_while_kafka_is_away(place: Place) -> None:
    place.write([place.letter(1)])
    journal = place.begin()
    with pytest.raises(DestinationError):
        place.run(journal, Away())
    assert [after for _, after, *_ in place.changes(1)] == ["fixed"]
    assert place.run(journal).sent == 1


def test_what_changed_meanwhile_or_cannot_be_read_is_not_sent(place: Place) -> None:
    place.write([place.letter(1), place.letter(2, told=TOLD[:-1])])
    journal = place.begin()
    here = Filter(addresses=(LetterAddress(place.raw, 0, 1, "enrich"),))
    move(place.store, here, Move(LetterState.NEW, "bob", "not mended"))
    assert place.run(journal) == Outcome(left={CHANGED: 1, OTHER_LAYOUT: 1})
    assert place.sent() == []


def test_redriven_letters_are_resolved_by_the_score_or_the_newer_letter_of_their_event(place: Place) -> None:
    item = encoded_parcel(1)
    (scored,) = item.results
    place.write([place.letter(1, event_id=scored.event_id, merchant=scored.merchant), place.letter(2), place.letter(3)])
    journal = place.begin()
    place.run(journal)
    there = ClickHouse(place.namespace.clickhouse_url)
    there.write([item])
    there.close()
    place.write([replace(place.letter(2), offset=70, attempts=2)], fixed=False)
    found = settle(place.store, journal)
    assert (found.scored, found.failed_again, found.waiting) == (1, 1, 1)
    assert place.changes(1)[-1][2].startswith(f"scored {scored.score:.2f}, {scored.decision}, by ")
    assert place.changes(2)[-1][1:3] == ("resolved", f"failed again: {place.raw}/0/70/enrich")
    again = settle(place.store, journal)
    assert (again.scored, again.failed_again, again.waiting) == (0, 0, 1)


def test_an_unknown_command_has_no_journal(place: Place) -> None:
    for command in (str(uuid4()), "../../secrets"):
        with pytest.raises(DeadLettersError):
            Journal.read(place.home, command)


def test_rows_for_a_sink_go_to_that_sink_alone_and_once(place: Place) -> None:
    stack, namespace = place.namespace.stack, place.namespace
    backup, item = namespace.topic("backup"), encoded_parcel(2)
    client = connect(stack.redis_url)
    keys = [result_key(result.merchant, result.event_id) for result in item.results]
    client.delete(*keys)
    results = RedisResults(client, 60)
    KafkaBackup(place.appender, backup).append(
        [
            *results.letters([item], "Redis: ConnectionError"),
            *Undelivered(Reason.SINK_KAFKA, "scored", "too large", "scored").scored(item, item.records),
        ]
    )
    wanted = Filter(reasons=("sink.redis",))

    def redrive(redis: RedisResults | None = None) -> SinkRedrive:
        made = SinkRedrive(place.store, stack.bootstrap, wanted, "ann", "it took too long", 1e6, topic=backup)
        made.destinations = {Reason.SINK_REDIS: redis} if redis else {}
        made.run()
        return made

    waiting = redrive()  # the flow's own redrive comes first
    assert (dict(waiting.sent), sum(waiting.left.values())) == ({}, 2)
    _commit_all(stack.bootstrap, backup)
    assert dict(redrive().sent) == {"sink.redis": 2}
    assert client.exists(*keys) == 0
    assert dict(redrive(redis=results).sent) == {"sink.redis": 2}
    assert [client.get(key) for key in keys] == list(item.records)
    again = redrive(redis=results)
    assert (dict(again.sent), dict(again.left)) == ({}, {SENT_BEFORE: 2})
    client.delete(*keys)
    results.close()


def _commit_all(bootstrap: str, topic: str) -> None:
    """Say that the flow has dealt with all letters: those that are left, it left."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": redrive_group("redis", topic)})
    end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=60)[1]
    consumer.commit(offsets=[TopicPartition(topic, 0, end)], asynchronous=False)
    consumer.close()
