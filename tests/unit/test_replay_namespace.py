"""Names of a replay, and clients that refuse all others before anything is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from flows.redis_trip import round_trip
from flows.sinks.kafka import OutputTopics
from replay.guards import (
    GuardedClickHouse,
    GuardedProducer,
    OutsideNamespace,
    clickhouse_maker,
    keys_of,
    own_redis,
    producer_maker,
    reading_redis,
)
from replay.namespace import BadName, Namespace, database_of

JUNE = Namespace.of("june", live_database="clickgoose", home=Path("/data/home"))
NOWHERE = "redis://127.0.0.1:1/0"


def test_all_names_of_a_run_follow_from_its_name() -> None:
    assert JUNE.topics == ("events.scored.june", "events.alerts.june", "events.dead_letter.june")
    assert (JUNE.prefix, JUNE.database) == ("replay:june:", "clickgoose_replay_june")
    assert JUNE.directory == Path("/data/home/replays/june")
    assert JUNE.clickhouse_url("clickhouse://u:p@host:9/clickgoose?secure=1") == (
        "clickhouse://u:p@host:9/clickgoose_replay_june?secure=1"
    )
    assert not set(JUNE.topics) & set(OutputTopics())


@pytest.mark.parametrize(
    "name", ["", "June", "1june", "_june", "ju-ne", "ju.ne", "ju:ne", "ju/ne", "../x", "a" * 41, "june\n", "jüne", "*"]
)
def test_a_name_that_could_mean_something_else_is_refused_with_one_sentence(name: str) -> None:
    with pytest.raises(BadName, match="is no name of a replay: give"):
        Namespace.of(name, live_database="clickgoose", home=Path("/data"))


def test_names_of_the_live_tables_are_refused() -> None:
    for name in ("history", "live"):
        with pytest.raises(BadName, match="means the live tables"):
            Namespace.of(name, live_database="clickgoose", home=Path("/data"))


def test_a_database_with_too_long_a_name_is_refused() -> None:
    with pytest.raises(BadName, match="shorten the name"):
        Namespace.of("a" * 40, live_database="d" * 170, home=Path("/data"))


def test_an_address_without_a_database_means_the_default_one() -> None:
    assert database_of("clickhouse://host:9") == database_of("clickhouse://host:9/") == "default"
    assert Namespace.of("a", live_database="", home=Path("/")).database == "default_replay_a"


def test_no_two_runs_share_a_name() -> None:
    other = Namespace.of("june_2", live_database="clickgoose", home=Path("/data/home"))
    assert not set(other.topics) & set(JUNE.topics)
    assert not other.prefix.startswith(JUNE.prefix) and other.database != JUNE.database


@pytest.mark.parametrize("topic", ["events.scored", "events.raw", "events.scored.june_2", "events.scored.junex", ""])
def test_the_producer_refuses_topics_that_are_not_the_runs_own(topic: str) -> None:
    broker = {"bootstrap.servers": "inside", "test.mock.num.brokers": 1, "log_level": 0}
    producer = producer_maker(JUNE)(broker)
    with pytest.raises(OutsideNamespace, match="does not write to topic"):
        producer.produce(topic, b"x")
    with pytest.raises(OutsideNamespace):
        producer.produce_batch(topic, [{"value": b"x"}])
    producer.produce("events.scored.june", b"x")
    assert producer.flush(10) == 0
    assert set(producer.list_topics(timeout=10).topics) == {"events.scored.june"}


ATTACKS: list[Callable[[Redis], Any]] = [
    lambda client: client.set("score:demo:1", b"x"),
    lambda client: client.set("replay:junes:score:demo:1", b"x"),
    lambda client: client.set("Replay:june:score:demo:1", b"x"),
    lambda client: client.set(b"\x00replay:june:score", b"x"),
    lambda client: client.mget(["replay:june:a", "score:demo:1"]),
    lambda client: client.delete("replay:june:a", "score:demo:1"),
    lambda client: client.unlink("session:demo:1"),
    lambda client: client.evalsha("0" * 40, 2, "replay:june:a", "v:{01}"),
    lambda client: client.eval("return 1", 0),
    lambda client: client.flushdb(),
    lambda client: client.flushall(),
    lambda client: client.rename("replay:june:a", "score:demo:1"),
    lambda client: client.copy("replay:june:a", "score:demo:1"),
    lambda client: client.hset("session:demo:1", "events", 1),
    lambda client: client.zadd("r:{x}", {"a": 1}),
    lambda client: client.keys("*"),
    lambda client: list(client.scan_iter("*")),
    lambda client: list(client.scan_iter()),
    lambda client: client.config_set("maxmemory", 1),
    lambda client: client.publish("channel", "x"),
    lambda client: client.script_flush(),
]


class Wire:
    """A connection's class, with its socket cut off: what would be sent is kept."""

    def __init__(self, client: Redis) -> None:
        self.sent: list[Any] = []
        wire = self

        class Cut(client.connection_pool.connection_class):  # type: ignore[misc, name-defined]
            def connect(self, *args: Any, **options: Any) -> None:
                pass

            def connect_check_health(self, *args: Any, **options: Any) -> None:
                pass

            def can_read(self, *args: Any, **options: Any) -> bool:
                return False

            def send_packed_command(self, command: Any, check_health: bool = True) -> None:
                wire.sent.append(command)

            def read_response(self, *args: Any, **options: Any) -> Any:
                return b"OK"

        client.connection_pool.connection_class = Cut


@pytest.mark.parametrize("attack", ATTACKS)
def test_redis_refuses_whatever_is_not_of_the_prefix_and_sends_nothing(attack: Callable[[Redis], Any]) -> None:
    client = own_redis(NOWHERE, JUNE)
    wire = Wire(client)
    with pytest.raises(OutsideNamespace):
        attack(client)
    assert wire.sent == []


def test_redis_refuses_a_pipeline_with_one_foreign_key_and_sends_none_of_it() -> None:
    client = own_redis(NOWHERE, JUNE)
    wire = Wire(client)
    pipe = client.pipeline(transaction=False)
    pipe.set("replay:june:a", b"x")
    pipe.set("score:demo:1", b"x")
    with pytest.raises(OutsideNamespace):
        pipe.execute()
    assert wire.sent == []


def test_redis_refuses_a_round_trip_with_one_foreign_key_and_sends_none_of_it() -> None:
    client = own_redis(NOWHERE, JUNE)
    wire = Wire(client)
    with pytest.raises(OutsideNamespace):
        round_trip(client, [("SET", "replay:june:a", b"x"), ("SET", "score:demo:1", b"x")])
    assert wire.sent == []


def test_redis_sends_what_is_of_the_prefix() -> None:
    client = own_redis(NOWHERE, JUNE)
    wire = Wire(client)
    client.set("replay:june:score:demo:1", b"x")
    pipe = client.pipeline(transaction=False)
    pipe.script_load("return 1")
    pipe.evalsha("0" * 40, 1, "replay:june:v:{01}", b"arguments")
    pipe.execute()
    assert len(wire.sent) == 2


def test_keys_are_found_wherever_a_command_has_them() -> None:
    assert keys_of(("EVALSHA", "0", 2, "a", "b", "not a key")) == [b"a", b"b"]
    assert keys_of(("SCAN", 0, b"MATCH", "a:*", "COUNT", 10)) == [b"a:*"]
    assert keys_of(("SCRIPT LOAD", "x")) == keys_of(("SCRIPT", "LOAD", "x")) == keys_of(("PING",)) == []


def test_the_client_for_what_is_live_only_reads() -> None:
    client = reading_redis(NOWHERE)
    wire = Wire(client)
    for attack in (
        lambda: client.set("score:demo:1", b"x"),
        lambda: client.unlink("score:demo:1"),
        lambda: client.expire("score:demo:1", 1),
        lambda: client.eval("return 1", 1, "a"),
    ):
        with pytest.raises(OutsideNamespace):
            attack()
    assert wire.sent == []
    client.get("score:demo:1")
    assert len(wire.sent) == 1


@pytest.mark.parametrize(
    "database", ["clickgoose", "clickgoose_replay_juneau", "default", "CLICKGOOSE_REPLAY_JUNE", ""]
)
def test_clickhouse_opens_no_other_database(database: str) -> None:
    with pytest.raises(OutsideNamespace, match="does not open the database"):
        clickhouse_maker(JUNE)(f"clickhouse://127.0.0.1:1/{database}")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO clickgoose.events (a) VALUES",
        "INSERT INTO `clickgoose`.`events` (a) VALUES",
        "INSERT INTO events SELECT * FROM clickgoose.events",
        "INSERT INTO FUNCTION remote('h', clickgoose.events) (a) VALUES",
        "insert into events (a) VALUES",
        " INSERT INTO events (a) VALUES",
        "USE clickgoose",
        "DROP TABLE events",
        "ALTER TABLE events DELETE WHERE 1",
        "SELECT 1; DROP DATABASE clickgoose",
    ],
)
def test_clickhouse_inserts_into_tables_of_its_own_and_does_nothing_else(statement: str) -> None:
    client = clickhouse_maker(JUNE)("clickhouse://127.0.0.1:1/clickgoose_replay_june")
    for call in (client.execute, client.execute_iter, client.execute_with_progress):
        with pytest.raises(OutsideNamespace):
            call(statement)
    with pytest.raises(OutsideNamespace):
        client.insert_dataframe("INSERT INTO clickgoose.events VALUES", None)


def test_a_guarded_client_without_a_namespace_opens_nothing() -> None:
    with pytest.raises(OutsideNamespace):
        GuardedClickHouse("127.0.0.1", database="")
    with pytest.raises(OutsideNamespace):
        GuardedProducer({"bootstrap.servers": "127.0.0.1:1"}, ()).produce("events.scored", b"x")
