"""The standing decisions of one partition's sessions: what hysteresis compares with.

Only sessions whose last event was not allowed have an entry. A session is forgotten when none of its events came for
``idle_ms`` of the partition's time, which is the largest event time so far; what is forgotten never shows, whenever its
memory is taken back. Where there are more than ``most`` entries, the one whose last event is the oldest gives way, and
its session's next event is decided as if it were the first. A session is known by a hash of 64 bits of its id.

A snapshot is, little-endian: ``magic 4 | version u16 | first slice u16 | slices u16 | reserved u16 | time i64 | changed
u32``, then records of what changed since the one before and of all entries of the slices. A session lies in the slice
that the highest bits of its hash name.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.batches import I64, U8, U64
from schemas.velocity import SLICE_BITS, SLICES
from scoring.policy import ALLOW, DENY
from scoring.standing_loops import COUNT, FREE, NEWEST, OLDEST, TIME, USED, WORDS, Entries, Rows, fill, follow, places

_HEAD: Final = struct.Struct("<4sHHHHqI")
_MAGIC, _VERSION = b"CGDS", 1
_RECORD: Final = np.dtype([("session", "<u8"), ("seen", "<i8"), ("offset", "<i8"), ("decision", "u1")])
_REBUILD = "rebuild the state from Kafka"
_SLICE_SHIFT: Final = np.uint64(64 - SLICE_BITS)
_COMPACT_FROM: Final = 1 << 16  # sessions that changed are noted once each when so many notes came together
_Records = NDArray[np.void]


class Standing:
    """The state. ``noted``: whether changes are kept for the next snapshot, which need not be of all slices then."""

    def __init__(self, idle_ms: int, most: int) -> None:
        self._idle = idle_ms
        self._entries = _empty(most)
        self._changed: list[U64] = []
        self._notes = 0  # items of ``_changed``
        self.noted = False

    def __len__(self) -> int:
        """Return the number of entries."""
        return int(self._entries.words[COUNT])

    @property
    def time(self) -> int:
        """Return the partition's time: the largest event time so far."""
        return int(self._entries.words[TIME])

    @property
    def nbytes(self) -> int:
        """Return the bytes of the state's arrays: they never change."""
        return sum(column.nbytes for column in self._entries)

    def follow(self, rows: Rows, before: U8, decided: U8, first: int = 0, end: int | None = None) -> None:
        """Decide rows from ``first`` to ``end``, without it all, one after the other.

        ``before`` and ``decided`` uint8[n] get the standing decision that each of them finds, and its own.
        """
        end = len(before) if end is None else end
        changed = np.empty(2 * (end - first), np.uint64)
        count = follow(self._entries, rows, first, end, self._idle, before, decided, changed)
        if count and self.noted:
            self._changed.append(changed[:count].copy())
            self._notes += count
            if self._notes > _COMPACT_FROM:
                self._changed = [self._changed_sessions()]
                self._notes = len(self._changed[0])

    def _changed_sessions(self) -> U64:
        return np.unique(np.concatenate(self._changed)) if self._changed else np.empty(0, np.uint64)

    def fill(self, time: int, records: _Records) -> None:
        """Take over what a state held at a time: an empty one does. Of more than it has room for, the newest."""
        entries, room = self._entries, len(self._entries.session)
        kept = records[time - records["seen"] < self._idle]
        kept = kept[np.argsort(kept["offset"], kind="stable")][-room:]
        entries.words[TIME] = time
        columns: list[Any] = [np.array(kept[name]) for name in _RECORD.names or ()]  # copies: aligned, to be written to
        fill(entries, *columns)

    @property
    def bytes_per_slice(self) -> int:
        """Return about how many bytes a slice takes in a snapshot."""
        return len(self) * _RECORD.itemsize // SLICES

    def pack(self, first_slice: int, slices: int) -> bytes:
        """Return a snapshot with these slices; what changed is counted anew from here."""
        entries = self._entries
        used = int(entries.words[USED])
        lies = _slices_of(entries.session[:used])
        covered = (lies >= first_slice) & (lies < first_slice + slices) & (entries.decision[:used] != ALLOW)
        at = np.flatnonzero(covered)
        sliced = self._records(at[np.argsort(entries.session[at])])
        changed = self._changed_sessions()
        lies = _slices_of(changed)
        noted = self._noted(changed[(lies < first_slice) | (lies >= first_slice + slices)])
        self._changed, self._notes = [], 0
        self.noted = True
        head = _HEAD.pack(_MAGIC, _VERSION, first_slice, slices, 0, self.time, len(noted))
        return head + noted.tobytes() + sliced.tobytes()

    def _noted(self, changed: U64) -> _Records:
        """Return the entries of sessions, of those without one a record that says so."""
        at = np.empty(len(changed), np.int32)
        places(self._entries, changed, at)
        found = np.zeros(len(changed), _RECORD)
        found[at >= 0] = self._records(at[at >= 0])
        found["session"] = changed
        return found

    def _records(self, at: NDArray[Any]) -> _Records:
        entries, found = self._entries, np.empty(len(at), _RECORD)
        found["session"], found["seen"] = entries.session[at], entries.seen[at]
        found["offset"], found["decision"] = entries.offset[at], entries.decision[at]
        return found


def _empty(most: int) -> Entries:
    words = np.zeros(WORDS, np.int64)
    words[[OLDEST, NEWEST, FREE]] = -1
    return Entries(
        words=words,
        session=np.zeros(most, np.uint64),
        seen=np.zeros(most, np.int64),
        offset=np.zeros(most, np.int64),
        decision=np.full(most, ALLOW, np.uint8),
        older=np.zeros(most, np.int32),
        newer=np.zeros(most, np.int32),
        table=np.full(1 << (2 * most - 1).bit_length(), -1, np.int32),  # at most half full
    )


class Frame(NamedTuple):
    """A snapshot that was read. A record whose decision is ALLOW: the session has no entry."""

    first_slice: int
    slices: int
    time: int
    records: _Records


def unpack(data: bytes) -> Frame:
    """Read a snapshot. ValueError where it is none of this build's, or contradicts itself."""
    if len(data) < _HEAD.size:
        raise ValueError(f"a snapshot of decide ends early: {_REBUILD}")
    magic, version, first, slices, _, time, changed = _HEAD.unpack_from(data)
    if (magic, version) != (_MAGIC, _VERSION):
        raise ValueError(f"not a snapshot of decide of version {_VERSION}: {_REBUILD}")
    body = len(data) - _HEAD.size
    if body % _RECORD.itemsize or changed > body // _RECORD.itemsize or first + slices > SLICES:
        raise ValueError(f"a snapshot of decide ends early: {_REBUILD}")
    records = np.frombuffer(data, _RECORD, offset=_HEAD.size)
    lies = _slices_of(records["session"])
    inside = (lies >= first) & (lies < first + slices)
    if inside[:changed].any() or not inside[changed:].all() or (records["decision"] > DENY).any():
        raise ValueError(f"a snapshot of decide contradicts itself: {_REBUILD}")
    return Frame(first, slices, time, records)


def restored(snapshots: Sequence[bytes], idle_ms: int, most: int) -> tuple[Standing, int]:
    """Return the state after the last of some snapshots, and the slice that is due next.

    ValueError where one cannot be read, or they do not cover all slices.
    """
    covered_by = np.full(SLICES, -1)  # the last frame that holds the slice whole
    frames = []
    for turn, data in enumerate(snapshots):
        frame = unpack(data)
        covered_by[frame.first_slice : frame.first_slice + frame.slices] = turn
        frames.append(frame)
    if not (covered_by >= 0).all():
        missing = int(np.count_nonzero(covered_by < 0))
        raise ValueError(f"snapshots of decide lack {missing} of {SLICES} slices: {_REBUILD}")
    records = np.concatenate([frame.records for frame in frames])
    turns = np.repeat(np.arange(len(frames)), [len(frame.records) for frame in frames])
    fresh = turns >= covered_by[_slices_of(records["session"])]
    state = Standing(idle_ms, most)
    state.fill(frames[-1].time, _last_of_each(records[fresh], turns[fresh]))
    state.noted = True
    return state, (frames[-1].first_slice + frames[-1].slices) % SLICES


def _last_of_each(records: _Records, turns: I64) -> _Records:
    """Return what was said last of each session, without those that have no entry."""
    order = np.lexsort((turns, records["session"]))
    found = records[order]
    last = np.append(found["session"][1:] != found["session"][:-1], np.ones(min(1, len(found)), np.bool_))
    return found[last & (found["decision"] != ALLOW)]


def _slices_of(sessions: U64) -> I64:
    return (sessions >> _SLICE_SHIFT).astype(np.int64)
