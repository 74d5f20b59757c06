"""A full disk under the spool while Kafka is away: no promise is made that is not kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.faults.harness import SECONDS, Case, World
from tests.faults.load import joined
from tests.faults.small_disk import SmallDisk

Fault = Callable[[str], AbstractContextManager[Case]]
MEBIBYTE = 1 << 20


@pytest.mark.whole_form
def test_a_full_spool_promises_nothing_and_loses_nothing(world: World, fault: Fault) -> None:
    disk = SmallDisk(world, "ingest", 2 * MEBIBYTE, world.folder / "spool")
    world.end("ingest")
    bound = {"CLICKGOOSE_INGEST__SPOOL_MAX_BYTES": str(4 * MEBIBYTE)}
    world.start_ingest(wrap=disk.wrap, words=("--spool", str(disk.folder / "spool")), **bound)
    disk.limit()
    with fault("disk full under the spool, Kafka away") as one:
        with world.system.away("kafka"):
            load = one.browse(150)
            until = time.monotonic() + SECONDS
            while "spool_unavailable" not in load.reasons:
                assert time.monotonic() < until, f"the disk did not become full: {load.reasons}"
                time.sleep(0.05)
        with joined(load):
            pass
        assert load.reasons["spooled"] > 0
        one.settle()
        assert "The spool cannot be written" in one.said_by("ingest")
    world.end("ingest")
    world.start_ingest()
