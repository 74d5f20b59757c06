from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from infra.traffic import connections as module
from infra.traffic.api import Api, ApiConfig, TrafficError
from infra.traffic.connections import BrokenAnswer, Connections
from infra.traffic.stats import TrafficStats

REQUEST = b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nRetry-After: 3\r\n\r\nhi"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def _server(serve: Serve, limit: int = 2) -> AsyncIterator[Connections]:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    connections = Connections("127.0.0.1", server.sockets[0].getsockname()[1], None, limit)
    try:
        yield connections
    finally:
        await connections.close()
        server.close()
        await asyncio.sleep(0.01)


class _Counting:
    """Answers every request, or ``answers`` of them a connection, and counts what it sees."""

    def __init__(self, answer: bytes = OK, answers: int = 1_000) -> None:
        self.opened = self.requests = 0
        self._answer, self._answers = answer, answers

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.opened += 1
        for _ in range(self._answers):
            await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            writer.write(self._answer)


async def test_one_connection_carries_requests_that_follow_each_other() -> None:
    serve = _Counting()
    async with _server(serve) as connections:
        answers = [await connections.ask(REQUEST) for _ in range(5)]
    assert {tuple(answer) for answer in answers} == {(200, b"hi", "3")}
    assert (serve.opened, serve.requests) == (1, 5)


async def test_requests_wait_for_one_of_the_bounded_connections() -> None:
    serve = _Counting()
    async with _server(serve, limit=2) as connections:
        await asyncio.gather(*(connections.ask(REQUEST) for _ in range(20)))
    assert serve.opened <= 2
    assert serve.requests == 20


async def test_a_connection_that_the_server_closed_while_idle_is_replaced() -> None:
    serve = _Counting(answers=1)
    async with _server(serve) as connections:
        for _ in range(3):
            assert (await connections.ask(REQUEST)).status == 200
            await asyncio.sleep(0.01)
    assert serve.opened == 3


async def test_a_server_that_says_close_is_believed() -> None:
    serve = _Counting(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    async with _server(serve) as connections:
        await connections.ask(REQUEST)
        await connections.ask(REQUEST)
    assert serve.opened == 2


async def test_chunks_are_put_together_and_announcements_passed_over() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    async with _server(_Counting(b"HTTP/1.1 103 Early Hints\r\n\r\n" + chunked)) as connections:
        assert (await connections.ask(REQUEST)).body == b"abcde"


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n", b""])
async def test_another_protocol_and_a_server_that_hangs_up_are_errors(answer: bytes) -> None:
    async with _server(_Counting(answer, answers=1)) as connections:
        with pytest.raises(BrokenAnswer):
            await connections.ask(REQUEST)


async def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SILENT_SECONDS", 0.05)
    async with _server(_Counting(b"")) as connections:
        with pytest.raises(TimeoutError):
            await connections.ask(REQUEST)


async def test_a_cancelled_request_frees_its_connection() -> None:
    async with _server(_Counting(b""), limit=1) as connections:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connections.ask(REQUEST), 0.02)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(connections.ask(REQUEST), 0.02)


@pytest.mark.parametrize("url", ["ftp://here", "here:80", "http://", "http://here:eighty"])
def test_an_address_that_is_not_one_of_http_is_refused_in_words(url: str) -> None:
    with pytest.raises(TrafficError, match="is not an address of HTTP"):
        Api(ApiConfig(url, {}), TrafficStats())


def test_a_key_that_would_break_the_head_is_refused_in_words() -> None:
    with pytest.raises(TrafficError, match="characters that a header cannot have"):
        Api(ApiConfig("http://127.0.0.1:1", {"demo-shop": "cg_1\r\nX: y"}), TrafficStats())
