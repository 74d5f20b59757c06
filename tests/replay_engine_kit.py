"""Replays in one process: a source that cuts as it is told, an output that may lose what was not flushed, and rules."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from enrichers.present import present
from flows.lookups.memory_shared import MemorySharedCounts
from flows.parcel import Parcel, Span
from flows.pipeline import Pipeline, build_pipeline
from flows.run_stage import Monitor
from flows.sinks.encoded import EncodedParcel, encoder
from flows.stages.relate import Relate
from replay.engine import Options, Replay, ReplayParts
from replay.parts import Marks, SourceFailed
from replay.plan import Piece, Plan, Start
from schemas.batches import Ledger, Origin, RawBatch
from schemas.dead_letter import encode_dead_letter
from scoring.deployment import only
from scoring.explain import Explainer
from scoring.judge import Judge
from scoring.model import Model, find_model
from scoring.rules.memory_history import MemoryHistory
from tests.judging import in_force
from tests.rules_kit import ruleset
from tests.wire import LATENESS, NOW, RING, TOPIC

RULES = ruleset(
    {
        "rules": [
            {"id": "often", "when": {"count": "seen", "over": "1h", "gte": 3}, "actions": [{"score": 12.5}]},
            {"id": "many", "when": {"distinct": "devices", "over": "24h", "gte": 2}, "actions": [{"tag": "many"}]},
        ],
        "catalogues": {
            "seen": {"event_types": ["visit"], "entity": ".entities.session", "window": "1h"},
            "devices": {
                "event_types": ["visit"],
                "entity": ".entities.address",
                "value": ".entities.device",
                "window": "24h",
            },
        },
    }
)
_IN_FORCE = in_force(RULES)


@cache
def base_pipeline() -> Pipeline:
    """Return the pipeline of the shipped model, for the wire's keys."""
    return build_pipeline(RING, only(Model.load(find_model())), lateness_ms=LATENESS)


ENCODE = encoder(Explainer(), present, "replayed")


@dataclass
class Log:
    """What lies on the partitions: records and when Kafka appended them."""

    records: Mapping[int, Sequence[bytes]]
    appended: Mapping[int, Sequence[int]]  # ms

    def batch(self, partition: int, first: int, end: int) -> RawBatch:
        offset = np.arange(first, end, dtype=np.int64)
        appended = np.array(self.appended[partition][first:end], np.int64)
        origin = Origin(TOPIC, np.full(len(offset), partition, np.int32), offset, appended, appended)
        ledger = Ledger(("appended", "polled"), np.stack((appended, appended), axis=1) * 1000)
        return RawBatch(origin, tuple(self.records[partition][first:end]), ledger)

    def plan(self, name: str = "test", *, warm: int = 0, **more: Any) -> Plan:
        """Return a plan of everything, of which the first ``warm`` rows of each partition are warmed up."""
        warmed = tuple(Piece(at, 0, min(warm, len(rows))) for at, rows in self.records.items() if warm and rows)
        ranged = tuple(Piece(at, warm, len(rows)) for at, rows in self.records.items() if len(rows) > warm)
        return Plan(name, TOPIC, more.pop("start", Start.SEALED), warmed, ranged, **more)


def log_of(records: Sequence[bytes], partitions: int, spread: Callable[[int], int] = lambda row: row) -> Log:
    """Deal records to partitions; row ``i`` is appended at ``spread(i)`` seconds."""
    dealt: dict[int, list[bytes]] = {number: [] for number in range(partitions)}
    times: dict[int, list[int]] = {number: [] for number in range(partitions)}
    for row, record in enumerate(records):
        dealt[row % partitions].append(record)
        times[row % partitions].append(NOW + 50 + 1000 * spread(row))
    return Log(dealt, times)


@dataclass
class LogSource:
    """Cuts what it gives into chunks of the sizes that it is told, over and over."""

    log: Log
    sizes: Sequence[int] = (5,)
    fails_at: int = -1  # chunks until it fails
    closed: bool = False
    reads: list[tuple[Piece, int]] = field(default_factory=list)

    def read(self, piece: Piece, first: int, /) -> Iterator[RawBatch]:
        self.reads.append((piece, first))
        turn = 0
        while first < piece.next:
            if self.fails_at == 0:
                raise SourceFailed("the store is away")
            self.fails_at -= 1
            end = min(piece.next, first + self.sizes[turn % len(self.sizes)])
            yield self.log.batch(piece.partition, first, end)
            first, turn = end, turn + 1

    def close(self) -> None:
        self.closed = True


Kept = dict[tuple[int, int, str], bytes]


class Disk:
    """What survives: the outcomes that were flushed, and of the others as many as luck has it."""

    def __init__(self) -> None:
        self.kept: Kept = {}
        self.order: list[tuple[int, int, str]] = []
        self.again = 0

    def take(self, outcomes: Sequence[tuple[tuple[int, int, str], bytes]]) -> None:
        for name, value in outcomes:
            if name in self.kept:
                assert self.kept[name] == value, f"{name} came again with other bytes"
                self.again += 1
            else:
                self.order.append(name)
            self.kept[name] = value


class DiskOutput:
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._waiting: list[tuple[tuple[int, int, str], bytes]] = []
        self.parcels: list[EncodedParcel] = []
        self.marks: Marks | None = None
        self.flushes = 0

    def resume(self, marks: Marks, /) -> None:
        self.marks = marks

    def write(self, parcel: EncodedParcel, /) -> None:
        assert self.marks is not None, "resume comes first"
        self.parcels.append(parcel)
        origin = parcel.parcel.batch.origin
        places = zip(origin.partition.tolist(), origin.offset.tolist(), parcel.records, strict=True)
        self._waiting += [((partition, offset, ""), record) for partition, offset, record in places]
        for letter in parcel.parcel.errs:
            self._waiting.append(((letter.partition, letter.offset, letter.stage), encode_dead_letter(letter)))

    def flush(self) -> Marks:
        self._disk.take(self._waiting)
        self._waiting = []
        self.flushes += 1
        return {"topic": {"0": self.flushes}}

    def killed(self, share: float) -> None:
        """Keep so much of what was not flushed."""
        self._disk.take(self._waiting[: round(share * len(self._waiting))])

    def close(self) -> None:
        self._waiting = []


def parts_of(plan: Plan, log: Log, directory: Path, disk: Disk, **more: Any) -> ReplayParts:
    """Return the parts of a run in a process of its own, as it were: nothing is shared but the disk."""
    lateness = more.pop("lateness", LATENESS)
    counts, history = MemorySharedCounts(lateness), MemoryHistory()
    judge = Judge(lambda: _IN_FORCE, history)
    rows = more.pop("rows", 7)
    known: dict[str, Any] = {
        "plan": plan,
        "source": more.pop("source", None) or LogSource(log, more.pop("sizes", (5,))),
        "pipeline": replace(base_pipeline(), relate=Relate(counts), judge=judge),
        "encode": ENCODE,
        "output": more.pop("output", None) or DiskOutput(disk),
        "monitor": Monitor.silent(),
        "directory": directory,
        "fingerprint": "a build",
        "counts": counts,
        "history": history,
        "options": Options(rows, more.pop("checkpoint_seconds", 0.0), progress_seconds=0.0),
        "clock": lambda: 0.0,  # so that a checkpoint takes no time, and is due after every parcel
    }
    return ReplayParts(**(known | more))


def replayed(plan: Plan, log: Log, directory: Path, **more: Any) -> tuple[Disk, Replay]:
    """Run a replay to its end."""
    disk = Disk()
    replay = Replay(parts_of(plan, log, directory, disk, **more))
    assert replay.run().finished
    return disk, replay


def flowed(log: Log, partition: int, rows: int) -> Kept:
    """Return what the fused flow makes of a partition, with its ledger at the append times."""
    counts, history = MemorySharedCounts(LATENESS), MemoryHistory()
    pipeline = replace(base_pipeline(), relate=Relate(counts), judge=Judge(lambda: _IN_FORCE, history))
    session, monitor, disk = pipeline.keyed.open(()), Monitor.silent(), Disk()
    output = DiskOutput(disk)
    output.resume({})
    total = len(log.records[partition])
    for first in range(0, total, rows):
        end = min(total, first + rows)
        batch = log.batch(partition, first, end)
        done = pipeline.run(_parcel(batch, first, end), session, monitor)
        micros = np.repeat(done.batch.origin.appended_at[:, None] * 1000, len(done.batch.ledger.marks), axis=1)
        ledger = replace(done.batch.ledger, micros=micros)
        output.write(ENCODE(replace(done, batch=replace(done.batch, ledger=ledger))))
    output.flush()
    return disk.kept


def _parcel(batch: RawBatch, first: int, end: int) -> Parcel[RawBatch]:
    return Parcel((Span(int(batch.origin.partition[0]), first, end),), batch, end - first)


class LaterLog(Log):
    """What lies on the topic of a later stage, by the offsets of ``events.raw``; rows that had an end are not there."""

    def __init__(self, log: Log, batches: Mapping[int, RawBatch]) -> None:
        super().__init__(log.records, log.appended)
        self._batches = batches

    def batch(self, partition: int, first: int, end: int) -> RawBatch:
        found = self._batches[partition]
        return found.take(np.flatnonzero((found.origin.offset >= first) & (found.origin.offset < end)))


def later_log(log: Log, start: str) -> tuple[Log, Plan]:
    """Return what the stages before a start make of all rows, and the plan of a replay from there."""
    stage = {"extracted": "normalize", "enriched": "score"}[start]
    taken: list[RawBatch] = []

    def tapped(batch: Any) -> Any:
        taken.append(batch)
        return getattr(base_pipeline(), stage)(batch)

    with tempfile.TemporaryDirectory() as root:
        parts = parts_of(log.plan(), log, Path(root), Disk())
        pipeline: Any = replace(parts.pipeline, **{stage: _Tap(stage, tapped)})
        Replay(replace(parts, pipeline=pipeline)).run()
    whole = type(taken[0]).concat(taken)
    of_each = {at: whole.take(np.flatnonzero(whole.origin.partition == at)) for at in log.records}
    return LaterLog(log, of_each), log.plan(start=Start(start))


@dataclass
class _Tap:
    name: str
    call: Callable[[Any], Any]

    def __call__(self, batch: Any, /) -> Any:
        return self.call(batch)
