"""How the flow's state is laid out over processes."""

from __future__ import annotations

import time
from pathlib import Path

from infra.flow_rebalance import RebalanceFailed, rebalance, wanted

_SECONDS = 180.0  # only where a machine is very busy


def lay_out(root: Path, processes: int) -> list[int]:
    """Move the state as ``clickgoose flow rebalance`` does; return the partitions that moved.

    The processes of a flow whose first one was killed end by themselves, within a moment that is waited for.
    """
    until = time.monotonic() + _SECONDS
    while True:
        try:
            return [move.partition for move in rebalance(wanted(processes, [root], [root])).moves]
        except RebalanceFailed:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
