"""The loop of a replay: rows in the order of the merge, through the stages that the flow has, into the namespace.

::

    pieces -> merge -> parcel -> stages -> rows of the range -> selection -> encode -> output
                                   |                                                     |
                              states, counts, history -----> checkpoint <------------- flush

It reads no clock but to say how fast it is, to keep a pace and to know when a checkpoint is due: outcomes depend on the
plan, and on the build, model, policies, rules and lists that the pipeline was made with. Warming up is the same loop
with nothing written. ``steps`` is the loop with a name for each point at which a machine may lose power: at all of them
a new ``Replay`` of the same directory goes on with no row missing and none counted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from flows.parcel import Parcel
from flows.state_lock import StateLocked, holder_of, let_go, take_lock
from replay.checkpoint import (
    Account,
    At,
    Checkpoint,
    Dumpable,
    Dumped,
    ReplayRefused,
    clean,
    load_dump,
    read_checkpoint,
    write_checkpoint,
    write_dump,
)
from replay.checkpoint_states import States, forget_states
from replay.engine_order import MergeOrder, in_order
from replay.engine_parts import Options, Outcome, Progress, ReplayParts, Step
from replay.engine_rows import NEVER, Rows, through
from replay.merge import Cut, Lane, Place, merged
from replay.plan import Piece, Plan
from replay.warm import check_snapshot, load_shared, open_snapshot, snapshot_offsets
from schemas.batches import RawBatch
from schemas.velocity import SCORE_LAG

__all__ = ["Account", "Dumpable", "Options", "Outcome", "Progress", "Replay", "ReplayParts", "ReplayRefused", "Step"]
_COST = 39  # a checkpoint is due when work took so many times as long as the last one did: 2.5% of the time at most


class Replay:
    """One run. ReplayRefused from ``__init__`` writes nothing; the caller closes source and output."""

    def __init__(self, parts: ReplayParts) -> None:
        self._parts = parts
        self._plan = parts.plan
        self._pieces = pieces_of(parts.plan, parts.options.rows)
        self._fingerprint = fingerprint(parts)
        self._rows = Rows(parts.plan)
        self._begun = read_checkpoint(parts.directory)
        self._account, self._number = Account(), 0
        self._places = {partition: Place(pieces[0].first) for partition, pieces in self._pieces.items()}
        self._waiting: dict[int, int] = {}  # offsets of the snapshot's states that are to take over
        if self._begun is None:
            self._find_snapshot()
        else:
            self._take_up(self._begun)
        self._states = States(parts.directory, parts.pipeline.keyed)
        self._order = MergeOrder()
        self._pipeline = parts.pipeline
        if len(self._pieces) > 1:
            self._pipeline = in_order(parts.pipeline, self._order, remembers=parts.remembers)
        self._newest = 0  # ms, append time
        self._rows_here, self._checkpoints, self._checkpoint_seconds = 0, 0, 0.0

    @property
    def resumes(self) -> bool:
        """Return whether there is a checkpoint to go on from."""
        return self._begun is not None

    @property
    def positions(self) -> dict[int, int]:
        """Return the next offset of each partition by the checkpoint: what is written from there on may be there."""
        return {partition: place.next for partition, place in self._places.items()}

    def _take_up(self, begun: Checkpoint) -> None:
        if begun.fingerprint != self._fingerprint:
            raise ReplayRefused(
                f"the run in {self._parts.directory} was begun with another plan, build, model, policies, rules or "
                "lists: resume it with those, or give the new run another name"
            )
        for said, into in ((begun.counts, self._parts.counts), (begun.history, self._parts.history)):
            if (said is None) != (into is None) and not begun.finished:
                raise ReplayRefused(
                    f"the run in {self._parts.directory} was begun with its counts or history kept elsewhere: resume "
                    "it with those"
                )
        self._account, self._number = begun.account, begun.number
        self._places = {partition: Place(at.next, at.high) for partition, at in begun.partitions.items()}
        waiting = {partition: at.snapshot for partition, at in begun.partitions.items()}
        self._waiting = {partition: offset for partition, offset in waiting.items() if offset is not None}

    def _find_snapshot(self) -> None:
        if not self._plan.snapshot:
            return
        check_snapshot(Path(self._plan.snapshot), self._plan.start)
        ends = {partition: pieces[-1].next for partition, pieces in self._pieces.items()}
        self._waiting = snapshot_offsets(Path(self._plan.snapshot), ends | self._rows.range_first)

    def run(self) -> Outcome:
        """Run until every row is dealt with, or ``stopping`` says so; an exception leaves the last checkpoint."""
        started = self._parts.clock()
        for _ in self.steps():
            pass
        return Outcome(
            finished=self._begun is not None and self._begun.finished,
            account=self._account,
            seconds=self._parts.clock() - started,
            rows_here=self._rows_here,
            checkpoints=self._checkpoints,
            checkpoint_seconds=self._checkpoint_seconds,
        )

    def steps(self) -> Iterator[Step]:
        """Do what ``run`` does, and yield after each step; closing the iterator lets go, and writes nothing."""
        if self._begun is not None and self._begun.finished:
            return
        lock = _locked(self._parts.directory)
        try:
            lanes = self._lanes()  # whose sources connect while states are opened
            self._open()
            yield Step.OPENED
            yield from self._loop(lanes)
        finally:
            self._states.close()
            let_go(lock)

    def _open(self) -> None:
        directory, begun = self._parts.directory, self._begun
        clean(directory, begun)
        forget_states(directory, () if begun is None else self._pieces)
        if begun is None:
            if self._plan.snapshot:
                load_shared(Path(self._plan.snapshot), self._parts.counts, self._parts.history)
            self._states.open(dict.fromkeys(self._pieces))
            return
        for said, into in ((begun.counts, self._parts.counts), (begun.history, self._parts.history)):
            if said is not None and into is not None:
                load_dump(directory, said, into)
        self._states.open({partition: at.frame for partition, at in begun.partitions.items()})

    def _loop(self, lanes: Sequence[Lane]) -> Iterator[Step]:
        self._parts.output.resume({} if self._begun is None else self._begun.marks)
        meter, finished = _Meter(self._parts.clock, self._parts.options), True
        for cut in merged(lanes, self._parts.options.rows):
            self._keep_pace(cut)
            if self._parts.stopping():
                finished = False
                break
            yield from self._do(cut)
            if meter.progress_is_due():
                self._parts.progress(self._progress(meter.seconds))
            if meter.checkpoint_is_due():
                yield from self._checkpoint(meter, finished=False)
        yield from self._checkpoint(meter, finished=finished)
        self._parts.progress(self._progress(meter.seconds))

    def _lanes(self) -> list[Lane]:
        return [
            Lane(
                partition,
                self._chunks(pieces, place.next),
                place,
                self._rows.range_first.get(partition, NEVER),
                self._waiting.get(partition, 0),
                self._parts.key,
            )
            for (partition, pieces), place in zip(self._pieces.items(), self._places.values(), strict=True)
        ]

    def _chunks(self, pieces: list[Piece], first: int) -> Iterator[RawBatch]:
        """Return the rows of a partition. Its first piece is opened now, so that all partitions connect together."""
        source, left = self._parts.source, [piece for piece in pieces if first < piece.next]
        if not left:
            return iter(())
        begun = source.read(left[0], max(first, left[0].first))
        return chain(begun, chain.from_iterable(source.read(piece, piece.first) for piece in left[1:]))

    def _keep_pace(self, cut: Cut) -> None:
        """Wait before rows of the range; warming up goes as fast as it can."""
        if rows := sum(self._rows.count_in_range(ranked.parcel) for ranked in cut.parcels):
            newest = max(int(ranked.parcel.batch.origin.appended_at.max()) for ranked in cut.parcels)
            self._parts.pace.wait(rows, newest, self._parts.stopping)

    def _do(self, cut: Cut) -> Iterator[Step]:
        for ranked in cut.parcels:
            parcel = ranked.parcel
            self._take_over(parcel)
            self._order.set(ranked)
            sessions = {span.partition: self._states[span.partition] for span in parcel.spans}
            decided = through(self._pipeline, self._plan.start, parcel, sessions, self._parts.monitor)
            yield Step.RAN
            account, written = self._rows.settle(parcel, decided)
            if written is not None:
                self._parts.output.write(self._parts.encode(written))
                yield Step.WRITTEN
            self._account += account
            self._rows_here += account.warmed + account.read
            self._newest = max(self._newest, int(parcel.batch.origin.appended_at.max()))
            self._states.applied({span.partition: span.next for span in parcel.spans})
        self._places |= cut.places

    def _take_over(self, parcel: Parcel[RawBatch]) -> None:
        """Put the snapshot's states in their places, where the first row behind them comes."""
        for partition, first, _ in parcel.spans:
            if (offset := self._waiting.get(partition, NEVER)) <= first:
                stages = self._parts.pipeline.keyed
                self._states.replace(partition, open_snapshot(Path(self._plan.snapshot), partition, offset, stages))
                del self._waiting[partition]

    def _checkpoint(self, meter: _Meter, *, finished: bool) -> Iterator[Step]:
        began = self._parts.clock()
        marks = self._parts.output.flush()
        yield Step.FLUSHED
        frames = self._states.append()
        yield Step.FRAMED
        counts, history = (self._dumped(name, what) for name, what in self._dumpable())
        yield Step.DUMPED
        self._number += 1
        partitions = {
            partition: At(place.next, place.high, frames[partition], self._waiting.get(partition))
            for partition, place in self._places.items()
        }
        self._begun = Checkpoint(
            fingerprint=self._fingerprint,
            start=self._plan.start.value,
            number=self._number,
            partitions=partitions,
            account=self._account,
            marks=marks,
            finished=finished,
            counts=counts,
            history=history,
        )
        write_checkpoint(self._parts.directory, self._begun)
        yield Step.CHECKPOINTED
        self._states.mark()
        clean(self._parts.directory, self._begun)
        self._checkpoints += 1
        took = self._parts.clock() - began
        self._checkpoint_seconds += took
        meter.made_checkpoint(took)
        yield Step.MARKED

    def _dumpable(self) -> tuple[tuple[str, Dumpable | None], ...]:
        return ("counts", self._parts.counts), ("history", self._parts.history)

    def _dumped(self, name: str, what: Dumpable | None) -> Dumped | None:
        if what is None:
            return None
        return write_dump(self._parts.directory, f"{name}-{self._number + 1}.dump", what.dump())

    def _progress(self, seconds: float) -> Progress:
        done = sum(
            min(max(self._places[piece.partition].next, piece.first), piece.next) - piece.first
            for piece in (*self._plan.warm, *self._plan.range)
        )
        return Progress(
            warming=self._account.read == 0,
            account=self._account,
            offsets_done=done,
            offsets=sum(map(len, (*self._plan.warm, *self._plan.range))),
            appended_at=self._newest,
            seconds=seconds,
            rows_here=self._rows_here,
        )


class _Meter:
    """When progress and checkpoints are due."""

    def __init__(self, clock: Callable[[], float], options: Options) -> None:
        self._clock, self._options = clock, options
        self._began = self._told = self._saved = clock()
        self._pause = options.checkpoint_seconds

    @property
    def seconds(self) -> float:
        return self._clock() - self._began

    def progress_is_due(self) -> bool:
        now = self._clock()
        if now - self._told < self._options.progress_seconds:
            return False
        self._told = now
        return True

    def checkpoint_is_due(self) -> bool:
        return self._clock() - self._saved >= self._pause

    def made_checkpoint(self, took: float) -> None:
        self._saved = self._clock()
        self._pause = max(self._options.checkpoint_seconds, _COST * took)


def pieces_of(plan: Plan, rows: int) -> dict[int, list[Piece]]:
    """Return the pieces of each partition in order; ValueError where a plan is none."""
    if not 1 <= rows <= SCORE_LAG:
        raise ValueError(f"a parcel of a replay has 1 to {SCORE_LAG} rows, not {rows}")
    if not any(map(len, plan.range)):
        raise ValueError("the range of the plan is empty")
    found: dict[int, list[Piece]] = {partition: [] for partition in plan.partitions}
    for piece in (*plan.warm, *plan.range):
        pieces = found[piece.partition]
        if piece.next < piece.first or (pieces and piece.first < pieces[-1].next):
            raise ValueError(f"the pieces of partition {piece.partition} overlap, or are out of order")
        pieces.append(piece)
    return found


def fingerprint(parts: ReplayParts) -> str:
    """Return a digest of all that results depend on: two runs with the same one give the same bytes."""
    plan, selection = parts.plan, parts.plan.selection
    places = None if selection.places is None else sorted(selection.places)
    said: Any = (
        parts.fingerprint, parts.options.rows, plan.topic, plan.start, plan.snapshot,
        [(piece.partition, piece.first, piece.next) for piece in plan.warm],
        [(piece.partition, piece.first, piece.next) for piece in plan.range],
        sorted(selection.merchants), sorted(selection.sessions), places, selection.sample,
    )  # fmt: skip
    return sha256(msgspec.json.encode(said)).hexdigest()


def _locked(directory: Path) -> int:
    directory.mkdir(parents=True, exist_ok=True)
    try:
        return take_lock(directory)
    except StateLocked:
        holder = holder_of(directory)
        raise ReplayRefused(f"the run in {directory} is being worked on by process {holder or 'unknown'}") from None
