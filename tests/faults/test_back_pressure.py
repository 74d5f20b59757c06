"""Events come in faster than they are scored, or nobody scores at all: memory stays bounded, and all is caught up."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from tests.faults.harness import Case, World
from tests.faults.load import joined

Fault = Callable[[str], AbstractContextManager[Case]]
MEBIBYTE = 1 << 20
INGEST_GROWS_BY = 64 * MEBIBYTE
"""What the ingest tier may take while nobody reads: it holds nothing back but what is on its way to Kafka."""
FLOW_TAKES = 1_536 * MEBIBYTE
"""What a flow may take with a backlog before it and a slow ClickHouse behind it: about 450 MB of code and model, the
consumer's queue of 64 MiB, and the sinks' queues."""


def test_while_the_flow_is_stopped_memory_is_bounded_and_then_all_is_caught_up(world: World, fault: Fault) -> None:
    with fault("flow stopped while events come in, then a slow ClickHouse") as one:
        world.end("flow")
        before = world.memory("ingest")
        loads = [one.browse(world.form.events, part="api"), one.append(world.form.events * 4, part="raw")]
        with joined(*loads):
            pass
        assert world.memory("ingest") - before < INGEST_GROWS_BY
        world.relay.hold_seconds = 0.5
        try:
            world.start_flow()
            most = 0
            until = time.monotonic() + world.form.away_seconds
            while time.monotonic() < until:
                most = max(most, world.memory("flow"))
                time.sleep(0.1)
        finally:
            world.relay.hold_seconds = 0.0
        assert most < FLOW_TAKES
        one.settle()
