"""Snapshots: the states that a replay begins with, read from a flow's state directory or from another run's.

A directory is one of a flow (``partition-XXXXX`` in it or in its ``process-I``), copied while the flow stood still, or
that of a run. It is only read: no lock is taken and nothing is changed. Of a partition the newest state at or before
the beginning of the range is used; its rows in between are warmed up. Rows before it may be warmed up too, for what
partitions share: they run with an empty state, which is put away where the snapshot's begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flows.state_runs import newest_run
from flows.state_segments import StoredSnapshots, scan, segments_in
from replay.checkpoint import Checkpoint, Dumpable, ReplayRefused, load_dump, read_checkpoint
from replay.checkpoint_states import DIRECTORY, Sessions, Stages
from replay.plan import Start


def snapshot_offsets(directory: Path, most: Mapping[int, int]) -> dict[int, int]:
    """Return the offset of the state of each partition that the snapshot has at or below ``most``.

    ReplayRefused where the directory holds no states, or none of a partition is old enough.
    """
    found = _partitions(directory)
    offsets = {}
    for partition, limit in most.items():
        if partition in found:
            offsets[partition] = _run(found[partition], limit)[0]
    return offsets


def open_snapshot(directory: Path, partition: int, most: int, stages: Stages) -> Sessions:
    """Return the session of a partition as the snapshot has it at or below an offset."""
    path = _partitions(directory)[partition]
    try:
        return stages.open(_run(path, most)[1])
    except ValueError as error:
        raise ReplayRefused(f"the snapshot in {path} cannot be read ({error}): use the build that wrote it") from None
    except OSError as error:
        raise ReplayRefused(_unreadable(path, error)) from None


def load_shared(directory: Path, counts: Dumpable | None, history: Dumpable | None) -> None:
    """Let counts and history know what a run's directory has of them; a flow's has nothing."""
    checkpoint = read_checkpoint(directory)
    if checkpoint is None:
        return
    for said, into in ((checkpoint.counts, counts), (checkpoint.history, history)):
        if said is not None and into is not None:
            load_dump(directory, said, into)


def check_snapshot(directory: Path, start: Start) -> None:
    """Refuse a directory that has no states, or that of a run whose keyed stages saw nothing."""
    _partitions(directory)
    checkpoint: Checkpoint | None = read_checkpoint(directory)
    if checkpoint and checkpoint.start == Start.ENRICHED.value and start is not Start.ENRICHED:
        raise ReplayRefused(
            f"the run in {directory} began at enriched events and counted nothing: take the snapshot of another one"
        )


def _partitions(directory: Path) -> dict[int, Path]:
    """Return where the state of each partition lies."""
    found: dict[int, Path] = {}
    try:
        for root in (directory, directory / DIRECTORY, *sorted(directory.glob("process-*"))):
            for path in sorted(root.glob("partition-?????")) if root.is_dir() else ():
                if path.name[10:].isdigit():
                    found.setdefault(int(path.name[10:]), path)
    except OSError as error:
        raise ReplayRefused(_unreadable(directory, error)) from None
    if not found:
        raise ReplayRefused(
            f"{directory} holds no state of a flow or of a run: name the directory that has partition-*"
        )
    return found


def _run(path: Path, most: int) -> tuple[int, StoredSnapshots]:
    try:
        scans = [scan(segment) for segment in segments_in(path)]
    except OSError as error:
        raise ReplayRefused(_unreadable(path, error)) from None
    run = newest_run(scans, most)
    if run is None:
        offsets = [frame.number for found in scans for frame in found.snapshots]
        why = f"its oldest frame is of {min(offsets)}" if offsets else "it is empty"
        raise ReplayRefused(
            f"the snapshot in {path} has no whole state at or before offset {most} ({why}): begin the range later, or "
            "take an older snapshot"
        )
    return run.last.number, StoredSnapshots([(found.segment.path, frame) for found, frame in run.frames])


def _unreadable(path: Path, error: OSError) -> str:
    return f"the snapshot in {path} cannot be read ({error.strerror or error}): copy it while the flow stands still"
