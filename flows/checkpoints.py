"""Checkpoints: the state of the keyed stages and the offsets that fit it, by Kafka partition.

A frame of the state log holds what changed and the next offset. The flow resumes at the last frame that lies at or
below the lowest offset that every sink has acknowledged, with the state exactly as it was there: so a replayed event
sees what it saw the first time (docs/adr/0002-state-and-offsets-in-one-log.md).
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from flows.by_partition import ByPartition
from flows.chain import ChainSession
from flows.parcel import Parcel, Span
from flows.progress import Progress
from flows.run_stage import Monitor, run_session
from flows.stage_state import StageSession
from flows.state_log import Loaded, StateLog, StateWriteFailed, directory_of
from schemas.batches import Decided, Judged, RawBatch
from schemas.stage import Applies, KeyedStage, Session
from schemas.velocity import SCORE_LAG
from scoring.decide import DecideSession, Together

In = TypeVar("In", bound=RawBatch)
Out = TypeVar("Out", bound=RawBatch)
log = logging.getLogger("clickgoose.flow")


class StateRefused(RuntimeError):
    """The frames are whole, but this build cannot read what is in them."""


class ScoresBehind(RuntimeError):
    """Rows reached the keyed stage before the scores that they must see: results would depend on how rows are cut."""


@dataclass(slots=True)
class _Open(Generic[In, Out]):
    """One partition. ``applied`` and ``scored`` are next offsets, None before the first parcel of a new state."""

    log: StateLog
    session: Session[In, Out]
    applied: int | None
    scored: int | None
    torn: bool = False


class Checkpoints(Generic[In, Out]):
    """The open sessions of one process. Opening takes a lock: a second flow on the same partition is refused.

    Partitions may be opened, and worked on, in several threads; one partition belongs to one thread at a time.
    """

    def __init__(self, directory: Path, stage: KeyedStage[In, Out], progress: Progress, monitor: Monitor) -> None:
        self._directory = directory
        self._stage = stage
        self._progress = progress
        self._monitor = monitor
        self._open: dict[int, _Open[In, Out]] = {}
        self._steps: dict[str, dict[int, Any]] = {}  # by stage and partition: sessions, each stage measured alone

    def open(self, ends: Mapping[int, int]) -> dict[int, int | None]:
        """Load the partitions' states; return where each resumes, None meaning Kafka's earliest.

        ``ends`` gives Kafka's log end of each. A state from beyond it is of another topic of that name: it is set
        aside, and said aloud. StateLocked, StateMisplaced and StateRefused open none of them. May be called again for
        other partitions.
        """
        opened: dict[int, _Open[In, Out]] = {}
        try:
            for partition, end in ends.items():
                opened[partition] = self._opened(partition, end)
        except BaseException:
            for state in opened.values():
                state.log.close()
            raise
        self._open.update(opened)
        for partition, state in opened.items():
            for name, session in _steps_of(state.session, self._stage.name):
                self._steps.setdefault(name, {})[partition] = session
        return {partition: state.applied for partition, state in opened.items()}

    def _opened(self, partition: int, end: int) -> _Open[In, Out]:
        directory = directory_of(self._directory, partition)
        state_log, loaded = self._load(directory, partition)
        if loaded.next_offset is not None and loaded.next_offset > end:
            state_log.close()
            _set_aside(directory, loaded.next_offset, end)
            state_log, loaded = self._load(directory, partition)
        try:
            session = self._stage.open(loaded.snapshots)
        except BaseException as error:
            state_log.close()
            if isinstance(error, ValueError):
                raise StateRefused(
                    f"the state in {directory} cannot be read ({error}): run the build that wrote it, or move the "
                    "directory away to rebuild the state from Kafka's earliest record"
                ) from None
            raise
        self._progress.begin(partition, loaded.next_offset or 0)
        return _Open(state_log, session, loaded.next_offset, loaded.next_offset)

    def _load(self, directory: Path, partition: int) -> tuple[StateLog, Loaded]:
        state_log = StateLog(directory, partition)
        try:
            loaded = state_log.load()
        except BaseException:
            state_log.close()
            raise
        for problem in loaded.problems:
            log.warning("state log: %s", problem, extra={"partition": partition})
            self._monitor.metrics.state_damage.inc()
        return state_log, loaded

    def session(self, partition: int) -> Session[In, Out]:
        """Return the open session of a partition."""
        return self._open[partition].session

    def reached(self, partition: int) -> tuple[int | None, int | None]:
        """Return up to where rows were applied, and up to where their scores are remembered; None: not begun."""
        return self._open[partition].applied, self._open[partition].scored

    def begin(self, partition: int, offset: int) -> None:
        """Say where the rows of a new state begin: there is no score to wait for before it."""
        state = self._open[partition]
        if state.applied is None:
            state.applied = state.scored = offset

    def apply(self, parcel: Parcel[In]) -> Parcel[Out]:
        """Run the keyed stages on a parcel, one after the other, each row with the state of its partition.

        Where one raises, a state may hold half of the parcel: it is never written, so that the flow resumes at
        the frame before. ScoresBehind where ``remember`` has not seen the parcels that this one must see the scores of.
        """
        states = {span.partition: self._open[span.partition] for span in parcel.spans}
        for span in parcel.spans:
            _check_scores(span, states[span.partition])
        _tear(states.values(), torn=True)
        done: Parcel[Any] = parcel
        for name, sessions in self._steps.items():
            done = run_session(name, _among(sessions, parcel.spans), done, self._monitor)
        _tear(states.values(), torn=False)
        for span in parcel.spans:
            states[span.partition].applied = span.next
        return done

    def decide(self, parcel: Parcel[Judged]) -> Parcel[Decided]:
        """Run the last keyed stage on a parcel that was scored and judged, each row with the state of its partition.

        A state is torn by what it raises as in ``apply``. Between this and ``remember`` no frame is written.
        """
        states = {span.partition: self._open[span.partition] for span in parcel.spans}
        _tear(states.values(), torn=True)
        together = Together({partition: _last_of(state.session) for partition, state in states.items()})
        done = run_session(together.name, together, parcel, self._monitor)
        _tear(states.values(), torn=False)
        return done

    def remember(self, parcel: Parcel[Decided]) -> Parcel[Decided]:
        """Let the sessions take note of a parcel's scores, and hand the parcel on as it is."""
        states = {span.partition: self._open[span.partition] for span in parcel.spans}
        started = self._monitor.clock()
        _tear(states.values(), torn=True)
        for sessions in self._steps.values():
            _among(sessions, parcel.spans).remember(parcel.batch)
        _tear(states.values(), torn=False)
        for span in parcel.spans:
            states[span.partition].scored = span.next
        self._monitor.metrics.stage_seconds.labels("remember").observe((self._monitor.clock() - started) / 1e9)
        return parcel

    def snapshot(self, partitions: Iterable[int] | None = None) -> None:
        """Append what changed in these partitions, else in all; let the logs forget what no resume can need."""
        for partition in list(self._open) if partitions is None else partitions:
            self._snapshot(partition, self._open[partition])

    def _snapshot(self, partition: int, state: _Open[In, Out]) -> None:
        if state.applied is None or state.torn:
            return
        try:
            if state.scored != state.applied:
                # Some rows are between the keyed stage and the score: a frame of now would forget their scores.
                self._monitor.metrics.snapshots_skipped.inc()
            elif state.log.newest_offset != state.applied:
                self._append(state, state.applied)
            self._mark(partition, state)
        except StateWriteFailed as error:
            # The log keeps what it could not write for its next frame: scoring goes on, the resume offset stands still.
            self._monitor.metrics.state_write_failures.inc()
            log.error("%s", error, extra={"partition": partition})

    def _append(self, state: _Open[In, Out], next_offset: int) -> None:
        started = self._monitor.clock()
        state.log.append(state.session.snapshot(whole=state.log.wants_whole()), next_offset)
        self._monitor.metrics.snapshot_seconds.observe((self._monitor.clock() - started) / 1e9)

    def finish(self) -> None:
        """Write the last frames and watermarks and let go of the locks: after the sinks have closed."""
        for partition, state in self._open.items():
            self._snapshot(partition, state)
            if state.torn:
                self._mark(partition, state)  # what the sinks hold of the frames before the torn one still counts
            state.log.close()
        self._open.clear()
        self._steps.clear()

    def _mark(self, partition: int, state: _Open[In, Out]) -> None:
        watermark = self._progress.watermark(partition)
        state.log.mark(watermark)
        waiting = (state.applied or watermark) - watermark
        self._monitor.metrics.unacknowledged.labels(str(partition)).set(waiting)


def _check_scores(span: Span, state: _Open[In, Out]) -> None:
    """Refuse rows whose partition has unscored rows that are SCORE_LAG offsets or more before one of them."""
    if state.applied is None or state.scored == state.applied:
        return
    if state.scored is None or state.scored < span.next - SCORE_LAG:
        raise ScoresBehind(
            f"rows up to offset {span.next} of partition {span.partition} came before the scores of those from "
            f"{state.scored} on: the flow runs one parcel after the other, so this is a bug"
        )


def _tear(states: Iterable[_Open[In, Out]], *, torn: bool) -> None:
    for state in states:
        state.torn = torn


def _among(sessions: Mapping[int, Any], spans: Sequence[Span]) -> Any:
    """Return the sessions of a parcel's partitions as one."""
    return sessions[spans[0].partition] if len(spans) == 1 else ByPartition(sessions)


def _steps_of(session: Session[Any, Any], name: str) -> Sequence[tuple[str, Applies[Any, Any]]]:
    return session.steps if isinstance(session, ChainSession | StageSession) else ((name, session),)


def _last_of(session: Session[Any, Any]) -> DecideSession:
    if not isinstance(session, ChainSession | StageSession):
        raise TypeError("this flow has no stage behind its scores")
    return session.last


def _set_aside(directory: Path, next_offset: int, end: int) -> None:
    aside = directory.with_name(f"{directory.name}.beyond-{end}")
    shutil.rmtree(aside, ignore_errors=True)
    directory.rename(aside)
    log.warning(
        "the state in %s is of offset %d, but Kafka's log ends at %d: the topic was made anew; the state is now %s and "
        "the flow starts from Kafka's earliest record",
        directory, next_offset, end, aside.name,
    )  # fmt: skip
