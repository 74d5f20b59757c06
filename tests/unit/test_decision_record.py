"""The record of a decision: written, read back, bounded, and without personal data."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from schemas.decision_record import (
    LARGEST,
    VERSION,
    DecisionRecord,
    Limits,
    RecordError,
    decode_record,
    encode_record,
    record_key,
)
from scoring.rules.answers import Entity, Entry, Standing
from scoring.rules.evaluate import Engine, Happening, Judgement, Signal
from scoring.rules.given import GivenAnswers
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.outcome import Outcome
from scoring.rules.recorded import Request, entity_digest, record_of
from scoring.rules.ruleset import Rulebook
from tests.rules_kit import NOON, ruleset

KEYS = HistoryKeys(b"entity key of the tests")
RULES = ruleset(
    {
        "rules": [
            {"id": "large", "when": {"field": ".data.amount", "gt": 500}, "actions": ["review", {"tag": "big"}]},
            {"id": "small", "when": {"field": ".data.amount", "lt": 5}, "actions": ["deny"]},
            {"id": "broken", "when": {"field": ".data.note", "gt": 5}, "actions": ["deny"]},
        ]
    }
)
EVENT: dict[str, Any] = {
    "event_id": "e1",
    "event_type": "payment",
    "occurred_at": NOON,
    "entities": {"user": "jane@example.com", "card": [4111111111111111, "tok-7"], "device": None},
    "session_id": None,
    "data": {"amount": 700, "note": "for jane@example.com"},
}


def judged(event: dict[str, Any] | None = None, standings: Any = None) -> tuple[Happening, Outcome, Judgement]:
    event = event or EVENT
    happening = Happening(event, event["event_type"], event["event_id"], event["occurred_at"])
    known = Judgement({"vpn": Signal(True, 0.75)}, 12.5, lambda score: "allow")
    plan = Engine(Rulebook(RULES)).plan("shop", happening)
    return happening, plan.decide(GivenAnswers(standings=standings or {}), known), known


def record(event: dict[str, Any] | None = None, **more: Any) -> DecisionRecord:
    happening, outcome, known = judged(event)
    return record_of(Request("shop", happening, NOON + 5, "ab" * 16), outcome, known, keys=KEYS, **more)


def test_a_record_comes_back_as_it_was() -> None:
    made = record(policy="p1", limits=Limits(40, 80, 5, "review"), microseconds=1234, shadows=[judged()[1]])
    assert decode_record(encode_record(made)) == made
    assert (made.version, made.merchant, made.event_id, made.event_type) == (VERSION, "shop", "e1", "payment")
    assert (made.occurred_at, made.received_at, made.session_id) == (NOON, NOON + 5, "ab" * 16)
    assert (made.decision, made.by, made.matched, made.tags) == ("review", "rules", ("large",), ("big",))
    assert (made.score, made.model_score, made.signals["vpn"].confidence) == (12.5, 12.5, 0.75)
    assert (made.shadows[0].decision, made.shadows[0].errors) == ("review", ("broken",))
    assert record_key(made) == b"shop/e1"


def test_only_rules_that_said_something_are_in_the_trace() -> None:
    assert [(said.rule, said.status) for said in record().trace] == [("broken", "error"), ("large", "match")]


def test_nothing_personal_is_in_a_record() -> None:
    made = record()
    written = encode_record(made).decode()
    assert "jane" not in written and "4111111111111111" not in written and "tok-7" not in written
    assert made.data == {"amount": 700, "note": "[email]"}
    assert made.redacted == ("/data/note",)
    assert (made.entities["device"], len(made.entities["card"])) == (None, 2)


def test_an_entity_has_the_same_digest_wherever_it_is_shown() -> None:
    other = {**EVENT, "entities": {"owner": ["jane@example.com", 7, 7.0, "7"]}}
    owner = record(other).entities["owner"]
    assert owner[0] == record().entities["user"] == entity_digest(KEYS, "shop", "jane@example.com")
    assert owner[1] == owner[2] == owner[3] != owner[0]
    assert entity_digest(KEYS, "other", "jane@example.com") != owner[0]
    assert KEYS.entity("shop", "7") == b"r:{%b}" % owner[1].encode()


def test_an_id_that_is_personal_is_a_digest_too() -> None:
    assert record({**EVENT, "event_id": "jane@example.com"}).event_id == entity_digest(KEYS, "shop", "jane@example.com")


def test_what_is_no_entity_is_named_as_not_read() -> None:
    made = record({**EVENT, "entities": {"user": {"a": 1}, "card": "x" * 300, "jane@example.com": "u"}})
    assert (made.entities["user"], made.entities["card"]) == ("[not read]", "[not read]")
    assert made.redacted[:2] == ("/entities/user", "/entities/card")
    assert set(made.entities) == {"user", "card", "[email]"}
    assert record({**EVENT, "entities": ["u"]}).redacted[0] == "/entities"


def test_a_policy_that_decides_for_what_is_degraded_is_what_is_recorded() -> None:
    made = record(decided=("deny", "degraded"))
    assert (made.decision, made.by, made.matched) == ("deny", "degraded", ("large",))


def test_what_lists_decided_is_recorded() -> None:
    entity = Entity("user", "jane@example.com")
    happening, outcome, known = judged(standings={entity: Standing(deny=Entry("frauds"))})
    made = record_of(Request("shop", happening, NOON), outcome, known, keys=KEYS)
    assert (made.decision, made.by, made.trace) == ("deny", "deny_list", ())


def test_a_record_is_never_larger_than_its_bound() -> None:
    tree = {"all": [{"of": "x" * 1_000, "is": True}] * 5}
    said = msgspec.structs.replace(record().trace[0], tree=tree)
    made = msgspec.structs.replace(record(), trace=(said,) * 900)
    short = decode_record(encode_record(made))
    assert len(short.trace) == 900 and short.trace[0].tree is None and short.data == made.data
    made = msgspec.structs.replace(made, data=["y" * 4_000] * 200)
    short = decode_record(encode_record(made))
    assert short.redacted == ("/entities", "/data") and short.decision == made.decision
    assert len(encode_record(made)) <= LARGEST


@pytest.mark.parametrize(
    ("change", "said", "later"),
    [
        (lambda one: b"{", "not the JSON", False),
        (lambda one: b"[" * 100_000, "not the JSON", False),
        (lambda one: json.dumps({**one, "decision": 5}).encode(), "not the members", False),
        (lambda one: json.dumps({**one, "version": 2}).encode(), "version 2", True),
        (lambda one: json.dumps({"version": 7, "what": "else"}).encode(), "version 7", True),
        (lambda one: json.dumps({**one, "version": 0}).encode(), "version 0", False),
        (lambda one: json.dumps({**one, "merchant": ""}).encode(), "1 to 256", False),
        (lambda one: json.dumps({**one, "event_type": "x" * 300}).encode(), "256", False),
        (lambda one: json.dumps({**one, "occurred_at": -1}).encode(), "1970", False),
        (lambda one: b" " * (LARGEST + 1), "KiB", False),
        (lambda one: b"\xff\xfe", "not the JSON", False),
    ],
)
def test_what_is_no_record_is_said_without_a_word_of_it(change: Any, said: str, later: bool) -> None:
    with pytest.raises(RecordError) as found:
        decode_record(change(msgspec.to_builtins(record())))
    assert said in str(found.value) and found.value.later is later and "jane" not in str(found.value)
