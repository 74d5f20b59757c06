"""Waiting for what another thread, task or process does: bounded, and generous to a busy machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

SECONDS = 20.0
PATIENCE = 6 * SECONDS
"""How long is waited for what must come about; nothing is shown by how soon it does."""


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
