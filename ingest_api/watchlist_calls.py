"""What requests ask of the lists' stores, on threads of their own: bounded in what waits, and in time."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from ingest_api.errors import ApiError, Code
from scoring.rules.watchlist_copy import StoreAway
from scoring.rules.watchlist_desk import ListDesk
from scoring.rules.watchlist_store import TruthAway

log = logging.getLogger("ingest.watchlists")
T = TypeVar("T")
_THREADS: Final = 2
_MOST_UNDER_WAY: Final = 32
_SECONDS: Final = 10.0
_RETRY_SECONDS: Final = 5


class ListCalls:
    """The desk, as requests use it. ApiError 503 where a store is away or as much is under way as may be."""

    def __init__(self, desk: ListDesk, seconds: float = _SECONDS) -> None:
        self.desk, self._seconds = desk, seconds
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="watchlists")
        self._lock = threading.Lock()
        self._under_way = 0

    async def run(self, call: Callable[[ListDesk], T]) -> T:
        """Return what a call of the desk returns."""
        with self._lock:
            if self._under_way >= _MOST_UNDER_WAY:
                raise _away()
            self._under_way += 1
        future = self._pool.submit(call, self.desk)
        future.add_done_callback(self._finished)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._seconds)
        except (StoreAway, TruthAway) as away:
            log.warning("lists cannot be changed or asked", extra={"why": str(away)})
            raise _away() from None
        except TimeoutError:
            raise _away() from None

    def _finished(self, _: Any) -> None:
        with self._lock:
            self._under_way -= 1

    async def close(self) -> None:
        """Let what is under way end."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)


def _away() -> ApiError:
    return ApiError(Code.LISTS_UNAVAILABLE, retry_after=_RETRY_SECONDS)
