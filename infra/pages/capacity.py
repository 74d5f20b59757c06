"""docs/capacity.md: what was measured, what is assumed, how sizes are computed, and two plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from infra import capacity
from infra.capacity import MEASURED, Demand, plan
from infra.pages.markdown import GENERATED, table

RATES: Final = (50_000.0, 1_000_000.0)
_LIVES: Final = {"10 minutes": 600.0, "an hour": 3_600.0, "24 hours": 86_400.0}
_FORMULAE: Final = {
    "cores of a tier": "_cores_of",
    "processes of ingest and flow": "_processes",
    "partitions": "_partitions",
    "bandwidth": "_bandwidth",
    "brokers": "_kafka",
    "disk of Kafka": "_kafka_tb",
    "shards of Redis": "_redis",
    "nodes of ClickHouse": "_clickhouse",
    "storage a day": "_storage",
    "storage by tier": "_tiers",
}


_INTRO: Final = """# Capacity

What an installation needs, by arithmetic from figures of one machine: `clickgoose capacity --rate 50000`. **Nothing
here was run at these rates.** Figures of one broker, one shard and one node are multiplied, so what many of them cost
beyond that (skew between partitions, replicas that catch up, queries) has to fit into the headroom. Measure with
`clickgoose bench e2e` on your machines before you order any.

## Two plans
"""
_DRIVERS: Final = """## What drives the cost

- **Bytes.** Sealed events are ciphertext: neither Kafka nor the archive can compress them. Where the agent packs
  (`CLICKGOOSE_INGEST__AGENT_CODEC=deflate-raw`) it does so before it seals.
- **The raw archive** is most of what ClickHouse stores. A replay of old days reads it: a TTL of its own on that table
  keeps it for as long as anybody would replay.
- **Results in Redis**: each second of their life is memory. Merchants ask within seconds; afterwards ClickHouse has
  the result. `CLICKGOOSE_REDIS__RESULT_TTL_SECONDS` is 24 hours unless it is set, which suits small installations.
  A process speaks to one address of Redis: shards need a proxy that divides keys, or merchants divided over
  installations.
"""


def capacity_page() -> str:
    """Return the page."""
    plans = [plan(Demand(rate)) for rate in RATES]
    sizes = [(name, *values) for name, *values in _side_by_side(plans)]
    ttl = [(words, *(_shards(rate, seconds) for rate in RATES)) for words, seconds in _LIVES.items()]
    heads = ("", *(f"{rate:,.0f} events/s" for rate in RATES))
    measured = [(name, f"{one.value:,g}", one.unit, one.source) for name, one in MEASURED.items()]
    assumed = [(field.name, f"{getattr(Demand(1.0), field.name):,g}") for field in fields(Demand)[2:]]
    formulae = [(what, (getattr(capacity, name).__doc__ or "").strip()) for what, name in _FORMULAE.items()]
    notes = [f"At {rate:,.0f} events/s: {'; '.join(one['notes'])}.\n" for rate, one in zip(RATES, plans, strict=True)]
    return (
        "\n".join(
            (
                GENERATED + _INTRO,
                table(heads, sizes),
                *notes,
                _DRIVERS,
                table(("results live", *heads[1:]), ttl),
                "Processor time by tier is in the plans above: a build that halves a tier's time halves its cores.\n",
                "## What was measured\n",
                table(("figure", "value", "unit", "from"), measured),
                "## What is assumed\n",
                table(("assumption", "value"), assumed),
                "## Formulae\n",
                table(("size", "formula"), formulae),
            )
        ).rstrip("\n")
        + "\n"
    )


def rows_of(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a plan's lines: what, and how much of it."""
    wire, kafka, redis, clickhouse = found["bandwidth"], found["kafka"], found["redis"], found["clickhouse"]
    storage, cores = found["storage"], found["cores"]
    return [
        ("events into the ingest tier, Gbit/s", f"{wire['ingest_gbit']:,.1f}"),
        ("Kafka receives, with replicas, Gbit/s", f"{wire['kafka_in_gbit']:,.1f}"),
        ("Kafka sends, Gbit/s", f"{wire['kafka_out_gbit']:,.1f}"),
        ("ClickHouse receives, Gbit/s", f"{wire['clickhouse_in_gbit']:,.1f}"),
        ("ingest processes, a core each", f"{found['ingest']['processes']:,}"),
        ("Kafka brokers", f"{kafka['brokers']:,}"),
        ("  by", _by(kafka["brokers_by"])),
        ("partitions of events.raw", f"{kafka['partitions']:,}"),
        ("flow processes, a core each", f"{found['flow']['processes']:,}"),
        ("  memory, GB", f"{found['flow']['memory_gb']:,.0f}"),
        ("Redis shards", f"{redis['shards']:,}"),
        ("  by", _by(redis["shards_by"])),
        ("  memory, GB", f"{redis['memory_gb']:,.0f}"),
        ("ClickHouse nodes", f"{clickhouse['nodes']:,}"),
        ("  shards by", _by(clickhouse["shards_by"])),
        *(
            (f"ClickHouse {name}, TB a day", f"{size:,.1f}")
            for name, size in storage["clickhouse_tb_per_day"].items()
        ),
        *(
            (f"{tier} tier, {one['days']:g} days, TB of one replica", f"{one['tb']:,.0f}")
            for tier, one in storage["tiers"].items()
        ),
        ("Kafka's disks, TB with replicas", f"{storage['kafka_tb']:,.0f}"),
        ("cores at work, without headroom", f"{cores['total']:,.0f}"),
        *((f"  {tier}", f"{share:.0%}") for tier, share in cores["shares"].items()),
    ]  # fmt: skip


def _side_by_side(plans: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    columns = [rows_of(one) for one in plans]
    return [(rows[0][0].replace("  ", "· "), *(value for _, value in rows)) for rows in zip(*columns, strict=True)]


def _shards(rate: float, seconds: float) -> str:
    redis = plan(Demand(rate, result_ttl_seconds=seconds))["redis"]
    return f"{redis['shards']:,} ({redis['memory_gb'] / 1000:,.2f} TB)"


def _by(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {size:,}" for name, size in sizes.items())
