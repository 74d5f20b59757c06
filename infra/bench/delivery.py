"""delivery: offsets that follow acknowledgements, beside sinks that join their flush at the end of an epoch.

The same load goes through the same Bytewax twice. *acknowledged* is what the flow does: writers in the background, and
the flow resumes at the newest frame at or below the lowest offset that every sink acknowledged. *joined* is Bytewax's
own way to lose nothing: each sink holds everything when its ``snapshot`` returns, and the flow resumes at the last
epoch that ended. One destination is quick, as Redis is; the other takes ``insert_seconds`` for a block, as ClickHouse
does. They sleep instead of writing, so that the two ways are compared, not two stores.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import bytewax.operators as op
import numpy as np
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from flows.bind import run_bytewax
from flows.parcel import Span
from flows.progress import Progress
from flows.sinks.background import BackgroundSink
from flows.sinks.writer import Writer, WriterPolicy

_SAMPLE_SECONDS = 0.01
_SINKS = ("quick", "slow")
_KEY = "0"


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent, and what it meets."""

    seconds: float = 5.0  # of each of the four runs
    rate: float = 2_000.0  # events/s of the runs that measure latency
    batch: int = 64
    work_us: float = 50.0  # CPU an event, in the worker: what the stages cost
    quick_seconds: float = 0.001
    insert_seconds: float = 0.25
    epoch_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive offsets that were due at one moment."""

    first: int
    rows: int
    due: float

    @property
    def spans(self) -> tuple[Span, ...]:
        """Return the one span."""
        return (Span(0, self.first, self.first + self.rows),)

    @property
    def size(self) -> int:
        """Return nothing: rows are not made here."""
        return 0


@dataclass(slots=True)
class Run:
    """What is noted while a flow runs."""

    load: Load
    paced: bool
    polled: int = 0
    epoch_end: int = 0
    latencies: list[float] = field(default_factory=list)  # seconds from due to held by the quick destination
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SINKS, 0))
    again: list[int] = field(default_factory=list)  # rows that would be read again, if it were killed now
    on_epoch: Callable[[int], None] = lambda offset: None

    def write(self, sink: str, items: Sequence[Rows]) -> None:
        """Take the time that the destination takes, and note that it holds the rows."""
        time.sleep(self.load.quick_seconds if sink == "quick" else self.load.insert_seconds)
        now = time.perf_counter()
        if sink == "quick":
            self.latencies += [now - item.due for item in items]
        self.held[sink] += sum(item.rows for item in items)

    def report(self, seconds: float) -> dict[str, float]:
        """Return the figures."""
        p50, p99 = np.percentile(self.latencies, (50, 99)) * 1000
        return {
            "events_per_s": round(min(self.held.values()) / seconds, 1),
            "latency_ms_p50": round(float(p50), 2),
            "latency_ms_p99": round(float(p99), 2),
            "read_again_mean": round(float(np.mean(self.again)), 1),
            "read_again_most": max(self.again),
        }


class _Source(FixedPartitionedSource[tuple[str, Rows], None]):
    def __init__(self, run: Run) -> None:
        self._run = run

    def list_parts(self) -> list[str]:
        return [_KEY]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Reader:
        return _Reader(self._run)


class _Reader(StatefulSourcePartition[tuple[str, Rows], None]):
    """Gives a batch whenever it is asked, or, paced, whenever one is due."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._began = time.perf_counter()

    def next_batch(self) -> list[tuple[str, Rows]]:
        run, now = self._run, time.perf_counter()
        if now - self._began >= run.load.seconds:
            raise StopIteration
        due = self._began + run.polled / run.load.rate if run.paced else now
        if due > now:
            time.sleep(min(due - now, 0.001))
            return []
        rows = Rows(run.polled, run.load.batch, due)
        run.polled += rows.rows
        return [(_KEY, rows)]

    def snapshot(self) -> None:
        self._run.epoch_end = self._run.polled
        self._run.on_epoch(self._run.polled)


def _spin(work_us: float) -> Callable[[tuple[str, Rows]], tuple[str, Rows]]:
    """Return a step that computes as long as the stages would."""

    def step(item: tuple[str, Rows]) -> tuple[str, Rows]:
        ends = time.perf_counter() + item[1].rows * work_us / 1e6
        while time.perf_counter() < ends:
            pass
        return item

    return step


class _Sampled:
    """Asks a hundred times a second how many rows would be read again."""

    def __init__(self, run: Run, resume: Callable[[], int]) -> None:
        self._run, self._resume = run, resume
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(_SAMPLE_SECONDS):
            resume = self._resume()
            self._run.again.append(max(0, self._run.polled - resume))


class _ToRun:
    """One of the two destinations of an acknowledged run."""

    def __init__(self, run: Run, name: str) -> None:
        self.name = name
        self._run = run

    def write(self, parcels: Sequence[Rows]) -> None:
        """Write a block."""
        self._run.write(self.name, parcels)

    def close(self) -> None:
        """Nothing is open."""


def acknowledged(load: Load, paced: bool) -> dict[str, float]:
    """Run with background writers; offsets follow what they acknowledge."""
    run, progress, frames = Run(load, paced), Progress(_SINKS), [0]
    progress.begin(0, 0)
    run.on_epoch = frames.append

    def resume() -> int:
        """Return the newest frame of the state log at or below the watermark."""
        watermark = progress.watermark(0)
        return max(offset for offset in tuple(frames) if offset <= watermark)

    # As the flow's own policies are.
    bulk = WriterPolicy(block_rows=10_000, slow_block_rows=20_000, linger_seconds=1.0, queue_rows=40_000)
    policies = {"quick": WriterPolicy(), "slow": bulk}

    def sink(name: str) -> BackgroundSink[Rows]:
        return BackgroundSink(lambda: Writer(_ToRun(run, name), progress, policies[name]))

    flow = Dataflow("acknowledged")
    worked = op.map("work", op.input("in", flow, _Source(run)), _spin(load.work_us))
    rows = op.map("rows", worked, lambda item: item[1])
    for name in _SINKS:
        op.output(name, rows, sink(name))
    return _measured(run, flow, resume)


class _Joined(StatefulSinkPartition[Rows, None]):
    """Writes at once if it is quick, and else when the epoch ends: it holds everything when ``snapshot`` returns."""

    def __init__(self, run: Run, name: str) -> None:
        self._run, self._name = run, name
        self._waiting: list[Rows] = []

    def write_batch(self, items: list[Rows]) -> None:
        if self._name == "quick":
            self._run.write(self._name, items)
        else:
            self._waiting += items

    def snapshot(self) -> None:
        if self._waiting:
            self._run.write(self._name, self._waiting)
            self._waiting = []

    def close(self) -> None:
        self.snapshot()


class _JoinedSink(FixedPartitionedSink[Rows, None]):
    def __init__(self, run: Run, name: str) -> None:
        self._run, self._name = run, name

    def list_parts(self) -> list[str]:
        return [_KEY]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Joined:
        return _Joined(self._run, self._name)


def joined(load: Load, paced: bool) -> dict[str, float]:
    """Run with sinks that flush when Bytewax ends an epoch; a kill goes back to the last epoch that ended."""
    run, ends = Run(load, paced), [0]
    run.on_epoch = ends.append
    flow = Dataflow("joined")
    stream = op.map("work", op.input("in", flow, _Source(run)), _spin(load.work_us))
    for name in _SINKS:
        op.output(name, stream, _JoinedSink(run, name))
    return _measured(run, flow, lambda: max(end for end in tuple(ends) if end <= min(run.held.values())))


def _measured(run: Run, flow: Dataflow, resume: Callable[[], int]) -> dict[str, float]:
    began = time.perf_counter()
    with _Sampled(run, resume):
        run_bytewax(flow, timedelta(seconds=run.load.epoch_seconds))
    seconds = time.perf_counter() - began
    if set(run.held.values()) != {run.polled}:
        raise AssertionError(f"{run.polled} rows were polled, and {run.held} held")
    return run.report(seconds)


def bench_delivery(load: Load, on_run: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Return the figures of both ways, each at full speed and at the rate, and their ratios."""
    found: dict[str, Any] = {}
    for way in (acknowledged, joined):
        fast = way(load, False)
        on_run()
        steady = way(load, True)
        on_run()
        found[way.__name__] = {**steady, "events_per_s": fast["events_per_s"]}
    ours, theirs = found["acknowledged"], found["joined"]
    found["ratio"] = {name: round(theirs[name] / ours[name], 3) if ours[name] else None for name in ours}
    return found
