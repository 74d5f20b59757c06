"""Requests that connections answer themselves: the same bytes, counts and records as uvicorn and the framework give."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ingest_api.connections import _Whole
from tests.decisions_kit import Service, in_force, payment, service
from tests.ingest_kit import KEYS
from tests.ingest_wire import QUIET, Wire, wired
from tests.waiting import soon

RULES = "rules: [{id: large, when: {field: .data.amount, gt: 500}, actions: [review]}]"
LINE = b"POST /v1/decisions HTTP/1.1\r\n"
USUAL = {"host": "rules", "content-type": "application/json", "authorization": f"Bearer {KEYS['demo-shop']}"}


def sent(body: bytes | None = None, line: bytes = LINE, length: str | None = None, **headers: str | None) -> bytes:
    """Return a request with some headers changed, added or left out."""
    body = json.dumps(payment()).encode() if body is None else body
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {**USUAL, "content-length": length or str(len(body)), **changed}
    head = b"".join(f"{name}: {value}\r\n".encode() for name, value in kept.items() if value is not None)
    return line + head + b"\r\n" + body


def event(event_id: str, **changes: Any) -> bytes:
    return sent(json.dumps(payment(event_id=event_id, **changes)).encode())


GOOD = sent()
CHUNKED = sent(b"", content_length=None, transfer_encoding="chunked")
BODY = json.dumps(payment()).encode()
CONVERSATIONS: dict[str, list[bytes]] = {
    "one": [GOOD],
    "one after another, and the same again": [GOOD, event("p-2", amount=501), GOOD],
    "another body under an event id": [GOOD, event("p-1", amount=3)],
    "several in one piece": [event("p-3") + event("p-4") + event("p-5")],
    "one and a half in one piece": [GOOD + event("p-2")[:60], event("p-2")[60:]],
    "head and body apart": [GOOD[: -len(BODY)], BODY],
    "one that ends within its head": [GOOD[:40], GOOD[40:]],
    "empty lines before": [b"\r\n\r\n" + GOOD],
    "a body in chunks": [CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY), event("p-2")],
    "no body": [sent(b"")],
    "a client that closes": [sent(connection="close")],
    "a client that closes, with more behind": [sent(connection="close") + event("p-2")],
    "HTTP/1.0": [sent(line=b"POST /v1/decisions HTTP/1.0\r\n")],
    "HTTP/1.0 that stays": [sent(line=b"POST /v1/decisions HTTP/1.0\r\n", connection="keep-alive")],
    "a wish to continue": [sent(expect="100-continue")],
    "a wish to upgrade": [sent(connection="upgrade", upgrade="websocket")],
    "a query": [sent(line=b"POST /v1/decisions?trace=all HTTP/1.1\r\n")],
    "a wrong query": [sent(line=b"POST /v1/decisions?trace=some HTTP/1.1\r\n")],
    "an encoded path": [sent(line=b"POST /v1/%64ecisions HTTP/1.1\r\n")],
    "a whole URL": [sent(line=b"POST http://rules/v1/decisions HTTP/1.1\r\n")],
    "GET": [sent(b"", line=b"GET /v1/decisions HTTP/1.1\r\n"), GOOD],
    "HEAD": [sent(b"", line=b"HEAD /v1/decisions HTTP/1.1\r\n"), GOOD],
    "another path": [sent(line=b"POST /v1/labels HTTP/1.1\r\n"), GOOD],
    "no key": [sent(authorization=None), GOOD],
    "a wrong key": [sent(authorization="Bearer wrong"), GOOD],
    "a wrong key of somebody behind a proxy": [sent(authorization="Bearer wrong", x_forwarded_for="192.0.2.7")],
    "another scheme": [sent(authorization="Basic Zm9v")],
    "two keys": [sent().replace(b"host:", b"Authorization: Bearer wrong\r\nhost:")],
    "odd bytes in a header": [sent(x_odd="\xff\xfe")],
    "another type": [sent(content_type="text/plain")],
    "a type with parameters": [sent(content_type="Application/JSON; charset=utf-8")],
    "an encoded body": [sent(content_encoding="gzip")],
    "two lengths": [sent().replace(b"host:", b"content-length: 3\r\nhost:")],
    "a length that is none": [sent(length="12x")],
    "a body that is too large": [sent(b"[" * 70_000), GOOD],
    "a length that is too large": [sent(b"", length="99999999")],
    "no JSON": [sent(b"{"), GOOD],
    "a field too many": [sent(b'{"more": 1}')],
    "personal data in an id": [event("jane.doe@example.com")],
    "a time ahead": [event("p-1", occurred_at=1_990_000_000_000)],
    "no HTTP": [b"hello\r\n\r\n"],
    "no HTTP behind one": [GOOD, b"\x00\x01\r\n\r\n"],
}


class Served(Wire):
    """A tier that decides, behind real sockets."""

    def __init__(self, found: Service, wire: Wire) -> None:
        super().__init__(wire.app, wire.port, wire.state)
        self.service = found


@contextlib.asynccontextmanager
async def served(folder: Path, by_itself: bool) -> AsyncIterator[Served]:
    """Serve a tier, by connections that answer some requests themselves, or that leave all to uvicorn."""
    async with service(folder, in_force(RULES)) as found, wired(found.tier.app, by_itself) as wire:
        yield Served(found, wire)


async def everything(folder: Path, by_itself: bool) -> tuple[dict[str, bytes], Any, Any, int]:
    """Return what all conversations came to: answers, counts, records and requests."""
    async with served(folder, by_itself) as s:
        answers = {}
        for name, pieces in CONVERSATIONS.items():
            answers[name] = await s.talk(pieces)
        records = [(one.event_id, one.decision) for one in s.service.records]
        return answers, s.counts(), records, s.state.total_requests


async def test_both_ways_answer_count_and_record_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "uvicorn.error")
    ours, theirs = await everything(tmp_path / "ours", True), await everything(tmp_path / "theirs", False)
    assert ours == theirs
    assert all(answer.startswith(b"HTTP/1.1 ") for answer in ours[0].values()), ours[0]
    assert ours[0]["one"].count(b"HTTP/1.1 200 ") == 1 and ours[0]["several in one piece"].count(b"200 OK") == 3


def noted(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Return a list to which the body of each request is added that a connection answers itself."""
    bodies: list[bytes] = []
    receive = _Whole.receive

    async def note(whole: _Whole) -> Any:
        bodies.append(whole.body)
        return await receive(whole)

    monkeypatch.setattr(_Whole, "receive", note)
    return bodies


async def test_only_what_is_usual_and_came_whole_is_answered_by_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = noted(monkeypatch)
    async with served(tmp_path, True) as s:
        for name in ("head and body apart", "a body in chunks", "a query", "HTTP/1.0", "a client that closes", "GET"):
            bodies.clear()
            await s.talk(CONVERSATIONS[name][:1] if name != "head and body apart" else CONVERSATIONS[name])
            assert bodies == ([BODY] if name == "a body in chunks" else []), name
        bodies.clear()
        await s.talk([GOOD, GOOD + GOOD])
        assert bodies == [BODY, BODY]  # the third came while the second was not answered


async def test_a_bug_is_answered_logged_and_ends_the_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> bytes:
        raise ValueError("a bug of a test")

    answers = []
    for by_itself in (True, False):
        async with served(tmp_path / str(by_itself), by_itself) as s:
            monkeypatch.setattr(s.service.tier.app.parts.decider, "answer", broken)
            answers.append((await s.talk([GOOD]), s.counts()))
    assert answers[0] == answers[1] and answers[0][0].startswith(b"HTTP/1.1 500 ")
    assert answers[0][0].endswith(b" and closed")
    assert [one.message for one in caplog.records if one.name == "uvicorn.error"] == [
        "Exception in ASGI application\n"
    ] * 2


async def test_what_is_under_way_at_a_stop_is_answered_and_then_the_connection_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    for by_itself in (True, False):
        async with served(tmp_path / str(by_itself), by_itself) as s:
            decide, going = s.service.tier.app.parts.decider.answer, asyncio.Event()

            async def slow(*asked: Any, decide: Any = decide, going: asyncio.Event = going) -> bytes:
                await going.wait()
                answer: bytes = await decide(*asked)
                return answer

            monkeypatch.setattr(s.service.tier.app.parts.decider, "answer", slow)
            talking = asyncio.create_task(s.talk([GOOD], 1_000))
            await s.takes_on()
            for one in list(s.state.connections):
                one.shutdown()
            going.set()
            answers.append(await talking)
    assert answers[0] == answers[1] and b"connection: close\r\n" in answers[0]
    assert answers[0].endswith(b" and closed")


async def test_a_request_that_the_server_ends_is_answered_as_uvicorn_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "uvicorn.error")

    async def endless(*_: Any) -> bytes:
        await asyncio.Event().wait()
        return b""

    answers = []
    for by_itself in (True, False):
        async with served(tmp_path / str(by_itself), by_itself) as s:
            monkeypatch.setattr(s.service.tier.app.parts.decider, "answer", endless)
            talking = asyncio.create_task(s.talk([GOOD], 1_000))
            await s.takes_on()
            await asyncio.sleep(QUIET)
            for task in list(s.state.tasks):
                task.cancel()
            answers.append(await talking)
    assert answers[0] == answers[1] and answers[0].endswith(b"Internal Server Error and closed")


async def test_a_client_that_goes_while_it_waits_is_sent_nothing_and_its_event_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, True) as s:
        decide, going = s.service.tier.app.parts.decider.answer, asyncio.Event()

        async def slow(*asked: Any) -> bytes:
            await going.wait()
            answer: bytes = await decide(*asked)
            return answer

        monkeypatch.setattr(s.service.tier.app.parts.decider, "answer", slow)
        _, writer = await asyncio.open_connection("127.0.0.1", s.port)
        writer.write(GOOD)
        await soon(lambda: bool(s.state.tasks))
        await asyncio.sleep(QUIET)
        writer.close()
        await soon(lambda: not s.state.connections)
        going.set()
        await soon(lambda: not s.state.tasks)
        assert len(s.service.records) == 1 and not caplog.records
