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

DECISIONS_PATH: Final = "/v1/decisions"
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


class DecisionSteps:
    """What the route does: headers first, then the body."""

    def __init__(self, parts: Parts) -> None:
        config = parts.config
        self._parts = parts
        self._reader = Reader(config.entity_key, config.max_skew_seconds * 1_000)
        self.limit = config.max_decision_bytes
        self.too_large = f"The body is too large; send at most {self.limit:,} bytes."

    async def check(self, request: Request) -> str:
        """Return the merchant who asks; ApiError where the headers are not as they should be."""
        self._refuse_at_the_end()
        merchant = await self._parts.access.merchant(request)
        content_type(request, JSON_CONTENT_TYPE)
        return merchant

    async def answer(self, merchant: str, body: bytes, trace: Trace = "matched") -> bytes:
        """Return the answer as JSON; ApiError where there is none."""
        self._refuse_at_the_end()
        if len(body) > self.limit:
            raise ApiError(Code.BODY_TOO_LARGE, self.too_large)
        await self._parts.rates.decision(merchant)
        now_ms = self._parts.clock()
        return await self._parts.decider.answer(merchant, self._reader.read(body, now_ms), now_ms, trace)

    def _refuse_at_the_end(self) -> None:
        if self._parts.draining:
            raise ApiError(Code.SHUTTING_DOWN, retry_after=1)


def decisions_router(parts: Parts) -> APIRouter:
    """Return the route."""
    router = APIRouter(route_class=RawRoute)
    steps = DecisionSteps(parts)

    @router.post(
        DECISIONS_PATH,
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
        merchant = await steps.check(request)
        trace = _trace(request)
        body = await read_body(request, steps.limit, steps.too_large)
        return RawJson(await steps.answer(merchant, body, trace))

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
