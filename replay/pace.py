"""How fast a replay runs: as the machine allows, at a rate of events, or at a multiple of the time that they took."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LONGEST_SLEEP: Final = 0.5
"""Seconds; who waits longer is asked in between whether to stop."""


@dataclass(slots=True)
class Pace:
    """Says how long to wait; with neither ``rate`` nor ``speed`` never.

    Time is counted from the first rows of the run, or of its resumption: what a pause or a slow store took is made up
    for, so the rate holds over the run.
    """

    rate: float = 0.0  # events a second, 0: no limit
    speed: float = 0.0  # 10.0: ten times as fast as they were appended, 0: no limit
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _began: float | None = None
    _first_at: int = 0
    _rows: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no pace: ValueError."""
        if self.rate < 0 or self.speed < 0 or (self.rate and self.speed):
            raise ValueError("a pace is a rate or a speed above 0, not both: leave both out for as fast as it goes")

    def wait(self, rows: int, appended_at: int, stopping: Callable[[], bool]) -> None:
        """Return when so many rows more, of which the last was appended then (ms), may go on, or on ``stopping``."""
        if not (self.rate or self.speed):
            return
        if self._began is None:
            self._began, self._first_at = self.clock(), appended_at
        due = self._began + self._due(appended_at)
        self._rows += rows
        while (left := due - self.clock()) > 0 and not stopping():
            self.sleep(min(left, LONGEST_SLEEP))

    def _due(self, appended_at: int) -> float:
        if self.rate:
            return self._rows / self.rate
        return (appended_at - self._first_at) / 1000 / self.speed
