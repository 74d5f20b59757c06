"""``POST /v1/decisions``: a merchant's server asks what to do about an event of any kind."""

from __future__ import annotations

from typing import Any, Final, get_args

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ingest_api.bodies import JSON_CONTENT_TYPE, content_type, read_body
from ingest_api.decision_answer import Trace
from ingest_api.decision_models import DecisionRequest, DecisionResponse
from ingest_api.decision_request import Reader
from ingest_api.direct import RawJson, RawRoute
from ingest_api.documented import errors, json_body, success
from ingest_api.errors import ApiError, Code
from ingest_api.parts import Parts

_TRACES: Final = get_args(Trace)
_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "trace",
        "in": "query",
        "required": False,
        "schema": {"type": "string", "enum": list(_TRACES), "default": "matched"},
        "description": "What rules said: of all, each with the values that it saw; of those that matched, erred or "
        "were snoozed; or of none",
        "example": "matched",
    }
]


def decisions_router(parts: Parts) -> APIRouter:
    """Return the route."""
    router = APIRouter(route_class=RawRoute)
    config = parts.config
    limit = config.max_decision_bytes
    too_large = f"The body is too large; send at most {limit:,} bytes."
    reader = Reader(config.entity_key, config.max_skew_seconds * 1_000)

    @router.post(
        "/v1/decisions",
        summary="Decide about an event",
        description=(
            "Judges an event of any kind by the rules in force, with its history and the score of its session, and "
            "answers at once. **Once for an event id**: the same body again gets the first answer with `replayed` "
            "true, for as long as answers are kept (24 hours); another body with the id is refused. Every answer is "
            "recorded before it is given. Where history or lists cannot be asked, `degraded` says so and the "
            "merchant's own policy decides."
        ),
        response_class=Response,
        responses={
            **success(200, DecisionResponse, "The decision, and why"),
            **errors(
                *(Code.API_KEY_MISSING, Code.API_KEY_INVALID, Code.WRONG_CREDENTIAL, Code.EVENT_ID_TAKEN),
                *(Code.BODY_TOO_LARGE, Code.CONTENT_TYPE_UNSUPPORTED, Code.CONTENT_ENCODING_UNSUPPORTED),
                *(Code.INVALID_REQUEST, Code.EVENT_TIME_AHEAD, Code.RATE_LIMITED, Code.DECISION_UNRECORDED),
                Code.SHUTTING_DOWN,
            ),
        },
        openapi_extra={
            "security": [{"apiKey": []}],
            "parameters": _PARAMETERS,
            "requestBody": {"required": True, "content": {JSON_CONTENT_TYPE: json_body(DecisionRequest)}},
        },
    )
    async def decide(request: Request) -> Response:
        if parts.draining:
            raise ApiError(Code.SHUTTING_DOWN, retry_after=1)
        merchant = await parts.access.merchant(request)
        content_type(request, JSON_CONTENT_TYPE)
        trace = _trace(request)
        body = await read_body(request, limit, too_large)
        await parts.rates.decision(merchant)
        now_ms = parts.clock()
        answer = await parts.decider.answer(merchant, reader.read(body, now_ms), now_ms, trace)
        return RawJson(answer)

    return router


def _trace(request: Request) -> Trace:
    if not request.scope["query_string"]:
        return "matched"
    asked = request.query_params.get("trace", "matched")
    for known in _TRACES:
        if asked == known:
            found: Trace = known
            return found
    raise ApiError(Code.INVALID_REQUEST, f"Send trace as {', '.join(_TRACES[:-1])} or {_TRACES[-1]}.")
