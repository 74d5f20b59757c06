"""Clocks that jump: the flow's may say what it likes, and one wrong ingest host spoils nothing for the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.faults.harness import Case, World
from tests.faults.load import joined

Fault = Callable[[str], AbstractContextManager[Case]]
HOUR = 3_600_000
DAY = 24 * HOUR


def test_the_flows_clock_may_jump(world: World, fault: Fault) -> None:
    with fault("the flow's clock a day ahead, then an hour behind") as one:
        for clock_ms in (DAY, -HOUR, 0):
            before = one.append(world.form.events // 2, seconds=1.5, part=f"until clock {clock_ms}")
            with joined(before):
                one.wait_for_results()
                world.fail("flow", clock_ms=clock_ms)
                after = one.append(world.form.events // 2, seconds=1.5, part=f"from clock {clock_ms}")
                with joined(after):
                    pass
            one.wait_for_scores(before, after)
        one.settle()


@pytest.mark.whole_form
def test_the_ingest_tiers_clock_may_jump(world: World, fault: Fault) -> None:
    with fault("the ingest tier's clock a day ahead, then an hour behind") as one:
        for clock_ms in (DAY, -HOUR, 0):
            world.fail("ingest", clock_ms=clock_ms)
            honest = one.browse(30, part=f"honest {clock_ms}")
            time.sleep(0.5)
            if clock_ms:
                # A browser whose clock is as wrong is believed; one whose clock is right waits until the host's is.
                with joined(one.browse(60, part=f"as wrong {clock_ms}", clock_ms=clock_ms)):
                    pass
                assert set(honest.reasons) & {"signature_stale", "no_session"}
                world.fail("ingest")
            with joined(honest):
                pass
        one.settle()
