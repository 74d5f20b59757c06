"""``POST /v1/labels``: a merchant's back office tells how payments ended, months later if need be."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from ingest_api.bodies import JSON_CONTENT_TYPE, content_type, read_body
from ingest_api.clickhouse_link import ClickHouseAway, ClickHouseBusy
from ingest_api.direct import RawRoute
from ingest_api.documented import errors, json_body, success
from ingest_api.errors import ApiError, Code
from ingest_api.label_items import MAX_LABELS, Label, Refusal, check_label, read_labels
from ingest_api.label_models import LabelsRequest, LabelsResponse
from ingest_api.label_store import LabelStore
from ingest_api.parts import Parts

log = logging.getLogger("ingest.labels")
MAX_BODY = 1_048_576
_AT_ONCE = 32
_RETRY_SECONDS = 5
_RETRY_UNSET_SECONDS = 600
_ENCODER = msgspec.json.Encoder()


def labels_router(parts: Parts) -> APIRouter:
    """Return the route."""
    router = APIRouter(route_class=RawRoute)

    @router.post(
        "/v1/labels",
        summary="Tell how payments ended",
        description=(
            f"1 to {MAX_LABELS:,} labels of your own events, sessions or transactions. Each is answered by itself: "
            "`stored` is a promise (ClickHouse has it), `refused` will never be stored. One label a target: a later "
            "one replaces it, so sending again is safe. Labels count with the next training and the next "
            "`clickgoose reputation build`, not at once."
        ),
        response_class=Response,
        responses={
            **success(200, LabelsResponse, "One outcome per label, in the order sent"),
            **errors(
                *(Code.API_KEY_MISSING, Code.API_KEY_INVALID, Code.WRONG_CREDENTIAL, Code.BODY_TOO_LARGE),
                *(Code.TOO_MANY_LABELS, Code.CONTENT_TYPE_UNSUPPORTED, Code.CONTENT_ENCODING_UNSUPPORTED),
                *(Code.INVALID_REQUEST, Code.RATE_LIMITED, Code.LABELS_UNAVAILABLE, Code.CLICKHOUSE_UNSET),
                Code.SHUTTING_DOWN,
            ),
        },
        openapi_extra={
            "security": [{"apiKey": []}],
            "requestBody": {"required": True, "content": {JSON_CONTENT_TYPE: json_body(LabelsRequest)}},
        },
    )
    async def send_labels(request: Request) -> Response:
        if parts.draining:
            raise ApiError(Code.SHUTTING_DOWN, retry_after=1)
        merchant = await parts.access.merchant(request)
        if parts.labels is None:
            raise ApiError(Code.CLICKHOUSE_UNSET, retry_after=_RETRY_UNSET_SECONDS)
        content_type(request, JSON_CONTENT_TYPE)
        sent = read_labels(await read_body(request, MAX_BODY))
        await parts.rates.labels(merchant, len(sent))
        checked = await _check(parts, sent)
        await _store(parts.labels, merchant, [one for one in checked if isinstance(one, Label)])
        return _answer(parts, merchant, checked)

    return router


async def _check(parts: Parts, sent: Sequence[msgspec.Raw]) -> list[Label | Refusal]:
    """Check every label; whoever sends events meanwhile waits for a few of them at most (up to 0.1 ms each)."""
    now_ms, skew_ms = parts.clock(), parts.config.max_skew_seconds * 1_000
    checked: list[Label | Refusal] = []
    for first in range(0, len(sent), _AT_ONCE):
        checked += [check_label(one, now_ms, skew_ms) for one in sent[first : first + _AT_ONCE]]
        await asyncio.sleep(0)
    return checked


async def _store(store: LabelStore, merchant: str, labels: list[Label]) -> None:
    """Store labels; ApiError 503 where that failed or is not known: all may be sent again."""
    if not labels:
        return
    try:
        await store.store(merchant, labels)
    except (ClickHouseAway, ClickHouseBusy):
        raise ApiError(Code.LABELS_UNAVAILABLE, retry_after=_RETRY_SECONDS) from None


def _answer(parts: Parts, merchant: str, checked: list[Label | Refusal]) -> Response:
    """Count, log, and answer; never a label's id."""
    refused = Counter(one for one in checked if isinstance(one, Refusal))
    stored = len(checked) - refused.total()
    parts.metrics.labels(stored, refused)
    log.info("labels", extra={"merchant": merchant, "stored": stored, "refused": dict(refused)})
    results = [
        {"index": index, "status": "refused", "reason": one}
        if isinstance(one, Refusal)
        else {"index": index, "status": "stored"}
        for index, one in enumerate(checked)
    ]
    body = {"stored": stored, "refused": refused.total(), "results": results}
    return Response(_ENCODER.encode(body), 200, media_type=JSON_CONTENT_TYPE)
