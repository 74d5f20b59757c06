"""Velocity: what a device did in the windows that end at each event, and what is remembered of its life and sessions.

**Time.** An event counts at ``min(occurred_at, received_at, appended_at)``: the ingest tier attests when it took the
event and the broker when it stored it, and nothing happens after that. So neither a browser nor an ingest host whose
clock is ahead can push the watermark on, while an event that comes late is counted where it belongs. The watermark is
the largest such time of the partition so far.

**Fate of a row**, in the order of the offsets: *dropped* where its id was counted in the ``dedup_ms``, and less than an
hour more, of watermark time before; else *dead* (``velocity.too_late``) where it is older than ``lateness_ms``
behind the watermark; else *counted*. An id counts as the merchant's own. A dead row is not remembered, so it can be
redriven. Ids are kept at least as long as events may be late: a second copy of an event is always either dropped or
too late, never counted.

**A redriven row** that was counted before it failed brings what it was told then: it goes on with that, in its place,
and is not counted again; each attempt goes on once, also where its event id is not known here. One that failed before
it was counted is a fresh event. In a replay the first record may have been scored (``note_scored``): then it is a copy.

**Counts are exact**: events of the device seen so far with a time in ``(t - window, t]``, the event itself included,
and the distinct values among them; docs/adr/0003 says where that ends. A device is forgotten when it was not seen for
``idle_ms`` before the watermark, a session when none of its events was counted for ``session_idle_ms`` of watermark
time: what is forgotten never shows, whenever its memory is taken back, so results depend on the rows alone.

**Scores** that ``remember`` brings are seen by rows whose offset is at least SCORE_LAG larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from flows.stages.device_state.layout import COUNTED, DAY, DEAD, DROPPED, HOUR, RowsIn, RowsOut
from flows.stages.device_state.state import DeviceState, Durations, Journal, no_journal, rows_out
from flows.stages.device_state.tags import TextTags, attempt_tags, scored_tags
from flows.stages.told_rows import runs, told_rows, what_was_told
from flows.stages.velocity_frames import Frame, pack, unpack
from schemas import batches
from schemas.batches import Counted, Decided, Normalized
from schemas.columns import Rows, widen
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.event_time import event_time
from schemas.makers import constructor
from schemas.stage import Part, Snapshot, StageOut, each_part, joined
from schemas.velocity import KINDS, SLICES, WINDOWS

DEDUP_MS: Final = DAY
IDLE_MS: Final = 30 * DAY
SESSION_IDLE_MS: Final = HOUR // 2
_LEAST_BYTES, _MOST_BYTES = 64 << 10, 1 << 20
_velocity, _history = constructor(batches.Velocity), constructor(batches.History)
_session = constructor(batches.SessionSummary)


class Velocity:
    """The stage. All durations in milliseconds of event time.

    ``salt`` is mixed into the tags of a state that begins empty, so that nobody can choose ids whose tags collide.
    """

    def __init__(
        self,
        lateness_ms: int = DAY,
        dedup_ms: int = DEDUP_MS,
        idle_ms: int = IDLE_MS,
        session_idle_ms: int = SESSION_IDLE_MS,
        salt: int = 0,
    ) -> None:
        if min(lateness_ms, dedup_ms, session_idle_ms) < 0 or idle_ms < lateness_ms + DAY:
            raise ValueError("velocity: durations must not be negative, and idle_ms at least lateness_ms + 24 h")
        self._durations = Durations(lateness_ms, -(-max(dedup_ms, lateness_ms) // HOUR), idle_ms, session_idle_ms)
        self._salt = salt

    @property
    def name(self) -> str:
        """Return the stage's name."""
        return "velocity"

    def open(self, snapshots: Sequence[bytes], /) -> VelocitySession:
        """Return the session of a partition after the given snapshots; without any, an empty one.

        ValueError where one is not a snapshot of this build, or they do not cover all slices.
        """
        if not snapshots:
            return VelocitySession(DeviceState(self._durations, self._salt), next_slice=0)
        return _restored(snapshots, self._durations)


def _restored(snapshots: Sequence[bytes], durations: Durations) -> VelocitySession:
    """Load each slice where it comes, and repeat what happened after to the slices that are there."""
    loaded = np.zeros(SLICES, np.bool_)
    state, frame = None, None
    for data in snapshots:
        frame = unpack(data)
        if state is None or frame.slices == SLICES:  # what came before says nothing more
            state = DeviceState(durations, frame.salt)
            loaded[:] = False
        elif frame.salt != state.salt:
            raise ValueError("velocity snapshots of different states: rebuild the state from Kafka")
        state.repeat(frame.journal.rows, loaded)
        state.replace_sessions(frame.journal.sessions, loaded)
        state.read(frame.watermark, frame.columns, loaded)
        loaded |= frame.covered()
    if state is None or frame is None or not loaded.all():
        missing = int(SLICES - loaded.sum())
        raise ValueError(f"velocity snapshots lack {missing} of {SLICES} slices: rebuild the state from Kafka")
    state.expect_pending(frame.journal.pending)
    state.begin_journal()
    return VelocitySession(state, (frame.first_slice + frame.slices) % SLICES)


class VelocitySession:
    """The state of one partition."""

    def __init__(self, state: DeviceState, next_slice: int) -> None:
        self._state = state
        self._next_slice = next_slice
        self._names = TextTags()

    @property
    def devices(self) -> int:
        """Return the number of devices in memory."""
        return self._state.devices

    @property
    def nbytes(self) -> int:
        """Return the bytes of the state's arrays."""
        return self._state.nbytes

    def apply(self, batch: Normalized, /) -> StageOut[Counted]:
        """Count a batch in order; see the module for the fate of a row."""
        told = told_rows(batch.event)
        if told is not None:
            return self._among_told(batch, told)
        return self.outcome(batch, self.count(self.rows_of(batch)))

    def apply_parts(self, batch: Normalized, parts: Sequence[Part[VelocitySession]], /) -> StageOut[Counted]:
        """Do the same with the parts of a batch, each with its own session: this one is any of them."""
        if told_rows(batch.event) is not None:
            return each_part(batch, parts)
        rows, out = self.rows_of(batch), rows_out(len(batch))
        for session, first, end in parts:
            session._state.count(rows, out, first, end)
        return self.outcome(batch, out)

    def _among_told(self, batch: Normalized, told: Rows) -> StageOut[Counted]:
        """Do the same with a batch that has rows which were counted before they failed."""
        parts, outs = list[Normalized](), list[StageOut[Counted]]()
        for rows, is_told in runs(told, len(batch)):
            part = batch.take(rows)
            parts.append(part)
            outs.append(self._again(part) if is_told else self.outcome(part, self.count(self.rows_of(part))))
        oks = joined(batch, parts, [out.oks for out in outs])
        return StageOut(oks, [letter for out in outs for letter in out.errs], sum(out.dropped for out in outs))

    def _again(self, batch: Normalized) -> StageOut[Counted]:
        """Hand on what rows were told before, each attempt once."""
        event = batch.event
        ids, merchants, salt = _words(event.event_id), self._names.of(event.merchant), self._state.salt
        attempts, scored = attempt_tags(ids, merchants, event.attempt, salt), scored_tags(ids, merchants, salt)
        kept = np.flatnonzero(self._state.note(attempts, scored, event_time(batch)) == COUNTED)
        told = what_was_told(event, np.arange(len(batch)))
        sections: dict[str, Any] = {
            name: type(getattr(told[0], name)).concat([getattr(one, name) for one in told]).take(kept)
            for name in ("velocity", "history", "session")
        }
        return StageOut(widen(Counted, batch.take(kept), **sections), (), len(batch) - len(kept))

    def note_scored(self, batch: Decided) -> None:
        """Note that events have their scores: redriven rows of them are copies from here on.

        For replays, where a record that failed once may not fail: that it was sent again is still in the topic.
        """
        event = batch.event
        tags = scored_tags(_words(event.event_id), self._names.of(event.merchant), self._state.salt)
        self._state.note(tags, np.zeros_like(tags), np.zeros(len(batch), np.int64))

    def count(self, rows: RowsIn) -> RowsOut:
        """Do what ``apply`` does to the state."""
        out = rows_out(len(rows.offset))
        self._state.count(rows, out, 0, len(rows.offset))
        return out

    def outcome(self, batch: Normalized, out: RowsOut) -> StageOut[Counted]:
        """Return what ``apply`` does, from what the state says."""
        if not out.fate.tobytes().strip(b"\0"):  # COUNTED is 0, and this way to ask takes a tenth of NumPy's
            return StageOut(_counted(batch, out))
        kept, dead = np.flatnonzero(out.fate == COUNTED), np.flatnonzero(out.fate == DEAD)
        detail = "older than flow.lateness_seconds behind the newest event of its partition"
        errs: list[DeadLetter] = dead_letters(batch, dead.tolist(), Reason.TOO_LATE, "velocity", detail)
        dropped = int(np.count_nonzero(out.fate == DROPPED))
        return StageOut(_counted(batch.take(kept), RowsOut._make(column[kept] for column in out)), errs, dropped)

    def rows_of(self, batch: Normalized) -> RowsIn:
        """Return what the state needs of a batch."""
        event, origin, network, log = batch.event, batch.origin, batch.network, batch.activity
        names, rows = self._names.of(event.merchant + event.linked_id), len(event.merchant)
        return RowsIn(
            event.occurred_at, event.received_at, origin.appended_at, origin.offset,
            event.event_id, event.device_id, event.session_id, event.address, names[:rows], names[rows:],
            network.country, network.latitude, network.longitude,
            log.offsets, log.time, log.value, log.code, log.target,
        )  # fmt: skip

    def remember(self, batch: Decided, /) -> None:
        """Take note of the scores of rows that were applied, in the order of their offsets."""
        if len(batch):
            self.remember_parts(batch, ((self, 0, len(batch)),))

    def remember_parts(self, batch: Decided, parts: Sequence[Part[VelocitySession]], /) -> None:
        """Do the same with the parts of a batch, each with its own session."""
        columns = (batch.event.device_id, batch.origin.offset, batch.score.score)
        for session, first, end in parts:
            session._state.note_scores(columns, first, end)

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Return the next snapshot.

        It covers all slices where ``whole`` says so, where it is the first of a session that began empty, and where
        nobody took one for so long that the journal outgrew its limit.
        """
        journal = None if whole else self._state.take_journal()
        first, slices = 0, SLICES
        if journal is None:
            journal = no_journal(self._state.pending())
        else:
            first = self._next_slice
            slices = min(self._slices_for(journal), SLICES - first)
        columns = self._state.write(first, first + slices)
        frame = Frame(self._state.watermark, self._state.salt, first, slices, journal, columns)
        data = pack(frame)
        self._state.begin_journal()
        self._next_slice = (first + slices) % SLICES
        return Snapshot(data, first, slices)

    def _slices_for(self, journal: Journal) -> int:
        changed = journal.rows.nbytes + journal.sessions.nbytes
        wanted = min(max(_LEAST_BYTES, changed), _MOST_BYTES)
        return max(1, wanted // max(1, self._state.bytes_per_slice))


def _words(ids: batches.U8) -> batches.U64:
    """Return 16-byte ids as two words each, uint64[n, 2]."""
    return np.require(ids, np.uint8, ("C", "W")).view(np.uint64)


def _counted(batch: Normalized, out: RowsOut) -> Counted:
    velocity = _velocity(out.counts.reshape(-1, len(KINDS), len(WINDOWS)), out.first, out.previous)
    history = _history(out.life, out.hours, out.scores, out.latitude, out.longitude, out.place_at)
    session = _session(out.session_events, out.session_started, out.statistics)
    return widen(Counted, batch, velocity=velocity, history=history, session=session)
