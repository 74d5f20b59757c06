"""The rules' history in Redis or Valkey, as a flow uses it: one round trip for the events of a batch, or a value.

Only sent and received here; what is sent, and what it means, is in ``scoring.rules.history``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis import Redis
from redis.exceptions import NoScriptError, RedisError

from flows.lookups.breaker import Breaker, Clock, Pauses
from scoring.rules.answers import Found, Query, Unanswered, Write
from scoring.rules.history import LOAD_SCRIPTS, Exchange, HistoryLimits, Outcome, Step, Written
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.history_sets import Command
from scoring.rules.recall import Recalling, Recollected
from scoring.rules.remember import Remembering

log = logging.getLogger("clickgoose.flow")
AWAY: Final = Unanswered("the store of the rules' history does not answer")
_ROUND_TRIP_STEPS: Final = 256


class RuleHistory:
    """Asks and writes; while the store is away or slow, the answer is ``Unanswered``, at once.

    ``client`` sets the time limit, see ``redis_trip.connect``. After a failure the store is left alone for a while.
    """

    def __init__(
        self,
        client: Redis,
        keys: HistoryKeys,
        limits: HistoryLimits | None = None,
        *,
        pauses: Pauses | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._client = client
        self._keys = keys
        self._limits = limits or HistoryLimits()
        self._breaker = Breaker("rules' history", "rules that need it cannot be answered", pauses, clock)
        self._one_at_a_time = threading.Lock()

    def read(self, merchant: str, queries: Iterable[Query]) -> dict[Query, Found | Unanswered] | Unanswered:
        """Answer queries of a merchant."""
        outcomes = self.exchange([Step(merchant, tuple(queries))])
        return outcomes if isinstance(outcomes, Unanswered) else outcomes[0].answers

    def recall(self, recalling: Recalling) -> Recollected | Unanswered:
        """Answer what an event asks."""
        with self._one_at_a_time:
            replies = self._replies(recalling.commands)
            return AWAY if replies is None else recalling.read(replies)

    def remember(self, remembering: Remembering) -> dict[str, Written] | Unanswered:
        """Write what an event writes; return what was not counted anew, by catalogue."""
        with self._one_at_a_time:
            replies = self._replies(remembering.commands)
            return AWAY if replies is None else remembering.read(replies)

    def write(self, merchant: str, writes: Iterable[Write]) -> tuple[Written, ...] | Unanswered:
        """Write. Where the store did not answer, the same writes may be sent again: they count once."""
        outcomes = self.exchange([Step(merchant, (), tuple(writes))])
        return outcomes if isinstance(outcomes, Unanswered) else outcomes[0].written

    def exchange(self, steps: Sequence[Step]) -> list[Outcome] | Unanswered:
        """Answer and write step by step: a step sees what the ones before it wrote."""
        with self._one_at_a_time:
            outcomes: list[Outcome] = []
            for first in range(0, len(steps), _ROUND_TRIP_STEPS):
                exchange = Exchange(self._keys, self._limits, steps[first : first + _ROUND_TRIP_STEPS])
                replies = self._replies(exchange.commands)
                if replies is None:
                    return AWAY
                outcomes += exchange.read(replies)
            return outcomes

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _replies(self, commands: Sequence[Command]) -> list[Any] | None:
        if not commands:
            return []
        if self._breaker.open():
            return None
        try:
            replies = self._round_trip(commands)
        except (RedisError, OSError) as error:
            self._breaker.failed(error)
            return None
        if self._breaker.recovered():
            log.warning("rules' history: the store is back")
        return replies

    def _round_trip(self, commands: Sequence[Command]) -> list[Any]:
        replies = self._execute(commands)
        if any(isinstance(reply, NoScriptError) for reply in replies):  # a new store, or one that was restarted
            for _, _, script in LOAD_SCRIPTS:
                self._client.script_load(script)
            replies = self._execute(commands)  # all of them, in order: what was written counts once
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def _execute(self, commands: Sequence[Command]) -> list[Any]:
        pipe = self._client.pipeline(transaction=False)
        for command in commands:
            pipe.execute_command(*command)  # type: ignore[no-untyped-call] # as redis-py is
        replies: list[Any] = pipe.execute(raise_on_error=False)
        return replies
