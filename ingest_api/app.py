"""The application: routes, errors, headers, and the life of its parts.

app = create_app(config)                  # real Kafka and Redis
app = create_app(config, appender=fake)   # a part handed in
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from starlette.types import Message, Receive, Scope, Send

from ingest_api import errors
from ingest_api.agent_files import agent_router
from ingest_api.clickhouse_link import Connect
from ingest_api.config import IngestConfig
from ingest_api.cors import Cors
from ingest_api.decider import Sources
from ingest_api.decisions import DECISIONS_PATH, DecisionSteps, decisions_router
from ingest_api.delivery import Appender
from ingest_api.direct import Direct
from ingest_api.events import EVENTS_PATH, admits_body, events_router
from ingest_api.explain import explain_router
from ingest_api.labels import labels_router
from ingest_api.metrics import Metrics
from ingest_api.operations import operations_router
from ingest_api.parts import Clock, Parts, assemble
from ingest_api.scores import scores_router
from ingest_api.sessions import sessions_router
from ingest_api.signature import SIGNATURE_HEADER
from ingest_api.watchlists import watchlists_router
from ingest_api.whole import Steps, WholeRoute

_ROUTES = {
    "/v1/sessions": "sessions",
    EVENTS_PATH: "events",
    "/v1/labels": "labels",
    DECISIONS_PATH: "decisions",
    "/v1/watchlists": "watchlists",
    "/v1/snoozes": "watchlists",
    "/healthz": "healthz",
    "/readyz": "readyz",
    "/metrics": "metrics",
    "/openapi.json": "openapi",
}
CODEC_HEADER = "x-clickgoose-codec"
_PREFLIGHT_SECONDS = 7_200  # Chromium keeps no answer longer; Firefox would for a day
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"strict-transport-security", b"max-age=31536000"),
]
_UNCACHED = [*_HEADERS, (b"cache-control", b"no-store")]
_ROUTERS = (
    sessions_router,
    events_router,
    scores_router,
    explain_router,
    labels_router,
    decisions_router,
    watchlists_router,
    operations_router,
    agent_router,
)
_SECURITY = {
    "apiKey": {"type": "http", "scheme": "bearer", "description": "The merchant's API key; for servers only"},
    "token": {"type": "http", "scheme": "bearer", "description": "The session's token"},
}


class IngestApp(FastAPI):
    """FastAPI with the edge around it: CORS where events go, security headers and a count on every answer."""

    parts: Parts
    whole_posts: Mapping[bytes, WholeRoute]  # by path: what a connection may answer itself

    def edge(self, parts: Parts, routers: Sequence[APIRouter]) -> None:
        """Set up what stands around the routes, those of the routers included."""
        for router in routers:
            self.include_router(router)
        self.parts = parts
        self._direct = Direct(super().__call__, routers)
        self._metrics: Metrics = parts.metrics
        self._cors = Cors(
            self._direct,
            allow_origins=parts.config.cors_origins,
            allow_methods=["POST"],
            allow_headers=["authorization", "content-type", SIGNATURE_HEADER],
            expose_headers=["retry-after", "date", CODEC_HEADER],
            allow_credentials=False,
            allow_private_network=True,
            max_age=_PREFLIGHT_SECONDS,
        )
        self._events_headers = _events_headers(parts.config)
        self.whole_posts = {DECISIONS_PATH.encode(): self._decisions(parts), EVENTS_PATH.encode(): self._events(parts)}

    def _decisions(self, parts: Parts) -> WholeRoute:
        """Return the route of decisions, for connections."""
        decide = self._direct.handler("POST", DECISIONS_PATH)
        steps = DecisionSteps(parts)
        counted = partial(parts.metrics.request, "decisions")
        return WholeRoute(decide, self._headers("decisions", 200), counted, Steps(steps.check, steps.answer))

    def _events(self, parts: Parts) -> WholeRoute:
        """Return the route of events, for connections."""
        send = self._direct.handler("POST", EVENTS_PATH)
        counted, admits = partial(parts.metrics.request, "events"), partial(admits_body, parts)
        return WholeRoute(send, self._events_headers, counted, added=self._cors.added, admits=admits)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or the lifespan."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        path: str = scope["path"]
        route = _ROUTES.get(path) or _family(path)

        async def send_at_edge(message: Message) -> None:
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *self._headers(route, status)]
                self._metrics.request(route, status)
            await send(message)

        await (self._cors if route == "events" else self._direct)(scope, receive, send_at_edge)

    def _headers(self, route: str, status: int) -> list[tuple[bytes, bytes]]:
        """Return what an answer carries besides its own headers; the agent says itself how long it may be kept."""
        if route == "events":
            return self._events_headers
        return _HEADERS if route == "agent" and status < 400 else _UNCACHED


def _family(path: str) -> str:
    """Return the name under which a path with values in it is counted."""
    if path.startswith("/agent/"):
        return "agent"
    if path.startswith("/v1/watchlists/"):
        return "watchlists"
    return {"score": "score", "explain": "explain"}.get(path.rpartition("/")[2], "other")


def _events_headers(config: IngestConfig) -> list[tuple[bytes, bytes]]:
    """Return what every answer about events carries: pages may time it, and may be asked to pack their events."""
    headers = [*_UNCACHED, (b"timing-allow-origin", ", ".join(config.cors_origins).encode())]
    if config.agent_codec != "raw":
        headers.append((CODEC_HEADER.encode(), config.agent_codec.encode()))
    return headers


def unix_ms() -> int:
    """Return the time."""
    return time.time_ns() // 1_000_000


def create_app(
    config: IngestConfig,
    *,
    clock: Clock = unix_ms,
    registry: CollectorRegistry | None = None,
    appender: Appender | None = None,
    redis: Callable[[], Redis] | None = None,
    clickhouse: Connect | None = None,
    sources: Sources | None = None,
    decisions: Appender | None = None,
) -> IngestApp:
    """Return the application. BundleError or SpoolError where the agent or the spool directory cannot be used.

    ``sources``: what decisions are made by; without, there are no rules. ``decisions``: what takes their records.
    """
    parts = assemble(config, clock, registry or CollectorRegistry(), appender, redis, clickhouse, sources, decisions)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await parts.start()
        try:
            yield
        finally:
            parts.drain()
            await parts.close()

    app = IngestApp(
        title="clickgoose ingest",
        version="1",
        summary="Sealed browser events in, scores out.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    errors.install(app)
    app.edge(parts, [make(parts) for make in _ROUTERS])
    _document(app)
    return app


def _document(app: FastAPI) -> None:
    """Add the two kinds of credentials to the OpenAPI document, and leave out the framework's error model."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        document.setdefault("components", {})["securitySchemes"] = _SECURITY
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"].get("schemas", {}).pop(name, None)
        return document

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way to extend its document
