"""What a log says and gives where its end is torn, bytes are damaged, or frames and segments are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.state_log import StateLog
from tests.state_log_kit import (
    PARTITION,
    delta,
    half,
    loaded,
    names,
    noise,
    opened,
    problems,
    segment,
    whole,
    written,
)


def test_a_torn_end_is_said_and_the_state_before_it_is_loaded(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        log.append(whole(b"snapshot 1"), 10)
        log.mark(50)
        log.append(delta(b"snapshot 2"), 20)
    path = segment(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-3])
    with StateLog(tmp_path, PARTITION) as log:
        found = log.load()
        assert (list(found.snapshots), found.next_offset) == ([b"snapshot 1"], 10)
        assert found.problems == ["segment-00000000000000000001.log: a frame is torn at byte 114"]
    assert loaded(tmp_path) == ([b"snapshot 1"], 10)


@pytest.fixture
def rounds(tmp_path: Path) -> Path:
    """Return a log of two rounds of two halves each, a frame a segment, each acknowledged before the next."""
    with opened(tmp_path, segment_bytes=100) as log:
        log.append(whole(noise(100)), 10)
        for number in range(2, 9):
            log.append(half(noise(100, number), number % 2), 10 * number)
            log.mark(10 * number)
            log._cleaner.wait()
    assert names(tmp_path) == [5, 6, 7, 8]
    return tmp_path


@pytest.mark.parametrize(
    ("damaged", "frames", "offset"),
    [(5, [7, 8], 80), (6, [7, 8], 80), (7, [5, 6], 60), (8, [6, 7], 70)],
)
def test_the_newest_run_that_is_whole_is_loaded_wherever_the_damage_is(
    rounds: Path, damaged: int, frames: list[int], offset: int
) -> None:
    path = segment(rounds, damaged)
    content = bytearray(path.read_bytes())
    content[-40] ^= 1
    path.write_bytes(content)
    with StateLog(rounds, PARTITION) as log:
        found = log.load()
        assert (list(found.snapshots), found.next_offset) == ([noise(100, number) for number in frames], offset)
        (problem,) = found.problems
        assert problem.startswith(f"{path.name}: a frame's CRC does not match")
        log.append(delta(b"and on"), 90)
        log.mark(90)
    assert loaded(rounds) == ([*(noise(100, number) for number in frames), b"and on"], 90)


def test_damage_to_both_runs_leaves_no_state_and_that_is_said(rounds: Path) -> None:
    for number in (5, 7):
        segment(rounds, number).write_bytes(b"")
    with StateLog(rounds, PARTITION) as log:
        found = log.load()
        assert (list(found.snapshots), found.next_offset) == ([], None)
        assert found.problems[-1] == "no whole state is left: it is rebuilt from Kafka's earliest record"
        assert names(rounds) == []
        log.append(whole(b"new"), 5)
        log.mark(5)
    assert loaded(rounds) == ([b"new"], 5)


def test_a_log_without_a_readable_frame_is_begun_anew(tmp_path: Path) -> None:
    written(tmp_path, [whole(b"a")])
    segment(tmp_path, 1).write_bytes(b"x" * 100)
    (tmp_path / "segment-00000000000000000002.tmp").write_bytes(b"half a segment")
    with opened(tmp_path) as log:
        assert names(tmp_path) == []
        log.append(whole(b"new"), 5)
        log.mark(5)
    assert loaded(tmp_path) == ([b"new"], 5)
    assert not list(tmp_path.glob("*.tmp"))


def test_a_missing_first_segment_leaves_frames_that_do_not_cover_the_state(tmp_path: Path) -> None:
    with opened(tmp_path, segment_bytes=100) as log:
        log.append(whole(noise(100)), 10)
        log.append(half(b"b", 0), 20)
        log.mark(20)
    segment(tmp_path, 1).unlink()
    assert problems(tmp_path) == ["no whole state is left: it is rebuilt from Kafka's earliest record"]


def test_frames_of_an_older_build_are_no_state(tmp_path: Path) -> None:
    (tmp_path / "segment-00000000000000000512.log").write_bytes(b"CGSF\x01\x00" + bytes(80))
    found = problems(tmp_path)
    assert "no frame starts where one should" in found[0]
    assert found[1].startswith("no whole state is left")
    assert names(tmp_path) == []


@pytest.mark.parametrize("order", [(0, 2, 1), (0, 2), (1, 2), (0, 1, 1, 2)])
def test_frames_that_are_missing_exchanged_or_doubled_are_found(tmp_path: Path, order: tuple[int, ...]) -> None:
    path, cuts = segment(tmp_path, 1), list[int]()
    with opened(tmp_path) as log:
        for number in (1, 2, 3):
            log.append(whole(b"snapshot %d" % number), 10 * number)
            cuts.append(path.stat().st_size)
    data = path.read_bytes()
    cuts.insert(0, cuts[0] - (cuts[1] - cuts[0]))
    path.write_bytes(data[: cuts[0]] + b"".join(data[cuts[i] : cuts[i + 1]] for i in order))
    assert "CRC does not match" in problems(tmp_path)[0]


def test_a_missing_or_exchanged_segment_is_found(tmp_path: Path) -> None:
    for name in ("missing", "exchanged"):
        with opened(tmp_path / name, segment_bytes=100) as log:
            log.append(whole(noise(100)), 10)
            for number in (2, 3, 4):
                log.append(delta(noise(100, number)), 10 * number)
            log.mark(10)
        assert names(tmp_path / name) == [1, 2, 3, 4]
    segment(tmp_path / "missing", 2).unlink()
    assert problems(tmp_path / "missing") == [
        "segment-00000000000000000003.log: it does not follow segment-00000000000000000001.log"
    ]
    second, third = segment(tmp_path / "exchanged", 2), segment(tmp_path / "exchanged", 3)
    kept = second.read_bytes()
    third.replace(second)
    third.write_bytes(kept)
    assert [problem[34:] for problem in problems(tmp_path / "exchanged")] == [
        "this is not the segment that the file's name says at byte 0"
    ] * 2
