"""Session tokens: signed, short-lived, good for sending the events of one session. Nothing is stored.

After its expiry a token still delivers, for a day by default, what the browser kept while this tier was away: events
that were sealed before the expiry, as their headers say. Only the flow can prove a header, so count with a thief who
has an expired token and writes the time that suits. The token alone does nothing: a request is signed with the
session's signing key, and an event that the sealing key did not seal is dead-lettered by the flow. With all three (they
lie together in the browser) the thief can send events of that one session, of one merchant and, where it is bound, of
one device, within the session's rate; before the expiry that was possible as well. Nothing can be read, no session be
opened, nobody else be spoken for, and our own time of arrival in the envelope shows which events came late.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import jwt

from ingest_api.errors import ApiError, Code
from schemas.envelope import Attested
from schemas.keys import KeyRing

ALGORITHM = "HS256"
SCOPE = "ingest"
ISSUER = "clickgoose"
_SALT = b"clickgoose-token"  # 16 bytes: one signing key per master key, apart from every session's keys
_CACHED = 16_384


class _Utf8(json.JSONEncoder):
    """Writes names as they are: escaped, two long ones of another alphabet made a token longer than is accepted."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{**options, "ensure_ascii": False})


@dataclass(frozen=True, slots=True)
class Session:
    """What a verified token says. ``expires_at`` in Unix seconds."""

    session_id: bytes
    key_id: int
    attested: Attested
    device_id: bytes | None
    expires_at: int
    sign_key: bytes = field(repr=False)


class Tokens:
    """Issues and verifies tokens; verified ones are remembered (bounded) as long as they deliver events."""

    def __init__(self, keys: KeyRing, late_seconds: int) -> None:
        """``late_seconds``: how long after its expiry a token still delivers events."""
        self._keys = keys
        self._late_seconds = late_seconds
        self._verified: OrderedDict[str, Session] = OrderedDict()

    def issue(
        self, session_id: bytes, attested: Attested, device_id: bytes | None, expires_at: int, scope: str = SCOPE
    ) -> str:
        """Return the token of a session, under the newest master key."""
        key_id = self._keys.current
        claims: dict[str, Any] = {
            "iss": ISSUER,
            "scope": scope,
            "exp": expires_at,
            "sid": session_id.hex(),
            "mer": attested.merchant,
            "txn": attested.transaction,
            "lid": attested.linked_id,
        }
        if attested.card_token:
            claims["crd"] = attested.card_token
        if attested.event_type:
            claims["evt"] = attested.event_type
        if device_id is not None:
            claims["dev"] = device_id.hex()
        key = self._key(key_id) or b""
        token = jwt.encode(claims, key, ALGORITHM, headers={"kid": str(key_id)}, json_encoder=_Utf8)
        sign_key = self._keys.derive(key_id, session_id, "sign") or b""
        if scope == SCOPE:
            self._remember(token, Session(session_id, key_id, attested, device_id, expires_at, sign_key))
        return token

    def verify(self, token: str, now: int) -> Session:
        """Return the session of a token that delivers events now (Unix seconds); ApiError says why it does not.

        The session may have expired: which of its events still pass is for ``checks.py`` to say.
        """
        known = self._verified.get(token)
        session = known or self._read(token)
        if session.expires_at + self._late_seconds <= now:
            self._verified.pop(token, None)
            raise ApiError(Code.TOKEN_EXPIRED)
        if known is None:
            self._remember(token, session)
        return session

    def _remember(self, token: str, session: Session) -> None:
        """Keep a session: its events mostly come to the process that opened it, and need no reading then."""
        self._verified[token] = session
        if len(self._verified) > _CACHED:
            self._verified.popitem(last=False)

    def is_token(self, text: str) -> bool:
        """Tell whether this is one of our tokens, expired or not."""
        try:
            self._claims(text)
        except jwt.InvalidTokenError:
            return False
        return True

    def _key(self, key_id: int) -> bytes | None:
        return self._keys.derive(key_id, _SALT, "token")

    def _claims(self, token: str) -> tuple[int, dict[str, Any]]:
        """Return key id and claims; jwt.InvalidTokenError otherwise. The algorithm is ours, never the token's.

        The expiry is read, not judged: ``verify`` does that, also for tokens that it remembers.
        """
        kid = jwt.get_unverified_header(token).get("kid")
        key_id = int(kid) if isinstance(kid, str) and kid.isascii() and kid.isdigit() and len(kid) < 11 else -1
        key = self._key(key_id)
        if key is None:
            raise jwt.InvalidTokenError("unknown key id")
        wanted: Any = {"require": ["exp", "iss", "scope", "sid", "mer", "txn", "lid"], "verify_exp": False}
        claims = jwt.decode(token, key, [ALGORITHM], issuer=ISSUER, options=wanted)
        if not isinstance(claims["exp"], int):
            raise jwt.InvalidTokenError("exp is no whole number")
        return key_id, claims

    def _read(self, token: str) -> Session:
        try:
            key_id, claims = self._claims(token)
        except jwt.InvalidTokenError:
            raise ApiError(Code.TOKEN_INVALID) from None
        if claims["scope"] != SCOPE:
            raise ApiError(Code.SCOPE_FORBIDDEN)
        session_id = bytes.fromhex(claims["sid"])
        sign_key = self._keys.derive(key_id, session_id, "sign")
        if sign_key is None:
            raise ApiError(Code.TOKEN_INVALID)
        device = claims.get("dev")
        attested = Attested(claims["mer"], claims["txn"], claims["lid"], claims.get("crd", ""), claims.get("evt", ""))
        device_id = bytes.fromhex(device) if device else None
        return Session(session_id, key_id, attested, device_id, claims["exp"], sign_key)
