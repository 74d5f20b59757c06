"""How large an installation has to be: from what was measured on one machine, by arithmetic alone.

``plan(Demand(rate=50_000))`` sizes every tier. Each figure that was measured names the run it comes from; each that was
assumed says so and may be given. Formulae stand where they are computed; ``docs/capacity.md`` is made of the same code.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

DAY_SECONDS: Final = 86_400
_E2E: Final = "bench e2e, 40,000 events, 2 quiet cores, commit 9c52a71"


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its unit and where it is from."""

    value: float
    unit: str
    source: str


# What one event costs. Processor time is that of the whole process, on two cores that all parts share.
MEASURED: Final[dict[str, Figure]] = {
    "event_bytes": Figure(9_991, "bytes", "mean of the generator's full-size records, envelope included"),
    "ingest_us": Figure(41, "CPU µs/event", f"{_E2E}; 20 events a request, plain HTTP"),
    "kafka_us": Figure(60, "CPU µs/event", f"{_E2E}; one broker without replicas: append, fetch, results"),
    "flow_us": Figure(152, "CPU µs/event", f"{_E2E}; stages, consumer and all sinks' threads"),
    "redis_us": Figure(48, "CPU µs/event", f"{_E2E}; results, sessions, shared counts"),
    "clickhouse_us": Figure(72, "CPU µs/event", f"{_E2E}; inserts and merges meanwhile, no queries"),
    "flow_rss_gb": Figure(1.0, "GB/process", _E2E),
    "redis_bytes": Figure(1_129, "bytes/event", f"{_E2E}; used_memory_dataset: result, session, shared counts"),
    "scored_bytes": Figure(338, "bytes/event", f"{_E2E}; events.scored and events.alerts, zstd"),
    "events_bytes": Figure(3_054, "bytes/event", f"{_E2E}; ClickHouse events and minutes, merged"),
    "features_bytes": Figure(329, "bytes/event", f"{_E2E}; ClickHouse features, merged"),
    "archive_bytes": Figure(9_994, "bytes/event", f"{_E2E}; ClickHouse raw_archive: ciphertext does not compress"),
}
FEATURES_DAYS: Final = 120  # infra/clickhouse/migrations/features.sql
MOST_PARTITIONS: Final = 1_024  # of a topic: infra.settings.KafkaSettings


@dataclass(frozen=True, slots=True)
class Demand:
    """What is wanted, and the machines that it is to run on. Anything but the rate has a default that was assumed."""

    rate: float  # events a second at the peak hour
    event_bytes: float = MEASURED["event_bytes"].value
    average_share: float = 1.0  # the day's mean rate by the peak rate: storage follows the mean
    headroom: float = 0.3  # share of a core that is left free
    replication: int = 3  # of Kafka
    retention_hours: float = 24.0  # of events.raw and events.scored
    result_ttl_seconds: float = 3_600.0  # how long Redis keeps a result; ClickHouse has it afterwards
    clickhouse_replicas: int = 2
    hot_days: float = 3.0
    warm_days: float = 30.0  # age at which rows leave the warm tier
    keep_days: float = 365.0
    network_gbit: float = 25.0  # of a broker, of which half is used
    broker_cores: int = 16
    broker_disk_tb: float = 30.0
    redis_gb: float = 64.0  # of a shard, of which 70% is used
    clickhouse_cores: int = 32  # of a node, of which half is left to queries
    clickhouse_disk_tb: float = 60.0  # hot disk of a node, of which 80% is used

    def __post_init__(self) -> None:
        """Refuse what cannot be meant (ValueError names the first)."""
        for field in fields(self):
            if getattr(self, field.name) <= 0:
                raise ValueError(f"{field.name} must be above 0")
        if not self.headroom < 1 or not self.average_share <= 1:
            raise ValueError("headroom must be below 1, average_share at most 1")
        if not self.hot_days <= self.warm_days <= self.keep_days:
            raise ValueError("days must grow from hot_days to warm_days to keep_days")


def plan(demand: Demand) -> dict[str, Any]:
    """Return the sizes of every tier, the bandwidth, the storage and what drives the cost."""
    kafka, redis = _kafka(demand), _redis(demand)
    ingest, flow = _processes(demand, "ingest_us"), _processes(demand, "flow_us")
    clickhouse = _clickhouse(demand)
    partitions = _partitions(flow)
    found = {
        "rate": demand.rate,
        "bandwidth": _bandwidth(demand),
        "ingest": {"processes": ingest},
        "kafka": kafka | {"partitions": partitions},
        "flow": {"processes": flow, "memory_gb": round(flow * MEASURED["flow_rss_gb"].value, 1)},
        "redis": redis,
        "clickhouse": clickhouse,
        "storage": _storage(demand),
        "cores": _cores(demand),
        "demand": asdict(demand),
    }
    return found | {"notes": _notes(demand, flow, redis)}


def _cores_of(demand: Demand, name: str) -> float:
    """cores = rate x CPU µs / 10^6"""
    return demand.rate * MEASURED[name].value / 1e6


def _processes(demand: Demand, name: str) -> int:
    """processes = cores / (1 - headroom), rounded up: each has one core"""
    return math.ceil(_cores_of(demand, name) / (1 - demand.headroom))


def _partitions(processes: int) -> int:
    """partitions = the power of two from twice the processes on, so that processes may double; at least 4"""
    return max(4, 1 << max(0, 2 * processes - 1).bit_length())


def _bandwidth(demand: Demand) -> dict[str, float]:
    """Gbit/s = rate x bytes x 8 / 10^9; Kafka receives all, sends it to its replicas and to the flow"""
    events = demand.rate * demand.event_bytes * 8 / 1e9
    results = demand.rate * MEASURED["scored_bytes"].value * 8 / 1e9
    replicas = (events + results) * (demand.replication - 1)
    return {
        "ingest_gbit": round(events, 2),
        "kafka_in_gbit": round(events + results + replicas, 2),
        "kafka_out_gbit": round(events + replicas, 2),
        "clickhouse_in_gbit": round((events + results) * demand.clickhouse_replicas, 2),
    }


def _kafka(demand: Demand) -> dict[str, Any]:
    """brokers = the most of network in or out / half a card, cores, disk / 80%, and the replicas"""
    bandwidth, disk = _bandwidth(demand), _kafka_tb(demand)
    wire = max(bandwidth["kafka_in_gbit"], bandwidth["kafka_out_gbit"])
    # Replicas are appended as well, by fetches of their own: counted as if each cost what the event itself costs.
    cores = _cores_of(demand, "kafka_us") * demand.replication / (1 - demand.headroom)
    by = {
        "network": math.ceil(wire / (demand.network_gbit / 2)),
        "cores": math.ceil(cores / demand.broker_cores),
        "disk": math.ceil(disk / (0.8 * demand.broker_disk_tb)),
        "replicas": demand.replication,
    }
    return {"brokers": max(by.values()), "brokers_by": by, "disk_tb": round(disk, 1)}


def _kafka_tb(demand: Demand) -> float:
    """TB = mean rate x (event + result) x retention x replication / 10^12"""
    size = demand.event_bytes + MEASURED["scored_bytes"].value
    seconds = demand.retention_hours * 3_600
    return demand.rate * demand.average_share * size * seconds * demand.replication / 1e12


def _redis(demand: Demand) -> dict[str, Any]:
    """shards = the most of cores / (1 - headroom), one thread a shard, and memory / 70% of a shard"""
    held = demand.rate * demand.average_share * demand.result_ttl_seconds * MEASURED["redis_bytes"].value / 1e9
    by = {
        "cores": _processes(demand, "redis_us"),
        "memory": math.ceil(held / (0.7 * demand.redis_gb)),
    }
    return {"shards": max(by.values()), "shards_by": by, "memory_gb": round(held, 1)}


def _clickhouse(demand: Demand) -> dict[str, Any]:
    """nodes = replicas x the most of cores / half a node's, and the hot tier / 80% of a node's disk"""
    cores = _cores_of(demand, "clickhouse_us") / (demand.clickhouse_cores / 2)
    hot = _tiers(demand)["hot"]["tb"] / (0.8 * demand.clickhouse_disk_tb)
    by = {"cores": math.ceil(cores), "hot_disk": math.ceil(hot)}
    shards = max(by.values())
    return {"shards": shards, "shards_by": by, "replicas": demand.clickhouse_replicas,
            "nodes": shards * demand.clickhouse_replicas}  # fmt: skip


def _storage(demand: Demand) -> dict[str, Any]:
    """TB a day = mean rate x bytes x 86,400 / 10^12, of one replica"""
    per_day = {name: _tb_a_day(demand, name) for name in ("events_bytes", "features_bytes", "archive_bytes")}
    names = {"events_bytes": "events", "features_bytes": "features", "archive_bytes": "raw_archive"}
    return {
        "clickhouse_tb_per_day": {names[name]: round(size, 2) for name, size in per_day.items()},
        "tiers": _tiers(demand),
        "kafka_tb": round(_kafka_tb(demand), 1),
    }


def _tb_a_day(demand: Demand, name: str) -> float:
    size = MEASURED[name].value
    if name == "archive_bytes":  # it holds the record as received
        size += demand.event_bytes - MEASURED["event_bytes"].value
    return demand.rate * demand.average_share * size * DAY_SECONDS / 1e12


def _tiers(demand: Demand) -> dict[str, dict[str, float]]:
    """TB of a tier = the days in it x TB a day, of one replica; features are kept for 120 days at most"""
    kept = {"events_bytes": demand.keep_days, "archive_bytes": demand.keep_days}
    kept["features_bytes"] = min(FEATURES_DAYS, demand.keep_days)
    ages = {"hot": (0.0, demand.hot_days), "warm": (demand.hot_days, demand.warm_days)}
    ages["cold"] = (demand.warm_days, demand.keep_days)
    found = {}
    for tier, (first, last) in ages.items():
        held = sum(_tb_a_day(demand, name) * max(0.0, min(last, most) - first) for name, most in kept.items())
        found[tier] = {"days": last - first, "tb": round(held, 1)}
    return found


def _cores(demand: Demand) -> dict[str, Any]:
    """Cores at the peak, without headroom, and each tier's share: what a faster build would save."""
    spent = {name.removesuffix("_us"): _cores_of(demand, name) for name in MEASURED if name.endswith("_us")}
    total = sum(spent.values())
    shares = {name: round(cores / total, 3) for name, cores in spent.items()}
    return {"total": round(total, 1), "by_tier": {n: round(c, 1) for n, c in spent.items()}, "shares": shares}


def _notes(demand: Demand, flow: int, redis: dict[str, Any]) -> list[str]:
    """Say what should be looked at before anybody orders machines."""
    found = []
    if _partitions(flow) > MOST_PARTITIONS:
        found.append(
            f"{_partitions(flow)} partitions are more than a topic may have here ({MOST_PARTITIONS}): divide merchants "
            "over several installations"
        )
    if redis["shards_by"]["memory"] > redis["shards_by"]["cores"]:
        found.append("Redis is sized by memory: a shorter CLICKGOOSE_REDIS__RESULT_TTL_SECONDS saves shards")
    archive = _tb_a_day(demand, "archive_bytes")
    rest = _tb_a_day(demand, "events_bytes") + _tb_a_day(demand, "features_bytes")
    if archive > rest:
        found.append(f"the raw archive is {archive / (archive + rest):.0%} of what ClickHouse stores")
    return found
