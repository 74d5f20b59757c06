"""What answers about events say to pages of other origins: Starlette's middleware, and what it adds to an answer."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Scope

_ORIGINS = 1_024


class Cors(CORSMiddleware):
    """The middleware; what it adds to answers, preflights apart, can also be had without passing through it."""

    def __init__(self, app: ASGIApp, **choices: Any) -> None:
        """``choices``: the middleware's own."""
        super().__init__(app, **choices)
        self._added = lru_cache(_ORIGINS)(self._add)

    def added(self, scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
        """Return the headers that the answer to a request gets, in their order."""
        origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
        return self._added(b"" if origin is not None and self.allow_all_origins else origin)

    def _add(self, origin: bytes | None) -> tuple[tuple[bytes, bytes], ...]:
        headers, said = MutableHeaders(), (origin or b"").decode("latin-1")
        if origin is not None:
            headers.update(self.simple_headers)
        if origin is not None and not self.allow_all_origins and self.is_allowed_origin(said):
            self.allow_explicit_origin(headers, said)
        else:
            headers["Vary"] = "Origin"
        return tuple(headers.raw)
