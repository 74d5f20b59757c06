"""The files of one state log: segments, each named by the offset of the whole state that it begins with."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flows.state_frames import Broken, Frame, Kind, decode

_NAME = re.compile(r"segment-(\d{20})\.log")


class Segment(NamedTuple):
    """A file of frames."""

    start: int
    path: Path


class Scan(NamedTuple):
    """What could be read of a segment: its whole frames up to the first place that holds none."""

    segment: Segment
    states: list[Frame]  # the whole state and the deltas, in order
    watermark: int  # the highest mark, -1 where none
    problem: str | None


def segment_at(directory: Path, start: int) -> Segment:
    """Return the segment that begins with the state at an offset."""
    return Segment(start, directory / f"segment-{start:020d}.log")


def segments_in(directory: Path) -> list[Segment]:
    """Return the segments, oldest first."""
    found = ((_NAME.fullmatch(path.name), path) for path in directory.iterdir())
    return sorted(Segment(int(match[1]), path) for match, path in found if match)


def scan(segment: Segment) -> Scan:
    """Read a segment; what is torn or altered ends it and is said in ``problem``."""
    data = memoryview(segment.path.read_bytes())
    states: list[Frame] = []
    watermark, at, crc = -1, 0, 0
    try:
        while at < len(data) or not states:
            frame = decode(data, at, crc)
            if frame.kind is Kind.MARK:
                watermark = max(watermark, frame.next_offset)
            else:
                _check_order(segment, states, frame)
                states.append(frame)
            at, crc = frame.end, frame.crc
    except Broken as error:
        return Scan(segment, states, watermark, f"{segment.path.name}: {error} at byte {at}")
    return Scan(segment, states, watermark, None)


def _check_order(segment: Segment, before: list[Frame], frame: Frame) -> None:
    if not before and (frame.kind is not Kind.FULL or frame.next_offset != segment.start):
        raise Broken("the whole state that the file's name says is not there")
    if before and (frame.kind is not Kind.DELTA or frame.next_offset < before[-1].next_offset):
        raise Broken("a frame is out of order")


def write_at(descriptor: int, parts: Sequence[bytes], at: int) -> int:
    """Write all parts at a place and return where they end.

    On any failure the file is cut back to that place before OSError is raised.
    """
    end = at
    try:
        for part in parts:
            view = memoryview(part)
            while view:
                written = os.pwrite(descriptor, view, end)
                view = view[written:]
                end += written
    except OSError:
        os.ftruncate(descriptor, at)
        raise
    return end


def sync_directory(directory: Path) -> None:
    """Make renames and deletions in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
