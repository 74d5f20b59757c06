"""Whatever is sent to ``POST /v1/decisions`` is answered: 200, or a refusal with its sentence, and never a 500."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest_api.errors import FAULTS, Code
from tests.decisions_kit import NOW, SESSION, Service, in_force, payment, service, session_of

RULES = """
catalogues:
  payments: {event_types: [payment], entity: .entities.user, value: .data.amount, window: 7d}
  cards: {event_types: [payment], entity: .entities.card, value: '.data | length', window: 1d}
  devices:
    {event_types: [payment], entity: .data.device, value: .data.name, time: .data.at, dedupe: .data.id, window: 90d}
rules:
  - {id: sum, when: {sum: payments, gt: 100}, actions: [review]}
  - {id: distinct, when: {distinct: cards, include_self: true, gte: 1}, actions: [{score: +5}]}
  - {id: last, when: {last: devices, exists: true}, actions: [{tag: seen}]}
  - {id: since, when: {since: devices, lt: 5m}, actions: [{tag: soon}]}
  - {id: text, when: {field: .data.name, matches: '^[a-z]+$'}, actions: [{tag: named}]}
  - {id: jq, when: {field: '.data | keys | length', gt: 3}, actions: [{alert: numbers}]}
  - {id: listed, when: {field: .entities.user, list: names}, actions: [deny]}
  - {id: bot, when: {any: [{signal: bot}, {score: model, gt: 50}]}, actions: [deny]}
"""
SENTENCES = {fault.message for fault in FAULTS.values()}
names = st.sampled_from(["user", "card", "device", "amount", "name", "at", "id", "data", "entities", "", "é", "\ud800"])
texts = st.one_of(st.text(max_size=12), st.sampled_from(["a", "1e999", "x" * 257, "2026-03-01T12:00:00Z", "\x00"]))
numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([2**53 + 1, 10**400, -(2**63), 1e308, NOW, 10**14]))
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=5), st.dictionaries(names, inner, max_size=5)),
    max_leaves=20,
)
entities = st.dictionaries(names, st.one_of(texts, numbers, st.lists(texts, max_size=3)), max_size=4)
changes = st.fixed_dictionaries(
    {},
    optional={
        "event_id": st.one_of(values, st.sampled_from(["a", "b", "c"])),
        "event_type": st.one_of(values, st.sampled_from(["payment", "login"])),
        "occurred_at": st.one_of(values, st.integers(NOW - 10**10, NOW + 10**6)),
        "entities": st.one_of(values, entities),
        "session_id": st.one_of(values, st.just(SESSION)),
        "data": st.one_of(values, st.dictionaries(names, values, max_size=6)),
        "more": values,
    },
)
noise = st.tuples(st.integers(0, 400), st.binary(max_size=4), st.integers(0, 8))


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that lives as long as the service does."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


@pytest.fixture(scope="module")
def served(loop: asyncio.AbstractEventLoop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with rules of every kind."""
    holding = service(Path(tmp_path_factory.mktemp("fuzz")), in_force(RULES), merchant_decisions_per_second=10**6)
    running = loop.run_until_complete(holding.__aenter__())
    session_of(running, 60, last_signals='{"bot":[true,0.9]}')
    yield running
    loop.run_until_complete(holding.__aexit__(None, None, None))


def ask(loop: asyncio.AbstractEventLoop, served: Service, body: bytes) -> Any:
    """Send a body; return the answer, whose form is checked."""
    answer = loop.run_until_complete(served.post(body, trace="all"))
    found = answer.json()
    if answer.status_code == 200:
        assert found["decision"] in ("allow", "review", "deny")
        assert found["score"] is None or 0 <= found["score"] <= 100
    else:
        assert answer.status_code in (409, 413, 422), answer.text
        assert found["error"]["code"] in set(Code)
        assert found["error"]["message"].endswith(".")
    return found


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes)
def test_odd_values_anywhere_are_answered(
    loop: asyncio.AbstractEventLoop, served: Service, changed: dict[str, Any]
) -> None:
    ask(loop, served, json.dumps({**payment(), **changed}).encode("utf-8", "surrogatepass"))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes, st.lists(noise, min_size=1, max_size=3))
def test_damaged_bodies_are_answered(
    loop: asyncio.AbstractEventLoop, served: Service, changed: dict[str, Any], damage: list[tuple[int, bytes, int]]
) -> None:
    body = json.dumps({**payment(), **changed}).encode("utf-8", "surrogatepass")
    for at, inserted, cut in damage:
        body = body[:at] + inserted + body[at + cut :]
    ask(loop, served, body)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(names.filter(lambda name: name != "\ud800"), values, max_size=6))
def test_what_was_answered_is_answered_alike_and_recorded_without_error(
    loop: asyncio.AbstractEventLoop, served: Service, data: dict[str, Any]
) -> None:
    body = json.dumps(payment(event_id=f"n{len(served.tier.decisions.records)}", data=data)).encode()
    found = ask(loop, served, body)
    if "error" not in found:
        again = ask(loop, served, body)
        assert again == found | {"replayed": True}
        records = served.records[-2:]
        assert records[0] == records[1]
        assert records[0].decision == found["decision"]
