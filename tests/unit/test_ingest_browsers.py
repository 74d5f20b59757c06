"""What a browser may do from a page of another origin: send events, read the answers, time them, pack what it sends."""

from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest_api.appender import Delivered
from ingest_api.errors import Code
from ingest_api.models import SessionResponse, example_of
from schemas.framing import pack_frames
from schemas.sealed import Codec, Header, seal
from tests.ingest_kit import Page, Tier, code, now_ms, open_page, tier

SHOP = {"origin": "https://shop.example"}
PREFLIGHT = {
    **SHOP,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization,content-type,x-clickgoose-signature",
}


async def test_browsers_may_send_events_from_any_page_and_nothing_else(tmp_path: Path) -> None:
    asked = PREFLIGHT
    async with tier(tmp_path) as t:
        answer = await t.client.options("/v1/events", headers=asked)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["access-control-max-age"] == "7200"
        allowed = answer.headers["access-control-allow-headers"].lower().replace(" ", "").split(",")
        assert set(asked["access-control-request-headers"].split(",")) <= set(allowed)
        assert "access-control-allow-credentials" not in answer.headers
        assert (await t.client.options("/v1/sessions", headers=asked)).status_code == 405
        failed = await t.client.post("/v1/events", headers={"origin": "https://shop.example"})
        assert failed.headers["access-control-allow-origin"] == "*"  # so that the page can read the error


async def test_chosen_origins_only(tmp_path: Path) -> None:
    async with tier(tmp_path, cors_origins=("https://shop.example",)) as t:
        for origin, allowed in (("https://shop.example", True), ("https://evil.example", False)):
            answer = await t.client.post("/v1/events", headers={"origin": origin})
            assert ("access-control-allow-origin" in answer.headers) is allowed


async def test_a_preflight_asks_no_other_part(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        t.kafka.outcome, t.redis.away = Delivered.NOT_NOW, True
        t.app.parts.drain()
        assert (await t.client.options("/v1/events", headers=PREFLIGHT)).status_code == 200
        assert t.redis.round_trips == 0


async def test_a_preflight_for_what_the_agent_never_does_is_refused(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        for name, value in (("method", "DELETE"), ("headers", "x-other")):
            asked = {**PREFLIGHT, f"access-control-request-{name}": value}
            assert (await t.client.options("/v1/events", headers=asked)).status_code == 400


async def test_a_collector_in_a_private_network_may_be_reached_from_public_pages(tmp_path: Path) -> None:
    asked = {**PREFLIGHT, "access-control-request-private-network": "true"}
    async with tier(tmp_path) as t:
        answer = await t.client.options("/v1/events", headers=asked)
        assert (answer.status_code, answer.headers["access-control-allow-private-network"]) == (200, "true")
        plain = await t.client.options("/v1/events", headers=PREFLIGHT)
        assert "access-control-allow-private-network" not in plain.headers


async def test_pages_may_time_their_requests(tmp_path: Path) -> None:
    origins = ("https://shop.example", "https://other.example")
    async with tier(tmp_path / "a") as any_page, tier(tmp_path / "b", cors_origins=origins) as chosen:
        answer = await any_page.client.post("/v1/events", headers=SHOP)
        assert answer.headers["timing-allow-origin"] == "*"
        answer = await chosen.client.post("/v1/events", headers=SHOP)
        assert answer.headers["timing-allow-origin"] == ", ".join(origins)


async def test_a_beacon_needs_no_leave_and_is_accepted_from_any_page(tmp_path: Path) -> None:
    # A page under "Referrer-Policy: no-referrer" sends "Origin: null"; the token says who may send, not the origin.
    async with tier(tmp_path, cors_origins=("https://shop.example",)) as t:
        page = await open_page(t.client)
        for origin in ("https://shop.example", "null", None):
            headers = {"content-type": "text/plain", **({"origin": origin} if origin else {})}
            answer = await t.client.post("/v1/events", content=page.beacon(page.event()), headers=headers)
            assert answer.json()["results"][0]["status"] == "ok"
            assert ("access-control-allow-origin" in answer.headers) is (origin == "https://shop.example")


async def full(t: Tier, page: Page) -> httpx.Response:
    """Fill the spool; return the answer to what does not fit."""
    t.kafka.outcome = Delivered.NOT_NOW
    await page.post(pack_frames([page.event(b"x" * 1_500)]), **SHOP)
    return await page.post(pack_frames([page.event(b"x" * 1_500)]), **SHOP)


async def over(t: Tier, page: Page) -> httpx.Response:
    """Pass the session's limit; return the refusal."""
    await page.post(pack_frames([page.event()] * 3), **SHOP)
    return await page.post(pack_frames([page.event()]), **SHOP)


async def stopping(t: Tier, page: Page) -> httpx.Response:
    """Send to a process that is about to stop."""
    t.app.parts.drain()
    return await page.post(pack_frames([page.event()]), **SHOP)


@pytest.mark.parametrize(
    ("fail", "expected"),
    [(full, (503, Code.SPOOL_FULL)), (over, (429, Code.RATE_LIMITED)), (stopping, (503, Code.SHUTTING_DOWN))],
)
async def test_a_page_can_read_when_to_come_back(tmp_path: Path, fail: Any, expected: tuple[int, Code]) -> None:
    async with tier(tmp_path, spool_max_bytes=2_000, session_events_per_minute=3) as t:
        answer = await fail(t, await open_page(t.client))
        assert code(answer) == (expected[0], expected[1].value)
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = answer.headers["access-control-expose-headers"].lower().replace(" ", "").split(",")
        assert {"retry-after", "date"} <= set(exposed)  # by Date an agent can tell that the clock beside it is wrong


async def test_agents_pack_only_where_they_are_asked_to(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        assert page.opened["codec"] == "raw"
        assert "x-clickgoose-codec" not in (await page.send(page.event())).headers


async def test_an_agent_that_is_asked_to_pack_learns_it_with_every_answer(tmp_path: Path) -> None:
    async with tier(tmp_path, agent_codec="deflate-raw") as t:
        page = await open_page(t.client)
        assert page.opened["codec"] == "deflate-raw"
        sent = await page.post(pack_frames([page.event()]), **SHOP)
        refused = await page.post(b"", **SHOP)
        for answer in (sent, await page.send_beacon(page.beacon(page.event())), refused):
            assert answer.headers["x-clickgoose-codec"] == "deflate-raw"
            assert "x-clickgoose-codec" in answer.headers["access-control-expose-headers"]
        assert "x-clickgoose-codec" not in (await t.client.get("/healthz")).headers
        for codec in Codec:  # asked for or not, each form is taken: the agent may not have been told yet
            header = Header(2, bytes.fromhex(page.opened["session_id"]), b"d" * 16, bytes([codec]) * 16, 0, now_ms())
            sealed = seal(header, b"{}", page.seal_key, b"n" * 12, codec)
            assert (await page.send(sealed)).json()["results"][0]["status"] == "ok"


def read_key(text: str) -> tuple[int, int, bytes, bytes, bytes]:
    """Return version, key id, session id, sealing and signing key, as the agent reads them."""
    assert "=" not in text and "+" not in text and "/" not in text
    packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    version, key_id, session_id, seal_key, sign_key = struct.unpack("<BI16s32s32s", packed)
    return version, key_id, session_id, seal_key, sign_key


async def test_the_key_is_all_that_a_page_seals_and_signs_with(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        session_id = bytes.fromhex(page.opened["session_id"])
        assert read_key(page.opened["key"]) == (1, 2, session_id, page.seal_key, page.sign_key)
        other = await open_page(t.client)
        assert other.opened["key"] != page.opened["key"]


def test_the_example_of_the_key_is_one() -> None:
    shown = example_of(SessionResponse)
    session_id = bytes.fromhex(shown["session_id"])
    keys = (base64.b64decode(shown["seal_key"]), base64.b64decode(shown["sign_key"]))
    assert read_key(shown["key"]) == (1, shown["key_id"], session_id, *keys)
