"""``GET /v1/events/{id}/explain``: exactly what made the score of one past event, from what is stored of it."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from ingest_api.bodies import JSON_CONTENT_TYPE
from ingest_api.clickhouse_link import ClickHouseAway, ClickHouseBusy
from ingest_api.direct import RawRoute
from ingest_api.documented import errors, success
from ingest_api.errors import ApiError, Code
from ingest_api.explain_models import ExplainResponse
from ingest_api.parts import Parts

EXPLAIN_PATH = "/v1/events/{event_id}/explain"
_EVENT_ID = re.compile(r"[0-9a-f]{32}")
_RETRY_SECONDS = 2
_RETRY_UNSET_SECONDS = 600
_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "event_id",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "description": "32 hex digits",
        "example": "0190f3a5c1d27b3e8f4a6d5c4b3a2918",
    }
]


def explain_router(parts: Parts) -> APIRouter:
    """Return the route."""
    router = APIRouter(route_class=RawRoute)

    @router.get(
        EXPLAIN_PATH,
        summary="Explain a score exactly",
        description=(
            "The exact share (TreeSHAP) that every factor group and its strongest features have in the score, computed "
            "anew from the stored features by the model that scored the event, and whether it comes out as it was "
            "given. For people and reviews, not for every event: calls have a low rate of their own. An event can be "
            "explained a second or two after it was scored, for as long as features are kept (120 days)."
        ),
        response_class=Response,
        responses={
            **success(200, ExplainResponse, "What made the score"),
            **errors(
                *(Code.API_KEY_MISSING, Code.API_KEY_INVALID, Code.WRONG_CREDENTIAL, Code.NOT_FOUND),
                *(Code.FEATURES_GONE, Code.MODEL_GONE, Code.RATE_LIMITED, Code.EXPLAIN_NOT_INSTALLED),
                *(Code.EXPLANATIONS_UNAVAILABLE, Code.CLICKHOUSE_UNSET, Code.SHUTTING_DOWN),
            ),
        },
        openapi_extra={"security": [{"apiKey": []}], "parameters": _PARAMETERS},
    )
    async def explain_event(request: Request) -> Response:
        if parts.draining:
            raise ApiError(Code.SHUTTING_DOWN, retry_after=1)
        merchant = await parts.access.merchant(request)
        event_id = request.path_params["event_id"]
        if not _EVENT_ID.fullmatch(event_id):
            raise ApiError(Code.NOT_FOUND)
        if parts.explanations is None:
            raise ApiError(Code.CLICKHOUSE_UNSET, retry_after=_RETRY_UNSET_SECONDS)
        if not parts.explanations.installed():
            raise ApiError(Code.EXPLAIN_NOT_INSTALLED)
        await parts.rates.explanation(merchant)
        try:
            found = await parts.explanations.explain(merchant, event_id)
        except (ClickHouseAway, ClickHouseBusy):
            found = Code.EXPLANATIONS_UNAVAILABLE
        if isinstance(found, Code):
            raise ApiError(found, retry_after=_RETRY_SECONDS if found is Code.EXPLANATIONS_UNAVAILABLE else None)
        return Response(found, 200, media_type=JSON_CONTENT_TYPE)

    return router
