"""The rules' history in Redis, as the ingest tier uses it: what many decisions ask travels together, or is a value.

Only sent and received here; what is sent, and what it means, is in ``scoring.rules.history``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from ingest_api.redis_link import Command, RedisAway, RedisLink
from ingest_api.redis_replies import Replies
from scoring.rules.answers import Found, Query, Unanswered, Write
from scoring.rules.history import LOAD_SCRIPTS, Exchange, HistoryLimits, Outcome, Step, Written
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.recall import Recalling, Recollected
from scoring.rules.remember import Remembering

AWAY: Final = Unanswered("the store of the rules' history does not answer")
_PAUSE_SECONDS: Final = 0.25
Started = asyncio.Future[Any] | None
"""Replies on their way; None where the store is left alone."""


class RuleHistory:
    """Asks and writes; an answer comes within ``seconds``, and is ``Unanswered`` while Redis is away or slow."""

    def __init__(
        self, link: RedisLink, keys: HistoryKeys, limits: HistoryLimits | None = None, *, seconds: float = 0.25
    ) -> None:
        self._link = link
        self._keys = keys
        self.limits = limits or HistoryLimits()
        self._seconds = seconds
        self._scripts_known = False
        self._away_until = -float("inf")

    async def read(self, merchant: str, queries: Iterable[Query]) -> dict[Query, Found | Unanswered] | Unanswered:
        """Answer queries of a merchant."""
        outcome = await self.exchange([Step(merchant, tuple(queries))])
        return outcome if isinstance(outcome, Unanswered) else outcome[0].answers

    def start(self, commands: Sequence[Command], *, raw: bool = False) -> Started:
        """Queue commands, to travel with what else is queued now; ``recalled`` or ``remembered`` takes the replies.

        ``raw``: replies are left as they came, where that can be.
        """
        if not commands or time.monotonic() < self._away_until:
            return None
        return self._link.send_raw(commands) if raw else self._link.send(*commands)

    async def recalled(self, recalling: Recalling, started: Started) -> Recollected | Unanswered:
        """Return the answers to what was started."""
        if not recalling.commands:
            return recalling.read(())
        replies = await self._within(started) if started is not None else None
        if isinstance(replies, Replies):
            return recalling.read_raw(replies)
        return AWAY if replies is None else recalling.read(replies)

    async def remembered(self, remembering: Remembering, started: Started) -> dict[str, Written] | Unanswered:
        """Return what became of writes that were started: of those that were not counted anew, by catalogue."""
        if not remembering.commands:
            return {}
        if started is None:
            return AWAY
        replies = await self._within(started)
        if replies is None and time.monotonic() >= self._away_until:  # the script may be unknown
            replies = await self._within(asyncio.ensure_future(self._taught(remembering.commands)))
        return AWAY if replies is None else remembering.read(replies)

    async def _within(self, started: asyncio.Future[Any]) -> Any:
        """Return the replies, None where there are none in time."""
        try:
            if started.done():
                return started.result()
            async with asyncio.timeout(self._seconds):
                return await started
        except RedisAway:
            return None
        except TimeoutError:
            self._away_until = time.monotonic() + _PAUSE_SECONDS
            return None

    async def write(self, merchant: str, writes: Iterable[Write]) -> tuple[Written, ...] | Unanswered:
        """Write. Where Redis did not answer, the same writes may be sent again: they count once."""
        outcome = await self.exchange([Step(merchant, (), tuple(writes))])
        return outcome if isinstance(outcome, Unanswered) else outcome[0].written

    async def exchange(self, steps: Sequence[Step]) -> list[Outcome] | Unanswered:
        """Answer and write step by step: a step sees what the ones before it wrote."""
        exchange = Exchange(self._keys, self.limits, steps)
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
        replies = await self._taught(commands)
        self._scripts_known = True
        return replies

    async def _taught(self, commands: Sequence[Command]) -> list[Any]:
        """Send, with the scripts ahead."""
        return (await self._link.send(*LOAD_SCRIPTS, *commands))[len(LOAD_SCRIPTS) :]
