"""``GET /v1/events/{id}/score``: a merchant polls the result of one of its events."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from ingest_api.bodies import JSON_CONTENT_TYPE
from ingest_api.direct import SCORE_PATH, RawRoute
from ingest_api.documented import either, errors, success
from ingest_api.errors import ApiError, Code
from ingest_api.models import PendingResponse, RejectedResponse
from ingest_api.parts import Parts
from ingest_api.redis_link import RedisAway
from ingest_api.results import State
from ingest_api.score_models import ScoreResponse

MAX_WAIT_SECONDS = 30
_EVENT_ID = re.compile(r"[0-9a-f]{32}")
_SECONDS = re.compile(r"[0-9]{1,2}(\.[0-9]{1,9})?")
_RETRY_SECONDS = 1
_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "event_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "description": "32 hex digits",
        "example": "0190f3a5c1d27b3e8f4a6d5c4b3a2918",
    },
    {
        "name": "wait",
        "in": "query",
        "required": False,
        "schema": {"type": "number", "minimum": 0, "maximum": MAX_WAIT_SECONDS, "default": 0},
        "description": "Seconds",
        "example": 10,
    },
]


def scores_router(parts: Parts) -> APIRouter:
    """Return the route."""
    router = APIRouter(route_class=RawRoute)

    @router.get(
        SCORE_PATH,
        summary="Read a score",
        description=(
            "`wait` holds the request until the score is there, at most that many seconds; it also waits for an event "
            "that has not arrived yet. An event that cannot be scored is answered with `status` `rejected`; a result "
            "has a `score` and no `status`. Unknown events and those of other merchants are answered alike."
        ),
        response_class=Response,
        responses={
            **either(200, "The result, or why there is none", scored=ScoreResponse, rejected=RejectedResponse),
            **success(202, PendingResponse, "Accepted, not scored yet; ask again after Retry-After"),
            304: {"description": "The result is the one that If-None-Match names"},
            **errors(
                *(Code.API_KEY_MISSING, Code.API_KEY_INVALID, Code.WRONG_CREDENTIAL, Code.NOT_FOUND),
                *(Code.INVALID_REQUEST, Code.RATE_LIMITED, Code.RESULTS_UNAVAILABLE),
            ),
        },
        openapi_extra={"security": [{"apiKey": []}], "parameters": _PARAMETERS},
    )
    async def read_score(request: Request) -> Response:
        merchant = await parts.access.merchant(request)
        event_id, wait = request.path_params["event_id"], _wait(request.query_params.get("wait", "0"))
        if not _EVENT_ID.fullmatch(event_id):
            raise ApiError(Code.NOT_FOUND)
        try:
            found = await parts.results.find(merchant, event_id, wait)
        except RedisAway:
            raise ApiError(Code.RESULTS_UNAVAILABLE, retry_after=_RETRY_SECONDS) from None
        if found.state is State.UNKNOWN:
            raise ApiError(Code.NOT_FOUND)
        if found.state is State.PENDING:
            body = msgspec.json.encode({"event_id": event_id, "status": "pending"})
            return Response(body, 202, {"retry-after": str(_RETRY_SECONDS)}, JSON_CONTENT_TYPE)
        return _ready(found.body, request.headers.get("if-none-match"))

    return router


def _wait(text: str) -> float:
    """Return the seconds to wait; ApiError 422."""
    seconds = float(text) if _SECONDS.fullmatch(text) else -1.0
    if not 0 <= seconds <= MAX_WAIT_SECONDS:
        raise ApiError(Code.INVALID_REQUEST, f"Send wait as a number of seconds from 0 to {MAX_WAIT_SECONDS}.")
    return seconds


def _ready(body: bytes, known: str | None) -> Response:
    etag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    if known == etag:
        return Response(status_code=304, headers={"etag": etag})
    return Response(body, 200, {"etag": etag}, JSON_CONTENT_TYPE)
