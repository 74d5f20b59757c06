"""Every error of the API: a closed set of codes, one status and one sentence each, one shape for all.

A sentence says what to do and never repeats what the client sent.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NamedTuple

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException


class Code(StrEnum):
    """What went wrong."""

    API_KEY_MISSING = "api_key_missing"
    API_KEY_INVALID = "api_key_invalid"
    TOKEN_MISSING = "token_missing"  # noqa: S105 -- a code, no secret
    TOKEN_INVALID = "token_invalid"  # noqa: S105 -- a code, no secret
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 -- a code, no secret
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_INVALID = "signature_invalid"
    SIGNATURE_STALE = "signature_stale"
    WRONG_CREDENTIAL = "wrong_credential"
    SCOPE_FORBIDDEN = "scope_forbidden"
    MERCHANT_FORBIDDEN = "merchant_forbidden"
    NOT_FOUND = "not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    BODY_TOO_LARGE = "body_too_large"
    TOO_MANY_EVENTS = "too_many_events"
    TOO_MANY_LABELS = "too_many_labels"
    TOO_MANY_ENTRIES = "too_many_entries"
    CONTENT_TYPE_UNSUPPORTED = "content_type_unsupported"
    CONTENT_ENCODING_UNSUPPORTED = "content_encoding_unsupported"
    INVALID_REQUEST = "invalid_request"
    INVALID_FRAMING = "invalid_framing"
    INVALID_BEACON = "invalid_beacon"
    RATE_LIMITED = "rate_limited"
    SPOOL_FULL = "spool_full"
    SPOOL_UNAVAILABLE = "spool_unavailable"
    RESULTS_UNAVAILABLE = "results_unavailable"
    EXPLANATIONS_UNAVAILABLE = "explanations_unavailable"
    FEATURES_GONE = "features_gone"
    MODEL_GONE = "model_gone"
    EXPLAIN_NOT_INSTALLED = "explain_not_installed"
    LABELS_UNAVAILABLE = "labels_unavailable"
    LISTS_UNAVAILABLE = "lists_unavailable"
    LIST_MODE = "list_mode"
    EVENT_ID_TAKEN = "event_id_taken"
    EVENT_TIME_AHEAD = "event_time_ahead"
    DECISION_UNRECORDED = "decision_unrecorded"
    CLICKHOUSE_UNSET = "clickhouse_unset"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal"


class Fault(NamedTuple):
    """What belongs to a code: the HTTP status and the sentence."""

    status: int
    message: str


FAULTS: dict[Code, Fault] = {
    Code.API_KEY_MISSING: Fault(401, "Send your merchant API key as Authorization: Bearer <api key>."),
    Code.API_KEY_INVALID: Fault(401, "This API key is not known; check it or ask for a new one."),
    Code.TOKEN_MISSING: Fault(401, "Send the session's token as Authorization: Bearer <token>."),
    Code.TOKEN_INVALID: Fault(401, "This token is not valid here; create a new session."),
    Code.TOKEN_EXPIRED: Fault(401, "This token has expired; create a new session."),
    Code.SIGNATURE_MISSING: Fault(401, "Sign the body and send X-Clickgoose-Signature: t=<unix ms>,v1=<hex>."),
    Code.SIGNATURE_INVALID: Fault(401, "The signature does not match; sign exactly the bytes that are sent."),
    Code.SIGNATURE_STALE: Fault(401, "The signature's time is too far from ours; set the clock and sign again."),
    Code.WRONG_CREDENTIAL: Fault(
        403, "This credential is for another endpoint: tokens send events, API keys do the rest."
    ),
    Code.SCOPE_FORBIDDEN: Fault(403, "This token's scope does not allow sending events."),
    Code.MERCHANT_FORBIDDEN: Fault(403, "This token's merchant may not send events any more."),
    Code.NOT_FOUND: Fault(404, "There is nothing here; check the path and the id."),
    Code.METHOD_NOT_ALLOWED: Fault(405, "This method is not available here; see the Allow header."),
    Code.EVENT_ID_TAKEN: Fault(
        409, "This event id was decided with another body; give each event an id of its own, and repeat it unchanged."
    ),
    Code.LIST_MODE: Fault(409, "This list has another mode, which a name keeps; use another name."),
    Code.FEATURES_GONE: Fault(410, "The features of this event are not kept any more, so nothing can explain it."),
    Code.MODEL_GONE: Fault(410, "The model or the features behind this score are of a build that is gone from here."),
    Code.BODY_TOO_LARGE: Fault(413, "The body is too large; send fewer events at a time."),
    Code.TOO_MANY_EVENTS: Fault(413, "There are too many events in one request; send fewer at a time."),
    Code.TOO_MANY_LABELS: Fault(413, "There are too many labels in one request; send at most 1,000 at a time."),
    Code.TOO_MANY_ENTRIES: Fault(413, "There are too many entries in one request; send fewer at a time."),
    Code.CONTENT_TYPE_UNSUPPORTED: Fault(415, "Send one of the content types that the documentation names."),
    Code.CONTENT_ENCODING_UNSUPPORTED: Fault(415, "Send the body without Content-Encoding."),
    Code.INVALID_REQUEST: Fault(422, "The request does not have the documented form."),
    Code.INVALID_FRAMING: Fault(
        422, "The body is no sequence of frames: each is a u32 little-endian length and its bytes."
    ),
    Code.INVALID_BEACON: Fault(
        422, "The body is no beacon: u16 length and token, u16 length and signature, then the frames."
    ),
    Code.EVENT_TIME_AHEAD: Fault(422, "The event's time lies ahead of our clock; send when it happened."),
    Code.RATE_LIMITED: Fault(429, "Too many requests; wait as long as Retry-After says."),
    Code.SPOOL_FULL: Fault(503, "Events cannot be stored for the moment; send them again after Retry-After."),
    Code.SPOOL_UNAVAILABLE: Fault(503, "Events cannot be stored for the moment; send them again after Retry-After."),
    Code.RESULTS_UNAVAILABLE: Fault(503, "Results cannot be read for the moment; ask again after Retry-After."),
    Code.EXPLANATIONS_UNAVAILABLE: Fault(
        503, "Explanations cannot be made for the moment; ask again after Retry-After."
    ),
    Code.LABELS_UNAVAILABLE: Fault(503, "Labels cannot be stored for the moment; send them again after Retry-After."),
    Code.LISTS_UNAVAILABLE: Fault(
        503, "Lists cannot be changed or asked for the moment; send the same again after Retry-After."
    ),
    Code.DECISION_UNRECORDED: Fault(
        503, "The decision cannot be recorded for the moment; send the same event again after Retry-After."
    ),
    Code.CLICKHOUSE_UNSET: Fault(503, "This server knows no ClickHouse, which this call needs; ask who runs it."),
    Code.SHUTTING_DOWN: Fault(503, "This server is being replaced; send the request again."),
    Code.EXPLAIN_NOT_INSTALLED: Fault(501, "This server cannot explain: it runs without clickgoose[train]."),
    Code.INTERNAL: Fault(500, "Something went wrong on our side; send the request again later."),
}
_BY_STATUS = {404: Code.NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED, 413: Code.BODY_TOO_LARGE}


class ApiError(Exception):
    """An answer other than success; raise it anywhere below a route."""

    def __init__(self, code: Code, detail: str | None = None, retry_after: float | None = None) -> None:
        """``detail`` replaces the code's sentence, and must not hold anything that the client sent."""
        super().__init__(code)
        self.code, self.detail, self.retry_after = code, detail, retry_after


def render(code: Code, detail: str | None = None, headers: dict[str, str] | None = None) -> Response:
    """Return the answer of an error."""
    fault = FAULTS[code]
    body = msgspec.json.encode({"error": {"code": code, "message": detail or fault.message}})
    extra = dict(headers or {})
    if fault.status == 401:
        extra["www-authenticate"] = "Bearer"
    return Response(body, fault.status, extra, "application/json")


def answer_to(error: ApiError) -> Response:
    """Return the answer of an error that was raised."""
    after = {} if error.retry_after is None else {"retry-after": retry_header(error.retry_after)}
    return render(error.code, error.detail, after)


def retry_header(seconds: float) -> str:
    """Return whole seconds, at least one, for Retry-After."""
    return str(max(1, int(-(-seconds // 1))))


def install(app: FastAPI) -> None:
    """Give all errors the one shape, those of the framework included."""

    async def on_api_error(request: Request, error: Any) -> Response:
        return answer_to(error)

    async def on_invalid(request: Request, error: Any) -> Response:
        return render(Code.INVALID_REQUEST)

    async def on_http(request: Request, error: Any) -> Response:
        code = _BY_STATUS.get(error.status_code)
        if code is None:
            code = Code.INTERNAL if error.status_code >= 500 else Code.INVALID_REQUEST
        allow = (error.headers or {}).get("Allow")
        return render(code, headers={"allow": allow} if allow else None)

    async def on_bug(request: Request, error: Exception) -> Response:
        return render(Code.INTERNAL)

    app.add_exception_handler(ApiError, on_api_error)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(Exception, on_bug)
