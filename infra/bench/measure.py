"""What every benchmark reports: wall and CPU time, events, peak memory, and where it ran."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import psutil

from schemas.columns import Columns

C = TypeVar("C", bound=Columns)
_LIBRARIES = ("clickgoose", "bytewax", "numpy", "numba", "onnxruntime", "confluent-kafka")


class RowsLost(RuntimeError):
    """The benchmark lost rows: there is no rate to print."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement. ``events_per_s`` is by wall clock, ``cpu_us_per_event`` is user and system time."""

    name: str
    events: int
    events_per_s: float
    cpu_us_per_event: float
    rss_peak_mb: float
    batch: int
    details: dict[str, Any] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints."""
        return {**asdict(self), "machine": machine()}


def measured(name: str, batch: int, work: Callable[[], int]) -> Figures:
    """Run ``work``, which returns the events that it did."""
    wall, cpu = time.perf_counter(), time.process_time()
    events = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Figures(
        name=name,
        events=events,
        events_per_s=round(events / wall, 1),
        cpu_us_per_event=round(cpu / events * 1e6, 3),
        rss_peak_mb=rss_peak_mb(),
        batch=batch,
    )


def whole_batches(batch: C, size: int, most: int | None = None) -> list[C]:
    """Cut whole batches of one size, of the first ``most`` rows; ValueError where there are too few rows for one."""
    firsts = range(0, min(len(batch), most or len(batch)) - size + 1, size)
    if not firsts:
        raise ValueError(f"{len(batch)} events are too few to measure with: ask for {size} or more with --events")
    return [batch.take(np.arange(first, first + size)) for first in firsts]


def rss_peak_mb() -> float:
    """Return the peak resident memory of this process in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    return {
        "cores": psutil.cpu_count(),
        "memory_mb": psutil.virtual_memory().total // 1024**2,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _LIBRARIES},
        "commit": _commit(),
    }


def _commit() -> str | None:
    """Return the commit of the checkout, None outside of one."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            capture_output=True,
            text=True,
            timeout=5,
            cwd=Path(__file__).parent,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
