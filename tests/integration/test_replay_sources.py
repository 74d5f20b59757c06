"""What a replay reads: records in Kafka, past its retention the same from the archive, and the plan that says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import typer
from clickhouse_driver import Client
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from flows.sinks.clickhouse import ClickHouse
from flows.sinks.tables import Table, letter_columns, objects
from infra.cli import replay
from infra.dead_letters import Filter
from infra.replay_plan import Asked, Planned, planned
from infra.settings import ClickHouseSettings, KafkaSettings, Settings
from infra.stack.local import LocalStack
from replay.archive_source import ArchiveSource, EitherSource, Reading, archive_client
from replay.kafka_source import Fetching, KafkaSource
from replay.parts import Source, SourceFailed
from replay.plan import Piece, Start, Store
from replay.ranges import Offsets, PlanRefused, Refusal
from schemas.batches import RawBatch
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from scoring.rules.in_force import InForce
from tests.migrated import migrate
from tests.stack_fixture import Namespace
from tests.waiting import eventually
from tests.wire import NOW, raw_batch, record

pytestmark = pytest.mark.stack
ROWS, PARTITIONS, KEPT = 300, 2, 180  # Kafka keeps offsets from KEPT on
STEP = 60_000  # ms between records
COPIES, DEAD, REDACTED = range(20, 24), (40, 41, 190), (50, 51, 52)
app = typer.Typer()
replay.register(app)


def at(offset: int) -> int:
    """Return when a record was appended, ms."""
    return NOW + offset * STEP


def value(partition: int, offset: int) -> bytes:
    return record(1000 * partition + offset) + b"\0"


class World:
    """A topic with records, of which a flow has archived what it does not drop."""

    def __init__(self, stack: LocalStack, namespace: Namespace) -> None:
        self.stack, self.namespace = stack, namespace
        self.topic = namespace.topic("raw", PARTITIONS, **{"retention.ms": "-1"})  # the records are old ones
        producer = Producer({"bootstrap.servers": stack.bootstrap, "enable.idempotence": True})
        for partition in range(PARTITIONS):
            for offset in range(ROWS):
                producer.produce(self.topic, value(partition, offset), partition=partition, timestamp=at(offset))
        assert producer.flush(30) == 0
        migrate(namespace.clickhouse_url)
        self.settings = Settings(
            home=stack.home,
            kafka=KafkaSettings(bootstrap=stack.bootstrap),
            clickhouse=ClickHouseSettings(url=namespace.clickhouse_url),
        )
        self.archive(range(ROWS))
        self.archive(range(100, 140))  # again, as after a kill

    def archive(self, offsets: range) -> None:
        """Write what a flow writes: most to the archive, what died to the letters, copies nowhere."""
        destination = ClickHouse(self.namespace.clickhouse_url)
        for partition in range(PARTITIONS):
            whole = self.records(partition, offsets)
            keep = ~np.isin(whole.origin.offset, (*COPIES, *DEAD, *REDACTED))
            tables = {"raw_archive": self._archived(whole.take(np.flatnonzero(keep)))}
            if letters := list(self._letters(whole)):
                tables["dead_letters"] = letter_columns(letters)
            destination.insert(tables)
        destination.close()

    def _archived(self, batch: RawBatch) -> Table:
        origin, rows = batch.origin, len(batch)
        return {
            "topic": objects([self.topic.encode()] * rows), "partition": origin.partition, "offset": origin.offset,
            "appended_at": origin.appended_at.astype("datetime64[ms]"), "payload": objects(batch.values),
            "event_id": objects([b"\1" * 16] * rows), "merchant": objects([b"demo"] * rows),
        }  # fmt: skip

    def _letters(self, batch: RawBatch) -> Iterator[DeadLetter]:
        for letter in dead_letters(batch, range(len(batch)), Reason.BUG, "score", "a bug"):
            early = replace(letter, received_at=letter.received_at - 1_234)  # the ingest tier had it before Kafka
            if letter.offset in DEAD:
                yield early
            elif letter.offset in REDACTED:
                yield replace(early, reason=Reason.EMAIL, stage="verify_mask").redacted(b"{}")

    def records(self, partition: int, offsets: range) -> RawBatch:
        """Return records as a replay is to see them."""
        batch = raw_batch([value(partition, offset) for offset in offsets])
        appended = np.array([at(offset) for offset in offsets], np.int64)
        origin = replace(
            batch.origin,
            topic=self.topic,
            partition=np.full(len(offsets), partition, np.int32),
            offset=np.array(offsets, np.int64),
            appended_at=appended,
            polled_at=appended,
        )
        return replace(batch, origin=origin)

    def expire(self) -> None:
        """Let retention take the first records."""
        admin = AdminClient({"bootstrap.servers": self.stack.bootstrap})
        places = [TopicPartition(self.topic, partition, KEPT) for partition in range(PARTITIONS)]
        for future in admin.delete_records(places).values():
            future.result(30)

    def source(self) -> Source:
        kafka = KafkaSource(self.stack.bootstrap, self.topic, Fetching(pieces=PARTITIONS, rows=64))
        archive = ArchiveSource(self.client, self.topic, Reading(PARTITIONS, attempts=2, pause_seconds=0.01))
        return EitherSource(kafka, archive)

    def client(self) -> Client:
        return archive_client(self.namespace.clickhouse_url, 5, 30)

    def plan(self, asked: Asked) -> Planned:
        return planned(asked, self.settings, InForce(), self.topic)


@pytest.fixture
def world(stack: LocalStack, namespace: Namespace) -> World:
    return World(stack, namespace)


def read(source: Source, piece: Piece, first: int = 0) -> RawBatch:
    """Return all of a piece."""
    batches = list(source.read(piece, first))
    assert all(len(batch) for batch in batches)
    return RawBatch.concat(batches)


def assert_same(one: RawBatch, other: RawBatch) -> None:
    assert one.values == other.values
    assert one.ledger.marks == other.ledger.marks
    np.testing.assert_array_equal(one.ledger.micros, other.ledger.micros)
    for name in ("partition", "offset", "appended_at", "polled_at"):
        np.testing.assert_array_equal(getattr(one.origin, name), getattr(other.origin, name), name)
    assert one.origin.topic == other.origin.topic


def test_past_retention_the_archive_gives_the_very_same_records_as_kafka_gave(world: World) -> None:
    asked = Asked("june", since=at(60), until=at(200), warm_ms=45 * STEP)
    before = world.plan(asked)
    assert {line.piece.store for line in before.lines} == {Store.KAFKA}
    with closing(world.source()) as source:
        from_kafka = [read(source, piece) for piece in (*before.plan.warm, *before.plan.range)]
    world.expire()
    after = world.plan(asked)
    assert after.plan.range == tuple(
        Piece(partition, *span)
        for partition in range(PARTITIONS)
        for span in ((60, KEPT, Store.ARCHIVE), (KEPT, 200, Store.KAFKA))
    )
    assert after.plan.warm == tuple(Piece(partition, 15, 60, Store.ARCHIVE) for partition in range(PARTITIONS))
    with closing(world.source()) as source:
        again = [read(source, piece) for piece in (*after.plan.warm, *after.plan.range)]
    for partition in range(PARTITIONS):
        mine, its = (
            RawBatch.concat([batch for batch in batches if batch.origin.partition[0] == partition])
            for batches in (from_kafka, again)
        )
        assert_same(mine, replace(world.records(partition, range(15, 200)), ledger=mine.ledger))
        readable = ~np.isin(mine.origin.offset, (*COPIES, *REDACTED))
        assert_same(its, mine.take(np.flatnonzero(readable)))


def test_the_plan_says_what_is_read_where_what_is_exact_and_what_cannot_be_replayed(world: World) -> None:
    world.expire()
    found = world.plan(Asked("june", since=at(45), until=at(200)))
    told = [(line.piece.partition, line.warm, line.piece.store, line.rows) for line in found.lines]
    assert told[0] == (0, True, Store.ARCHIVE, 45 - len(COPIES))
    assert told[1][:3] == (0, False, Store.ARCHIVE)
    assert (
        0 <= told[1][3] - (KEPT - 45 - len(REDACTED)) <= len(REDACTED)
    )  # rows that were written twice may count twice
    assert told[2] == (0, False, Store.KAFKA, 200 - KEPT)
    redacted, copies = found.lost[0], found.lost[-1]
    assert redacted.startswith(f"of the range, {PARTITIONS * len(REDACTED)} mask.email")
    assert copies.startswith(f"of what is warmed up, {PARTITIONS * len(COPIES)} offsets are not in the archive")
    assert all(one.exact for one in found.known if "lists" not in one.what)  # warmed up from the very first record
    assert found.estimate.range_rows + found.estimate.warm_rows == sum(line.rows for line in found.lines)
    short = {one.what: one for one in world.plan(Asked("june", since=at(200), warm_ms=STEP)).known}
    assert not any(one.exact for one in short.values())
    assert short["counts of a device"].why == "48 h are looked back to and 60 s warmed up"
    part = world.plan(Asked("june", since=at(45), partitions=(1,)))
    assert [one.why for one in part.known if "devices share" in one.what] == ["of the partitions that are read only"]


def test_letters_of_a_reason_are_replayed_from_the_first_to_the_last(world: World) -> None:
    found = world.plan(Asked("fixed", letters=Filter(reasons=("internal.bug",)), store="archive"))
    assert found.plan.selection.places == {(partition, offset) for partition in range(PARTITIONS) for offset in DEAD}
    assert found.plan.range == tuple(Piece(number, 40, 191, Store.ARCHIVE) for number in range(PARTITIONS))
    few = world.plan(Asked("fixed", since=at(0), until=at(41), letters=Filter(reasons=("internal.",))))
    assert few.plan.selection.places == {(0, 40), (1, 40)}


def test_offsets_are_planned_as_they_are_named_and_warmed_up_by_the_time_of_the_earliest(world: World) -> None:
    world.expire()
    found = world.plan(Asked("part", offsets={1: Offsets(200, 210), 0: 100}, warm_ms=10 * STEP))
    assert found.begins_at == at(100)
    assert found.plan.range == (
        Piece(0, 100, KEPT, Store.ARCHIVE), Piece(0, KEPT, ROWS), Piece(1, 200, 210),
    )  # fmt: skip
    assert [(piece.partition, piece.first, piece.next) for piece in found.plan.warm] == [
        (0, 90, 100), (1, 90, KEPT), (1, KEPT, 200),
    ]  # fmt: skip


def test_what_cannot_be_planned_is_said_in_one_sentence(world: World) -> None:
    world.expire()
    refused = {
        (Refusal.EMPTY, "lies in that range"): Asked("a", since=at(ROWS) + 1, until=at(ROWS) + 2),
        (Refusal.GAP, f"offsets below {KEPT} of partition 0"): Asked("a", since=at(100), store="kafka"),
        (Refusal.GAP, f"offsets 100 to {KEPT - 1} of partition 1"): Asked("a", offsets={1: 100}, store="kafka"),
        (Refusal.BEYOND_END, "offset 301 of partition 0 is beyond its end, which is 300"): Asked(
            "a", offsets={0: Offsets(10, 301)}
        ),
        (Refusal.UNKNOWN_PARTITION, "has no partition 7: it has 0 to 1"): Asked("a", since=at(1), partitions=(0, 7)),
        (Refusal.BACKWARDS, "ends before it begins"): Asked("a", since=at(9), until=at(8)),
        (Refusal.UNREADABLE, "'A' is no name of a replay"): Asked("A", since=at(0)),
        (Refusal.UNREADABLE, "say what to replay"): Asked("a"),
        (Refusal.UNREADABLE, "--start extracted reads Kafka"): Asked(
            "a", since=0, start=Start.EXTRACTED, store="archive"
        ),
        (Refusal.EMPTY, "died of decode.unknown_key"): Asked("a", letters=Filter(reasons=("decode.unknown_key",))),
        (Refusal.EMPTY, "no dead letter of that reason lies in the range"): Asked(
            "a", since=at(200), letters=Filter(reasons=("internal.bug",))
        ),
        (Refusal.EMPTY, "events.enriched holds nothing"): Asked("a", since=at(0), start=Start.ENRICHED),
        (Refusal.SNAPSHOT, "holds no state"): Asked("a", since=at(200), snapshot=world.stack.home),
    }
    for (refusal, said), asked in refused.items():
        with pytest.raises(PlanRefused) as found:
            world.plan(asked)
        assert found.value.refusal is refusal
        assert said in str(found.value)
        assert "\n" not in str(found.value)


def test_a_record_that_went_after_the_plan_was_made_stops_the_source(world: World) -> None:
    with closing(world.source()) as source:
        batches = source.read(Piece(0, 0, 250), 10)
        assert next(batches).origin.offset[0] == 10
        batches.close()  # type: ignore[attr-defined] # a generator
        world.expire()
        with pytest.raises(SourceFailed, match="Kafka no longer has offset 10 of partition 0"):
            list(source.read(Piece(0, 0, 250), 10))
        with pytest.raises(SourceFailed, match=f"ends at {ROWS} and the plan at {ROWS + 1}"):
            list(source.read(Piece(0, 200, ROWS + 1), 200))
        world.namespace.clickhouse().execute(
            'ALTER TABLE raw_archive DELETE WHERE "offset" < 90 SETTINGS mutations_sync = 1'
        )
        world.namespace.clickhouse().execute("ALTER TABLE dead_letters DELETE WHERE 1 SETTINGS mutations_sync = 1")
        with pytest.raises(SourceFailed, match="the archive no longer has offset 30 of partition 1"):
            list(source.read(Piece(1, 0, KEPT, Store.ARCHIVE), 30))
        assert read(source, Piece(1, 0, KEPT, Store.ARCHIVE), 100).origin.offset.tolist() == list(range(100, KEPT))


def test_offsets_without_a_record_are_passed_over(world: World, namespace: Namespace) -> None:
    topic = namespace.topic("aborted")
    producer = Producer({"bootstrap.servers": world.stack.bootstrap, "transactional.id": namespace.prefix})
    producer.init_transactions(30)
    for word, commit in ((b"a", True), (b"lost", False), (b"b", True), (b"lost", False)):
        producer.begin_transaction()
        producer.produce(topic, word, partition=0)
        assert producer.flush(30) == 0  # else what is aborted may never have been sent
        (producer.commit_transaction if commit else producer.abort_transaction)(30)
    with closing(Consumer({"bootstrap.servers": world.stack.bootstrap, "group.id": topic})) as consumer:
        eventually(lambda: consumer.get_watermark_offsets(TopicPartition(topic, 0), 10)[1] == 8)  # marks follow commits
    with closing(KafkaSource(world.stack.bootstrap, topic)) as source:
        assert read(source, Piece(0, 0, 8)).values == (b"a", b"b")  # a record and its mark, four times
        assert read(source, Piece(0, 0, 4)).values == (b"a",)
        assert read(source, Piece(0, 1, 5)).values == (b"b",)


def test_the_command_prints_and_keeps_a_plan_and_refuses_what_cannot_be_meant(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("infra.replay_plan.RAW", world.topic)
    monkeypatch.setattr(planned, "__defaults__", (None, world.topic))
    file = world.stack.home / "june.json"
    env = {
        "CLICKGOOSE_HOME": str(world.stack.home),
        "CLICKGOOSE_KAFKA__BOOTSTRAP": world.stack.bootstrap,
        "CLICKGOOSE_CLICKHOUSE__URL": world.namespace.clickhouse_url,
    }

    def run(*words: str) -> tuple[int, str, str]:
        result = CliRunner().invoke(app, ["replay", "plan", *words], env=env)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result.exit_code, result.stdout, result.stderr

    times = ("--from", "2026-09-21", "--to", "2026-09-22")
    code, out, _ = run("june", *times, "--save", str(file), "--warm", "0")
    assert code == 0
    assert "Replay june" in out
    kept = json.loads(file.read_bytes())
    said = json.loads(run("june", *times, "--json", "--warm", "0")[1])
    assert said["plan"] == kept
    assert [piece["next"] - piece["first"] for piece in said["pieces"]] == [ROWS, ROWS]
    for words, sentence in (
        (("june", "--reason", "mask.emial", *times), "'mask.emial' is no reason"),
        (("june", *times, "--partitions", "5"), "has no partition 5"),
        (("history", *times), "means the live tables"),
        (("june", "--from", "2001-01-01", "--to", "2001-01-02"), "nothing to replay"),
    ):
        code, out, err = run(*words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert sentence in err
