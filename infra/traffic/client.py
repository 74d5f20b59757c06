"""The traffic client: visitors' events, sealed at the moment they leave, at a steady rate, over HTTP."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Any, NamedTuple, TypeVar

from infra.traffic.api import Api, ApiConfig, OpenSession, Outcome
from infra.traffic.craft import Craft
from infra.traffic.scenario import EVENTS_PER_ARRIVAL, Due, Mix, Scenario
from infra.traffic.sealing import bodies, nested_body, seal_event
from infra.traffic.stats import TrafficStats
from infra.traffic.visits import Visit
from schemas.sealed import Codec, Header

_CHUNK = 32  # events made at a time: about 10 ms
_SPEED = 12.0  # a visit's minute passes in five seconds
_MAX_DEBT_SECONDS = 2.0
_DRAIN_SECONDS = 20.0
_POLLS_AT_ONCE = 16
_CODECS = (Codec.RAW, Codec.DEFLATE_RAW, Codec.LZ4, Codec.NESTED_JSON)
_CODEC_WEIGHTS = (0.90, 0.97, 0.998, 1.0)

Accepted = Callable[[str], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TrafficConfig:
    """One run. It ends after ``seconds`` or ``events``, whichever comes first, or when told to stop."""

    api: ApiConfig
    rate: float = 500.0
    seconds: float | None = None
    events: int | None = None
    seed: int = 1
    mix: Mix = field(default_factory=Mix)
    small: bool = True
    poll_share: float = 0.02
    requests_at_once: int = 96


class Outgoing(NamedTuple):
    """An event with its body, made ahead; it is sealed when it leaves."""

    visit: Visit
    number: int
    body: bytes
    codec: Codec


@dataclass(slots=True)
class _Page:
    """One open visit: the events that wait to leave together, and its session once one has left."""

    visit: Visit
    waiting: list[Outgoing] = field(default_factory=list)
    session: asyncio.Task[OpenSession | None] | None = None


class TrafficClient:
    """Sends one run's traffic. ``accepted`` is called with the event id (hex) for every ``ok`` that comes back."""

    def __init__(self, config: TrafficConfig, stats: TrafficStats, accepted: Accepted | None = None) -> None:
        self._config = config
        self._stats = stats
        self._accepted = accepted
        self._random = Random(f"clickgoose client {config.seed}")
        self._pages: dict[str, _Page] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._slots = asyncio.Semaphore(config.requests_at_once)
        self._polls = 0
        self._failure: BaseException | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Send until the run ends or ``stop`` is set, then wait for the answers. TrafficError where it cannot go on."""
        async with Api(self._config.api, self._stats) as api:
            self._stats.started = time.monotonic()
            await self._send_all(api, stop)
            for page in self._pages.values():
                if page.waiting:
                    self._leave(api, page)
            await self._drain()
        self._stats.unanswered += self._stats.in_flight()
        if self._failure is not None:
            raise self._failure

    async def _drain(self) -> None:
        """Wait for the answers, and for the polls that they start; what takes too long is given up."""
        until = time.monotonic() + _DRAIN_SECONDS
        while self._tasks and (left := until - time.monotonic()) > 0:
            await asyncio.wait(self._tasks, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self, api: Api, stop: asyncio.Event) -> None:
        config, stream = self._config, self._stream()
        start, sent = time.monotonic(), 0
        end = start + config.seconds if config.seconds else float("inf")
        while not stop.is_set() and self._failure is None:
            for outgoing in self._chunk(stream):
                early = start + sent / config.rate - time.monotonic()
                if early > 0.002:
                    await asyncio.sleep(early)
                elif early < -_MAX_DEBT_SECONDS:  # behind: what was not sent then is not sent later
                    self._stats.behind_seconds += _MAX_DEBT_SECONDS
                    start += _MAX_DEBT_SECONDS
                done = config.events is not None and sent >= config.events
                if done or stop.is_set() or time.monotonic() >= end or self._failure is not None:
                    return
                await self._depart(api, outgoing)
                sent += 1

    def _stream(self) -> Iterator[Due]:
        config = self._config
        craft = Craft(config.seed, small=config.small, merchants=tuple(config.api.api_keys))
        now = int(time.time() * 1000)
        gap = EVENTS_PER_ARRIVAL / config.rate * 1000 * _SPEED
        return Scenario(craft, config.mix, now, gap).events()

    def _chunk(self, stream: Iterator[Due]) -> list[Outgoing]:
        """Make the next events, bodies and all."""
        dues = list(islice(stream, _CHUNK))
        made = []
        for due, body in zip(dues, bodies([due.visit.events[due.number] for due in dues]), strict=True):
            codec = self._random.choices(_CODECS, cum_weights=_CODEC_WEIGHTS)[0]
            if codec is Codec.NESTED_JSON and due.visit.spoil is None:
                made.append(Outgoing(due.visit, due.number, nested_body(due.visit.events[due.number]), codec))
            else:
                codec = Codec.RAW if codec is Codec.NESTED_JSON else codec
                made.append(Outgoing(due.visit, due.number, body, codec))
        return made

    async def _depart(self, api: Api, outgoing: Outgoing) -> None:
        """Let an event leave its page, at once or together with the next ones; wait while too many are on the way."""
        visit = outgoing.visit
        page = self._pages.setdefault(visit.transaction, _Page(visit))
        page.waiting.append(outgoing)
        last = outgoing.number == len(visit.events) - 1
        if last:
            del self._pages[visit.transaction]
        if last or len(page.waiting) >= visit.together:
            await self._slots.acquire()
            self._leave(api, page).add_done_callback(lambda _: self._slots.release())

    def _leave(self, api: Api, page: _Page) -> asyncio.Task[None]:
        batch, page.waiting = page.waiting, []
        if page.session is None:
            page.session = self._start(api.open_session(page.visit))
        return self._start(self._send(api, page.visit, page.session, batch))

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failure = self._failure or error

    async def _send(
        self, api: Api, visit: Visit, opening: asyncio.Task[OpenSession | None], batch: list[Outgoing]
    ) -> None:
        self._stats.offered += len(batch)
        self._stats.kinds[visit.kind] += len(batch)
        session = await asyncio.shield(opening)
        if session is None:
            self._stats.unanswered += len(batch)
            return
        sealed_at = time.time()
        headers = [self._header(session, visit, outgoing, sealed_at) for outgoing in batch]
        sealed = [
            seal_event(header, outgoing.body, session.cipher, os.urandom(12), outgoing.codec, visit.spoil)
            for header, outgoing in zip(headers, batch, strict=True)
        ]
        outcomes = await api.send(session, visit, sealed)
        self._settle(headers, outcomes)
        for _ in range(visit.repeats):
            self._stats.offered += len(batch)
            self._settle(headers, await api.send(session, visit, sealed))
        if visit.spoil is None and outcomes[0] is not None and outcomes[0].status == "ok":
            self._maybe_poll(api, visit, headers[0].event_id.hex(), sealed_at)

    def _header(self, session: OpenSession, visit: Visit, outgoing: Outgoing, at: float) -> Header:
        return Header(
            session.key_id, session.session_id, visit.device_id, os.urandom(16), outgoing.number, int(at * 1000)
        )

    def _settle(self, headers: list[Header], outcomes: list[Outcome | None]) -> None:
        for header, outcome in zip(headers, outcomes, strict=True):
            if outcome is None:
                self._stats.unanswered += 1
            elif outcome.status == "ok":
                self._stats.ok += 1
                if self._accepted is not None:
                    self._accepted(header.event_id.hex())
            else:
                self._stats.dropped[outcome.reason] += 1

    def _maybe_poll(self, api: Api, visit: Visit, event_id: str, sealed_at: float) -> None:
        if self._polls < _POLLS_AT_ONCE and self._random.random() < self._config.poll_share:
            self._polls += 1
            self._start(self._poll(api, visit, event_id, sealed_at))

    async def _poll(self, api: Api, visit: Visit, event_id: str, sealed_at: float) -> None:
        try:
            result = await api.poll_score(visit.merchant, event_id)
            if result is None:
                self._stats.scores_missed += 1
            else:
                self._stats.scored((time.time() - sealed_at) * 1000, str(result.get("decision")))
        finally:
            self._polls -= 1
