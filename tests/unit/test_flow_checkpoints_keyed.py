"""Checkpoints of the keyed stages themselves, of rows that several partitions keep."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from flows.chain import Chain
from flows.checkpoints import Checkpoints, StateRefused
from flows.parcel import Parcel, Span
from flows.progress import Progress
from flows.run_stage import Monitor
from flows.stages.recognize import Recognize
from flows.stages.recognize.state import Sizes
from flows.stages.velocity import Velocity
from schemas.batches import Counted, Normalized, Recognized
from tests.builders import NOW, normalized
from tests.deciding import decide_stage
from tests.strategies import same


def two_partitions() -> Normalized:
    """Return rows of the partitions 3 and 0, with a copy in each."""
    batch = normalized([{}] * 7, times=[NOW + row for row in range(7)])
    partition = np.array([3, 3, 3, 0, 0, 0, 0], np.int32)
    offset = np.array([5, 6, 7, 90, 91, 92, 93], np.int64)
    ids = batch.event.event_id.copy()
    ids[2], ids[3], ids[6] = ids[0], ids[0], ids[4]  # the second and the last are copies within their partition
    batch = replace(
        batch,
        origin=replace(batch.origin, partition=partition, offset=offset),
        event=replace(batch.event, event_id=ids),
    )
    return batch


def test_two_keyed_stages_are_measured_apart_and_saved_together(tmp_path: Path) -> None:
    batch, tables = two_partitions(), Sizes(1 << 13, 1 << 13, 1 << 13)
    chain = Chain(Velocity(), Recognize(sizes=tables), decide_stage())
    monitor = Monitor.silent()
    checkpoints = Checkpoints(tmp_path, chain, Progress(["out"]), monitor)
    checkpoints.open({3: 100, 0: 100})
    done = checkpoints.apply(Parcel((Span(3, 5, 8), Span(0, 90, 94)), batch, 7))
    assert done.batch.origin.offset.tolist() == [5, 6, 90, 91, 92]
    assert done.dropped == 2
    assert done.batch.ledger.marks[-2:] == ("velocity", "recognize")
    apart = [chain.open(()).apply(batch.take(np.flatnonzero(batch.origin.partition == at))).oks for at in (3, 0)]
    assert same(done.batch.recognition, Recognized.concat(apart).recognition)
    rows = {name: monitor.metrics.stage_rows.labels(name, "ok").value for name in ("velocity", "recognize")}
    assert rows == {"velocity": 5, "recognize": 5}
    checkpoints.finish()


def test_a_state_of_velocity_alone_is_refused_by_a_flow_that_recognizes(tmp_path: Path) -> None:
    batch = two_partitions()
    alone = Checkpoints(tmp_path, Velocity(), Progress(["out"]), Monitor.silent())
    alone.open({3: 100, 0: 100})
    done = alone.apply(Parcel((Span(3, 5, 8), Span(0, 90, 94)), batch, 7))
    for state in alone._open.values():
        state.scored = state.applied
    alone._progress.acknowledge("out", done.spans)
    alone.finish()
    both = Checkpoints(tmp_path, Chain(Velocity(), Recognize(), decide_stage()), Progress(["out"]), Monitor.silent())
    with pytest.raises(StateRefused, match="not a snapshot of velocity, recognize and decide together"):
        both.open({3: 100})


def test_rows_that_several_partitions_keep_are_joined_with_what_velocity_says_of_each(tmp_path: Path) -> None:
    batch = two_partitions()
    checkpoints = Checkpoints(tmp_path, Velocity(), Progress(["out"]), Monitor.silent())
    checkpoints.open({3: 100, 0: 100})
    done = checkpoints.apply(Parcel((Span(3, 5, 8), Span(0, 90, 94)), batch, 7))
    partition = batch.origin.partition
    apart = [Velocity().open(()).apply(batch.take(np.flatnonzero(partition == number))).oks for number in (3, 0)]
    assert done.batch.origin.offset.tolist() == [5, 6, 90, 91, 92]
    assert done.dropped == 2
    expected = Counted.concat(apart)
    assert same(replace(done.batch, ledger=expected.ledger), expected)
    checkpoints.finish()
