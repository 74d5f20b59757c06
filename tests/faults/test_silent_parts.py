"""Valkey or the ClickHouse gateway stopped in its tracks: connections are accepted, and nothing is ever answered."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from infra.settings import RedisSettings
from tests.faults.harness import Case, World
from tests.faults.load import Appending, joined
from tests.faults.test_parts_away import keeps_latency

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


def silence(one: Case, name: str, sink: str) -> Callable[[str], Appending]:
    """Return what silences a part until its sink has given up, and sends a load meanwhile."""

    def outage(part: str) -> Appending:
        with silent(one.world, name):
            load = one.append(seconds=one.world.form.away_seconds, part=f"silent {part}")
            with joined(load):
                one.wait_for_scores(load)
            one.wait_until_said("flow", f"sink {sink}: gave up")  # and its rows go to the backup
        return load

    return outage


@pytest.mark.whole_form
def test_while_clickhouse_is_silent_scores_keep_their_latency_and_its_rows_come_later(
    world: World, fault: Fault
) -> None:
    with fault("ClickHouse silent until its sink gives up") as one:
        keeps_latency(one, silence(one, "clickhouse", "clickhouse"))
        account = one.settle()
        assert account.redriven["sink.clickhouse"] > 0
        assert account.waiting == {}


@pytest.mark.whole_form
def test_while_valkey_is_silent_scores_go_on_and_results_come_later(world: World, fault: Fault) -> None:
    world.end("flow")
    world.start_flow(CLICKGOOSE_REDIS__SHARED_TIMEOUT_MS=str(RedisSettings().shared_timeout_ms))  # as users have it
    with fault("Valkey silent until its sink gives up") as one:
        keeps_latency(one, silence(one, "redis", "redis"))
        account = one.settle()
        assert account.redriven["sink.redis"] > 0
    world.end("flow")
    world.start_flow()
