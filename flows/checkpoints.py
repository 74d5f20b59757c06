"""Checkpoints: the state of the keyed stage and the offsets that fit it, by Kafka partition.

A frame of the state log holds what changed and the next offset. The flow resumes at the last frame that lies at or
below the lowest offset that every sink has acknowledged, with the state exactly as it was there: so a replayed event
sees what it saw the first time (docs/adr/0002-state-and-offsets-in-one-log.md).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Generic, TypeVar

from flows.parcel import Parcel
from flows.progress import Progress
from flows.run_stage import Monitor, run_session
from flows.state_log import StateLog
from schemas.batches import RawBatch
from schemas.stage import KeyedStage, Session

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

    def open(self, partitions: Iterable[int]) -> dict[int, int | None]:
        """Load every partition's state; return where each resumes, None meaning Kafka's earliest."""
        for partition in partitions:
            state_log = StateLog(self._directory / f"partition-{partition:05d}")
            loaded = state_log.load()
            for problem in loaded.problems:
                log.warning("state log: %s", problem, extra={"partition": partition})
            self._logs[partition] = state_log
            self._sessions[partition] = self._stage.open(loaded.deltas)
            self._resume[partition] = loaded.next_offset
            self._progress.begin(partition, loaded.next_offset or 0)
        return dict(self._resume)

    def apply(self, parcel: Parcel[In]) -> Parcel[Out]:
        """Run the keyed stage on a parcel with the state of its partition.

        Where the stage raises, the state may hold half of the parcel: it is never written, so that the flow resumes
        at the frame before.
        """
        partition = parcel.span.partition
        self._torn.add(partition)
        done = run_session(self._stage.name, self._sessions[partition], parcel, self._monitor)
        self._torn.discard(partition)
        self._applied[partition] = parcel.span.next
        return done

    def snapshot(self, partition: int) -> None:
        """Append what changed, and let the log forget what no resume can need."""
        if partition not in self._applied or partition in self._torn:
            return
        state_log, session = self._logs[partition], self._sessions[partition]
        if state_log.wants_rotation():
            state_log.rotate(session.snapshot(full=True), self._applied[partition])
        else:
            state_log.append(session.snapshot(), self._applied[partition])
        self._mark(partition)

    def finish(self) -> None:
        """Write the last frames and watermarks and let go of the locks: after the sinks have closed."""
        for partition, state_log in self._logs.items():
            self.snapshot(partition)
            self._mark(partition)
            state_log.close()
        self._logs.clear()

    def _mark(self, partition: int) -> None:
        watermark = self._progress.watermark(partition)
        self._logs[partition].mark(watermark)
        waiting = self._applied.get(partition, watermark) - watermark
        self._monitor.metrics.unacknowledged.labels(str(partition)).set(waiting)
