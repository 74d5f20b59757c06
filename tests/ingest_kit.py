"""For tests of the ingest tier: a configuration, an appender and a Redis in memory, and a page that sends events."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import struct
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import jwt
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from ingest_api.app import IngestApp, create_app
from ingest_api.appender import Delivered
from ingest_api.bodies import BEACON_CONTENT_TYPE
from ingest_api.checks import Record
from ingest_api.config import IngestConfig
from ingest_api.decider import Sources
from ingest_api.merchants import Merchants
from ingest_api.parts import Clock
from ingest_api.signature import SIGNATURE_HEADER, sign_body
from schemas.framing import FRAMES_CONTENT_TYPE, pack_frames
from schemas.keys import KeyRing
from schemas.sealed import Header, seal

KEYS = {"demo-shop": "cg_demo", "other-shop": "cg_other"}
MERCHANTS = Merchants({name: (hashlib.sha256(key.encode()).digest(),) for name, key in KEYS.items()})
RING = KeyRing({1: b"\x11" * 32, 2: b"\x22" * 32})


def bearer(credential: str) -> dict[str, str]:
    """Return the header of a credential."""
    return {"authorization": f"Bearer {credential}"}


def now_ms() -> int:
    """Return the time."""
    return time.time_ns() // 1_000_000


def make_bundle(directory: Path, **scripts: bytes) -> Path:
    """Write an agent of a few bytes where none is yet; return its directory."""
    directory.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, text in {
        "clickgoose.js": b"var clickgoose = {};\n",
        "clickgoose.mjs": b"export {};\n",
        **scripts,
    }.items():
        (directory / name).write_bytes(text)
        files[name] = {"integrity": "sha384-" + base64.b64encode(hashlib.sha384(text).digest()).decode()}
    (directory / "NOTICE.txt").write_text("Contains nothing of others.\n")
    (directory / "manifest.json").write_text(json.dumps({"version": "9.9.9", "files": files}))
    return directory


def config(directory: Path, **changes: Any) -> IngestConfig:
    """Return a configuration that reaches nobody."""
    base = IngestConfig(
        keys=RING,
        merchants=MERCHANTS,
        bootstrap="127.0.0.1:9",
        redis_url="redis://127.0.0.1:9/0",
        spool_dir=directory / "spool",
        public_url="https://ingest.test",
        session_events_per_minute=100_000,
        produce_timeout_ms=1_000,
        agent_dir=make_bundle(directory / "agent"),
    )
    return replace(base, **changes)


class MemoryAppender:
    """Takes records, or does not, as the test says."""

    def __init__(self) -> None:
        self.outcome = Delivered.YES
        self.records: list[Record] = []

    async def append(self, records: Sequence[Record]) -> list[Delivered]:
        """Keep the records where the outcome is YES."""
        if self.outcome is Delivered.YES:
            self.records += records
        return [self.outcome] * len(records)

    async def alive(self, seconds: float) -> bool:
        """Answer as the outcome says."""
        return self.outcome is Delivered.YES

    async def close(self) -> None:
        """Nothing is open."""


class MemoryRedis:
    """The few commands that the ingest tier uses; ``away`` makes it fail as a lost server does."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.hashes: dict[str, dict[str, bytes]] = {}
        self.away = False
        self.round_trips = 0

    def __call__(self) -> Any:
        """Stand in for the function that connects."""
        return self

    def pipeline(self, transaction: bool) -> _MemoryPipeline:
        """Collect commands."""
        return _MemoryPipeline(self)

    async def execute_command(self, *command: Any) -> Any:
        """Run one command."""
        self.round_trips += 1
        if self.away:
            raise RedisConnectionError("away")
        return self.run(*command)

    def run(self, name: Any, *args: Any) -> Any:
        """Run one command now."""
        if name == "MGET":
            return [self.values.get(key) for key in args]
        if name == "HMGET":
            return [self.hashes.get(args[0], {}).get(field) for field in args[1:]]
        if name == b"SET":  # as a claim is packed, and below how an answer is settled
            return self._claim([args[0].decode()], args[1], 0)
        if name == b"EVAL":
            return self._settle([args[2].decode()], *args[3:])
        if name == "EVAL":
            return self._script(args[0])(args[2 : 2 + args[1]], *args[2 + args[1] :])
        if name in ("EVALSHA", "EVALSHA_RO", "SCRIPT"):
            return ResponseError("no scripts here")
        return {"PTTL": 30_000, "PING": b"PONG"}.get(name) or self.values.get(args[0])

    def _script(self, text: bytes) -> Callable[..., Any]:
        """Return what does what a script of the tier does."""
        if b"INCRBY" in text:
            return self._count
        return self._amend

    def _claim(self, keys: Sequence[str], digest: bytes, _seconds: int) -> bytes | None:
        found = self.values.get(keys[0])
        self.values.setdefault(keys[0], digest)
        return found

    def _settle(self, keys: Sequence[str], digest: bytes, answer: bytes, _seconds: int) -> bytes | None:
        found = self.values.get(keys[0])
        if found is not None and found != digest:
            return found
        self.values[keys[0]] = digest + answer
        return None

    def _amend(self, keys: Sequence[str], digest: bytes, answer: bytes, better: bytes) -> None:
        if self.values.get(keys[0]) == digest + answer:
            self.values[keys[0]] = digest + better

    def _count(self, keys: Sequence[str], counters: int, _seconds: int, *numbers: int) -> list[int]:
        """Do what the tier's script does: count, and mark where all limits are kept."""
        counted = keys[:counters]
        counts = [int(self.values.get(key, b"0")) + by for key, by in zip(counted, numbers[::3], strict=True)]
        self.values.update((key, str(count).encode()) for key, count in zip(counted, counts, strict=True))
        if all(count <= limit for count, limit in zip(counts, numbers[2::3], strict=True)):
            self.values.update(dict.fromkeys(keys[counters:], b"1"))
        return counts

    async def aclose(self) -> None:
        """Nothing is open."""


class _MemoryPipeline:
    def __init__(self, redis: MemoryRedis) -> None:
        self._redis = redis
        self._commands: list[tuple[Any, ...]] = []

    def execute_command(self, *command: Any) -> None:
        self._commands.append(command)

    async def execute(self, raise_on_error: bool) -> list[Any]:
        self._redis.round_trips += 1
        if self._redis.away:
            raise RedisConnectionError("away")
        return [self._redis.run(*command) for command in self._commands]


class MemoryClickHouse:
    """Takes statements, or fails as the test says.

    ``answers`` maps a query's beginning to what it gives, or to a function of its parameters that says so.
    """

    def __init__(self) -> None:
        self.executed: list[tuple[str, Any]] = []
        self.error: Exception | None = None
        self.answers: dict[str, Any] = {}
        self.connections = 0
        self.before: Callable[[], None] = lambda: None

    def __call__(self) -> MemoryClickHouse:
        """Stand in for the function that connects."""
        self.connections += 1
        return self

    def execute(self, query: str, params: Any = None, **options: Any) -> Any:
        """Note the statement."""
        self.before()
        if self.error is not None:
            raise self.error
        self.executed.append((query, params))
        found = next((one for beginning, one in self.answers.items() if query.lstrip().startswith(beginning)), [])
        return found(params) if callable(found) else found

    def disconnect(self) -> None:
        """Nothing is open."""

    @property
    def labels(self) -> list[tuple[Any, ...]]:
        """The rows that were inserted into ``labels``."""
        rows = [row for query, rows in self.executed if query.startswith("INSERT INTO labels") for row in rows]
        return [tuple(value.decode() if isinstance(value, bytes) else value for value in row) for row in rows]


@dataclass
class Page:
    """A page with an open session."""

    client: httpx.AsyncClient
    opened: dict[str, Any]
    device_id: bytes

    @property
    def seal_key(self) -> bytes:
        """The key that seals."""
        return base64.b64decode(self.opened["seal_key"])

    @property
    def sign_key(self) -> bytes:
        """The key that signs."""
        return base64.b64decode(self.opened["sign_key"])

    def event(self, body: bytes = b"payload", sent_at: int | None = None, **changes: Any) -> bytes:
        """Return a sealed event; ``changes`` are of the header."""
        header = Header(
            key_id=self.opened["key_id"],
            session_id=bytes.fromhex(self.opened["session_id"]),
            device_id=self.device_id,
            event_id=os.urandom(16),
            sequence=0,
            sent_at=now_ms() if sent_at is None else sent_at,
        )
        return seal(header._replace(**changes), body, self.seal_key, os.urandom(12))

    def headers(self, body: bytes, at: int | None = None, kind: str = FRAMES_CONTENT_TYPE) -> dict[str, str]:
        """Return the headers of a right request."""
        signature = sign_body(self.sign_key, now_ms() if at is None else at, body)
        return {**bearer(self.opened["token"]), SIGNATURE_HEADER: signature, "content-type": kind}

    async def post(self, body: bytes, **changes: str | None) -> httpx.Response:
        """Send a body with right headers, some of them changed or taken away."""
        changed = {name.replace("_", "-").lower(): value for name, value in changes.items()}
        headers = {name.lower(): value for name, value in self.headers(body).items()} | changed
        kept = {name: value for name, value in headers.items() if value is not None}
        return await self.client.post("/v1/events", content=body, headers=kept)

    def forged(self, **changes: Any) -> str:
        """Return the page's token with other claims, rightly signed."""
        key = RING.derive(2, b"clickgoose-token", "token")
        claims = jwt.decode(self.opened["token"], options={"verify_signature": False})
        return jwt.encode({**claims, **changes}, key, "HS256", headers={"kid": "2"})

    def beacon(self, *events: bytes, at: int | None = None, token: str | None = None) -> bytes:
        """Return the body that ``navigator.sendBeacon`` sends."""
        frames = pack_frames(events)
        texts = (token or self.opened["token"], sign_body(self.sign_key, now_ms() if at is None else at, frames))
        return b"".join(struct.pack("<H", len(text)) + text.encode() for text in texts) + frames

    async def send_beacon(self, body: bytes, kind: str = f"{BEACON_CONTENT_TYPE};charset=UTF-8") -> httpx.Response:
        """Send such a body as a browser does from another origin."""
        headers = {"content-type": kind, "origin": "https://shop.example"}
        return await self.client.post("/v1/events", content=body, headers=headers)

    async def send(self, *events: bytes) -> httpx.Response:
        """Send events as the agent does."""
        body = pack_frames(events)
        return await self.client.post("/v1/events", content=body, headers=self.headers(body))


async def open_page(client: httpx.AsyncClient, merchant: str = "demo-shop", **body: Any) -> Page:
    """Open a session as a merchant's server does, and hand it to a page."""
    wanted = {"transaction": "order-1", **body}
    answer = await client.post("/v1/sessions", json=wanted, headers=bearer(KEYS[merchant]))
    assert answer.status_code == 201, answer.text
    return Page(client, answer.json(), os.urandom(16))


def event_id(sealed: bytes) -> str:
    """Return the event id of a sealed event."""
    return sealed[40:56].hex()


@contextlib.asynccontextmanager
async def running(app: IngestApp, client: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    """Serve an application in this process."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(client, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="https://ingest.test") as session:
            yield session


@dataclass
class Tier:
    """A whole tier in memory."""

    app: IngestApp
    client: httpx.AsyncClient
    kafka: MemoryAppender
    redis: MemoryRedis
    clickhouse: MemoryClickHouse
    decisions: MemoryAppender


@contextlib.asynccontextmanager
async def tier(
    directory: Path, *, clock: Clock = now_ms, sources: Sources | None = None, **changes: Any
) -> AsyncIterator[Tier]:
    """Serve a tier in memory, with changes to its configuration and, if need be, a clock of its own (Unix ms)."""
    kafka, redis, clickhouse, decisions = MemoryAppender(), MemoryRedis(), MemoryClickHouse(), MemoryAppender()
    app = create_app(
        config(directory, **changes),
        clock=clock,
        appender=kafka,
        redis=redis,
        clickhouse=clickhouse,
        sources=sources,
        decisions=decisions,
    )
    async with running(app) as client:
        yield Tier(app, client, kafka, redis, clickhouse, decisions)


def code(answer: httpx.Response) -> tuple[int, str]:
    """Return status and code of an error, whose shape is checked."""
    body = answer.json()
    assert set(body) == {"error"} and set(body["error"]) == {"code", "message"}, body
    return answer.status_code, body["error"]["code"]
