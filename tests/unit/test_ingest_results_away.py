"""Polls while Redis is away, silent, or just back: a clear answer within a second or two, never a wrong one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ingest_api import results
from ingest_api.app import create_app
from ingest_api.redis_link import connect
from schemas.result import result_key
from tests.ingest_kit import KEYS, MemoryAppender, bearer, code, config, now_ms, open_page, running, tier

ID = "ab" * 16
PATH = f"/v1/events/{ID}/score"
MINE = bearer(KEYS["demo-shop"])


@contextlib.asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[str, list[asyncio.StreamWriter]]]:
    """Accept connections, and never answer; yields the address, and the connections that came."""
    streams: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: streams.append(writer), "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0", streams
    finally:
        server.close()
        for stream in streams:
            stream.close()


async def test_a_redis_that_accepts_and_never_answers_makes_polls_503_and_events_are_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest_api.redis_link._AWAY_SECONDS", 3_600.0)
    async with silent_server() as (url, connections):
        kafka = MemoryAppender()
        app = create_app(config(tmp_path), clock=now_ms, appender=kafka, redis=lambda: connect(url))
        async with running(app) as client:
            for wait in ("", "?wait=30"):
                for link in app.parts.links:
                    link._away_until = 0.0
                before = len(connections)
                answers = await asyncio.gather(*(client.get(PATH + wait, headers=MINE) for _ in range(20)))
                assert {code(answer) for answer in answers} == {(503, "results_unavailable")}
                assert {answer.headers["retry-after"] for answer in answers} == {"1"}
                assert 1 <= len(connections) - before <= 2  # all wait for one attempt, and its one repetition
            asked = len(connections)
            assert (await client.get(PATH, headers=MINE)).status_code == 503
            assert len(connections) == asked  # it is known to be away
            page = await open_page(client)
            assert (await page.send(page.event())).status_code == 200
            assert len(kafka.records) == 1


async def test_just_after_an_outage_what_redis_does_not_know_is_not_called_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest_api.redis_link._AWAY_SECONDS", 0.0)
    async with tier(tmp_path) as t:
        assert (await t.client.get(PATH, headers=MINE)).status_code == 404
        t.redis.away = True
        page = await open_page(t.client)
        await page.send(page.event(event_id=bytes.fromhex(ID)))  # taken, but not marked as pending
        t.redis.away = False
        assert code(await t.client.get(PATH, headers=MINE)) == (503, "results_unavailable")
        t.redis.values[result_key("demo-shop", ID)] = b"{}"  # redriven
        assert (await t.client.get(PATH, headers=MINE)).status_code == 200
        monkeypatch.setattr(results, "_DOUBT_SECONDS", 0.0)
        assert (await t.client.get(PATH.replace("ab", "cd"), headers=MINE)).status_code == 404
