"""Watchlists: which values are the same, what a replica answers, and what decides before what."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from scoring.rules.answers import Entity, Entry, Membership, Standing, Unanswered
from scoring.rules.evaluate import Engine, Happening, Judgement
from scoring.rules.gathered import Gathered
from scoring.rules.lists import Lists
from scoring.rules.ruleset import Rulebook
from scoring.rules.watchlist_table import Columns, ListTable, NotLoaded, Rows, sorted_columns
from scoring.rules.watchlists import FOREVER, REMOVED, Line, ListKeys, ListName, normalised
from tests.rules_kit import ruleset

KEYS = ListKeys(b"key")
AT = 1_790_000_000_000
BAD = ListName("shop", "deny", "bad")
GOOD = ListName("shop", "allow", "good")


def line(name: ListName, value: str, until: int = FOREVER, kind: str = "card") -> Line:
    """Return a line about a value."""
    return Line(name, KEYS.digest(name.merchant, "" if name.mode == "named" else kind, value), until)


def table(*lines: Line) -> ListTable:
    """Return a table of lines."""
    return ListTable(KEYS).changed(lines)


@pytest.mark.parametrize(
    ("kind", "same"),
    [
        ("account", ("customer-42", " customer-42\n")),
        ("account", ("Zo\u00eb", "Zoe\u0308")),
        ("email", ("Jane@Example.com", "jane@example.com ")),
        ("card", ("4111 1111 1111 1111", "4111-1111-1111-1111", "4111111111111111")),
        ("iban", ("de89 3704 0044 0532 0130 00", "DE89370400440532013000")),
        ("phone", ("+49 (30) 123-45", "+493012345")),
        ("address", ("2001:DB8:0::1", "2001:db8::1")),
        ("ip", ("::ffff:192.0.2.1", "192.0.2.1")),
        ("address", ("1 Main Street", " 1 Main Street ")),
    ],
)
def test_texts_that_mean_the_same_have_one_digest(kind: str, same: tuple[str, ...]) -> None:
    assert len({normalised(kind, text) for text in same}) == 1
    assert len({KEYS.digest("shop", kind, text) for text in same}) == 1


def test_what_is_not_surely_the_same_stays_apart() -> None:
    kinds = {KEYS.digest("shop", kind, "aB") for kind in ("account", "device", "", "Account")}
    capitals = {KEYS.digest("shop", "account", text) for text in ("aB", "ab", "a b", "a-B")}
    merchants = {KEYS.digest(merchant, "account", "aB") for merchant in ("shop", "", "shopa")}
    joined = {KEYS.digest("shop", "ab", "c"), KEYS.digest("shop", "a", "bc"), KEYS.digest("sh", "opa", "bc")}
    assert len(kinds) == 4 and len(capitals) == 4 and len(merchants) == 3 and len(joined) == 3
    assert KEYS.digest("shop", "account", "aB") != ListKeys(b"other key").digest("shop", "account", "aB")
    assert KEYS.digest("shop", "account", "\ud800") != KEYS.digest("shop", "account", "?")  # JSON may hold half a pair


def test_a_replica_answers_of_a_merchants_own_lists_and_of_the_global_ones() -> None:
    lists = table(
        line(BAD, "1"),
        line(ListName("", "deny", "everywhere"), "2"),
        line(ListName("other", "deny", "bad"), "3"),
        line(ListName("shop", "named", "banks"), "b1"),
        line(ListName("", "named", "banks"), "b2", 5),
    )
    of = lists.of("shop")
    assert of.standing(Entity("card", "1")) == Standing(deny=Entry("bad"))
    assert of.standing(Entity("card", "2")) == Standing(deny=Entry("everywhere"))
    assert of.standing(Entity("card", "3")) == of.standing(Entity("account", "1")) == Standing()
    assert of.member(Membership("banks", "b1")) == Entry("banks")
    assert of.member(Membership("banks", "b2")) == Entry("banks", 5)
    assert of.member(Membership("bad", "1")) is None  # a rule asks named lists only
    assert lists.of("other").standing(Entity("card", "1")) == Standing()
    assert lists.of("other").standing(Entity("card", "2")).deny == Entry("everywhere")
    assert bool(of) and not ListTable(KEYS).of("shop")


def test_of_several_entries_the_one_that_ends_last_is_told() -> None:
    lists = table(
        line(GOOD, "1", 10),
        line(ListName("shop", "allow", "vips"), "1", 30),
        line(ListName("", "allow", "all"), "1", 20),
    )
    assert lists.of("shop").standing(Entity("card", "1")).allow == Entry("vips", 30)
    always = lists.changed([line(ListName("", "allow", "all"), "1")])
    assert always.of("shop").standing(Entity("card", "1")).allow == Entry("all")


def test_a_snooze_is_of_a_rule_and_an_entity() -> None:
    lists = table(
        line(ListName("shop", "snooze", "r1"), "1", 10),
        line(ListName("", "snooze", "r1"), "1", 20),
        line(ListName("shop", "snooze", "r2"), "1", 5),
    )
    assert lists.of("shop").standing(Entity("card", "1")) == Standing(snoozed={"r1": 20, "r2": 5})
    assert lists.of("other").standing(Entity("card", "1")).snoozed == {"r1": 20}


def test_a_table_stays_as_it_is_while_changes_make_new_ones() -> None:
    before = table(line(BAD, "1"))
    after = before.changed([line(BAD, "1", REMOVED), line(BAD, "2", 7)])
    again = after.changed([line(BAD, "2", 9), line(BAD, "1", 3), line(BAD, "1", 4)])
    card = Entity("card", "1")
    assert before.of("shop").standing(card).deny and not after.of("shop").standing(card).deny
    assert again.of("shop").standing(card).deny == Entry("bad", 4)
    assert again.until(BAD, KEYS.digest("shop", "card", "2")) == 9
    assert after.until(BAD, KEYS.digest("shop", "card", "1")) == REMOVED
    assert after.until(GOOD, KEYS.digest("shop", "card", "2")) == REMOVED


def test_columns_and_overlay_agree_with_a_dictionary() -> None:
    """Thousands of changes, so that the overlay goes over into the columns several times."""
    chance = random.Random(7)
    names = [BAD, GOOD, ListName("shop", "named", "n"), ListName("shop", "snooze", "r")]
    digests = [chance.randbytes(16) for _ in range(6_000)]
    digests += [digest[:8] + chance.randbytes(8) for digest in digests[:500]]  # the first half may agree
    known: dict[tuple[ListName, bytes], int] = {}
    lists = ListTable(KEYS)
    for _ in range(12):
        lines = [
            Line(chance.choice(names), chance.choice(digests), chance.choice([REMOVED, FOREVER, 1, AT]))
            for _ in range(2_500)
        ]
        known |= {(one.list, one.digest): one.until for one in lines}
        lists = lists.changed(lines)
    for name in names:
        assert [lists.until(name, digest) for digest in digests] == [known.get((name, one), REMOVED) for one in digests]
    held = {name: sum(one == name and until != REMOVED for (one, _), until in known.items()) for name in names}
    assert lists.counts() == held
    assert sum(held.values()) <= lists.held("shop") and lists.held("other") == 0
    assert lists.size > 3_000


def test_rows_in_any_order_are_sorted_and_the_later_of_two_holds() -> None:
    twice = bytes(range(16))
    rows = Rows.of(b"\xff" * 16 + twice + b"\x00" * 16 + twice, np.zeros(4, np.uint32), np.array([1, 2, 3, 4]))
    columns = sorted_columns(rows)
    assert columns.size == 3
    assert [columns.find(digest) for digest in (b"\xff" * 16, twice, b"\x00" * 16)] == [[(0, 1)], [(0, 4)], [(0, 3)]]
    assert columns.find(b"\x01" * 16) == [] == Columns(rows.take(np.zeros(4, bool))).find(twice)


def test_what_has_not_been_read_is_not_known() -> None:
    unknown = NotLoaded("not read").of("shop")
    assert isinstance(unknown.member(Membership("n", "1")), Unanswered)
    assert isinstance(unknown.standing(Entity("card", "1")), Unanswered)
    assert unknown  # so that somebody asks, and says degraded


RULES = """
rules:
  - id: r1
    when: {field: .data.amount, gt: 10}
    actions: [review]
  - id: r2
    when: {list: banks, field: .data.bank}
    actions: [deny]
"""


def decided(lists: Lists, at: int = AT, score: float | None = 80.0, **event: Any) -> tuple[str, str, Mapping[str, str]]:
    """Return the decision, what made it, and what each rule said."""
    engine = Engine(Rulebook(ruleset(RULES)))
    said = {"event_type": "payment", "entities": {"card": "1", "user": "u"}, "data": {"amount": 50}} | event
    plan = engine.plan("shop", Happening(said, "payment", "e1", at))
    answers = Gathered({}, lists.of("shop"))
    outcome = plan.decide(answers, Judgement(score=score, decide=lambda points: "deny" if points > 70 else "allow"))
    return outcome.decision, outcome.by, {one.rule: one.status for one in outcome.trace}


def test_allow_goes_before_deny_before_rules_before_the_model() -> None:
    allow, deny = line(GOOD, "1"), line(BAD, "u", kind="user")
    everywhere = line(ListName("", "deny", "everywhere"), "1")
    assert decided(table(allow, deny, everywhere)) == ("allow", "allow_list", {})
    assert decided(table(deny)) == ("deny", "deny_list", {})
    assert decided(table(everywhere))[:2] == ("deny", "deny_list")
    assert decided(table())[:2] == ("review", "rules")
    assert decided(table(), data={"amount": 1})[:2] == ("deny", "model")
    assert decided(table(), data={"amount": 1}, score=None)[:2] == ("allow", "default")


def test_entries_end_by_the_events_own_time() -> None:
    lists = table(line(GOOD, "1", AT), line(BAD, "u", AT + 1, kind="user"))
    assert decided(lists, AT - 1)[1] == "allow_list"
    assert decided(lists, AT)[1] == "deny_list"
    assert decided(lists, AT + 1)[1] == "rules"


def test_rules_ask_named_lists_and_snoozed_ones_keep_silent() -> None:
    banks = line(ListName("shop", "named", "banks"), "b1", AT + 1)
    snoozed = line(ListName("shop", "snooze", "r1"), "u", AT + 1, kind="user")
    data: dict[str, Any] = {"data": {"amount": 50, "bank": "b1"}}
    assert decided(table(banks), **data)[::2] == ("deny", {"r1": "match", "r2": "match"})
    assert decided(table(banks), AT + 1, **data)[::2] == ("review", {"r1": "match", "r2": "no_match"})
    assert decided(table(snoozed), **data)[2] == {"r1": "snoozed", "r2": "no_match"}
    assert decided(table(snoozed), AT + 1, **data)[2]["r1"] == "match"


def test_while_lists_are_not_known_rules_that_need_them_err_and_the_others_go_on() -> None:
    decision, by, said = decided(NotLoaded("not read"), data={"amount": 50, "bank": "b1"})
    assert (decision, by, said) == ("review", "rules", {"r1": "match", "r2": "error"})
