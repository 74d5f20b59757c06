"""The rules' history as commands: what is asked together, where it goes, what is refused, nothing to be read in it."""

from __future__ import annotations

import itertools
import math
import pickle
from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import ResponseError

from scoring.rules.answers import FUNCTIONS, LONGEST_TEXT, CatalogueName, Found, Unanswered, Value
from scoring.rules.history import HistoryLimits, Written, plan_reads, plan_writes
from scoring.rules.history_keys import LAST_TIME, HistoryKeys, fault_of
from scoring.rules.history_members import layout_of, payload
from scoring.rules.history_sets import Command
from scoring.rules.memory_history import MemoryHistory
from tests.rule_history_kit import BASE, KEYS, LOGINS, PAYMENTS, query, write

HOUR = 3_600_000


AMOUNTS, PLACES, ORDERS = (
    CatalogueName("own", name, name, "stream", value)
    for name, value in (("amounts", "amount"), ("places", "place"), ("orders", ""))
)


def names(commands: Sequence[Command]) -> list[bytes]:
    return [command[0] for command in commands]


def test_keys_of_an_entity_are_of_one_slot_and_a_stream_is_one_set() -> None:
    queries = [
        query(function, 0, over, catalogue=catalogue, entity=entity)
        for function in FUNCTIONS
        for over in (10, 50, 100)
        for catalogue in (AMOUNTS, PLACES, ORDERS, LOGINS)
        for entity in ("someone", "a card")
    ]
    commands = plan_reads(KEYS, "shop", queries).commands
    assert names(commands) == [b"ZRANGEBYSCORE"] * 4
    assert len({command[1] for command in commands}) == 4
    assert len({command[1][: command[1].index(b"}")] for command in commands}) == 2


def test_the_range_of_the_longest_window_serves_the_shorter_ones() -> None:
    asked = [("sum", 100), ("avg", 10), ("distinct", 50), ("count", 100), ("last", 100), ("since", 10)]
    (command,) = plan_reads(KEYS, "shop", [query(function, 0, over) for function, over in asked]).commands
    assert command[2:] == (b"(%d" % (BASE - 100), b"+inf", b"WITHSCORES")


def test_what_reaches_further_is_counted_by_the_store_in_one_transaction_with_the_range() -> None:
    asked = [("sum", 10), ("count", 50), ("count", 100), ("count", 10), ("last", 50), ("since", 100)]
    commands = plan_reads(KEYS, "shop", [query(function, 0, over) for function, over in asked]).commands
    expected = [b"MULTI", b"ZRANGEBYSCORE", b"ZCOUNT", b"ZCOUNT", b"ZREVRANGEBYSCORE", b"ZMSCORE", b"EXEC"]
    assert names(commands) == expected
    assert commands[4][2:4] == (BASE, b"(%d" % (BASE - 100))


def test_counts_alone_are_counted_by_the_store_and_the_newest_is_asked_for_once() -> None:
    queries = [query(function, 0, over) for function in ("count", "last", "since") for over in (100, 10)]
    commands = plan_reads(KEYS, "shop", queries).commands
    assert names(commands) == [b"MULTI", b"ZCOUNT", b"ZCOUNT", b"ZREVRANGEBYSCORE", b"ZMSCORE", b"EXEC"]


def test_events_that_have_a_value_are_not_counted_by_a_store_that_cannot_see_it() -> None:
    assert names(plan_reads(KEYS, "shop", [query("count", 0, catalogue=AMOUNTS)]).commands) == [b"ZRANGEBYSCORE"]
    assert b"ZCOUNT" in names(plan_reads(KEYS, "shop", [query("count", 0, catalogue=ORDERS)]).commands)


def test_an_event_is_one_member_of_its_stream() -> None:
    writes = [write("event", 0, value, catalogue=one) for one, value in ((AMOUNTS, 5), (PLACES, "ID"), (ORDERS, 1))]
    plan = plan_writes(KEYS, HistoryLimits(), "shop", [*writes, write("event", 0, catalogue=LOGINS), writes[0]])
    (command,) = plan.commands
    assert command[2] == 3  # what is there twice is sent twice, and counted once
    assert plan.read([[1, 1, 0]]) == (*[Written.COUNTED] * 4, Written.REPEATED)


def test_equal_queries_are_asked_once() -> None:
    once, twice = ([query("last", 0)] * times for times in (1, 2))
    assert plan_reads(KEYS, "shop", once).commands == plan_reads(KEYS, "shop", twice).commands


def test_writes_of_an_entity_are_one_command_and_answered_in_their_order() -> None:
    entities = ("a", "b", "a", "c", "b")
    writes = [write("event", 0, entity=entity, catalogue=LOGINS) for entity in entities]
    plan = plan_writes(KEYS, HistoryLimits(), "shop", [writes[0], write("event", -BASE), *writes[1:]])
    assert [command[:3:2] for command in plan.commands] == [(b"EVALSHA", 2), (b"EVALSHA", 2), (b"EVALSHA", 1)]
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
    slots = {HistoryKeys(key).slot(merchant, AMOUNTS) for key in (b"one", b"two") for merchant in ("shop", "shop2")}
    assert len(slots) == 4
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
    assert KEYS.text_mark("shop", "ID") != KEYS.text_mark("shop2", "ID")


def member(*values: Value, merchant: str = "shop") -> bytes:
    slots = [b"%04d" % number for number in range(len(values))]
    return KEYS.id("event") + payload(
        (slot, KEYS.value(merchant, value)) for slot, value in zip(slots, values, strict=True)
    )


def opened(name: bytes, place: int = 0, merchant: str = "shop") -> Value | None:
    return KEYS.opened(merchant, layout_of(name), name, place)


def test_a_value_of_another_key_or_a_damaged_one_is_none() -> None:
    assert opened(member("ID")) == "ID"
    assert opened(member("ID"), merchant="shop2") is None
    assert opened(member("ID")[:-1] + b"?") is None


@pytest.mark.parametrize("number", [0.0, -0.0, 0.1, 1, True, -1, 2**53, 5e-324, 1e300, -1e300])
def test_a_number_comes_back_bit_for_bit(number: float) -> None:
    back = opened(member(number))
    assert back == number
    assert math.copysign(1, float(back or 0)) == math.copysign(1, number + 0.0)


def test_each_of_many_values_comes_back() -> None:
    values = (1, "ü" * LONGEST_TEXT, "", -0.5, "ID", "\ud800", 7)
    assert [opened(member(*values), place) for place in range(len(values))] == list(values)


def test_values_are_found_whatever_order_they_were_written_in() -> None:
    values = [(b"%04d" % number, KEYS.value("shop", number)) for number in range(5)]
    assert payload(values) == payload(reversed(values))


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


def test_a_refusal_within_a_transaction_is_no_answer_and_no_error() -> None:
    plan = plan_reads(
        KEYS, "shop", [query("count", 0, 100, catalogue=ORDERS), query("sum", 0, 10, catalogue=AMOUNTS, entity="b")]
    )
    found: dict[bytes, Any] = {}
    for command in plan.commands:
        within = [ResponseError("WRONGTYPE")] * 2
        found[command[0]] = {b"EXEC": within, b"ZRANGEBYSCORE": []}.get(command[0], b"OK")
    answers = plan.read([found[command[0]] for command in plan.commands])
    assert sorted(isinstance(one, Unanswered) for one in answers.values()) == [False, True]
