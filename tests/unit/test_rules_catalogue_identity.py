"""A catalogue's history is named by what its members are: a changed definition begins anew, all else goes on."""

from __future__ import annotations

from typing import Any

import pytest

from scoring.rules.evaluate import Engine, Happening
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.in_force import InForce, joined_writes
from scoring.rules.ruleset import Rulebook
from tests.rules_kit import DAY, NOON, Shop, one_rule, payments, ruleset

KEYS = HistoryKeys(b"the entity key of tests")
PAYMENTS = {
    "event_types": ["payment", "refund"],
    "entity": ".entities.user",
    "value": ".data.amount",
    "time": ".occurred_at",
    "dedupe": ".data.order",
    "window": "7d",
}
CHANGES: dict[str, Any] = {
    "event_types": ["payment"],
    "entity": ".entities.card",
    "value": ".data.fee",
    "time": ".data.at",
    "dedupe": ".data.invoice",
}


def name_of(**changed: Any):  # type: ignore[no-untyped-def]
    return ruleset({"catalogues": {"spent": PAYMENTS | changed}}).catalogues[0].name


@pytest.mark.parametrize("part", CHANGES)
def test_a_changed_definition_is_another_history(part: str) -> None:
    changed = name_of(**{part: CHANGES[part]})
    assert changed.id == name_of().id
    assert KEYS.key("shop", changed, "u1") != KEYS.key("shop", name_of(), "u1")


def test_the_window_and_the_order_of_event_types_are_no_part_of_it() -> None:
    assert name_of(window="30d") == name_of()
    assert name_of(event_types=["refund", "payment", "refund"]) == name_of()


def test_values_do_not_stand_for_each_other() -> None:
    plain = {"event_types": ["payment"], "entity": ".entities.user", "window": "7d"}
    names = {
        ruleset({"catalogues": {"spent": plain | {part: ".data.x"}}}).catalogues[0].name
        for part in ("value", "time", "dedupe")
    }
    assert len(names) == 3


def test_the_next_version_goes_on_with_the_history_and_a_redefined_catalogue_does_not() -> None:
    def version(value: str, window: str) -> dict[str, Any]:
        catalogue = {"event_types": ["payment"], "entity": ".entities.user", "value": value, "window": window}
        return {"catalogues": {"spent": catalogue}, **one_rule({"sum": "spent", "over": "1d", "gte": 100})}

    shop = Shop(ruleset(version(".data.amount", "7d")))
    shop.see(payments([100])[0])
    for text, matched in ((version(".data.amount", "30d"), ("rule",)), (version(".data.fee", "7d"), ())):
        shop.engine = Engine(Rulebook(ruleset(text)))
        assert shop.see({"event_type": "login", "entities": {"user": "u1"}}, NOON + 1_000).matched == matched


def test_a_ruleset_in_shadow_that_keeps_more_loses_nothing_to_the_live_one() -> None:
    book = {days: Rulebook(ruleset({"catalogues": {"spent": PAYMENTS | {"window": f"{days}d"}}})) for days in (7, 30)}
    event = {"entities": {"user": "u1"}, "data": {"amount": 5}, "occurred_at": NOON}
    for live, shadow in ((7, 30), (30, 7)):
        current = InForce.of(book[live], [book[shadow]])
        plans = [one.plan("shop", Happening(event, "payment", "e1", NOON)) for one in (current.live, *current.shadows)]
        assert [write.window for write in joined_writes(plans)] == [30 * DAY]


def test_catalogues_that_differ_are_all_written() -> None:
    books = [
        Rulebook(ruleset({"catalogues": {"spent": PAYMENTS | {"value": value}}})) for value in (".data.a", ".data.b")
    ]
    event = {"entities": {"user": "u1"}, "data": {"a": 1, "b": 2}, "occurred_at": NOON}
    plans = [Engine(book).plan("shop", Happening(event, "payment", "e1", NOON)) for book in books]
    assert [write.value for write in joined_writes(plans)] == [1, 2]
