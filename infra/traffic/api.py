"""The HTTP API as its two kinds of clients use it: a merchant's server, and a page in a browser."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.traffic.connections import Answer, Connections
from infra.traffic.stats import TrafficStats
from infra.traffic.visits import Visit
from schemas.envelope import address_text
from schemas.framing import FRAMES_CONTENT_TYPE, pack_frames

_ATTEMPTS = 8
_PAUSE_SECONDS = (0.25, 8.0)
_POLL_SECONDS = 30.0
_JSON = b"Content-Type: application/json\r\n"
_FRAMES = f"Content-Type: {FRAMES_CONTENT_TYPE}\r\n".encode()
_NOT_OURS = "The answers at this address are not those of a clickgoose ingest tier."


class TrafficError(Exception):
    """The run cannot go on; the text is one sentence for people."""


class OpenSession(NamedTuple):
    """What a page holds."""

    key_id: int
    session_id: bytes
    bearer: bytes  # the line of the head that shows the token
    cipher: AESGCM
    sign_key: bytes
    max_events: int


class Outcome(NamedTuple):
    """The answer for one copy of an event."""

    status: str
    reason: str


class _SessionAnswer(msgspec.Struct):
    session_id: str
    key_id: int
    token: str
    seal_key: str
    sign_key: str
    limits: dict[str, int]


class _Result(msgspec.Struct):
    status: str
    reason: str
    event_id: str | None = None


class _Results(msgspec.Struct):
    results: list[_Result]


@dataclass(frozen=True, slots=True)
class ApiConfig:
    """Where the ingest tier is, and the merchants' API keys."""

    url: str
    api_keys: Mapping[str, str] = field(repr=False)
    certificate: Path | None = None
    connections: int = 48


def sign(key: bytes, unix_ms: int, body: bytes) -> str:
    """Return the value of X-Clickgoose-Signature."""
    digest = hmac.new(key, f"{unix_ms}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={unix_ms},v1={digest}"


class Api:
    """Keep-alive connections, bounded in number; retries with backoff; counts everything in the stats."""

    def __init__(self, config: ApiConfig, stats: TrafficStats) -> None:
        self._config = config
        self._stats = stats
        self._random = Random()
        self._connections: Connections | None = None
        self._place = _place(config.url)
        self._bearers = {
            merchant: _header("Authorization", f"Bearer {key}") for merchant, key in config.api_keys.items()
        }

    async def __aenter__(self) -> Api:
        """Make the pool of connections. TrafficError where the certificate cannot be read."""
        place, secure = self._place, None
        if place.secure:
            try:
                secure = ssl.create_default_context(cafile=self._config.certificate)
            except OSError:
                raise TrafficError(f"The certificate {self._config.certificate} cannot be read.") from None
        self._connections = Connections(place.host, place.port, secure, self._config.connections)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        if self._connections is not None:
            await self._connections.close()

    async def open_session(self, visit: Visit) -> OpenSession | None:
        """Do what the merchant's server does when a visit begins; None where the tier did not answer in time."""
        body = msgspec.json.encode({"transaction": visit.transaction, "linked_id": visit.linked_id})
        head = self._head("POST", "/v1/sessions") + self._bearers[visit.merchant] + _JSON
        for attempt in range(_ATTEMPTS):
            answer = await self._post(head, body)
            if answer is not None and answer.status in (200, 201):
                self._stats.sessions += 1
                return _opened(answer.body)
            if answer is not None and answer.status in (401, 403):
                raise TrafficError(f"The ingest tier refuses the API key of {visit.merchant}; check the home or key.")
            await self._pause(attempt, answer)
        return None

    async def send(self, session: OpenSession, visit: Visit, sealed: Sequence[bytes]) -> list[Outcome | None]:
        """Send events of one session until each is answered ``ok`` or ``drop``; None where none came in time."""
        outcomes: list[Outcome | None] = [None] * len(sealed)
        left = list(range(len(sealed)))
        for attempt in range(_ATTEMPTS):
            answer = await self._send_once(session, visit, [sealed[index] for index in left])
            if answer is not None and answer.status == 200:
                for index, result in zip(left, _results(answer.body, len(left)), strict=True):
                    if result.status == "retry":
                        self._stats.retries[result.reason] += 1
                    else:
                        outcomes[index] = Outcome(result.status, result.reason)
                left = [index for index in left if outcomes[index] is None]
            elif answer is not None and answer.status not in (429, 503) and answer.status < 500:
                return [found or Outcome("drop", f"http_{answer.status}") for found in outcomes]
            if not left:
                break
            await self._pause(attempt, answer)
        return outcomes

    async def _send_once(self, session: OpenSession, visit: Visit, sealed: Sequence[bytes]) -> Answer | None:
        body = pack_frames(sealed)
        head = (
            self._head("POST", "/v1/events")
            + session.bearer
            + _FRAMES
            + f"X-Clickgoose-Signature: {sign(session.sign_key, int(time.time() * 1000), body)}\r\n"
            f"X-Forwarded-For: {address_text(visit.address)}\r\n".encode()
        )
        self._stats.requests += 1
        return await self._post(head, body)

    async def poll_score(self, merchant: str, event_id: str, wait: int = 5) -> dict[str, Any] | None:
        """Return the result of an event, or None where it was not there within half a minute."""
        request = self._head("GET", f"/v1/events/{event_id}/score?wait={wait}") + self._bearers[merchant] + b"\r\n"
        until = time.monotonic() + _POLL_SECONDS
        while time.monotonic() < until:
            try:
                answer = await self._open().ask(request)
            except (OSError, TimeoutError) as error:
                self._stats.errors[type(error).__name__] += 1
                await asyncio.sleep(1)
                continue
            if answer.status == 200:
                found: dict[str, Any] = msgspec.json.decode(answer.body)
                return found
            if answer.status != 202:
                self._stats.statuses[answer.status] += 1
                await asyncio.sleep(1)
        return None

    async def _post(self, head: bytes, body: bytes) -> Answer | None:
        try:
            answer = await self._open().ask(b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body))
        except (OSError, TimeoutError) as error:
            self._stats.errors[type(error).__name__] += 1
            return None
        self._stats.statuses[answer.status] += 1
        return answer

    def _head(self, method: str, path: str) -> bytes:
        """Return the first lines of a request."""
        return f"{method} {self._place.path}{path} HTTP/1.1\r\nHost: {self._place.authority}\r\n".encode()

    async def _pause(self, attempt: int, answer: Answer | None) -> None:
        """Wait before the next attempt: as long as the tier asks for, else twice as long as before, with jitter."""
        least, most = _PAUSE_SECONDS
        seconds = min(most, least * 2**attempt)
        if answer is not None and answer.retry_after and answer.retry_after.isdigit():
            seconds = min(most, float(answer.retry_after))
        self._stats.retries["no_answer" if answer is None else f"http_{answer.status}"] += 1
        await asyncio.sleep(seconds * self._random.uniform(0.8, 1.2))

    def _open(self) -> Connections:
        if self._connections is None:
            raise TrafficError("The client is not open.")
        return self._connections


class _Place(NamedTuple):
    secure: bool
    host: str
    port: int
    authority: str
    path: str


def _place(url: str) -> _Place:
    """Return the parts of an address. TrafficError where it is not one of HTTP."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise TrafficError(f"{url!r} is not an address of HTTP; give one as http://127.0.0.1:8080.")
    secure = parts.scheme == "https"
    return _Place(secure, parts.hostname, port or (443 if secure else 80), parts.netloc, parts.path.rstrip("/"))


def _header(name: str, value: str) -> bytes:
    """Return one line of a head. TrafficError where the value cannot stand in one."""
    if not value.isascii() or not value.isprintable():
        raise TrafficError(f"The value of {name} has characters that a header cannot have.")
    return f"{name}: {value}\r\n".encode()


def _results(data: bytes, wanted: int) -> list[_Result]:
    """Return one result an event. TrafficError where the answer is not that of an ingest tier."""
    try:
        found = msgspec.json.decode(data, type=_Results).results
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = []
    if len(found) != wanted:
        raise TrafficError(_NOT_OURS)
    return found


def _opened(data: bytes) -> OpenSession:
    try:
        answer = msgspec.json.decode(data, type=_SessionAnswer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise TrafficError(_NOT_OURS) from None
    return OpenSession(
        answer.key_id, bytes.fromhex(answer.session_id), _header("Authorization", f"Bearer {answer.token}"),
        AESGCM(base64.b64decode(answer.seal_key)), base64.b64decode(answer.sign_key),
        answer.limits.get("max_events_per_request", 100),
    )  # fmt: skip
