"""The state log of one Kafka partition: what the keyed stage knew, and at which offset.

``append`` writes a snapshot: what changed up to an offset, and some slices of the state as they are there. ``mark``
notes up to where every sink has acknowledged. ``load`` gives the frames that hold the whole state at the newest offset
that no sink is behind of: the source resumes there, so that every replayed event finds the state that it found the
first time.

Appends and marks are not fsynced. A machine that loses power loses the end of the log; the log then resumes at an
older frame and Kafka replays the difference, to the same state. What is fsynced is what makes older files needless:
the newer ones, before an older one is deleted. See docs/adr/0002-state-and-offsets-in-one-log.md.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from flows.state_cleaner import Cleaner
from flows.state_frames import Entry, Kind, Start, encode, encode_start
from flows.state_lock import StateLocked, let_go, take_lock
from flows.state_runs import ALL_SLICES, Run, breaks_in, newest_run, slices_of
from flows.state_segments import (
    Scan,
    Segment,
    StoredSnapshots,
    scan,
    segment_at,
    segments_in,
    sync_directory,
    sync_file,
    write_at,
)
from schemas.stage import Snapshot
from schemas.velocity import SLICES

__all__ = ["Loaded", "StateLocked", "StateLog", "StateMisplaced", "StateWriteFailed", "directory_of"]
_MEBIBYTE = 1 << 20
_LONGEST_PATIENCE = 63
_RUNS_KEPT = 2  # of frames that hold the whole state: a damaged one costs a longer replay and not the state
_NOTHING_LEFT = "no whole state is left: it is rebuilt from Kafka's earliest record"


class StateWriteFailed(OSError):
    """The log could not be written: full disk, most often. The files are as they were before the call."""


class StateMisplaced(RuntimeError):
    """The directory holds the state of another partition."""


class Loaded(NamedTuple):
    """What a log holds: snapshots in order, and where to resume; None: from Kafka's earliest, with an empty state.

    The data are read from the files when they are asked for: do that before the log is written to.
    """

    snapshots: Sequence[bytes]
    next_offset: int | None
    problems: list[str]  # one sentence each, for the operator


@dataclass(slots=True)
class _Live:
    """A segment that a resume may need, with the offsets and slices of its frames."""

    segment: Segment
    frames: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Tail:
    """The segment being written."""

    descriptor: int
    length: int
    crc: int  # of the last frame


def directory_of(root: Path, partition: int) -> Path:
    """Return where the state of a partition is kept."""
    return root / f"partition-{partition:05d}"


class StateLog:
    """One writer; ``load`` comes first, once.

    ``append`` and ``mark`` raise StateWriteFailed and leave the files as they were. A flow may stop then, or carry on
    and try again at its next epoch: nothing is forgotten. A snapshot that could not be written is kept and written
    before the next one. Where more than ``kept`` bytes wait they are given up; ``append`` then refuses all but a
    snapshot of all slices, and ``wants_whole`` asks for it as soon as there is room.
    """

    def __init__(
        self, directory: Path, partition: int, *, segment_bytes: int = 16 * _MEBIBYTE, kept: int = 64 * _MEBIBYTE
    ) -> None:
        """Take the partition's directory, made where it is missing.

        StateLocked where somebody else has it, StateWriteFailed where that cannot be noted.

        A new segment begins where the last one has ``segment_bytes`` or more.
        """
        self._directory, self._partition = directory, partition
        self._segment_bytes, self._kept = segment_bytes, kept
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = take_lock(directory)
        except OSError as error:
            raise _failed(directory, error) from None
        self._live: list[_Live] = []
        self._tail: _Tail | None = None
        self._waiting: list[tuple[Snapshot, int]] = []
        self._gap = False
        self._watermark = -1
        self._newest: int | None = None
        self._synced = 0  # number of the newest segment that was made durable
        self._cleaner = Cleaner(directory)
        self._refused = 0  # snapshots since one of all slices was in vain
        self._patience = 0

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        """Let go of the directory."""
        self.close()

    def close(self) -> None:
        """Let go of the directory. Twice is once."""
        self._cleaner.wait()
        self._follow(None)
        if self._lock >= 0:
            let_go(self._lock)
            self._lock = -1

    @property
    def newest_offset(self) -> int | None:
        """Return the offset of the newest snapshot that was written, None where there is none."""
        return self._newest

    def load(self, watermark: int | None = None) -> Loaded:
        """Return the whole state at the newest frame at or below the watermark, and discard what lies after.

        ``watermark`` is that of who keeps it elsewhere, as a replay does; what the log noted counts for nothing then.

        Whatever the bytes on disk, it never returns a state that was not written for ``next_offset``. StateMisplaced
        where it is another partition's, StateWriteFailed where what lies after cannot be discarded, OSError where the
        files cannot be read.
        """
        for leftover in self._directory.glob("*.tmp"):
            leftover.unlink()
        scans = [scan(segment) for segment in segments_in(self._directory)]
        self._check_partition(scans)
        problems = breaks_in(scans)
        noted = max((found.watermark for found in scans), default=-1)
        self._watermark = noted if watermark is None else watermark
        run = newest_run(scans, self._watermark)
        if run is None:
            if problems or any(found.snapshots and found.snapshots[0].number <= self._watermark for found in scans):
                problems.append(_NOTHING_LEFT)
            self._discard(scans)
            return Loaded((), None, problems)
        self._discard([found for found in scans if found not in run.chain], run)
        places = [(found.segment.path, frame) for found, frame in run.frames]
        return Loaded(StoredSnapshots(places), run.last.number, problems)

    def _check_partition(self, scans: Sequence[Scan]) -> None:
        for found in scans:
            if found.start is not None and found.start.partition != self._partition:
                raise StateMisplaced(
                    f"{self._directory} holds the state of partition {found.start.partition}, not of "
                    f"{self._partition}: move it to {directory_of(self._directory.parent, found.start.partition).name}"
                )

    def _resume(self, run: Run) -> None:
        """Cut the segment of the run's last frame behind it, and note the watermark there again."""
        last = run.last
        for found in run.chain:
            kept = [frame for frame in found.snapshots if found is not run.chain[-1] or frame.end <= last.end]
            sliced = [(frame.number, slices_of(frame.first_slice, frame.slices)) for frame in kept]
            self._live.append(_Live(found.segment, sliced))
        descriptor = os.open(run.chain[-1].segment.path, os.O_RDWR)
        self._follow(_Tail(descriptor, last.end, last.crc))
        self._newest = last.number
        # The mark is written over what follows, and what is left is cut off: at no moment is the watermark lost.
        end = self._write([Entry(Kind.MARK, self._watermark)])
        os.ftruncate(descriptor, end)
        for live in self._live:
            sync_file(
                live.segment.path
            )  # the other segments, which go now, may hold the only other note of the watermark
        sync_directory(self._directory)

    def _discard(self, scans: Sequence[Scan], run: Run | None = None) -> None:
        """Delete segments, the newest first: what is left if the machine stops between two is a log."""
        try:
            if run is not None:
                self._resume(run)
            for found in reversed(scans):
                found.segment.path.unlink()
        except OSError as error:
            raise _failed(self._directory, error) from None

    def append(self, snapshot: Snapshot, next_offset: int) -> None:
        """Write the next snapshot: the state after every row below ``next_offset``."""
        last = self._waiting[-1][1] if self._waiting else self._newest
        if last is not None and next_offset < last:
            raise ValueError(f"the state at offset {next_offset} cannot follow that at {last}")
        if self._gap and snapshot.slices < SLICES:
            self._refused += 1
            raise StateWriteFailed(f"the state log in {self._directory} waits for a whole state, and for room for it")
        self._gap = False
        self._waiting.append((snapshot, next_offset))
        try:
            self._write_waiting()
        except OSError as error:
            self._give_up_beyond_limit()
            raise _failed(self._directory, error) from None
        self._patience = 0

    def _give_up_beyond_limit(self) -> None:
        if sum(len(waiting.data) for waiting, _ in self._waiting) > self._kept:
            self._waiting.clear()
            self._gap = True
            self._refused, self._patience = 0, min(_LONGEST_PATIENCE, 2 * self._patience + 1)

    def _write_waiting(self) -> None:
        entries = [Entry(Kind.SNAPSHOT, offset, *snapshot) for snapshot, offset in self._waiting]
        if self._tail is None or self._tail.length >= self._segment_bytes:
            self._begin_segment(entries)
        else:
            self._write(entries)
        sliced = [(entry.number, slices_of(entry.first_slice, entry.slices)) for entry in entries]
        self._live[-1].frames += sliced
        self._newest = entries[-1].number
        self._waiting.clear()

    def wants_whole(self) -> bool:
        """Return whether the next snapshot must be one of all slices.

        Making one stops the worker, so it is not asked for where the file system says that it has no room, and after
        each one that was in vain only after twice as many refused snapshots, up to a minute's.
        """
        return self._gap and self._refused >= self._patience and self._has_room()

    def _has_room(self) -> bool:
        room = os.statvfs(self._directory)
        taken = sum(live.segment.path.stat().st_size for live in self._live)  # a run, and so at least a whole state
        return room.f_bavail * room.f_frsize >= max(_MEBIBYTE, taken)

    def _begin_segment(self, entries: Sequence[Entry]) -> None:
        """Write the first frames of a new segment beside it, and then give it its name: no file is ever half begun."""
        number = self._live[-1].segment.number + 1 if self._live else 1
        segment = segment_at(self._directory, number)
        parts, crc = encode_start(Start(number, self._partition, self._tail.crc if self._tail else 0))
        if self._watermark >= 0:
            entries = [Entry(Kind.MARK, self._watermark), *entries]
        for entry in entries:
            frame, crc = encode(entry, crc)
            parts += frame
        temporary = segment.path.with_suffix(".tmp")
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            length = write_at(descriptor, parts, 0)
            temporary.replace(segment.path)
        except OSError:
            os.close(descriptor)
            temporary.unlink(missing_ok=True)
            raise
        self._follow(_Tail(descriptor, length, crc))
        self._live.append(_Live(segment))

    def mark(self, watermark: int) -> None:
        """Note that every sink has acknowledged up to here.

        Segments are deleted whose frames no resume can need any more, damage to one of the frames behind them included.
        """
        if watermark <= self._watermark:
            return
        try:
            if self._tail is not None:
                self._write([Entry(Kind.MARK, watermark)])
            self._watermark = watermark
            self._drop_needless()
        except OSError as error:
            raise _failed(self._directory, error) from None

    def _drop_needless(self) -> None:
        if self._cleaner.busy:
            return
        del self._live[: self._cleaner.deleted()]
        self._cleaner.check()
        needless = 0
        while self._covered(self._live[needless + 1 :]):
            needless += 1
        if needless:  # the mark, and the frames that it names, must outlive what they make needless
            paths = [live.segment.path for live in self._live]
            self._cleaner.delete(paths[:needless], paths[needless:])

    def _covered(self, segments: Sequence[_Live]) -> bool:
        """Return whether the frames at or below the watermark hold the whole state as often as it is kept."""
        covered, runs = 0, 0
        for live in segments:
            for offset, slices in live.frames:
                if offset > self._watermark:
                    return False
                covered |= slices
                if covered == ALL_SLICES:
                    covered, runs = 0, runs + 1
                    if runs == _RUNS_KEPT:
                        return True
        return False

    def _write(self, entries: Sequence[Entry]) -> int:
        """Append frames to the tail, all of them or none, and return where they end."""
        assert self._tail is not None, "load or the first append gives the log its tail"  # noqa: S101 - for the reader
        parts, crc = list[bytes](), self._tail.crc
        for entry in entries:
            frame, crc = encode(entry, crc)
            parts += frame
        self._tail.length = write_at(self._tail.descriptor, parts, self._tail.length)
        self._tail.crc = crc
        return self._tail.length

    def sync(self) -> None:
        """Make all that was written durable: for who relies on it before something else says that it is there."""
        self._cleaner.wait()
        del self._live[: self._cleaner.deleted()]
        try:
            for live in self._live:
                if live.segment.number >= self._synced:
                    sync_file(live.segment.path)
            sync_directory(self._directory)
        except OSError as error:
            raise _failed(self._directory, error) from None
        self._synced = self._live[-1].segment.number if self._live else 0

    def _follow(self, tail: _Tail | None) -> None:
        if self._tail is not None:
            os.close(self._tail.descriptor)
        self._tail = tail


def _failed(directory: Path, error: OSError) -> StateWriteFailed:
    return StateWriteFailed(f"the state log in {directory} cannot be written: {error.strerror or error}")
