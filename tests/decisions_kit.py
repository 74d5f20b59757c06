"""For tests of decisions by HTTP: rules as YAML, a tier in memory that decides by them, and a history in Valkey."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpx

from ingest_api.decider import Sources
from ingest_api.redis_link import RedisLink, connect
from ingest_api.rule_history import AWAY, RuleHistory
from schemas.decision_record import DecisionRecord, decode_record
from scoring.policy import Policies, Policy
from scoring.rules.answers import Entity, Entry, Found, Membership, Query, Standing, Unanswered, Write
from scoring.rules.history import Written
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.in_force import InForce
from scoring.rules.ruleset import Rulebook, Ruleset
from tests.ingest_kit import KEYS, Tier, bearer, tier
from tests.rules_kit import ruleset
from tests.valkey_part import Valkey

NOW = 1_790_000_000_000
SESSION = "0190f3a5c1d27b3e8f4a6d5c4b3a2918"
SEED = """
# The two examples of the article that the rules service grew from.
catalogues:
  payments_by_user: {event_types: [payment], entity: .entities.user, value: .data.amount, window: 7d}
  logins_by_user: {event_types: [login], entity: .entities.user, window: 7d}
rules:
  - id: large-payment
    description: The amount is greater than 500
    event_types: [payment]
    when: {field: .data.amount, gt: 500}
    actions: [review, {tag: amount}]
  - id: spending-and-logins
    description: The user spent much and logged in often
    event_types: [payment]
    when:
      all:
        - {sum: payments_by_user, over: 3d, gt: 1000}
        - {count: logins_by_user, over: 3d, gt: 5}
    actions: [deny, {score: +20}, {alert: fraud-team}]
    priority: 10
"""
NEEDS_HISTORY = """
catalogues:
  payments_by_user: {event_types: [payment], entity: .entities.user, window: 7d}
rules:
  - {id: often, when: {count: payments_by_user, gt: 100}, actions: [deny]}
  - {id: large, when: {field: .data.amount, gt: 500}, actions: [review]}
  - {id: tiny, when: {field: .data.amount, lt: 1}, actions: [allow]}
"""


@lru_cache(1)
def valkey() -> str:
    """Return the address of a Valkey that lives as long as this process."""
    folder = Path(tempfile.mkdtemp(prefix="decisions-"))
    server = Valkey(folder, appendonly="no")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.kill)
    server.start()
    return server.url


class HistoryOfTests(RuleHistory):
    """The real history, which can be away. Every entity key is a history of its own."""

    def __init__(self, entity_key: bytes) -> None:
        self.link = RedisLink(connect(valkey()))
        super().__init__(self.link, HistoryKeys(entity_key), seconds=20)
        self.away = False

    async def read(self, merchant: str, queries: Iterable[Query]) -> dict[Query, Found | Unanswered] | Unanswered:
        """Answer."""
        return AWAY if self.away else await super().read(merchant, queries)

    async def write(self, merchant: str, writes: Iterable[Write]) -> tuple[Written, ...] | Unanswered:
        """Write."""
        return AWAY if self.away else await super().write(merchant, writes)

    def start(self, commands: Sequence[Any], *, raw: bool = False) -> Any:
        """Send."""
        return None if self.away else super().start(commands, raw=raw)


class ListsOfTests:
    """Lists of one merchant, or none that could be asked."""

    def __init__(self, merchant: str = "demo-shop", away: bool = False) -> None:
        self.merchant, self.away = merchant, away
        self.members: dict[Membership, Entry] = {}
        self.standings: dict[Entity, Standing] = {}

    def of(self, merchant: str, /) -> ListsOfTests:
        """Return those of a merchant."""
        return self if merchant == self.merchant else ListsOfTests(merchant, self.away)

    def member(self, membership: Membership, /) -> Entry | Unanswered | None:
        """Return a line."""
        return Unanswered("away") if self.away else self.members.get(membership)

    def standing(self, entity: Entity, /) -> Standing | Unanswered:
        """Return what is said of an entity."""
        return Unanswered("away") if self.away else self.standings.get(entity, Standing())


class Service:
    """A tier and what it decides by; all of it may be changed between two decisions."""

    def __init__(self, tier: Tier, history: HistoryOfTests, state: dict[str, Any]) -> None:
        self.tier, self.history, self._state = tier, history, state

    def change(self, **sources: Any) -> None:
        """Decide by something else from now on: rules, lists or policies."""
        self._state.update(sources)

    async def post(self, body: Any, merchant: str = "demo-shop", trace: str | None = None) -> httpx.Response:
        """Ask for a decision; bytes are sent as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {**bearer(KEYS[merchant]), "content-type": "application/json"}
        params = {"trace": trace} if trace else None
        return await self.tier.client.post("/v1/decisions", content=content, headers=headers, params=params)

    async def decide(self, merchant: str = "demo-shop", **changes: Any) -> dict[str, Any]:
        """Ask for a decision about a payment with changes; return the answer."""
        answer = await self.post(payment(**changes), merchant)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    @property
    def records(self) -> list[DecisionRecord]:
        """What was recorded."""
        return [decode_record(record.value) for record in self.tier.decisions.records]

    def metric(self, name: str, **labels: str) -> float:
        """Return a series."""
        return self.tier.app.parts.metrics.registry.get_sample_value(f"clickgoose_decisions_{name}", labels) or 0.0


def payment(**changes: Any) -> dict[str, Any]:
    """Return an event that the seed's rules let pass, with changes; ``amount`` is of its data."""
    data = {"amount": changes.pop("amount", 20)}
    usual = {"event_id": "p-1", "event_type": "payment", "occurred_at": NOW, "entities": {"user": "u1"}, "data": data}
    return {**usual, **changes}


def in_force(live: str | Mapping[str, Any] | Rulebook, *shadows: str | Mapping[str, Any]) -> InForce:
    """Return rules as they are in force; written as YAML or plain values they are global."""
    book = live if isinstance(live, Rulebook) else Rulebook(ruleset(live))
    return InForce.of(book, [Rulebook(ruleset(one)) for one in shadows])


def own(text: str | Mapping[str, Any]) -> Ruleset:
    """Return a merchant's own rules."""
    return ruleset(text, "own")


@contextlib.asynccontextmanager
async def service(
    directory: Path, rules: InForce, *, without_history: bool = False, **changes: Any
) -> AsyncIterator[Service]:
    """Serve a tier in memory that decides by some rules; its clock says ``NOW``."""
    state: dict[str, Any] = {"rules": rules, "lists": ListsOfTests(), "policies": Policies()}
    sources = Sources(
        rules=lambda: state["rules"],
        lists=lambda: state["lists"],
        policies=lambda: state["policies"],
        thresholds=lambda version: {"model-1": Policy(30, 60, 5)}.get(version, Policy()),
    )
    entity_key = changes.setdefault("entity_key", os.urandom(16))
    async with tier(directory, clock=lambda: NOW, sources=sources, **changes) as t:
        history = HistoryOfTests(entity_key)
        decider: Any = t.app.parts.decider
        if not without_history:
            decider._history = history
        yield Service(t, history, state)
        await history.link.close()


def session_of(
    service: Service, score: float, decision: str = "allow", merchant: str = "demo-shop", **fields: Any
) -> None:
    """Put what the flow says of a session."""
    said = {
        "last_score": str(score),
        "standing": decision,
        "last_decision": "deny",  # by a rule, say: it is not what hysteresis compares with
        "last_model": "model-1",
        "last_signals": "{}",
        **fields,
    }
    key = f"session:{merchant}:{SESSION}"
    service.tier.redis.hashes[key] = {name: value.encode() for name, value in said.items()}
