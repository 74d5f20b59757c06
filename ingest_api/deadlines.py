"""A time limit for many futures at once: a timer for each would cost more than most of what they wait for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

Result = TypeVar("Result")


class Deadlines:
    """Fails futures that are not done within ``seconds``, by one timer for the oldest of them.

    Whoever waits for a future gets the error of ``late`` then; what is done, or was cancelled, is left as it is.
    """

    def __init__(self, seconds: float, late: Callable[[], Exception]) -> None:
        self._seconds, self._late = seconds, late
        self._waiting: deque[tuple[float, asyncio.Future[Any]]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None  # where the timer runs; None: nowhere

    def watch(self, future: asyncio.Future[Result]) -> asyncio.Future[Result]:
        """Return the future, which is done in time from now on."""
        waiting, loop = self._waiting, future.get_loop()
        while waiting and waiting[0][1].done():
            waiting.popleft()
        waiting.append((loop.time() + self._seconds, future))
        if self._loop is not loop:
            while waiting[0][1].get_loop() is not loop:  # of a loop that has ended
                waiting.popleft()
            self._arm(loop)
        return future

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        loop.call_at(self._waiting[0][0], self._expire, loop)

    def _expire(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, now = self._waiting, loop.time()
        while waiting and (waiting[0][1].done() or waiting[0][0] <= now):
            _, future = waiting.popleft()
            if not future.done():
                future.set_exception(self._late())
        self._loop = None
        if waiting:
            self._arm(loop)
