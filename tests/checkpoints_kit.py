"""For tests of checkpoints: one process that adds up what it reads, with a state in a directory and two sinks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from flows.checkpoints import Checkpoints
from flows.parcel import Parcel, Span
from flows.progress import Progress
from flows.run_stage import Monitor
from schemas.batches import Decided, RawBatch
from tests.adding_stage import Adding, AddingSession
from tests.wire import raw_batch


class World:
    """One process: checkpoints over a directory, with two sinks."""

    def __init__(self, directory: Path, end: int = 1_000_000) -> None:
        self.progress = Progress(["redis", "clickhouse"])
        self.checkpoints: Checkpoints[RawBatch, RawBatch] = Checkpoints(
            directory, Adding(), self.progress, Monitor.silent()
        )
        self.resume = self.checkpoints.open(dict.fromkeys((0, 3), end))

    def apply(
        self, first: int, rows: int = 2, partition: int = 3, bug: bool = False, score: bool = True
    ) -> Parcel[RawBatch]:
        values = [b"bug" if bug and row == rows - 1 else b"x" for row in range(rows)]
        return self.run([Span(partition, first, first + rows)], raw_batch(values, partition, first), score=score)

    def run(self, spans: Sequence[Span], batch: RawBatch, *, score: bool = True) -> Parcel[RawBatch]:
        done = self.checkpoints.apply(Parcel(tuple(spans), batch, len(batch)))
        return self.remember(done) if score else done

    def remember(self, done: Parcel[RawBatch]) -> Parcel[RawBatch]:
        return cast(Parcel[RawBatch], self.checkpoints.remember(cast(Parcel[Decided], done)))

    def held(
        self, first: int, rows: int = 2, partition: int = 3, sinks: Sequence[str] = ("redis", "clickhouse")
    ) -> None:
        for sink in sinks:
            self.progress.acknowledge(sink, [Span(partition, first, first + rows)])

    def session(self, partition: int = 3) -> AddingSession:
        session = self.checkpoints._open[partition].session
        assert isinstance(session, AddingSession)
        return session

    def seen(self, partition: int = 3) -> list[int]:
        return self.session(partition).seen

    def metric(self, name: str) -> float:
        return float(getattr(self.checkpoints._monitor.metrics, name)._value.get())

    def killed(self) -> None:
        """End without a word, as kill -9 does: only the locks go."""
        for state in self.checkpoints._open.values():
            state.log.close()
