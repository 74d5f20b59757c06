"""A rate that is asked for often: a process takes some hits ahead, so that most of them cost no round trip."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Final

from ingest_api.errors import ApiError, Code

_SECONDS: Final = 1.0  # what was taken and not used is gone then, as the window is
_SHARE: Final = 50


class _Lease:
    """What a process may do in one name without asking."""

    __slots__ = ("left", "lock", "refused_until", "until")

    def __init__(self) -> None:
        self.left = 0
        self.until = 0.0
        self.refused_until = 0.0
        self.lock = asyncio.Lock()


class Leases:
    """Takes hits from a shared limit of so many a second, a fiftieth of it at a time.

    Limits below 100 are exact; above, a process may take up to a fiftieth more or less in a second. Who is refused is
    refused until the window ends, without asking again.
    """

    def __init__(self, limit: int, take: Callable[[str, int], Awaitable[None]]) -> None:
        """``take`` counts hits in a name; ApiError 429 with a time where the limit is passed."""
        self._hits = max(1, limit // _SHARE)
        self._take = take
        self._leases: defaultdict[str, _Lease] = defaultdict(_Lease)

    async def hit(self, name: str) -> None:
        """Count one; ApiError 429."""
        lease = self._leases[name]
        if self._spent(lease):
            async with lease.lock:  # one of all that wait asks for all
                if self._spent(lease):
                    await self._renew(lease, name)
        lease.left -= 1

    @staticmethod
    def _spent(lease: _Lease) -> bool:
        now = time.monotonic()
        if now < lease.refused_until:
            raise ApiError(Code.RATE_LIMITED, retry_after=lease.refused_until - now)
        return lease.left <= 0 or now >= lease.until

    async def _renew(self, lease: _Lease, name: str) -> None:
        try:
            await self._take(name, self._hits)
        except ApiError as refused:
            lease.refused_until = time.monotonic() + (refused.retry_after or 0.0)
            raise
        lease.left, lease.until = self._hits, time.monotonic() + _SECONDS
