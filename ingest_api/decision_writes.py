"""What an event that is decided about adds to history: by one plan the quick way, by several each write once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence

from ingest_api.rule_history import RuleHistory
from scoring.rules.answers import Found, Query, Unanswered, Write
from scoring.rules.evaluate import Plan
from scoring.rules.history import Written
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.in_force import joined_writes
from scoring.rules.recall import Recollected

Became = Mapping[str, Written] | Unanswered
"""What was not counted anew, by catalogue."""


def asked(
    history: RuleHistory, keys: HistoryKeys, merchant: str, plans: Sequence[Plan]
) -> Awaitable[Recollected | Mapping[Query, Found | Unanswered] | Unanswered]:
    """Queue what plans ask of history, each question once; the answer is to be awaited."""
    live, *shadows = plans
    if shadows:
        queries = dict.fromkeys(query for plan in plans for query in plan.queries)
        return asyncio.create_task(history.read(merchant, queries))
    recalling = live.recall(keys, merchant, packed=True)
    return history.recalled(recalling, history.start(recalling.commands, raw=True))


class Writing:
    """The writes of one event. ``latest``: the latest time, in ms, at which something is written.

    ``unfit``: catalogues that it does not fit, each with why; ``ahead``: those where its time is later than that.
    """

    def __init__(
        self, history: RuleHistory, keys: HistoryKeys, merchant: str, plans: Sequence[Plan], latest: int
    ) -> None:
        self._history, self._merchant = history, merchant
        self._quick = (
            plans[0].remember(keys, merchant, history.limits, latest, packed=True) if len(plans) == 1 else None
        )
        self._writes: list[Write] = []
        if self._quick is not None:
            self.unfit, self.ahead = self._quick.unfit, self._quick.ahead
            return
        self.unfit = {name: why for plan in plans for name, why in plan.unwritten.items()}
        writes = joined_writes(plans)
        self.ahead = [write.catalogue.id for write in writes if write.at > latest]
        self._writes = [write for write in writes if write.at <= latest]

    @property
    def catalogues(self) -> Sequence[str]:
        """Return the catalogues that are written."""
        if self._quick is not None:
            return self._quick.catalogues
        return [write.catalogue.id for write in self._writes]

    def start(self) -> Awaitable[Became]:
        """Queue the writes; what became of them is to be awaited, once."""
        if self._quick is not None:
            return self._history.remembered(self._quick, self._history.start(self._quick.commands))
        return asyncio.create_task(self._write())

    async def _write(self) -> Became:
        written = await self._history.write(self._merchant, self._writes)
        if isinstance(written, Unanswered):
            return written
        became = zip(self._writes, written, strict=True)
        return {write.catalogue.id: how for write, how in became if how is not Written.COUNTED}
