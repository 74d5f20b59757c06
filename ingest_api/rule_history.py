"""The rules' history in Redis, as the ingest tier uses it: what many decisions ask travels together, or is a value.

Only sent and received here; what is sent, and what it means, is in ``scoring.rules.history``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ingest_api.redis_link import RedisAway, RedisLink
from scoring.rules.answers import Found, Query, Unanswered, Write
from scoring.rules.history import LOAD_SCRIPTS, Command, Exchange, HistoryLimits, Outcome, Step, Written
from scoring.rules.history_keys import HistoryKeys

AWAY: Final = Unanswered("the store of the rules' history does not answer")
_PAUSE_SECONDS: Final = 0.25


class RuleHistory:
    """Asks and writes; an answer comes within ``seconds``, and is ``Unanswered`` while Redis is away or slow."""

    def __init__(
        self, link: RedisLink, keys: HistoryKeys, limits: HistoryLimits | None = None, *, seconds: float = 0.25
    ) -> None:
        self._link = link
        self._keys = keys
        self._limits = limits or HistoryLimits()
        self._seconds = seconds
        self._scripts_known = False
        self._away_until = -float("inf")

    async def read(self, merchant: str, queries: Iterable[Query]) -> dict[Query, Found | Unanswered] | Unanswered:
        """Answer queries of a merchant."""
        outcome = await self.exchange([Step(merchant, tuple(queries))])
        return outcome if isinstance(outcome, Unanswered) else outcome[0].answers

    async def write(self, merchant: str, writes: Iterable[Write]) -> tuple[Written, ...] | Unanswered:
        """Write. Where Redis did not answer, the same writes may be sent again: they count once."""
        outcome = await self.exchange([Step(merchant, (), tuple(writes))])
        return outcome if isinstance(outcome, Unanswered) else outcome[0].written

    async def exchange(self, steps: Sequence[Step]) -> list[Outcome] | Unanswered:
        """Answer and write step by step: a step sees what the ones before it wrote."""
        exchange = Exchange(self._keys, self._limits, steps)
        if not exchange.commands:
            return exchange.read([])
        if time.monotonic() < self._away_until:
            return AWAY
        try:
            async with asyncio.timeout(self._seconds):
                return exchange.read(await self._replies(exchange.commands))
        except RedisAway:
            return AWAY
        except TimeoutError:
            self._away_until = time.monotonic() + _PAUSE_SECONDS
            return AWAY

    async def _replies(self, commands: Sequence[Command]) -> list[Any]:
        """Send; once more with the scripts where Redis may have lost them: a link does not tell that from away."""
        if self._scripts_known:
            try:
                return await self._link.send(*commands)
            except RedisAway:
                self._scripts_known = False
        replies = await self._link.send(*LOAD_SCRIPTS, *commands)
        self._scripts_known = True
        return replies[len(LOAD_SCRIPTS) :]
