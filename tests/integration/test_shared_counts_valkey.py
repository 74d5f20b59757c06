"""Shared counts with a real Valkey: hot entities, memory, expiry, slots of a cluster, a store that goes and comes."""

from __future__ import annotations

import itertools
import struct
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from redis import Redis

from flows.lookups.breaker import Pauses
from flows.lookups.redis_shared import Limits, RedisSharedCounts
from flows.metrics import FlowMetrics
from flows.redis_trip import connect
from infra.flow_shared import shared_counts
from infra.settings import Settings
from infra.stack.ports import free_port
from schemas.batches import F32
from schemas.shared import SharedQuery
from schemas.velocity import ENTITIES, WINDOW_MS
from tests.shared_kit import BASE, DAY, Row, asked, mixed, query_of
from tests.valkey_part import Valkey
from tests.waiting import PATIENCE

MINUTE, HOUR = 60_000, 3_600_000
HOT = (0, 0, 7, 0, 0, 0)
number = itertools.count()


@pytest.fixture
def client(server: Valkey) -> Iterator[Redis]:
    with server.client() as one:
        one.flushall()
        yield one


def counting(client: Redis, limits: Limits | None = None, **more: Any) -> RedisSharedCounts:
    return RedisSharedCounts(client, FlowMetrics(CollectorRegistry()), limits=limits, **more)


def crowd(devices: np.ndarray, times: np.ndarray, first: int = 0) -> SharedQuery:
    """Return rows of one hot entity."""
    rows = len(devices)
    entities = np.zeros((rows, len(ENTITIES)), np.uint64)
    entities[:, 2] = mixed([77])[0]
    offsets = np.arange(first, first + rows)
    return SharedQuery(entities, mixed(devices), BASE + times, np.zeros(rows, np.int32), offsets)


def counted(counts: RedisSharedCounts, query: SharedQuery, batch: int = 1_000) -> F32:
    names = SharedQuery.__dataclass_fields__
    parts = [
        counts.count(SharedQuery(*(getattr(query, name)[at : at + batch] for name in names))).counts
        for at in range(0, len(query), batch)
    ]
    return np.concatenate(parts)[:, 2]


def by_panes(query: SharedQuery) -> np.ndarray:
    """Return events and devices of each row's window by panes, [n, 2, WINDOWS]: for rows in the order of time."""
    times, devices = query.time, query.device
    found = np.empty((len(query), 2, len(WINDOW_MS)))
    for window, length in enumerate(WINDOW_MS):
        panes = times // (length // 50)
        starts = np.searchsorted(panes, panes - 49)
        for row, start in enumerate(starts.tolist()):
            found[row, :, window] = row + 1 - start, len(set(devices[start : row + 1].tolist()))
    return found


def test_a_hot_entity_is_exact_while_its_sample_is_whole(client: Redis) -> None:
    random = np.random.default_rng(1)
    query = crowd(random.integers(0, 500, 1_500), np.sort(random.integers(0, 2 * HOUR, 1_500)))
    answers = counted(counting(client), query)
    heavy = slice(64, None)
    np.testing.assert_array_equal(answers[heavy], by_panes(query)[heavy])


def test_beyond_its_sample_devices_are_within_three_percent_or_not_said(client: Redis) -> None:
    random = np.random.default_rng(2)
    rows = 36_000
    query = crowd(random.integers(0, 10**9, rows), DAY + np.sort(random.integers(0, 10 * MINUTE, rows)))
    answers, truth = counted(counting(client, Limits(sample=16_384)), query), by_panes_of_new_devices(query)
    assert not np.isnan(answers).any()
    np.testing.assert_array_equal(answers[64:, 0], truth[64:])  # all are new devices: as many as events
    errors = np.abs(answers[64:, 1] / truth[64:] - 1)
    assert errors[truth[64:] < 8_000].max() == 0
    assert 0 < errors.max() < 0.03
    for window in range(len(WINDOW_MS)):
        members = [client.hlen(key) for key in client.keys(f"*:m{window + 1}:*")]
        assert max(members) < 16_384 + 8_192 * np.log2(36_000 / 16_384) + 1


def by_panes_of_new_devices(query: SharedQuery) -> np.ndarray:
    found = np.empty((len(query), len(WINDOW_MS)))
    for window, length in enumerate(WINDOW_MS):
        panes = query.time // (length // 50)
        found[:, window] = np.arange(len(query)) + 1 - np.searchsorted(panes, panes - 49)
    return found


def test_what_a_spike_leaves_is_said_only_where_it_is_known(client: Redis) -> None:
    spike = crowd(np.arange(20_000), DAY + np.arange(20_000) // 400)
    calm = crowd(10**6 + np.arange(300), DAY + 10_000 + 2_000 * np.arange(300), first=20_000)
    counts = counting(client, Limits(sample=1_000))
    counted(counts, spike)
    answers = counted(counts, calm, batch=50)
    panes = calm.time // 6_000
    truth = np.arange(300) + 1 - np.searchsorted(panes, panes - 49)
    shown = answers[:, 1, 0]
    said = ~np.isnan(shown)
    after = calm.time >= spike.time[-1] + 2 * WINDOW_MS[0]
    assert said[after].all()
    np.testing.assert_array_equal(shown[after], truth[after])
    few = (panes > spike.time[-1] // 6_000 + 49) & said
    assert (shown[few] == truth[few]).all()


def test_what_an_entity_takes(client: Redis) -> None:
    """The figures of docs/operations.md: bytes of a light entity with one event, and of a heavy one."""
    rows, counts = 40_000, counting(client)
    before = client.info("memory")["used_memory"]
    entities = np.zeros((rows, len(ENTITIES)), np.uint64)
    entities[:, 0] = mixed(np.arange(1, rows + 1))
    ones = SharedQuery(entities, mixed(np.arange(rows)), np.full(rows, BASE), np.zeros(rows, np.int32), np.arange(rows))
    for at in range(0, rows, 1_000):
        part = SharedQuery(*(getattr(ones, name)[at : at + 1_000] for name in SharedQuery.__dataclass_fields__))
        counts.count(part)
        counts.acknowledged(0, at + 1_000)
    streams = sum(client.memory_usage(key, samples=0) or 0 for key in client.keys("*:a:*"))
    light = (client.info("memory")["used_memory"] - before - streams) / rows
    assert 30 < light < 110
    client.flushall()
    counted(counting(client, Limits(answers=1)), crowd(np.arange(10_000), np.arange(10_000)))
    heavy = {
        kind: sum(client.memory_usage(key, samples=0) or 0 for key in client.keys(f"*:{kind}?:*")) for kind in "lhm"
    }
    assert heavy["h"] < 3 * 1_200  # three windows
    assert 30 < heavy["m"] / 30_000 < 75  # a device and window
    print(f"light entity {light:.0f} bytes; heavy {heavy}")  # noqa: T201 - shown with -s: the figures to write down


def test_what_no_window_reaches_is_gone_and_what_nobody_writes_expires(client: Redis) -> None:
    counts = counting(client, Limits(light_records=1, idle_seconds=1_000), tags=8)
    for hour in range(5 * 24):
        rows = [Row(hour * HOUR + device, device, (1, 2, 3, 4, 5, 6)) for device in range(3)]
        counts.count(query_of(rows, [3 * hour, 3 * hour + 1, 3 * hour + 2]))
    keys = [key.decode() for key in client.keys("*") if b":meta" not in key and b":a:" not in key]
    oldest: dict[str, int] = {}
    for kind, stretch in (key.split(":")[-2:] for key in keys):
        oldest[kind] = min(int(stretch), oldest.get(kind, 1 << 60))
    newest = BASE + 119 * HOUR
    for window, length in enumerate(WINDOW_MS):
        kept = (newest - Limits().late_ms[window]) // length - 1
        assert all(oldest[f"{kind}{window + 1}"] >= kept for kind in "lhm")
    assert oldest["h3"] == BASE // DAY + 2
    assert len(keys) < 8 * 20
    assert all(0 < client.ttl(key) <= 1_000 for key in client.keys("*"))


def test_what_is_made_in_the_midst_of_an_hour_expires_too(client: Redis) -> None:
    counts = counting(client, Limits(light_records=2, idle_seconds=1_000))
    for offset, (at, partition) in enumerate(((0, 0), (1, 0), (2, 0), (3, 1), (4, 1))):
        counts.count(query_of([Row(DAY + HOUR // 2 + at, at, HOT, partition)], [offset]))
    keys = client.keys("*")
    assert {key.split(b":")[-2][:1] for key in keys if b":meta" not in key and b":a:" not in key} == {b"l", b"h", b"m"}
    assert sum(b":a:" in key for key in keys) == 2
    assert {key for key in keys if not 0 < client.ttl(key) <= 1_000} == set()


def test_the_keys_of_one_call_are_in_one_slot_and_a_cluster_runs_it(tmp_path: Any) -> None:
    bus = str(free_port(set()))  # the usual one, 10,000 above, may be what somebody's connection goes out by
    options = {"appendonly": "no", "cluster_enabled": "yes", "cluster_node_timeout": "500", "cluster_port": bus}
    with Valkey(tmp_path, **options) as node, node.client() as client:
        client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        _wait_for(lambda: b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO"))
        rows = [Row(at * MINUTE, at % 7, (at % 4 + 1, at % 3 + 1, 1, at % 5, 0, at % 2)) for at in range(300)]
        limits = Limits(light_records=4)
        answers = asked(counting(client, limits, tags=8), rows, [100])
        assert not np.isnan(answers[:, 2]).any()
        slots: dict[str, set[int]] = {}
        for key in client.keys("*"):
            name = key.decode()
            slots.setdefault(name[: name.index("}")], set()).add(client.execute_command("CLUSTER", "KEYSLOT", key))
        assert len(slots) > 4
        assert all(len(found) == 1 for found in slots.values())


def test_a_store_that_forgot_the_script_is_taught_it_again(client: Redis) -> None:
    counts = counting(client)
    rows = [Row(at, at, (1, 0, 0, 0, 0, 0)) for at in range(4)]
    asked(counts, rows[:2], [])
    client.script_flush()
    offsets = [2, 3]
    answer = counts.count(query_of(rows[2:], offsets))
    assert not answer.degraded
    assert answer.counts[:, 0, 0, 0].tolist() == [3, 4]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_store_that_is_killed_costs_no_count_and_no_exception(tmp_path: Any) -> None:
    rows = [Row(at * 1_000, at % 50, (1, 2, 3, at % 9, 0, 0), at % 2) for at in range(600)]
    offsets = [at // 2 for at in range(600)]
    clock, metrics = Clock(), FlowMetrics(CollectorRegistry())
    with Valkey(tmp_path) as server:
        client = connect(server.url, 60.0)  # one that was killed refuses at once
        counts = RedisSharedCounts(client, metrics, pauses=Pauses(1.0, 1.0), clock=clock)

        def ask(first: int, last: int) -> Any:
            return counts.count(query_of(rows[first:last], offsets[first:last]))

        assert not ask(0, 200).degraded
        server.kill()
        away = ask(200, 300)
        assert away.degraded
        assert np.isnan(away.counts).all()
        assert ask(300, 400).degraded
        assert metrics.shared_backlog._value.get() == 200
        server.start()
        assert ask(400, 500).degraded  # nobody tries before the pause is over
        clock.now = 1.1
        back = ask(500, 600)
        assert not back.degraded
        assert back.counts[-1, 2].tolist() == [[300, 600, 600], [50, 50, 50]]
        assert metrics.shared_degraded._value.get() == 300
        assert metrics.shared_backlog._value.get() == 0
        assert metrics.shared_lost._value.get() == 0
        again = counts.count(query_of(rows[200:300], offsets[200:300]))
        assert again.counts[-1, 2, 0].tolist() == [300, 300, 300]  # as of then, and counted once
        counts.close()


def test_a_store_that_hangs_costs_one_time_limit_and_then_nothing(tmp_path: Any) -> None:
    clock = Clock()
    with Valkey(tmp_path, appendonly="no") as server:
        counts = RedisSharedCounts(
            connect(server.url, 1.0), FlowMetrics(CollectorRegistry()), pauses=Pauses(1.0, 1.0), clock=clock
        )
        row = [Row(0, 1, (1, 0, 0, 0, 0, 0))]
        counts.count(query_of(row, [0]))
        with server.still():
            started = time.monotonic()
            assert counts.count(query_of(row, [1])).degraded
            once = time.monotonic() - started
            assert once >= 1.0
            started = time.monotonic()
            for offset in range(2, 102):
                assert counts.count(query_of(row, [offset])).degraded
            assert time.monotonic() - started < 50 * once  # each would wait for as long
        clock.now = 2.0
        assert counts.count(query_of(row, [102])).counts[0, 0, 0, 0] == 103


def test_a_full_backlog_loses_its_oldest_and_says_so(
    server: Valkey, client: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    clock, metrics = Clock(), FlowMetrics(CollectorRegistry())
    counts = RedisSharedCounts(
        connect("redis://127.0.0.1:1/0", 0.1), metrics, limits=Limits(backlog_rows=10), clock=clock
    )
    for offset in range(25):
        assert counts.count(query_of([Row(0, 1, (1, 0, 0, 0, 0, 0))], [offset])).degraded
    assert metrics.shared_lost._value.get() == 15
    assert metrics.shared_backlog._value.get() == 10
    assert sum("backlog is full" in record.message for record in caplog.records) == 1
    counts._client = client  # the store is back
    clock.now = 100.0
    answer = counts.count(query_of([Row(0, 1, (1, 0, 0, 0, 0, 0))], [25]))
    assert answer.counts[0, 0, 0, 0] == 11


def test_what_a_flow_left_behind_is_known_to_the_next(client: Redis) -> None:
    rows = [Row(at, at, (1, 0, 0, 0, 0, 0)) for at in range(20)]
    first = asked(counting(client), rows, [5])
    np.testing.assert_array_equal(asked(counting(client), rows, [9]), first)
    other = asked(counting(client, source="another topic"), rows, [])
    assert other[-1, 0, 0, 0] == 40


def test_a_replay_leaves_what_is_kept_as_it_is(client: Redis) -> None:
    hour, entity = 28 * HOUR, (0, 0, 7, 0, 0, 0)
    rows = [Row(hour - 2 * HOUR, 1, entity), *[Row(hour, 1, entity)] * 4, Row(hour - HOUR, 1, entity)]
    limits = Limits(light_records=3)
    replayed, straight = (counting(client, limits, prefix=prefix) for prefix in ("replayed", "straight"))
    asked(replayed, rows, [])
    more = [*rows, Row(hour - 2 * HOUR, 2, entity)]
    np.testing.assert_array_equal(asked(replayed, more, []), asked(straight, more, []))


def test_answers_that_were_let_go_are_read_and_not_counted(client: Redis) -> None:
    counts = counting(client, Limits(answers_below=0))
    rows = [Row(at, at, (1, 0, 0, 0, 0, 0)) for at in range(30)]
    for at in range(30):
        counts.acknowledged(0, at)
        counts.count(query_of(rows[at : at + 1], [at]))
    assert sum(client.xlen(key) for key in client.keys("*:a:*")) == 1
    again = counts.count(query_of(rows, list(range(30))))
    assert again.counts[:, 0, 0, 0].tolist() == list(range(1, 31))
    assert counts.count(query_of([Row(29, 99, (1, 0, 0, 0, 0, 0))], [30])).counts[0, 0, 0, 0] == 31


def test_what_is_stored_is_what_the_builds_before_read_and_wrote(client: Redis) -> None:
    """A deployment that rolls has both: records and answers keep their bytes, under an offset that is not below."""
    counts = counting(client, source="raw", tags=8)  # in the cut that all of them had
    entity = (0, 0, 0, 0, 5, 0)
    counts.count(query_of([Row(60_000, 7, entity), Row(61_000, 8, entity, 3)], [40, 2]))
    counts.count(query_of([Row(62_000, 7, entity)], [41]))
    query = query_of([Row(60_000, 7, entity), Row(61_000, 8, entity), Row(62_000, 7, entity)], [40, 2, 41])
    field = int(query.entities[0, 4]).to_bytes(8, "little")
    record = [
        int(time).to_bytes(6, "little") + int(device).to_bytes(8, "little")[:6]
        for time, device in zip(query.time, query.device, strict=True)
    ]
    shard = f"v:{{{int(query.entities[0, 4]) >> 61:02d}}}"
    assert client.hgetall(f"{shard}:l3:{BASE // DAY}") == {field: b"".join(record)}
    newest = str(int(query.time[-1])).encode()
    assert client.hgetall(f"{shard}:meta") == {b"newest": newest, b"o:raw:0": b"41", b"o:raw:3": b"2"}
    told = [(b"41-0", 40, (1, 1, 1, 1, 1, 1)), (b"42-0", 41, (3, 3, 3, 2, 2, 2)), (b"3-0", 2, (2, 2, 2, 2, 2, 2))]
    stored = client.xrange(f"{shard}:a:raw:0") + client.xrange(f"{shard}:a:raw:3")
    assert stored == [(name, {b"": struct.pack("<QB6f", offset, 4, *said)}) for name, offset, said in told]


@pytest.mark.parametrize(("tags", "bases"), [(1, 1), (4, 4), (64, 64)])
def test_entities_are_cut_into_as_many_tags_as_are_set_and_answered_the_same(
    client: Redis, tags: int, bases: int
) -> None:
    rows = [Row(at * 1_000, at % 9, (at + 1, at % 11 + 1, 1, at % 30 + 1, 0, at % 2)) for at in range(400)]
    limits = Limits(light_records=8)
    answers = asked(counting(client, limits, tags=tags), rows, [7, 8, 250])
    found = {key.decode().split("}")[0] for key in client.keys("*")}
    assert found == {f"v:{{{tag}of{tags}" for tag in range(bases)}
    np.testing.assert_array_equal(answers, asked(counting(client, limits, prefix="other", tags=8), rows, [7, 8, 250]))


def test_a_large_batch_is_counted_by_several_calls_as_by_many_batches(client: Redis) -> None:
    rows = [Row(at * 1_000, at % 9, (at % 300 + 1, 1, at % 40 + 1, 0, 0, 0), at % 3) for at in range(1_500)]
    limits = Limits(light_records=8)
    straight = asked(counting(client, limits, prefix="straight"), rows, list(range(0, 1_500, 256)))
    client.config_resetstat()
    counts = counting(client, limits)
    np.testing.assert_array_equal(asked(counts, rows, []), straight)
    assert client.info("commandstats")["cmdstat_evalsha"]["calls"] == 6
    np.testing.assert_array_equal(asked(counts, rows, [700]), straight)  # told again


def test_a_flow_cuts_as_its_settings_say(client: Redis, server: Valkey, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKGOOSE_REDIS__SHARED_TAGS", "2")
    counts = shared_counts(Settings(), server.url, "raw", FlowMetrics(CollectorRegistry()))
    asked(counts, [Row(at, at, (at + 1, 0, 0, 0, 0, 0)) for at in range(40)], [])
    assert {key.decode().split("}")[0] for key in client.keys("*")} == {"v:{0of2", "v:{1of2"}


def test_flows_that_cut_differently_never_touch_each_other_s_counts(client: Redis) -> None:
    rows = [Row(at, at, (1, 2, 3, 4, 5, 6)) for at in range(20)]
    alone = {tags: asked(counting(client, tags=tags), rows, [5]) for tags in (1, 2, 4, 8, 16, 32, 64)}
    keys: dict[int, set[bytes]] = {}
    for tags in alone:
        client.flushall()
        asked(counting(client, tags=tags), rows, [5])
        keys[tags] = set(client.keys("*"))
    assert sum(map(len, keys.values())) == len(set().union(*keys.values()))
    assert all((found == alone[1]).sum() == (alone[1] == alone[1]).sum() for found in alone.values())


def test_a_flow_that_goes_back_to_a_cut_finds_what_it_was_told_there(client: Redis) -> None:
    rows = [Row(at, at, (1, 0, 0, 0, 0, 0)) for at in range(20)]
    first = asked(counting(client, tags=4), rows, [5])
    np.testing.assert_array_equal(asked(counting(client, tags=1), rows, [5]), first)  # counted anew
    np.testing.assert_array_equal(asked(counting(client, tags=4), rows, [9]), first)  # told again
    assert client.hget("v:{0of1}:meta", "o:events.raw:0") == b"19"


def _wait_for(ready: Any) -> None:
    gives_up = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < gives_up
        time.sleep(0.05)
