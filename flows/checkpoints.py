"""Checkpoints: the state of the keyed stage and the offsets that fit it, by Kafka partition.

A frame of the state log holds what changed and the next offset. The flow resumes at the last frame that lies at or
below the lowest offset that every sink has acknowledged, with the state exactly as it was there: so a replayed event
sees what it saw the first time (docs/adr/0002-state-and-offsets-in-one-log.md).
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from flows.parcel import Parcel
from flows.progress import Progress
from flows.run_stage import Monitor, run_session
from flows.state_log import Loaded, StateLog, StateWriteFailed
from schemas.batches import RawBatch
from schemas.stage import KeyedStage, Session, StageOut

In = TypeVar("In", bound=RawBatch)
Out = TypeVar("Out", bound=RawBatch)
log = logging.getLogger("clickgoose.flow")


class Checkpoints(Generic[In, Out]):
    """The open sessions of one process. Opening takes a lock: a second flow on the same partition is refused."""

    def __init__(self, directory: Path, stage: KeyedStage[In, Out], progress: Progress, monitor: Monitor) -> None:
        self._directory = directory
        self._stage = stage
        self._progress = progress
        self._monitor = monitor
        self._logs: dict[int, StateLog] = {}
        self._sessions: dict[int, Session[In, Out]] = {}
        self._resume: dict[int, int | None] = {}
        self._applied: dict[int, int] = {}
        self._torn: set[int] = set()

    def open(self, ends: Mapping[int, int]) -> dict[int, int | None]:
        """Load every partition's state; return where each resumes, None meaning Kafka's earliest.

        ``ends`` gives Kafka's log end of every partition. A state from beyond it is of another topic of that name: it
        is set aside, and said aloud.
        """
        for partition, end in ends.items():
            directory = self._directory / f"partition-{partition:05d}"
            state_log, loaded = _load(directory, partition)
            if loaded.next_offset is not None and loaded.next_offset > end:
                state_log.close()
                _set_aside(directory, loaded.next_offset, end)
                state_log, loaded = _load(directory, partition)
            self._logs[partition] = state_log
            self._sessions[partition] = self._stage.open(loaded.deltas)
            self._resume[partition] = loaded.next_offset
            self._progress.begin(partition, loaded.next_offset or 0)
        return dict(self._resume)

    def apply(self, parcel: Parcel[In]) -> Parcel[Out]:
        """Run the keyed stage on a parcel, each row with the state of its partition.

        Where the stage raises, a state may hold half of the parcel: it is never written, so that the flow resumes at
        the frame before.
        """
        partitions = [span.partition for span in parcel.spans]
        self._torn.update(partitions)
        session = _ByPartition({partition: self._sessions[partition] for partition in partitions})
        done = run_session(self._stage.name, session, parcel, self._monitor)
        self._torn.difference_update(partitions)
        self._applied.update((span.partition, span.next) for span in parcel.spans)
        return done

    def snapshot(self) -> None:
        """Append what changed in every partition, and let the logs forget what no resume can need."""
        for partition in self._logs:
            self._snapshot(partition)

    def _snapshot(self, partition: int) -> None:
        if partition not in self._applied or partition in self._torn:
            return
        state_log, session = self._logs[partition], self._sessions[partition]
        try:
            if state_log.wants_rotation():
                state_log.rotate(session.snapshot(full=True), self._applied[partition])
            else:
                state_log.append(session.snapshot(), self._applied[partition])
            self._mark(partition)
        except StateWriteFailed as error:
            # The log keeps what it could not write for its next frame: scoring goes on, the resume offset stands still.
            self._monitor.metrics.state_write_failures.inc()
            log.error("%s", error, extra={"partition": partition})

    def finish(self) -> None:
        """Write the last frames and watermarks and let go of the locks: after the sinks have closed."""
        for partition, state_log in self._logs.items():
            self._snapshot(partition)
            if partition in self._torn:
                self._mark(partition)  # what the sinks hold of the frames before the torn one still counts
            state_log.close()
        self._logs.clear()

    def _mark(self, partition: int) -> None:
        watermark = self._progress.watermark(partition)
        self._logs[partition].mark(watermark)
        waiting = self._applied.get(partition, watermark) - watermark
        self._monitor.metrics.unacknowledged.labels(str(partition)).set(waiting)


def _load(directory: Path, partition: int) -> tuple[StateLog, Loaded]:
    state_log = StateLog(directory)
    loaded = state_log.load()
    for problem in loaded.problems:
        log.warning("state log: %s", problem, extra={"partition": partition})
    return state_log, loaded


def _set_aside(directory: Path, next_offset: int, end: int) -> None:
    aside = directory.with_name(f"{directory.name}.beyond-{end}")
    shutil.rmtree(aside, ignore_errors=True)
    directory.rename(aside)
    log.warning(
        "the state in %s is of offset %d, but Kafka's log ends at %d: the topic was made anew; the state is now %s and "
        "the flow starts from Kafka's earliest record",
        directory, next_offset, end, aside.name,
    )  # fmt: skip


class _ByPartition(Generic[In, Out]):
    """Several sessions as one: the rows of a batch go to that of their partition, and come back in their order."""

    def __init__(self, sessions: Mapping[int, Session[In, Out]]) -> None:
        self._sessions = sessions

    def apply(self, batch: In, /) -> StageOut[Out]:
        """Return what all sessions give, in the order of the batch."""
        if len(self._sessions) == 1:
            (session,) = self._sessions.values()
            return session.apply(batch)
        outs = [
            session.apply(batch.take(np.flatnonzero(batch.origin.partition == partition)))
            for partition, session in self._sessions.items()
        ]
        oks = type(outs[0].oks).concat([out.oks for out in outs])
        return StageOut(oks, [letter for out in outs for letter in out.errs], sum(out.dropped for out in outs))
