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
OUTAGES = 3


def keeps_latency(one: Case, outage: Callable[[str], Appending]) -> None:
    """Bring an outage about, and assert that a load went through it about as fast as one before it.

    What holds a flow back does so in each outage; another program that took the machine meanwhile does not, so it is
    brought about anew, at most three times, from one that goes well to its end.
    """
    slower = []
    for turn in range(OUTAGES):
        well = before(one, f"before {turn}")
        slower.append(one.latency_ms(outage(str(turn))) - one.latency_ms(well))
        if slower[-1] < SLOWER_MS:
            return
    raise AssertionError(f"the 99th percentile grew by {slower} ms")


def before(one: Case, part: str) -> Appending:
    """Send a load while all is well, and wait for its results."""
    load = one.append(100, seconds=2.0, part=part)
    with joined(load):
        one.wait_for_scores(load)
    return load


def test_while_kafka_is_away_the_ingest_tier_spools(world: World, fault: Fault) -> None:
    seconds, events = world.form.away_seconds, world.form.events // 2
    with fault(f"Kafka away for {seconds:.0f} s") as one:
        with joined(one.browse(events, seconds + 3, "as it goes and comes")):
            time.sleep(0.5)
            with world.system.away("kafka"):
                load = one.browse(events, seconds, "while it is away")
                with joined(load):
                    pass
        assert load.reasons == {"spooled": load.offered}
        one.settle()


def test_while_valkey_is_away_scores_reach_kafka_and_clickhouse(world: World, fault: Fault) -> None:
    seconds = world.form.away_seconds
    with fault(f"Valkey away for {seconds:.0f} s") as one:

        def outage(part: str) -> Appending:
            with world.system.away("redis"):
                api, raw = one.browse(60, seconds, f"api {part}"), one.append(seconds=seconds, part=f"raw {part}")
                with joined(api, raw):
                    pass
                one.wait_for_scores(api, raw)
                one.wait_for_clickhouse(api, raw)
            assert one.degraded(api, raw) > 0
            return raw

        keeps_latency(one, outage)
        account = one.settle()
        assert account.redriven["sink.redis"] > 0


def test_while_clickhouse_is_away_scores_keep_their_latency(world: World, fault: Fault) -> None:
    seconds = world.form.away_seconds
    with fault(f"ClickHouse away for {seconds:.0f} s") as one:

        def outage(part: str) -> Appending:
            with world.system.away("clickhouse"):
                load = one.append(seconds=seconds, part=f"away {part}")
                with joined(load):
                    one.wait_for_scores(load)
            return load

        keeps_latency(one, outage)
        account = one.settle()
        assert account.redriven["sink.clickhouse"] > 0, "no row waited in the backup: ClickHouse was not away for long"


@pytest.mark.whole_form
def test_a_slow_clickhouse_holds_nothing_back(world: World, fault: Fault) -> None:
    with fault("ClickHouse slow, 2 s an insert") as one:

        def outage(part: str) -> Appending:
            world.relay.hold_seconds = 1.0  # an insert has two answers: the columns, and the end
            try:
                load = one.append(seconds=world.form.away_seconds, part=f"slow {part}")
                with joined(load):
                    one.wait_for_scores(load)
            finally:
                world.relay.hold_seconds = 0.0
            return load

        keeps_latency(one, outage)
        one.settle()
