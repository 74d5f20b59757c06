"""A preview of past events says what judging them in clear said, or that it cannot say."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from infra.rules_files import read_rules
from infra.rules_preview import PastEvent, Preview
from schemas.decision_record import DecisionRecord, decode_record, encode_record
from scoring.rules.evaluate import Happening, Judgement, Signal
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.outcome import Outcome
from scoring.rules.past_view import Past
from scoring.rules.recorded import Request, entity_digest, record_of
from scoring.rules.ruleset import Rulebook
from tests.rules_kit import MINUTE, NOON, Shop, ruleset, statuses

KEYS = HistoryKeys(b"oracle")
LIBRARY = Path("scoring/rules/library")
FEW = st.sampled_from(("a", "b", "c", "jane@example.com", "+4915123456789"))
KINDS = st.sampled_from(("user", "card", "device", "address"))
TYPES = ("payment", "login", "sign_up")
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "event_type": st.sampled_from(TYPES),
            "entities": st.dictionaries(
                st.sampled_from(("user", "card", "device", "address")), FEW | st.integers(1, 3)
            ),
            "data": st.fixed_dictionaries(
                {"amount": st.integers(0, 2_000), "success": st.booleans(), "country": st.sampled_from(("DE", "FR"))},
                optional={"note": st.sampled_from(("fine", "jane@example.com")), "declined": st.booleans()},
            ),
            "after": st.integers(0, 40 * MINUTE),
            "vpn": st.booleans(),
            "score": st.none() | st.integers(0, 100),
        }
    ),
    max_size=15,
)
RULES = """
catalogues:
  payments: {event_types: [payment], entity: .entities.user, value: .data.amount, window: 1d}
  cards: {event_types: [payment, login], entity: .entities.device, value: .entities.card, window: 1d}
  failed:
    event_types: [login]
    entity: "if .data.success == false then .entities.address else null end"
    window: 1h
rules:
  - {id: sum, when: {sum: payments, over: 1h, gt: 1500}, actions: [deny]}
  - {id: self, when: {count: payments, include_self: true, gte: 3}, actions: [{score: 20}]}
  - {id: cards, when: {distinct: cards, gte: 2}, actions: [review]}
  - {id: last, when: {last: payments, gt: 1000}, actions: [{tag: t}]}
  - {id: since, when: {since: failed, of: .entities.address, lt: 10m}, actions: [review]}
  - {id: same, when: {last: cards, eq: a}, actions: [deny]}
  - {id: user, when: {field: .entities.user, in: [a, b]}, actions: [deny]}
  - {id: anybody, when: {field: .entities.user, exists: true}, actions: [{tag: t}]}
  - {id: nobody, when: {not: {field: .entities.user, exists: true}}, actions: [{tag: t}]}
  - {id: note, when: {field: .data.note, eq: fine}, actions: [{tag: t}]}
  - {id: length, when: {field: ".data.note | length", gt: 4}, actions: [{tag: t}]}
  - {id: vpn, when: {all: [{signal: vpn, eq: true}, {score: model, gt: 50}]}, actions: [review]}
  - id: either
    when: {any: [{field: .data.amount, gt: 1000}, {field: .entities.user, eq: a}]}
    actions: [review]
"""


@cache
def library() -> Rulebook:
    return read_rules([LIBRARY]).book


def happenings(events: list[dict[str, Any]]) -> list[tuple[Happening, Judgement]]:
    at, found = NOON, []
    for number, said in enumerate(events):
        at += said["after"]
        event = {
            "event_id": f"e{number}", "event_type": said["event_type"], "occurred_at": at, "session_id": None,
            "entities": said["entities"], "data": said["data"],
        }  # fmt: skip
        known = Judgement({"vpn": Signal(said["vpn"], 0.5)}, said["score"], lambda score: "allow")
        found.append((Happening(event, said["event_type"], f"e{number}", at), known))
    return found


def recorded(happening: Happening, outcome: Outcome, known: Judgement) -> DecisionRecord:
    return decode_record(encode_record(record_of(Request("shop", happening, happening.at), outcome, known, keys=KEYS)))


def past(record: DecisionRecord) -> PastEvent:
    """Return the event as it comes back from ClickHouse."""
    event = {
        "event_id": record.event_id, "event_type": record.event_type, "occurred_at": record.occurred_at,
        "session_id": None, "entities": record.entities, "data": record.data,
    }  # fmt: skip
    happening = Happening(event, record.event_type, record.event_id, record.occurred_at)
    hidden = tuple(tuple(place.split("/")[1:]) for place in record.redacted)
    seen = Past(happening, lambda text: entity_digest(KEYS, "shop", text), True, (("entities",),), hidden)
    known = Judgement(
        {name: Signal(one.result, one.confidence) for name, one in record.signals.items()}, record.model_score
    )
    return PastEvent("shop", seen, known, record.decision, record.by, "decisions", record.added, record.decision)


def check(book: Rulebook, events: list[dict[str, Any]]) -> None:
    """Judge events one by one in clear; each rule of the preview must say the same, or that it cannot be judged."""
    shop, tried = Shop(book), Preview(book, 0)
    unjudged = {rule["rule"]: 0 for rule in tried.as_json()["rules"]}
    before = {rule["rule"]: rule for rule in tried.as_json()["rules"]}
    for happening, known in happenings(events):
        outcome = shop.see(happening.event, happening.at, happening.id, known)
        tried.see(past(recorded(happening, outcome, known)))
        after = {rule["rule"]: rule for rule in tried.as_json()["rules"]}
        for name, status in statuses(outcome).items():
            if after[name]["unjudged"] > before[name]["unjudged"]:
                unjudged[name] += 1
                continue
            count = {"match": "matched", "no_match": "not_matched", "error": "errors"}[status]
            assert after[name][count] == before[name][count] + 1, (name, status)
        before = after
    found = tried.as_json()
    assert found["flipped"] == 0  # the same rules decide the same wherever it can be said
    assert found["events"] == len(events)


@settings(max_examples=25, deadline=None)
@given(EVENTS)
def test_every_rule_says_the_same_of_records_as_it_said_in_clear(events: list[dict[str, Any]]) -> None:
    check(Rulebook(ruleset(RULES)), events)


@settings(max_examples=8, deadline=None)
@given(EVENTS)
def test_so_does_the_library(events: list[dict[str, Any]]) -> None:
    check(library(), events)
