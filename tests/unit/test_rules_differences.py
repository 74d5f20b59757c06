"""What changes from one ruleset to another, as people read it."""

from __future__ import annotations

from typing import Any

import pytest

from scoring.rules.differences import Part, condition_text, differences
from tests.rules_kit import one_rule, ruleset

PAYMENTS = {"event_types": ["payment"], "entity": ".entities.user", "value": ".data.amount", "window": "7d"}
RULE: dict[str, Any] = {
    "id": "a",
    "when": {"sum": "payments", "over": "1d", "gt": 1000},
    "actions": ["review", {"score": 20}, {"tag": "x"}],
}


def file(rules: list[dict[str, Any]] | None = None, **catalogues: dict[str, Any]) -> dict[str, Any]:
    return {"catalogues": {"payments": PAYMENTS} | catalogues, "rules": [RULE] if rules is None else rules}


def parts(**changed: Any) -> list[Part]:
    found = differences(ruleset(file()), ruleset(file([RULE | changed])))
    assert [one.id for one in found.rules.changed] == ["a"]
    return list(found.rules.changed[0].parts)


def test_the_same_rules_do_not_differ_whatever_stands_around_them() -> None:
    example = {"event": {"event_type": "payment", "data": {"amount": 1}}, "matches": False}
    again = ruleset("# a comment\n" + str(file([RULE | {"examples": [example]}])))
    assert not differences(ruleset(file()), again)


def test_rules_and_catalogues_come_and_go() -> None:
    found = differences(ruleset(file()), ruleset(file([RULE | {"id": "b"}], logins=PAYMENTS)))
    assert (found.rules.added, found.rules.removed, found.rules.changed) == (("b",), ("a",), ())
    assert (found.catalogues.added, found.catalogues.removed) == (("logins",), ())
    assert found.new_histories == ()


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"status": "shadow"}, Part("status", "live", "shadow")),
        ({"priority": 5}, Part("priority", "0", "5")),
        ({"stop_on_match": True}, Part("stop_on_match", "false", "true")),
        ({"description": "why"}, Part("description", "none", "why")),
        ({"event_types": ["payment"]}, Part("event_types", "all", "payment")),
        ({"actions": ["deny", {"score": 20}, {"tag": "x"}]}, Part("decision", "review", "deny")),
        ({"actions": ["review", {"score": 30}, {"tag": "x"}]}, Part("score", "20", "30")),
        ({"actions": ["review", {"score": 20}, {"tag": "y"}]}, Part("tags", "x", "y")),
        ({"actions": ["review", {"score": 20}, {"tag": "x"}, {"alert": "team"}]}, Part("alerts", "none", "team")),
        (
            {"when": {"sum": "payments", "over": "1d", "gt": 2000}},
            Part("when", "sum of payments over 1d > 1000", "sum of payments over 1d > 2000"),
        ),
    ],
)
def test_a_changed_rule_says_what_of_it(changed: dict[str, Any], part: Part) -> None:
    assert parts(**changed) == [part]


def test_a_number_and_its_text_differ() -> None:
    assert parts(when={"field": ".data.a", "eq": 1})[0].after == ".data.a = 1"
    one, other = (ruleset(one_rule({"field": ".data.a", "eq": value})) for value in (1, "1"))
    assert differences(one, other).rules.changed[0].parts == (Part("when", ".data.a = 1", '.data.a = "1"'),)


def test_a_catalogue_that_means_something_else_begins_a_new_history_and_names_the_rules_that_read_it() -> None:
    found = differences(ruleset(file()), ruleset(file(payments=PAYMENTS | {"value": ".data.fee"})))
    assert [(one.catalogue, one.rules) for one in found.new_histories] == [("payments", ("a",))]
    assert found.catalogues.changed[0].parts == (Part("value", ".data.amount", ".data.fee"),)
    assert found.rules.changed == ()


def test_a_longer_window_goes_on_with_the_history() -> None:
    found = differences(ruleset(file()), ruleset(file(payments=PAYMENTS | {"window": "30d"})))
    assert (found.new_histories, found.catalogues.changed[0].parts) == ((), (Part("window", "7d", "30d"),))


@pytest.mark.parametrize(
    ("when", "text"),
    [
        ("always", "always"),
        ({"not": {"signal": "vpn"}}, "not(vpn result = true)"),
        ({"field": ".data.x", "exists": False}, ".data.x does not exist"),
        ({"field": ".data.x", "in": ["a", 1]}, '.data.x in ["a", 1]'),
        ({"since": "payments", "lt": "10m"}, "since of payments over 7d < 10m"),
        ({"count": "payments", "of": ".data.payee", "gte": 3}, "count of payments over 7d of .data.payee >= 3"),
        (
            {"any": [{"field": ".a", "gt": {"field": ".b", "times": 2}}, {"list": "bad", "field": ".c"}]},
            "any(.a > .b times 2, .c in list bad = true)",
        ),
    ],
)
def test_a_condition_in_one_line(when: Any, text: str) -> None:
    rule = ruleset({"catalogues": {"payments": PAYMENTS}, **one_rule(when)}).rules[0]
    assert condition_text(rule.when) == text
