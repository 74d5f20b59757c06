"""Progress and checkpoints: the flow resumes where every sink has been, with the state that it had there."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from flows.checkpoints import Checkpoints, ScoresBehind, StateRefused
from flows.parcel import Parcel, Span
from flows.progress import Progress
from flows.run_stage import Monitor
from flows.state_log import StateLocked
from schemas.batches import Decided, RawBatch
from schemas.stage import StageOut
from schemas.velocity import SCORE_LAG
from tests.adding_stage import Adding, AddingSession
from tests.checkpoints_kit import World
from tests.full_disk import full_disk
from tests.wire import raw_batch


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
    world.apply(2)
    with pytest.raises(ZeroDivisionError):
        world.apply(4, rows=3, bug=True)
    assert world.seen() == [0, 1, 2, 3, 4, 5]
    world.held(0)
    world.held(2)
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


def test_many_epochs_lose_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    for first in range(0, 1000, 2):
        world.apply(first)
        world.held(first)
        world.checkpoints.snapshot()
    world.killed()
    again = World(tmp_path)
    assert again.resume[3] == 1000
    assert again.seen() == again.session().scored == list(range(1000))
    again.checkpoints.finish()


def test_a_second_flow_on_the_same_partitions_is_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    with pytest.raises(StateLocked) as refused:
        World(tmp_path)
    assert refused.value.__cause__ is None  # what a user is told is the deepest cause
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
    after = parcel.after(*StageOut(batch.take(np.array([1])), (), 1))
    assert (after.spans, after.rows_in, after.dropped, len(after.batch)) == ((Span(1, 5, 9),), 2, 1, 1)


def test_a_parcel_of_several_partitions_gives_each_row_to_its_own_state_and_keeps_their_order(tmp_path: Path) -> None:
    world = World(tmp_path)
    batch = RawBatch.concat([raw_batch([b"a", b"b"], 3, 10), raw_batch([b"c"], 0, 7)])
    done = world.run([Span(3, 10, 12), Span(0, 7, 8)], batch)
    assert done.batch.origin.offset.tolist() == [10, 11, 7]
    assert (world.seen(3), world.seen(0)) == ([10, 11], [7])
    assert (world.session(3).scored, world.session(0).scored) == ([10, 11], [7])
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


def test_a_full_disk_does_not_stop_scoring_and_the_next_frame_holds_everything(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.apply(0)
    world.held(0)
    with full_disk(10):
        world.checkpoints.snapshot()
    assert world.metric("state_write_failures") == 1
    world.apply(2)
    world.held(2)
    world.checkpoints.finish()
    again = World(tmp_path)
    assert again.resume[3] == 4
    assert again.seen() == [0, 1, 2, 3]
    again.checkpoints.finish()


def test_a_parcel_without_a_row_left_moves_both_offsets(tmp_path: Path) -> None:
    world = World(tmp_path)
    done = world.run([Span(3, 0, 2)], raw_batch([b"gone", b"gone"], 3, 0))
    assert len(done.batch) == 0
    world.held(0)
    world.checkpoints.finish()
    again = World(tmp_path)
    assert (again.resume[3], again.seen(), again.session().scored) == (2, [0, 1], [])
    again.checkpoints.finish()


def test_no_frame_is_written_while_rows_wait_for_their_scores(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.apply(0)
    waiting = world.apply(2, score=False)
    world.held(0)
    world.checkpoints.snapshot()
    assert world.metric("snapshots_skipped") == 1
    world.remember(waiting)
    world.checkpoints.snapshot()
    world.held(2)
    world.checkpoints.snapshot()
    assert world.metric("snapshots_skipped") == 1
    world.killed()
    again = World(tmp_path)
    assert (again.resume[3], again.session().scored) == (4, [0, 1, 2, 3])
    again.checkpoints.finish()


def test_rows_that_would_miss_a_score_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.apply(0, rows=10)
    world.apply(10, rows=1, score=False)
    world.apply(11, rows=SCORE_LAG - 1, score=False)  # the last sees the scores up to offset 9
    with pytest.raises(ScoresBehind, match="partition 3 came before the scores of those from 10 on"):
        world.apply(10 + SCORE_LAG, rows=1, score=False)
    world.killed()


def test_a_gap_in_kafka_is_no_missing_score(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.apply(0)
    world.apply(50_000)
    world.held(0)
    world.held(50_000)
    world.checkpoints.finish()
    assert World(tmp_path).resume[3] == 50_002


def test_a_state_torn_while_it_remembered_is_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    world.apply(0)
    world.held(0)
    world.checkpoints.snapshot()
    done = world.apply(2, score=False)

    def fail(batch: Decided) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.session(), "remember", fail)
    with pytest.raises(ZeroDivisionError):
        world.remember(done)
    world.held(2)
    world.checkpoints.finish()
    again = World(tmp_path)
    assert (again.resume[3], again.seen()) == (2, [0, 1])
    again.checkpoints.finish()


def test_an_epoch_without_new_rows_writes_no_frame(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.apply(0)
    world.held(0)
    world.checkpoints.snapshot()
    (path,) = (tmp_path / "partition-00003").glob("segment-*")
    size = path.stat().st_size
    world.checkpoints.snapshot()
    assert path.stat().st_size == size
    world.checkpoints.finish()
    assert path.stat().st_size == size


def test_partitions_can_be_opened_and_written_one_by_one(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.checkpoints.open({5: 100}) == {5: None}
    world.apply(0, partition=5)
    world.apply(0, partition=3)
    world.held(0, partition=5)
    world.held(0, partition=3)
    world.checkpoints.snapshot([5])
    world.checkpoints.snapshot([5])  # with the watermark that the first one could not know
    world.killed()
    again = World(tmp_path)
    assert again.checkpoints.open({5: 100}) == {5: 2}
    assert (again.resume, again.seen(5)) == ({0: None, 3: None}, [0, 1])
    again.checkpoints.finish()


def test_partitions_are_worked_on_in_threads_of_their_own(tmp_path: Path) -> None:
    world = World(tmp_path)

    def work(partition: int) -> None:
        world.checkpoints.open({partition: 10_000})
        for first in range(0, 400, 4):
            world.apply(first, rows=4, partition=partition)
            world.held(first, rows=4, partition=partition)
            world.checkpoints.snapshot([partition])

    threads = [threading.Thread(target=work, args=(partition,)) for partition in range(10, 14)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.killed()
    again = World(tmp_path)
    assert again.checkpoints.open(dict.fromkeys(range(10, 14), 10_000)) == dict.fromkeys(range(10, 14), 400)
    assert all(again.seen(partition) == list(range(400)) for partition in range(10, 14))
    again.checkpoints.finish()


def test_a_partition_that_cannot_be_opened_leaves_the_others_free(tmp_path: Path) -> None:
    world = World(tmp_path)
    other = Checkpoints(tmp_path, Adding(), Progress(["redis"]), Monitor.silent())
    with pytest.raises(StateLocked):
        other.open({8: 100, 3: 100})
    world.checkpoints.open({8: 100})
    world.checkpoints.finish()


def test_a_state_of_another_build_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.apply(0)
    world.held(0)
    world.checkpoints.finish()

    class Newer(Adding):
        def open(self, snapshots: Sequence[bytes], /) -> AddingSession:
            return super().open([b"newer" for _ in snapshots])

    newer = Checkpoints(tmp_path, Newer(), Progress(["redis"]), Monitor.silent())
    with pytest.raises(
        StateRefused, match=r"cannot be read \(not of this build\): run the build that wrote"
    ) as refused:
        newer.open({3: 100})
    assert refused.value.__cause__ is None
    again = World(tmp_path)
    assert again.seen() == [0, 1]
    again.checkpoints.finish()


def test_damage_is_said_and_counted_and_the_state_before_it_is_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(tmp_path)
    for first in (0, 2, 4):
        world.apply(first)
        world.held(first)
        world.checkpoints.snapshot()
    world.killed()
    (path,) = (tmp_path / "partition-00003").glob("segment-*")
    content = bytearray(path.read_bytes())
    content[-40] ^= 1  # in the last frame but the mark behind it
    path.write_bytes(content)
    again = World(tmp_path)
    assert (again.resume[3], again.seen()) == (4, [0, 1, 2, 3])
    assert again.metric("state_damage") == 1
    assert "a frame's CRC does not match" in caplog.text
    again.checkpoints.finish()
