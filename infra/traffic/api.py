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

import aiohttp
import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from yarl import URL

from infra.traffic.stats import TrafficStats
from infra.traffic.visits import Visit
from schemas.envelope import address_text
from schemas.framing import FRAMES_CONTENT_TYPE, pack_frames

_ATTEMPTS = 8
_PAUSE_SECONDS = (0.25, 8.0)
_POLL_SECONDS = 30.0
_NOT_OURS = "The answers at this address are not those of a clickgoose ingest tier."
# Only a silent server is timed: a request that waits for one of the bounded connections is not late.
_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=20)


class TrafficError(Exception):
    """The run cannot go on; the text is one sentence for people."""


class OpenSession(NamedTuple):
    """What a page holds."""

    key_id: int
    session_id: bytes
    token: str
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
        self._client: aiohttp.ClientSession | None = None
        self._sessions = URL(f"{config.url}/v1/sessions")
        self._events = URL(f"{config.url}/v1/events")

    async def __aenter__(self) -> Api:
        """Open the pool of connections. TrafficError where the certificate cannot be read."""
        secure: ssl.SSLContext | bool = True
        if self._config.certificate is not None:
            try:
                secure = ssl.create_default_context(cafile=str(self._config.certificate))
            except OSError:
                raise TrafficError(f"The certificate {self._config.certificate} cannot be read.") from None
        connector = aiohttp.TCPConnector(limit=self._config.connections, ssl=secure, keepalive_timeout=30)
        jar = aiohttp.DummyCookieJar()
        self._client = aiohttp.ClientSession(connector=connector, timeout=_TIMEOUT, cookie_jar=jar)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def open_session(self, visit: Visit) -> OpenSession | None:
        """Do what the merchant's server does when a visit begins; None where the tier did not answer in time."""
        said = {"transaction": visit.transaction, "linked_id": visit.linked_id, "card_token": visit.card_token}
        body = msgspec.json.encode(said)
        headers = {"Authorization": f"Bearer {self._key(visit.merchant)}", "Content-Type": "application/json"}
        for attempt in range(_ATTEMPTS):
            answer = await self._post(self._sessions, body, headers)
            if answer is not None and answer[0] in (200, 201):
                self._stats.sessions += 1
                return _opened(answer[1])
            if answer is not None and answer[0] in (401, 403):
                raise TrafficError(f"The ingest tier refuses the API key of {visit.merchant}; check the home or key.")
            await self._pause(attempt, answer)
        return None

    async def send(self, session: OpenSession, visit: Visit, sealed: Sequence[bytes]) -> list[Outcome | None]:
        """Send events of one session until each is answered ``ok`` or ``drop``; None where none came in time."""
        outcomes: list[Outcome | None] = [None] * len(sealed)
        left = list(range(len(sealed)))
        for attempt in range(_ATTEMPTS):
            answer = await self._send_once(session, visit, [sealed[index] for index in left])
            if answer is not None and answer[0] == 200:
                for index, result in zip(left, _results(answer[1], len(left)), strict=True):
                    if result.status == "retry":
                        self._stats.retries[result.reason] += 1
                    else:
                        outcomes[index] = Outcome(result.status, result.reason)
                left = [index for index in left if outcomes[index] is None]
            elif answer is not None and answer[0] not in (429, 503) and answer[0] < 500:
                return [found or Outcome("drop", f"http_{answer[0]}") for found in outcomes]
            if not left:
                break
            await self._pause(attempt, answer)
        return outcomes

    async def _send_once(self, session: OpenSession, visit: Visit, sealed: Sequence[bytes]) -> _Answer | None:
        body = pack_frames(sealed)
        headers = {
            "Authorization": f"Bearer {session.token}", "Content-Type": FRAMES_CONTENT_TYPE,
            "X-Clickgoose-Signature": sign(session.sign_key, int(time.time() * 1000), body),
            "X-Forwarded-For": address_text(visit.address),
        }  # fmt: skip
        self._stats.requests += 1
        return await self._post(self._events, body, headers)

    async def poll_score(self, merchant: str, event_id: str, wait: int = 5) -> dict[str, Any] | None:
        """Return the result of an event, or None where it was not there within half a minute."""
        headers = {"Authorization": f"Bearer {self._key(merchant)}"}
        until = time.monotonic() + _POLL_SECONDS
        while time.monotonic() < until:
            try:
                url = self._events / event_id / "score" % {"wait": wait}
                async with self._open().get(url, headers=headers) as response:
                    data = await response.read()
                    if response.status == 200:
                        found: dict[str, Any] = msgspec.json.decode(data)
                        return found
                    if response.status != 202:
                        self._stats.statuses[response.status] += 1
                        await asyncio.sleep(1)
            except (aiohttp.ClientError, TimeoutError) as error:
                self._stats.errors[type(error).__name__] += 1
                await asyncio.sleep(1)
        return None

    async def _post(self, url: URL, body: bytes, headers: Mapping[str, str]) -> _Answer | None:
        try:
            async with self._open().post(url, data=body, headers=headers) as response:
                data = await response.read()
                self._stats.statuses[response.status] += 1
                return _Answer(response.status, data, response.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError) as error:
            self._stats.errors[type(error).__name__] += 1
            return None

    async def _pause(self, attempt: int, answer: _Answer | None) -> None:
        """Wait before the next attempt: as long as the tier asks for, else twice as long as before, with jitter."""
        least, most = _PAUSE_SECONDS
        seconds = min(most, least * 2**attempt)
        if answer is not None and answer.retry_after and answer.retry_after.isdigit():
            seconds = min(most, float(answer.retry_after))
        self._stats.retries["no_answer" if answer is None else f"http_{answer.status}"] += 1
        await asyncio.sleep(seconds * self._random.uniform(0.8, 1.2))

    def _key(self, merchant: str) -> str:
        return self._config.api_keys[merchant]

    def _open(self) -> aiohttp.ClientSession:
        if self._client is None:
            raise TrafficError("The client is not open.")
        return self._client


class _Answer(NamedTuple):
    status: int
    body: bytes
    retry_after: str | None


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
        answer.key_id, bytes.fromhex(answer.session_id), answer.token, AESGCM(base64.b64decode(answer.seal_key)),
        base64.b64decode(answer.sign_key), answer.limits.get("max_events_per_request", 100),
    )  # fmt: skip
