"""kill -9, and SIGTERM, of every process while events come in: the account balances and every count is exact."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.faults.harness import Case, World
from tests.faults.load import joined

Fault = Callable[[str], AbstractContextManager[Case]]


@pytest.mark.timeout(600)
def test_the_flow_may_be_killed_at_any_moment(world: World, fault: Fault) -> None:
    kills = world.form.kills
    with fault(f"kill -9 of the flow, {kills} times") as one:
        load = one.append(kills * 120, seconds=kills * 2.5)
        for kill in range(kills):
            if kill % 3 != 1:  # else within the first epoch, or before anything was read
                one.wait_for_results()
            time.sleep(one.random.uniform(0.0, 1.5))
            world.kill("flow")
            world.start_flow()
        with joined(load):
            pass
        account = one.settle()
        assert account.scored == kills * 120
        assert account.scored_again > 0, "no event was replayed: the kills came too early or too late to prove anything"


def test_the_ingest_tier_may_be_killed_under_load(world: World, fault: Fault) -> None:
    kills = world.form.kills_of_a_part
    with fault(f"kill -9 of the ingest tier, {kills} times") as one:
        load = one.browse(seconds=kills * 4.0)
        for _ in range(kills):
            time.sleep(one.random.uniform(0.5, 1.5))
            world.kill("ingest")
            world.start_ingest()
        with joined(load):
            pass
        assert load.reasons["no_answer"] > 0
        one.settle()


@pytest.mark.parametrize(
    ("part", "name"),
    [
        pytest.param("redis", "Valkey", marks=pytest.mark.whole_form),
        pytest.param("clickhouse", "the ClickHouse gateway", marks=pytest.mark.whole_form),
        ("kafka", "Kafka"),
    ],
)
def test_a_part_may_be_killed_under_load(world: World, fault: Fault, part: str, name: str) -> None:
    kills = world.form.kills_of_a_part
    with fault(f"kill -9 of {name}, {kills} times") as one:
        seconds = kills * 4.0
        loads = [one.browse(world.form.events // 2, seconds, "api"), one.append(world.form.events // 2, seconds, "raw")]
        with joined(*loads):
            for _ in range(kills):
                time.sleep(one.random.uniform(0.5, 1.5))
                before = world.child(part).pid
                world.system.kill_part(part)
                world.system.wait_for_part(part, before)
        one.settle()


def test_sigterm_under_load_drains(world: World, fault: Fault) -> None:
    with fault("SIGTERM of flow and ingest tier") as one:
        load = one.browse(seconds=4.0)
        with joined(load):
            time.sleep(1.0)
            world.end("flow")
            world.start_flow()
            world.end("ingest")
            world.start_ingest()
        account = one.settle()
        assert account.scored_again == 0, "what was drained was scored again"
        assert "flow drained" in one.said_by("flow")
