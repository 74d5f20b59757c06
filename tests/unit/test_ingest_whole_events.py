"""Events that connections take themselves: the same answers, counts and records as uvicorn and the framework give."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ingest_api.connections import _Whole
from ingest_api.signature import SIGNATURE_HEADER
from schemas.framing import pack_frames
from tests.ingest_kit import Page, bearer, now_ms, open_page, tier
from tests.ingest_wire import wired
from tests.waiting import soon

NOW = now_ms()
LINE = b"POST /v1/events HTTP/1.1\r\n"
SHOP, OTHER = "https://shop.example", "https://other.example"
LIMITS = {"max_request_bytes": 300_000, "max_events_per_request": 20, "session_events_per_minute": 100}


def request(page: Page, body: bytes, line: bytes = LINE, **changes: str | None) -> bytes:
    """Return a request with right headers, some of them changed, added or left out."""
    right = {"host": "ingest", **page.headers(body, NOW), "content-length": str(len(body))}
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    kept = {name.lower(): value for name, value in right.items()} | named
    head = b"".join(f"{name}: {value}\r\n".encode("latin-1") for name, value in kept.items() if value is not None)
    return line + head + b"\r\n" + body


def cut(sent: bytes, size: int) -> list[bytes]:
    return [sent[at : at + size] for at in range(0, len(sent), size)]


def conversations(page: Page, expired: Page) -> dict[str, list[bytes]]:
    """Return what clients send, in pieces that wait for each other."""

    def event(size: int = 200, **changes: Any) -> bytes:
        return page.event(b"\0" * size, **{"sent_at": NOW, **changes})

    one = pack_frames([event()])
    many = pack_frames([event(9_000) for _ in range(20)])
    foreign = pack_frames([event(), event(session_id=b"\0" * 16), b"no event", event(sent_at=NOW + 10**9), event()])
    as_json = json.dumps({"events": [base64.b64encode(event()).decode()]}).encode()
    beacon = page.beacon(event(), at=NOW)
    whole = request(page, one)
    return {
        "one event": [whole],
        "one from a page": [request(page, one, origin=SHOP)],
        "one from a page of somebody else": [request(page, one, origin=OTHER)],
        "an origin that is no address": [request(page, one, origin="null")],
        "many, in pieces": cut(request(page, many), 50_000),
        "many, and one behind": [request(page, many), whole],
        "head and body apart": [whole[: -len(one)], one],
        "byte by byte at the end": [whole[:-3], whole[-3:-2], whole[-2:-1], whole[-1:]],
        "one and a half, and the rest": [whole + whole[:60], whole[60:]],
        "several in one piece": [whole + whole + whole],
        "some that are dropped": [request(page, foreign)],
        "as JSON": [request(page, as_json, content_type="application/json")],
        "as JSON, in pieces": cut(request(page, as_json, content_type="application/json"), 300),
        "a beacon": [request(page, beacon, content_type="text/plain", authorization=None)],
        "a beacon in pieces": cut(request(page, beacon, content_type="text/plain", authorization=None), 300),
        "a session that has ended, in pieces": cut(request(expired, pack_frames([expired.event(sent_at=NOW)])), 300),
        "no token": [request(page, one, authorization=None)],
        "no token, in pieces": cut(request(page, one, authorization=None), 300),
        "a wrong token, in pieces": cut(request(page, one, authorization="Bearer wrong"), 300),
        "another body than was signed, in pieces": cut(request(page, one)[:-1] + b"\xff", 300),
        "no signature": [request(page, one, **{SIGNATURE_HEADER.lower(): None})],
        "another type": [request(page, one, content_type="image/png")],
        "no frames, in pieces": cut(request(page, b"\xff" * 900), 300),
        "too many events": [request(page, pack_frames([event() for _ in range(21)]))],
        "an event that is too large": [request(page, pack_frames([event(70_000)]))],
        "a body that is too large, in pieces": cut(request(page, b"\0" * 300_001), 100_000),
        "a length that is too large": [request(page, b"", content_length="99999999999")],
        "a body in chunks": [
            request(page, b"", content_length=None, transfer_encoding="chunked", **signed(page, one))
            + b"%x\r\n%b\r\n0\r\n\r\n" % (len(one), one)
        ],
        "a client that closes, in pieces": cut(request(page, one, connection="close"), 300),
        "a wish to continue": [request(page, one, expect="100-continue")],
        "a query": [request(page, one, line=b"POST /v1/events?x=1 HTTP/1.1\r\n")],
        "more than a minute's": [request(page, many) for _ in range(6)],
    }


def signed(page: Page, body: bytes) -> dict[str, str]:
    return {SIGNATURE_HEADER.lower(): page.headers(body, NOW)[SIGNATURE_HEADER]}


@pytest.mark.parametrize("origins", [("*",), (SHOP,)])
async def test_both_ways_answer_count_and_append_the_same(tmp_path: Path, origins: tuple[str, ...]) -> None:
    found = []
    said: dict[str, list[bytes]] = {}
    for by_itself in (True, False):
        folder = tmp_path / str(by_itself)
        async with (
            tier(folder, clock=lambda: NOW, cors_origins=origins, **LIMITS) as t,
            wired(t.app, by_itself) as wire,
        ):
            if not said:
                said = conversations(await open_page(t.client), await _ended(t.client))
            else:
                await open_page(t.client), await open_page(t.client)
            answers = {name: await wire.talk(pieces) for name, pieces in said.items()}
            found.append((answers, wire.counts(), t.kafka.records, wire.state.total_requests))
    ours, theirs = found
    assert {name: ours[0][name] for name in said if ours[0][name] != theirs[0][name]} == {}
    assert ours == theirs
    answered = {name: answer.split(b"\r\n", 1)[0] for name, answer in ours[0].items()}
    assert {answered[name] for name in said if name.startswith(("one", "many", "head", "byte", "several"))} == {
        b"HTTP/1.1 200 OK"
    }
    assert b"HTTP/1.1 429 " in ours[0]["more than a minute's"]


async def _ended(client: Any) -> Page:
    """Return a page whose session ended a moment ago."""
    page = await open_page(client)
    page.opened["token"] = page.forged(exp=NOW // 1_000 - 400)
    return page


def noted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which the size of each body is added that a connection takes whole."""
    sizes: list[int] = []
    receive = _Whole.receive

    async def note(whole: _Whole) -> Any:
        sizes.append(len(whole.body))
        return await receive(whole)

    monkeypatch.setattr(_Whole, "receive", note)
    return sizes


async def test_only_who_may_send_has_a_body_held_for_him(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = noted(monkeypatch)
    async with tier(tmp_path, clock=lambda: NOW, **LIMITS) as t, wired(t.app, True) as wire:
        page = await open_page(t.client)
        body = pack_frames([page.event(b"\0" * 9_000, sent_at=NOW)])
        good: Callable[..., list[bytes]] = lambda **changes: cut(request(page, body, **changes), 4_000)  # noqa: E731
        assert b" 200 OK" in await wire.talk(good())
        assert sizes == [len(body)]
        for changes in (
            {"authorization": None},
            bearer("wrong"),
            {"content_type": "text/plain", "authorization": None},
        ):
            await wire.talk(good(**changes))
        await wire.talk(cut(request(page, b"\0" * 300_001), 100_000))
        assert sizes == [len(body)]


async def test_a_client_that_goes_amid_a_body_leaves_nothing(tmp_path: Path) -> None:
    async with tier(tmp_path, clock=lambda: NOW) as t, wired(t.app, True) as wire:
        page = await open_page(t.client)
        whole = request(page, pack_frames([page.event(b"\0" * 9_000, sent_at=NOW)]))
        _, writer = await asyncio.open_connection("127.0.0.1", wire.port)
        writer.write(whole[:4_000])
        await soon(lambda: any(one._gathered for one in wire.state.connections))
        (connection,) = wire.state.connections
        writer.close()
        await soon(lambda: not wire.state.connections)
        assert connection._gathered is None and connection._coming is None
        assert not t.kafka.records and not wire.state.tasks


async def test_a_body_that_comes_during_a_stop_is_taken_and_then_the_connection_closes(tmp_path: Path) -> None:
    answers = []
    for by_itself in (True, False):
        async with tier(tmp_path / str(by_itself), clock=lambda: NOW) as t, wired(t.app, by_itself) as wire:
            page = await open_page(t.client)
            whole = request(page, pack_frames([page.event(b"\0" * 9_000, sent_at=NOW)]))
            reader, writer = await asyncio.open_connection("127.0.0.1", wire.port)
            writer.write(whole[:4_000])
            await soon(lambda: any(one.cycle for one in wire.state.connections))
            for one in list(wire.state.connections):
                one.shutdown()
            writer.write(whole[4_000:])
            answers.append((await reader.read()).partition(b"\r\n\r\n")[0])
            assert len(t.kafka.records) == 1
            writer.close()
    assert answers[0] == answers[1] and b"connection: close" in answers[0]
