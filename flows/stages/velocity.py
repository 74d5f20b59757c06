"""Velocity: how often a device was seen in the windows that end at each event.

**Time.** An event counts at ``min(occurred_at, received_at)``: the ingest tier attests when it accepted the event, and
nothing happens after it was received. So a browser with a clock in the future is counted when it was received and
cannot push the watermark ahead, while one that sends late is counted where it belongs. The watermark is the largest
such time of the partition so far.

**Fate of a row**, in the order of the offsets: *dropped* where its id was counted before, at least ``dedup_ms`` and at
most an hour more of watermark time ago; else *dead* (``velocity.too_late``) where it is older than ``lateness_ms``
behind the watermark; else *counted*. An id counts as the merchant's own. A dead row is not remembered, so that it can
be redriven. Ids are kept at least as long as events may be late: a second copy of an event is always either dropped or
too late, never counted.

**Counts are exact**: events of the device seen so far with a time in ``(t - window, t]``, the event itself included.
What is kept is bounded: a device until it was not seen for ``idle_ms`` (up to a day more), its events for
``lateness_ms`` and the longest window, ids as above; docs/adr/0002 has the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from flows.stages.device_state.devices import Devices
from flows.stages.device_state.recent_ids import RecentIds
from flows.stages.device_state.tags import Salts, tags_of
from flows.stages.velocity_frames import Delta, Full, pack, unpack
from schemas import batches
from schemas.activity_statistics import activity_statistics
from schemas.batches import I64, U64, Bool, Counted, Normalized, Scored
from schemas.columns import widen
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.stage import Snapshot, StageOut
from schemas.velocity import KINDS, PLACES_KEPT, SCORES_KEPT, SLICES

SECOND = 1_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
WINDOWS = (300 * SECOND, HOUR, DAY)
_CHUNK = 512  # rows at a time: bounds the pairs that disordered rows of one device form, whatever the batch
_REPLAYED = 16_384
_LATEST = 1 << 53
_JOURNAL_LEAST = 262_144
_REWRITTEN_LEAST = 1_000_000


class Velocity:
    """The stage. All durations in milliseconds of event time."""

    def __init__(self, lateness_ms: int = DAY, dedup_ms: int = DAY, idle_ms: int = 30 * DAY) -> None:
        if min(lateness_ms, dedup_ms) < 0 or idle_ms < lateness_ms + WINDOWS[-1]:
            raise ValueError("velocity: durations must not be negative, and idle_ms at least lateness_ms + 24 h")
        self._lateness = lateness_ms
        self._hours_kept = -(-max(dedup_ms, lateness_ms) // HOUR)
        self._idle = idle_ms

    @property
    def name(self) -> str:
        """Return the stage's name."""
        return "velocity"

    def open(self, snapshots: Sequence[bytes], /) -> VelocitySession:
        """Return the session of a partition after the given snapshots. ValueError where one is not a snapshot."""
        session = VelocitySession(self._lateness, self._hours_kept, self._idle)
        for snapshot in snapshots:
            session.restore(unpack(snapshot))
        return session


class VelocitySession:
    """The state of one partition."""

    def __init__(self, lateness: int, hours_kept: int, idle: int) -> None:
        self._lateness = lateness
        self._idle = idle
        self._hours_kept = hours_kept
        self._salts = Salts()
        self._devices = Devices(WINDOWS)
        self._ids = RecentIds(hours_kept)
        self._watermark = 0
        self._hour = -1
        self._cutoff = 0
        self._journal = _Journal(-1, _JOURNAL_LEAST)
        self._since_whole: int | None = None  # rows in snapshots since one of all slices, None before the first

    @property
    def devices(self) -> int:
        """Return the number of devices remembered."""
        return len(self._devices)

    @property
    def nbytes(self) -> int:
        """Return the bytes of the state's arrays."""
        return self._devices.nbytes + self._ids.nbytes

    def apply(self, batch: Normalized, /) -> StageOut[Counted]:
        """Count a batch in order; see the module for the fate of a row."""
        event = batch.event
        times = np.minimum(event.occurred_at, event.received_at)
        np.maximum(times, 0, out=times)
        np.minimum(times, _LATEST, out=times)
        watermarks = np.maximum.accumulate(np.maximum(times, self._watermark))
        tags, ids = tags_of(event.device_id, event.event_id, self._salts.of(event.merchant))
        columns: list[batches.Velocity] = []
        dropped: list[I64] = []
        dead: list[I64] = []
        for a, b in _pieces(watermarks):
            rows = slice(a, b)
            late = self._late(times[rows], watermarks[rows])
            duplicate = self._ids.admit(ids[rows], late)
            if duplicate is None and late is None:
                columns.append(self._count(tags[rows], times[rows], ids[rows]))
                continue
            duplicate = np.zeros(b - a, np.bool_) if duplicate is None else duplicate
            late = np.zeros(b - a, np.bool_) if late is None else late & ~duplicate
            kept = np.flatnonzero(~(duplicate | late)) + a
            dropped.append(np.flatnonzero(duplicate) + a)
            dead.append(np.flatnonzero(late) + a)
            columns.append(self._count(tags[kept], times[kept], ids[kept]))
        return _outcome(batch, columns, dropped, dead)

    def _late(self, times: I64, watermarks: I64) -> Bool | None:
        """Move on to the watermark after some rows of one hour; return which of them come too late, None: none."""
        self._advance(int(watermarks[-1]))
        if times.min() >= self._watermark - self._lateness:
            return None
        return times < watermarks - self._lateness

    def _advance(self, watermark: int) -> None:
        """Move the watermark: where an hour begins, expire ids, and where a day begins, devices."""
        self._watermark = watermark
        hour = watermark // HOUR
        if hour == self._hour:
            return
        day_began = hour * HOUR // DAY > self._hour * HOUR // DAY
        self._begin_hour(hour)
        if day_began:
            self._devices.sweep(hour * HOUR // DAY * DAY - self._idle, self._cutoff)

    def _begin_hour(self, hour: int) -> None:
        self._hour = hour
        self._cutoff = hour * HOUR - self._lateness - WINDOWS[-1]
        self._ids.advance(hour)
        self._journal.begin(hour)

    def _count(self, tags: U64, times: I64, ids: U64) -> batches.Velocity:
        if not len(tags):
            return _NOTHING
        self._journal.write(tags, times, ids)
        seen = self._devices.observe(tags, times, self._cutoff)
        counts = np.zeros((len(tags), len(KINDS), len(WINDOWS)), np.uint32)
        counts[:, 0] = seen.counts.T
        return batches.Velocity(counts, seen.first, seen.previous)

    def remember(self, batch: Scored, /) -> None:
        """Take note of scores: this engine keeps none, and its rows show none."""

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Return the events counted since the last snapshot, of no slice, or the whole state, of all.

        It is whole where nobody took a snapshot for so long that the journal outgrew the state, and where the
        snapshots since the last whole one did. The first of an empty session is of all slices: nothing came before.
        """
        outgrown = (self._since_whole or 0) > max(_REWRITTEN_LEAST, len(self._ids))
        full = whole or self._journal.overflown or outgrown
        covers = full or self._since_whole is None
        self._since_whole = 0 if full else (self._since_whole or 0) + self._journal.rows
        frame = self._full() if full else self._journal.delta(self._watermark)
        self._begin_journal()
        return Snapshot(pack(frame), 0, SLICES if covers else 0)

    def _begin_journal(self) -> None:
        self._journal = _Journal(self._hour, max(_JOURNAL_LEAST, len(self._ids)))

    def _full(self) -> Full:
        return Full(self._watermark, *self._devices.dump(), *self._ids.dump())

    def restore(self, frame: Full | Delta) -> None:
        """Make the state that of a full frame, or add what a delta says happened."""
        if isinstance(frame, Full):
            self._devices = Devices.load(WINDOWS, (frame.tags, frame.first, frame.lengths, frame.times))
            self._ids = RecentIds.load(self._hours_kept, frame.ids, frame.hours)
            self._begin_hour(frame.watermark // HOUR)
        else:
            self._repeat(frame)
        self._watermark = frame.watermark
        self._since_whole = 0 if isinstance(frame, Full) else (self._since_whole or 0) + len(frame.tags)
        self._begin_journal()

    def _repeat(self, delta: Delta) -> None:
        end = 0
        for hour, size in zip(delta.hours.tolist(), delta.sizes.tolist(), strict=True):
            self._advance(hour * HOUR)
            start, end = end, end + size
            for a in range(start, end, _REPLAYED):
                rows = slice(a, min(end, a + _REPLAYED))
                self._ids.add(delta.ids[rows])
                self._devices.add(delta.tags[rows], delta.times[rows], self._cutoff)


class _Journal:
    """The events counted since the last snapshot, in runs of one hour. Past its limit it keeps none of them."""

    def __init__(self, hour: int, limit: int) -> None:
        self.overflown = False
        self._limit = limit
        self.rows = 0
        self._runs: list[list[int]] = [[hour, 0]] if hour >= 0 else []
        self._parts: list[tuple[U64, I64, U64]] = []

    def begin(self, hour: int) -> None:
        """Let an hour of the watermark begin."""
        if not self.overflown:
            self._runs.append([hour, 0])

    def write(self, tags: U64, times: I64, ids: U64) -> None:
        """Note counted rows."""
        if self.overflown:
            return
        self.rows += len(tags)
        self._runs[-1][1] += len(tags)
        self._parts.append((tags, times, ids))
        if self.rows > self._limit:
            self.overflown = True
            self._runs, self._parts = [], []

    def delta(self, watermark: int) -> Delta:
        """Return everything noted."""
        runs = np.array(self._runs, np.int64).reshape(-1, 2)
        columns = zip(*self._parts, strict=True) if self._parts else ((_NO_TAGS,), (_NO_TIMES,), (_NO_TAGS,))
        return Delta(watermark, runs[:, 0], runs[:, 1], *(np.concatenate(column) for column in columns))


_NO_TAGS: U64 = np.empty(0, np.uint64)
_NO_TIMES: I64 = np.empty(0, np.int64)
_NOTHING = batches.Velocity(np.empty((0, len(KINDS), len(WINDOWS)), np.uint32), _NO_TIMES, _NO_TIMES)


def _pieces(watermarks: I64) -> list[tuple[int, int]]:
    """Cut rows into pieces of one hour of the watermark and at most ``_CHUNK`` rows."""
    rows = len(watermarks)
    if not rows:
        return []
    first, last = int(watermarks[0]) // HOUR, int(watermarks[-1]) // HOUR
    if first == last:
        return [(at, min(rows, at + _CHUNK)) for at in range(0, rows, _CHUNK)]
    hours = watermarks // HOUR
    turns = (np.flatnonzero(hours[1:] != hours[:-1]) + 1).tolist()
    return list(pairwise(sorted({0, rows, *range(_CHUNK, rows, _CHUNK), *turns})))


def _outcome(
    batch: Normalized, columns: list[batches.Velocity], dropped: list[I64], dead: list[I64]
) -> StageOut[Counted]:
    velocity = batches.Velocity.concat(columns) if columns else _NOTHING
    if not dropped:  # nor dead: the two lists grow together
        return StageOut(_counted(batch, velocity))
    dropped_rows, dead_rows = np.concatenate(dropped), np.concatenate(dead)
    kept = np.delete(np.arange(len(batch)), np.concatenate((dropped_rows, dead_rows)))
    detail = "older than flow.lateness_seconds behind the newest event of its partition"
    errs: list[DeadLetter] = dead_letters(batch, dead_rows.tolist(), Reason.TOO_LATE, "velocity", detail)
    return StageOut(_counted(batch.take(kept), velocity), errs, len(dropped_rows))


def _counted(batch: Normalized, velocity: batches.Velocity) -> Counted:
    rows = len(batch)
    places = np.full((rows, PLACES_KEPT), np.nan, np.float32)
    history = batches.History(
        velocity.counts[:, 0, 2], np.zeros((rows, 24), np.uint8), np.full((rows, SCORES_KEPT), np.nan, np.float32),
        places, places, np.full((rows, PLACES_KEPT), -1, np.int64),
    )  # fmt: skip
    statistics = np.ascontiguousarray(activity_statistics(batch.activity).table.T)
    session = batches.SessionSummary(np.ones(rows, np.uint32), batch.event.occurred_at, statistics)
    return widen(Counted, batch, velocity=velocity, history=history, session=session)
