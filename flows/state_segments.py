"""The files of one state log: segments in a chain, each with what could be read of it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from flows.state_frames import Broken, Frame, Kind, Start, read_frame, read_payload, read_start

_NAME = re.compile(r"segment-(\d{20})\.log")
_MOST_AT_ONCE = 512  # parts of one vectored write; POSIX lets a system take as few as 16, Linux takes 1,024


class Segment(NamedTuple):
    """A file of frames."""

    number: int
    path: Path


class Scan(NamedTuple):
    """What could be read of a segment: its whole frames up to the first place that holds none."""

    segment: Segment
    start: Start | None  # None where not even the first frame is whole
    snapshots: list[Frame]  # in order
    watermark: int  # the highest mark, -1 where none
    crc: int  # of the last whole frame
    problem: str | None

    def follows(self, before: Scan) -> bool:
        """Return whether this segment begins where the frames that could be read of another one end."""
        return (
            self.start is not None
            and before.start is not None
            and self.segment.number == before.segment.number + 1
            and self.start.previous_crc == before.crc
        )


class StoredSnapshots(Sequence[bytes]):
    """The data of snapshots in files, read when asked for: a state's frames are never in memory all at once."""

    def __init__(self, places: Sequence[tuple[Path, Frame]]) -> None:
        self._places = places

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        """Return one snapshot's data, or a sequence of some."""
        if isinstance(index, slice):
            return StoredSnapshots(self._places[index])
        path, frame = self._places[index]
        with path.open("rb") as file:
            return read_payload(file, frame)


def segment_at(directory: Path, number: int) -> Segment:
    """Return the segment of a number."""
    return Segment(number, directory / f"segment-{number:020d}.log")


def segments_in(directory: Path) -> list[Segment]:
    """Return the segments, oldest first."""
    found = ((_NAME.fullmatch(path.name), path) for path in directory.iterdir())
    return sorted(Segment(int(match[1]), path) for match, path in found if match)


def scan(segment: Segment) -> Scan:
    """Read a segment; what is torn or altered ends it and is said in ``problem``."""
    with segment.path.open("rb") as file:
        return _scan(segment, file, os.fstat(file.fileno()).st_size)


def _scan(segment: Segment, file: BinaryIO, size: int) -> Scan:
    start, snapshots, watermark, at, crc = None, list[Frame](), -1, 0, 0
    try:
        said, frame = read_start(file, size)
        if said.number != segment.number:
            raise Broken("this is not the segment that the file's name says")
        start, at, crc = said, frame.end, frame.crc
        while at < size:
            frame = read_frame(file, at, size, crc)
            if frame.kind is Kind.MARK:
                watermark = max(watermark, frame.number)
            else:
                _check_order(snapshots, frame)
                snapshots.append(frame)
            at, crc = frame.end, frame.crc
    except Broken as error:
        return Scan(segment, start, snapshots, watermark, crc, f"{segment.path.name}: {error} at byte {at}")
    return Scan(segment, start, snapshots, watermark, crc, None)


def _check_order(before: list[Frame], frame: Frame) -> None:
    if frame.kind is not Kind.SNAPSHOT or (before and frame.number < before[-1].number):
        raise Broken("a frame is out of order")


def write_at(descriptor: int, parts: Sequence[bytes], at: int) -> int:
    """Write all parts at a place and return where they end.

    On any failure the file is cut back to that place before OSError is raised.
    """
    left, end = [memoryview(part) for part in parts if part], at
    try:
        while left:
            written = os.pwritev(descriptor, left[:_MOST_AT_ONCE], end)
            end += written
            while left and written >= len(left[0]):
                written -= len(left.pop(0))
            if written:
                left[0] = left[0][written:]
    except OSError:
        os.ftruncate(descriptor, at)
        raise
    return end


def sync_directory(directory: Path) -> None:
    """Make renames and deletions in a directory durable."""
    sync_file(directory)


def sync_file(path: Path) -> None:
    """Make what was written to a file durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
