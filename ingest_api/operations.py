"""``/healthz``, ``/readyz`` and ``/metrics``: what a supervisor and a scraper ask."""

from __future__ import annotations

import asyncio
import time

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ingest_api.documented import errors, success
from ingest_api.models import HealthResponse, ReadyResponse
from ingest_api.parts import Parts

_KAFKA_SECONDS = 1.0
_KEPT_SECONDS = 1.0


class Readiness:
    """Asks the parts at most once a second, however often it is asked itself."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = asyncio.Lock()
        self._until = 0.0
        self._known: ReadyResponse | None = None

    async def __call__(self) -> ReadyResponse:
        """Return the state: ready while events can be accepted, degraded where a part is away."""
        async with self._lock:
            if self._known is None or time.monotonic() > self._until or self._parts.draining:
                self._known = await self._ask()
                self._until = time.monotonic() + _KEPT_SECONDS
            return self._known

    async def _ask(self) -> ReadyResponse:
        delivery = self._parts.delivery
        kafka, redis = await asyncio.gather(delivery.appender.alive(_KAFKA_SECONDS), self._parts.links[0].alive())
        spool, decisions = delivery.spool_writable, self._parts.decider.delivery.spool_writable
        able = (kafka or spool) and not self._parts.draining
        return ReadyResponse(
            status="unready" if not able else "ready" if kafka and spool and decisions and redis else "degraded",
            kafka="ok" if kafka else "away",
            spool="ok" if spool and decisions else "full",
            redis="ok" if redis else "away",
        )


def operations_router(parts: Parts) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    readiness = Readiness(parts)

    @router.get(
        "/healthz",
        summary="Is the process alive",
        response_class=JSONResponse,
        responses={**success(200, HealthResponse, "It is"), **errors()},
    )
    async def healthz() -> Response:
        return JSONResponse({"status": "ok"})

    @router.get(
        "/readyz",
        summary="Can events be accepted",
        description=(
            "503 only where neither Kafka nor the disk can take events. While Redis or one of the two is away the "
            "tier still accepts events, so it stays in service and says `degraded`; also where only the spool of "
            "decisions is full, which `spool` tells too."
        ),
        response_class=JSONResponse,
        responses={
            **success(200, ReadyResponse, "Yes"),
            **success(503, ReadyResponse, "No"),
            **errors(),
        },
    )
    async def readyz() -> Response:
        state = await readiness()
        return JSONResponse(state.model_dump(), 503 if state.status == "unready" else 200)

    @router.get(
        "/metrics",
        summary="Prometheus metrics",
        response_class=Response,
        responses={200: {"description": "Text format", "content": {"text/plain": {"example": "# HELP …"}}}, **errors()},
    )
    async def metrics() -> Response:
        return Response(generate_latest(parts.metrics.registry), 200, {"content-type": CONTENT_TYPE_LATEST})

    return router
