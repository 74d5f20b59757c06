"""``POST /v1/decisions``: what is answered, once for an event id, with everything recorded."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from ingest_api.appender import Delivered
from ingest_api.decision_metrics import MOST_RULES, OTHERS
from scoring.policy import Policies, Policy
from scoring.rules.answers import Entity, Entry, Standing
from scoring.rules.ruleset import Rulebook
from tests.decisions_kit import (
    NEEDS_HISTORY,
    NOW,
    SEED,
    SESSION,
    ListsOfTests,
    Service,
    in_force,
    own,
    payment,
    service,
    session_of,
)
from tests.ingest_kit import KEYS, bearer, code
from tests.rules_kit import ruleset
from tests.waiting import soon

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


async def test_the_first_example_of_the_seed_an_amount_greater_than_x(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED)) as s:
        below = await s.decide(event_id="a", amount=500)
        assert (below["decision"], below["decided_by"], below["rules"], below["reasons"]) == (
            "allow",
            "default",
            [],
            [],
        )
        above = await s.decide(event_id="b", amount=501)
        assert (above["decision"], above["decided_by"]) == ("review", "rules")
        assert above["rules"] == [
            {
                "id": "large-payment", "scope": "global", "priority": 0, "reason": "The amount is greater than 500",
                "decision": "review", "score": 0.0, "tags": ["amount"], "alerts": [],
            }
        ]  # fmt: skip
        assert above["reasons"] == [{"code": "large-payment", "text": "The amount is greater than 500"}]
        assert (above["occurred_at"], above["decided_at"], above["replayed"]) == (NOW, NOW, False)
        assert (above["degraded"], above["uncounted"], above["shadows"]) == ([], [], [])
        assert above["versions"] == {"rulesets": Rulebook(ruleset(SEED)).of("demo-shop").digest, "model": None}


async def spend_and_log_in(s: Service, merchant: str = "demo-shop") -> dict[str, Any]:
    """Let a user log in six times and pay 1,001 in three payments; return what is said of a fourth."""
    for number in range(6):
        await s.decide(
            merchant, event_id=f"login-{number}", event_type="login", occurred_at=NOW - (12 - number) * HOUR, data={}
        )
    for number, amount in enumerate((400, 400, 201)):
        paid = await s.decide(
            merchant, event_id=f"paid-{number}", occurred_at=NOW - (3 - number) * MINUTE, amount=amount
        )
        assert paid["decision"] == "allow"
    return await s.decide(merchant, event_id="next", amount=1)


async def test_the_second_example_of_the_seed_a_sum_of_days_and_a_number_of_logins(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED)) as s:
        found = await spend_and_log_in(s)
        assert (found["decision"], found["decided_by"], found["score"], found["added"]) == ("deny", "rules", 20.0, 20.0)
        assert (found["alerts"], found["rules"][0]["priority"]) == (["fraud-team"], 10)
        tree = found["trace"][0]["tree"]
        assert [one["saw"] for one in tree["all"]] == [1001.0, 6]
        later = await s.decide(event_id="later", occurred_at=NOW + 5 * MINUTE - 1, amount=1, entities={"user": "u2"})
        assert later["decision"] == "allow", "another user's history is another"


async def test_the_same_event_again_gets_the_first_answer_even_under_other_rules(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED)) as s:
        body = payment(amount=501, entities={"user": "u1", "card": "c"})
        first = await s.post(body)
        s.change(rules=in_force({"rules": []}))
        turned = {name: body[name] for name in reversed(body)} | {"occurred_at": "2026-09-21T16:13:20.000+02:00"}
        again = await s.post(json.dumps(turned, indent=3).encode(), trace="all")
        assert again.json() == first.json() | {"replayed": True}
        assert (s.metric("replayed_total"), s.metric("total", decision="review", by="rules")) == (1, 1)
        assert s.records[0] == s.records[1], "who was killed between may not have recorded it"


async def test_another_body_under_an_event_id_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED)) as s:
        await s.decide(amount=501)
        for change in (
            {"amount": 502},
            {"entities": {"user": "u2"}},
            {"occurred_at": NOW + 1},
            {"session_id": SESSION},
        ):
            assert code(await s.post(payment(**{"amount": 501, **change}))) == (409, "event_id_taken")
        assert len(s.records) == 1
        assert s.metric("conflicts_total") == 4
        found = await s.decide(event_id="other", entities={"user": "u2"})
        assert found["trace"] == [] and found["decision"] == "allow"


async def test_of_many_at_once_one_body_stands_and_is_answered_alike_by_two_processes(tmp_path: Path) -> None:
    shared = {"entity_key": os.urandom(16)}
    async with (
        service(tmp_path / "a", in_force(SEED), **shared) as one,
        service(tmp_path / "b", in_force({"rules": []}), **shared) as two,
    ):
        two.tier.redis.values = one.tier.redis.values
        same = await asyncio.gather(*(s.post(payment(amount=501)) for s in (one, two) * 8))
        assert {answer.status_code for answer in same} == {200}
        stands = [answer.json() for answer in same if not answer.json()["replayed"]]
        assert len(stands) == 1
        assert all(answer.json() | {"replayed": False} == stands[0] for answer in same)
        assert {record.decision for s in (one, two) for record in s.records} == {stands[0]["decision"]}
        bodies = [payment(event_id="p-2", amount=amount) for amount in range(12)]
        mixed = await asyncio.gather(*((one, two)[n % 2].post(body) for n, body in enumerate(bodies)))
        assert sorted(answer.status_code for answer in mixed) == [200] + [409] * 11


async def test_merchants_share_nothing_but_the_global_rules(tmp_path: Path) -> None:
    """Event ids, catalogues, rules, sessions and lists of one merchant do not exist for another."""
    global_rules = ruleset(SEED)
    mine = own({"rules": [{"id": "mine", "when": {"field": ".data.amount", "lt": 10}, "actions": ["review"]}]})
    async with service(tmp_path, in_force(Rulebook(global_rules, {"demo-shop": mine}))) as s:
        lists = ListsOfTests("demo-shop")
        lists.standings[Entity("user", "u9")] = Standing(deny=Entry("thieves"))
        s.change(lists=lists)
        session_of(s, 90)
        denied = await spend_and_log_in(s)
        assert (denied["decision"], denied["rules"][0]["id"]) == ("deny", "spending-and-logins")
        theirs = await s.decide("other-shop", event_id="next", amount=1, session_id=SESSION)
        assert (theirs["replayed"], theirs["decision"], theirs["model_score"]) == (False, "allow", None)
        assert theirs["rules"] == [] and "mine" not in json.dumps(theirs)
        assert (await s.decide(event_id="l", entities={"user": "u9"}))["decided_by"] == "deny_list"
        assert (await s.decide("other-shop", event_id="l", entities={"user": "u9"}))["decision"] == "allow"
        by_merchant = {(record.merchant, record.event_id) for record in s.records}
        assert {("demo-shop", "next"), ("other-shop", "next")} <= by_merchant


async def test_who_calls_without_a_key_or_with_a_token_is_refused(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED)) as s:
        post = s.tier.client.post
        assert code(await post("/v1/decisions", json=payment())) == (401, "api_key_missing")
        assert code(await post("/v1/decisions", json=payment(), headers=bearer("nobody"))) == (401, "api_key_invalid")
        opened = await post("/v1/sessions", json={"transaction": "t"}, headers=bearer(KEYS["demo-shop"]))
        token = bearer(opened.json()["token"])
        assert code(await post("/v1/decisions", json=payment(), headers=token)) == (403, "wrong_credential")
        assert s.records == []


async def test_a_session_gives_its_score_its_signals_and_what_it_was_decided(tmp_path: Path) -> None:
    rules = """
rules:
  - {id: hidden, when: {signal: vpn}, actions: [{score: +10}]}
  - {id: sure, when: {signal: bot, part: confidence, gt: 0.8}, actions: [{tag: sure}]}
"""
    async with service(tmp_path, in_force(rules)) as s:
        signals = '{"vpn":[true,0.4],"bot":[null,0.9],"emulator":[false,null]}'
        session_of(s, 52.0, last_signals=signals)
        found = await s.decide(session_id=SESSION)
        assert (found["model_score"], found["score"], found["added"]) == (52.0, 62.0, 10.0)
        assert (found["decision"], found["decided_by"]) == ("deny", "model"), "by the model's own thresholds, 30 and 60"
        assert (found["versions"]["model"], found["tags"]) == ("model-1", ["sure"])
        assert (s.records[0].model_score, s.records[0].limits.deny) == (52.0, 60)  # type: ignore[union-attr]
        s.change(policies=Policies(of_merchant={"demo-shop": Policy(61, 90, 5)}, default=Policy(10, 20, 5)))
        assert (await s.decide(event_id="b", session_id=SESSION))["decision"] == "review"
        session_of(s, 57.0, "review")
        assert (await s.decide(event_id="c", session_id=SESSION))["decision"] == "review", "it was in review already"
        del (older := s.tier.redis.hashes[f"session:demo-shop:{SESSION}"])["standing"]
        older["last_decision"] = b"allow"  # as a build wrote it that kept no standing decision
        assert (await s.decide(event_id="e", session_id=SESSION))["decision"] == "allow"
        unknown = await s.decide(event_id="d", session_id="f" * 32)
        assert (unknown["model_score"], unknown["decided_by"], unknown["degraded"]) == (None, "default", [])


async def test_lists_come_before_rules_and_the_model(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED)) as s:
        lists = ListsOfTests()
        lists.standings[Entity("user", "friend")] = Standing(allow=Entry("staff"))
        lists.standings[Entity("user", "thief")] = Standing(deny=Entry("thieves"))
        s.change(lists=lists)
        friend = await s.decide(event_id="a", amount=900, entities={"user": "friend"})
        assert (friend["decision"], friend["decided_by"], friend["trace"]) == ("allow", "allow_list", [])
        thief = await s.decide(event_id="b", entities={"user": "thief"})
        assert (thief["decision"], thief["decided_by"]) == ("deny", "deny_list")
        both = await s.decide(event_id="c", entities={"user": ["thief", "friend"]})
        assert both["decided_by"] == "allow_list"


async def test_the_trace_says_as_much_as_is_asked_for(tmp_path: Path) -> None:
    rules = """
rules:
  - {id: above, when: {field: .data.amount, gt: 10}, actions: [{tag: a}]}
  - {id: below, when: {field: .data.amount, lt: 10}, actions: [{tag: b}]}
  - {id: wrong, when: {field: .data.name, gt: 10}, actions: [{tag: c}]}
  - {id: tried, when: always, actions: [deny], status: shadow}
  - {id: never, when: always, actions: [deny], status: off}
"""
    async with service(tmp_path, in_force(rules)) as s:

        async def trace(event_id: str, asked: str | None) -> dict[str, Any] | None:
            answer = await s.post(payment(event_id=event_id, data={"amount": 20, "name": "Jo"}), trace=asked)
            assert answer.json()["decision"] == "allow"
            said = answer.json().get("trace")
            return None if said is None else {one["rule"]: one for one in said}

        assert await trace("a", "none") is None
        told = await trace("b", None)
        assert told is not None
        assert {rule: one["status"] for rule, one in told.items()} == {
            "above": "match", "wrong": "error", "tried": "match",
        }  # fmt: skip
        assert told["tried"]["shadow"] is True and "shadow" not in told["above"]
        assert told["wrong"]["fault"] and "Jo" not in json.dumps(told)
        whole = await trace("c", "all")
        assert whole is not None
        assert {one["status"] for one in whole.values()} == {"match", "no_match", "error", "off"}
        assert whole["below"]["tree"]["saw"] == 20
        assert code(await s.post(payment(event_id="d"), trace="some")) == (422, "invalid_request")
        assert s.metric("rule_errors_total") == 3


async def test_shadows_say_what_they_would_have_decided_and_only_keep_history(tmp_path: Path) -> None:
    stricter = SEED.replace("gt: 500", "gt: 100").replace("actions: [review", "actions: [deny")
    other = SEED.replace("logins_by_user", "entries").replace("gt: 500", "gt: 100")
    async with service(tmp_path, in_force(SEED, stricter)) as s:
        found = await s.decide(amount=200)
        assert (found["decision"], found["rules"]) == ("allow", [])
        (shadow,) = found["shadows"]
        assert (shadow["decision"], shadow["matched"]) == ("deny", ["large-payment"])
        assert shadow["rulesets"] != found["versions"]["rulesets"]
        assert s.records[0].shadows[0].matched == ("large-payment",)
        assert s.metric("rule_matches_total", scope="global", rule="large-payment") == 0
        s.change(rules=in_force(SEED, other))
        for number in range(6):
            at = NOW - (12 - number) * HOUR
            await s.decide(event_id=f"login-{number}", event_type="login", occurred_at=at, data={})
        s.change(rules=in_force(other))
        await s.decide(event_id="large", amount=1001, occurred_at=NOW + 1)
        found = await s.decide(event_id="small", amount=1, occurred_at=NOW + 2)
        assert found["decision"] == "deny", "what went live knows what its shadow had written"


async def test_an_event_ahead_of_the_clock_is_refused_and_an_old_one_is_said_to_be_uncounted(tmp_path: Path) -> None:
    rules = """
catalogues:
  by_user: {event_types: [payment], entity: .entities.user, window: 1d}
  by_due: {event_types: [payment], entity: .entities.user, time: .data.due, window: 1d}
  amounts: {event_types: [payment], entity: .entities.user, value: .data.amount, window: 1d}
rules:
  - id: often
    when: {any: [{count: by_user, gt: 1}, {count: by_due, gt: 1}, {sum: amounts, gt: 1e9}]}
    actions: [review]
"""
    async with service(tmp_path, in_force(rules)) as s:
        ahead = payment(occurred_at=NOW + 300_001)
        assert code(await s.post(ahead)) == (422, "event_time_ahead")
        data = {"amount": 5, "due": NOW}
        assert (await s.decide(event_id="a", occurred_at=NOW + 300_000, data=data))["uncounted"] == []
        old = await s.post(payment(event_id="b", occurred_at=NOW - 2 * DAY, data={"amount": 5, "due": NOW + DAY}))
        said = {one["catalogue"]: one["code"] for one in old.json()["uncounted"]}
        assert said == {"by_user": "too_old", "amounts": "too_old", "by_due": "ahead"}
        again = await s.post(payment(event_id="b", occurred_at=NOW - 2 * DAY, data={"amount": 5, "due": NOW + DAY}))
        assert again.json() == old.json() | {"replayed": True}
        unfit = await s.decide(event_id="c", data={"amount": [], "due": "soon"})
        assert {one["catalogue"]: one["code"] for one in unfit["uncounted"]} == {"amounts": "unfit", "by_due": "unfit"}
        assert s.metric("uncounted_total", why="unfit") == 2
        counted = await s.decide(event_id="d", data=data, occurred_at=NOW + 300_000)
        assert counted["decision"] == "review", "a and c are there"


async def test_what_is_not_recorded_is_not_answered_and_sending_it_again_gets_the_same(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED), spool_max_bytes=1) as s:
        s.tier.decisions.outcome = Delivered.NOT_NOW
        refused = await s.post(payment(amount=501))
        assert code(refused) == (503, "decision_unrecorded")
        assert refused.headers["retry-after"] == "1"
        s.tier.decisions.outcome = Delivered.YES
        s.change(rules=in_force({"rules": []}))
        found = await s.decide(amount=501)
        assert (found["replayed"], found["decision"]) == (True, "review")
        (record,) = s.records
        assert (record.decision, record.data, record.matched) == ("review", {"amount": 501}, ("large-payment",))
        assert len(record.entities["user"]) == 22


async def test_decisions_that_kafka_does_not_take_wait_in_a_spool_of_their_own(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED)) as s:
        s.tier.decisions.outcome = Delivered.NOT_NOW
        await s.decide()
        assert (tmp_path / "spool" / "decisions" / "spool.sqlite3").stat().st_size > 0
        s.tier.decisions.outcome = Delivered.YES
        await soon(lambda: s.records)
        assert s.records[0].event_id == "p-1"
        assert s.tier.decisions.records[0].key == b"demo-shop/p-1"


async def test_a_merchant_above_its_rate_waits_and_others_do_not(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED), merchant_decisions_per_second=3) as s:
        answers = [await s.post(payment(event_id=f"e{number}")) for number in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert code(answers[-1]) == (429, "rate_limited")
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert (await s.decide("other-shop"))["decision"] == "allow"
        assert len(s.records) == 4


async def test_a_tier_that_is_about_to_stop_takes_no_more(tmp_path: Path) -> None:
    async with service(tmp_path, in_force(SEED)) as s:
        s.tier.app.parts.drain()
        assert code(await s.post(payment())) == (503, "shutting_down")


async def test_rules_have_labels_up_to_a_bound_and_merchants_rules_one(tmp_path: Path) -> None:
    many = {"rules": [{"id": f"r{n}", "when": "always", "actions": [{"tag": "t"}]} for n in range(MOST_RULES + 20)]}
    mine = own({"rules": [{"id": "secret-rule", "when": "always", "actions": [{"tag": "t"}]}]})
    async with service(tmp_path, in_force(Rulebook(ruleset(many), {"demo-shop": mine}))) as s:
        await s.decide()
        assert s.metric("rule_matches_total", scope="global", rule="r0") == 1
        assert s.metric("rule_matches_total", scope="own", rule="own") == 1
        assert s.metric("rule_matches_total", scope="global", rule=OTHERS) == 21
        assert "secret-rule" not in (await s.tier.client.get("/metrics")).text


async def test_nothing_of_an_event_is_in_records_logs_or_redis(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with service(tmp_path, in_force(NEEDS_HISTORY)) as s:
            person = {"user": "jane.doe@example.com", "card": "4111 1111 1111 1111"}
            data = {"amount": 501, "note": "call +49 170 1234567", "iban": "DE89370400440532013000"}
            body = payment(entities=person, data=data)
            told = (await s.post(body)).text
            await s.post(body)
            await s.post(payment(entities=person, data={**data, "amount": 1}))
            s.history.away = s.tier.redis.away = True
            await s.post(payment(event_id="b", entities=person, data=data))
            kept = b"".join(value for _, value in s.tier.decisions.records) + b"".join(s.tier.redis.values.values())
    said = told + kept.decode("latin-1") + caplog.text + "".join(str(vars(record)) for record in caplog.records)
    assert caplog.text.count("decisions are made without history, answers") == 1
    for secret in ("jane.doe", "4111", "1234567", "DE8937"):
        assert secret not in said
