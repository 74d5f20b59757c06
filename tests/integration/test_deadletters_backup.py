"""Rows for sinks that wait in Kafka: counted by their headers against how far each redrive has come, and shown."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace

import msgspec
import pytest
import typer
from confluent_kafka import Consumer, TopicPartition
from typer.testing import CliRunner

from flows.redrive import redrive_group
from flows.sinks.kafka import Appender, KafkaBackup, Record, producer_config
from infra.cli import deadletters
from infra.letter_backup import DEAD_LETTER, Limits, count_backup, find_in_backup
from infra.stack.local import LocalStack
from infra.topic_reader import AccountError
from schemas.dead_letter import DeadLetter, Reason, dead_letter_headers, encode_dead_letter
from schemas.letter_state import LetterAddress
from tests.migrated import migrate
from tests.stack_fixture import Namespace
from tests.wire import CANARY_EMAIL, NOW

pytestmark = pytest.mark.stack
app = typer.Typer()
deadletters.register(app)
WHOLE = Limits(None, 30.0)


def letter(row: int, reason: Reason) -> DeadLetter:
    return DeadLetter(
        reason=reason, stage=reason.value.partition(".")[2], detail="away", topic="events.raw", partition=0, offset=row,
        received_at=NOW + row, first_failed_at=NOW + row, payload=msgspec.json.encode({"transaction": CANARY_EMAIL}),
        payload_format="scored", payload_sha256="0" * 64, event_id=secrets.token_hex(16), merchant="demo",
    )  # fmt: skip


def append(stack: LocalStack, topic: str, letters: list[DeadLetter], partition_of: bytes = b"one") -> None:
    appender = Appender(producer_config(stack.bootstrap))
    records = [Record(topic, partition_of, encode_dead_letter(one), list(dead_letter_headers(one))) for one in letters]
    assert appender.append(records) == []
    appender.close()


def commit(stack: LocalStack, sink: str, topic: str, offset: int) -> None:
    config = {"bootstrap.servers": stack.bootstrap, "group.id": redrive_group(sink, topic), "log_level": 0}
    consumer = Consumer({**config, "enable.auto.commit": False})
    consumer.commit(offsets=[TopicPartition(topic, 0, offset)], asynchronous=False)
    consumer.close()


MIXED = [
    letter(row, reason)
    for row, reason in enumerate(
        (
            Reason.SINK_CLICKHOUSE,
            Reason.BUG,
            Reason.SINK_REDIS,
            Reason.SINK_KAFKA,
            Reason.SINK_CLICKHOUSE,
            Reason.SINK_REDIS,
        )
    )
]


def test_what_waits_is_told_from_what_a_redrive_has_dealt_with(stack: LocalStack, namespace: Namespace) -> None:
    topic = namespace.topic("dead")
    append(stack, topic, MIXED)
    commit(stack, "clickhouse", topic, 3)
    seen: list[tuple[int, int]] = []
    found = count_backup(stack.bootstrap, WHOLE, lambda done, total: seen.append((done, total)), topic)
    assert (found.records, found.looked_at, found.unread, found.unread_open) == (6, 6, 0, 0)
    assert {name: (one.waiting, one.dealt, one.oldest) for name, one in found.sinks.items()} == {
        "sink.clickhouse": (1, 1, NOW + 4),
        "sink.redis": (2, 0, NOW + 2),
        "sink.kafka": (1, 0, NOW + 3),
    }
    assert seen[-1] == (6, 6)


def test_what_was_not_looked_at_is_said(stack: LocalStack, namespace: Namespace) -> None:
    topic = namespace.topic("dead")
    append(stack, topic, MIXED)
    commit(stack, "clickhouse", topic, 6)
    commit(stack, "redis", topic, 1)
    found = count_backup(stack.bootstrap, Limits(2, 30.0), lambda *_: None, topic)
    assert (found.records, found.looked_at, found.unread, found.unread_open) == (6, 2, 4, 3)
    assert {name: (one.waiting, one.dealt) for name, one in found.sinks.items()} == {
        "sink.clickhouse": (0, 1), "sink.redis": (1, 0)
    }  # fmt: skip
    out_of_time = count_backup(stack.bootstrap, Limits(None, -1.0), lambda *_: None, topic)
    assert out_of_time.looked_at + out_of_time.unread == out_of_time.records == 6


def test_an_empty_topic_holds_nothing_and_none_is_one_sentence(stack: LocalStack, namespace: Namespace) -> None:
    found = count_backup(stack.bootstrap, WHOLE, lambda *_: None, namespace.topic("dead"))
    assert (found.records, found.sinks) == (0, {})
    with pytest.raises(AccountError, match="run `clickgoose up`"):
        count_backup(stack.bootstrap, WHOLE, lambda *_: None, f"{namespace.prefix}.none")


def test_a_row_for_a_sink_is_found_by_address_and_by_event(stack: LocalStack, namespace: Namespace) -> None:
    topic = namespace.topic("dead")
    append(stack, topic, [*MIXED, replace(MIXED[2], stage="clickhouse", reason=Reason.SINK_CLICKHOUSE)])
    address = LetterAddress("events.raw", 0, 2)
    assert [one.offset for one in find_in_backup(stack.bootstrap, address, WHOLE, topic)] == [2, 6]
    (found,) = find_in_backup(stack.bootstrap, address._replace(stage="redis"), WHOLE, topic)
    assert found.letter == MIXED[2]
    assert found.headers == tuple((name, value.decode()) for name, value in dead_letter_headers(MIXED[2]))
    assert len(find_in_backup(stack.bootstrap, MIXED[0].event_id or "", WHOLE, topic)) == 1
    assert find_in_backup(stack.bootstrap, "0" * 32, WHOLE, topic) == []


def test_the_commands_count_and_show_what_clickhouse_does_not_have(stack: LocalStack, namespace: Namespace) -> None:
    migrate(namespace.clickhouse_url)
    waits = letter(secrets.randbits(40), Reason.SINK_KAFKA)
    backup = KafkaBackup(Appender(producer_config(stack.bootstrap)))
    backup.append([waits])
    backup.close()
    env = {
        "CLICKGOOSE_HOME": "/nonexistent",
        "CLICKGOOSE_CLICKHOUSE__URL": namespace.clickhouse_url,
        "CLICKGOOSE_KAFKA__BOOTSTRAP": stack.bootstrap,
    }
    counted = CliRunner().invoke(app, ["deadletters", "stats", "--backup", "all", "--json"], env=env)
    found = json.loads(counted.stdout)["backup"]
    assert (found["topic"], found["unread"]) == (DEAD_LETTER, 0)
    assert found["sinks"]["sink.kafka"]["waiting"] >= 1
    said = CliRunner().invoke(app, ["deadletters", "stats"], env=env).stdout
    assert "sink.kafka" in said and "nothing redrives them by itself" in said
    shown = CliRunner().invoke(app, ["deadletters", "show", waits.event_id or "", "--json"], env=env)
    (one,) = json.loads(shown.stdout)["letters"]
    assert one["headers"]["clickgoose.reason"] == "sink.kafka"
    assert one["backup"]["offset"] >= 0
    assert one["payload"]["json"] == {"transaction": "[redacted email]"}
    assert CANARY_EMAIL not in shown.stdout
