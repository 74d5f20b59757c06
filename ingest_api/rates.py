"""Rate limits per session, merchant and address: fixed windows of the ``limits`` library, kept in Redis.

While Redis is away, each process counts in its own memory: looser across processes, but never without a limit.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from limits import RateLimitItem, RateLimitItemPerMinute, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import FixedWindowRateLimiter

from ingest_api.config import IngestConfig
from ingest_api.errors import ApiError, Code
from ingest_api.leases import Leases
from ingest_api.metrics import Metrics
from ingest_api.redis_link import RedisAway, RedisLink
from schemas.result import pending_key

log = logging.getLogger("ingest.rates")
_FAILURES_PER_MINUTE = 60
_ADDRESSES = 16_384
# One command per request instead of seven: a command costs the client 40 µs, whatever it does. What is within all
# limits is marked as pending by the way.
_COUNT = b"""
local counts, within, counters = {}, true, tonumber(ARGV[1])
for i = 1, counters do
    counts[i] = redis.call('INCRBY', KEYS[i], ARGV[3 * i])
    if counts[i] == tonumber(ARGV[3 * i]) then redis.call('EXPIRE', KEYS[i], ARGV[3 * i + 1]) end
    within = within and counts[i] <= tonumber(ARGV[3 * i + 2])
end
if within then
    for i = counters + 1, #KEYS do redis.call('SET', KEYS[i], 1, 'EX', ARGV[2]) end
end
return counts
"""


class Counter(NamedTuple):
    """One counter of a request. ``expiry`` in seconds; marks are only set where ``limit`` is kept."""

    key: str
    amount: int
    expiry: int
    limit: int


class Marks(NamedTuple):
    """Keys that say for some seconds that an event is accepted, but not scored yet."""

    keys: Sequence[str]
    seconds: int


_NO_MARKS = Marks((), 1)


class LinkStorage(Storage):
    """The library's storage over our link, so that a request's counters share a round trip with everybody's."""

    STORAGE_SCHEME = None

    def __init__(self, link: RedisLink) -> None:
        super().__init__()
        self._link = link

    @property
    def base_exceptions(self) -> type[Exception]:
        """Return what the storage raises."""
        return RedisAway

    async def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, beginning a window where none runs."""
        (count,) = await self.incr_all([Counter(key, amount, expiry, 0)])
        return count

    async def incr_all(self, counters: Sequence[Counter], marks: Marks = _NO_MARKS) -> list[int]:
        """Count, and mark where all limits are kept, in one command; return the counts."""
        keys = [counter.key for counter in counters]
        numbers = [number for counter in counters for number in counter[1:]]
        (counts,) = await self._link.send(
            ("EVAL", _COUNT, len(keys) + len(marks.keys), *keys, *marks.keys, len(keys), marks.seconds, *numbers)
        )
        return [int(count) for count in counts]

    async def get(self, key: str) -> int:
        """Return the count of the window."""
        (count,) = await self._link.send(("GET", key))
        return int(count or 0)

    async def get_expiry(self, key: str) -> float:
        """Return when the window ends, in Unix seconds."""
        (left,) = await self._link.send(("PTTL", key))
        return time.time() + max(int(left), 0) / 1_000

    async def check(self) -> bool:
        """Tell whether Redis answers."""
        return await self._link.alive()

    async def reset(self) -> int | None:
        """Refuse: the limits share their Redis with the results."""
        raise NotImplementedError("limits are never reset as a whole")

    async def clear(self, key: str) -> None:
        """Forget one window."""
        await self._link.send(("DEL", key))


class _Limit:
    """One limit, with what its keys and counters have in common."""

    __slots__ = ("after", "amount", "before", "expiry", "item", "scope")

    def __init__(self, scope: str, item: RateLimitItem) -> None:
        self.scope, self.item = scope, item
        self.amount, self.expiry = item.amount, item.get_expiry()
        self.before, self.after = item.key_for("\0").split("\0")  # the library takes 5 µs to write a key

    def counter(self, name: str, cost: int) -> Counter:
        """Return what is to be counted in a name."""
        return Counter(f"{self.before}{name}{self.after}", cost, self.expiry, self.amount)


class _Hit(NamedTuple):
    limit: _Limit
    name: str
    cost: int


def _a_minute(scope: str, amount: int) -> _Limit:
    return _Limit(scope, RateLimitItemPerMinute(amount, namespace="rate"))


def _a_second(scope: str, amount: int) -> _Limit:
    return _Limit(scope, RateLimitItemPerSecond(amount, namespace="rate"))


class Rates:
    """The limits of one ingest tier."""

    def __init__(self, config: IngestConfig, link: RedisLink, metrics: Metrics) -> None:
        self._session = _a_minute("session", config.session_events_per_minute)
        self._merchant = _a_second("merchant", config.merchant_events_per_second)
        self._address = _a_minute("address", config.address_requests_per_minute)
        self._labels = _a_minute("labels", config.merchant_labels_per_minute)
        self._explanations = _a_minute("explain", config.merchant_explanations_per_minute)
        self._decisions = _a_second("decisions", config.merchant_decisions_per_second)
        self._lists = _a_minute("lists", config.merchant_list_entries_per_minute)
        self._decision_leases = Leases(config.merchant_decisions_per_second, self._take_decisions)
        self._failures = _a_minute("credential", _FAILURES_PER_MINUTE)
        self._storage = LinkStorage(link)
        self._shared = FixedWindowRateLimiter(self._storage)
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._metrics = metrics
        self._pending_seconds = config.pending_seconds
        self._degraded = False
        # An address is personal data: Redis only ever sees a keyed digest of it.
        self._pepper = config.keys.derive(config.keys.current, b"clickgoose-rates", "token") or b""
        self._name = lru_cache(_ADDRESSES)(self._digest)

    async def events(
        self, session_id: bytes, merchant: str, address: bytes, events: int, event_ids: Sequence[str]
    ) -> None:
        """Count a request with its events, and mark ``event_ids`` as pending, so that a poll finds them.

        ApiError 429 where any of the three limits is passed. Marks are best effort: a lost one makes a poll say 404
        for a moment, no more.
        """
        marks = Marks([pending_key(merchant, event_id) for event_id in event_ids], self._pending_seconds)
        await self._charge(
            _Hit(self._session, f"s:{session_id.hex()}", events),
            _Hit(self._merchant, f"m:{merchant}", events),
            _Hit(self._address, f"a:{self._name(address)}", 1),
            marks=marks,
        )

    async def session(self, merchant: str) -> None:
        """Count a new session against the merchant's rate."""
        await self._charge(_Hit(self._merchant, f"n:{merchant}", 1))

    async def labels(self, merchant: str, labels: int) -> None:
        """Count labels against the merchant's rate of them, which is apart from that of events."""
        await self._charge(_Hit(self._labels, f"l:{merchant}", labels))

    async def explanation(self, merchant: str) -> None:
        """Count an explanation, which costs a thousand times what a score costs."""
        await self._charge(_Hit(self._explanations, f"x:{merchant}", 1))

    async def decision(self, merchant: str) -> None:
        """Count a decision against the merchant's rate of them; most cost no round trip."""
        try:
            await self._decision_leases.hit(merchant)
        except ApiError:
            self._metrics.limited("decisions")
            raise

    async def _take_decisions(self, merchant: str, hits: int) -> None:
        await self._charge(_Hit(self._decisions, f"d:{merchant}", hits), told=False)

    async def list_entries(self, merchant: str, entries: int) -> None:
        """Count entries of lists that are changed or asked about against the merchant's rate of them."""
        await self._charge(_Hit(self._lists, f"w:{merchant}", entries))

    async def failure(self, address: bytes) -> None:
        """Count a wrong credential; ApiError 429 where an address tries too many."""
        await self._charge(_Hit(self._failures, f"f:{self._name(address)}", 1))

    def _digest(self, address: bytes) -> str:
        return hashlib.blake2b(address, key=self._pepper, digest_size=12).hexdigest()

    async def _charge(self, *hits: _Hit, marks: Marks = _NO_MARKS, told: bool = True) -> None:
        """Count; ApiError 429. ``told``: refusals are counted here."""
        try:
            # What the library's ``hit`` does for one limit, for all of them in one round trip.
            counts = await self._storage.incr_all([limit.counter(name, cost) for limit, name, cost in hits], marks)
            allowed = [count <= hit.limit.amount for hit, count in zip(hits, counts, strict=True)]
            if self._degraded:
                self._say(degraded=False)
            await self._refuse(self._shared, hits, allowed, told)
        except RedisAway:
            self._say(degraded=True)
            allowed = [await self._own.hit(hit.limit.item, hit.name, cost=hit.cost) for hit in hits]
            await self._refuse(self._own, hits, allowed, told)
            self._metrics.unmarked(len(marks.keys))

    async def _refuse(
        self, limiter: FixedWindowRateLimiter, hits: tuple[_Hit, ...], allowed: list[bool], told: bool
    ) -> None:
        """Raise ApiError 429 for the first limit that is passed."""
        for hit, good in zip(hits, allowed, strict=True):
            if not good:
                if told:
                    self._metrics.limited(hit.limit.scope)
                stats = await limiter.get_window_stats(hit.limit.item, hit.name)
                raise ApiError(Code.RATE_LIMITED, retry_after=stats.reset_time - time.time())

    def _say(self, degraded: bool) -> None:
        """Tell changes once."""
        if degraded != self._degraded:
            self._degraded = degraded
            self._metrics.limiter_degraded(degraded)
            log.warning("rate limits are kept in memory" if degraded else "rate limits are kept in redis again")
