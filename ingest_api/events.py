"""``POST /v1/events``: the hot path. Check the request once and each event's header once, deliver, answer."""

from __future__ import annotations

import logging
from collections import Counter

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from ingest_api.bodies import JSON_CONTENT_TYPE, content_type, read_body, read_events
from ingest_api.checks import STATUS_OF, Checked, Reason, Status
from ingest_api.direct import RawRoute
from ingest_api.documented import errors, json_body, success
from ingest_api.errors import ApiError, Code
from ingest_api.models import EventsRequest, EventsResponse
from ingest_api.parts import Parts
from ingest_api.signature import SIGNATURE_HEADER, verify_body
from ingest_api.tokens import Session
from schemas.framing import FRAMES_CONTENT_TYPE

log = logging.getLogger("ingest.events")
_ENCODER = msgspec.json.Encoder()
_RETRY_SECONDS = 5
_ANSWERS = {reason: (status.value, reason.value) for reason, status in STATUS_OF.items()}
_FRAMES_DOC = {
    "schema": {"type": "string", "format": "binary"},
    "description": "One or more frames: a u32 little-endian length and a sealed event",
}


def events_router(parts: Parts) -> APIRouter:
    """Return the route."""
    router = APIRouter(route_class=RawRoute)
    config = parts.config
    skew_ms = config.max_skew_seconds * 1_000

    @router.post(
        "/v1/events",
        summary="Send sealed events",
        description=(
            "Each event is answered by itself: `ok` is a promise (Kafka or the disk has it), `retry` asks for it again "
            "later, `drop` says that it will never be accepted. Payloads stay sealed here."
        ),
        response_class=Response,
        responses={
            **success(200, EventsResponse, "One outcome per event, in the order sent"),
            **errors(
                *(Code.TOKEN_MISSING, Code.TOKEN_INVALID, Code.TOKEN_EXPIRED, Code.SIGNATURE_MISSING),
                *(Code.SIGNATURE_INVALID, Code.SIGNATURE_STALE, Code.WRONG_CREDENTIAL, Code.SCOPE_FORBIDDEN),
                *(Code.MERCHANT_FORBIDDEN, Code.BODY_TOO_LARGE, Code.TOO_MANY_EVENTS, Code.CONTENT_TYPE_UNSUPPORTED),
                *(Code.CONTENT_ENCODING_UNSUPPORTED, Code.INVALID_REQUEST, Code.INVALID_FRAMING, Code.RATE_LIMITED),
                *(Code.SPOOL_FULL, Code.SPOOL_UNAVAILABLE, Code.SHUTTING_DOWN),
            ),
        },
        openapi_extra={
            "security": [{"token": []}],
            "parameters": [
                {
                    "name": SIGNATURE_HEADER,
                    "in": "header",
                    "required": True,
                    "schema": {"type": "string", "pattern": "^t=[0-9]{1,16},v1=[0-9a-f]{64}$"},
                    "description": "v1 is HMAC-SHA256(sign_key, t + '.' + body) in hex",
                }
            ],
            "requestBody": {
                "required": True,
                "content": {FRAMES_CONTENT_TYPE: _FRAMES_DOC, JSON_CONTENT_TYPE: json_body(EventsRequest)},
            },
        },
    )
    async def send_events(request: Request) -> Response:
        if parts.draining:
            raise ApiError(Code.SHUTTING_DOWN, retry_after=1)
        kind = content_type(request, FRAMES_CONTENT_TYPE, JSON_CONTENT_TYPE)
        session = await parts.access.session(request)
        body = await read_body(request, config.max_request_bytes)
        now_ms = parts.clock()
        verify_body(session.sign_key, request.headers.get(SIGNATURE_HEADER), body, now_ms, skew_ms)
        sealed = read_events(kind, body, config.max_events_per_request)
        address = parts.access.address(request)
        checked = parts.checks(session, sealed, address, now_ms)
        await parts.rates.events(session.session_id, session.attested.merchant, address, len(sealed), _passed(checked))
        return _answer(parts, session, checked.event_ids, await _deliver(parts, checked))

    return router


def _passed(checked: Checked) -> list[str]:
    """Return the ids of the events that go on."""
    return [i for i, r in zip(checked.event_ids, checked.reasons, strict=True) if r is None and i is not None]


async def _deliver(parts: Parts, checked: Checked) -> list[Reason]:
    """Deliver what passed; return a reason for every event."""
    if not checked.records:
        return [reason for reason in checked.reasons if reason is not None]
    outcomes = iter(await parts.delivery.deliver(checked.records))
    return [next(outcomes) if reason is None else reason for reason in checked.reasons]


def _answer(parts: Parts, session: Session, event_ids: list[str | None], reasons: list[Reason]) -> Response:
    """Count, log what is not plain success, and answer."""
    counts = Counter(reasons)
    for reason, count in counts.items():
        parts.metrics.events(reason, count)
    if len(counts) > 1 or Reason.APPENDED not in counts:
        log.info("events", extra={"merchant": session.attested.merchant, "reasons": dict(counts)})
    headers = None
    if any(STATUS_OF[reason] is Status.RETRY for reason in counts):
        if all(STATUS_OF[reason] is Status.RETRY for reason in counts):
            raise ApiError(Code(reasons[0].value), retry_after=_RETRY_SECONDS)
        headers = {"retry-after": str(_RETRY_SECONDS)}
    results = []
    for event_id, reason in zip(event_ids, reasons, strict=True):
        status, why = _ANSWERS[reason]
        results.append({"event_id": event_id, "status": status, "reason": why})
    return Response(_ENCODER.encode({"results": results}), 200, headers, JSON_CONTENT_TYPE)
