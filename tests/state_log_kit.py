"""For tests of the state's log: snapshots, and a log in a directory, written, read and looked at."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from flows.state_log import StateLog
from schemas.stage import Snapshot
from schemas.velocity import SLICES

PARTITION = 7


def whole(data: bytes) -> Snapshot:
    return Snapshot(data, 0, SLICES)


def delta(data: bytes) -> Snapshot:
    """Return a snapshot with no slice: the run that holds a state begins before it."""
    return Snapshot(data, 0, 0)


def half(data: bytes, number: int) -> Snapshot:
    return Snapshot(data, number * SLICES // 2, SLICES // 2)


def opened(directory: Path, **limits: int) -> StateLog:
    log = StateLog(directory, PARTITION, **limits)
    log.load()
    return log


def names(directory: Path) -> list[int]:
    return sorted(int(path.stem.removeprefix("segment-")) for path in directory.glob("segment-*.log"))


def settled(log: StateLog, directory: Path) -> list[int]:
    """Return the segments once nothing is being deleted."""
    log._cleaner.wait()
    return names(directory)


def segment(directory: Path, number: int) -> Path:
    return directory / f"segment-{number:020d}.log"


def noise(size: int, seed: int = 7) -> bytes:
    """Return bytes that do not compress."""
    return random.Random(seed).randbytes(size)


def written(directory: Path, snapshots: Sequence[Snapshot], **limits: int) -> None:
    """Write snapshots at 10, 20, ..., all of them acknowledged at the end."""
    with opened(directory, **limits) as log:
        for number, snapshot in enumerate(snapshots, 1):
            log.append(snapshot, 10 * number)
        log.mark(10 * len(snapshots))


def loaded(directory: Path) -> tuple[list[bytes], int | None]:
    with StateLog(directory, PARTITION) as log:
        found = log.load()
        assert found.problems == []
        return list(found.snapshots), found.next_offset


def problems(directory: Path) -> list[str]:
    with StateLog(directory, PARTITION) as log:
        return log.load().problems
