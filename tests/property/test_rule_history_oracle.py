"""The rules' history against a plain list: in memory and in a real Valkey, however events are late or repeated."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from flows.lookups.rule_history import RuleHistory
from scoring.rules.answers import FUNCTIONS, Found
from scoring.rules.history import HistoryLimits, Step, Written
from scoring.rules.memory_history import MemoryHistory
from tests.rule_history_kit import KEYS, SMALL, WINDOW, Oracle, as_kept, query, reduced, streams, values, write
from tests.valkey_part import Valkey


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Valkey(tmp_path_factory.mktemp("valkey"), appendonly="no") as server, server.client() as one:
        yield one


def contents(client: Redis) -> dict[bytes, list[tuple[bytes, float]]]:
    return {key: client.zrange(key, 0, -1, withscores=True) for key in client.scan_iter()}


@given(streams())
@settings(max_examples=120, deadline=None)
def test_memory_answers_as_a_plain_list_does(steps: list[Step]) -> None:
    assert MemoryHistory(SMALL, KEYS).exchange(steps) == Oracle(SMALL).exchange(steps)


@given(streams())
@settings(max_examples=120, deadline=None)
def test_valkey_answers_as_a_plain_list_does(client: Redis, steps: list[Step]) -> None:
    client.flushdb()
    history = RuleHistory(client, KEYS, SMALL)
    oracle = Oracle(SMALL)
    for step in steps:
        assert history.exchange([step]) == oracle.exchange([step])


@given(streams())
@settings(max_examples=25, deadline=None)
def test_all_steps_in_one_round_trip_are_the_same_as_one_by_one(client: Redis, steps: list[Step]) -> None:
    client.flushdb()
    assert RuleHistory(client, KEYS, SMALL).exchange(steps) == Oracle(SMALL).exchange(steps)


@given(streams())
@settings(max_examples=25, deadline=None)
def test_what_is_delivered_again_changes_nothing_that_is_kept(client: Redis, steps: list[Step]) -> None:
    """Everything is sent a second time: what is counted is counted already, and nothing comes back."""
    client.flushdb()
    roomy = HistoryLimits(members=1_000, late_ms=10**9, idle_ms=60_000)
    history = RuleHistory(client, KEYS, roomy)
    history.exchange(steps)
    kept = contents(client)
    again = history.exchange([Step(step.merchant, (), step.writes) for step in steps])
    assert isinstance(again, list)
    assert {status for outcome in again for status in outcome.written} <= {Written.REPEATED}
    assert contents(client) == kept


@given(
    st.lists(st.tuples(st.integers(0, 400), values), min_size=1, max_size=30),
    st.integers(0, 450),
    st.integers(1, WINDOW),
    st.sampled_from(FUNCTIONS),
)
@settings(max_examples=100, deadline=None)
def test_an_answer_that_is_not_truncated_is_made_of_all_events_ever_sent(
    events: list[tuple[int, float | str]], at: int, over: int, function: str
) -> None:
    history = MemoryHistory(SMALL, KEYS)
    for number, (time, value) in enumerate(events):
        history.write("shop", [write(f"event {number}", time, value)] * 2)
    asked = query(function, at, over)
    found = history.read("shop", [asked])[asked]
    assert isinstance(found, Found)
    if found.truncated:
        return
    within = [(time, KEYS.id(f"event {number}"), value) for number, (time, value) in enumerate(events)]
    within = sorted((one for one in within if at - over < one[0] <= at), key=lambda one: one[:2])
    if function == "last":
        assert found.value == (as_kept(within[-1][2]) if within else None)
    elif function == "since":
        assert found.value == (at - within[-1][0] if within else None)
    else:
        assert found.value == reduced(function, [value for _, _, value in within])


@given(st.permutations(range(8)))
@settings(max_examples=25, deadline=None)
def test_the_order_of_arrival_does_not_matter_within_the_lateness(order: list[int]) -> None:
    roomy = HistoryLimits(members=100, late_ms=1_000)
    ordered, disordered = MemoryHistory(roomy, KEYS), MemoryHistory(roomy, KEYS)
    events = [write(f"event {number}", number * 15, number / 10) for number in range(8)]
    ordered.write("shop", events)
    disordered.write("shop", [events[number] for number in order])
    asked = [query(function, at, over) for function in FUNCTIONS for at in (0, 50, 105) for over in (15, 30, 100)]
    assert ordered.read("shop", asked) == disordered.read("shop", asked)
