"""The rules' history in a real Valkey: tenants, bounds, expiry, what can be read there, outages, both ways to it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError

from flows.lookups.breaker import Pauses
from flows.lookups.rule_history import RuleHistory
from flows.redis_trip import connect
from infra.stack.ports import free_port
from ingest_api import redis_link
from ingest_api.rule_history import RuleHistory as IngestRuleHistory
from scoring.rules.answers import FUNCTIONS, MOST_MEMBERS, CatalogueName, Found, Query, Unanswered
from scoring.rules.history import HistoryLimits, Step, Written
from scoring.rules.memory_history import MemoryHistory
from tests.rule_history_kit import BASE, KEYS, LOGINS, PAYMENTS, SMALL, WINDOW, query, write
from tests.valkey_part import Valkey
from tests.waiting import PATIENCE, SECONDS

EVERYTHING = [query(function, 50, over) for function in FUNCTIONS for over in (10, WINDOW)]
DAY = 86_400_000


@pytest.fixture
def client(server: Valkey) -> Iterator[Redis]:
    with server.client() as one:
        one.flushall()
        one.script_flush()
        yield one


@pytest.fixture
async def ingest(server: Valkey) -> AsyncIterator[IngestRuleHistory]:
    link = redis_link.connect(server.url, PATIENCE)
    yield IngestRuleHistory(redis_link.RedisLink(link), KEYS, SMALL, seconds=PATIENCE)
    await link.aclose()


def value_of(history: Any, merchant: str, asked: Query) -> Any:
    found = history.read(merchant, [asked])[asked]
    assert isinstance(found, Found)
    return found.value


def steps(count: int = 40) -> list[Step]:
    """Return events of two merchants: repeated, late, of numbers and texts."""
    events = []
    for number in range(count):
        at = 3 * number - 40 * (number % 7 == 3)
        made = write(f"event {number % 30}", at, ("ID", 0.1, 1, number, "SG")[number % 5])
        asked = [query(function, at, over, own=made.dedupe) for function in FUNCTIONS for over in (10, WINDOW)]
        events.append(Step(f"shop{number % 2}", asked, [made, made._replace(catalogue=LOGINS, value=1)]))
    return events


def test_a_merchant_never_sees_what_another_wrote(client: Redis) -> None:
    """The attacker knows every name, and tries merchants and entities that might run together to the same key."""
    history = RuleHistory(client, KEYS, SMALL)
    history.write(
        "shop", [write("event", 0, 7, entity="user:1"), write("event", 0, 7, entity="user:1", catalogue=LOGINS)]
    )
    everywhere = (PAYMENTS, LOGINS, CatalogueName("global", PAYMENTS.id))
    attackers = ("", "shop ", "SHOP", "shop2", "sho", "shop:user", "4:shop", "shop6:user:1", "*", "}", "s\0hop")
    for attacker in attackers:
        for entity in ("user:1", ":1", "1", "shopuser:1", "6:user:1", "", "*"):
            asked = [
                query(function, 0, entity=entity, catalogue=catalogue, own=own)
                for function in FUNCTIONS
                for catalogue in everywhere
                for own in ("", "event")
            ]
            nothing = {one: Found(0 if one.function in ("count", "distinct", "sum") else None) for one in asked}
            assert history.read(attacker, asked) == nothing
        assert history.write(attacker, [write("event", 0, 9, entity="user:1")]) == (Written.COUNTED,)
    assert value_of(history, "shop", query("sum", 0, entity="user:1")) == 7
    assert client.dbsize() == 2 + len(attackers)


def test_names_and_values_cannot_be_read_in_the_store(client: Redis) -> None:
    private = ("someone@example.com", "4111111111111111", "Jane Doe", "shop", PAYMENTS.id)
    RuleHistory(client, KEYS).write("shop", [write(private[1], 0, private[2], entity=private[0])])
    (key,) = client.keys()
    everything = key + b"".join(client.zrange(key, 0, -1))
    assert not [text for text in private if text.encode() in everything]
    assert value_of(RuleHistory(client, KEYS), "shop", query("last", 0)) == "Jane Doe"


def test_the_newest_ten_thousand_of_an_entity_stay_and_the_answer_says_so(client: Redis) -> None:
    history = RuleHistory(client, KEYS)
    more = 3
    total = MOST_MEMBERS + more
    assert (
        history.write("shop", [write(str(at), at, at, window=DAY) for at in range(total)]) == (Written.COUNTED,) * total
    )
    asked = [query(function, total, over) for function in ("count", "sum", "min") for over in (DAY, 100)]
    answers = history.read("shop", asked)
    assert [answers[one] for one in asked] == [  # type: ignore[index]
        Found(MOST_MEMBERS, truncated=True),
        Found(99),
        Found(sum(range(more, total)), truncated=True),
        Found(sum(range(total - 99, total))),
        Found(more, truncated=True),
        Found(total - 99),
    ]
    (key,) = client.keys()
    assert client.zcard(key) <= 2 * MOST_MEMBERS + 1
    assert history.write("shop", [write("too late", 1, window=DAY)]) == (Written.TOO_OLD,)


@pytest.mark.parametrize("in_memory", [False, True])
def test_windows_and_what_is_kept_end_where_they_say(client: Redis, in_memory: bool) -> None:
    """A window is (at - over, at]; kept is (newest - window - lateness, newest]."""
    history = MemoryHistory(SMALL, KEYS) if in_memory else RuleHistory(client, KEYS, SMALL)
    oldest = 500 - WINDOW - SMALL.late_ms
    assert history.write("shop", [write("newest", 500, 2)]) == (Written.COUNTED,)
    assert history.write("shop", [write("before", oldest, 2)]) == (Written.TOO_OLD,)
    assert history.write("shop", [write("oldest", oldest + 1, 3)]) == (Written.COUNTED,)
    asked = [
        query(function, at, over)
        for function in ("count", "sum", "last")
        for at, over in ((500, 1), (499, WINDOW), (oldest + 1, 1), (oldest + 2, 1), (oldest, 1), (500, WINDOW))
    ]
    answers = history.read("shop", asked)
    assert not isinstance(answers, Unanswered)
    assert [answers[one] for one in asked] == [
        *(Found(1), Found(0), Found(1), Found(0), Found(0, truncated=True), Found(1)),
        *(Found(2), Found(0), Found(3), Found(0), Found(0, truncated=True), Found(2)),
        *(Found(2), Found(None), Found(3), Found(None), Found(None, truncated=True), Found(2)),
    ]
    assert history.write("shop", [write("next", 501, 4)]) == (Written.COUNTED,)
    again = query("sum", oldest + 1, 1)
    assert history.read("shop", [again]) == {again: Found(0, truncated=True)}


@pytest.mark.parametrize("in_memory", [False, True])
def test_windows_that_reach_beyond_the_beginning_of_time_count_each_event_once(client: Redis, in_memory: bool) -> None:
    """Ids of events with a value lie at negative times in the store."""
    history = MemoryHistory(SMALL, KEYS) if in_memory else RuleHistory(client, KEYS, SMALL)
    writes = [write(f"event {at}", at - BASE, 2) for at in (1, 5, 9)]
    assert history.write("shop", writes) == (Written.COUNTED,) * 3
    asked = {
        function: query(function, 9 - BASE, over) for function, over in (("count", 50), ("sum", 9), ("since", 100))
    }
    answers = {asked["count"]: Found(3), asked["sum"]: Found(6), asked["since"]: Found(0)}
    assert history.read("shop", asked.values()) == answers
    both = [query("sum", 9 - BASE, over) for over in (20, 50)]
    assert history.read("shop", both) == dict.fromkeys(both, Found(6))


def test_many_events_of_one_millisecond_are_bounded_and_not_forgotten_together(client: Redis) -> None:
    history = RuleHistory(client, KEYS, SMALL)
    written = history.write("shop", [write(str(at), 0, at) for at in range(20)])
    assert written == MemoryHistory(SMALL, KEYS).write("shop", [write(str(at), 0, at) for at in range(20)])
    asked = query("count", 0)
    assert history.read("shop", [asked]) == {asked: Found(SMALL.members, truncated=True)}
    highest = max(range(20), key=lambda at: KEYS.id(str(at)))
    last = query("last", 0)
    assert history.read("shop", [last]) == {last: Found(highest)}  # of one ms, those of the lowest ids went


def test_a_history_expires_after_its_window_its_lateness_and_what_processing_may_lag(client: Redis) -> None:
    history = RuleHistory(client, KEYS, HistoryLimits(late_ms=1_000, idle_ms=5_000))
    history.write("shop", [write("event", 0, window=60_000)])
    (key,) = client.keys()
    assert 65_000 < client.pttl(key) <= 66_000
    client.pexpire(key, 1_000)
    history.write("shop", [write("event", 0, window=60_000)])
    assert client.pttl(key) <= 1_000  # a repetition does not keep it
    history.write("shop", [write("another", 1, window=60_000)])
    assert client.pttl(key) > 65_000


def test_what_left_the_window_is_gone_from_the_store(client: Redis) -> None:
    history = RuleHistory(client, KEYS, HistoryLimits(late_ms=0))
    for at in range(0, 5_000, 10):
        history.write("shop", [write(str(at), at, at / 10)])
    (key,) = client.keys()
    assert client.zcard(key) == 2 * WINDOW // 10 + 1  # each with its id, and the floor
    assert client.memory_usage(key) < 4_096


def test_the_store_itself_keeps_reads_from_writing(client: Redis, server: Valkey) -> None:
    history = RuleHistory(client, KEYS, SMALL)
    history.exchange(steps())
    client.acl_setuser("reader", enabled=True, nopass=True, keys=["~*"], commands=["+@read", "+multi", "+exec"])
    with Redis.from_url(server.url, username="reader", password="any") as reader:
        answers = RuleHistory(reader, KEYS, SMALL).read("shop0", EVERYTHING)
        assert answers == history.read("shop0", EVERYTHING)
        with pytest.raises(NoPermissionError):
            reader.zadd("key", {"member": 1})


def test_reads_leave_everything_as_it_was(client: Redis) -> None:
    history = RuleHistory(client, KEYS, SMALL)
    history.exchange(steps())
    before = {key: client.dump(key) for key in client.scan_iter()}
    changes = client.info("persistence")["rdb_changes_since_last_save"]
    history.read("shop0", EVERYTHING)
    assert {key: client.dump(key) for key in client.scan_iter()} == before
    assert client.info("persistence")["rdb_changes_since_last_save"] == changes


async def test_sync_async_and_memory_agree(client: Redis, ingest: IngestRuleHistory) -> None:
    in_flow = RuleHistory(client, KEYS, SMALL).exchange(steps(300))
    client.flushall()
    at_ingest = [await ingest.exchange([step]) for step in steps(300)]
    in_memory = MemoryHistory(SMALL, KEYS).exchange(steps(300))
    assert in_flow == in_memory
    assert at_ingest == [[outcome] for outcome in in_memory]
    assert {status for outcome in in_memory for status in outcome.written} >= {Written.COUNTED, Written.TOO_OLD}


async def test_both_ways_share_one_history(client: Redis, ingest: IngestRuleHistory) -> None:
    in_flow = RuleHistory(client, KEYS, SMALL)
    assert in_flow.write("shop", [write("event", 0, 5)]) == (Written.COUNTED,)
    assert await ingest.write("shop", [write("event", 3, 6), write("next", 4, 2)]) == (
        Written.REPEATED,
        Written.COUNTED,
    )
    asked = query("sum", 50)
    assert await ingest.read("shop", [asked]) == in_flow.read("shop", [asked]) == {asked: Found(7)}


async def test_a_store_that_forgot_the_scripts_is_taught_them_again(client: Redis, ingest: IngestRuleHistory) -> None:
    in_flow = RuleHistory(client, KEYS, SMALL)
    asked = query("count", 50)
    for number in range(3):
        client.script_flush()
        assert in_flow.write("shop", [write(f"flow {number}", number)]) == (Written.COUNTED,)
        client.script_flush()
        assert await ingest.write("shop", [write(f"ingest {number}", number)]) == (Written.COUNTED,)
        client.script_flush()
        assert await ingest.read("shop", [asked]) == {asked: Found(min(2 * number + 2, SMALL.members), number == 2)}


async def test_decisions_at_the_same_time_get_their_own_answers(client: Redis, ingest: IngestRuleHistory) -> None:
    entities = [f"user {number}" for number in range(50)]
    await asyncio.gather(
        *(ingest.write("shop", [write("event", 0, number, entity=one)]) for number, one in enumerate(entities))
    )
    asked = [query("sum", 0, entity=one) for one in entities]
    answers = await asyncio.gather(*(ingest.read("shop", [one]) for one in asked))
    assert answers == [{one: Found(float(number))} for number, one in enumerate(asked)]


def test_a_store_that_hangs_is_a_value_in_time_and_left_alone_for_a_while(
    server: Valkey, client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    history = RuleHistory(connect(server.url, 1.0), KEYS, SMALL, pauses=Pauses(0.25, 1.0), clock=lambda: now[0])
    history.write("shop", [write("event", 0)])
    caplog.set_level(logging.WARNING, "clickgoose.flow")
    with server.still():
        began = time.monotonic()
        assert isinstance(history.read("shop", EVERYTHING), Unanswered)
        once = time.monotonic() - began
        assert 1.0 <= once < SECONDS
        began = time.monotonic()
        assert isinstance(history.write("shop", [write("next", 1)]), Unanswered)
        assert time.monotonic() - began < once / 2  # it was not asked
    now[0] = 0.3
    assert history.write("shop", [write("next", 1)]) == (Written.COUNTED,)
    assert value_of(history, "shop", query("count", 50)) == 2
    assert "the store is back" in caplog.text
    assert "example.com" not in caplog.text
    history.close()


async def test_for_the_ingest_tier_too_an_outage_is_a_value_in_time(
    server: Valkey, client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_link, "_TIMEOUT_SECONDS", 3 * SECONDS)  # the history's own limit comes before it
    link = redis_link.RedisLink(redis_link.connect(server.url))
    await IngestRuleHistory(link, KEYS, SMALL, seconds=SECONDS).write("shop", [write("event", 0)])
    history = IngestRuleHistory(link, KEYS, SMALL, seconds=0.15)
    with server.still():
        began = time.monotonic()
        assert isinstance(await history.read("shop", EVERYTHING), Unanswered)
        assert time.monotonic() - began < SECONDS
        with monkeypatch.context() as patched:
            patched.setattr(link, "send", None)  # the second time Redis is not asked
            assert isinstance(await history.read("shop", EVERYTHING), Unanswered)
    gives_up = time.monotonic() + PATIENCE
    asked = query("count", 50)
    while isinstance(found := await history.read("shop", [asked]), Unanswered):
        assert time.monotonic() < gives_up
        await asyncio.sleep(0.05)
    assert found == {asked: Found(1)}
    await link.close()


async def test_a_store_that_is_gone_and_comes_back_empty_counts_anew(tmp_path: Any) -> None:
    with Valkey(tmp_path, appendonly="no") as own:
        link = redis_link.RedisLink(redis_link.connect(own.url))
        at_ingest = IngestRuleHistory(link, KEYS, SMALL, seconds=1.0)
        in_flow = RuleHistory(connect(own.url, PATIENCE), KEYS, SMALL, pauses=Pauses(0.01, 0.01))
        in_flow.write("shop", [write("event", 0)])
        await at_ingest.write("shop", [write("event", 0)])
        own.kill()
        assert isinstance(in_flow.read("shop", EVERYTHING), Unanswered)
        assert isinstance(await at_ingest.read("shop", EVERYTHING), Unanswered)
        own.start()
        await asyncio.sleep(0.02)
        assert value_of(in_flow, "shop", query("count", 50)) == 0
        gives_up = time.monotonic() + PATIENCE
        while isinstance(written := await at_ingest.write("shop", [write("event", 0)]), Unanswered):
            assert time.monotonic() < gives_up
            await asyncio.sleep(0.05)
        assert written == (Written.COUNTED,)
        in_flow.close()
        await link.close()


def test_a_node_of_a_cluster_runs_every_command(tmp_path: Any) -> None:
    bus = str(free_port(set()))  # the usual one, 10,000 above, may be what somebody's connection goes out by
    options = {"appendonly": "no", "cluster_enabled": "yes", "cluster_node_timeout": "500", "cluster_port": bus}
    with Valkey(tmp_path, **options) as node, node.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        gives_up = time.monotonic() + PATIENCE
        while b"cluster_state:ok" not in client.execute_command("CLUSTER", "INFO"):
            assert time.monotonic() < gives_up
            time.sleep(0.02)
        assert RuleHistory(client, KEYS, SMALL).exchange(steps()) == MemoryHistory(SMALL, KEYS).exchange(steps())
