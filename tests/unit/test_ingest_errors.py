"""Every error of the API: its status, its shape, and that nothing the client sent comes back."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import struct
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from ingest_api.appender import Delivered
from ingest_api.errors import FAULTS, Code, retry_header
from ingest_api.signature import SIGNATURE_HEADER, sign_body
from ingest_api.tokens import ISSUER
from schemas.framing import FRAMES_CONTENT_TYPE, pack_frames
from schemas.result import pending_key
from tests.ingest_kit import KEYS, RING, Page, Tier, bearer, code, event_id, now_ms, open_page, tier

SCORE = "/v1/events/" + "ab" * 16 + "/score"
SESSION = {"transaction": "order-1"}


async def events(page: Page, body: bytes, **changes: str | None) -> httpx.Response:
    """Send a body with right headers, some of them changed or taken away."""
    headers = {**page.headers(body), **{name.replace("_", "-"): value for name, value in changes.items() if value}}
    for name in (name.replace("_", "-") for name, value in changes.items() if value is None):
        headers = {known: value for known, value in headers.items() if known.lower() != name}
    return await page.client.post("/v1/events", content=body, headers=headers)


def forged(page: Page, **changes: Any) -> str:
    """Return the page's token with other claims, rightly signed."""
    key = RING.derive(2, b"clickgoose-token", "token")
    claims = jwt.decode(page.opened["token"], options={"verify_signature": False})
    return jwt.encode({**claims, **changes}, key, "HS256", headers={"kid": "2"})


def test_every_code_has_a_status_and_one_sentence() -> None:
    assert set(FAULTS) == set(Code)
    for fault in FAULTS.values():
        assert fault.status in {401, 403, 404, 405, 413, 415, 422, 429, 500, 503}
        assert fault.message.endswith(".") and fault.message[0].isupper() and len(fault.message) < 110


def test_retry_after_is_whole_seconds_and_never_zero() -> None:
    assert [retry_header(s) for s in (-1.0, 0.0, 0.2, 1.0, 1.01)] == ["1", "1", "1", "1", "2"]


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer " + "x" * 3_000])
async def test_a_missing_api_key(tmp_path: Path, authorization: str | None) -> None:
    headers = {} if authorization is None else {"authorization": authorization}
    async with tier(tmp_path) as t:
        answer = await t.client.post("/v1/sessions", json=SESSION, headers=headers)
        assert code(answer) == (401, "api_key_missing")
        assert answer.headers["www-authenticate"] == "Bearer"
        assert code(await t.client.get(SCORE, headers=headers)) == (401, "api_key_missing")


async def test_a_wrong_api_key(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        for key in ("cg_wrong", "cg_dem", "cg_demoo", "\xe9".encode("latin-1").decode("latin-1")):
            headers = {b"authorization": b"Bearer " + key.encode("latin-1"), b"content-type": b"application/json"}
            answer = await t.client.post("/v1/sessions", content=json.dumps(SESSION), headers=headers)
            assert code(answer) == (401, "api_key_invalid")


async def test_credentials_work_at_their_own_endpoints_only(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        token = bearer(page.opened["token"])
        assert code(await t.client.get(SCORE, headers=token)) == (403, "wrong_credential")
        assert code(await t.client.post("/v1/sessions", json=SESSION, headers=token)) == (403, "wrong_credential")
        expired = bearer(forged(page, exp=int(time.time()) - 5))
        assert code(await t.client.get(SCORE, headers=expired)) == (403, "wrong_credential")
        answer = await events(page, pack_frames([page.event()]), authorization="Bearer cg_demo")
        assert code(answer) == (403, "wrong_credential")
        assert not t.kafka.records


async def test_tokens_that_are_none(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        body = pack_frames([page.event()])
        assert code(await events(page, body, authorization=None)) == (401, "token_missing")
        claims = jwt.decode(page.opened["token"], options={"verify_signature": False})
        key = RING.derive(2, b"clickgoose-token", "token")
        assert key is not None
        bad = [
            "no-token",
            page.opened["token"][:-3] + "AAA",
            jwt.encode(claims, None, "none", headers={"kid": "2"}),
            jwt.encode(claims, key * 2, "HS512", headers={"kid": "2"}),
            jwt.encode(claims, key, "HS256", headers={"kid": "1"}),
            jwt.encode(claims, key, "HS256", headers={"kid": "9"}),
            jwt.encode(claims, key, "HS256", headers={"kid": "²"}),
            jwt.encode(claims, key, "HS256"),
            forged(page, iss="someone"),
            jwt.encode({k: v for k, v in claims.items() if k != "exp"}, key, "HS256", headers={"kid": "2"}),
            jwt.encode({k: v for k, v in claims.items() if k != "mer"}, key, "HS256", headers={"kid": "2"}),
        ]
        for token in bad:
            assert code(await events(page, body, authorization=f"Bearer {token}")) == (401, "token_invalid"), token
        assert not t.kafka.records


async def test_an_expired_token(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        body = pack_frames([page.event()])
        expired = forged(page, exp=int(time.time()) - 1)
        assert code(await events(page, body, authorization=f"Bearer {expired}")) == (401, "token_expired")


async def test_a_remembered_token_expires_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        assert (await page.send(page.event())).status_code == 200
        monkeypatch.setattr("ingest_api.tokens.time.time", lambda: page.opened["expires_at"] + 1)
        assert code(await page.send(page.event())) == (401, "token_expired")


async def test_a_token_of_another_scope_or_a_removed_merchant(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        body = pack_frames([page.event()])
        assert forged(page, iss=ISSUER)
        other = f"Bearer {forged(page, scope='admin')}"
        assert code(await events(page, body, authorization=other)) == (403, "scope_forbidden")
        gone = f"Bearer {forged(page, mer='gone-shop')}"
        assert code(await events(page, body, authorization=gone)) == (403, "merchant_forbidden")
        assert not t.kafka.records


async def test_signatures(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page, other = await open_page(t.client), await open_page(t.client)
        body = pack_frames([page.event()])
        name = SIGNATURE_HEADER.lower()
        assert code(await events(page, body, **{name: None})) == (401, "signature_missing")
        for wrong in ("v1=00", "t=1,v1=" + "0" * 64, sign_body(other.sign_key, now_ms(), body)):
            assert code(await events(page, body, **{SIGNATURE_HEADER: wrong})) == (401, "signature_invalid")
        stale = sign_body(page.sign_key, now_ms() - 301_000, body)
        assert code(await events(page, body, **{SIGNATURE_HEADER: stale})) == (401, "signature_stale")
        assert not t.kafka.records


@pytest.mark.parametrize("path", ["/", "/nope", "/v1/events/", "/v1/events/zz/score", "/v1/events/%00/score", "/docs"])
async def test_unknown_paths_and_ids(tmp_path: Path, path: str) -> None:
    async with tier(tmp_path) as t:
        assert code(await t.client.get(path, headers=bearer(KEYS["demo-shop"]))) == (404, "not_found")


async def test_methods(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        for method, path in (("GET", "/v1/sessions"), ("DELETE", "/v1/events"), ("POST", SCORE), ("PUT", "/healthz")):
            answer = await t.client.request(method, path)
            assert code(answer) == (405, "method_not_allowed")
            assert answer.headers["allow"]


async def test_bodies_over_the_limit_declared_or_streamed(tmp_path: Path) -> None:
    async with tier(tmp_path, max_request_bytes=70_000) as t:
        page = await open_page(t.client)
        large = pack_frames([b"x" * 70_001])
        assert code(await events(page, large)) == (413, "body_too_large")
        sent = 0

        async def stream() -> Any:
            nonlocal sent
            for _ in range(1_000):
                sent += 10_000
                yield b"x" * 10_000

        answer = await t.client.post("/v1/events", content=stream(), headers=page.headers(b""))
        assert code(answer) == (413, "body_too_large")
        headers = {**bearer(KEYS["demo-shop"]), "content-type": "application/json"}
        answer = await t.client.post("/v1/sessions", content=b" " * 9_000, headers=headers)
        assert code(answer) == (413, "body_too_large")


async def test_too_many_events_in_both_forms(tmp_path: Path) -> None:
    async with tier(tmp_path, max_events_per_request=2) as t:
        page = await open_page(t.client)
        three = [page.event() for _ in range(3)]
        assert code(await page.send(*three)) == (413, "too_many_events")
        body = json.dumps({"events": [base64.b64encode(one).decode() for one in three]}).encode()
        assert code(await events(page, body, content_type="application/json")) == (413, "too_many_events")


async def test_content_types_and_encodings(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        body = pack_frames([page.event()])
        assert code(await events(page, body, content_type="text/plain")) == (415, "content_type_unsupported")
        assert code(await events(page, body, content_type=None)) == (415, "content_type_unsupported")
        assert code(await events(page, body, content_encoding="gzip")) == (415, "content_encoding_unsupported")
        answer = await t.client.post("/v1/sessions", data={"transaction": "x"}, headers=bearer(KEYS["demo-shop"]))
        assert code(answer) == (415, "content_type_unsupported")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"transaction": ""}',
        b'{"transaction": 7}',
        b'{"linked_id": "x"}',
        b'{"transaction": "a", "CANARY4111": 1}',
        b'{"transaction": "' + b"x" * 256 + b'"}',
        b'{"transaction": "CANARY4111\\u0000"}',
        b'{"transaction": "a", "device_id": "CANARY4111"}',
        b'{"transaction":' + b"[" * 4_000 + b"]" * 4_000 + b"}",
        b"\xff\xfe",
    ],
)
async def test_session_bodies_of_another_form(tmp_path: Path, body: bytes) -> None:
    async with tier(tmp_path) as t:
        headers = {**bearer(KEYS["demo-shop"]), "content-type": "application/json"}
        answer = await t.client.post("/v1/sessions", content=body, headers=headers)
        assert code(answer) == (422, "invalid_request")
        assert "CANARY" not in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b'{"events": []}',
        b'{"events": "AAAA"}',
        b'{"events": ["CANARY4111!"]}',
        b'{"events": [1]}',
        b'{"events": ["AAAA"], "more": 1}',
        b'{"events":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
        b'{"events": ["\xff"]}',
    ],
)
async def test_json_events_of_another_form(tmp_path: Path, body: bytes) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        answer = await events(page, body, content_type="application/json")
        assert code(answer) == (422, "invalid_request")
        assert "CANARY" not in answer.text


@pytest.mark.parametrize("body", [b"", b"abc", struct.pack("<I", 9) + b"short", struct.pack("<I", 0xFFFFFFFF)])
async def test_broken_framing(tmp_path: Path, body: bytes) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        assert code(await events(page, body)) == (422, "invalid_framing")


@pytest.mark.parametrize("wait", ["-1", "31", "nan", "soon", ""])
async def test_the_wait_has_bounds(tmp_path: Path, wait: str) -> None:
    async with tier(tmp_path) as t:
        answer = await t.client.get(SCORE, params={"wait": wait}, headers=bearer(KEYS["demo-shop"]))
        assert code(answer) == (422, "invalid_request")


async def test_a_senseless_content_length(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        assert code(await events(page, b"", content_length="x")) == (422, "invalid_request")


async def test_a_full_or_broken_spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with tier(tmp_path, spool_max_bytes=2_000) as t:
        t.kafka.outcome = Delivered.NOT_NOW
        page = await open_page(t.client)
        assert (await page.send(page.event(b"x" * 1_500))).json()["results"][0]["reason"] == "spooled"
        answer = await page.send(page.event(b"x" * 1_500))
        assert code(answer) == (503, "spool_full")
        assert int(answer.headers["retry-after"]) >= 1
        spool = t.app.parts.delivery._spool

        class Broken:
            in_transaction = False

            def execute(self, *_: Any) -> None:
                import sqlite3

                raise sqlite3.OperationalError("disk I/O error")

        whole = spool._db
        monkeypatch.setattr(spool, "_db", Broken())
        answer = await page.send(page.event())
        assert code(answer) == (503, "spool_unavailable")
        assert int(answer.headers["retry-after"]) >= 1
        monkeypatch.setattr(spool, "_db", whole)


async def test_results_without_redis(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        t.redis.away = True
        for path in (SCORE, SCORE + "?wait=5"):
            answer = await t.client.get(path, headers=bearer(KEYS["demo-shop"]))
            assert code(answer) == (503, "results_unavailable")
            assert answer.headers["retry-after"] == "1"


async def test_a_long_poll_ends_when_redis_goes_away(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        poll = asyncio.create_task(t.client.get(SCORE + "?wait=20", headers=bearer(KEYS["demo-shop"])))
        await asyncio.sleep(0.05)
        t.redis.away = True
        assert code(await poll) == (503, "results_unavailable")


async def test_a_draining_server_takes_nothing_new(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        t.app.parts.drain()
        assert code(await page.send(page.event())) == (503, "shutting_down")
        answer = await t.client.post("/v1/sessions", json=SESSION, headers=bearer(KEYS["demo-shop"]))
        assert code(answer) == (503, "shutting_down")
        assert (await t.client.get("/readyz")).status_code == 503


async def test_a_bug_says_nothing_about_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)

        def bug(*_: Any) -> None:
            raise RuntimeError("CANARY4111")

        monkeypatch.setattr(t.app.parts, "checks", bug)
        answer = await page.send(page.event())
        assert code(answer) == (500, "internal")
        assert "CANARY" not in answer.text
        assert answer.headers["x-content-type-options"] == "nosniff"


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


async def test_a_token_that_another_process_issued_is_as_good(tmp_path: Path) -> None:
    async with tier(tmp_path / "a") as one, tier(tmp_path / "b") as two:
        page = await open_page(one.client, transaction='über "1"', linked_id="🦆")
        claims = jwt.decode(page.opened["token"], RING.derive(2, b"clickgoose-token", "token"), ["HS256"])
        assert (claims["txn"], claims["lid"]) == ('über "1"', "🦆")
        twin = Page(two.client, page.opened, page.device_id)
        assert (await twin.send(page.event())).status_code == 200
        known = [t.app.parts.tokens.verify(page.opened["token"]) for t in (one, two)]
        assert known[0] == known[1]


async def test_limits_go_back_to_redis_when_it_is_back(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        t.redis.away = True
        await page.send(page.event())
        trips = t.redis.round_trips
        await page.send(page.event())
        assert t.redis.round_trips == trips  # an outage is known; nobody waits for it again within a second
        t.redis.away = False
        await asyncio.sleep(1.05)
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


async def test_guessing_credentials_gets_slow(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        answers = [await t.client.get(SCORE, headers=bearer(os.urandom(8).hex())) for _ in range(61)]
        assert [a.status_code for a in answers[:60]] == [401] * 60
        assert code(answers[60]) == (429, "rate_limited")
        assert (await t.client.get(SCORE, headers=bearer(KEYS["demo-shop"]))).status_code == 404


def test_all_codes_are_tested_here() -> None:
    text = Path(__file__).read_text("utf-8")
    assert FRAMES_CONTENT_TYPE
    assert [one for one in Code if f'"{one.value}"' not in text] == []
