"""sinks: ClickHouse, Redis and Kafka as destinations, each alone, with what the real stages make of full-size events.

Blocks are as the flow's writers make them. Processor time is that of the client, in this process with all its threads,
and of the store beside it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry

from flows.metrics import FlowMetrics
from flows.pipeline import Pipeline
from flows.redis_trip import connect
from flows.run_stage import Monitor
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.destination import Destination
from flows.sinks.encoded import EncodedParcel
from flows.sinks.kafka import Appender, KafkaBackup, KafkaScored, producer_config
from flows.sinks.redis_results import RedisResults
from infra.bench.events import parcels
from infra.bench.measure import RowsLost, machine
from infra.bench.rig import Rig

_TTL_SECONDS: Final = 3_600
_LOAD: Final = "load"  # what the rig calls this process


@dataclass(frozen=True, slots=True)
class Load:
    """How it is measured: rows of a parcel, and of a block of each destination."""

    batch: int = 256
    quick_rows: int = 1_024
    bulk_rows: int = 10_240


def bench_sinks(
    rig: Rig,
    records: Sequence[bytes],
    pipeline: Pipeline,
    encode: Callable[[Any], EncodedParcel],
    load: Load,
    said: Callable[[str], None] = lambda word: None,
) -> dict[str, Any]:
    """Return rows a second and processor time of each; RowsLost where a store does not hold every row."""
    said("scoring the events")
    ready = scored(records, pipeline, encode, load.batch)
    rows = sum(len(item.records) for item in ready)
    before, found = _held(rig), {}
    for name, (make, block) in _destinations(rig, load).items():
        said(f"{name}: {rows:,} rows")
        found[name] = _measured(rig, name, make(), ready, block)
        found[name] |= {"rows_per_s": round(rows / found[name].pop("seconds"), 1)}
    for name, held in _held(rig).items():
        if held - before[name] != rows:
            raise RowsLost(f"{rows} rows were written, {name} holds {held - before[name]}")
    return {"name": "sinks", "events": rows, "sinks": found, "machine": machine()}


def _held(rig: Rig) -> dict[str, int]:
    """Count the rows that Redis and ClickHouse hold; Kafka acknowledges each."""
    return {"redis": rig.count_keys("score:*"), "clickhouse": rig.asked("SELECT uniqExact(event_id) FROM events")}


def scored(
    records: Sequence[bytes], pipeline: Pipeline, encode: Callable[[Any], EncodedParcel], batch: int
) -> list[EncodedParcel]:
    """Return what the fan-out gets of these records."""
    session = pipeline.keyed.open([])
    monitor = Monitor(time.time_ns, FlowMetrics(CollectorRegistry()))
    return [encode(pipeline.run(parcel, session, monitor)) for parcel in parcels(records, batch)]


def _destinations(rig: Rig, load: Load) -> Mapping[str, tuple[Callable[[], Destination[EncodedParcel]], int]]:
    config = producer_config(rig.stack.bootstrap)
    backup = KafkaBackup(Appender(config))
    return {
        "kafka": (lambda: KafkaScored(Appender(config), backup), load.quick_rows),
        "redis": (lambda: RedisResults(connect(rig.stack.redis_url, 30), _TTL_SECONDS, packed=True), load.quick_rows),
        "clickhouse": (lambda: ClickHouse(rig.stack.clickhouse_url, answer_seconds=60), load.bulk_rows),
    }


def _measured(
    rig: Rig, name: str, destination: Destination[EncodedParcel], ready: Sequence[EncodedParcel], block: int
) -> dict[str, float]:
    """Write everything; the first block opens connections and is not counted apart."""
    blocks = blocks_of(ready, block)
    rows = sum(len(item.records) for item in ready)
    before, began = rig.cpu(), time.perf_counter()
    try:
        for one in blocks:
            destination.write(one)
        seconds = time.perf_counter() - began
        spent = rig.cpu_since(before)
    finally:
        destination.close()
    client, store = (round(spent[part] / rows * 1e6, 2) for part in (_LOAD, name))
    return {"seconds": seconds, "client_cpu_us_per_row": client, "store_cpu_us_per_row": store, "block_rows": block}


def blocks_of(ready: Sequence[EncodedParcel], rows: int) -> list[list[EncodedParcel]]:
    """Cut parcels into blocks of at least so many rows, but for the last."""
    blocks: list[list[EncodedParcel]] = [[]]
    held = 0
    for item in ready:
        if held >= rows:
            blocks.append([])
            held = 0
        blocks[-1].append(item)
        held += len(item.records)
    return blocks
