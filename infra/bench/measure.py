"""What every benchmark reports: wall and CPU time, events, batch sizes, peak memory, and where it ran.

All benchmarks of ``clickgoose bench`` make ``Figures`` (or a dictionary of the same names): ``measured`` for work of
this process, ``combined`` for processes that worked at the same time. ``RowsLost`` where rows were lost: no rate is
stated. ``infra.cli.bench_parts`` prints them.
"""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import psutil

from schemas.columns import Columns

C = TypeVar("C", bound=Columns)
_LIBRARIES = ("clickgoose", "bytewax", "numpy", "numba", "onnxruntime", "confluent-kafka")
_CPU_INFO: Final = Path("/proc/cpuinfo")


class RowsLost(RuntimeError):
    """The benchmark lost rows: there is no rate to print."""


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """What one process did while it was measured."""

    name: str
    events: int  # that this process took part in: all of them for a broker, its own for one of several flows
    cpu_seconds: float  # user and system
    rss_peak_mb: float

    def report(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints."""
        return {
            "name": self.name,
            "events": self.events,
            "cpu_us_per_event": round(self.cpu_seconds / max(self.events, 1) * 1e6, 3),
            "rss_peak_mb": self.rss_peak_mb,
        }


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement. ``events_per_s`` is by wall clock, ``cpu_us_per_event`` is user and system time of all."""

    name: str
    events: int
    events_per_s: float
    cpu_us_per_event: float
    rss_peak_mb: float  # of all processes together
    batch: int
    seconds: float = 0.0
    processes: Sequence[ProcessFigures] = ()
    cpu_us_per_event_of_stages: Mapping[str, float] = field(default_factory=dict)
    batch_sizes: Mapping[str, int] = field(default_factory=dict)  # as batch_sizes() gives
    details: dict[str, Any] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """Return the object that ``--json`` prints."""
        return asdict(self) | {"processes": [one.report() for one in self.processes], "machine": machine()}


def measured(name: str, batch: int, work: Callable[[], int]) -> Figures:
    """Run ``work``, which returns the events that it did."""
    wall, cpu = time.perf_counter(), time.process_time()
    events = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return combined(name, batch, events, wall, [ProcessFigures(name, events, cpu, rss_peak_mb())])


def combined(name: str, batch: int, events: int, seconds: float, processes: Sequence[ProcessFigures]) -> Figures:
    """Return the figures of processes that did ``events`` between them in so many seconds of wall time."""
    if not events:
        raise RowsLost(f"{name}: no event came out")
    return Figures(
        name=name,
        events=events,
        events_per_s=round(events / seconds, 1),
        cpu_us_per_event=round(sum(one.cpu_seconds for one in processes) / events * 1e6, 3),
        rss_peak_mb=round(sum(one.rss_peak_mb for one in processes), 1),
        batch=batch,
        seconds=round(seconds, 3),
        processes=tuple(processes),
    )


def batch_sizes(rows: Iterable[int]) -> dict[str, int]:
    """Return how many batches had so many rows, in classes that double: ``{"33 to 64": 12, "65 to 128": 3}``."""
    counts = Counter(max(0, (size - 1).bit_length()) for size in rows if size > 0)
    return {_class_name(power): counts[power] for power in sorted(counts)}


def added_sizes(several: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Return the sum of histograms as ``batch_sizes`` gives."""
    counts: Counter[str] = Counter()
    for one in several:
        counts.update(one)
    return {name: counts[name] for name in sorted(counts, key=lambda name: int(name.split()[-1]))}


def _class_name(power: int) -> str:
    most = 1 << power
    least = (most >> 1) + 1
    return f"{most}" if least >= most else f"{least} to {most}"


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
        "cpu": _cpu(),
        "cores": psutil.cpu_count(),
        "load": round(psutil.getloadavg()[0], 1),
        "memory_mb": psutil.virtual_memory().total // 1024**2,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _LIBRARIES},
        "commit": _commit(),
    }


def _cpu() -> str:
    """Return the processor's name."""
    if _CPU_INFO.exists():
        named = [line for line in _CPU_INFO.read_text().splitlines() if line.startswith("model name")]
        if named:
            return named[0].partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """Return the commit of the checkout, with ``+`` where files of it were changed; None outside of one."""
    head = _git("rev-parse", "--short", "HEAD")
    return head and head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*words: str) -> str | None:
    try:
        found = subprocess.run(
            ["git", *words], capture_output=True, text=True, timeout=5, cwd=Path(__file__).parent, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() or None
