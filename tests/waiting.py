"""Waiting for what another thread, task or process does: bounded, and generous to a busy machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SECONDS = 20.0
PATIENCE = 6 * SECONDS
"""How long is waited for what must come about; nothing is shown by how soon it does."""
PATIENT_FLOW = {
    "CLICKGOOSE_REDIS__SHARED_TIMEOUT_MS": "30000",
    "CLICKGOOSE_FLOW__SINK_ATTEMPTS": "100",
    "CLICKGOOSE_FLOW__SINK_GIVE_UP_SECONDS": "120",
}
"""Settings of a flow whose stores are there all the time: where a busy machine is late, no row goes on without shared
counts or history, and none to the backup instead of its table."""


def eventually(true: Callable[[], object], seconds: float = PATIENCE, what: str = "it did not come about") -> None:
    """Return as soon as something holds; fail where it does not within so many seconds."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what} within {seconds:g} s"
        time.sleep(0.005)


async def soon(true: Callable[[], object], seconds: float = PATIENCE, what: str = "it did not come about") -> None:
    """Return as soon as something holds, and let the tasks of the loop run meanwhile."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"{what} within {seconds:g} s"
        await asyncio.sleep(0.005)
