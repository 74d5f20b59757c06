"""Every error of the API: its status, its shape, and that nothing the client sent comes back."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from ingest_api.appender import Delivered
from ingest_api.errors import FAULTS, Code, retry_header
from schemas.framing import pack_frames
from tests.ingest_kit import KEYS, bearer, code, open_page, tier

SCORE = "/v1/events/" + "ab" * 16 + "/score"
SESSION = {"transaction": "order-1"}


def test_every_code_has_a_status_and_one_sentence() -> None:
    assert set(FAULTS) == set(Code)
    for fault in FAULTS.values():
        assert fault.status in {401, 403, 404, 405, 409, 410, 413, 415, 422, 429, 500, 501, 503}
        assert fault.message.endswith(".") and fault.message[0].isupper() and len(fault.message) < 110


def test_retry_after_is_whole_seconds_and_never_zero() -> None:
    assert [retry_header(s) for s in (-1.0, 0.0, 0.2, 1.0, 1.01)] == ["1", "1", "1", "1", "2"]


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
        assert code(await page.post(large)) == (413, "body_too_large")
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
        assert code(await page.post(body, content_type="application/json")) == (413, "too_many_events")


async def test_content_types_and_encodings(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        body = pack_frames([page.event()])
        for kind in ("text/html", "text/plaintext", "multipart/form-data"):
            assert code(await page.post(body, content_type=kind)) == (415, "content_type_unsupported")
        assert code(await page.post(body, content_type=None)) == (415, "content_type_unsupported")
        assert code(await page.post(body, content_encoding="gzip")) == (415, "content_encoding_unsupported")
        for kind in ("text/plain", "application/x-www-form-urlencoded"):
            headers = {**bearer(KEYS["demo-shop"]), "content-type": kind}
            answer = await t.client.post("/v1/sessions", content=json.dumps(SESSION), headers=headers)
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
        answer = await page.post(body, content_type="application/json")
        assert code(answer) == (422, "invalid_request")
        assert "CANARY" not in answer.text


@pytest.mark.parametrize("body", [b"", b"abc", struct.pack("<I", 9) + b"short", struct.pack("<I", 0xFFFFFFFF)])
async def test_broken_framing(tmp_path: Path, body: bytes) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        assert code(await page.post(body)) == (422, "invalid_framing")


@pytest.mark.parametrize("wait", ["-1", "31", "nan", "soon", ""])
async def test_the_wait_has_bounds(tmp_path: Path, wait: str) -> None:
    async with tier(tmp_path) as t:
        answer = await t.client.get(SCORE, params={"wait": wait}, headers=bearer(KEYS["demo-shop"]))
        assert code(answer) == (422, "invalid_request")


async def test_a_senseless_content_length(tmp_path: Path) -> None:
    async with tier(tmp_path) as t:
        page = await open_page(t.client)
        assert code(await page.post(b"", content_length="x")) == (422, "invalid_request")


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


def test_all_codes_are_tested() -> None:
    text = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_ingest_*.py"))
    assert [one for one in Code if f'"{one.value}"' not in text] == []
