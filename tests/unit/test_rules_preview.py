"""A draft on past events: figures that were reckoned by hand, and what cannot be judged is said."""

from __future__ import annotations

from typing import Any

import pytest

from infra.rules_preview import PastEvent, Preview, event_types, longest_window, preview, signals_of
from infra.rules_preview_page import page
from infra.rules_preview_words import headline, notes
from schemas.decision_record import Limits
from scoring.rules.document import HistoryOperand
from scoring.rules.evaluate import Happening, Judgement, Signal
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.past_view import HIDDEN, Past, PastView, askable, hides
from scoring.rules.recorded import digested, entity_digest
from scoring.rules.ruleset import Rulebook
from scoring.rules.selector_tokens import Fault
from tests.rules_kit import DAY, MINUTE, NOON, ruleset

KEYS = HistoryKeys(b"preview")
LARGE = {"id": "large", "when": {"field": ".data.amount", "gt": 500}, "actions": ["review"]}


def seal(text: str) -> str:
    return entity_digest(KEYS, "shop", text)


def past(
    number: int,
    amount: Any = 10,
    *,
    at: int = NOON,
    user: str = "u1",
    hidden: tuple[tuple[str, ...], ...] = (),
    kind: str = "payment",
    signals: dict[str, Signal] | None = None,
    score: float | None = None,
    **more: Any,
) -> PastEvent:
    """Return a recorded decision: its entities are digests."""
    entities, _ = digested({"user": user, "card": [f"c-{number}"]}, KEYS, "shop")
    event = {"event_id": f"e{number}", "event_type": kind, "occurred_at": at, "entities": entities,
             "data": {"amount": amount}}  # fmt: skip
    seen = Past(Happening(event, kind, f"e{number}", at), seal, sealed=True, opaque=(("entities",),), hidden=hidden)
    usual: dict[str, Any] = {"decided": "allow", "by": "default", "source": "decisions", "by_policy": "allow"} | more
    return PastEvent("shop", seen, Judgement(signals or {}, score), **usual)


def of_flow(number: int, amount: Any = 10, at: int = NOON, user: str = "u1", **more: Any) -> PastEvent:
    """Return an event of the flow: its entities are in clear."""
    event = {"event_id": f"f{number}", "event_type": "payment", "occurred_at": at, "data": {"amount": amount},
             "entities": {"user": user, "card": "hash"}}  # fmt: skip
    seen = Past(Happening(event, "payment", f"f{number}", at), seal, opaque=(("entities", "card"),))
    usual: dict[str, Any] = {"decided": "allow", "by": "model", "source": "events", "by_policy": "allow"} | more
    return PastEvent("shop", seen, Judgement({}, 10.0), **usual)


def tried(rules: Any, events: list[PastEvent], since: int = NOON) -> dict[str, Any]:
    found = preview(Rulebook(ruleset(rules)), since, events).as_json()
    told = {"from": since, "to": since + DAY, "merchant": None, "warm_ms": 0, "longest_window_ms": 0} | found
    assert page(told).startswith("<!doctype html>") and headline(told) and isinstance(notes(told), list)
    return found


def rule_of(found: dict[str, Any], name: str) -> dict[str, Any]:
    (rule,) = [rule for rule in found["rules"] if rule["rule"] == name]
    return dict(rule)


def test_flips_and_labels_are_counted_as_by_hand() -> None:
    events = [
        past(0, 600, label=1),
        past(1, 700, label=0),
        past(2, 20, label=1),
        past(3, 20, label=0),
        past(4, 900, decided="review", by="rules", label=1),
        past(5, 30, decided="deny", by="rules", label=0, by_policy=None, limits=Limits(40, 80)),
    ]
    found = tried({"rules": [LARGE]}, events)
    assert (found["events"], found["flipped"], found["undecided"]) == (6, 3, 0)
    flips = {(flip["from"], flip["to"]): flip for flip in found["flips"]}
    up, down = flips["allow", "review"], flips["deny", "allow"]
    assert (up["events"], up["fraud"], up["genuine"]) == (2, 1, 1)
    assert [(one["event_id"], one["matched"]) for one in up["examples"]] == [("e0", ["large"]), ("e1", ["large"])]
    assert (down["events"], down["fraud"], down["genuine"]) == (1, 0, 1)
    rule = rule_of(found, "large")
    assert (rule["matched"], rule["fraud"], rule["genuine"]) == (3, 2, 1)
    assert (rule["precision"], rule["recall"]) == (2 / 3, 2 / 3)
    assert found["recorded"]["precision"] == 1 / 2 and found["recorded"]["recall"] == 1 / 3
    assert found["draft"]["precision"] == 2 / 3 and found["draft"]["recall"] == 2 / 3
    assert found["decisions"]["allow"] == {"allow": 2, "review": 2, "deny": 0}


def test_history_is_built_from_the_events_before_and_those_before_the_range_only_warm_it() -> None:
    rules = {
        "catalogues": {"payments": {"event_types": ["payment"], "entity": ".entities.user", "window": "1d"}},
        "rules": [{"id": "often", "when": {"count": "payments", "over": "1h", "gte": 2}, "actions": ["deny"]}],
    }
    events = [past(0, at=NOON - 2 * MINUTE), past(1, at=NOON - MINUTE), past(2), past(3, user="u2"), of_flow(4)]
    found = tried(rules, events)
    assert (found["warmed"], found["events"], found["sources"]) == (2, 3, {"decisions": 2, "events": 1})
    assert rule_of(found, "often")["matched"] == 2  # the event of the flow sees the decisions before it
    assert tried(rules, events[2:])["flipped"] == 0
    assert longest_window(Rulebook(ruleset(rules))) == 60 * MINUTE


def test_distinct_entities_are_told_apart_by_their_digests() -> None:
    rules = {
        "catalogues": {
            "users": {"event_types": ["payment"], "entity": ".data.shop", "value": ".entities.user", "window": "1d"}
        },
        "rules": [{"id": "many", "when": {"distinct": "users", "gte": 2}, "actions": ["deny"]}],
    }
    events = [past(n, user=user) for n, user in enumerate(("u1", "u1", "u2", "u3"))] + [of_flow(9, user="u1")]
    for event in events:
        event.past.happening.event["data"]["shop"] = "s1"
    assert rule_of(tried(rules, events), "many")["matched"] == 2


def test_what_was_redacted_cannot_be_judged_and_does_not_decide() -> None:
    events = [past(0, 600, hidden=(("data", "amount"),)), past(1, 600)]
    found = tried({"rules": [LARGE]}, events)
    rule = rule_of(found, "large")
    assert (rule["matched"], rule["unjudged"], rule["errors"]) == (1, 1, 0)
    assert rule["faults"] == {HIDDEN.said: 1}
    assert (found["undecided"], found["flipped"], found["unjudged"], found["erred"]) == (1, 1, ["large"], [])


def test_a_value_of_an_entity_cannot_be_judged_but_whether_it_is_there_can() -> None:
    rules = {
        "rules": [
            {"id": "named", "when": {"field": ".entities.user", "eq": "u1"}, "actions": ["deny"]},
            {"id": "there", "when": {"field": ".entities.user", "exists": True}, "actions": [{"tag": "t"}]},
            {"id": "gone", "when": {"field": ".entities.device", "exists": False}, "actions": [{"tag": "t"}]},
            {"id": "absent", "when": {"field": ".entities.device", "eq": "d"}, "actions": ["deny"]},
        ]
    }
    found = tried(rules, [past(0)])
    assert [rule_of(found, name)["matched"] for name in ("named", "there", "gone", "absent")] == [0, 1, 1, 0]
    assert (rule_of(found, "named")["unjudged"], rule_of(found, "absent")["unjudged"]) == (1, 0)
    assert found["undecided"] == 1
    clear = tried(rules, [of_flow(0)])
    assert rule_of(clear, "named")["matched"] == 1 and clear["undecided"] == 0


def test_a_rule_that_asks_a_list_cannot_be_judged() -> None:
    rules = {"rules": [{"id": "listed", "when": {"list": "bad", "field": ".data.amount"}, "actions": ["deny"]}, LARGE]}
    found = tried(rules, [past(0, 20), past(1, 600)])
    assert (found["unjudged"], found["undecided"]) == (["listed"], 2)


def test_a_rule_that_cannot_be_judged_does_not_matter_where_a_higher_one_decides() -> None:
    listed: dict[str, Any] = {"id": "listed", "when": {"list": "bad", "field": ".data.amount"}, "actions": ["deny"]}
    found = tried({"rules": [{**LARGE, "priority": 5}, listed]}, [past(1, 600)])
    assert (found["undecided"], found["flipped"]) == (0, 1)
    tags = {"rules": [{**listed, "actions": [{"tag": "t"}]}]}
    assert tried(tags, [past(1, 600)])["undecided"] == 0


def test_what_lists_decided_stays_as_it_was() -> None:
    found = tried({"rules": [LARGE]}, [past(0, 600, decided="deny", by="deny_list")])
    assert (found["decided_by_lists"], found["flipped"], rule_of(found, "large")["matched"]) == (1, 0, 0)


def test_points_are_decided_by_the_limits_of_then() -> None:
    points = {"rules": [{**LARGE, "actions": [{"score": 35}]}]}
    limits = Limits(40, 80, 5, "allow")
    events = [
        past(0, 600, score=10.0, by="model", limits=limits),
        past(1, 600, score=1.0, by="model", limits=limits),
        past(2, 600, score=2.0, by="model", limits=Limits(40, 80, 5, "review")),
        past(3, 600, score=10.0, by="model"),
        past(4, 20, score=50.0, decided="review", by="model", by_policy="review"),
    ]
    found = tried(points, events)
    assert [(flip["to"], [one["event_id"] for one in flip["examples"]]) for flip in found["flips"]] == [
        ("review", ["e0", "e2"])
    ]
    assert found["undecided"] == 1  # e3: nobody kept by what


def test_signals_are_those_of_then() -> None:
    rules = {"rules": [{"id": "vpn", "when": {"signal": "vpn", "eq": True}, "actions": ["review"]}]}
    found = tried(rules, [past(0, signals={"vpn": Signal(True, 0.9)}), past(1, signals={"vpn": Signal(False, 0.1)})])
    assert rule_of(found, "vpn")["matched"] == 1
    assert signals_of(Rulebook(ruleset(rules))) == ("vpn",)


def test_rules_that_never_matched_or_erred_are_named() -> None:
    rules = {
        "rules": [
            {"id": "never", "when": {"field": ".data.amount", "gt": 10_000}, "actions": ["deny"]},
            {"id": "broken", "when": {"field": ".data.amount", "matches": "x"}, "actions": ["deny"]},
            {**LARGE, "id": "shadowed", "status": "shadow"},
            {**LARGE, "id": "off", "status": "off"},
        ]
    }
    found = tried(rules, [past(0, 600)])
    assert (found["never_matched"], found["erred"], found["unjudged"]) == (["broken", "never"], ["broken"], [])
    assert (rule_of(found, "shadowed")["matched"], found["flipped"]) == (1, 0)


def test_examples_are_bounded() -> None:
    tried_on = Preview(Rulebook(ruleset({"rules": [LARGE]})), NOON, examples=3)
    for number in range(20):
        tried_on.see(past(number, 600))
    (flip,) = tried_on.as_json()["flips"]
    assert (flip["events"], len(flip["examples"])) == (20, 3)


def test_a_merchants_own_rules_see_its_events_only() -> None:
    own = Rulebook(of_merchant={"other": ruleset({"rules": [LARGE]}, "own")})
    found = preview(own, NOON, [past(0, 600)]).as_json()
    assert (found["flipped"], rule_of(found, "large")["scope"]) == (0, "other")


def test_event_types_are_those_that_write_history_or_that_rules_look_at() -> None:
    rules = {
        "catalogues": {"logins": {"event_types": ["login"], "entity": ".entities.user", "window": "1d"}},
        "rules": [{**LARGE, "event_types": ["payment"]}],
    }
    book = Rulebook(ruleset(rules))
    assert event_types(book, written_only=True) == ("login",)
    assert event_types(book, written_only=False) == ("login", "payment")
    assert event_types(Rulebook(ruleset({"rules": [LARGE]})), written_only=False) is None


@pytest.mark.parametrize(
    ("selector", "path", "may"),
    [
        (".data.note", ("data", "note"), True),
        (".data", ("data", "note"), True),
        (".data.note.inner", ("data", "note"), True),
        (".data.amount", ("data", "note"), False),
        (".data.items[0]", ("data", "items", "1"), False),
        (".data.amount + .data.fee", ("data", "note"), False),
        (".data | length", ("data", "note"), True),
        ("[.data[]] | length", ("data", "note"), True),
        (".data.amount + (.data.note | length)", ("data", "note"), True),
        (".entities.user", ("data",), False),
        ("if .data.success == false then .entities.user else null end", ("entities",), True),
        (".", ("data",), True),
        (".data.amount", ("data",), True),
        ("if .data.success == false then .entities.user else null end", ("data", "note"), False),
        ("if .data.a and true or .data.b then .data.c elif .data.d then 1 else false end", ("data", "note"), False),
        ("if .data.a and true or .data.b then .data.c elif .data.d then 1 else false end", ("data", "d"), True),
        (".data | if .amount > 5 then .fee else null end", ("data", "note"), False),
        ("if .data.a then .data else null end", ("data", "note"), True),
        ("if .data.a then . else null end", ("data", "note"), True),
        ("if .data.a then 1 elif .data.b then 2 end", ("data", "note"), True),
        ("if .data.a then length else null end", ("data", "note"), True),
        ("if .data.a then null else not end", ("data", "note"), False),
        ('if .data.a then .data | ."note" else null end', ("data", "note"), True),
        (".data == .entities", ("data", "note"), True),
        ("[.[] | .user]", ("entities",), True),
        ("[.[] | .user]", ("entities", "user"), True),
        ("[.[] | .user]", ("entities", "card"), False),
        ("map(.user)", ("entities", "user"), True),
        ("[.data.items[] | .price] | add", ("entities",), False),
        ("[.data.items[] | .price] | add", ("data", "items", "3", "price"), True),
        ("[.data.items[] | .price] | add", ("data", "items", "3", "note"), False),
        ('.data.items | map(select(.kind == "book")) | length', ("data", "items", "0", "kind"), True),
        (".data.items[-1]", ("data", "items", "2"), True),
        ("[.data.items[] | 1] | length", ("data", "items", "0"), True),
        (".data.a // .data.b", ("data", "b"), True),
        (".data.a // .data.b", ("data", "c"), False),
        ("first(.data.items[] | select(.price > 3)) | .kind", ("data", "items", "1", "price"), True),
        ("1", ("data",), False),
        ("| ".join(["(.a,.b)"] * 40), ("data",), True),
    ],
)
def test_a_selector_may_look_at_what_is_hidden(selector: str, path: tuple[str, ...], may: bool) -> None:
    assert hides(selector, path) is may


def test_a_failed_login_s_address_is_an_entity_though_jq_chooses_it() -> None:
    text = "if .data.amount == 10 then .entities.user else null end"
    assert PastView(past(0).past).entity(text) == seal("u1") == PastView(of_flow(0).past).entity(text)
    assert PastView(past(0).past).look(text) is HIDDEN
    assert PastView(past(0, 11).past).look(text) is None


def test_the_newest_of_digests_says_nothing_of_what_it_was() -> None:
    rules = ruleset(
        {
            "catalogues": {
                "cards": {"event_types": ["payment"], "entity": ".entities.user", "value": ".entities.card[0]",
                          "window": "1d"},
            },
            "rules": [{"id": "same", "when": {"last": "cards", "eq": "c"}, "actions": ["deny"]}],
        }
    )  # fmt: skip
    book = askable(Rulebook(rules))
    (operand,) = [one.when.left for one in book.everyone.rules if isinstance(one.when.left, HistoryOperand)]  # type: ignore[union-attr]
    assert isinstance(PastView(past(0).past).query(operand), Fault)
