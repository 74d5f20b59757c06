"""Letters of the backup on their way back to their destination: which are tried when, and which are left.

A letter leaves in one of two ways. It is *written*. Or it is *left*: the destination refused it alone again and
again, while it took others; then it stays in the backup for somebody to look at, and holds up nothing. As long as the
destination takes nothing at all, no letter is blamed: all of them wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flows.sinks.destination import DestinationError, Redrivable, RowsRefused
from schemas.dead_letter import DeadLetter

_REFUSALS_IN_A_ROW = 8  # alone, and nothing taken: it is not the letters, so the rest need not be tried now


@dataclass(frozen=True, slots=True)
class RedrivePolicy:
    """How fast letters go back, and how often one is tried."""

    rows_per_second: float = 2_000.0
    letters_at_once: int = 500
    attempts: int = 5
    backoff_seconds: float = 0.5
    backoff_limit_seconds: float = 30.0
    probe_seconds: float = 2.0
    measure_seconds: float = 5.0
    close_seconds: float = 10.0


@dataclass(slots=True)
class Held:
    """A letter, where it lies in the backup, and what it went through in this process."""

    letter: DeadLetter
    partition: int
    offset: int
    refusals: int = 0  # while the destination took others
    tries: int = 0
    taken_before: int = -1  # what the destination had taken when it refused this letter last
    not_before: float = 0.0
    detail: str = ""


class Redelivery:
    """Holds letters until they are written or left. One thread; ``clock`` gives seconds that never go back.

    ``taken`` counts what others write to the same destination: proof that it takes rows, if not these.
    """

    def __init__(
        self,
        destination: Redrivable,
        policy: RedrivePolicy,
        clock: Callable[[], float],
        taken: Callable[[], int] = lambda: 0,
    ) -> None:
        self._destination = destination
        self._policy = policy
        self._clock = clock
        self._taken = taken
        self._written = 0
        self._next_try = 0.0
        self._failures = 0
        self.away: str | None = None  # what the destination said when it was last found away
        self.held: list[Held] = []

    @property
    def full(self) -> bool:
        """Tell whether no more letters should be fetched."""
        return len(self.held) >= self._policy.letters_at_once

    def due(self) -> bool:
        """Tell whether there is something to try now."""
        now = self._clock()
        return now >= self._next_try and any(held.not_before <= now for held in self.held)

    def drop(self, partitions: Sequence[int]) -> None:
        """Forget the letters of partitions: somebody else has them now."""
        self.held = [held for held in self.held if held.partition not in partitions]

    def deliver(self) -> tuple[int, list[Held]]:
        """Try what is due; return how many letters were written and which are left in the backup.

        While the destination is away nothing is tried but a probe, every ``probe_seconds``.
        """
        if self.away is not None and not self._destination.probe():
            self._next_try = self._clock() + self._policy.probe_seconds
            return 0, []
        now, before = self._clock(), self._written + self._taken()
        refused: list[Held] = []
        written: set[int] = set()
        self.away = None
        try:
            self._write([held for held in self.held if held.not_before <= now], refused, written)
        except DestinationError as error:
            self.away = str(error)
        self._written += len(written)
        self.held = [held for held in self.held if id(held) not in written]
        self._next_try = self._clock() + self._rest(len(written))
        return len(written), self._judge(refused, before)

    def _rest(self, written: int) -> float:
        """Return the seconds until the next try: as the rate asks, or longer and longer where nothing was taken."""
        if written:
            self._failures = 0
            return written / self._policy.rows_per_second
        self._failures += 1
        return _backoff(self._policy, self._failures)

    def _write(self, letters: Sequence[Held], refused: list[Held], written: set[int]) -> None:
        """Write letters; halve those that are refused together until the ones are found that are refused alone."""
        if not letters or (not written and len(refused) >= _REFUSALS_IN_A_ROW):
            return
        try:
            self._destination.rewrite([held.letter for held in letters])
        except RowsRefused as error:
            if len(letters) == 1:
                letters[0].detail = str(error)
                refused.append(letters[0])
                return
            half = len(letters) // 2
            self._write(letters[:half], refused, written)
            self._write(letters[half:], refused, written)
        else:
            written.update(map(id, letters))

    def _judge(self, refused: Sequence[Held], before: int) -> list[Held]:
        """Put refused letters off, and return those that are left for good."""
        now, taken = self._clock(), self._written + self._taken()
        for held in refused:
            if taken > (before if held.taken_before < 0 else held.taken_before):
                held.refusals += 1
            held.taken_before = taken
            held.tries += 1
            held.not_before = now + _backoff(self._policy, held.tries)
        left = [held for held in refused if held.refusals >= self._policy.attempts]
        gone, tried = set(map(id, left)), set(map(id, refused))
        # What was refused goes behind the others, so that the next try begins with letters that were not tried.
        self.held = sorted((held for held in self.held if id(held) not in gone), key=lambda held: id(held) in tried)
        return left


def _backoff(policy: RedrivePolicy, failures: int) -> float:
    return min(policy.backoff_limit_seconds, policy.backoff_seconds * 2.0 ** min(failures - 1, 30))
