"""HTTP connections that send an answer's head and body in one piece, and answer some requests by themselves.

A request that came whole, with nothing unusual about it and nothing before it that waits, needs none of ASGI's events;
what is answered is the same, byte for byte. Whole is what came in one piece, or what its route waits for: the body of
somebody who may send it, and of a bounded size. Every other request goes uvicorn's way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final, cast

from starlette.types import Message
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from ingest_api.whole import Answer, Known, WholeRoute, header_lines

_BUG: Final = "Exception in ASGI application\n"  # uvicorn's own words, by which logs are searched
_CLOSE: Final = b"connection: close\r\n"
_ENDED: Final = Answer(
    500, b"content-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n", b"Internal Server Error"
)
"""What uvicorn answers where a request was ended before it was answered."""


class _OnePiece:
    """A transport that gathers what is written within one turn of the event loop.

    uvicorn writes head and body apart; over TLS that is two records, two system calls and two packets an answer.
    """

    __slots__ = ("_inner", "_loop", "_waiting")

    def __init__(self, inner: asyncio.Transport) -> None:
        self._inner = inner
        self._loop = asyncio.get_running_loop()
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send this with what follows in this turn."""
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)

    def write_whole(self, data: bytes) -> None:
        """Send this, after what waits, at once: nothing belongs to it that follows."""
        if self._waiting:
            self._waiting.append(data)
            self._flush()
        elif not self._inner.is_closing():
            self._inner.write(data)

    def close(self) -> None:
        """Close after what was written."""
        self._flush()
        self._inner.close()

    def _flush(self) -> None:
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting.clear()
            if not self._inner.is_closing():
                self._inner.write(data)

    def __getattr__(self, name: str) -> Any:
        """Leave everything else to the transport."""
        return getattr(self._inner, name)


class _Unheard:
    """Stands for the event on which uvicorn's cycle waits for more of a request: there is no more."""

    def set(self) -> None:
        """Do nothing."""


_UNHEARD: Final = _Unheard()


class _Whole:
    """A request that came whole, with what uvicorn's connection asks of its cycle."""

    __slots__ = ("body", "disconnected", "keep_alive", "response_complete", "scope")
    message_event = _UNHEARD

    def __init__(self, scope: dict[str, Any], path: bytes) -> None:
        self.scope, self.body = scope, b""
        scope["method"], scope["path"], scope["raw_path"], scope["query_string"] = "POST", path.decode(), path, b""
        self.disconnected = False
        self.keep_alive = True
        self.response_complete = False

    async def receive(self) -> Message:
        """Return the body, as ASGI does; a client that has gone is not served."""
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self.body, "more_body": False}


class Connection(HttpToolsProtocol):
    """uvicorn's connection over such a transport."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """As uvicorn makes it."""
        super().__init__(*args, **kwargs)
        config = self.config
        usual = not (config.root_path or config.limit_concurrency or config.reset_contextvars or self.access_log)
        found = getattr(self.app, "whole_posts", {}) if usual else {}
        self._whole_posts: Mapping[bytes, WholeRoute] = found
        self._coming: list[bytes] | None = None  # the body so far of a request that may come whole
        self._gathered: _Whole | None = None  # the request, where more pieces of it are waited for
        self._server_headers: list[tuple[bytes, bytes]] | None = None
        self._server_lines = b""
        self._known: dict[bytes, Known] = {path: Known() for path in found}
        self._rests: asyncio.TimerHandle | None = None  # one for all pauses between requests
        self._rests_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Begin."""
        self._one_piece = _OnePiece(transport)
        super().connection_made(cast(asyncio.Transport, self._one_piece))  # it does what uvicorn asks of it

    def data_received(self, data: bytes) -> None:
        """Read; a request of which more is to come goes uvicorn's way, unless its route waits for all of it."""
        self._rests_since = None
        super().data_received(data)
        if self._coming is not None and self._gathered is None and not self._is_waited_for():
            self._leave_to_uvicorn()

    def on_headers_complete(self) -> None:
        """Wait for the rest of a request that may have come whole."""
        if self.url in self._whole_posts and self._is_plain():
            self._coming = []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        if self._coming is None:
            super().on_body(body)
        else:
            self._coming.append(body)

    def on_message_complete(self) -> None:
        """Answer a request that came whole."""
        if self._coming is None:
            super().on_message_complete()
            return
        cycle = self._gathered or self._begin()
        cycle.body = b"".join(self._coming)
        self._coming = self._gathered = None
        task = self.loop.create_task(self._serve(cycle, self._whole_posts[self.url], self._known[self.url]))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _begin(self) -> _Whole:
        """Note that a request is under way."""
        cycle = _Whole(cast(dict[str, Any], self.scope), self.url)
        self.cycle = cycle  # type: ignore[assignment] # it has what uvicorn asks of one
        return cycle

    def _is_waited_for(self) -> bool:
        """Tell whether a body that came in part is gathered here, as nobody need be told of its pieces."""
        if self.parser is None or self.transport.is_closing():
            return False
        if not self._whole_posts[self.url].admits(cast(dict[str, Any], self.scope)):
            return False
        self._gathered = self._begin()
        return True

    def _is_plain(self) -> bool:
        """Tell whether nothing is unusual about a request, and nothing waits before it."""
        parser, before = self.parser, self.cycle
        return (
            (before is None or before.response_complete)
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
        )

    def _leave_to_uvicorn(self) -> None:
        """Begin as uvicorn would have done."""
        parts, self._coming = self._coming or [], None
        if self.parser is None or self.transport.is_closing():
            return
        super().on_headers_complete()
        for part in parts:
            super().on_body(part)

    async def _serve(self, cycle: _Whole, route: WholeRoute, known: Known) -> None:
        """Answer, as uvicorn's cycle does with an application."""
        try:
            answer = await route(cycle.scope, cycle.receive, len(cycle.body), known)
            if answer is not None:
                await self._send(cycle, answer)
        except BaseException as error:  # the server ends what takes too long at its stop, by cancelling it
            self.logger.error(_BUG, exc_info=error)
            if cycle.response_complete:
                self.transport.close()
            else:
                cycle.keep_alive = False
                await self._send(cycle, _ENDED)
        else:
            if answer is not None and answer.bug is not None:
                self.logger.error(_BUG, exc_info=answer.bug)
                self.transport.close()

    async def _send(self, cycle: _Whole, answer: Answer) -> None:
        """Send an answer, once the client has taken what it was sent before."""
        if self.flow.write_paused and not cycle.disconnected:
            await self.flow.drain()
        if cycle.disconnected:
            return
        headers = self.server_state.default_headers  # another list once a second, for the date
        if headers is not self._server_headers:
            self._server_headers, self._server_lines = headers, header_lines(headers)
        end = b"\r\n" if cycle.keep_alive else _CLOSE + b"\r\n"
        self._one_piece.write_whole(
            b"".join((STATUS_LINE[answer.status], self._server_lines, answer.lines, end, answer.body))
        )
        cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        if self.pipeline:
            self.on_response_complete()
        else:
            self._rest()

    def _rest(self) -> None:
        """Wait for another request, as uvicorn does: which makes and cancels a timer for every pause."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        self._rests_since = self.loop.time()
        if self._rests is None:
            self._rests = self.loop.call_later(self.timeout_keep_alive, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        """Close where no request has come for so long; look again when that may be."""
        self._rests = None
        if self._rests_since is None:
            return  # one is under way, or goes uvicorn's way
        left = self._rests_since + self.timeout_keep_alive - self.loop.time()
        if left <= 0:
            self.timeout_keep_alive_handler()
        else:
            self._rests = self.loop.call_later(left, self._look_at_the_time)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._coming = self._gathered = None
        if self._rests is not None:
            self._rests.cancel()
            self._rests = None
        super().connection_lost(exc)
