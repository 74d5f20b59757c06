"""What the machine itself takes: how long cores stand still that have nothing else to do.

A virtual machine's host runs others in between, and no program on it can answer meanwhile. So a latency's tail says
little without this beside it. ``python -m infra.bench.pauses CORE SECONDS`` prints the pauses of one core, once it has
said that it is ready and was given a line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Final

import numpy as np

from infra.cores import bind_to

_LEAST_SECONDS: Final = 0.0002  # shorter ones are a timer's or another thread's turn
_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 60.0


def machine_alone(seconds: float = _SECONDS) -> dict[str, float]:
    """Return what all cores of this process lose while each only looks at the clock, for so long at the same time.

    ``lost_share``: of their time, in the mean. ``longest_ms``: the longest pause. ``p99_ms``: an event that needs every
    core once, at random moments, and nothing else, would wait longer in one of a hundred cases.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    command = [sys.executable, "-m", __name__]
    running = [
        subprocess.Popen([*command, str(core), str(seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for core in cores
    ]
    for one in running:
        assert one.stdout is not None  # noqa: S101 - a pipe, as asked for
        one.stdout.readline()  # while another starts, there is something else to do
    found: list[list[float]] = []
    for one in running:
        assert one.stdin is not None  # noqa: S101 - a pipe, as asked for
        one.stdin.write("\n")
        one.stdin.flush()
    for one in running:
        told, _ = one.communicate(timeout=seconds + _PATIENCE_SECONDS)
        found.append(json.loads(told))
    every = np.array([pause for pauses in found for pause in pauses])
    return {
        "lost_share": round(float(every.sum() / (seconds * len(found))), 4),
        "longest_ms": round(float(every.max(initial=0.0)) * 1e3, 2),
        "p99_ms": round(waits_longer(every.tolist(), seconds) * 1e3, 2),
    }


def waits_longer(pauses: Sequence[float], seconds: float, share: float = 0.01) -> float:
    """Return how long (s) such a share of random moments waits at least for the end of a pause, of all cores together.

    A moment waits longer than t where it falls into a pause more than t before its end.
    """
    longest = np.sort(np.asarray(pauses, np.float64))[::-1]
    sums = np.cumsum(longest)
    for count, sum_ in enumerate(sums.tolist(), 1):
        wait = (sum_ - share * seconds) / count
        following = longest[count] if count < len(longest) else 0.0
        if wait >= following:
            return max(wait, 0.0)
    return 0.0


def pauses_of(seconds: float) -> list[float]:
    """Return the pauses (s) of this process, found by looking at the clock for so long."""
    found: list[float] = []
    last = time.perf_counter()
    end = last + seconds
    while last < end:
        now = time.perf_counter()
        if now - last > _LEAST_SECONDS:
            found.append(now - last)
        last = now
    return found


if __name__ == "__main__":
    bind_to((int(sys.argv[1]),))
    print("ready", flush=True)  # noqa: T201 - read by machine_alone
    sys.stdin.readline()
    print(json.dumps(pauses_of(float(sys.argv[2]))))  # noqa: T201 - the same
