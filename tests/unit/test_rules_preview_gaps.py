"""What could not be written, because what it would have been was not kept, is not taken for never having been."""

from __future__ import annotations

from typing import Any

import pytest

from infra.rules_preview import PastEvent, preview
from infra.rules_preview_gaps import Gaps
from scoring.rules.answers import CatalogueName, Query
from scoring.rules.past_view import HIDDEN, HiddenWrite
from scoring.rules.ruleset import Rulebook
from tests.rules_kit import DAY, MINUTE, NOON, ruleset
from tests.unit.test_rules_preview import past, rule_of, tried

HOUR = 60 * MINUTE
LOGINS = {"event_types": ["login"], "entity": ".data.shop", "window": "2h"}
JUDGED, UNJUDGED = (1, 0), (0, 1)


def event(kind: str, at: int, hidden: tuple[str, ...] = (), **data: Any) -> PastEvent:
    """Return a recorded event; ``hidden`` are members of its data that were redacted."""
    made = past(at - NOON, kind=kind, at=at, hidden=tuple(("data", name) for name in hidden))
    made.past.happening.event["data"].update(data)
    return made


def login(at: int = NOON, *hidden: str, shop: str = "s1", **data: Any) -> PastEvent:
    return event("login", at, hidden, shop=shop, **data)


def payment(at: int, shop: str = "s1", **data: Any) -> PastEvent:
    return event("payment", at, shop=shop, **data)


def nobody(catalogue: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return rules of which one matches a payment where its shop has no login in the hour before."""
    when = {"count": "logins", "of": ".data.shop", "over": "1h", "lt": 1} | more
    rule = {"id": "nobody", "event_types": ["payment"], "when": when, "actions": ["deny"]}
    return {"catalogues": {"logins": catalogue}, "rules": [rule]}


def seen(rules: dict[str, Any], events: list[PastEvent], since: int = NOON) -> tuple[int, int]:
    """Return how often the rule matched, and how often it was not judged."""
    rule = rule_of(tried(rules, events, since), "nobody")
    assert rule["errors"] == 0
    return rule["matched"], rule["unjudged"]


def test_a_rule_is_not_judged_where_a_write_of_whom_nobody_knows_may_lie_in_its_window() -> None:
    found = tried(nobody(LOGINS), [login(NOON, "shop"), payment(NOON + 30 * MINUTE, "s2")])
    rule = rule_of(found, "nobody")
    assert (rule["matched"], rule["unjudged"], rule["errors"]) == (0, 1, 0)
    assert rule["faults"] == {HIDDEN.said: 1}
    assert (found["flipped"], found["undecided"], found["unjudged"]) == (0, 1, ["nobody"])


@pytest.mark.parametrize(("after", "expected"), [(HOUR - 1, UNJUDGED), (HOUR, JUDGED)])
def test_the_window_of_the_question_says_whether_it_reaches_a_missing_write(
    after: int, expected: tuple[int, int]
) -> None:
    assert seen(nobody(LOGINS), [login(NOON, "shop"), payment(NOON + after)]) == expected


def test_the_newest_missing_write_counts() -> None:
    logins = [login(NOON, "shop"), login(NOON + HOUR, "shop")]
    assert seen(nobody(LOGINS), [*logins, payment(NOON + HOUR + MINUTE)]) == UNJUDGED


def test_what_an_event_that_only_warms_up_may_have_written_is_missing_too() -> None:
    assert seen(nobody(LOGINS), [login(NOON - MINUTE, "shop"), payment(NOON)]) == UNJUDGED


def test_an_event_may_miss_its_own_write_only_afterwards() -> None:
    rules = nobody(LOGINS, of=".entities.user")
    rules["rules"][0]["event_types"] = ["login"]
    assert seen(rules, [login(NOON, "shop")]) == JUDGED


def test_other_merchants_history_misses_nothing() -> None:
    assert seen(nobody(LOGINS), [login(NOON, "shop")._replace(merchant="other"), payment(NOON)]) == JUDGED


def test_an_own_catalogue_misses_nothing_where_a_global_one_of_the_same_id_does() -> None:
    of_users = nobody({**LOGINS, "entity": ".entities.user"}, of=".entities.user")
    book = Rulebook(ruleset(nobody(LOGINS)), {"shop": ruleset(of_users, "own")})
    found = preview(book, NOON, [login(NOON, "shop"), payment(NOON + MINUTE)]).as_json()
    assert {rule["scope"]: (rule["not_matched"], rule["unjudged"]) for rule in found["rules"]} == {
        "global": (0, 1),
        "shop": (1, 0),
    }


def test_where_only_the_value_is_hidden_others_miss_nothing() -> None:
    rules = nobody({**LOGINS, "value": ".data.amount"})
    before = login(NOON, "amount", shop="s1")
    assert seen(rules, [before, payment(NOON + MINUTE, "s1")]) == UNJUDGED
    assert seen(rules, [before, payment(NOON + MINUTE, "s2")]) == JUDGED


def test_a_write_whose_time_is_hidden_may_lie_in_any_window() -> None:
    rules = nobody({**LOGINS, "time": ".data.began"})
    assert seen(rules, [login(NOON, "began", began=NOON), payment(NOON + DAY, "s1")]) == UNJUDGED
    assert seen(rules, [login(NOON, "began", began=NOON), payment(NOON + DAY, "s2")]) == JUDGED


def test_a_write_of_a_time_of_its_own_is_missing_then() -> None:
    rules = nobody({**LOGINS, "time": ".data.began"})
    assert seen(rules, [login(NOON, "shop", began=NOON - HOUR), payment(NOON + MINUTE)]) == JUDGED
    assert seen(rules, [login(NOON, "shop", began=NOON - HOUR + 2 * MINUTE), payment(NOON + MINUTE)]) == UNJUDGED


def test_an_event_whose_name_in_a_catalogue_is_hidden_may_have_counted_already() -> None:
    rules = nobody({**LOGINS, "dedupe": ".data.attempt"})
    assert seen(rules, [login(NOON, "attempt", attempt="a"), payment(NOON + MINUTE, attempt="b")]) == UNJUDGED
    hidden = event("payment", NOON + MINUTE, ("attempt",), shop="s1", attempt="a")
    assert seen(rules, [hidden]) == UNJUDGED


def test_a_missing_write_before_the_window_may_be_why_one_in_it_does_not_count() -> None:
    rules = nobody({**LOGINS, "dedupe": ".data.attempt"}, lt=2)
    again = [login(NOON, "shop", attempt="a"), login(NOON + 2 * HOUR, attempt="a")]
    assert seen(rules, [*again, payment(NOON + 2 * HOUR + MINUTE)]) == UNJUDGED
    assert seen(rules, [again[0], payment(NOON + 2 * DAY)]) == JUDGED


def test_what_could_not_be_written_then_either_is_not_missing() -> None:
    no_entity, no_value = login(NOON), login(NOON, shop="s2")
    no_entity.past.happening.event["data"]["shop"] = True
    no_value.past.happening.event["data"]["amount"] = None
    rules = nobody({**LOGINS, "value": ".data.amount"})
    assert seen(rules, [no_entity, no_value, payment(NOON + MINUTE, "s2")]) == JUDGED


def test_where_too_many_lack_writes_the_oldest_gap_becomes_everybody_s() -> None:
    logins, gaps = CatalogueName("global", "logins"), Gaps(most=2)

    def reach(entity: str, over: int) -> bool:
        return gaps.reach("shop", Query(logins, entity, "count", over, NOON + 10, "e"))

    for number, entity in enumerate(("a", "b", "a", "c")):
        gaps.note("shop", HiddenWrite(logins, entity, NOON + number))
    assert [reach(entity, 9) for entity in "abcd"] == [True, False, True, False]
    assert [reach(entity, 10) for entity in "abcd"] == [True, True, True, True]  # that of b, whoever it was
    assert not gaps.reach("other", Query(logins, "a", "count", DAY, NOON + 10, "e"))
