"""The signature of a request: HMAC-SHA256 over its time and its body, with the session's own signing key."""

from __future__ import annotations

import hmac
import re

from ingest_api.errors import ApiError, Code

SIGNATURE_HEADER = "X-Clickgoose-Signature"
_FORM = re.compile(r"t=([0-9]{1,16}),v1=([0-9a-f]{64})")


def sign_body(key: bytes, unix_ms: int, body: bytes) -> str:
    """Return the header's value for a body sent at this time."""
    return f"t={unix_ms},v1={_digest(key, str(unix_ms), body).hexdigest()}"


def verify_body(key: bytes, header: str | None, body: bytes, now_ms: int, skew_ms: int) -> None:
    """Return where the signature is right and its time near ours; ApiError otherwise."""
    if not header:
        raise ApiError(Code.SIGNATURE_MISSING)
    found = _FORM.fullmatch(header)
    if found is None:
        raise ApiError(Code.SIGNATURE_INVALID)
    unix_ms, claimed = found.groups()
    if not hmac.compare_digest(_digest(key, unix_ms, body).hexdigest(), claimed):
        raise ApiError(Code.SIGNATURE_INVALID)
    if abs(now_ms - int(unix_ms)) > skew_ms:
        raise ApiError(Code.SIGNATURE_STALE)


def _digest(key: bytes, unix_ms: str, body: bytes) -> hmac.HMAC:
    digest = hmac.new(key, unix_ms.encode() + b".", "sha256")
    digest.update(body)
    return digest
