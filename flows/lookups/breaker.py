"""A store that failed is left alone for a while, longer each time; that it failed and came back is said once each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from redis.exceptions import ResponseError

log = logging.getLogger("clickgoose.flow")
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Pauses:
    """How long a store that failed is left alone, and at most after failing again and again, in seconds."""

    first: float = 0.25
    longest: float = 2.0


class Breaker:
    """Knows whether a store may be asked. ``clock`` gives seconds. One thread at a time."""

    def __init__(self, what: str, without: str, pauses: Pauses | None = None, clock: Clock = time.monotonic) -> None:
        """``what`` is lost while the store is away, and ``without`` says how it goes on, for the log."""
        self._what, self._without = what, without
        self._pauses = pauses or Pauses()
        self._clock = clock
        self._retry_at = -float("inf")
        self._pause = self._pauses.first
        self._away = False

    def open(self) -> bool:
        """Return whether the store is to be left alone for now."""
        return self._away and self._clock() < self._retry_at

    def failed(self, error: Exception) -> None:
        """Take in that the store failed; the first failure of an outage is logged."""
        if not self._away:
            # What the store itself answers names no value; another error may name the address with its password.
            why = str(error)[:200] if isinstance(error, ResponseError) else type(error).__name__
            log.warning("%s: the store failed (%s); %s", self._what, why, self._without)
        self._away = True
        self._retry_at = self._clock() + self._pause
        self._pause = min(2 * self._pause, self._pauses.longest)

    def recovered(self) -> bool:
        """Take in that the store answered; return whether it had been away, which is logged by who asks."""
        was_away, self._away = self._away, False
        self._pause = self._pauses.first
        return was_away
