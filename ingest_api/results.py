"""Results: lookups and long polls.

All long polls of a process share one watcher, which asks for all waiting keys in one MGET every few milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from ingest_api.redis_link import RedisAway, RedisLink
from schemas.result import pending_key, result_key
from schemas.stored_results import unpacked

_SHORTEST_PAUSE = 0.008
_LONGEST_PAUSE = 0.015
_KEYS_PER_ASK = 1_000
# After an outage of Redis results come back from the backup, and events of that time were never marked as pending: so
# long, what Redis does not know may well exist.
_DOUBT_SECONDS = 60.0


class State(Enum):
    """What is known of an event."""

    READY = "ready"
    PENDING = "pending"
    UNKNOWN = "unknown"


class Found(NamedTuple):
    """The answer of a lookup; ``body`` only where it is ready."""

    state: State
    body: bytes = b""


class Results:
    """Reads results of one merchant at a time: the merchant is part of every key."""

    def __init__(self, link: RedisLink, max_waiting: int, marks: RedisLink | None = None) -> None:
        """``marks`` is the way by which events are marked as pending."""
        self._link = link
        self._marks = marks or link
        self._max_waiting = max_waiting
        self._waiting: dict[str, set[asyncio.Future[bytes | None]]] = {}
        self._by_merchant: Counter[str] = Counter()
        self._watcher: asyncio.Task[None] | None = None
        self._released = False

    async def find(self, merchant: str, event_id: str, wait: float) -> Found:
        """Return what is known of an event, waiting up to ``wait`` seconds for its result.

        RedisAway where Redis does not answer, or does not know the event and was away just now.
        """
        found = await self._look(merchant, event_id)
        if found.state is not State.READY and wait > 0 and self._may_wait(merchant):
            body = await self._wait(merchant, result_key(merchant, event_id), wait)
            found = await self._look(merchant, event_id) if body is None else _ready(body)
        if found.state is State.UNKNOWN and self._in_doubt():
            raise RedisAway
        return found

    def _in_doubt(self) -> bool:
        return self._link.was_away(_DOUBT_SECONDS) or self._marks.was_away(_DOUBT_SECONDS)

    async def _look(self, merchant: str, event_id: str) -> Found:
        ((body, pending),) = await self._link.send(
            ("MGET", result_key(merchant, event_id), pending_key(merchant, event_id))
        )
        if body is not None:
            return _ready(body)
        return Found(State.UNKNOWN if pending is None else State.PENDING)

    def _may_wait(self, merchant: str) -> bool:
        """Bound the waiting polls; no merchant may take more than half of the places."""
        total = self._by_merchant.total()
        return not self._released and total < self._max_waiting and self._by_merchant[merchant] < self._max_waiting / 2

    async def _wait(self, merchant: str, key: str, seconds: float) -> bytes | None:
        """Return the result as soon as it is there, or None when the time is over."""
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(future)
        self._by_merchant[merchant] += 1
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch(), name="result-watcher")
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            return None
        finally:
            self._by_merchant[merchant] -= 1
            if not self._by_merchant[merchant]:
                del self._by_merchant[merchant]
            self._forget(key, future)

    def _forget(self, key: str, future: asyncio.Future[bytes | None]) -> None:
        waiters = self._waiting.get(key)
        if waiters is not None:
            waiters.discard(future)
            if not waiters:
                del self._waiting[key]

    async def _watch(self) -> None:
        """Ask for everything that is waited for, as long as anybody waits."""
        pause = _SHORTEST_PAUSE
        while self._waiting:
            await asyncio.sleep(pause)
            started = time.perf_counter()
            try:
                await self._ask()
            except RedisAway:
                self._resolve_all(RedisAway())
            pause = min(max(_SHORTEST_PAUSE, 2 * (time.perf_counter() - started)), _LONGEST_PAUSE)

    async def _ask(self) -> None:
        keys = list(self._waiting)
        for at in range(0, len(keys), _KEYS_PER_ASK):
            chunk = keys[at : at + _KEYS_PER_ASK]
            (bodies,) = await self._link.send(("MGET", *chunk))
            for key, body in zip(chunk, bodies, strict=True):
                if body is not None:
                    _resolve(self._waiting.get(key, ()), body)

    def _resolve_all(self, answer: RedisAway | None) -> None:
        for waiters in self._waiting.values():
            _resolve(waiters, answer)

    def release(self) -> None:
        """Answer all long polls now, and let nobody wait any more: the process is about to stop."""
        self._released = True
        self._resolve_all(None)

    async def close(self) -> None:
        """Stop watching."""
        self.release()
        if self._watcher is not None:
            self._watcher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watcher


def _ready(stored: bytes) -> Found:
    """Return a result as merchants read it; RedisAway where a newer build packed it or it is damaged."""
    try:
        return Found(State.READY, unpacked(stored))
    except ValueError:
        raise RedisAway from None


def _resolve(waiters: Iterable[asyncio.Future[bytes | None]], answer: bytes | RedisAway | None) -> None:
    for future in waiters:
        if future.done():
            continue
        if isinstance(answer, RedisAway):
            future.set_exception(answer)
        else:
            future.set_result(answer)
