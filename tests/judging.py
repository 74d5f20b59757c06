"""Scored events of the flow with who they are of, and the stage that asks rules about them, for tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from schemas.batches import Decided, Enriched, Judged, Score, Scored
from schemas.columns import widen
from scoring.judge import HistoryLookup, Judge
from scoring.policy import Policies
from scoring.rules.answers import Entity, Entry, Membership, Standing, Unanswered
from scoring.rules.in_force import InForce
from scoring.rules.memory_history import MemoryHistory
from scoring.rules.ruleset import Rulebook, Ruleset
from tests.builders import NOW, enriched
from tests.deciding import decide_stage

FAR = 1 << 52  # ms: clocks that bound no event time
SIGNAL = "bot"


class Came(NamedTuple):
    """One scored event."""

    event: int
    merchant: str = "shop"
    event_type: str = "payment"
    user: str = "u1"
    card: str = ""
    score: float = 10
    at: int = 0  # ms after NOW
    session: int = 1
    bot: float = 0.0  # confidence of the smart signal; from one half on it is true


@dataclass
class FixedLists:
    """Lists of one merchant; of all others nothing is said."""

    merchant: str = "shop"
    members: Mapping[Membership, Entry] = field(default_factory=dict)
    standings: Mapping[Entity, Standing] = field(default_factory=dict)
    unanswered: bool = False
    asked: int = 0

    def of(self, merchant: str, /) -> FixedLists:
        return self if merchant == self.merchant else FixedLists("")

    def __bool__(self) -> bool:
        return bool(self.merchant)

    def member(self, membership: Membership, /) -> Entry | Unanswered | None:
        return Unanswered("away") if self.unanswered else self.members.get(membership)

    def standing(self, entity: Entity, /) -> Standing | Unanswered:
        self.asked += 1
        return Unanswered("away") if self.unanswered else self.standings.get(entity, Standing())


class Away:
    """A store that does not answer."""

    def __init__(self) -> None:
        self.asked = 0

    def exchange(self, steps: Any) -> Unanswered:
        self.asked += 1
        return Unanswered("away")


def came(rows: Sequence[Came], first: int = 0) -> Scored:
    """Return a batch of events at offsets from ``first``."""
    base, count = _blank(len(rows)), len(rows)
    ids, sessions = np.zeros((count, 16), np.uint8), np.zeros((count, 16), np.uint8)
    ids[:, 15] = [row.event % 256 for row in rows]
    ids[:, 14] = [row.event // 256 for row in rows]
    sessions[:, 0] = [row.session for row in rows]
    far = np.full(count, FAR, np.int64)
    base = replace(
        base,
        origin=replace(base.origin, offset=np.arange(first, first + count), appended_at=far),
        event=replace(
            base.event,
            event_id=ids,
            session_id=sessions,
            occurred_at=np.array([NOW + row.at for row in rows], np.int64),
            received_at=far,
            merchant=tuple(row.merchant for row in rows),
            event_type=tuple(row.event_type for row in rows),
            linked_id=tuple(row.user for row in rows),
            card_token=tuple(row.card for row in rows),
        ),
    )
    smart, column = base.smart, base.smart.column(SIGNAL)
    result, confidence = smart.result.copy(), smart.confidence.copy()
    confidence[:, column] = [row.bot for row in rows]
    result[:, column] = confidence[:, column] >= 0.5
    score = Score.of("test-model", np.array([row.score for row in rows], np.float32))
    return widen(Scored, replace(base, smart=replace(smart, result=result, confidence=confidence)), score=score)


@lru_cache
def _blank(rows: int) -> Enriched:
    return enriched([{}] * rows)


def in_force(live: Ruleset | Rulebook, *shadows: Ruleset | Rulebook) -> InForce:
    """Return rules for everybody, and others that are tried."""
    books = [Rulebook(one) if isinstance(one, Ruleset) else one for one in (live, *shadows)]
    return InForce.of(books[0], books[1:])


def judge_by(rules: InForce | Ruleset, history: HistoryLookup | None = None, lists: FixedLists | None = None) -> Judge:
    """Return the stage with these rules, with a history in memory where none is given."""
    found = in_force(rules) if isinstance(rules, Ruleset) else rules
    known = lists or FixedLists("")
    return Judge(lambda: found, MemoryHistory() if history is None else history, lambda: known)


def decided(judge: Judge, rows: Sequence[Came], policies: Policies | None = None) -> Decided:
    """Return what comes of events in one batch, by thresholds of 40 and 80 where no policies are given."""
    judged: Judged = judge(came(rows)).oks
    return decide_stage(policies).open(()).apply(judged).oks
