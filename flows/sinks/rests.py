"""Rests of a thread that prepares what is stored, while somebody waits for the events of small parcels.

Small parcels mean a low rate, at which somebody waits for each event. To make the columns of 3,000 rows in one go, to
send them, or to free them, took turns from the stages for a tenth of a second and more, every three seconds. So such a
thread does a piece at a time, and rests after each for a multiple of what it computed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SMALL_ROWS: Final = 64
"""Parcels of fewer rows are small."""
_RESTS: Final = 3.0  # of the processor time that the piece before took
_MOST_SECONDS: Final = 0.5  # of all pieces of a block


class Rests:
    """The rests of one block, bounded in all. ``rest`` sleeps for seconds, ``spent`` gives the thread's own."""

    def __init__(
        self,
        rest: Callable[[float], None] = time.sleep,
        spent: Callable[[], float] = time.thread_time,
        most_seconds: float = _MOST_SECONDS,
    ) -> None:
        self._rest, self._spent = rest, spent
        self._left = most_seconds
        self._since = 0.0
        self.begin()

    @classmethod
    def none(cls) -> Rests:
        """Return those of a block for which nobody should wait."""
        return cls(most_seconds=0.0)

    def begin(self) -> None:
        """Begin a piece of work."""
        self._since = self._spent()

    def after(self) -> None:
        """Rest after a piece, and begin the next."""
        seconds = min(self._left, _RESTS * (self._spent() - self._since))
        if seconds > 0:
            self._rest(seconds)
            self._left -= seconds
        self.begin()
