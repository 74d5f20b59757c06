"""Progress and checkpoints: the flow resumes where every sink has been, with the state that it had there."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from flows import state_log
from flows.checkpoints import Checkpoints
from flows.parcel import Parcel, Span
from flows.progress import Progress
from flows.run_stage import Monitor
from flows.state_log import StateLocked
from schemas.batches import RawBatch
from schemas.stage import StageOut
from tests.wire import raw_batch


class Adding:
    """A keyed stage whose state is the list of the offsets that it saw."""

    name = "velocity"

    def open(self, deltas: Sequence[bytes], /) -> AddingSession:
        return AddingSession([int(part) for delta in deltas for part in delta.split()])


class AddingSession:
    def __init__(self, seen: list[int]) -> None:
        self.seen = seen
        self._fresh: list[int] = []

    def apply(self, batch: RawBatch, /) -> StageOut[RawBatch]:
        for offset in batch.origin.offset.tolist():
            if batch.values[offset - int(batch.origin.offset[0])] == b"bug":
                raise ZeroDivisionError
            self.seen.append(offset)
            self._fresh.append(offset)
        return StageOut(batch)

    def snapshot(self, *, full: bool = False) -> bytes:
        shown, self._fresh = (self.seen if full else self._fresh), []
        return b" ".join(b"%d" % offset for offset in shown)


class World:
    """One process: checkpoints over a directory, with two sinks."""

    def __init__(self, directory: Path, end: int = 1_000_000) -> None:
        self.progress = Progress(["redis", "clickhouse"])
        self.checkpoints: Checkpoints[RawBatch, RawBatch] = Checkpoints(
            directory, Adding(), self.progress, Monitor.silent()
        )
        self.resume = self.checkpoints.open(dict.fromkeys((0, 3), end))

    def apply(self, first: int, rows: int = 2, partition: int = 3, bug: bool = False) -> Parcel[RawBatch]:
        values = [b"bug" if bug and row == rows - 1 else b"x" for row in range(rows)]
        batch = raw_batch(values, partition, first)
        return self.checkpoints.apply(Parcel((Span(partition, first, first + rows),), batch, rows))

    def held(
        self, first: int, rows: int = 2, partition: int = 3, sinks: Sequence[str] = ("redis", "clickhouse")
    ) -> None:
        for sink in sinks:
            self.progress.acknowledge(sink, [Span(partition, first, first + rows)])

    def seen(self, partition: int = 3) -> list[int]:
        session = self.checkpoints._sessions[partition]
        assert isinstance(session, AddingSession)
        return session.seen

    def killed(self) -> None:
        """End without a word, as kill -9 does: only the locks go."""
        for log in self.checkpoints._logs.values():
            log.close()


def test_the_watermark_is_that_of_the_slowest_sink() -> None:
    progress = Progress(["a", "b"])
    progress.begin(7, 100)
    assert progress.watermark(7) == 100
    progress.acknowledge("a", [Span(7, 100, 120)])
    assert progress.watermark(7) == 100
    progress.acknowledge("b", [Span(7, 100, 110)])
    assert progress.watermark(7) == 110
    progress.acknowledge("b", [Span(7, 100, 105)])
    assert progress.watermark(7) == 110


def test_acknowledgements_from_many_threads_are_all_counted() -> None:
    progress = Progress(["a"])
    for partition in range(4):
        progress.begin(partition, 0)

    def work(partition: int) -> None:
        for at in range(500):
            progress.acknowledge("a", [Span(partition, at, at + 1)])

    threads = [threading.Thread(target=work, args=(partition,)) for partition in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [progress.watermark(partition) for partition in range(4)] == [500] * 4


def test_a_new_directory_resumes_nowhere_and_without_a_state(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.resume == {0: None, 3: None}
    assert world.seen() == []
    world.checkpoints.finish()


def test_after_an_orderly_end_all_that_was_held_is_done(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.apply(0)
    world.apply(2)
    world.held(0)
    world.held(2)
    world.checkpoints.finish()
    again = World(tmp_path)
    assert again.resume == {0: None, 3: 4}
    assert again.seen() == [0, 1, 2, 3]
    assert again.progress.watermark(3) == 4
    again.checkpoints.finish()


def test_after_a_kill_it_resumes_at_the_last_frame_that_every_sink_has_reached(tmp_path: Path) -> None:
    world = World(tmp_path)
    for first in (0, 2, 4):
        world.apply(first)
        world.checkpoints.snapshot()
    world.held(0)
    world.held(2, sinks=["redis"])
    world.checkpoints.snapshot()
    world.killed()
    again = World(tmp_path)
    assert again.resume[3] == 2
    assert again.seen() == [0, 1]
    again.apply(2)
    assert again.seen() == [0, 1, 2, 3]
    again.checkpoints.finish()


def test_what_no_sink_holds_is_replayed_from_the_start(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.apply(0)
    world.checkpoints.snapshot()
    world.killed()
    again = World(tmp_path)
    assert again.resume[3] in (None, 0)
    assert again.seen() == []
    again.checkpoints.finish()


def test_a_state_torn_by_a_bug_is_never_written(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.apply(0)
    world.checkpoints.snapshot()
    with pytest.raises(ZeroDivisionError):
        world.apply(2, rows=3, bug=True)
    assert world.seen() == [0, 1, 2, 3]
    world.held(0)
    world.checkpoints.snapshot()
    world.checkpoints.finish()
    again = World(tmp_path)
    assert again.resume[3] == 2
    assert again.seen() == [0, 1]
    again.checkpoints.finish()


def test_partitions_are_kept_apart_and_one_without_parcels_writes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.apply(10, partition=0)
    world.held(10, partition=0)
    world.checkpoints.snapshot()
    world.checkpoints.finish()
    again = World(tmp_path)
    assert again.resume == {0: 12, 3: None}
    assert (again.seen(0), again.seen(3)) == ([10, 11], [])
    again.checkpoints.finish()


def test_many_epochs_are_compacted_and_lose_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    for first in range(0, 4000, 2):
        world.apply(first)
        world.held(first)
        world.checkpoints.snapshot()
    world.killed()
    again = World(tmp_path)
    assert again.resume[3] == 4000
    assert again.seen() == list(range(4000))
    again.checkpoints.finish()


def test_a_second_flow_on_the_same_partitions_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(StateLocked):
        World(tmp_path)
    world.checkpoints.finish()


def test_what_waits_for_the_sinks_is_measured(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.apply(0, rows=5)
    world.held(0, rows=3)
    world.checkpoints.snapshot()
    gauge = world.checkpoints._monitor.metrics.unacknowledged.labels("3")
    assert gauge._value.get() == 2
    world.checkpoints.finish()


def test_parcels_are_counted_by_the_span_that_they_were_read_from() -> None:
    batch = raw_batch([b"a", b"b"], partition=1, first=5)
    parcel = Parcel((Span(1, 5, 9),), batch, 2)  # offsets 7 and 8 were markers of a transaction
    after = parcel.after(StageOut(batch.take(np.array([1])), (), 1))
    assert (after.spans, after.rows_in, after.dropped, len(after.batch)) == ((Span(1, 5, 9),), 2, 1, 1)


def test_a_parcel_of_several_partitions_gives_each_row_to_its_own_state_and_keeps_their_order(tmp_path: Path) -> None:
    world = World(tmp_path)
    batch = RawBatch.concat([raw_batch([b"a", b"b"], 3, 10), raw_batch([b"c"], 0, 7)])
    done = world.checkpoints.apply(Parcel((Span(3, 10, 12), Span(0, 7, 8)), batch, 3))
    assert done.batch.origin.offset.tolist() == [10, 11, 7]
    assert (world.seen(3), world.seen(0)) == ([10, 11], [7])
    world.progress.acknowledge("redis", done.spans)
    world.progress.acknowledge("clickhouse", done.spans)
    world.checkpoints.finish()
    assert World(tmp_path).resume == {0: 8, 3: 12}


def test_a_state_from_beyond_the_end_of_the_topic_is_set_aside_and_said_aloud(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    world.apply(100)
    world.held(100)
    world.checkpoints.finish()
    again = World(tmp_path, end=50)
    assert again.resume[3] is None
    assert again.seen() == []
    assert "the topic was made anew" in caplog.text
    assert (tmp_path / "partition-00003.beyond-50").is_dir()
    again.checkpoints.finish()


def test_a_full_disk_does_not_stop_scoring_and_the_next_frame_holds_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.apply(0)
    world.held(0)
    full = state_log.write_at

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_log, "write_at", refuse)
    world.checkpoints.snapshot()
    assert world.checkpoints._monitor.metrics.state_write_failures._value.get() == 1
    monkeypatch.setattr(state_log, "write_at", full)
    world.apply(2)
    world.held(2)
    world.checkpoints.finish()
    again = World(tmp_path)
    assert again.resume[3] == 4
    assert again.seen() == [0, 1, 2, 3]
    again.checkpoints.finish()
