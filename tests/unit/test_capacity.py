"""The calculator against arithmetic by hand, and docs/capacity.md against the calculator."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.capacity import FEATURES_DAYS, MEASURED, Demand, plan
from infra.cli import app
from infra.pages.capacity import RATES, rows_of

PAGE = Path(__file__).parents[2] / "docs" / "capacity.md"


def us(name: str) -> float:
    return MEASURED[f"{name}_us"].value


@pytest.mark.parametrize("rate", RATES)
def test_the_page_states_what_the_calculator_gives(rate: float) -> None:
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("|")]
    column = lines[0].split("|").index(f" {rate:,.0f} events/s ")
    rows = [line.split("|") for line in lines[2 : 2 + len(rows_of(plan(Demand(rate))))]]
    stated = [(cells[1].strip().replace("· ", "  "), cells[column].strip()) for cells in rows]
    assert stated == rows_of(plan(Demand(rate)))


def test_processes_follow_from_processor_time_and_headroom() -> None:
    found = plan(Demand(50_000, headroom=0.5))
    assert found["flow"]["processes"] == math.ceil(50_000 * us("flow") / 1e6 / 0.5)
    assert found["ingest"]["processes"] == math.ceil(50_000 * us("ingest") / 1e6 / 0.5)


def test_partitions_are_a_power_of_two_and_at_least_twice_the_processes() -> None:
    for rate in (10, 1_000, 50_000, 400_000):
        found = plan(Demand(rate))
        partitions, processes = found["kafka"]["partitions"], found["flow"]["processes"]
        assert partitions >= 2 * processes
        assert partitions & (partitions - 1) == 0
        assert partitions == 4 or partitions < 4 * processes


def test_bandwidth_counts_replicas_on_both_sides_of_kafka() -> None:
    wire = plan(Demand(50_000, event_bytes=10_000, replication=3))["bandwidth"]
    events, results = 4.0, 50_000 * MEASURED["scored_bytes"].value * 8 / 1e9
    assert wire["ingest_gbit"] == events
    assert wire["kafka_in_gbit"] == pytest.approx(3 * (events + results), abs=0.01)
    assert wire["kafka_out_gbit"] == pytest.approx(events + 2 * (events + results), abs=0.01)


def test_tiers_hold_the_days_between_their_ages_and_features_for_as_long_as_they_are_kept() -> None:
    found = plan(Demand(10_000, hot_days=2, warm_days=20, keep_days=400))
    size = {
        name: MEASURED[f"{name}_bytes"].value * 10_000 * 86_400 / 1e12 for name in ("events", "features", "archive")
    }
    hot, warm, cold = (found["storage"]["tiers"][tier]["tb"] for tier in ("hot", "warm", "cold"))
    assert hot == pytest.approx(2 * sum(size.values()), abs=0.05)
    assert warm == pytest.approx(18 * sum(size.values()), abs=0.05)
    kept = 380 * (size["events"] + size["archive"]) + (FEATURES_DAYS - 20) * size["features"]
    assert cold == pytest.approx(kept, abs=0.05)


def test_every_tier_grows_with_the_rate_and_redis_with_the_life_of_results() -> None:
    small, large = plan(Demand(50_000)), plan(Demand(1_000_000))
    for tier, size in (("kafka", "brokers"), ("flow", "processes"), ("redis", "shards"), ("clickhouse", "nodes")):
        assert small[tier][size] < large[tier][size]
    brief = plan(Demand(50_000, result_ttl_seconds=60))["redis"]
    assert brief["shards"] == brief["shards_by"]["cores"] < small["redis"]["shards"]


def test_a_small_installation_has_as_many_brokers_as_replicas() -> None:
    assert plan(Demand(10))["kafka"]["brokers"] == 3


def test_more_partitions_than_a_topic_may_have_are_said_aloud() -> None:
    assert any("partitions" in note for note in plan(Demand(5_000_000))["notes"])
    assert not any("partitions" in note for note in plan(Demand(50_000))["notes"])


@pytest.mark.parametrize("wrong", [{"rate": 0}, {"headroom": 1}, {"hot_days": 40}, {"average_share": 2}])
def test_numbers_that_cannot_be_meant_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        Demand(**{"rate": 1.0, **wrong})  # type: ignore[arg-type]  # all of them are numbers


def test_the_command_prints_the_plan_or_says_what_is_wrong() -> None:
    found = CliRunner().invoke(app, ["capacity", "--rate", "50000", "--json"])
    assert found.exit_code == 0
    assert json.loads(found.stdout) == plan(Demand(50_000))
    shown = CliRunner().invoke(app, ["capacity", "--rate", "1000000"])
    assert shown.exit_code == 0
    assert "Kafka brokers" in shown.stdout
    refused = CliRunner().invoke(app, ["capacity", "--rate", "-1"])
    assert refused.exit_code == 2
    assert "rate must be above 0" in refused.stderr
