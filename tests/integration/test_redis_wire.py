"""The link to Redis over a real Valkey: replies in order, stale connections, credentials and databases, silence."""

from __future__ import annotations

import asyncio
import time

import pytest
from redis import Redis

from ingest_api.redis_link import RedisAway, RedisLink, connect
from ingest_api.redis_wire import RedisWire
from tests.valkey_part import Valkey
from tests.waiting import PATIENCE, SECONDS


async def test_many_at_once_get_their_own_replies_whole(server: Valkey) -> None:
    link = RedisLink(connect(server.url, PATIENCE))  # 100 MB, on a machine that may be busy
    large = bytes(range(256)) * 8_192
    await link.send(("SET", "large", large))
    answers = await asyncio.gather(*(link.send(("ECHO", str(at)), ("GET", "large")) for at in range(50)))
    assert answers == [[str(at).encode(), large] for at in range(50)]
    await link.close()


async def test_a_refused_command_fails_its_own_request_only(server: Valkey) -> None:
    link = RedisLink(connect(server.url, SECONDS))
    good, bad = link.send(("ECHO", "a")), link.send(("ECHO", "b"), ("NO-SUCH-COMMAND",))
    assert await good == [b"a"]
    with pytest.raises(RedisAway):
        await bad
    assert await link.send(("ECHO", "c")) == [b"c"]
    await link.close()


async def test_credentials_and_database_of_the_url_hold(server: Valkey) -> None:
    at = f"127.0.0.1:{server.port}"
    with server.client() as client:
        client.acl_setuser("writer", enabled=True, passwords="+secret", keys=["~*"], commands=["+@all"])
    link = RedisLink(connect(f"redis://writer:secret@{at}/3", SECONDS))
    assert await link.send(("ACL", "WHOAMI"), ("SET", "here", "x")) == [b"writer", b"OK"]
    await link.close()
    with Redis.from_url(f"redis://{at}/3") as client:
        assert client.get("here") == b"x"
    wrong = RedisLink(connect(f"redis://writer:wrong@{at}/3", SECONDS))
    with pytest.raises(RedisAway):
        await wrong.send(("PING",))
    await wrong.close()


async def test_a_connection_that_was_cut_meanwhile_is_made_anew(server: Valkey) -> None:
    link = RedisLink(connect(server.url, SECONDS))
    (mine,) = await link.send(("CLIENT", "ID"))
    with server.client() as client:
        client.client_kill_filter(_id=mine)
    assert await link.send(("ECHO", "again")) == [b"again"]
    assert not link.was_away(60)
    await link.close()


async def test_silence_ends_in_time_and_late_replies_are_nobodys(server: Valkey) -> None:
    client = connect(server.url, 0.2)
    wire = RedisWire(client)
    assert await wire.exchange([("ECHO", "before")]) == [b"before"]
    with server.still():
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await wire.exchange([("ECHO", "lost")])
        assert time.monotonic() - began < 1.0
    assert await wire.exchange([("ECHO", "after")]) == [b"after"]
    await wire.close()
    await client.aclose()
