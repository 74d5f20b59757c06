"""Kafka, Valkey or ClickHouse away for a while, or slow: nothing is lost, and scores go on wherever they can."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.faults.harness import Case, World
from tests.faults.load import Appending, joined

Fault = Callable[[str], AbstractContextManager[Case]]
SLOWER_MS = 1_000.0
"""By how much the 99th percentile from raw record to result may grow while a store is away or slow. A sink that held
the flow back for one connection attempt would add seconds."""


def before(one: Case) -> Appending:
    """Send a load while all is well, and wait for its results."""
    load = one.append(100, seconds=2.0, part="before")
    with joined(load):
        one.wait_for_results(90)
    return load


def test_while_kafka_is_away_the_ingest_tier_spools(world: World, fault: Fault) -> None:
    seconds = world.form.away_seconds
    with fault(f"Kafka away for {seconds:.0f} s") as one:
        load = one.browse(seconds=seconds + 3)
        with joined(load):
            time.sleep(0.5)
            with world.system.away("kafka"):
                time.sleep(seconds)
        assert load.reasons["spooled"] > load.offered / 4
        one.settle()


def test_while_valkey_is_away_scores_reach_kafka_and_clickhouse(world: World, fault: Fault) -> None:
    seconds = world.form.away_seconds
    with fault(f"Valkey away for {seconds:.0f} s") as one:
        well = before(one)
        with world.system.away("redis"):
            loads = [one.browse(60, seconds, "api"), one.append(seconds=seconds, part="raw")]
            with joined(*loads):
                pass
            one.wait_for_scores(*loads)
            one.wait_for_clickhouse(*loads)
        assert one.degraded(*loads) > 0
        account = one.settle()
        assert account.redriven["sink.redis"] > 0
        assert one.latency_ms(loads[1]) < one.latency_ms(well) + SLOWER_MS


def test_while_clickhouse_is_away_scores_keep_their_latency(world: World, fault: Fault) -> None:
    seconds = world.form.away_seconds
    with fault(f"ClickHouse away for {seconds:.0f} s") as one:
        well = before(one)
        with world.system.away("clickhouse"):
            load = one.append(seconds=seconds, part="away")
            with joined(load):
                one.wait_for_scores(load)
        account = one.settle()
        assert account.redriven["sink.clickhouse"] > 0, "no row waited in the backup: ClickHouse was not away for long"
        assert one.latency_ms(load) < one.latency_ms(well) + SLOWER_MS


@pytest.mark.whole_form
def test_a_slow_clickhouse_holds_nothing_back(world: World, fault: Fault) -> None:
    with fault("ClickHouse slow, 2 s an insert") as one:
        well = before(one)
        world.relay.hold_seconds = 1.0  # an insert has two answers: the columns, and the end
        try:
            load = one.append(seconds=world.form.away_seconds, part="slow")
            with joined(load):
                one.wait_for_scores(load)
        finally:
            world.relay.hold_seconds = 0.0
        one.settle()
        assert one.latency_ms(load) < one.latency_ms(well) + SLOWER_MS
