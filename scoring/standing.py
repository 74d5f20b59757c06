"""The standing decisions of one partition's sessions: what hysteresis compares with.

Only sessions whose last event was not allowed have an entry. A session is forgotten when none of its events came for
``idle_ms`` of the partition's time, which is the largest event time so far; what is forgotten never shows, whenever its
memory is taken back. Entries lie in the order of their last events, so the first one is always the oldest: where there
are more than ``most``, it gives way, and its session's next event is decided as if it were the first.

A snapshot is, little-endian: ``magic 4 | version u16 | first slice u16 | slices u16 | reserved u16 | time i64 | changed
u32``, then records of what changed since the one before and of all entries of the slices. A session lies in the slice
that the highest bits of its id name.
"""

from __future__ import annotations

import struct
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.batches import I64, U8
from schemas.velocity import SLICE_BITS, SLICES
from scoring.policy import ALLOW, DENY

_HEAD: Final = struct.Struct("<4sHHHHqI")
_MAGIC, _VERSION = b"CGDS", 1
_RECORD: Final = np.dtype([("session", "V16"), ("seen", "<i8"), ("offset", "<i8"), ("decision", "u1")])
_REBUILD = "rebuild the state from Kafka"
_Entry = tuple[int, int, int]  # the partition's time and the offset of the session's last event, and its decision
_Records = NDArray[np.void]


class Sessions(NamedTuple):
    """The rows of one partition that the state is asked about, in the order of their offsets."""

    session: Sequence[bytes]
    now: Sequence[int]  # the partition's time at the row
    offset: Sequence[int]
    outcome: Sequence[Sequence[int]]  # of each row, what it is decided after each standing decision


class Standing:
    """The state."""

    def __init__(self, idle_ms: int, most: int) -> None:
        self.time = 0
        self._idle = idle_ms
        self._most = most
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._sliced: defaultdict[int, set[bytes]] = defaultdict(set)
        self._changed: set[bytes] = set()

    def __len__(self) -> int:
        """Return the number of entries."""
        return len(self._entries)

    def times(self, event_time: I64) -> I64:
        """Return the partition's time at each row, int64[n], and move on to the last one."""
        if not len(event_time):
            return event_time
        found: I64 = np.maximum.accumulate(np.maximum(event_time, self.time))
        self.time = int(found[-1])
        return found

    def asked(self, sessions: Sequence[bytes], decision: U8) -> list[int]:
        """Return the rows that a standing decision may matter to, given what each is decided without one."""
        strict = {sessions[row] for row in np.flatnonzero(decision != ALLOW).tolist()}
        entries = self._entries
        if not strict and not entries:
            return []
        return [row for row, session in enumerate(sessions) if session in strict or session in entries]

    def follow(self, rows: Sessions) -> tuple[list[int], list[int]]:
        """Decide rows one after the other; return the standing decision before each, and its decision."""
        before, decided = list[int](), list[int]()
        for session, now, offset, outcome in zip(*rows, strict=True):
            entry = self._entries.get(session)
            stood = entry[2] if entry is not None and now - entry[0] < self._idle else ALLOW
            before.append(stood)
            decided.append(outcome[stood])
            self._stand(session, (now, offset, outcome[stood]))
        self._expire()
        return before, decided

    def _stand(self, session: bytes, entry: _Entry) -> None:
        entries = self._entries
        known = session in entries
        if entry[2] != ALLOW:
            entries[session] = entry
            if known:
                entries.move_to_end(session)
            else:
                self._sliced[_slice_of(session)].add(session)
        elif known:
            self._forget(session)
        else:
            return
        self._changed.add(session)
        if len(entries) > self._most:
            oldest = next(iter(entries))
            self._forget(oldest)
            self._changed.add(oldest)

    def _expire(self) -> None:
        """Take back the memory of forgotten sessions. Nobody needs to be told: time forgets them in a copy as well."""
        entries = self._entries
        while entries and self.time - entries[next(iter(entries))][0] >= self._idle:
            self._forget(next(iter(entries)))

    def _forget(self, session: bytes) -> None:
        del self._entries[session]
        where = _slice_of(session)
        self._sliced[where].discard(session)
        if not self._sliced[where]:
            del self._sliced[where]

    def fill(self, time: int, entries: Iterable[tuple[bytes, _Entry]]) -> None:
        """Take over what an equal state held at a time: an empty state does."""
        self.time = time
        for session, entry in sorted(entries, key=lambda item: item[1][1]):
            self._stand(session, entry)
        self._changed.clear()
        self._expire()

    @property
    def bytes_per_slice(self) -> int:
        """Return about how many bytes a slice takes in a snapshot."""
        return len(self._entries) * _RECORD.itemsize // SLICES

    def pack(self, first_slice: int, slices: int) -> bytes:
        """Return a snapshot with these slices; what changed is counted anew from here."""
        covered = range(first_slice, first_slice + slices)
        whole = sorted(one for number in covered if number in self._sliced for one in self._sliced[number])
        changed = sorted(one for one in self._changed if _slice_of(one) not in covered)
        self._changed.clear()
        head = _HEAD.pack(_MAGIC, _VERSION, first_slice, slices, 0, self.time, len(changed))
        return head + self._records(changed).tobytes() + self._records(whole).tobytes()

    def _records(self, sessions: Iterable[bytes]) -> _Records:
        gone: _Entry = (0, 0, ALLOW)
        return np.array([(one, *self._entries.get(one, gone)) for one in sessions], _RECORD)


class Frame(NamedTuple):
    """A snapshot that was read."""

    first_slice: int
    slices: int
    time: int
    changed: list[tuple[bytes, int, int, int]]  # session, and its entry; a decision of ALLOW: it has none
    whole: list[tuple[bytes, int, int, int]]


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
    records: list[tuple[bytes, int, int, int]] = np.frombuffer(data, _RECORD, offset=_HEAD.size).tolist()
    whole = records[changed:]
    strange = any(not first <= _slice_of(session) < first + slices for session, *_ in whole)
    if strange or any(decision > DENY for *_, decision in records):
        raise ValueError(f"a snapshot of decide contradicts itself: {_REBUILD}")
    return Frame(first, slices, time, records[:changed], whole)


def restored(snapshots: Sequence[bytes], idle_ms: int, most: int) -> tuple[Standing, int]:
    """Return the state after the last of some snapshots, and the slice that is due next.

    ValueError where one cannot be read, or they do not cover all slices.
    """
    covered = np.zeros(SLICES, np.bool_)
    entries: list[dict[bytes, _Entry]] = [{} for _ in range(SLICES)]
    frame = None
    for data in snapshots:
        frame = unpack(data)
        of_frame = slice(frame.first_slice, frame.first_slice + frame.slices)
        entries[of_frame] = [{} for _ in range(frame.slices)]
        for session, *entry in (*frame.changed, *frame.whole):
            seen, offset, decision = entry
            entries[_slice_of(session)][session] = (seen, offset, decision)
        covered[of_frame] = True
    if frame is None or not covered.all():
        missing = int(SLICES - covered.sum())
        raise ValueError(f"snapshots of decide lack {missing} of {SLICES} slices: {_REBUILD}")
    state = Standing(idle_ms, most)
    state.fill(frame.time, [item for sliced in entries for item in sliced.items()])
    return state, of_frame.stop % SLICES


def _slice_of(session: bytes) -> int:
    return int.from_bytes(session[:2], "big") >> (16 - SLICE_BITS)
