"""Reading a request's body within bounds, and the sealed events in it."""

from __future__ import annotations

import struct
from typing import NamedTuple

import msgspec
from fastapi import Request
from starlette.requests import ClientDisconnect

from ingest_api.errors import ApiError, Code
from schemas.framing import FramingError, unpack_frames

JSON_CONTENT_TYPE = "application/json"
BEACON_CONTENT_TYPE = "text/plain"  # the only safelisted type of CORS that a body of bytes can have
MAX_TOKEN = 2_048
MAX_SIGNATURE = 128
_LENGTH = struct.Struct("<H")


class EventsBody(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON form of a body of events: each in base64."""

    events: list[bytes]


class Beacon(NamedTuple):
    """What ``navigator.sendBeacon`` carries in its body, since it cannot set headers."""

    token: str
    signature: str
    frames: bytes


_EVENTS_BODY = msgspec.json.Decoder(EventsBody)


def content_type(request: Request, *allowed: str) -> str:
    """Return the content type without parameters; ApiError 415 for another one or for an encoded body."""
    found = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if found not in allowed:
        raise ApiError(Code.CONTENT_TYPE_UNSUPPORTED, f"Send the body as {' or '.join(allowed)}.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ApiError(Code.CONTENT_ENCODING_UNSUPPORTED)
    return found


async def read_body(request: Request, limit: int, too_large: str | None = None) -> bytes:
    """Return the body; ApiError 413 before more than ``limit`` bytes are held, whatever Content-Length says.

    ``too_large``: what is said then, where it is not about events.
    """
    declared = request.headers.get("content-length")
    if declared is not None and not (declared.isascii() and declared.isdigit() and len(declared) < 16):
        raise ApiError(Code.INVALID_REQUEST)
    if declared is not None and int(declared) > limit:
        raise ApiError(Code.BODY_TOO_LARGE, too_large)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise ApiError(Code.BODY_TOO_LARGE, too_large)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def read_beacon(body: bytes) -> Beacon:
    """Return the parts of ``u16 length | token | u16 length | signature | frames``, little-endian; ApiError 422."""
    token, at = _read_ascii(body, 0, MAX_TOKEN)
    signature, at = _read_ascii(body, at, MAX_SIGNATURE)
    return Beacon(token, signature, body[at:])


def _read_ascii(body: bytes, at: int, limit: int) -> tuple[str, int]:
    """Return the text behind a length of 1 to ``limit``, and where it ends."""
    start = at + _LENGTH.size
    if len(body) < start:
        raise ApiError(Code.INVALID_BEACON)
    end = start + _LENGTH.unpack_from(body, at)[0]
    text = body[start:end]
    if not start < end <= min(len(body), start + limit) or not text.isascii():
        raise ApiError(Code.INVALID_BEACON)
    return text.decode("ascii"), end


def read_events(kind: str, body: bytes, max_events: int) -> list[bytes]:
    """Return the sealed events of a body; ApiError 413 or 422."""
    if kind != JSON_CONTENT_TYPE:
        try:
            return unpack_frames(body, max_events)
        except FramingError as error:
            raise ApiError(Code.TOO_MANY_EVENTS if error.kind == "too_many" else Code.INVALID_FRAMING) from None
    try:
        events = _EVENTS_BODY.decode(body).events
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise ApiError(Code.INVALID_REQUEST, 'Send {"events": [...]} with each sealed event in base64.') from None
    if not events:
        raise ApiError(Code.INVALID_REQUEST, "Send at least one event.")
    if len(events) > max_events:
        raise ApiError(Code.TOO_MANY_EVENTS)
    return events
