"""``POST /v1/labels`` on the real ClickHouse engine: what is answered as stored is there, and one a target stays."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.reputation import read_counts
from ingest_api.app import create_app
from tests.ingest_kit import KEYS, MemoryAppender, MemoryRedis, bearer, code, config, now_ms, running
from tests.migrated import migrate
from tests.stack_fixture import Namespace

pytestmark = pytest.mark.stack
DAY = 86_400_000
EVENT, SESSION = "01" * 16, "02" * 16
MINE = ("demo-shop", "transaction", "order-1")


@pytest.fixture
def tables(namespace: Namespace) -> Namespace:
    """A database with all tables."""
    migrate(namespace.clickhouse_url)
    return namespace


@contextlib.asynccontextmanager
async def serving(directory: Path, url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a tier with that ClickHouse and nothing else that is real."""
    app = create_app(config(directory, clickhouse_url=url), appender=MemoryAppender(), redis=MemoryRedis())
    async with running(app) as client:
        yield client


async def tell(client: httpx.AsyncClient, *labels: dict[str, Any], merchant: str = "demo-shop") -> httpx.Response:
    """Send labels."""
    return await client.post("/v1/labels", json={"labels": list(labels)}, headers=bearer(KEYS[merchant]))


def label(name: str, target: str = "transaction", said: str = "chargeback", **more: Any) -> dict[str, Any]:
    """Return a label."""
    return {"target": target, "id": name, "label": said, **more}


def stored(tables: Namespace) -> dict[tuple[str, str, str], tuple[str, int]]:
    """Return label and time in ms by merchant, target and id."""
    rows = tables.clickhouse().execute(
        "SELECT merchant, target, id, label, toUnixTimestamp64Milli(labelled_at) FROM labels FINAL"
    )
    return {row[:3]: row[3:] for row in rows}


async def test_what_was_answered_as_stored_is_there_and_the_last_label_stays(tmp_path: Path, tables: Namespace) -> None:
    at = now_ms() - 120 * DAY
    async with serving(tmp_path, tables.clickhouse_url) as client:
        sent = (label("order-1", labelled_at=at), label(EVENT, "event", "genuine"), label(SESSION, "session"))
        assert (await tell(client, *sent)).json()["stored"] == 3
        assert stored(tables)[MINE] == ("chargeback", at)
        assert set(stored(tables)) == {MINE, ("demo-shop", "event", EVENT), ("demo-shop", "session", SESSION)}
        assert (await tell(client, *sent)).json()["stored"] == 3  # sent again: the same
        assert len(stored(tables)) == 3
        later = await tell(client, label("order-1", said="confirmed_fraud"), label("order-1", said="genuine"))
        assert later.json()["stored"] == 2
        assert stored(tables)[MINE][0] == "genuine"
        tables.clickhouse().execute("OPTIMIZE TABLE labels FINAL")
        assert stored(tables)[MINE][0] == "genuine"


async def test_one_merchants_labels_do_not_touch_anothers(tmp_path: Path, tables: Namespace) -> None:
    async with serving(tmp_path, tables.clickhouse_url) as client:
        await tell(client, label("order-1"), label(EVENT, "event"))
        await tell(client, label("order-1", said="genuine"), label(EVENT, "event", "genuine"), merchant="other-shop")
        assert stored(tables)[MINE][0] == "chargeback"
        assert stored(tables)["demo-shop", "event", EVENT][0] == "chargeback"
        assert stored(tables)["other-shop", "event", EVENT][0] == "genuine"


async def test_reputation_counts_what_was_told(tmp_path: Path, tables: Namespace) -> None:
    now = now_ms()
    row = {
        "event_id": bytes.fromhex(EVENT), "session_id": bytes.fromhex(SESSION), "device_id": bytes(16),
        "address": bytes(10) + b"\xff\xff\xc6\x12\x07\x07", "merchant": "demo-shop", "transaction": "order-1",
        "asn": 3320, **dict.fromkeys(("occurred_at", "received_at", "appended_at", "polled_at"), now - DAY),
    }  # fmt: skip
    tables.clickhouse().execute(f"INSERT INTO events ({', '.join(row)}) VALUES", [row])
    async with serving(tmp_path, tables.clickhouse_url) as client:
        await tell(client, label("order-1"), merchant="other-shop")
        assert read_counts(tables.clickhouse_url, now, now - 90 * DAY).events == 0
        await tell(client, label("order-1"))
        found = read_counts(tables.clickhouse_url, now, now - 90 * DAY)
        assert (found.events, found.events_fraud) == (1, 1)
        await tell(client, label("order-1", said="genuine"))
        assert read_counts(tables.clickhouse_url, now, now - 90 * DAY).events_fraud == 0


async def test_many_back_offices_at_once_lose_nothing(tmp_path: Path, tables: Namespace) -> None:
    async with serving(tmp_path, tables.clickhouse_url) as client:
        answers = await asyncio.gather(
            *(tell(client, *(label(f"order-{one}-{number}") for number in range(100))) for one in range(20))
        )
        assert [answer.json()["stored"] for answer in answers] == [100] * 20
        assert len(stored(tables)) == 2_000


async def test_a_database_without_the_table_and_one_that_is_away_are_answered_alike(
    tmp_path: Path, namespace: Namespace
) -> None:
    for url in (namespace.clickhouse_url, "clickhouse://127.0.0.1:9/default"):
        async with serving(tmp_path / url[-7:], url) as client:
            answer = await tell(client, label("order-1"))
            assert code(answer) == (503, "labels_unavailable")
