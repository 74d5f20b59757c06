"""What events would have added to the rules' history while its store was away, written as soon as it is back.

Writes count once and by event time, so that they may come late. They wait in memory: what a process that is killed
held, and what a full backlog has no room for, is missing from history, and is never made up.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

from scoring.rules.answers import Unanswered
from scoring.rules.history import Outcome, Step

MOST: Final = 65_536
AT_ONCE: Final = 256
"""So many go ahead of each batch: one round trip more, and the batch is not held up by a long outage."""


class Exchanges(Protocol):
    """The store."""

    def exchange(self, steps: Sequence[Step], /) -> list[Outcome] | Unanswered:
        """Answer and write step by step."""


class RuleBacklog:
    """The store, with a backlog of ``most`` events. ``lost``: those that found it full."""

    def __init__(self, store: Exchanges, most: int = MOST) -> None:
        self._store = store
        self._most = most
        self._waiting: deque[Step] = deque()
        self.lost = 0

    @property
    def waiting(self) -> int:
        """Return how many events wait."""
        return len(self._waiting)

    def exchange(self, steps: Sequence[Step]) -> list[Outcome] | Unanswered:
        """Answer and write, first what waits the longest; keep the writes where the store does not answer."""
        ahead = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
        found = self._store.exchange([*ahead, *steps])
        if isinstance(found, Unanswered):
            self._waiting.extendleft(reversed(ahead))
            self._keep(steps)
            return found
        return found[len(ahead) :]

    def _keep(self, steps: Sequence[Step]) -> None:
        self._waiting.extend(Step(step.merchant, (), step.writes) for step in steps if step.writes)
        while len(self._waiting) > self._most:
            self._waiting.popleft()
            self.lost += 1
