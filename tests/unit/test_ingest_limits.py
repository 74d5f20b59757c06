"""Rate limits: per session, merchant and address, with Redis and without."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from schemas.result import pending_key
from tests.ingest_kit import Page, Tier, code, event_id, open_page, tier


async def limited(t: Tier, page: Page, count: int) -> httpx.Response:
    """Send one event at a time until one is refused."""
    for _ in range(count):
        answer = await page.send(page.event())
        assert answer.status_code == 200
    answer = await page.send(page.event())
    assert code(answer) == (429, "rate_limited")
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    return answer


@pytest.mark.parametrize("away", [False, True])
@pytest.mark.parametrize(
    ("limit", "scope"),
    [
        ("session_events_per_minute", "session"),
        ("merchant_events_per_second", "merchant"),
        ("address_requests_per_minute", "address"),
    ],
)
async def test_limits_hold_with_and_without_redis(tmp_path: Path, limit: str, scope: str, away: bool) -> None:
    async with tier(tmp_path, **{limit: 3}) as t:
        page = await open_page(t.client)
        t.redis.away = away
        await limited(t, page, 3)
        text = (await t.client.get("/metrics")).text
        assert f'clickgoose_ingest_rate_limited_total{{scope="{scope}"}} 1.0' in text
        assert f"clickgoose_ingest_rate_limiter_degraded {float(away)}" in text
        assert all("127.0.0.1" not in key for key in t.redis.values)


async def test_an_event_over_the_limit_is_not_marked_as_pending(tmp_path: Path) -> None:
    async with tier(tmp_path, session_events_per_minute=1) as t:
        page = await open_page(t.client)
        first, second = page.event(), page.event()
        assert (await page.send(first)).status_code == 200
        assert code(await page.send(second)) == (429, "rate_limited")
        marks = [key for key in t.redis.values if key.startswith("pending:")]
        assert marks == [pending_key("demo-shop", event_id(first))]


async def test_limits_go_back_to_redis_when_it_is_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest_api.redis_link._AWAY_SECONDS", 3_600.0)
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        t.redis.away = True
        await page.send(page.event())
        trips = t.redis.round_trips
        await page.send(page.event())
        assert t.redis.round_trips == trips  # an outage is known; nobody asks again before its time is over
        t.redis.away = False
        for link in t.app.parts.links:
            link._away_until = 0.0
        await page.send(page.event())
        assert "rate_limiter_degraded 0.0" in (await t.client.get("/metrics")).text
        assert any("rate" in key for key in t.redis.values)


async def test_the_cost_is_the_number_of_events(tmp_path: Path) -> None:
    async with tier(tmp_path, session_events_per_minute=5) as t:
        page = await open_page(t.client)
        assert (await page.send(*(page.event() for _ in range(5)))).status_code == 200
        assert code(await page.send(page.event())) == (429, "rate_limited")
        other = await open_page(t.client)
        assert (await other.send(other.event())).status_code == 200
