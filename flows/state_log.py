"""The state log of one Kafka partition: what the keyed stage knew, and at which offset.

``append`` writes what changed up to an offset, ``rotate`` begins a new segment with the whole state, ``mark`` notes up
to where every sink has acknowledged. ``load`` gives the state at the newest frame that no sink is behind of: the
source resumes there, so that every replayed event finds the state that it found the first time.

Appends and marks are not fsynced. A machine that loses power loses the end of the log; the log then resumes at an
older frame and Kafka replays the difference, to the same state. What is fsynced is what makes older files needless: a
new segment, and the mark by which an older one is deleted. See docs/adr/0002-state-and-offsets-in-one-log.md.
"""

from __future__ import annotations

import fcntl
import os
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from flows.state_frames import HEADER_BYTES, Kind, encode
from flows.state_segments import Scan, Segment, scan, segment_at, segments_in, sync_directory, write_at

_LOCK = "lock"
_MEBIBYTE = 1 << 20


class StateLocked(RuntimeError):
    """Another process, or another StateLog of this one, works on the partition."""


class StateWriteFailed(OSError):
    """The log could not be written: full disk, most often. The files are as they were before the call."""


class Loaded(NamedTuple):
    """What a log holds: snapshots in order, and where to resume; None: from Kafka's earliest, with an empty state."""

    deltas: list[bytes]
    next_offset: int | None
    problems: list[str]  # one sentence each, for the operator


@dataclass(slots=True)
class _Tail:
    """The segment being written."""

    descriptor: int
    base: int  # bytes of the first frame
    length: int
    crc: int  # of the last frame


class StateLog:
    """One writer; ``load`` comes first, once.

    ``append``, ``rotate`` and ``mark`` raise StateWriteFailed and leave the files as they were. A flow may stop then,
    or carry on and try again at its next epoch: nothing is forgotten. A delta that could not be written is kept and
    written before the next one; where more than ``kept`` bytes wait, or a whole state could not be written,
    ``wants_rotation`` asks for a whole state, which has everything, and until then ``append`` refuses.
    """

    def __init__(
        self, directory: Path, *, least_rotation: int = 32 * _MEBIBYTE, ratio: float = 1.0, kept: int = 64 * _MEBIBYTE
    ) -> None:
        """Take the partition's directory, made where it is missing. StateLocked where somebody else has it.

        A rotation is wanted when the deltas have more than ``least_rotation`` bytes and ``ratio`` times the whole
        state's.
        """
        self._directory = directory
        self._least_rotation, self._ratio, self._kept_limit = least_rotation, ratio, kept
        directory.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(directory)
        self._segments: list[Segment] = []
        self._offsets: list[int] = []  # next offsets of the states on disk, ascending
        self._tail: _Tail | None = None
        self._waiting: list[tuple[bytes, int]] = []
        self._gap = False
        self._watermark = -1

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """Let go of the directory."""
        self.close()

    def close(self) -> None:
        """Let go of the directory. Twice is once."""
        self._follow(None)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def load(self) -> Loaded:
        """Return the state at the newest whole frame at or below the watermark, and discard what lies after.

        Whatever the bytes on disk, it never returns a state that was not written for ``next_offset``. OSError where
        the disk cannot be read or written at all.
        """
        for leftover in self._directory.glob("*.tmp"):
            leftover.unlink()
        scans = [scan(segment) for segment in segments_in(self._directory)]
        problems = [found.problem for found in scans if found.problem]
        self._watermark = max((found.watermark for found in scans), default=-1)
        while scans and not _usable(scans[-1], self._watermark):
            scans.pop().segment.path.unlink()
        if not scans:
            if problems:
                problems.append("no usable state is left: it is rebuilt from Kafka's earliest record")
            return Loaded([], None, problems)
        self._segments = [found.segment for found in scans]
        self._offsets = sorted({frame.next_offset for found in scans for frame in found.states})
        deltas, resume = self._resume(scans[-1])
        return Loaded(deltas, resume, problems)

    def _resume(self, newest: Scan) -> tuple[list[bytes], int]:
        """Cut the newest segment behind the last state that may be used, and note the watermark there again."""
        states = [frame for frame in newest.states if frame.next_offset <= self._watermark]
        last = states[-1]
        del self._offsets[bisect_right(self._offsets, last.next_offset) :]
        descriptor = os.open(newest.segment.path, os.O_RDWR)
        self._follow(_Tail(descriptor, states[0].end, last.end, last.crc))
        # The mark is written over what follows, and what is left is cut off: at no moment is the watermark lost.
        self._write([(Kind.MARK, b"", self._watermark)])
        os.ftruncate(descriptor, last.end + HEADER_BYTES)
        return [frame.payload() for frame in states], last.next_offset

    def append(self, delta: bytes, next_offset: int) -> None:
        """Write what changed up to an offset. At the offset of the last append nothing changed: nothing is written."""
        last = self._waiting[-1][1] if self._waiting else self._offsets[-1] if self._offsets else -1
        if next_offset < last:
            raise ValueError(f"the state at offset {next_offset} cannot follow that at {last}")
        if self._gap:
            raise StateWriteFailed(f"the state log in {self._directory} waits for a whole state: rotate it")
        if next_offset == last and not self._waiting:
            return
        self._waiting.append((delta, next_offset))
        try:
            self._write_waiting()
        except OSError as error:
            if sum(len(waiting) for waiting, _ in self._waiting) > self._kept_limit:
                self._waiting.clear()
                self._gap = True
            raise _failed(self._directory, error) from error

    def _write_waiting(self) -> None:
        if self._tail is None:
            delta, next_offset = self._waiting[0]
            self._begin_segment(delta, next_offset)  # what changed since nothing is a whole state
            del self._waiting[0]
        self._write([(Kind.DELTA, delta, next_offset) for delta, next_offset in self._waiting])
        self._offsets += (next_offset for _, next_offset in self._waiting)
        self._waiting.clear()

    def wants_rotation(self) -> bool:
        """Return whether the next snapshot should be a whole one, for ``rotate``."""
        if self._tail is None or self._gap:
            return self._gap
        deltas = self._tail.length - self._tail.base
        return deltas > max(self._least_rotation, self._ratio * self._tail.base)

    def rotate(self, full: bytes, next_offset: int) -> None:
        """Begin a new segment with the whole state. After a failure the log waits for another whole state."""
        if self._offsets and next_offset < self._offsets[-1]:
            raise ValueError(f"the state at offset {next_offset} cannot follow that at {self._offsets[-1]}")
        try:
            self._begin_segment(full, next_offset)
        except OSError as error:
            # The snapshots to come start from this state: unless its deltas are all written, they are not enough.
            self._gap = self._gap or bool(self._waiting) or self._offsets[-1:] != [next_offset]
            raise _failed(self._directory, error) from error
        self._waiting.clear()
        self._gap = False

    def _begin_segment(self, full: bytes, next_offset: int) -> None:
        segment = segment_at(self._directory, next_offset)
        temporary = segment.path.with_suffix(".tmp")
        parts, crc = encode(Kind.FULL, full, next_offset, 0)
        base = sum(map(len, parts))
        if self._watermark >= 0:
            mark, crc = encode(Kind.MARK, b"", self._watermark, crc)
            parts += mark
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            length = write_at(descriptor, parts, 0)
            os.fsync(descriptor)
            temporary.replace(segment.path)
            sync_directory(self._directory)
        except OSError:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        self._follow(_Tail(descriptor, base, length, crc))
        if segment not in self._segments:
            self._segments.append(segment)
        if self._offsets[-1:] != [next_offset]:
            self._offsets.append(next_offset)

    def mark(self, watermark: int) -> None:
        """Note that every sink has acknowledged up to here; delete segments that no resume can need any more."""
        if watermark <= self._watermark:
            return
        try:
            if self._tail is not None:
                self._write([(Kind.MARK, b"", watermark)])
            self._watermark = watermark
            self._drop_needless()
        except OSError as error:
            raise _failed(self._directory, error) from error

    def _drop_needless(self) -> None:
        newest = bisect_right([segment.start for segment in self._segments], self._watermark) - 1
        if newest <= 0 or self._tail is None:
            return
        os.fsync(self._tail.descriptor)  # the mark must outlive the segments that it makes needless
        for segment in self._segments[:newest]:
            segment.path.unlink()
        del self._segments[:newest]
        del self._offsets[: bisect_left(self._offsets, self._segments[0].start)]

    def safe_offset(self, watermark: int) -> int | None:
        """Return the offset of the newest state at or below a watermark, None where there is none."""
        place = bisect_right(self._offsets, watermark)
        return self._offsets[place - 1] if place else None

    def _write(self, frames: Sequence[tuple[Kind, bytes, int]]) -> None:
        """Append frames to the tail: all of them or none."""
        assert self._tail is not None, "load or the first append gives the log its tail"  # noqa: S101 - for the reader
        parts, crc = list[bytes](), self._tail.crc
        for kind, payload, offset in frames:
            frame, crc = encode(kind, payload, offset, crc)
            parts += frame
        self._tail.length = write_at(self._tail.descriptor, [b"".join(parts)], self._tail.length)
        self._tail.crc = crc

    def _follow(self, tail: _Tail | None) -> None:
        if self._tail is not None:
            os.close(self._tail.descriptor)
        self._tail = tail


def _usable(found: Scan, watermark: int) -> bool:
    return bool(found.states) and found.states[0].next_offset <= watermark


def _failed(directory: Path, error: OSError) -> StateWriteFailed:
    return StateWriteFailed(f"the state log in {directory} could not be written: {error.strerror or error}")


def _locked(directory: Path) -> int:
    """Return a descriptor that holds the directory's lock until it is closed, also by the end of the process."""
    descriptor = os.open(directory / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StateLocked(
            f"the state in {directory} is in use by process {holder}: stop that flow, or give this one other partitions"
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    return descriptor
