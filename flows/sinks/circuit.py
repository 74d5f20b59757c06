"""Whether a destination is tried at all: after giving up, only a cheap probe now and then tells that it is back."""

from __future__ import annotations

from collections.abc import Callable


class Circuit:
    """Closed at first. ``clock`` gives seconds that never go back."""

    def __init__(self, probe_seconds: float, clock: Callable[[], float]) -> None:
        self._probe_seconds = probe_seconds
        self._clock = clock
        self._opened: float | None = None
        self._next_probe = 0.0

    @property
    def open(self) -> bool:
        """Tell whether the destination was given up."""
        return self._opened is not None

    def due(self) -> bool:
        """Tell whether it is time to probe."""
        return self._clock() >= self._next_probe

    def give_up(self) -> bool:
        """Open, and set the time of the next probe; True where it was closed before."""
        first = not self.open
        if first:
            self._opened = self._clock()
        self._next_probe = self._clock() + self._probe_seconds
        return first

    def recover(self) -> float | None:
        """Close; return how many seconds it was open, or None where it was not."""
        opened, self._opened = self._opened, None
        return None if opened is None else self._clock() - opened
