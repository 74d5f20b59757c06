"""pipeline and stage: the real stages, in the real dataflow or one alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import takewhile
from pathlib import Path
from typing import Any

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from prometheus_client import CollectorRegistry

from flows.bind import run_bytewax
from flows.checkpoints import Checkpoints
from flows.metrics import FlowMetrics
from flows.parcel import Parcel
from flows.pipeline import Pipeline
from flows.progress import Progress
from flows.run_stage import Monitor, run_session, run_stage
from flows.score_events import Parts, build_flow
from flows.sinks.background import CountingSink, Counts
from flows.sinks.encoded import EncodedParcel
from infra.bench.events import parcels
from infra.bench.measure import Figures, RowsLost, measured
from schemas.batches import Decided, RawBatch

Encode = Callable[[Parcel[Decided]], EncodedParcel]


class _Recorded(FixedPartitionedSource[Parcel[RawBatch], None]):
    """Gives parcels that are there already, one a poll."""

    def __init__(self, ready: Sequence[Parcel[RawBatch]], epoch: Callable[[], None]) -> None:
        self._ready = ready
        self._epoch = epoch

    def list_parts(self) -> list[str]:
        return ["recorded"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Reader:
        return _Reader(self._ready, self._epoch)


class _Reader(StatefulSourcePartition[Parcel[RawBatch], None]):
    def __init__(self, ready: Sequence[Parcel[RawBatch]], epoch: Callable[[], None]) -> None:
        self._ready = iter(ready)
        self._epoch = epoch

    def next_batch(self) -> list[Parcel[RawBatch]]:
        return [next(self._ready)]

    def snapshot(self) -> None:
        self._epoch()


def _monitor() -> Monitor:
    return Monitor(time.time_ns, FlowMetrics(CollectorRegistry()), bug_share_limit=1e-9)


def bench_pipeline(values: Sequence[bytes], pipeline: Pipeline, encode: Encode, batch: int, state: Path) -> Figures:
    """Run the whole dataflow with the state log and a counting sink; RowsLost where the account does not balance."""
    _warm_up(values, pipeline, encode, batch)
    monitor, counts = _monitor(), Counts()
    progress = Progress(("counting",))
    checkpoints = Checkpoints(state, pipeline.keyed, progress, monitor)
    checkpoints.open({0: 0})
    source = _Recorded(list(parcels(values, batch)), checkpoints.snapshot)
    sink: dict[str, Any] = {"counting": CountingSink(counts, "counting", progress)}
    flow = build_flow(Parts(source, pipeline, checkpoints, encode, sink, monitor))

    def work() -> int:
        run_bytewax(flow, timedelta(seconds=1))
        return counts.rows_in

    figures = measured("pipeline", batch, work)
    checkpoints.finish()
    if counts.rows_in != len(values) or counts.scored + counts.dead + counts.dropped != counts.rows_in:
        raise RowsLost(f"{len(values)} events in, {counts.scored} scored, {counts.dead} dead, {counts.dropped} dropped")
    figures.details.update(scored=counts.scored, dead=counts.dead, dropped=counts.dropped, stages=_shares(monitor))
    return figures


def _shares(monitor: Monitor) -> dict[str, float]:
    """Return the wall microseconds an event of each stage."""
    spent: dict[str, float] = {}
    rows: dict[str, float] = {}
    for metric in (monitor.metrics.stage_seconds, monitor.metrics.stage_rows):
        for family in metric.collect():
            for sample in family.samples:
                stage = sample.labels.get("stage", "")
                if sample.name.endswith("_duration_seconds_sum"):
                    spent[stage] = sample.value
                elif sample.name.endswith("_rows_total"):
                    rows[stage] = rows.get(stage, 0.0) + sample.value
    return {stage: round(seconds / rows[stage] * 1e6, 3) for stage, seconds in spent.items() if rows.get(stage)}


def _warm_up(values: Sequence[bytes], pipeline: Pipeline, encode: Encode, batch: int) -> None:
    session, monitor = pipeline.keyed.open([]), _monitor()
    for parcel in parcels(values[: 4 * batch], batch):
        encode(pipeline.run(parcel, session, monitor))


def bench_stage(name: str, values: Sequence[bytes], pipeline: Pipeline, batch: int) -> Figures:
    """Run the stages before it untimed, then the stage alone on every batch."""
    monitor = _monitor()
    ready = parcels_before(name, values, pipeline, batch)
    stage = next(stage for stage in pipeline if stage.name == name)
    warm = _runner(stage, pipeline, monitor)
    for parcel in ready[:4]:
        warm(parcel)
    run = _runner(stage, pipeline, monitor)
    return measured(f"stage {name}", batch, lambda: sum(len(run(parcel).batch) for parcel in ready))


def parcels_before(name: str, values: Sequence[bytes], pipeline: Pipeline, batch: int) -> list[Parcel[Any]]:
    """Return what the stages before a stage make of these records."""
    monitor = _monitor()
    ready: list[Parcel[Any]] = list(parcels(values, batch))
    for stage in takewhile(lambda stage: stage.name != name, pipeline):
        run = _runner(stage, pipeline, monitor)
        ready = [run(parcel) for parcel in ready]
    return ready


def _runner(stage: Any, pipeline: Pipeline, monitor: Monitor) -> Callable[[Parcel[Any]], Parcel[Any]]:
    if stage in (pipeline.velocity, pipeline.recognize, pipeline.decide):
        session = stage.open([])
        return lambda parcel: run_session(stage.name, session, parcel, monitor)
    return lambda parcel: run_stage(stage, parcel, monitor)
