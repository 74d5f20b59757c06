"""The rules' history as commands: what is asked together, where it goes, what is refused, nothing to be read in it."""

from __future__ import annotations

import itertools
import math
import pickle

import pytest

from scoring.rules.answers import FUNCTIONS, LONGEST_TEXT, CatalogueName, Found, Unanswered
from scoring.rules.history import HistoryLimits, Written, plan_reads, plan_writes
from scoring.rules.history_keys import LAST_TIME, HistoryKeys, fault_of
from scoring.rules.memory_history import MemoryHistory
from tests.rule_history_kit import BASE, KEYS, LOGINS, PAYMENTS, query, write

HOUR = 3_600_000


def test_all_reads_of_an_entity_are_one_command_and_keys_of_one_slot() -> None:
    queries = [
        query(function, 0, over, catalogue=catalogue, entity=entity)
        for function in FUNCTIONS
        for over in (10, 50, 100)
        for catalogue in (PAYMENTS, LOGINS)
        for entity in ("someone", "a card")
    ]
    commands = plan_reads(KEYS, "shop", queries).commands
    assert [command[:1] + command[2:3] for command in commands] == [("EVALSHA_RO", 2)] * 2
    slots = [{key[: key.index(b"}")] for key in command[3:5]} for command in commands]
    assert [len(slot) for slot in slots] == [1, 1]
    assert slots[0] != slots[1]


def test_windows_of_values_are_asked_together_and_hold_the_counts() -> None:
    queries = [query(function, 0, over) for function in ("sum", "avg", "distinct", "count") for over in (100, 10, 50)]
    (command,) = plan_reads(KEYS, "shop", queries).commands
    assert command[4:] == (b"[[[10,50,100],[],0]]", BASE, b"")


def test_counts_alone_are_counted_by_the_store_and_the_newest_is_asked_for_once() -> None:
    queries = [query(function, 0, over) for function in ("count", "last", "since") for over in (100, 10)]
    (command,) = plan_reads(KEYS, "shop", queries).commands
    assert command[4:] == (b"[[[],[10,100],100]]", BASE, b"")


def test_equal_queries_are_asked_once() -> None:
    once, twice = ([query("last", 0)] * times for times in (1, 2))
    assert plan_reads(KEYS, "shop", once).commands == plan_reads(KEYS, "shop", twice).commands


def test_writes_of_an_entity_are_one_command_and_answered_in_their_order() -> None:
    entities = ("a", "b", "a", "c", "b")
    writes = [write("event", 0, entity=entity, catalogue=LOGINS) for entity in entities]
    plan = plan_writes(KEYS, HistoryLimits(), "shop", [writes[0], write("event", -BASE), *writes[1:]])
    assert [command[:1] + command[2:3] for command in plan.commands] == [("EVALSHA", 2), ("EVALSHA", 2), ("EVALSHA", 1)]
    found = plan.read([[1, 0], [-1, 0], [1]])
    expected = [Written.COUNTED, Written.REFUSED, Written.TOO_OLD, Written.REPEATED, Written.COUNTED, Written.REPEATED]
    assert list(found) == expected


def test_no_question_is_no_command() -> None:
    assert plan_reads(KEYS, "shop", []).commands == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("shop", PAYMENTS, "a"), ("shop2", PAYMENTS, "a")),
        (("shop", PAYMENTS, "a"), ("shop", LOGINS, "a")),
        (("shop", PAYMENTS, "a"), ("shop", CatalogueName("global", PAYMENTS.id), "a")),
        (("shop", PAYMENTS, "a"), ("shop", PAYMENTS, "b")),
        (("shop", PAYMENTS, "1:a"), ("shop1:", PAYMENTS, "a")),
        (("a", PAYMENTS, "b4:c"), ("a4:b", PAYMENTS, "c")),
        (("shop", CatalogueName("own", "x"), "y"), ("shop", CatalogueName("own", "xy"), "")),
        (("shop", PAYMENTS, ""), ("", PAYMENTS, "shop")),
    ],
)
def test_different_histories_have_different_keys(
    one: tuple[str, CatalogueName, str], other: tuple[str, CatalogueName, str]
) -> None:
    assert KEYS.key(*one) != KEYS.key(*other)


def test_each_half_of_a_key_alone_keeps_merchants_apart() -> None:
    assert KEYS.entity("shop", "a") != KEYS.entity("shop2", "a")
    assert KEYS.catalogue("shop", PAYMENTS) != KEYS.catalogue("shop2", PAYMENTS)


def test_keys_need_the_entity_key() -> None:
    named = ("shop", PAYMENTS, "someone")
    assert HistoryKeys(b"one").key(*named) != HistoryKeys(b"two").key(*named)
    assert HistoryKeys(b"one").id("event") != HistoryKeys(b"two").id("event")
    assert HistoryKeys(b"one").value("shop", "text") != HistoryKeys(b"two").value("shop", "text")
    assert HistoryKeys(b"k" * 100).key(*named) != HistoryKeys(b"k" * 101).key(*named)


def test_nothing_that_is_sent_can_be_read() -> None:
    private = ("someone@example.com", "4111111111111111", "Jane Doe")
    writes = [write(private[1], 0, private[2], entity=private[0])]
    sent = pickle.dumps(plan_writes(KEYS, HistoryLimits(), "shop", writes).commands) + pickle.dumps(
        plan_reads(KEYS, "shop", [query("last", 0, entity=private[0], own=private[1], included=private[2])]).commands
    )
    for text in (*private, "shop", PAYMENTS.id):
        assert text.encode() not in sent


def test_the_same_text_of_two_merchants_is_not_kept_the_same() -> None:
    assert KEYS.value("shop", "ID") == KEYS.value("shop", "ID")
    assert KEYS.value("shop", "ID")[1:9] != KEYS.value("shop2", "ID")[1:9]


def test_a_value_of_another_key_or_a_damaged_one_is_none() -> None:
    member = KEYS.id("event") + KEYS.value("shop", "ID")
    assert KEYS.opened("shop", member) == "ID"
    assert KEYS.opened("shop2", member) is None
    assert KEYS.opened("shop", member[:-1]) is None


@pytest.mark.parametrize("number", [0.0, -0.0, 0.1, 1, True, -1, 2**53, 5e-324, 1e300, -1e300])
def test_a_number_comes_back_bit_for_bit(number: float) -> None:
    back = KEYS.opened("shop", KEYS.id("event") + KEYS.value("shop", number))
    assert back == number
    assert math.copysign(1, float(back or 0)) == math.copysign(1, number + 0.0)


@pytest.mark.parametrize(
    ("at", "value", "why"),
    [
        (0, 1, "the event time"),
        (-1, 1, "the event time"),
        (LAST_TIME + 1, 1, "the event time"),
        (BASE, math.nan, "the number"),
        (BASE, math.inf, "the number"),
        (BASE, 10**400, "the number"),
        (BASE, "x" * (LONGEST_TEXT + 1), "the text"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_a_reason(at: int, value: float | str, why: str) -> None:
    bad = write("event", at - BASE, value)
    assert str(fault_of(at, value)).startswith(why)
    refused = plan_writes(KEYS, HistoryLimits(), "shop", [bad])
    assert refused.commands == ()
    assert refused.read([]) == (Written.REFUSED,)
    assert MemoryHistory().write("shop", [bad]) == (Written.REFUSED,)
    asked = query("count", at - BASE, included=value)
    plan = plan_reads(KEYS, "shop", [asked])
    assert plan.commands == ()
    assert plan.read([]) == MemoryHistory().read("shop", [asked]) == {asked: Unanswered(str(fault_of(at, value)))}


def test_the_edges_of_time_can_be_kept() -> None:
    assert fault_of(1, "x" * LONGEST_TEXT) is None
    assert fault_of(LAST_TIME, 1e300) is None


def test_memory_lets_go_of_what_event_time_has_left_behind() -> None:
    limits = HistoryLimits(late_ms=0, idle_ms=HOUR)
    history = MemoryHistory(limits)
    history.write("shop", [write("idle", 0, entity="idle", window=HOUR)])
    history.write("shop", [write("busy", HOUR, entity="busy", window=HOUR)])
    numbers = itertools.count()
    for _ in range(65_534):
        history.write("shop", [write(str(next(numbers)), 2 * HOUR + 1, entity="now", window=1)])
    old = [query("count", at, HOUR, entity=entity) for at, entity in ((0, "idle"), (HOUR, "busy"))]
    assert list(history.read("shop", old).values()) == [Found(0), Found(1)]
