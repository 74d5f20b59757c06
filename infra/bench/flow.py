"""pipeline and stage: the real stages, in the real dataflow or one alone."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
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
from infra.bench.feed import Feed
from infra.bench.processes import Done
from schemas.batches import Decided, RawBatch

Encode = Callable[[Parcel[Decided]], EncodedParcel]
ENCODE = "encode"
WARM_EVENTS = 2_048


class _Recorded(FixedPartitionedSource[Parcel[RawBatch], None]):
    """Gives parcels that are there already, one a poll."""

    def __init__(self, ready: Iterator[Parcel[RawBatch]], epoch: Callable[[], None]) -> None:
        self._ready = ready
        self._epoch = epoch

    def list_parts(self) -> list[str]:
        return ["recorded"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> _Reader:
        return _Reader(self._ready, self._epoch)


class _Reader(StatefulSourcePartition[Parcel[RawBatch], None]):
    def __init__(self, ready: Iterator[Parcel[RawBatch]], epoch: Callable[[], None]) -> None:
        self._ready = ready
        self._epoch = epoch

    def next_batch(self) -> list[Parcel[RawBatch]]:
        return [next(self._ready)]

    def snapshot(self) -> None:
        self._epoch()


def cpu_monitor() -> Monitor:
    """Return a monitor whose clock is the CPU time of the thread, set to now: stages are measured by what they use."""
    now = time.time_ns() - time.thread_time_ns()
    return Monitor(lambda: now + time.thread_time_ns(), FlowMetrics(CollectorRegistry()), bug_share_limit=1e-9)


class PipelineWork:
    """The whole dataflow with its state log, results encoded, and a counting sink."""

    def __init__(self, pipeline: Pipeline, encode: Encode, batch: int, partition: int = 0) -> None:
        self._pipeline = pipeline
        self._encode = encode
        self._batch = batch
        self._partition = partition

    def warm_up(self, records: Sequence[bytes]) -> None:
        """Run some through the stages, with a state that is thrown away."""
        session, monitor = self._pipeline.keyed.open([]), cpu_monitor()
        for parcel in parcels(records[: max(WARM_EVENTS, 4 * self._batch)], self._batch, self._partition):
            self._encode(self._pipeline.run(parcel, session, monitor))

    def __call__(self, feed: Feed) -> Done:
        """Run the dataflow until the feed has ended."""
        monitor, counts, extra = cpu_monitor(), Counts(), _Timed()
        progress = Progress(("counting",))
        with tempfile.TemporaryDirectory(prefix="clickgoose-bench-") as state:
            checkpoints = Checkpoints(Path(state), self._pipeline.keyed, progress, monitor)
            checkpoints.open({self._partition: 0})
            source = _Recorded(feed.batches(self._parcel), extra.timed("snapshot", checkpoints.snapshot))
            sink: dict[str, Any] = {"counting": CountingSink(counts, "counting", progress)}
            encode = extra.timed(ENCODE, self._encode)
            run_bytewax(
                build_flow(Parts(source, self._pipeline, checkpoints, encode, sink, monitor)), timedelta(seconds=1)
            )
            feed.watch.go()  # the last epoch's frame is part of the work
            checkpoints.finish()
            feed.watch.stop()
        account = {"scored": counts.scored, "dead": counts.dead, "dropped": counts.dropped}
        return Done({**_spent(monitor), **extra.seconds}, account, {"result_bytes": _mean(counts)})

    def _parcel(self, records: Sequence[bytes], first: int) -> Parcel[RawBatch]:
        (parcel,) = parcels(records, max(1, len(records)), self._partition, first)
        return parcel


class StageWork:
    """One stage alone: those before it run while the stopwatch stands."""

    def __init__(self, name: str, pipeline: Pipeline, encode: Encode, batch: int) -> None:
        self._name = name
        self._pipeline = pipeline
        self._encode = encode
        self._batch = batch

    def warm_up(self, records: Sequence[bytes]) -> None:
        """Run some, with a state that is thrown away."""
        before, run, _ = self._opened()
        for parcel in parcels(records[: max(WARM_EVENTS, 4 * self._batch)], self._batch):
            run(before(parcel))

    def __call__(self, feed: Feed) -> Done:
        """Run the stage on all that the feed gives."""
        before, run, account = self._opened()

        def ready(records: Sequence[bytes], first: int) -> Parcel[Any]:
            (parcel,) = parcels(records, max(1, len(records)), 0, first)
            return before(parcel)

        for parcel in feed.batches(ready):
            run(parcel)
        return Done(account=account)

    def _opened(self) -> tuple[Callable[[Any], Any], Callable[[Any], Any], dict[str, int]]:
        """Return what does the stages before, what does this one, and the account that it keeps."""
        monitor, account = cpu_monitor(), {"scored": 0, "dead": 0, "dropped": 0}
        earlier = [_runner(stage, self._pipeline, monitor) for stage in stages_before(self._name, self._pipeline)]
        of_name = [stage for stage in self._pipeline if stage.name == self._name]
        stage = _runner(of_name[0], self._pipeline, monitor) if of_name else self._encode

        def before(parcel: Any) -> Any:
            for run in earlier:
                parcel = run(parcel)
            return parcel

        def run(parcel: Any) -> Any:
            done = stage(parcel)
            after: Parcel[Any] = done.parcel if isinstance(done, EncodedParcel) else done
            account["scored"] += len(after.batch)  # or on their way to a score
            account["dead"] += len(after.errs)
            account["dropped"] += after.dropped
            return done

        return before, run, account


def stages_before(name: str, pipeline: Pipeline) -> list[Any]:
    """Return the stages before one; of ``encode``, all."""
    return list(takewhile(lambda stage: stage.name != name, pipeline))


def parcels_before(name: str, values: Sequence[bytes], pipeline: Pipeline, batch: int) -> list[Parcel[Any]]:
    """Return what the stages before a stage make of these records."""
    monitor = cpu_monitor()
    ready: list[Parcel[Any]] = list(parcels(values, batch))
    for stage in stages_before(name, pipeline):
        run = _runner(stage, pipeline, monitor)
        ready = [run(parcel) for parcel in ready]
    return ready


class _Timed:
    """CPU seconds of what is no stage, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same, measured."""
        self.seconds[name] = 0.0

        def run(*words: Any) -> Any:
            started = time.thread_time()
            done = work(*words)
            self.seconds[name] += time.thread_time() - started
            return done

        return run


def _spent(monitor: Monitor) -> dict[str, float]:
    """Return the CPU seconds of each stage."""
    return {
        sample.labels["stage"]: sample.value
        for family in monitor.metrics.stage_seconds.collect()
        for sample in family.samples
        if sample.name.endswith("_sum")
    }


def _mean(counts: Counts) -> int:
    return round(counts.record_bytes / max(1, counts.scored))


def _runner(stage: Any, pipeline: Pipeline, monitor: Monitor) -> Callable[[Parcel[Any]], Parcel[Any]]:
    if stage in (pipeline.velocity, pipeline.recognize, pipeline.decide):
        session = stage.open([])
        return lambda parcel: run_session(stage.name, session, parcel, monitor)
    return lambda parcel: run_stage(stage, parcel, monitor)
