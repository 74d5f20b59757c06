"""Rules for tests: written as YAML or as plain values, loaded as people's files are, judged against a history."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from scoring.rules.answers import Entity, Entry, Membership, Standing
from scoring.rules.evaluate import Engine, Happening, Judgement
from scoring.rules.given import GivenAnswers
from scoring.rules.load import Loaded, Scope, load
from scoring.rules.memory_history import MemoryHistory
from scoring.rules.outcome import Outcome
from scoring.rules.places import Mistake
from scoring.rules.ruleset import Rulebook, Ruleset
from scoring.rules.texts import placed

NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z
MINUTE, DAY = 60_000, 86_400_000


def loaded(text: str | Mapping[str, Any], scope: Scope = "global", name: str = "rules.yaml") -> Loaded:
    """Read one file; a mapping is written as JSON, which is YAML."""
    read = placed((text if isinstance(text, str) else json.dumps(text)).encode("utf-8", "replace"), name)
    return Loaded((), (), (read,)) if isinstance(read, Mistake) else load([read], scope)


def ruleset(text: str | Mapping[str, Any], scope: Scope = "global") -> Ruleset:
    return Ruleset.of(loaded(text, scope), scope)


def mistakes(text: str | Mapping[str, Any]) -> list[str]:
    return [f"{one.line}:{one.column}: {one.said}" for one in loaded(text).mistakes]


class Shop:
    """One merchant's events, judged and then written, as a service does it."""

    def __init__(self, book: Rulebook | Ruleset, merchant: str = "shop") -> None:
        self.engine = Engine(Rulebook(book) if isinstance(book, Ruleset) else book)
        self.stores = MemoryHistory()
        self.merchant = merchant
        self.lists: dict[Membership, Entry] = {}
        self.standings: dict[Entity, Standing] = {}
        self._count = 0

    def see(
        self,
        event: Mapping[str, Any],
        at: int = NOON,
        event_id: str | None = None,
        known: Judgement | None = None,
        all_trees: bool = False,
    ) -> Outcome:
        """Judge an event, then write what it adds."""
        self._count += 1
        happening = Happening(event, event.get("event_type", ""), event_id or f"event {self._count}", at)
        plan = self.engine.plan(self.merchant, happening)
        found = self.stores.read(self.merchant, plan.queries)
        outcome = plan.decide(GivenAnswers(found, self.lists, self.standings), known, all_trees)
        self.stores.write(self.merchant, plan.writes)
        return outcome


def statuses(outcome: Outcome) -> dict[str, str]:
    return {one.rule: one.status for one in outcome.trace}


def one_rule(when: Any, **more: Any) -> dict[str, Any]:
    """Return a file with one rule."""
    return {"rules": [{"id": "rule", "when": when, "actions": ["review"], **more}]}


def verdict(when: Any, event: Mapping[str, Any], known: Judgement | None = None) -> str:
    """Return what a single rule says of an event."""
    return statuses(Shop(ruleset(one_rule(when))).see(event, known=known))["rule"]


def payments(amounts: Sequence[float], user: str = "u1") -> list[dict[str, Any]]:
    return [{"event_type": "payment", "entities": {"user": user}, "data": {"amount": amount}} for amount in amounts]
