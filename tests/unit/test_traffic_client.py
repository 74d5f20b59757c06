from __future__ import annotations

import asyncio
import base64
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import islice

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from infra.traffic import api as api_module
from infra.traffic.api import ApiConfig, TrafficError
from infra.traffic.client import TrafficClient, TrafficConfig
from infra.traffic.craft import Craft
from infra.traffic.scenario import HONEST_ONLY, Mix, Scenario
from infra.traffic.stats import TrafficStats
from ingest_api.errors import ApiError
from ingest_api.signature import verify_body
from schemas.framing import FRAMES_CONTENT_TYPE, unpack_frames
from schemas.sealed import HEADER_BYTES, NONCE_BYTES, read_header
from tests.waiting import soon

API_KEY = "cg_test"
SEAL, SIGN = b"\x07" * 32, b"\x08" * 32


class Door:
    """A small ingest tier: checks what the real one checks, and answers as it is told."""

    def __init__(self) -> None:
        self.sessions = 0
        self.frames: list[bytes] = []
        self.addresses: set[str] = set()
        self.said: list[dict[str, str]] = []  # of sessions
        self.complaints: list[str] = []
        self.busy = 0  # requests still to be answered with 503
        self.later: Counter[str] = Counter()  # event id: times still to be answered with retry
        self.retry_all_once = False
        self.known_key = API_KEY
        self.seconds = 0.0  # how long an answer takes
        self.now = self.most = 0  # requests being answered

    async def open_session(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"] != f"Bearer {self.known_key}":
            return web.json_response({"error": {"code": "api_key_invalid", "message": "no"}}, status=401)
        self.sessions += 1
        self.said.append(await request.json())
        body = {
            "session_id": f"{self.sessions:032x}", "key_id": 3, "token": "t", "expires_at": 0,
            "seal_key": base64.b64encode(SEAL).decode(), "sign_key": base64.b64encode(SIGN).decode(),
            "endpoint": "", "device_id": None, "limits": {"max_events_per_request": 100},
        }  # fmt: skip
        return web.json_response(body, status=201)

    async def events(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(self.seconds)
        self.now -= 1
        if self.busy:
            self.busy -= 1
            return web.json_response({}, status=503, headers={"Retry-After": "0"})
        try:
            verify_body(SIGN, request.headers.get("X-Clickgoose-Signature"), body, int(time.time() * 1000), 300_000)
        except ApiError as error:
            self.complaints.append(error.code.value)
        if request.headers["Content-Type"] != FRAMES_CONTENT_TYPE:
            self.complaints.append("content type")
        self.addresses.add(request.headers["X-Forwarded-For"])
        return web.json_response({"results": [self._take(frame) for frame in unpack_frames(body, 100)]})

    def _take(self, frame: bytes) -> dict[str, str | None]:
        header = read_header(frame)
        if header is None:
            return {"event_id": None, "status": "drop", "reason": "bad_header"}
        event_id = header.event_id.hex()
        if self.retry_all_once and event_id not in self.later:
            self.later[event_id] += 1
            return {"event_id": event_id, "status": "retry", "reason": "spool_full"}
        self.frames.append(frame)
        return {"event_id": event_id, "status": "ok", "reason": "appended"}

    async def score(self, request: web.Request) -> web.Response:
        if request.query["wait"] != "5":
            self.complaints.append("wait")
        return web.json_response({"decision": "allow", "score": 3.0})


@asynccontextmanager
async def _serving(door: Door) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/sessions", door.open_session)
    app.router.add_post("/v1/events", door.events)
    app.router.add_get("/v1/events/{id}/score", door.score)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_module, "_PAUSE_SECONDS", (0.005, 0.02))


async def _sent(
    door: Door, events: int = 60, mix: Mix = HONEST_ONLY, poll: float = 0.0
) -> tuple[TrafficStats, list[str]]:
    stats, ids = TrafficStats(), list[str]()
    async with _serving(door) as url:
        config = TrafficConfig(ApiConfig(url, {"demo-shop": API_KEY}), 2_000, None, events, 1, mix, poll_share=poll)
        await TrafficClient(config, stats, ids.append).run(asyncio.Event())
    return stats, ids


async def test_events_arrive_sealed_signed_and_counted() -> None:
    door = Door()
    stats, ids = await _sent(door)
    assert stats.offered == stats.ok == len(ids) == len(set(ids)) == 60
    assert not door.complaints
    assert stats.unanswered == 0
    assert door.sessions == stats.sessions > 5
    assert len(door.addresses) > 5
    assert all(said["transaction"] for said in door.said)
    assert any(said["card_token"].startswith("card_") for said in door.said)
    for frame in door.frames:
        sealed = HEADER_BYTES + NONCE_BYTES
        assert AESGCM(SEAL).decrypt(frame[HEADER_BYTES:sealed], frame[sealed:], frame[:HEADER_BYTES])


async def test_what_is_to_be_retried_is_sent_again_under_the_same_id() -> None:
    door = Door()
    door.retry_all_once, door.busy = True, 3
    stats, ids = await _sent(door, 30)
    assert stats.ok == len(set(ids)) == 30
    assert set(ids) == set(door.later)
    assert stats.retries["spool_full"] == 30
    assert stats.retries["http_503"] == 3


async def test_repeated_events_are_the_same_bytes() -> None:
    door = Door()
    stats, ids = await _sent(door, 8, Mix(1.0, 0.0, kinds=("replayer",)))
    assert len(ids) == stats.ok > 2 * len(set(ids))
    assert max(Counter(door.frames).values()) > 2


async def test_malformed_events_are_dropped_by_reason_or_accepted_for_the_backup() -> None:
    stats, _ = await _sent(Door(), 80, Mix(0.0, 1.0, nuisance_kinds=("malformed",)))
    assert stats.offered == stats.ok + stats.dropped.total() == 80
    assert stats.dropped["bad_header"] > 0


async def test_scores_are_polled_and_their_latency_measured() -> None:
    door = Door()
    stats, _ = await _sent(door, 20, poll=1.0)
    assert stats.scores_polled > 3
    assert stats.decisions["allow"] == stats.scores_polled
    assert (stats.latency(0.5) or 0) > 0
    assert not door.complaints


async def test_a_refused_api_key_ends_the_run_with_a_sentence() -> None:
    door = Door()
    door.known_key = "another"
    with pytest.raises(TrafficError, match="refuses the API key of demo-shop"):
        await _sent(door)


async def test_another_server_at_the_address_ends_the_run_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door()
    monkeypatch.setattr(door, "_take", lambda _: {"unheard": "of"})
    with pytest.raises(TrafficError, match="not those of a clickgoose ingest tier"):
        await _sent(door)


async def test_a_tier_that_does_not_answer_leaves_events_unanswered() -> None:
    stats = TrafficStats()
    config = TrafficConfig(ApiConfig("http://127.0.0.1:9", {"demo-shop": API_KEY}), 500, None, 5, 1, HONEST_ONLY)
    await TrafficClient(config, stats).run(asyncio.Event())
    assert stats.unanswered == stats.offered == 5
    assert stats.errors


@pytest.fixture(scope="module")
def warm() -> None:
    """Make the tables of browsers, which takes a busy machine longer than the run that is watched."""
    for _ in islice(Scenario(Craft(1, small=True), HONEST_ONLY, 1_780_272_000_000, 100.0).events(), 200):
        pass


@pytest.mark.usefixtures("warm")
async def test_a_slow_tier_slows_the_client_and_loses_nothing() -> None:
    door, stats, stop = Door(), TrafficStats(), asyncio.Event()
    door.seconds = 0.3
    async with _serving(door) as url:
        api = ApiConfig(url, {"demo-shop": API_KEY}, connections=4)
        config = TrafficConfig(api, 2_000, None, None, 1, HONEST_ONLY, requests_at_once=8)
        run = asyncio.ensure_future(TrafficClient(config, stats).run(stop))
        began = time.monotonic()
        await soon(lambda: stats.ok > 8)  # as many as may wait at once, and more: from here on it is slowed
        await asyncio.sleep(0.6)
        stop.set()
        await run
        seconds = time.monotonic() - began
    assert door.most == 4
    assert stats.offered == stats.ok < 2_000 * seconds / 4
    assert not stats.errors


async def test_the_rate_is_kept_and_a_stop_ends_the_run() -> None:
    stats, stop = TrafficStats(), asyncio.Event()
    async with _serving(Door()) as url:
        config = TrafficConfig(ApiConfig(url, {"demo-shop": API_KEY}), 40, None, None, 1, HONEST_ONLY)
        run = asyncio.ensure_future(TrafficClient(config, stats).run(stop))
        began = time.monotonic()
        await soon(lambda: stats.offered > 20)
        offered, seconds = stats.offered, time.monotonic() - began
        stop.set()
        await run
    assert offered <= 40 * seconds + 10  # and more than 20 came about at all
    assert stats.snapshot()["in_flight"] == 0
