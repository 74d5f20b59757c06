"""Keep-alive HTTP/1.1 connections to one server: the little that a load generator needs, and costs little."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from typing import NamedTuple, cast

import httptools

_CONNECT_SECONDS = 10.0
_SILENT_SECONDS = 20.0  # only a silent server is timed: a request that waits for its turn is not late
_INFORMATIONAL = 200  # statuses below announce the answer proper


class Answer(NamedTuple):
    """A response."""

    status: int
    body: bytes
    retry_after: str | None


class BrokenAnswer(OSError):
    """The server answered something that is not HTTP/1.1, or nothing at all."""


class _Connection(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self.open = True
        self.used = False
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answer] | None = None
        self._heard = 0.0
        self._body: list[bytes] = []
        self._retry_after: str | None = None
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is no subclass of it

    async def ask(self, request: bytes) -> Answer:
        """Return the answer. BrokenAnswer where the server hangs up, TimeoutError where it keeps silent."""
        if self._transport is None or not self.open:
            raise BrokenAnswer("closed")
        loop = asyncio.get_running_loop()
        self._body, self._retry_after = [], None
        answer = self._answer = loop.create_future()
        self._heard = loop.time()
        timer = loop.call_later(_SILENT_SECONDS, self._check)
        self._transport.write(request)
        try:
            return await answer
        except asyncio.CancelledError:
            self.close()  # the answer would meet the next request
            raise
        finally:
            timer.cancel()
            self._answer, self.used = None, True

    def _check(self) -> None:
        """Give up where nothing came for too long; look again later where something did."""
        loop = asyncio.get_running_loop()
        silent = loop.time() - self._heard
        if self._answer is None or self._answer.done():
            return
        if silent < _SILENT_SECONDS:
            loop.call_later(_SILENT_SECONDS - silent, self._check)
            return
        self._answer.set_exception(TimeoutError())
        self.close()

    def data_received(self, data: bytes) -> None:
        self._heard = asyncio.get_running_loop().time()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._fail(BrokenAnswer("not HTTP"))
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._retry_after = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < _INFORMATIONAL:
            return
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(Answer(status, b"".join(self._body), self._retry_after))

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._fail(BrokenAnswer("hung up"))

    def close(self) -> None:
        """Hang up."""
        self.open = False
        if self._transport is not None:
            self._transport.close()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


class Connections:
    """A bounded number of connections. The one used last is used first, so that the others may fall idle."""

    def __init__(self, host: str, port: int, secure: ssl.SSLContext | None, limit: int) -> None:
        self._host, self._port, self._secure = host, port, secure
        self._idle: list[_Connection] = []
        self._free = limit
        self._queue: deque[asyncio.Future[None]] = deque()

    async def close(self) -> None:
        """Hang up the idle ones; those in use are hung up by the cancelling of their requests."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()
        await asyncio.sleep(0)

    async def ask(self, request: bytes) -> Answer:
        """Send a request (head and body) and return its answer. OSError or TimeoutError where there is none."""
        await self._turn()
        try:
            return await self._ask(request)
        finally:
            self._next()

    async def _ask(self, request: bytes) -> Answer:
        while True:
            connection = self._idle.pop() if self._idle else await self._connect()
            if not connection.open:  # hung up while it was idle
                continue
            before = connection.used
            try:
                answer = await connection.ask(request)
            except BrokenAnswer:
                if before:  # the server closed an idle connection at that moment: whoever sends, repeats
                    continue
                raise
            if connection.open:
                self._idle.append(connection)
            return answer

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._secure)
        return connection

    async def _turn(self) -> None:
        if self._free > 0:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._next()  # it came just then; somebody else may have it
            raise

    def _next(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
