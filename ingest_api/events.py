"""``POST /v1/events``: the hot path. Check the request once and each event's header once, deliver, answer."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final, NamedTuple, cast

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from ingest_api.access import bearer
from ingest_api.bodies import (
    BEACON_CONTENT_TYPE,
    JSON_CONTENT_TYPE,
    MAX_SIGNATURE,
    MAX_TOKEN,
    content_type,
    read_beacon,
    read_body,
    read_events,
)
from ingest_api.checks import STATUS_OF, Checked, Reason, Status
from ingest_api.direct import RawJson, RawRoute
from ingest_api.documented import errors, json_body, success
from ingest_api.errors import ApiError, Code
from ingest_api.models import EventsRequest, EventsResponse
from ingest_api.parts import Parts
from ingest_api.signature import SIGNATURE_HEADER, verify_body
from ingest_api.tokens import Session
from schemas.framing import FRAMES_CONTENT_TYPE

log = logging.getLogger("ingest.events")
EVENTS_PATH: Final = "/v1/events"
_ENCODER = msgspec.json.Encoder()
_RETRY_SECONDS = 5
_ANSWERS = {reason: (status.value, reason.value) for reason, status in STATUS_OF.items()}
_FIRST, _LAST = '{"results":[{"event_id":"', '","status":"ok","reason":"appended"}]}'
_BETWEEN = _LAST.removesuffix("]}") + ',{"event_id":"'
_FRAMES_DOC = {
    "schema": {"type": "string", "format": "binary"},
    "description": "One or more frames: a u32 little-endian length and a sealed event",
}
_BEACON_DOC = {
    "schema": {"type": "string", "format": "binary"},
    "description": (
        f"For `navigator.sendBeacon`, which cannot set headers: u16 length and token (at most {MAX_TOKEN} bytes), u16 "
        f"length and signature of the frames (at most {MAX_SIGNATURE}), frames; lengths are little-endian. The headers "
        f"Authorization and {SIGNATURE_HEADER} are not looked at."
    ),
}


class _Sent(NamedTuple):
    """A request whose token and signature are right: its events in the form ``kind``, and when all was there."""

    session: Session
    kind: str
    events: bytes
    received_ms: int


def events_router(parts: Parts) -> APIRouter:
    """Return the route."""
    router = APIRouter(route_class=RawRoute)
    max_events = parts.config.max_events_per_request

    @router.post(
        EVENTS_PATH,
        summary="Send sealed events",
        description=(
            "Each event is answered by itself: `ok` is a promise (Kafka or the disk has it), `retry` asks for it again "
            "later, `drop` says that it will never be accepted. Payloads stay sealed here. After its expiry a token "
            "still delivers events that were sealed before it, for `CLICKGOOSE_INGEST__MAX_AGE_SECONDS`."
        ),
        response_class=Response,
        responses={
            **success(200, EventsResponse, "One outcome per event, in the order sent"),
            **errors(
                *(Code.TOKEN_MISSING, Code.TOKEN_INVALID, Code.TOKEN_EXPIRED, Code.SIGNATURE_MISSING),
                *(Code.SIGNATURE_INVALID, Code.SIGNATURE_STALE, Code.WRONG_CREDENTIAL, Code.SCOPE_FORBIDDEN),
                *(Code.MERCHANT_FORBIDDEN, Code.BODY_TOO_LARGE, Code.TOO_MANY_EVENTS, Code.CONTENT_TYPE_UNSUPPORTED),
                *(Code.CONTENT_ENCODING_UNSUPPORTED, Code.INVALID_REQUEST, Code.INVALID_FRAMING, Code.INVALID_BEACON),
                *(Code.RATE_LIMITED, Code.SPOOL_FULL, Code.SPOOL_UNAVAILABLE, Code.SHUTTING_DOWN),
            ),
        },
        openapi_extra={
            "security": [{"token": []}, {}],  # a beacon has it in its body
            "parameters": [
                {
                    "name": SIGNATURE_HEADER,
                    "in": "header",
                    "required": False,
                    "schema": {"type": "string", "pattern": "^t=[0-9]{1,16},v1=[0-9a-f]{64}$"},
                    "description": (
                        "v1 is HMAC-SHA256(sign_key, t + '.' + body) in hex, t the time of sending; required but for a "
                        "beacon, which carries it in its body"
                    ),
                }
            ],
            "requestBody": {
                "required": True,
                "content": {
                    FRAMES_CONTENT_TYPE: _FRAMES_DOC,
                    JSON_CONTENT_TYPE: json_body(EventsRequest),
                    BEACON_CONTENT_TYPE: _BEACON_DOC,
                },
            },
        },
    )
    async def send_events(request: Request) -> Response:
        if parts.draining:
            raise ApiError(Code.SHUTTING_DOWN, retry_after=1)
        session, kind, events, now_ms = await _authentic(parts, request)
        sealed = read_events(kind, events, max_events)
        address = parts.access.address(request)
        checked = parts.checks(session, sealed, address, now_ms)
        await parts.rates.events(session.session_id, session.attested.merchant, address, len(sealed), _passed(checked))
        return _answer(parts, session, checked.event_ids, await _deliver(parts, checked))

    return router


def admits_body(parts: Parts, request: Request) -> bool:
    """Tell by a request's headers whether its body may be held before anything is done with it.

    Its size is said and within the limit, and the token is good: nobody else has a megabyte held for him.
    """
    length = request.headers.get("content-length", "")
    if not (
        length.isascii() and length.isdigit() and len(length) < 16 and int(length) <= parts.config.max_request_bytes
    ):
        return False
    return parts.access.is_known(request, parts.clock() // 1_000)


async def _authentic(parts: Parts, request: Request) -> _Sent:
    """Read a request of either kind; ApiError where its token or its signature is not right."""
    kind = content_type(request, FRAMES_CONTENT_TYPE, JSON_CONTENT_TYPE, BEACON_CONTENT_TYPE)
    signature: str | None
    if kind == BEACON_CONTENT_TYPE:
        token, signature, events = read_beacon(await read_body(request, parts.config.max_request_bytes))
        session = await parts.access.session(request, token, parts.clock() // 1_000)
    else:
        signature = request.headers.get(SIGNATURE_HEADER)
        session = await parts.access.session(request, bearer(request), parts.clock() // 1_000)
        events = await read_body(request, parts.config.max_request_bytes)
    now_ms = parts.clock()
    verify_body(session.sign_key, signature, events, now_ms, parts.config.max_skew_seconds * 1_000)
    return _Sent(session, kind, events, now_ms)


def _passed(checked: Checked) -> list[str]:
    """Return the ids of the events that go on."""
    if len(checked.records) == len(checked.event_ids):
        return cast(list[str], checked.event_ids)
    return [i for i, r in zip(checked.event_ids, checked.reasons, strict=True) if r is None and i is not None]


async def _deliver(parts: Parts, checked: Checked) -> list[Reason]:
    """Deliver what passed; return a reason for every event."""
    if not checked.records:
        return [reason for reason in checked.reasons if reason is not None]
    delivered = await parts.delivery.deliver(checked.records)
    if len(delivered) == len(checked.reasons):
        return delivered
    outcomes = iter(delivered)
    return [next(outcomes) if reason is None else reason for reason in checked.reasons]


def _answer(parts: Parts, session: Session, event_ids: list[str | None], reasons: list[Reason]) -> Response:
    """Count, log what is not plain success, and answer."""
    if reasons.count(Reason.APPENDED) == len(reasons):
        parts.metrics.events(Reason.APPENDED, len(reasons))
        return RawJson("".join((_FIRST, _BETWEEN.join(cast(list[str], event_ids)), _LAST)).encode())
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
