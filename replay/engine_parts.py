"""What a replay is made of, what it says of itself on the way, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from flows.parcel import Parcel
from flows.pipeline import Pipeline
from flows.run_stage import Monitor
from flows.sinks.encoded import EncodedParcel
from replay.checkpoint import Account, Dumpable
from replay.merge import Key, appended_at
from replay.pace import Pace
from replay.parts import Output, Source
from replay.plan import Plan
from schemas.batches import Decided


@dataclass(frozen=True, slots=True)
class Options:
    """How it is worked; results do not depend on it."""

    rows: int = 512  # of a parcel, at most SCORE_LAG
    checkpoint_seconds: float = 2.0  # at least between two checkpoints
    progress_seconds: float = 0.25


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. ``offsets`` are those of the plan, of warming up and of the range together."""

    warming: bool
    account: Account
    offsets_done: int
    offsets: int
    appended_at: int  # ms; what was read up to now was appended by then
    seconds: float  # since it was begun or resumed
    rows_here: int  # warmed up and read since then

    @property
    def rate(self) -> float:
        """Return events a second since it was begun or resumed."""
        return self.rows_here / self.seconds if self.seconds > 0 else 0.0

    @property
    def share(self) -> float:
        """Return how much is done, 0 to 1."""
        return self.offsets_done / self.offsets if self.offsets else 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of ``run``. ``finished``: every row of the plan was dealt with; else it was told to stop."""

    finished: bool
    account: Account
    seconds: float  # of this call
    rows_here: int  # warmed up and read in this call
    checkpoints: int  # of this call
    checkpoint_seconds: float


def _nothing(_: Progress) -> None:
    pass


@dataclass(frozen=True, slots=True)
class ReplayParts:
    """What the composition root puts in.

    ``counts`` and ``history`` are what the pipeline counts and judges with where they are in the process: they are
    kept in the checkpoint. None where they are in a store, under the run's own prefix. ``fingerprint`` names what
    results depend on beside the plan: build, model, policies, rules, lists, key; a run is not resumed with another one.
    ``key`` orders the rows of different partitions. ``remembers``: rules look at events or remember them.
    """

    plan: Plan
    source: Source
    pipeline: Pipeline
    encode: Callable[[Parcel[Decided]], EncodedParcel]
    output: Output
    monitor: Monitor
    directory: Path  # the run's own; the composition root's run.json may lie beside what the engine keeps there
    fingerprint: str
    counts: Dumpable | None = None
    history: Dumpable | None = None
    key: Key = appended_at
    remembers: bool = True
    pace: Pace = field(default_factory=Pace)
    progress: Callable[[Progress], None] = _nothing
    stopping: Callable[[], bool] = lambda: False
    options: Options = Options()
    clock: Callable[[], float] = time.monotonic


class Step(StrEnum):
    """What has just happened."""

    OPENED = "opened"
    RAN = "ran"  # a parcel, through all stages
    WRITTEN = "written"  # and given to the output
    FLUSHED = "flushed"
    FRAMED = "framed"  # states are durable
    DUMPED = "dumped"  # counts and history are
    CHECKPOINTED = "checkpointed"
    MARKED = "marked"  # what is older may go
