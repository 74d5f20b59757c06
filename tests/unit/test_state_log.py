from __future__ import annotations

import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.state_log import StateLocked, StateLog, StateWriteFailed


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.glob("segment-*"))


def noise(size: int, seed: int = 7) -> bytes:
    """Return bytes that do not compress."""
    return random.Random(seed).randbytes(size)


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """Let no file grow beyond ``room`` bytes: the kernel's own refusal, as of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def written(directory: Path, frames: int = 3) -> None:
    """Write states at 10, 20, ..., all of them acknowledged."""
    with StateLog(directory) as log:
        log.load()
        for number in range(1, frames + 1):
            log.append(b"delta %d" % number, 10 * number)
        log.mark(10 * frames)


def loaded(directory: Path) -> tuple[list[bytes], int | None]:
    with StateLog(directory) as log:
        found = log.load()
    assert found.problems == []
    return found.deltas, found.next_offset


def test_an_empty_log_says_that_kafka_is_read_from_its_earliest_record(tmp_path: Path) -> None:
    assert loaded(tmp_path / "partition-0") == ([], None)


def test_what_was_appended_is_loaded_up_to_the_watermark_and_the_rest_is_discarded(tmp_path: Path) -> None:
    with StateLog(tmp_path) as log:
        log.load()
        for offset in (10, 20, 30):
            log.append(b"to %d" % offset, offset)
        log.mark(29)
    assert loaded(tmp_path) == ([b"to 10", b"to 20"], 20)
    with StateLog(tmp_path) as log:
        log.load()
        log.append(b"another 30", 30)
        log.mark(30)
    assert loaded(tmp_path) == ([b"to 10", b"to 20", b"another 30"], 30)


def test_without_an_acknowledged_state_nothing_is_loaded(tmp_path: Path) -> None:
    with StateLog(tmp_path) as log:
        log.load()
        log.append(b"a", 10)
        log.mark(9)
    assert loaded(tmp_path) == ([], None)
    assert names(tmp_path) == []


def test_a_watermark_noted_before_the_first_state_is_kept(tmp_path: Path) -> None:
    with StateLog(tmp_path) as log:
        log.load()
        log.mark(50)
        log.append(b"a", 10)
    assert loaded(tmp_path) == ([b"a"], 10)


def test_rotation_begins_a_segment_and_the_old_one_goes_when_no_sink_needs_it(tmp_path: Path) -> None:
    with StateLog(tmp_path) as log:
        log.load()
        log.append(b"a", 10)
        log.append(b"b", 20)
        log.rotate(b"ab", 20)
        log.append(b"c", 30)
        log.mark(15)
        assert len(names(tmp_path)) == 2
        log.mark(20)
        assert names(tmp_path) == ["segment-00000000000000000020.log"]
        assert (log.safe_offset(19), log.safe_offset(20), log.safe_offset(99)) == (None, 20, 30)
    assert loaded(tmp_path) == ([b"ab"], 20)


def test_a_sink_that_is_behind_the_rotation_resumes_in_the_older_segment(tmp_path: Path) -> None:
    with StateLog(tmp_path) as log:
        log.load()
        log.append(b"a", 10)
        log.rotate(b"ab", 20)
        log.mark(12)
    assert loaded(tmp_path) == ([b"a"], 10)
    assert len(names(tmp_path)) == 1


def test_rotation_is_wanted_when_the_deltas_outgrow_the_whole_state(tmp_path: Path) -> None:
    with StateLog(tmp_path, least_rotation=1_000, ratio=2.0) as log:
        log.load()
        assert not log.wants_rotation()
        log.append(noise(1_000), 1)
        for offset in range(2, 12):  # ten deltas of 232 bytes against twice 1,032
            assert log.wants_rotation() == (offset > 10)
            log.append(noise(200), offset)
        assert log.wants_rotation()
        log.rotate(b"whole", 11)
        assert not log.wants_rotation()


def test_an_append_at_the_same_offset_writes_nothing_and_one_that_goes_back_is_refused(tmp_path: Path) -> None:
    with StateLog(tmp_path) as log:
        log.load()
        log.append(b"a", 10)
        log.append(b"nothing new", 10)
        with pytest.raises(ValueError, match="9 cannot follow that at 10"):
            log.append(b"b", 9)
        with pytest.raises(ValueError, match="9 cannot follow that at 10"):
            log.rotate(b"b", 9)
        log.mark(10)
    assert loaded(tmp_path) == ([b"a"], 10)


def test_a_second_writer_is_refused_in_one_sentence(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from flows.state_log import StateLog; StateLog(Path(sys.argv[1]))"
    with StateLog(tmp_path):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path)], check=False, capture_output=True, text=True
        )
        assert "StateLocked" in done.stderr
        with pytest.raises(StateLocked, match=r"in use by process \d+: stop that flow"):
            StateLog(tmp_path)
    StateLog(tmp_path).close()


def test_a_full_disk_leaves_the_log_whole_and_a_later_append_writes_everything(tmp_path: Path) -> None:
    deltas = [noise(3_000, seed) for seed in range(3)]
    with StateLog(tmp_path) as log:
        log.load()
        log.append(b"a", 10)
        log.mark(10)
        with full_disk(1_000):
            for number, delta in enumerate(deltas[:2]):
                with pytest.raises(StateWriteFailed, match="could not be written: File too large"):
                    log.append(delta, 20 + number)
            with pytest.raises(StateWriteFailed):
                [log.mark(offset) for offset in range(11, 60)]
        before = (tmp_path / names(tmp_path)[0]).stat().st_size
        assert before < 1_000 and not log.wants_rotation()
        log.append(deltas[2], 30)
        log.mark(100)
    assert loaded(tmp_path) == ([b"a", *deltas], 30)


def test_a_disk_that_is_full_from_the_start_loses_nothing(tmp_path: Path) -> None:
    with StateLog(tmp_path) as log:
        log.load()
        with full_disk(10), pytest.raises(StateWriteFailed):
            log.append(b"a", 10)
        assert names(tmp_path) == [] and not list(tmp_path.glob("*.tmp"))
        log.append(b"b", 20)
        log.mark(20)
    assert loaded(tmp_path) == ([b"a", b"b"], 20)


def test_what_waits_is_bounded_and_then_a_whole_state_mends_the_log(tmp_path: Path) -> None:
    with StateLog(tmp_path, kept=100) as log:
        log.load()
        log.append(b"a", 10)
        with full_disk(100), pytest.raises(StateWriteFailed):
            log.append(bytes(range(200)), 20)
        assert log.wants_rotation()
        with pytest.raises(StateWriteFailed, match="waits for a whole state"):
            log.append(b"c", 30)
        with full_disk(10), pytest.raises(StateWriteFailed):
            log.rotate(b"whole", 30)
        assert log.wants_rotation()
        log.rotate(b"whole", 30)
        log.append(b"d", 40)
        log.mark(40)
    assert loaded(tmp_path) == ([b"whole", b"d"], 40)


def test_a_rotation_that_fails_after_its_append_needs_no_other(tmp_path: Path) -> None:
    with StateLog(tmp_path) as log:
        log.load()
        log.append(b"a", 10)
        with full_disk(40), pytest.raises(StateWriteFailed):
            log.rotate(noise(100), 10)
        assert not log.wants_rotation()
        log.append(b"b", 20)
        log.mark(20)
    assert loaded(tmp_path) == ([b"a", b"b"], 20)


def test_a_torn_end_is_said_and_the_state_before_it_is_loaded(tmp_path: Path) -> None:
    with StateLog(tmp_path) as log:
        log.load()
        log.append(b"delta 1", 10)
        log.mark(50)
        log.append(b"delta 2", 20)
    path = tmp_path / names(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-3])
    with StateLog(tmp_path) as log:
        found = log.load()
    assert (found.deltas, found.next_offset) == ([b"delta 1"], 10)
    assert found.problems == ["segment-00000000000000000010.log: a frame is torn at byte 71"]
    assert loaded(tmp_path) == ([b"delta 1"], 10)


def test_a_whole_state_that_is_damaged_gives_way_to_the_older_segment(tmp_path: Path) -> None:
    written(tmp_path)
    with StateLog(tmp_path) as log:
        log.load()
        log.rotate(b"whole", 40)
        newest = tmp_path / names(tmp_path)[-1]
    newest.write_bytes(newest.read_bytes()[:20])
    with StateLog(tmp_path) as log:
        found = log.load()
    assert (len(found.deltas), found.next_offset) == (3, 30)
    assert "torn" in found.problems[0]


def test_when_nothing_is_left_the_log_says_that_the_state_is_rebuilt(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / names(tmp_path)[0]).write_bytes(b"x" * 100)
    (tmp_path / "segment-00000000000000000050.tmp").write_bytes(b"half a segment")
    with StateLog(tmp_path) as log:
        found = log.load()
        assert (found.deltas, found.next_offset) == ([], None)
        assert found.problems[-1] == "no usable state is left: it is rebuilt from Kafka's earliest record"
        log.append(b"new", 5)
        log.mark(5)
    assert loaded(tmp_path) == ([b"new"], 5)
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("order", [(0, 2, 1), (0, 2), (1, 2)])
def test_frames_that_are_missing_or_exchanged_are_found(tmp_path: Path, order: tuple[int, ...]) -> None:
    path, cuts = tmp_path / "segment-00000000000000000010.log", [0]
    with StateLog(tmp_path) as log:
        log.load()
        for number in (1, 2, 3):
            log.append(b"delta %d" % number, 10 * number)
            cuts.append(path.stat().st_size)
    data = path.read_bytes()
    path.write_bytes(b"".join(data[cuts[i] : cuts[i + 1]] for i in order))
    with StateLog(tmp_path) as log:
        assert log.load().problems


def test_a_directory_can_be_moved(tmp_path: Path) -> None:
    written(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert loaded(tmp_path / "there") == ([b"delta 1", b"delta 2", b"delta 3"], 30)
