"""The real Bytewax, its epochs as short as they can be: one parcel runs through all steps before the next is read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from bytewax.testing import TestingSink, cluster_main, run_main

from flows.bind import bind_keyed, bind_remember
from flows.checkpoints import Checkpoints
from flows.parcel import Parcel, Span
from flows.progress import Progress
from flows.run_stage import Monitor
from schemas.batches import RawBatch
from schemas.velocity import SCORE_LAG
from tests.adding_stage import Adding, AddingSession
from tests.wire import raw_batch

PARCELS = 60
PARTITIONS = 2
ROWS = SCORE_LAG  # so that a parcel that comes before the scores of the one before it is refused
BATCH = raw_batch([b"x"] * ROWS, 0, 0)


class Polls(StatefulSourcePartition[Parcel[RawBatch], None]):
    def __init__(self, partition: int, epoch: Callable[[], None]) -> None:
        self._partition, self._epoch, self._polled = partition, epoch, 0

    def next_batch(self) -> list[Parcel[RawBatch]]:
        if self._polled == PARCELS:
            raise StopIteration
        first = ROWS * self._polled
        self._polled += 1
        batch = raw_batch(BATCH.values, self._partition, first)
        return [Parcel((Span(self._partition, first, first + ROWS),), batch, ROWS)]

    def snapshot(self) -> None:
        self._epoch()


class Source(FixedPartitionedSource[Parcel[RawBatch], None]):
    """One part a partition, each opened by the worker that reads it."""

    def __init__(self, checkpoints: Checkpoints[RawBatch, RawBatch]) -> None:
        self._checkpoints = checkpoints

    def list_parts(self) -> list[str]:
        return [str(partition) for partition in range(PARTITIONS)]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> Polls:
        partition = int(for_part)
        assert self._checkpoints.open({partition: 1 << 40}) == {partition: None}
        return Polls(partition, lambda: self._checkpoints.snapshot([partition]))


@pytest.mark.parametrize("workers", [1, 2])
def test_each_parcel_finds_all_scores_before_it_and_no_snapshot_is_put_off(tmp_path: Path, workers: int) -> None:
    progress, monitor, out = Progress(["out"]), Monitor.silent(), list[Parcel[RawBatch]]()
    checkpoints: Checkpoints[RawBatch, RawBatch] = Checkpoints(tmp_path, Adding(), progress, monitor)
    flow = Dataflow("remembering")
    step: Any = bind_keyed(op.input("raw", flow, Source(checkpoints)), "velocity", checkpoints)
    for name in ("recognize", "relate", "enrich", "score"):
        step = op.map(name, step, lambda parcel: parcel)
    op.output("out", bind_remember(step, checkpoints), TestingSink(out))
    if workers == 1:
        run_main(flow, epoch_interval=timedelta(milliseconds=1))
    else:
        cluster_main(flow, [], 0, epoch_interval=timedelta(milliseconds=1), worker_count_per_proc=workers)
    for partition in range(PARTITIONS):
        session = cast(AddingSession, checkpoints._open[partition].session)
        assert session.scored == session.seen == list(range(ROWS * PARCELS))
    checkpoints.finish()
    assert len(out) == PARCELS * PARTITIONS
    assert monitor.metrics.snapshots_skipped._value.get() == 0
    frames = monitor.metrics.snapshot_seconds._buckets
    assert sum(bucket.get() for bucket in frames) > PARTITIONS * PARCELS / 4, "hardly an epoch ended between parcels"
