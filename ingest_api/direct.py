"""The calls that come often go straight to their functions; the framework documents them and serves all else.

Finding one of three routes and passing seven layers of middleware costs FastAPI half a millisecond a request, more than
the call itself. The routes are registered there as well: for OpenAPI, and for the methods that they do not have.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ingest_api.errors import ApiError, Code, answer_to, render

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
SCORE_PATH = "/v1/events/{event_id}/score"
_BEFORE, _AFTER = SCORE_PATH.split("{event_id}")


@lru_cache(256)
def _name(key: str) -> bytes:
    """Return a header's name as it is sent; names are those that routes ask for, a few."""
    return key.lower().encode("latin-1")


class FirstHeaders(Headers):
    """The headers of a request, found by name at once; of one that comes twice the first counts, as always."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        self._first = dict(reversed(self._list))

    def __getitem__(self, key: str) -> str:
        """Return a header; KeyError where there is none."""
        return self._first[_name(key)].decode("latin-1")

    def get(self, key: str, default: Any = None) -> Any:
        """Return a header, or what is given for one that is missing."""
        found = self._first.get(_name(key))
        return default if found is None else found.decode("latin-1")


class RawRequest(Request):
    """A request of a raw route."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self._headers = FirstHeaders(scope)

    @property
    def headers(self) -> Headers:
        """Return them, without asking whether they were looked at before."""
        return self._headers


class RawJson(Response):
    """Status 200 with JSON that is bytes already."""

    media_type = "application/json"

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        """Say how long it is, and what."""
        self.raw_headers = [(b"content-length", b"%d" % len(self.body)), (b"content-type", b"application/json")]


class RawRoute(APIRoute):
    """A route that calls its function with the request as it is, without dependencies or models."""

    def get_route_handler(self) -> Handler:
        """Return the function itself."""
        handler: Handler = self.endpoint
        return handler


class Direct:
    """Serves the raw routes of some routers, and hands every other request to the framework."""

    def __init__(self, framework: ASGIApp, routers: Iterable[APIRouter]) -> None:
        self._framework = framework
        self._handlers: dict[tuple[str, str], Handler] = {
            (method, route.path): route.get_route_handler()
            for router in routers
            for route in router.routes
            if isinstance(route, RawRoute) and ("{" not in route.path or route.path == SCORE_PATH)
            for method in route.methods or ()
        }

    def handler(self, method: str, path: str) -> Handler:
        """Return the function of a raw route."""
        return self._handlers[method, path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request. A bug is answered with 500 and raised again, so that the server logs it."""
        path, values = _template(scope["path"])
        handler = self._handlers.get((scope["method"], path))
        if handler is None:
            await self._framework(scope, receive, send)
            return
        scope["path_params"] = values
        started = False

        async def note_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await (await answered(handler, RawRequest(scope, receive, send)))(scope, receive, note_start)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception:
            if not started:
                await render(Code.INTERNAL)(scope, receive, send)
            raise


async def answered(handler: Handler, request: Request) -> Response:
    """Return what a function answers, or the answer of the error that it raised."""
    try:
        return await handler(request)
    except ApiError as error:
        return answer_to(error)


def _template(path: str) -> tuple[str, dict[str, str]]:
    """Return the path as the routes name it, and the values in it."""
    if path.startswith(_BEFORE) and path.endswith(_AFTER):
        event_id = path[len(_BEFORE) : -len(_AFTER)]
        if event_id and "/" not in event_id:
            return SCORE_PATH, {"event_id": event_id}
    return path, {}
