"""The rules' history while its store is away: nothing waits, and what events add is written when it is back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from flows.lookups.rule_backlog import AT_ONCE, RuleBacklog
from flows.lookups.rule_history import RuleHistory
from flows.redis_trip import connect
from schemas.result import DECISIONS
from scoring.rules.answers import Unanswered
from scoring.rules.history import Step
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.memory_history import MemoryHistory
from tests.judging import Came, decided, judge_by
from tests.rules_kit import ruleset

RULES = ruleset(
    {
        "catalogues": {"payments": {"event_types": ["payment"], "entity": ".entities.user", "window": "1d"}},
        "rules": [{"id": "many", "when": {"count": "payments", "over": "1h", "gte": 3}, "actions": ["deny"]}],
    }
)


class Moody:
    """A store that may be away."""

    def __init__(self) -> None:
        self.away = False
        self.steps: list[int] = []
        self._store = MemoryHistory()

    def exchange(self, steps: Sequence[Step]) -> Any:
        self.steps.append(len(steps))
        return Unanswered("away") if self.away else self._store.exchange(steps)


def decisions(judge: Any, *events: int) -> list[str]:
    batch = decided(judge, [Came(event, at=event) for event in events])
    return [DECISIONS[one] for one in batch.decision.decision.tolist()]


def test_events_of_an_outage_are_in_history_after_it() -> None:
    store = Moody()
    backlog = RuleBacklog(store)
    judge = judge_by(RULES, backlog)
    store.away = True
    assert decisions(judge, 1, 2, 3) == ["allow"] * 3
    assert decisions(judge, 4) == ["allow"]
    assert backlog.waiting == 4
    store.away = False
    assert decisions(judge, 5) == ["deny"]
    assert (backlog.waiting, backlog.lost) == (0, 0)


def test_the_backlog_is_bounded_and_the_newest_stay() -> None:
    store = Moody()
    store.away = True
    backlog = RuleBacklog(store, most=2)
    judge = judge_by(RULES, backlog)
    decisions(judge, 1, 2, 3, 4, 5)
    assert (backlog.waiting, backlog.lost) == (2, 3)
    store.away = False
    assert decisions(judge, 6, 7) == ["allow", "deny"]


def test_a_long_outage_is_made_good_in_parts() -> None:
    store = Moody()
    store.away = True
    backlog = RuleBacklog(store)
    judge = judge_by(RULES, backlog)
    for first in range(0, 600, 100):
        decisions(judge, *range(first, first + 100))
    store.away, store.steps = False, []
    assert decisions(judge, 600) == ["deny"]
    decisions(judge, 601)
    decisions(judge, 602)
    assert store.steps == [AT_ONCE + 1, AT_ONCE + 1, 600 - 2 * AT_ONCE + 1]


def test_a_store_that_does_not_answer_costs_a_flow_next_to_nothing() -> None:
    """Nobody listens on the port: the first question fails at once, and the breaker spares the others."""
    asked = 0

    class Counted(RuleHistory):
        def _execute(self, commands: Any) -> Any:
            nonlocal asked
            asked += 1
            return super()._execute(commands)

    store = Counted(connect("redis://127.0.0.1:9", 0.05), HistoryKeys(b"key"), clock=lambda: 1.0)
    judge = judge_by(RULES, store)
    began = time.monotonic()
    for event in range(50):
        batch = decided(judge, [Came(event)])
        assert batch.rules.degraded.tolist() == [True]
    assert asked == 1
    assert time.monotonic() - began < 10  # a bound for a machine that is busy; it takes 0.1 s
