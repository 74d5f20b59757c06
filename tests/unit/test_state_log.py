from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from flows.state_log import StateLocked, StateLog, StateMisplaced, StateWriteFailed
from schemas.stage import Snapshot
from schemas.velocity import SLICES
from tests.full_disk import full_disk
from tests.state_log_kit import (
    PARTITION,
    delta,
    half,
    loaded,
    names,
    noise,
    opened,
    segment,
    settled,
    whole,
    written,
)


def test_an_empty_log_says_that_kafka_is_read_from_its_earliest_record(tmp_path: Path) -> None:
    assert loaded(tmp_path / "partition-0") == ([], None)


def test_what_was_appended_is_loaded_up_to_the_watermark_and_the_rest_is_discarded(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.append(whole(b"to 10"), 10)
        log.append(delta(b"to 20"), 20)
        log.append(delta(b"to 30"), 30)
        log.mark(29)
    assert loaded(tmp_path) == ([b"to 10", b"to 20"], 20)
    with opened(tmp_path) as log:
        assert log.newest_offset == 20
        log.append(delta(b"another 30"), 30)
        log.mark(30)
    assert loaded(tmp_path) == ([b"to 10", b"to 20", b"another 30"], 30)


def test_the_shortest_frames_in_a_row_that_cover_all_slices_are_loaded(tmp_path: Path) -> None:
    halves = [whole(b"0"), half(b"1", 1), half(b"2", 0), half(b"3", 0), half(b"4", 1), half(b"5", 1), delta(b"6")]
    written(tmp_path, halves)
    assert loaded(tmp_path) == ([b"3", b"4", b"5", b"6"], 70)


def test_slices_behind_the_last_are_the_first_ones(tmp_path: Path) -> None:
    snapshots = [
        Snapshot(b"a", 0, SLICES),
        Snapshot(b"b", SLICES - 56, 100),
        Snapshot(b"c", 44, SLICES - 100),
        delta(b"d"),
    ]
    written(tmp_path, snapshots)
    assert loaded(tmp_path) == ([b"b", b"c", b"d"], 40)


def test_a_sink_that_is_behind_makes_the_run_before_it_the_one_that_is_loaded(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        for number, snapshot in enumerate([whole(b"0"), half(b"1", 0), half(b"2", 1), half(b"3", 0)], 1):
            log.append(snapshot, 10 * number)
        log.mark(25)
    assert loaded(tmp_path) == ([b"0", b"1"], 20)


def test_without_an_acknowledged_state_nothing_is_loaded(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.append(whole(b"a"), 10)
        log.mark(9)
    assert loaded(tmp_path) == ([], None)
    assert names(tmp_path) == []


def test_a_watermark_noted_before_the_first_state_is_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.mark(50)
        log.append(whole(b"a"), 10)
    assert loaded(tmp_path) == ([b"a"], 10)


def test_segments_begin_by_size_and_go_when_the_state_is_twice_in_those_behind_them(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=1_000) as log:
        log.append(whole(noise(1_000)), 10)
        log.append(half(noise(1_000), 0), 20)
        log.append(half(noise(1_000), 1), 30)
        assert settled(log, tmp_path) == [1, 2, 3]
        log.append(half(noise(1_000), 0), 40)
        log.append(half(b"", 1), 50)
        log.append(delta(b""), 60)
        log.mark(49)  # the state is in 2 and 3; in 4 and 5 only its first half, as far as the sinks are
        assert settled(log, tmp_path) == [1, 2, 3, 4, 5]
        log.mark(50)
        assert settled(log, tmp_path) == [2, 3, 4, 5]
    assert loaded(tmp_path) == ([noise(1_000), b""], 50)


def test_a_log_of_many_rounds_stays_as_small_as_two_of_them(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=4_000) as log:
        log.append(whole(b""), 1)
        for number in range(1, 640):
            log.append(Snapshot(noise(500, number), number * SLICES // 64 % SLICES, SLICES // 64), 1 + number)
            log.mark(1 + number)
            log._cleaner.wait()
        assert sum(path.stat().st_size for path in tmp_path.glob("segment-*")) < (128 + 16) * 570
    frames, offset = loaded(tmp_path)
    assert (frames, offset) == ([noise(500, number) for number in range(576, 640)], 640)


def test_segments_that_cannot_be_deleted_are_said_and_go_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> None:
        raise OSError(5, "Input/output error")

    with opened(tmp_path, segment_bytes=1) as log:
        for number in (1, 2, 3):
            log.append(whole(b""), number)
        monkeypatch.setattr("flows.state_cleaner.sync_file", fail)
        log.mark(3)
        assert settled(log, tmp_path) == [1, 2, 3]
        monkeypatch.undo()
        with pytest.raises(StateWriteFailed, match="Input/output error"):
            log.mark(4)
        log.append(whole(b""), 5)
        log.mark(5)
        assert settled(log, tmp_path) == [3, 4]
    assert loaded(tmp_path) == ([b""], 5)


def test_a_log_goes_on_in_the_segment_in_which_it_was_cut(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=100) as log:
        for number in range(1, 6):
            log.append(whole(noise(100, number)), number)
        log.mark(2)
        assert names(tmp_path) == [1, 2, 3, 4, 5]
    with opened(tmp_path) as log:
        assert names(tmp_path) == [1, 2]
        log.append(delta(b"3"), 3)
        log.mark(3)
    assert loaded(tmp_path) == ([noise(100, 2), b"3"], 3)


def test_a_snapshot_that_goes_back_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.append(whole(b"a"), 10)
        with pytest.raises(ValueError, match="9 cannot follow that at 10"):
            log.append(delta(b"b"), 9)
        log.mark(10)
    assert loaded(tmp_path) == ([b"a"], 10)


def test_a_second_writer_is_refused_in_one_sentence(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from flows.state_log import StateLog; StateLog(Path(sys.argv[1]), 7)"
    )
    with StateLog(tmp_path, PARTITION):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], check=False, capture_output=True, text=True
        )
        assert "StateLocked" in done.stderr
        with pytest.raises(StateLocked, match=r"in use by process \d+: stop that flow"):
            StateLog(tmp_path, PARTITION)
    StateLog(tmp_path, PARTITION).close()


def test_the_state_of_another_partition_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    written(tmp_path / "partition-00003", [whole(b"a")])
    with (
        StateLog(tmp_path / "partition-00003", 3) as log,
        pytest.raises(StateMisplaced, match="holds the state of partition 7, not of 3: move it to partition-00007"),
    ):
        log.load()
    (tmp_path / "partition-00003").rename(tmp_path / "partition-00007")
    assert loaded(tmp_path / "partition-00007") == ([b"a"], 10)


def test_a_full_disk_leaves_the_log_whole_and_a_later_append_writes_everything(tmp_path: Path) -> None:
    deltas = [noise(3_000, seed) for seed in range(3)]
    with opened(tmp_path) as log:
        log.append(whole(b"a"), 10)
        log.mark(10)
        with full_disk(1_000):
            for number, data in enumerate(deltas[:2]):
                with pytest.raises(StateWriteFailed, match="cannot be written: File too large"):
                    log.append(delta(data), 20 + number)
            with pytest.raises(StateWriteFailed):
                [log.mark(offset) for offset in range(11, 60)]
        assert segment(tmp_path, 1).stat().st_size < 1_000 and not log.wants_whole()
        assert log.newest_offset == 10
        log.append(delta(deltas[2]), 30)
        log.mark(100)
    assert loaded(tmp_path) == ([b"a", *deltas], 30)


def test_a_disk_that_is_full_from_the_start_loses_nothing(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        with full_disk(10), pytest.raises(StateWriteFailed):
            log.append(whole(b"a"), 10)
        assert names(tmp_path) == [] and not list(tmp_path.glob("*.tmp"))
        log.append(delta(b"b"), 20)
        log.mark(20)
    assert loaded(tmp_path) == ([b"a", b"b"], 20)


def test_a_segment_that_cannot_begin_is_begun_later(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=100) as log:
        log.append(whole(noise(200)), 10)
        with full_disk(50), pytest.raises(StateWriteFailed):
            log.append(delta(b"b"), 20)
        assert names(tmp_path) == [1]
        log.append(delta(b"c"), 30)
        assert names(tmp_path) == [1, 2]
        log.mark(30)
    assert loaded(tmp_path) == ([noise(200), b"b", b"c"], 30)


def test_what_waits_is_bounded_and_then_a_whole_state_mends_the_log(tmp_path: Path) -> None:
    with opened(tmp_path, kept=100) as log:
        log.append(whole(b"a"), 10)
        with full_disk(200), pytest.raises(StateWriteFailed, match="File too large"):
            log.append(delta(noise(200)), 20)
        with pytest.raises(StateWriteFailed, match="waits for a whole state"):
            log.append(delta(b"c"), 30)
        assert log.wants_whole()
        log.append(whole(b"whole"), 30)
        assert not log.wants_whole()
        log.append(delta(b"d"), 40)
        log.mark(40)
    assert loaded(tmp_path) == ([b"whole", b"d"], 40)


def test_whole_states_that_are_in_vain_are_asked_for_ever_less_often(tmp_path: Path) -> None:
    with opened(tmp_path, kept=100) as log:
        asked = []
        with full_disk(200):
            for offset in range(200):
                wanted = log.wants_whole()
                asked += [offset] if wanted else []
                with pytest.raises(StateWriteFailed):
                    log.append(whole(noise(200)) if wanted else delta(noise(200)), offset)
        assert [after - before for before, after in pairwise(asked)] == [4, 8, 16, 32, 64, 64]
        while not log.wants_whole():
            with pytest.raises(StateWriteFailed):
                log.append(delta(b""), 200)
        log.append(whole(b"all"), 200)
        log.mark(200)
    assert loaded(tmp_path) == ([b"all"], 200)


def test_a_whole_state_that_still_waits_is_followed_by_what_changed_since(tmp_path: Path) -> None:
    with opened(tmp_path, kept=250) as log:
        with full_disk(100):
            for offset in (1, 2):
                with pytest.raises(StateWriteFailed):
                    log.append(whole(noise(200)), offset)
            with pytest.raises(StateWriteFailed, match="waits for a whole state"):
                log.append(delta(b""), 2)
            with pytest.raises(StateWriteFailed, match="File too large"):
                log.append(whole(noise(200)), 3)
        assert not log.wants_whole()
        log.append(delta(b"and on"), 4)
        log.mark(4)
    assert loaded(tmp_path) == ([noise(200), b"and on"], 4)


def test_a_directory_can_be_moved(tmp_path: Path) -> None:
    written(tmp_path / "here", [whole(b"1"), delta(b"2")])
    (tmp_path / "here").rename(tmp_path / "there")
    assert loaded(tmp_path / "there") == ([b"1", b"2"], 20)


@pytest.mark.parametrize(
    ("data", "packed"), [(noise(100_000), False), (bytes(100_000), True), (noise(50_000) + bytes(50_000), False)]
)
def test_what_packing_makes_half_as_large_is_packed(tmp_path: Path, data: bytes, packed: bool) -> None:
    written(tmp_path, [whole(data)])
    assert (segment(tmp_path, 1).stat().st_size < 60_000) is packed
    assert loaded(tmp_path) == ([data], 10)


def test_who_keeps_the_watermark_elsewhere_says_it_and_what_was_noted_counts_for_nothing(tmp_path: Path) -> None:
    written(tmp_path, [whole(b"one"), delta(b"two"), delta(b"three")])  # 30 is noted
    for watermark, expected in ((25, [b"one", b"two"]), (10, [b"one"]), (9, [])):
        with StateLog(tmp_path, PARTITION) as log:
            found = log.load(watermark)
            assert list(found.snapshots) == expected
            assert found.next_offset == (10 * len(expected) or None)
    assert names(tmp_path) == [], "what lies behind the watermark is gone"


def test_a_frame_that_was_made_durable_need_not_be_noted_to_be_loaded(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=1) as log:
        for number in range(1, 4):
            log.append(whole(b"%d" % number), number)
            log.sync()
            log.mark(number - 1)
    with StateLog(tmp_path, PARTITION) as log:
        found = log.load(3)
        assert (list(found.snapshots), found.next_offset) == ([b"3"], 3)
