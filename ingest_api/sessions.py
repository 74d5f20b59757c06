"""``POST /v1/sessions``: a merchant's server opens a session and hands token and keys to its page."""

from __future__ import annotations

import base64
import secrets
import struct

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from ingest_api.bodies import JSON_CONTENT_TYPE, content_type, read_body
from ingest_api.direct import RawRoute
from ingest_api.documented import errors, json_body, success
from ingest_api.errors import ApiError, Code
from ingest_api.models import Limits, SessionRequest, SessionResponse
from ingest_api.names import refuse_personal_data
from ingest_api.parts import Parts
from schemas.envelope import Attested
from schemas.keys import Purpose

_MAX_BODY = 8_192
_AGENT_KEY = struct.Struct("<BI16s32s32s")
_AGENT_KEY_VERSION = 1


def sessions_router(parts: Parts) -> APIRouter:
    """Return the route."""
    router = APIRouter(route_class=RawRoute)

    @router.post(
        "/v1/sessions",
        summary="Open a session",
        description=(
            "Your server calls this with its API key and hands `endpoint`, `token` and `key` to the page, for "
            "`clickgoose.start`. Nothing is stored."
        ),
        status_code=201,
        response_class=Response,
        responses={
            **success(201, SessionResponse, "Token and keys of the new session"),
            **errors(
                *(Code.API_KEY_MISSING, Code.API_KEY_INVALID, Code.WRONG_CREDENTIAL, Code.BODY_TOO_LARGE),
                *(Code.CONTENT_TYPE_UNSUPPORTED, Code.CONTENT_ENCODING_UNSUPPORTED, Code.INVALID_REQUEST),
                *(Code.RATE_LIMITED, Code.SHUTTING_DOWN),
            ),
        },
        openapi_extra={
            "security": [{"apiKey": []}],
            "requestBody": {"required": True, "content": {JSON_CONTENT_TYPE: json_body(SessionRequest)}},
        },
    )
    async def open_session(request: Request) -> Response:
        if parts.draining:
            raise ApiError(Code.SHUTTING_DOWN, retry_after=1)
        merchant = await parts.access.merchant(request)
        content_type(request, JSON_CONTENT_TYPE)
        wanted = _read(await read_body(request, _MAX_BODY))
        await parts.rates.session(merchant)
        opened = _open(parts, merchant, wanted)
        return Response(opened.model_dump_json(), 201, media_type=JSON_CONTENT_TYPE)

    return router


def _read(body: bytes) -> SessionRequest:
    """Return the body; ApiError 422 names the fields, never their values."""
    try:
        wanted = SessionRequest.model_validate_json(body)
    except ValidationError as error:
        known = SessionRequest.model_fields
        wrong = sorted({str(e["loc"][0]) for e in error.errors() if e["loc"] and e["loc"][0] in known})
        detail = (
            f"Check these fields: {', '.join(wrong)}." if wrong else "Send a JSON object with the documented fields."
        )
        raise ApiError(Code.INVALID_REQUEST, detail) from None
    refuse_personal_data(wanted)
    return wanted


def _open(parts: Parts, merchant: str, wanted: SessionRequest) -> SessionResponse:
    config = parts.config
    session_id = secrets.token_bytes(16)
    expires_at = parts.clock() // 1_000 + config.session_ttl_seconds
    attested = Attested(merchant, wanted.transaction, wanted.linked_id, wanted.card_token, wanted.event_type)
    device_id = bytes.fromhex(wanted.device_id) if wanted.device_id else None
    seal_key, sign_key = _key(parts, session_id, "seal"), _key(parts, session_id, "sign")
    return SessionResponse(
        session_id=session_id.hex(),
        key_id=config.keys.current,
        token=parts.tokens.issue(session_id, attested, device_id, expires_at),
        expires_at=expires_at,
        key=agent_key(config.keys.current, session_id, seal_key, sign_key),
        seal_key=base64.b64encode(seal_key).decode(),
        sign_key=base64.b64encode(sign_key).decode(),
        codec=config.agent_codec,
        endpoint=f"{config.public_url}/v1/events",
        device_id=wanted.device_id,
        limits=Limits(
            max_event_bytes=config.max_event_bytes,
            max_request_bytes=config.max_request_bytes,
            max_events_per_request=config.max_events_per_request,
            max_skew_seconds=config.max_skew_seconds,
        ),
    )


def _key(parts: Parts, session_id: bytes, purpose: Purpose) -> bytes:
    return parts.config.keys.derive(parts.config.keys.current, session_id, purpose) or b""


def agent_key(key_id: int, session_id: bytes, seal_key: bytes, sign_key: bytes) -> str:
    """Return what the agent seals and signs with as one text: base64url, without padding.

    ``version u8 = 1 | key id u32, little-endian | session id 16 | sealing key 32 | signing key 32``, 85 bytes.
    """
    packed = _AGENT_KEY.pack(_AGENT_KEY_VERSION, key_id, session_id, seal_key, sign_key)
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()
