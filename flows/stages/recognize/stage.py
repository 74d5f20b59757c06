"""The stage: keys of a batch, what the state says of them, and what is told of decisions.

**What a row sees** depends on the rows of its partition before it, in the order of their offsets, and on nothing else,
however rows are cut into batches. *Now* is the largest event time of the partition so far; an event that comes late
counts with what is left of its weight. Decisions that ``remember`` brings are seen by rows whose offset is at least
SCORE_LAG larger, as velocity's scores are; an event counts for its networks when its decision does, so that a share
never rests on events whose outcome is not known yet.

**Copies** are found for 24 hours, or as far back as the table reaches: where it is full the oldest gives way. The
event's id is another one, for velocity drops rows whose id came before.

- *same contents*: all numbers, booleans, categories and the log are those of an earlier event. Only events that tell
  the page's age are compared: what is measured once a page (ages, clocks, load times) makes honest ones differ.
- *same log*: a log of at least ``LONG_LOG`` entries came before, to the millisecond.
- *same sequence*: one page of a session numbered two events alike. The number alone says nothing: the agent counts in
  ``sessionStorage``, which a duplicated tab starts with a copy of, a second tab and a page without storage with none
  (``ingest_api/agent/src/session.ts``). So the page must be the same one too, by what it measured once of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from flows.stages.recognize.combinations import Combinations
from flows.stages.recognize.frames import pack, unpack
from flows.stages.recognize.layout import Rows
from flows.stages.recognize.reputation import posterior
from flows.stages.recognize.state import HalfLives, RecognitionState, Sizes, nothing_known
from flows.stages.told_rows import merged, others, told_rows, what_was_told
from schemas.batches import Counted, Recognition, Recognized
from schemas.batches import Decided as DecidedBatch
from schemas.catalogue import load_catalogue
from schemas.columns import widen
from schemas.makers import constructor
from schemas.recognition import LabelledFraud, PrevalenceSeed
from schemas.result import DECISIONS
from schemas.stage import Part, Snapshot, StageOut, each_part
from schemas.velocity import SLICES

DAY: Final = 86_400_000
HALF_LIVES: Final = HalfLives(prevalence=14 * DAY, reputation=7 * DAY)
SIZES: Final = Sizes()
_DENY: Final = DECISIONS.index("deny")
_LEAST_BYTES: Final = 64 << 10
_recognition: Callable[..., Recognition] = constructor(Recognition)


class Recognize:
    """The stage. Half-lives in milliseconds of event time.

    ``seed``: what is usual before any traffic came, for states that begin empty. ``labels``: what people said of
    networks, added to what the state has counted. A state keeps the sizes and half-lives that it began with.
    """

    def __init__(
        self,
        seed: PrevalenceSeed | None = None,
        labels: LabelledFraud | None = None,
        half_lives: HalfLives = HALF_LIVES,
        sizes: Sizes = SIZES,
    ) -> None:
        if min(half_lives) < DAY:
            raise ValueError("recognize: half-lives must be at least a day")
        self._seed = seed
        self._labels = labels
        self._half_lives = half_lives
        self._sizes = sizes

    @property
    def name(self) -> str:
        """Return the stage's name."""
        return "recognize"

    def open(self, snapshots: Sequence[bytes], /) -> RecognizeSession:
        """Return the session of a partition after the given snapshots; without any, one that knows the seed alone.

        ValueError where one is not a snapshot of this build, or they do not cover all slices.
        """
        if not len(snapshots):
            state = RecognitionState(self._sizes, self._half_lives, self._seed)
            return RecognizeSession(state, self._labels, begun=False, next_slice=0)
        state, next_slice = _restored(snapshots)
        return RecognizeSession(state, self._labels, begun=True, next_slice=next_slice)


def _restored(snapshots: Sequence[bytes]) -> tuple[RecognitionState, int]:
    covered = np.zeros(SLICES, np.bool_)
    state, next_slice = None, 0
    for data in snapshots:
        frame = unpack(data)
        if state is None or frame.slices == SLICES:  # what came before says nothing more
            sizes = Sizes(*(capacity * SLICES for capacity in frame.capacities))
            state = RecognitionState(sizes, HalfLives(1, 1))
            covered[:] = False
        elif frame.capacities != state.capacities:
            raise ValueError("snapshots of recognize of different states: rebuild the state from Kafka")
        state.read(frame)
        covered[frame.first_slice : frame.first_slice + frame.slices] = True
        next_slice = (frame.first_slice + frame.slices) % SLICES
    if state is None or not covered.all():
        missing = int(SLICES - covered.sum())
        raise ValueError(f"snapshots of recognize lack {missing} of {SLICES} slices: rebuild the state from Kafka")
    return state, next_slice


class RecognizeSession:
    """The state of one partition."""

    def __init__(self, state: RecognitionState, labels: LabelledFraud | None, *, begun: bool, next_slice: int) -> None:
        self._state = state
        self._labels = labels
        self._begun = begun  # a snapshot covered all slices
        self._next_slice = next_slice
        self._combinations = Combinations(load_catalogue())

    @property
    def nbytes(self) -> int:
        """Return the bytes of the state's tables."""
        return self._state.nbytes

    def apply(self, batch: Counted, /) -> StageOut[Recognized]:
        """Say what the partition's traffic so far says of each row. Every row goes on.

        Redriven rows that were counted before they failed go on with what was said of them then.
        """
        told = told_rows(batch.event)
        if told is None:
            return StageOut(widen(Recognized, batch, recognition=self._said(batch)))
        fresh = others(told, len(batch))
        before = [one.recognition for one in what_was_told(batch.event, told)]
        found = merged(fresh, self._said(batch.take(fresh)), told, before)
        return StageOut(widen(Recognized, batch, recognition=found))

    def apply_parts(self, batch: Counted, parts: Sequence[Part[RecognizeSession]], /) -> StageOut[Recognized]:
        """Do the same with the parts of a batch, each with its own session: this one is any of them."""
        if told_rows(batch.event) is not None:
            return each_part(batch, parts)
        return StageOut(widen(Recognized, batch, recognition=self._said_of(batch, parts)))

    def _said(self, batch: Counted) -> Recognition:
        return self._said_of(batch, ((self, 0, len(batch)),))

    def _said_of(self, batch: Counted, parts: Sequence[Part[RecognizeSession]]) -> Recognition:
        rows, known = self.rows_of(batch), nothing_known(len(batch))
        for session, first, end in parts:
            session._state.count_part(rows, known, first, end)
        if self._labels is not None:
            events, fraud = self._labels.count(rows.entities)
            known.weight[:, :-1] += events
            known.denied[:, :-1] += fraud
        denied, weight = posterior(rows.entities, known.weight, known.denied)
        return _recognition(known.tail, known.seen, denied, weight, known.copied)

    def rows_of(self, batch: Counted) -> Rows:
        """Return what the state needs of a batch."""
        return self._combinations.rows(batch)

    def remember(self, batch: DecidedBatch, /) -> None:
        """Take note of the decisions on rows that were applied, in the order of their offsets.

        Of those that the policy makes of the score: what lists, rules or an outage decide is no evidence to a model.
        """
        if len(batch):
            self.remember_parts(batch, ((self, 0, len(batch)),))

    def remember_parts(self, batch: DecidedBatch, parts: Sequence[Part[RecognizeSession]], /) -> None:
        """Do the same with the parts of a batch, each with its own session."""
        event, origin = batch.event, batch.origin
        times = (event.occurred_at, event.received_at, origin.appended_at)
        told = (origin.offset, *times, event.address, batch.network.asn, batch.decision.by_policy)
        for session, first, end in parts:
            session._state.note(told, _DENY, first, end)

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Return the next snapshot: of all slices where ``whole`` says so and for a session that began empty."""
        if whole or not self._begun:
            return self.snapshot_of(0, SLICES)
        slices = max(1, _LEAST_BYTES // max(1, self._state.bytes_per_slice))
        return self.snapshot_of(self._next_slice, min(slices, SLICES - self._next_slice))

    def snapshot_of(self, first_slice: int, slices: int) -> Snapshot:
        """Return the next snapshot, with these slices whole. The first one must cover all of them."""
        self._begun = self._begun or slices == SLICES
        self._next_slice = (first_slice + slices) % SLICES
        return Snapshot(pack(self._state.frame(first_slice, slices)), first_slice, slices)
