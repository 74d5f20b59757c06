"""e2e: HTTP -> Kafka -> flow -> Redis, Kafka and ClickHouse with the real parts, all of them on the same cores.

Requests are made beforehand and sent as fast as they are answered, so that what waits in Kafka grows where the flow is
what limits. The rate is of all events from the first request to the last result in Redis; processor time is counted
until ClickHouse has all rows as well. Every event that was accepted is looked for in Redis and in ClickHouse. Rows that
went to the backup because a store was slow count where they are redriven; how many, and how many events went on without
shared counts, stands beside the rate.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

from clickhouse_driver import Client as ClickHouse
from redis import Redis

from infra.bench.measure import Figures, ProcessFigures, RowsLost, combined
from infra.bench.pages import Request, open_pages, refusal, requests_of
from infra.bench.rig import Rig
from infra.bench.rules_http import AnswersWrong, Client

_STILL_SECONDS: Final = 20.0
_LOOK_SECONDS: Final = 0.1
_AT_ONCE: Final = 2_000
_EVENTS: Final = "SELECT uniqExact(event_id) FROM events"


@dataclass(frozen=True, slots=True)
class Load:
    """How it is measured. The first ``warm`` events are not counted."""

    events: int = 40_000
    warm: int = 4_000
    processes: int = 1  # of the flow
    together: int = 20  # events a request
    connections: int = 8
    pages: int = 200


@dataclass(frozen=True, slots=True)
class _Sent:
    """What one run of requests came to."""

    events: int
    posted_seconds: float
    seconds: float
    cpu: dict[str, float]


def bench_e2e(
    rig: Rig, records: Sequence[bytes], load: Load, said: Callable[[str], None] = lambda word: None
) -> Figures:
    """Return rate and processor time by process; RowsLost where one accepted event has no result."""
    said("starting flow and ingest tier")
    rig.flow(load.processes)
    url = rig.ingest()
    pages = open_pages(url, rig.api_key, load.pages)
    _await(rig, "clickhouse", _held(rig, "redis"))  # what an earlier load sent comes there last
    rows = rig.asked(_EVENTS)
    said("warming up")
    warm = requests_of(list(islice(cycle(records), load.warm)), rig.keys, pages, load.together)
    _sent(rig, url, warm, load)
    said("making requests")
    requests = requests_of(list(islice(cycle(records), load.events)), rig.keys, pages, load.together)
    said(f"{load.events:,} events")
    sent = _sent(rig, url, requests, load)
    said("looking for every event")
    _check(rig, rows, [event for one in (*warm, *requests) for event in one.event_ids])
    processes = [ProcessFigures(name, sent.events, spent, rig.rss_mb(name)) for name, spent in sent.cpu.items()]
    figures = combined("e2e", load.together, sent.events, sent.seconds, processes)
    details: dict[str, Any] = {
        **went_on_without(rig),
        "accepted_per_s": round(sent.events / sent.posted_seconds, 1),
        "batch_mean": rig.batch_mean(),
        "stored_bytes_per_event": stored_bytes(rig),
    }
    return replace(figures, details=details)


def _sent(rig: Rig, url: str, requests: Sequence[Request], load: Load) -> _Sent:
    """Post all requests and wait until Redis and ClickHouse have them."""
    events = sum(len(one.event_ids) for one in requests)
    connections = min(load.connections, len(requests))
    client = Client(url, connections, lambda number, whole: refusal(whole, len(requests[number].event_ids)))
    before = {sink: _held(rig, sink) for sink in ("redis", "clickhouse")}
    spent, began = rig.cpu(), time.perf_counter()
    try:
        posted = client.fastest([one.wire for one in requests], float("inf"))
    except AnswersWrong as wrong:
        raise RowsLost(str(wrong)) from None
    finally:
        client.close()
    ended = _await(rig, "redis", before["redis"] + events)
    _await(rig, "clickhouse", before["clickhouse"] + events)
    return _Sent(events, posted.seconds, ended - began, rig.cpu_since(spent))


def _await(rig: Rig, sink: str, events: int) -> float:
    """Wait until a sink holds so many rows; return when. RowsLost where nothing comes any more."""
    held, changed = -1, time.perf_counter()
    while time.perf_counter() - changed < _STILL_SECONDS:
        now = _held(rig, sink)
        if now >= events:
            return time.perf_counter()
        if now != held:
            held, changed = now, time.perf_counter()
        if ended := rig.ended():
            raise RowsLost(f"{', '.join(ended)} ended while it was measured")
        time.sleep(_LOOK_SECONDS)
    raise RowsLost(f"{events} events were accepted, {sink} holds {held}")


def _held(rig: Rig, sink: str) -> int:
    """Return the rows that were written, at once or by way of the backup."""
    written = rig.figure("clickgoose_sink_rows_total{", f'sink="{sink}"', 'outcome="written"')
    return int(written + rig.figure("clickgoose_redriven_rows_total{", f'sink="{sink}"'))


def went_on_without(rig: Rig) -> dict[str, int]:
    """Return the rows that a store took by way of the backup only, and the events that had no shared counts.

    All since the flow started, warm-up included: none of them is lost, but a load at which they grow is too much.
    """
    rows = {
        f"rows_{outcome}_{sink}": rig.figure("clickgoose_sink_rows_total{", f'sink="{sink}"', f'outcome="{outcome}"')
        for sink in ("redis", "clickhouse")
        for outcome in ("backup", "spilled")
    }
    degraded = rig.figure("clickgoose_shared_counts_degraded_rows_total")
    return {name: int(value) for name, value in {**rows, "events_without_shared_counts": degraded}.items()}


def _check(rig: Rig, before: int, events: Sequence[str]) -> None:
    """Look for each event in Redis, and for as many more in ClickHouse than there were before."""
    missing = 0
    with Redis.from_url(rig.stack.redis_url, decode_responses=True) as client:
        keys = [f"score:demo-shop:{event}" for event in events]
        for first in range(0, len(keys), _AT_ONCE):
            part = keys[first : first + _AT_ONCE]
            missing += len(part) - int(client.exists(*part))
    rows = rig.asked(_EVENTS) - before
    if missing or rows != len(events):
        raise RowsLost(f"{len(events)} events were accepted, Redis lacks {missing}, ClickHouse has {rows}")


def stored_bytes(rig: Rig) -> dict[str, float]:
    """Return what an event takes in each store: Kafka's topics, Redis, ClickHouse's tables after a merge."""
    events = rig.asked(_EVENTS)
    client = ClickHouse.from_url(rig.stack.clickhouse_url)
    try:
        for table in ("events", "features", "raw_archive"):
            client.execute(f"OPTIMIZE TABLE {table} FINAL")
        parts = client.execute(
            "SELECT table, sum(bytes_on_disk) FROM system.parts WHERE active AND database = currentDatabase() "
            "GROUP BY table"
        )
    finally:
        client.disconnect()
    found = {f"clickhouse {table}": size for table, size in sorted(parts) if size > events}
    with Redis.from_url(rig.stack.redis_url) as redis:
        found["redis"] = int(redis.info("memory")["used_memory_dataset"])
    logs = Path(rig.stack.home) / "kafka" / "data"
    for topic in ("events.raw", "events.scored", "events.alerts"):
        found[f"kafka {topic}"] = sum(file.stat().st_size for file in logs.glob(f"{topic}-*/*.log"))
    return {name: round(size / events, 1) for name, size in found.items()}
