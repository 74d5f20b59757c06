"""A round trip to a real Valkey: replies in order, refusals in their place, and none that belongs to another trip."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from flows.redis_trip import connect, round_trip, scripted_trip
from tests.valkey_part import Valkey
from tests.waiting import PATIENCE


@pytest.fixture
def client(server: Valkey) -> Iterator[Redis]:
    with connect(server.url, PATIENCE) as connected:
        yield connected


def test_replies_come_in_order_however_large_the_commands(client: Redis) -> None:
    values = [bytes([at]) * size for at, size in enumerate((1, 100_000, 3_000_000, 7, 600_000, 0))]
    commands = [command for at, value in enumerate(values) for command in (("SET", f"k{at}", value), ("GET", f"k{at}"))]
    assert round_trip(client, commands) == [reply for value in values for reply in (b"OK", value)]


def test_a_refusal_stands_in_its_place_and_the_others_are_answered(client: Redis) -> None:
    found = round_trip(client, [("ECHO", "a"), ("EVALSHA", "0" * 40, 0), ("ECHO",), ("ECHO", 7), ("ECHO", 0.5)])
    assert [type(reply) for reply in found[1:3]] == [NoScriptError, ResponseError]
    assert [found[0], *found[3:]] == [b"a", b"7", b"0.5"]


def test_a_reply_that_was_not_waited_for_is_not_taken_for_the_next(server: Valkey) -> None:
    with connect(server.url, 0.2) as hasty:
        with pytest.raises(RedisError):
            round_trip(hasty, [("BLPOP", "nobody", 1), ("ECHO", "late")])
        hasty.connection_pool.connection_kwargs.update(socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
        assert round_trip(hasty, [("ECHO", "next")]) == [b"next"]


def test_no_commands_are_no_replies(client: Redis) -> None:
    assert round_trip(client, []) == []


def test_a_script_that_is_not_known_is_taught_and_only_what_called_it_is_sent_again(client: Redis) -> None:
    script = b"return redis.call('INCRBY', KEYS[1], ARGV[1])"
    call = "EVALSHA", hashlib.sha1(script, usedforsecurity=False).hexdigest(), 1, "counted"
    client.delete("counted", "others")
    for expected in ([b"3", 5, 1, 12], [b"15", 17, 2, 24]):
        commands = [("ECHO", expected[0]), (*call, 5), ("INCR", "others"), (*call, 7)]
        assert scripted_trip(client, commands, script) == expected


def test_a_command_of_two_words_goes_as_two(client: Redis) -> None:
    digest = client.script_load("return 7")
    assert round_trip(client, [("SCRIPT EXISTS", digest)]) == [[1]]


def test_one_connection_makes_trip_after_trip_and_is_closed_with_its_client(server: Valkey) -> None:
    with server.client() as other, connect(server.url, PATIENCE) as client:
        before = _clients(other)
        names = {round_trip(client, [("CLIENT ID",)])[0] for _ in range(5)} | {client.client_id()}
        assert len(names) == 1
        assert _clients(other) == before | names
        client.close()
        _until(lambda: not names & _clients(other))


def test_trips_at_the_same_time_have_a_connection_each(client: Redis) -> None:
    pool = client.connection_pool
    one, two = pool.get_connection(), pool.get_connection()
    assert one is not two
    pool.release(one)
    pool.release(two)
    assert {pool.get_connection(), pool.get_connection()} == {one, two}
    pool.release(one)
    pool.release(two)


def test_a_connection_that_was_closed_meanwhile_is_replaced_before_the_trip(server: Valkey) -> None:
    with server.client() as other, connect(server.url, PATIENCE) as client:
        (kept,) = round_trip(client, [("CLIENT ID",)])
        other.client_kill_filter(_id=kept)
        _until(lambda: kept not in _clients(other))
        assert round_trip(client, [("ECHO", "after")]) == [b"after"]


def test_what_nobody_asked_for_is_not_taken_for_a_reply(client: Redis) -> None:
    connection = client.connection_pool.get_connection()
    connection.send_packed_command([b"*2\r\n$4\r\nECHO\r\n$5\r\nstray\r\n"])  # type: ignore[no-untyped-call] # as redis-py is
    _until(connection.can_read)
    client.connection_pool.release(connection)
    assert round_trip(client, [("ECHO", "mine")]) == [b"mine"]


def _clients(client: Redis) -> set[int]:
    return {int(one["id"]) for one in client.client_list()}


def _until(come: Callable[[], Any]) -> None:
    gives_up = time.monotonic() + PATIENCE
    while not come():
        assert time.monotonic() < gives_up
        time.sleep(0.01)
