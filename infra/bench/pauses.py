"""What the machine itself takes: how long cores stand still that have nothing else to do.

A virtual machine's host runs others in between, and no program on it can answer meanwhile. So a latency's tail says
little without this beside it.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Final

import numpy as np

from infra.bench.measure import RowsLost
from infra.cores import bind_to

_LEAST_SECONDS: Final = 0.0002  # shorter ones are a timer's or another thread's turn
_SECONDS: Final = 5.0


def machine_alone(seconds: float = _SECONDS) -> dict[str, float]:
    """Return what all cores of this process lose while each only looks at the clock, for so long at the same time.

    ``lost_share``: of their time, in the mean. ``longest_ms``: the longest pause. ``p99_ms``: an event that needs every
    core once, at random moments, and nothing else, would wait longer in one of a hundred cases. RowsLost where a
    process that looks at the clock ended before its time.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    try:
        found = _pauses_of(cores, seconds)
    except (EOFError, BrokenPipeError):
        raise RowsLost("a process that looks at the clock of an idle core ended before its time") from None
    every = np.array([pause for pauses in found for pause in pauses])
    return {
        "lost_share": round(float(every.sum() / (seconds * len(found))), 4),
        "longest_ms": round(float(every.max(initial=0.0)) * 1e3, 2),
        "p99_ms": round(waits_longer(every.tolist(), seconds) * 1e3, 2),
    }


def _pauses_of(cores: Sequence[int], seconds: float) -> list[list[float]]:
    """Return the pauses (s) of each core. All begin once all are ready: while one starts, there is something to do."""
    spawn, pipes = multiprocessing.get_context("spawn"), list[Connection]()
    for core in cores:
        near, far = spawn.Pipe()
        spawn.Process(target=_look, args=(far, core, seconds), daemon=True).start()
        far.close()
        pipes.append(near)
    for pipe in pipes:
        pipe.recv()
    for pipe in pipes:
        pipe.send(None)
    return [pipe.recv() for pipe in pipes]


def _look(pipe: Connection, core: int, seconds: float) -> None:
    bind_to((core,))
    pipe.send(None)
    pipe.recv()
    pipe.send(pauses_of(seconds))


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
