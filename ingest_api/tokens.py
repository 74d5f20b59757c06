"""Session tokens: signed, short-lived, good for sending the events of one session. Nothing is stored."""

from __future__ import annotations

import time
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
    """Issues and verifies tokens; verified ones are remembered (bounded) until they expire."""

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
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
        if device_id is not None:
            claims["dev"] = device_id.hex()
        token = jwt.encode(claims, self._key(key_id) or b"", ALGORITHM, headers={"kid": str(key_id)})
        sign_key = self._keys.derive(key_id, session_id, "sign") or b""
        if scope == SCOPE:
            self._remember(token, Session(session_id, key_id, attested, device_id, expires_at, sign_key))
        return token

    def verify(self, token: str) -> Session:
        """Return the session of a valid token; ApiError says why it is none."""
        session = self._verified.get(token)
        if session is None:
            session = self._read(token)
            self._remember(token, session)
        elif session.expires_at <= time.time():
            del self._verified[token]
            raise ApiError(Code.TOKEN_EXPIRED)
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
        except jwt.ExpiredSignatureError:
            return True
        except jwt.InvalidTokenError:
            return False
        return True

    def _key(self, key_id: int) -> bytes | None:
        return self._keys.derive(key_id, _SALT, "token")

    def _claims(self, token: str) -> tuple[int, dict[str, Any]]:
        """Return key id and claims; jwt.InvalidTokenError otherwise. The algorithm is ours, never the token's."""
        kid = jwt.get_unverified_header(token).get("kid")
        key_id = int(kid) if isinstance(kid, str) and kid.isascii() and kid.isdigit() and len(kid) < 11 else -1
        key = self._key(key_id)
        if key is None:
            raise jwt.InvalidTokenError("unknown key id")
        wanted: Any = {"require": ["exp", "iss", "scope", "sid", "mer", "txn", "lid"]}
        return key_id, jwt.decode(token, key, [ALGORITHM], issuer=ISSUER, options=wanted)

    def _read(self, token: str) -> Session:
        try:
            key_id, claims = self._claims(token)
        except jwt.ExpiredSignatureError:
            raise ApiError(Code.TOKEN_EXPIRED) from None
        except jwt.InvalidTokenError:
            raise ApiError(Code.TOKEN_INVALID) from None
        if claims["scope"] != SCOPE:
            raise ApiError(Code.SCOPE_FORBIDDEN)
        session_id = bytes.fromhex(claims["sid"])
        sign_key = self._keys.derive(key_id, session_id, "sign")
        if sign_key is None:
            raise ApiError(Code.TOKEN_INVALID)
        device = claims.get("dev")
        attested = Attested(claims["mer"], claims["txn"], claims["lid"])
        device_id = bytes.fromhex(device) if device else None
        return Session(session_id, key_id, attested, device_id, int(claims["exp"]), sign_key)
