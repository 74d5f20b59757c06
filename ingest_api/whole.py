"""Requests that came whole, in one piece, are answered without ASGI: its events and tasks cost more than the answer.

The functions that answer are the routes' own, with the request that they always get. A connection mostly sends the
same headers again and again: what a route made of them is remembered with the connection, and only then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final, NamedTuple

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from ingest_api.direct import Handler, RawRequest, answered
from ingest_api.errors import ApiError, Code, answer_to, render

Header = tuple[bytes, bytes]
_LENGTH: Final = b"content-length"
_JSON: Final = b"content-length: %d\r\ncontent-type: application/json\r\n"


class Answer(NamedTuple):
    """What is sent. ``lines``: the header lines after the server's own; ``bug``: what went wrong on our side."""

    status: int
    lines: bytes
    body: bytes
    bug: Exception | None = None


class Steps(NamedTuple):
    """A route that answers with JSON, in two steps, each of which may raise ApiError.

    ``check`` is asked what headers say, and gives the merchant; ``answer`` is asked with the merchant and the body.
    """

    check: Callable[[Request], Awaitable[str]]
    answer: Callable[[str, bytes], Awaitable[bytes]]


class Known:
    """What a connection's last headers said."""

    __slots__ = ("headers", "merchant")

    def __init__(self) -> None:
        self.headers: list[Header] | None = None  # without the length; None: nothing yet
        self.merchant = ""


def _nothing(scope: Scope) -> Iterable[Header]:
    return ()


def _never(request: Request) -> bool:
    return False


class WholeRoute:
    """A route whose function is called with requests that came whole."""

    def __init__(
        self,
        handler: Handler,
        headers: Iterable[Header],
        count: Callable[[int], None],
        steps: Steps | None = None,
        *,
        added: Callable[[Scope], Iterable[Header]] = _nothing,
        admits: Callable[[Request], bool] = _never,
    ) -> None:
        """``headers``: what every answer carries behind its own; ``count`` is told the status of each.

        ``steps``: what the handler does, where headers that are known need not be looked at again. ``added``: what
        an answer carries before ``headers``, by those of its request. ``admits`` says by the headers of a request
        whether its body, which came in part, may be gathered here as a whole.
        """
        self._handler, self._count, self._steps, self._added, self._admits = handler, count, steps, added, admits
        self._last_lines = header_lines(headers)
        self._json_lines = _JSON + self._last_lines.replace(b"%", b"%%")

    def admits(self, scope: Scope) -> bool:
        """Tell whether the rest of a body may be waited for: it is bounded, and from somebody who may send it."""
        return self._admits(RawRequest(scope, _nothing_to_read, _nothing_to_send))

    async def __call__(self, scope: Scope, receive: Receive, size: int, known: Known) -> Answer | None:
        """Return the answer; None where nobody is there to be answered. ``size`` of the body, in bytes."""
        bug = None
        try:
            if self._steps is not None and (headers := _plain(scope, size)) is not None:
                if headers != known.headers:
                    known.headers = None
                    known.merchant = await self._steps.check(RawRequest(scope, receive, _nothing_to_send))
                    known.headers = headers
                return await self._in_steps(self._steps, receive, known.merchant)
            response = await answered(self._handler, RawRequest(scope, receive, _nothing_to_send))
        except ClientDisconnect:
            return None
        except ApiError as error:
            response = answer_to(error)
        except Exception as error:
            response, bug = render(Code.INTERNAL), error
        self._count(response.status_code)
        lines = header_lines((*response.raw_headers, *self._added(scope))) + self._last_lines
        return Answer(response.status_code, lines, bytes(response.body), bug)

    async def _in_steps(self, steps: Steps, receive: Receive, merchant: str) -> Answer:
        """Return the answer to a request whose headers are good."""
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        said = await steps.answer(merchant, message["body"])
        self._count(200)
        return Answer(200, self._json_lines % len(said), said)


def header_lines(headers: Iterable[Header]) -> bytes:
    """Return headers as they are sent."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def _plain(scope: Scope, size: int) -> list[Header] | None:
    """Return the headers without the length of the body, None where that is not said, or not as plainly as can be."""
    found, said = [], None
    for header in scope["headers"]:
        if header[0] == _LENGTH:
            if said is not None:
                return None
            said = header[1]
        else:
            found.append(header)
    return found if said == b"%d" % size else None


async def _nothing_to_read() -> Message:
    raise RuntimeError("whether a body is waited for is said by the headers")


async def _nothing_to_send(message: Message) -> None:
    raise RuntimeError("what answers a whole request returns it")
