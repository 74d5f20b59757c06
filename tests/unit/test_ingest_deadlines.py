"""Deadlines: whoever waits too long is told so in time, and nobody else."""

from __future__ import annotations

import asyncio

import pytest

from ingest_api.deadlines import Deadlines
from ingest_api.redis_link import RedisAway

SECONDS = 0.05


async def test_what_is_done_in_time_is_given_and_what_is_not_fails_in_time() -> None:
    loop = asyncio.get_running_loop()
    limits = Deadlines(SECONDS, RedisAway)
    quick, slow = limits.watch(loop.create_future()), limits.watch(loop.create_future())
    began = loop.time()
    quick.set_result("here")
    assert await quick == "here"
    with pytest.raises(RedisAway):
        await slow
    assert SECONDS * 0.9 <= loop.time() - began < SECONDS * 20


async def test_each_has_its_own_time_also_after_a_pause() -> None:
    loop = asyncio.get_running_loop()
    limits = Deadlines(SECONDS, RedisAway)
    first = limits.watch(loop.create_future())
    await asyncio.sleep(SECONDS / 2)
    second, began = limits.watch(loop.create_future()), loop.time()
    for one in (first, second):
        with pytest.raises(RedisAway):
            await one
    assert loop.time() - began >= SECONDS * 0.9
    await asyncio.sleep(SECONDS / 2)
    third, began = limits.watch(loop.create_future()), loop.time()
    with pytest.raises(RedisAway):
        await third
    assert loop.time() - began >= SECONDS * 0.9


async def test_who_waits_no_more_is_left_alone() -> None:
    limits = Deadlines(SECONDS, RedisAway)
    given_up = limits.watch(asyncio.get_running_loop().create_future())
    given_up.cancel()
    late = limits.watch(asyncio.get_running_loop().create_future())
    with pytest.raises(RedisAway):
        await late
    assert given_up.cancelled()


async def test_what_is_done_is_not_kept_until_its_time() -> None:
    loop = asyncio.get_running_loop()
    limits = Deadlines(60.0, RedisAway)
    for _ in range(100):
        limits.watch(loop.create_future()).set_result(None)
    assert len(limits._waiting) == 1


def test_one_loop_after_another_has_its_time_limit() -> None:
    limits = Deadlines(SECONDS, RedisAway)

    async def late() -> None:
        waits = limits.watch(asyncio.get_running_loop().create_future())
        with pytest.raises(RedisAway):
            await waits

    async def leaves_one_behind() -> None:
        limits.watch(asyncio.get_running_loop().create_future())

    asyncio.run(late())
    asyncio.run(leaves_one_behind())
    asyncio.run(late())
