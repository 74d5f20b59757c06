"""Clocks that jump: the flow's may say what it likes, and one wrong ingest host spoils nothing for the others."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.faults.harness import Case, World
from tests.faults.load import joined

Fault = Callable[[str], AbstractContextManager[Case]]
HOUR = 3_600_000
DAY = 24 * HOUR


def test_the_flows_clock_may_jump(world: World, fault: Fault) -> None:
    with fault("the flow's clock a day ahead, then an hour behind") as one:
        load = one.append(seconds=3.0)
        with joined(load):
            for clock_ms in (DAY, -HOUR, 0):
                one.wait_for_results()
                world.fail("flow", clock_ms=clock_ms)
                one.wait_for_results(20)
        one.settle()
