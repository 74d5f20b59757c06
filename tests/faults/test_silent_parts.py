"""Valkey or the ClickHouse gateway stopped in its tracks: connections are accepted, and nothing is ever answered."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.faults.harness import Case, World
from tests.faults.load import joined
from tests.faults.test_parts_away import SLOWER_MS, before

Fault = Callable[[str], AbstractContextManager[Case]]


@contextmanager
def silent(world: World, name: str) -> Iterator[None]:
    """Stop a part with SIGSTOP, and let it go on."""
    pid = world.child(name).pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.whole_form
def test_while_clickhouse_is_silent_scores_keep_their_latency_and_its_rows_come_later(
    world: World, fault: Fault
) -> None:
    with fault("ClickHouse silent until its sink gives up") as one:
        well = before(one)
        with silent(world, "clickhouse"):
            load = one.append(seconds=world.form.away_seconds, part="silent")
            with joined(load):
                one.wait_for_scores(load)
            one.wait_until_said("flow", "sink clickhouse: gave up")  # and its rows go to the backup
        account = one.settle()
        assert account.redriven["sink.clickhouse"] > 0
        assert account.waiting == {}
        assert one.latency_ms(load) < one.latency_ms(well) + SLOWER_MS


@pytest.mark.whole_form
def test_while_valkey_is_silent_scores_go_on_and_results_come_later(world: World, fault: Fault) -> None:
    with fault("Valkey silent until its sink gives up") as one:
        well = before(one)
        with silent(world, "redis"):
            load = one.append(seconds=world.form.away_seconds, part="silent")
            with joined(load):
                one.wait_for_scores(load)
            one.wait_until_said("flow", "sink redis: gave up")
        account = one.settle()
        assert account.redriven["sink.redis"] > 0
        assert one.latency_ms(load) < one.latency_ms(well) + SLOWER_MS
