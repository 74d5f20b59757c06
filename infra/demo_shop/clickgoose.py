"""What the shop's server asks of clickgoose. Each call is bounded in time, and none ever raises: the shop goes on."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import aiohttp
import msgspec
from yarl import URL

AGENT_PATH = "/agent/clickgoose.js"
EVENTS_PATH = "/v1/events"
_SESSION_SECONDS = 2.0
_FORWARD_SECONDS = 40.0
_GRACE_SECONDS = 2.0
# What a proxy keeps to itself (RFC 9110, 7.6.1), and what the client library sets by itself.
_OWN_HEADERS = frozenset(
    ("connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length", "cookie")
)
_Away = (aiohttp.ClientError, TimeoutError, OSError, ValueError, msgspec.MsgspecError)


@dataclass(frozen=True, slots=True)
class Account:
    """Where the ingest tier is, the merchant's API key, and the certificate to trust where it is the stack's own."""

    url: str
    api_key: str = field(repr=False)
    certificate: Path | None = None


class Session(msgspec.Struct, frozen=True):
    """What a page needs of the answer to ``POST /v1/sessions``."""

    endpoint: str
    token: str
    key: str


class Answer(NamedTuple):
    """An answer that is passed on as it is."""

    status: int
    headers: dict[str, str]
    body: bytes


class Clickgoose:
    """Sessions, scores, the agent's file, and events of pages that reach the tier by way of the shop."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._http: aiohttp.ClientSession | None = None
        self._agent: bytes | None = None

    async def __aenter__(self) -> Self:
        """Open the connections. OSError where the certificate cannot be read."""
        trust: ssl.SSLContext | bool = True
        if self._account.certificate is not None:
            trust = ssl.create_default_context(cafile=str(self._account.certificate))
        connector = aiohttp.TCPConnector(ssl=trust)
        self._http = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Close them."""
        if self._http is not None:
            await self._http.close()

    async def open_session(self, transaction: str, card_token: str = "") -> Session | None:
        """Open the session of a payment, with the token of the customer's card where one is known.

        None where the tier does not answer.
        """
        said = {"transaction": transaction, "card_token": card_token, "event_type": "payment"}
        try:
            status, body = await self._call("POST", "/v1/sessions", _SESSION_SECONDS, json=said)
            return msgspec.json.decode(body, type=Session) if status == 201 else None
        except _Away:
            return None

    async def score(self, event_id: str, wait: float) -> dict[str, Any]:
        """Return the result of an event, waiting up to ``wait`` seconds, with a ``state`` of the shop's own.

        ``scored`` has everything of a result, ``rejected`` its reason; ``pending`` and ``away`` have nothing else.
        """
        try:
            path = f"{EVENTS_PATH}/{event_id}/score"
            status, body = await self._call("GET", path, wait + _GRACE_SECONDS, params={"wait": str(wait)})
            if status != 200:
                return {"state": "pending" if status in (202, 404) else "away"}
            found = msgspec.json.decode(body, type=dict[str, Any])
        except _Away:
            return {"state": "away"}
        return {"state": "rejected" if found.get("status") == "rejected" else "scored", **found}

    async def agent(self) -> bytes | None:
        """Return the agent's file, asked for once and then kept; None where the tier does not answer."""
        if self._agent is None:
            try:
                status, body = await self._call("GET", AGENT_PATH, _SESSION_SECONDS)
                self._agent = body if status == 200 else None
            except _Away:
                return None
        return self._agent

    async def forward(self, query: str, headers: Mapping[str, str], address: str, body: bytes) -> Answer:
        """Pass a page's events on, with the page's address; 502 where the tier does not answer."""
        passed = {name: value for name, value in headers.items() if name not in _OWN_HEADERS}
        passed["x-forwarded-for"] = address
        url = URL(
            f"{self._account.url}{EVENTS_PATH}?{query}" if query else self._account.url + EVENTS_PATH, encoded=True
        )
        try:
            async with self._open().post(url, data=body, headers=passed, timeout=_limit(_FORWARD_SECONDS)) as answer:
                kept = {
                    name: answer.headers[name] for name in ("Content-Type", "Retry-After") if name in answer.headers
                }
                return Answer(answer.status, kept, await answer.read())
        except _Away:
            return Answer(502, {}, b"")

    async def _call(self, method: str, path: str, seconds: float, **more: Any) -> tuple[int, bytes]:
        """Ask with the API key; return status and body."""
        headers = {"Authorization": f"Bearer {self._account.api_key}"}
        url = f"{self._account.url}{path}"
        async with self._open().request(method, url, headers=headers, timeout=_limit(seconds), **more) as answer:
            return answer.status, await answer.read()

    def _open(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("the client is not open")
        return self._http


def _limit(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds)
