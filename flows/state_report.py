"""A look at the state logs of partitions, for people: nothing is locked or written, and a flow may be running."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from flows.state_lock import holder_of
from flows.state_runs import ALL_SLICES, breaks_in, chains_of, newest_run, slices_of
from flows.state_segments import Scan, scan, segments_in
from schemas.velocity import SLICES

_LOOKS = 5
_BETWEEN_LOOKS_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class StateReport:
    """The state log of one partition."""

    directory: str
    partition: int
    resume_offset: int | None  # where a flow would go on reading; None: at Kafka's earliest record
    newest_offset: int | None  # of the newest snapshot, which sinks may not have reached
    watermark: int  # up to where every sink has acknowledged, -1 where not known
    segments: int
    frames: int
    bytes: int
    run_frames: int  # that hold the whole state at the resume offset
    slices: int  # of SLICES, that the frames up to the resume offset or, without one, all of them cover
    holder: int | None  # the process that works on it
    problems: tuple[str, ...]


def report_of(directory: Path, partition: int) -> StateReport:
    """Look at one partition's directory. While a flow writes, what seems torn is looked at again before it is damage.

    OSError where it cannot be read.
    """
    report = _look(directory, partition)
    for _ in range(_LOOKS):
        if report is not None and not (report.problems and report.holder):
            break
        time.sleep(_BETWEEN_LOOKS_SECONDS)
        report = _look(directory, partition)
    if report is None:
        raise OSError(f"{directory} changes faster than it can be read")
    return report


def _look(directory: Path, partition: int) -> StateReport | None:
    """Return what is there, None where a file went while it was being read."""
    try:
        scans = [scan(segment) for segment in segments_in(directory)]
        size = sum(found.segment.path.stat().st_size for found in scans)
    except FileNotFoundError:
        return None
    watermark = max((found.watermark for found in scans), default=-1)
    run = newest_run(scans, watermark)
    newest = [frame for chain in chains_of(scans)[-1:] for found in chain for frame in found.snapshots]
    covered = 0
    for frame in newest:
        covered |= slices_of(frame.first_slice, frame.slices)
    return StateReport(
        directory=str(directory),
        partition=partition,
        resume_offset=run.last.number if run else None,
        newest_offset=newest[-1].number if newest else None,
        watermark=watermark,
        segments=len(scans),
        frames=sum(len(found.snapshots) for found in scans),
        bytes=size,
        run_frames=len(run.frames) if run else 0,
        slices=SLICES if run or covered == ALL_SLICES else covered.bit_count(),
        holder=holder_of(directory),
        problems=(*_misplaced(scans, partition), *breaks_in(scans), *_incomplete(scans, watermark, run is None)),
    )


def _misplaced(scans: list[Scan], partition: int) -> list[str]:
    others = {found.start.partition for found in scans if found.start is not None} - {partition}
    return [f"it holds the state of partition {other}" for other in sorted(others)]


def _incomplete(scans: list[Scan], watermark: int, nowhere: bool) -> list[str]:
    usable = any(found.snapshots and found.snapshots[0].number <= watermark for found in scans)
    unread = any(found.problem for found in scans)
    if nowhere and (usable or unread):
        return ["no whole state is left: a flow would rebuild it from Kafka's earliest record"]
    return []
