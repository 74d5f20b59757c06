"""What comes of an event: the two rules of the seed, precedence, states of rules, errors, traces, and isolation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scoring.rules.answers import Entity, Entry, Membership, Query, Standing, Unanswered
from scoring.rules.evaluate import Engine, Happening, Judgement, Signal
from scoring.rules.given import GivenAnswers
from scoring.rules.memory_history import MemoryHistory
from scoring.rules.ruleset import Rulebook, Ruleset
from tests.rules_kit import DAY, MINUTE, NOON, Shop, payments, ruleset, statuses, verdict

AMOUNT = """
rules:
  - id: large-payment
    description: The amount is greater than 500
    event_types: [payment]
    when: {field: .data.amount, gt: 500}
    actions: [review]
"""
SPENDING = """
catalogues:
  payments_by_user: {event_types: [payment], entity: .entities.user, value: .data.amount, window: 7d}
  logins_by_user: {event_types: [login], entity: .entities.user, window: 7d}
rules:
  - id: spending-and-logins
    event_types: [payment]
    when:
      all:
        - {sum: payments_by_user, over: 3d, of: .entities.user, gt: 1000}
        - {count: logins_by_user, over: 1d, of: .entities.user, gt: 2}
    actions: [deny, {score: +20}, {tag: velocity}, {alert: fraud-team}]
"""
LOGIN = {"event_type": "login", "entities": {"user": "u1"}}


def rules(*some: dict[str, Any], **catalogues: Any) -> Ruleset:
    usual = [{"id": f"r{number}", "when": "always", "actions": ["review"]} | rule for number, rule in enumerate(some)]
    return ruleset({"catalogues": catalogues, "rules": usual})


def test_an_amount_greater_than_a_limit() -> None:
    shop = Shop(ruleset(AMOUNT))
    at, above = (shop.see(payment) for payment in payments([500, 500.01]))
    assert (at.decision, at.by, at.matched) == ("allow", "default", ())
    assert (above.decision, above.by, above.matched) == ("review", "rules", ("large-payment",))
    assert above.reasons == (("large-payment", "The amount is greater than 500"),)


def test_the_sum_of_days_and_the_number_of_logins() -> None:
    shop = Shop(ruleset(SPENDING))
    for days, payment in zip((4, 2, 1), payments([900, 600, 401]), strict=True):
        shop.see(payment, NOON - days * DAY)
    (last,) = payments([1])
    for number in range(2):
        shop.see(LOGIN, NOON - number * MINUTE)
    assert shop.see(last, event_id="one more").decision == "allow", "only two logins"
    shop.see(LOGIN, NOON - 3 * MINUTE)
    outcome = shop.see(last, event_id="and another")
    assert (outcome.decision, outcome.tags, outcome.alerts, outcome.added) == (
        "deny", ("velocity",), ("fraud-team",), 20.0,
    )  # fmt: skip
    assert shop.see(payments([1], user="u2")[0]).decision == "allow", "the history of somebody else"
    assert shop.see(last, NOON + 2 * DAY).decision == "allow", "what left the window does not count"


def test_an_event_is_judged_by_what_was_before_it_and_a_redelivery_alike() -> None:
    counted = {"event_types": ["payment"], "entity": ".entities.user", "value": ".data.amount", "window": "1h"}
    without = {"when": {"sum": "spent", "gte": 10}}
    including = {"when": {"sum": "spent", "include_self": True, "gte": 10}}
    shop = Shop(rules(without, including, spent=counted))
    (payment,) = payments([10])
    first = shop.see(payment, event_id="one")
    assert statuses(first) == {"r0": "no_match", "r1": "match"}
    assert shop.see(payment, event_id="one") == first, "the event's own member is not part of its history"
    assert statuses(shop.see(payment, event_id="two")) == {"r0": "match", "r1": "match"}
    assert statuses(shop.see(payment, NOON - MINUTE, "late")) == {"r0": "no_match", "r1": "match"}, "later is not seen"


def test_reads_are_planned_once_and_nothing_is_written_by_them() -> None:
    text = (
        SPENDING
        + """
  - id: the-same-again
    when: {any: [{sum: payments_by_user, over: 3d, gt: 5, lt: 9}, {sum: payments_by_user, over: 3d, times: 2, gt: 90}]}
    actions: [review]
"""
    )
    plan = Engine(Rulebook(ruleset(text))).plan("shop", Happening(payments([5])[0], "payment", "e1", NOON))
    assert [(query.catalogue.id, query.function) for query in plan.queries] == [
        ("payments_by_user", "sum"), ("logins_by_user", "count"),
    ]  # fmt: skip
    assert [(write.catalogue.id, write.entity, write.value, write.dedupe) for write in plan.writes] == [
        ("payments_by_user", "u1", 5, "e1")
    ]


def test_a_write_that_does_not_fit_is_said_and_not_made() -> None:
    (odd,) = payments([5])
    odd["data"]["amount"] = {"value": 5}
    plan = Engine(Rulebook(ruleset(SPENDING))).plan("shop", Happening(odd, "payment", "e1", NOON))
    assert not plan.writes
    assert plan.unwritten == {"payments_by_user": "a catalogue keeps numbers, texts, true and false"}


def test_lists_come_before_rules_and_rules_before_the_model() -> None:
    shop = Shop(rules({"actions": ["review"]}))
    model = Judgement(score=95.0, decide=lambda score: "deny")
    event = {"event_type": "payment", "entities": {"user": "u1", "card": ["c1", "c2"]}}
    assert (shop.see(event, known=model).decision, shop.see(event, known=model).by) == ("review", "rules")
    shop.standings[Entity("card", "c2")] = Standing(deny=Entry("stolen"))
    denied = shop.see(event, known=model)
    assert (denied.decision, denied.by, denied.trace, denied.matched) == ("deny", "deny_list", (), ())
    assert denied.reasons == (("deny_list", "the card is denied by list stolen"),)
    shop.standings[Entity("user", "u1")] = Standing(allow=Entry("staff", until=NOON + 1))
    allowed = shop.see(event, known=model)
    assert (allowed.decision, allowed.by) == ("allow", "allow_list")
    assert shop.see(event, NOON + 1, known=model).by == "deny_list", "an entry ends by the event's time"
    assert Shop(rules()).see(event, known=model).by == "model"
    assert Shop(rules()).see(event).by == "default"


def test_rules_of_the_highest_priority_decide_and_of_these_the_strictest() -> None:
    some = [
        {"actions": ["deny"], "priority": 1}, {"actions": ["allow"], "priority": 5},
        {"actions": ["review"], "priority": 5}, {"actions": [{"tag": "seen"}], "priority": 9},
    ]  # fmt: skip
    outcome = Shop(rules(*some)).see({"event_type": "payment"})
    assert (outcome.decision, outcome.matched, outcome.tags) == ("review", ("r3", "r1", "r2", "r0"), ("seen",))


def test_points_are_added_to_the_score_that_the_policy_decides_by() -> None:
    shop = Shop(rules({"actions": [{"score": 30}]}, {"actions": [{"score": -5}]}))
    policy = Judgement(score=50.0, decide=lambda score: "deny" if score >= 75 else "allow")
    outcome = shop.see({"event_type": "payment"}, known=policy)
    assert (outcome.score, outcome.added, outcome.decision, outcome.by) == (75.0, 25.0, "deny", "model")
    assert shop.see({"event_type": "payment"}, known=policy._replace(score=90.0)).score == 100.0
    assert shop.see({"event_type": "payment"}).score == 25.0


def test_states_of_rules() -> None:
    some = [
        {"status": "off"}, {"status": "shadow", "actions": ["deny", {"tag": "x"}], "stop_on_match": True},
        {"actions": ["allow"]},
        {"when": {"field": ".event_type", "exists": True}, "stop_on_match": True}, {"actions": ["deny"]},
    ]  # fmt: skip
    shop = Shop(rules(*some))
    shop.standings[Entity("user", "u1")] = Standing(snoozed={"r2": NOON + 1})
    outcome = shop.see({"event_type": "payment", "entities": {"user": "u1"}})
    assert statuses(outcome) == {"r0": "off", "r1": "match", "r2": "snoozed", "r3": "match"}
    assert [one.rule for one in outcome.trace if one.shadow] == ["r1"]
    assert (outcome.decision, outcome.matched, outcome.tags, outcome.stopped_by) == ("review", ("r3",), (), "r3")
    assert statuses(shop.see({"event_type": "payment", "entities": {"user": "u1"}}, NOON + 1))["r2"] == "match"


ERRORS = {
    "a text where a number is compared": ({"field": ".a", "gt": 5}, {"a": "x"}),
    "true where a number is compared": ({"field": ".a", "gt": 0}, {"a": True}),
    "a path through a text": ({"field": ".a.b", "gt": 5}, {"a": "x"}),
    "a pattern on a number": ({"field": ".a", "matches": "x"}, {"a": 5}),
    "a pattern on too long a text": ({"field": ".a", "matches": "x"}, {"a": "x" * 5_000}),
    "no list after in": ({"field": ".a", "in": {"field": ".b"}}, {"a": 5, "b": 5}),
    "a text times a factor": ({"field": ".a", "times": 2, "gt": 5}, {"a": "x"}),
}


@pytest.mark.parametrize("case", ERRORS)
def test_what_cannot_be_compared_is_an_error_and_never_a_match(case: str) -> None:
    when, event = ERRORS[case]
    assert verdict(when, {"event_type": "payment"} | event) == "error"
    assert verdict({"not": when}, {"event_type": "payment"} | event) == "error"
    assert (
        verdict({"any": [when, {"field": ".event_type", "eq": "payment"}]}, {"event_type": "payment"} | event)
        == "match"
    )
    assert (
        verdict({"all": [when, {"field": ".event_type", "eq": "x"}]}, {"event_type": "payment"} | event) == "no_match"
    )


ABSENT = [
    {"gt": 5}, {"lt": 5}, {"eq": "x"}, {"ne": "x"}, {"in": ["x"]}, {"not_in": ["x"]}, {"matches": "x"},
    {"exists": True},
]  # fmt: skip


@pytest.mark.parametrize("comparison", ABSENT, ids=lambda one: next(iter(one)))
def test_what_is_not_there_compares_with_nothing(comparison: dict[str, Any]) -> None:
    assert verdict({"field": ".nothing", **comparison}, {"event_type": "payment"}) == "no_match"
    assert verdict({"field": ".nothing", "exists": False}, {"event_type": "payment"}) == "match"


def test_signals_and_the_score_of_a_session() -> None:
    known = Judgement({"vpn": Signal(True, 0.7), "tor": Signal(None, None)}, 60.0)
    event = {"event_type": "payment"}
    assert verdict({"signal": "vpn"}, event, known) == "match"
    assert verdict({"signal": "vpn", "part": "confidence", "gt": 0.8}, event, known) == "no_match"
    assert verdict({"signal": "tor", "eq": False}, event, known) == "no_match", "not computable is not false"
    assert verdict({"signal": "tor", "exists": False}, event, known) == "match"
    assert verdict({"score": "model", "gte": 60}, event, known) == "match"
    assert verdict({"score": "model", "gte": 60}, event) == "no_match"


def test_lists_that_rules_name() -> None:
    shop = Shop(rules({"when": {"list": "bad-banks", "field": ".data.bank"}}))
    shop.lists[Membership("bad-banks", "b1")] = Entry("bad-banks", until=NOON + 1)
    assert shop.see({"event_type": "payment", "data": {"bank": "b1"}}).matched == ("r0",)
    assert not shop.see({"event_type": "payment", "data": {"bank": "b1"}}, NOON + 1).matched
    assert not shop.see({"event_type": "payment", "data": {"bank": "b2"}}).matched
    assert statuses(shop.see({"event_type": "payment"})) == {"r0": "no_match"}


def test_stores_that_are_away_degrade_and_do_not_stop_the_other_rules() -> None:
    engine = Engine(Rulebook(ruleset(SPENDING + AMOUNT.replace("\nrules:", ""))))
    plan = engine.plan("shop", Happening(payments([501])[0], "payment", "e1", NOON))
    away = Unanswered("Redis is away")
    outcome = plan.decide(GivenAnswers(dict.fromkeys(plan.queries, away), lists_away=away))
    assert statuses(outcome) == {"large-payment": "match", "spending-and-logins": "error"}
    assert (outcome.decision, outcome.degraded) == ("review", ("history", "lists"))
    assert [one.fault for one in outcome.trace] == ["", "the history could not be asked"]


def test_a_trace_has_no_personal_data() -> None:
    mail, phone, card = "someone@example.com", 628123456789, "4111111111111111"
    event = {
        "event_type": "payment", "entities": {"user": mail, "card": card},
        "data": {"mail": mail, "phone": phone, "card": card, "name": "Some Body", "amount": 700, "country": "ID"},
    }  # fmt: skip
    whens = [
        {"field": ".data.mail", "eq": mail}, {"field": ".data.mail", "matches": "example"},
        {"field": ".data.phone", "gt": 0}, {"field": ".data.phone", "eq": phone}, {"field": ".data.card", "in": [card]},
        {"field": ".data.name", "ne": "x"}, {"field": ".data.mail", "gt": 5}, {"field": ".data", "exists": True},
        {"last": "mails", "eq": mail}, {"list": "bad", "field": ".data.mail"},
        {"field": ".data.mail", "eq": {"field": ".entities.user"}},
    ]  # fmt: skip
    mails = {"event_types": ["payment"], "entity": ".entities.user", "value": ".data.mail", "window": "1d"}
    shop = Shop(rules(*({"when": when} for when in whens), mails=mails))
    shop.see(event, NOON - 1)
    outcome = shop.see(event, all_trees=True)
    written = json.dumps([outcome.trace, outcome.reasons])
    assert not any(str(secret) in written for secret in (mail, phone, card, "Some Body", "someone"))
    shown = Shop(rules({"when": {"all": [{"field": ".data.amount", "gt": 5}, {"field": ".data.country", "eq": "ID"}]}}))
    tree = shown.see(event).trace[0].tree
    assert tree is not None and [part["saw"] for part in tree["all"]] == [700, "ID"]


def test_one_merchant_never_sees_anything_of_another() -> None:
    own = (
        SPENDING.replace("gt: 1000", "gt: 100")
        .replace("count: logins_by_user", "not: {count: logins_by_user")
        .replace("gt: 2}", "gt: 2}}")
    )
    book = Rulebook(Ruleset(), {"a": ruleset(own, "own"), "b": ruleset(own.replace("spending-and", "their"), "own")})
    stores = MemoryHistory()
    engine = Engine(book)
    seen: dict[str, tuple[Query, ...]] = {}
    for merchant in ("a", "b", "c"):
        plan = engine.plan(merchant, Happening(payments([500])[0], "payment", f"of {merchant}", NOON))
        outcome = plan.decide(GivenAnswers(stores.read(merchant, plan.queries)))
        assert outcome.decision == "allow", "nobody's payments but one's own count"
        stores.write(merchant, plan.writes)
        seen[merchant] = plan.queries
        assert {one.rule for one in outcome.trace} == {"a": {"spending-and-logins"}, "b": {"their-logins"}, "c": set()}[
            merchant
        ]
    plan = engine.plan("a", Happening(payments([1])[0], "payment", "again", NOON + 1))
    assert plan.decide(GivenAnswers(stores.read("a", plan.queries))).decision == "deny"
    assert not seen["c"], "a merchant without rules asks nothing"


def test_catalogues_of_one_id_in_both_sets_are_different_histories() -> None:
    book = Rulebook(ruleset(SPENDING), {"shop": ruleset(SPENDING.replace(".data.amount", ".data.fee"), "own")})
    plan = Engine(book).plan("shop", Happening(payments([500])[0], "payment", "e1", NOON))
    assert {query.catalogue.scope for query in plan.queries} == {"own", "global"}
    assert [(write.catalogue.scope, write.value) for write in plan.writes] == [("global", 500)]


def test_a_merchants_own_rules_come_first_of_one_priority() -> None:
    everyone = rules({"id": "all-of-them", "actions": ["deny"]})
    own = ruleset({"rules": [{"id": "own", "when": "always", "actions": ["allow"], "stop_on_match": True}]}, "own")
    assert Shop(Rulebook(everyone, {"shop": own})).see({"event_type": "payment"}).decision == "allow"
    assert Shop(Rulebook(everyone, {"shop": own}), "other").see({"event_type": "payment"}).decision == "deny"
