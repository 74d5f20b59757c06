"""The beacon form of POST /v1/events: token and signature in the body, the same checks as with headers."""

from __future__ import annotations

import logging
import struct
from pathlib import Path

import pytest

from ingest_api.bodies import MAX_SIGNATURE, MAX_TOKEN
from ingest_api.signature import sign_body
from schemas.framing import pack_frames
from tests.ingest_kit import KEYS, bearer, code, event_id, now_ms, open_page, tier


def parts(token: bytes, signature: bytes, frames: bytes) -> bytes:
    """Return a body of these parts."""
    return struct.pack("<H", len(token)) + token + struct.pack("<H", len(signature)) + signature + frames


@pytest.mark.parametrize("kind", ["text/plain", "text/plain;charset=UTF-8", "Text/Plain; charset=utf-8; x=y"])
async def test_a_beacon_is_answered_like_a_request_with_headers(tmp_path: Path, kind: str) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        good, foreign = page.event(), page.event(session_id=b"\0" * 16)
        answer = await page.send_beacon(page.beacon(good, foreign), kind)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["results"] == [
            {"event_id": event_id(good), "status": "ok", "reason": "appended"},
            {"event_id": event_id(foreign), "status": "drop", "reason": "session_mismatch"},
        ]
        assert [record.value.endswith(good) for record in t.kafka.records] == [True]


async def test_what_a_beacon_carries_counts_and_not_its_headers(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page, other = await open_page(t.client), await open_page(t.client)
        sealed = page.event()
        headers = {**other.headers(b""), "content-type": "text/plain"}
        answer = await t.client.post("/v1/events", content=page.beacon(sealed), headers=headers)
        assert answer.json()["results"][0]["status"] == "ok"
        frames = pack_frames([sealed])
        headers = {**page.headers(frames), "content-type": "text/plain"}
        answer = await t.client.post("/v1/events", content=frames, headers=headers)
        assert code(answer) == (422, "invalid_beacon")


async def test_the_signature_covers_the_frames(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page, other = await open_page(t.client), await open_page(t.client)
        body = page.beacon(page.event())
        assert code(await page.send_beacon(body[:-1] + bytes([body[-1] ^ 1]))) == (401, "signature_invalid")
        assert code(await page.send_beacon(body + b"\0")) == (401, "signature_invalid")
        token, frames = page.opened["token"].encode(), pack_frames([page.event()])
        for signature in (b"t=1", b"t=1,v1=" + b"0" * 64, sign_body(other.sign_key, now_ms(), frames).encode()):
            assert code(await page.send_beacon(parts(token, signature, frames))) == (401, "signature_invalid")
        late = page.beacon(page.event(), at=now_ms() - 301_000)
        assert code(await page.send_beacon(late)) == (401, "signature_stale")
        assert not t.kafka.records


async def test_the_token_is_checked_like_one_in_a_header(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        for token, expected in (
            ("no-token", (401, "token_invalid")),
            (KEYS["demo-shop"], (403, "wrong_credential")),
            (page.forged(exp=1), (401, "token_expired")),
            (page.forged(scope="admin"), (403, "scope_forbidden")),
            (page.forged(mer="gone-shop"), (403, "merchant_forbidden")),
        ):
            assert code(await page.send_beacon(page.beacon(page.event(), token=token))) == expected
        assert not t.kafka.records


async def test_limits_hold_for_beacons(tmp_path: Path) -> None:
    async with tier(tmp_path, max_request_bytes=70_000, max_events_per_request=2, session_events_per_minute=2) as t:
        page = await open_page(t.client)
        assert code(await page.send_beacon(b"x" * 70_001)) == (413, "body_too_large")
        assert code(await page.send_beacon(page.beacon(*(page.event() for _ in range(3))))) == (413, "too_many_events")
        assert (await page.send_beacon(page.beacon(page.event(), page.event()))).status_code == 200
        refused = await page.send_beacon(page.beacon(page.event()))
        assert code(refused) == (429, "rate_limited")
        assert int(refused.headers["retry-after"]) >= 1
        t.app.parts.drain()
        assert code(await page.send_beacon(page.beacon(page.event()))) == (503, "shutting_down")


async def test_guessing_tokens_by_beacon_gets_slow(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        body = page.beacon(page.event(), token="guess")
        assert [(await page.send_beacon(body)).status_code for _ in range(60)] == [401] * 60
        assert code(await page.send_beacon(body)) == (429, "rate_limited")


SIGNED = b"t=1,v1=" + b"0" * 64


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x01",
        b"\x00\x00",
        b"\x05\x00CANA",
        parts(b"", SIGNED, b""),
        parts(b"CANARY", b"", b""),
        parts(b"CANARY\xff", SIGNED, b""),
        parts(b"CANARY", SIGNED + b"\x80", b""),
        parts(b"C" * (MAX_TOKEN + 1), SIGNED, b""),
        parts(b"CANARY", b"C" * (MAX_SIGNATURE + 1), b""),
        struct.pack("<H", 6) + b"CANARY" + b"\xff",
        struct.pack("<H", 6) + b"CANARY" + struct.pack("<H", 71) + SIGNED[:-1],
        b"\xff" * 200,
    ],
)
async def test_a_malformed_beacon_is_one_clear_error(tmp_path: Path, body: bytes) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        answer = await page.send_beacon(body)
        assert code(answer) == (422, "invalid_beacon")
        assert "CANARY" not in answer.text
        assert answer.headers["access-control-allow-origin"] == "*"


async def test_signed_frames_that_are_none_are_no_events(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        for frames in (b"", b"\x09\0\0\0short"):
            signature = sign_body(page.sign_key, now_ms(), frames).encode()
            body = parts(page.opened["token"].encode(), signature, frames)
            assert code(await page.send_beacon(body)) == (422, "invalid_framing")


async def test_no_other_route_takes_a_beacon_and_no_url_a_credential(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        body, kind = page.beacon(page.event()), {"content-type": "text/plain"}
        answer = await t.client.post("/v1/sessions", content=body, headers=kind | bearer(KEYS["demo-shop"]))
        assert code(answer) == (415, "content_type_unsupported")
        frames = pack_frames([page.event()])
        headers = {name: value for name, value in page.headers(frames).items() if name != "authorization"}
        query = {"token": page.opened["token"], "access_token": page.opened["token"]}
        answer = await t.client.post("/v1/events", params=query, content=frames, headers=headers)
        assert code(answer) == (401, "token_missing")


async def test_logs_hold_nothing_of_a_beacon(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        await page.send_beacon(page.beacon(page.event(b"CANARY"), page.event(key_id=77)))
        await page.send_beacon(page.beacon(page.event(), token="CANARY"))
        await page.send_beacon(b"CANARY")
        logged = " ".join(str(vars(record)) for record in caplog.records if record.name.startswith("ingest"))
        assert "unknown_key" in logged
        metrics = (await t.client.get("/metrics")).text
        for secret in ("CANARY", page.opened["token"], page.opened["key"], page.opened["sign_key"]):
            assert secret not in logged + metrics
