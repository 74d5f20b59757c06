"""The state of one partition: the arrays that the kernels work on, which grow here."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.stages.device_state.arrays import Growing
from flows.stages.device_state.kernels_journal import note_rows, note_scores, repeat_journal
from flows.stages.device_state.kernels_rows import count_rows
from flows.stages.device_state.kernels_slices import find_sessions, read_devices, read_rest, write_slices
from flows.stages.device_state.layout import (
    BY_SESSION,
    BY_TAG,
    CODE_CARD,
    CODE_CATEGORY,
    CODE_COUNTED,
    CODE_ON_CARDS,
    CODE_SUMMED,
    CODES,
    DEVICE_END,
    DEVICE_LENGTH,
    DEVICE_WORDS,
    DEVICES,
    EVENTS,
    HEAVY,
    HEAVY_END,
    HEAVY_LENGTH,
    HEAVY_WORDS,
    HOURS_KEPT,
    IDLE,
    IDS,
    J_COUNTED,
    JOURNAL,
    JOURNAL_END,
    JOURNAL_LENGTH,
    JOURNAL_ON,
    JOURNAL_WORDS,
    KEY_CODE,
    LATENESS,
    LENGTH,
    PENDING_HEAD,
    PENDING_LENGTH,
    PENDING_OFFSET,
    PENDING_SCORE,
    PENDING_TAG,
    PENDING_TAIL,
    POOL,
    POOL_END,
    POOL_LENGTH,
    POOL_NEED,
    ROWS_IN,
    S_TAG,
    SALT,
    SCANNED,
    SCORED,
    SCRATCH,
    SESSION_END,
    SESSION_IDLE,
    SESSION_LENGTH,
    SESSION_WORDS,
    SESSIONS,
    STATE_WORDS,
    TAG,
    TALLY,
    TALLY_CODES,
    TALLY_COPIES,
    VALUES,
    WATERMARK,
    RowsIn,
    RowsOut,
    SliceColumns,
)
from flows.stages.device_state.pointers import NOT_PLAIN, plain_ones
from flows.stages.device_state.tables import Table, address_of, code_table
from schemas.activity_statistics import COUNTS, STATISTICS, code_columns
from schemas.batches import F32, I64, U8, U32, U64, Bool
from schemas.velocity import HOURS, KINDS, PLACES_KEPT, SCORES_KEPT, SLICE_BITS, SLICES, WINDOWS

_JOURNAL_LIMIT = 262_144
_PENDING = 1 << 13  # scores: less than half of them wait
_SCRATCH = 1 << (10 * (SCANNED + 1)).bit_length()
_COUNTS = len(KINDS) * len(WINDOWS)
_U8, _U32, _I64, _F32 = map(np.dtype, (np.uint8, np.uint32, np.int64, np.float32))


class Durations(NamedTuple):
    """All in milliseconds but the hours."""

    lateness: int
    hours_kept: int
    idle: int
    session_idle: int


class Pending(NamedTuple):
    """Scores that no row was far enough behind to see, in the order of their offsets."""

    offset: I64
    tag: U64
    score: F32


class Journal(NamedTuple):
    """What happened since the last one was taken."""

    rows: I64  # [J, 8]
    sessions: I64  # [S, 26], the sessions that it touched, as they are now
    pending: Pending


class DeviceState:
    """Devices, their events and sessions, and event ids."""

    def __init__(self, durations: Durations, salt: int) -> None:
        self._words = np.zeros(STATE_WORDS, np.int64)
        self._words[[LATENESS, HOURS_KEPT, IDLE, SESSION_IDLE]] = durations
        self._words[SALT] = np.uint64(salt).astype(np.int64)
        self._words[POOL_NEED] = 512
        self._devices = Growing(np.int64, 1_024, DEVICE_WORDS)
        self._sessions = Growing(np.int64, 256, SESSION_WORDS)
        self._pool = Growing(np.int64, 4_096, 3)
        self._heavy = Growing(np.int64, 16, HEAVY_WORDS)
        self._journal = Growing(np.int64, 1_024, JOURNAL_WORDS)
        self._tables = [Table(self._words, number) for number in (BY_TAG, IDS, BY_SESSION, VALUES)]
        self._scratch = Growing(np.uint64, _SCRATCH)
        self._pending: Pending = _no_pending(_PENDING)
        self._codes, self._tally = code_columns(), Growing(np.uint64, TALLY_COPIES * TALLY_CODES)
        self._table = code_table(self._codes)
        self._one = rows_out(1)
        self._address = address_of(self._words)
        self._point_at_codes()
        self._room = (1, 1, 1, 1)
        self._written = _slice_columns(*self._room)
        self._bind()

    def _bind(self) -> None:
        """Tell the kernels where the arrays are, after one was made longer."""
        arrays = (self._devices, self._pool, self._heavy, self._sessions, self._journal, self._scratch)
        self._words[[DEVICES, POOL, HEAVY, SESSIONS, JOURNAL, SCRATCH]] = [array.address for array in arrays]
        self._words[[PENDING_OFFSET, PENDING_TAG, PENDING_SCORE]] = [address_of(column) for column in self._pending]
        self._words[PENDING_LENGTH] = len(self._pending.offset)
        for table in self._tables:
            table.bind()
        self._words[[DEVICE_LENGTH, POOL_LENGTH, HEAVY_LENGTH, SESSION_LENGTH, JOURNAL_LENGTH]] = [
            len(array) for array in (self._devices, self._pool, self._heavy, self._sessions, self._journal)
        ]

    def _point_at_codes(self) -> None:
        self._words[[CODE_CATEGORY, CODE_COUNTED, CODE_ON_CARDS, CODE_SUMMED, CODE_CARD]] = [
            address_of(column) for column in self._codes
        ]
        self._words[[CODES, TALLY]] = address_of(self._table), self._tally.address
        self._words[KEY_CODE] = np.flatnonzero(self._codes.counted == COUNTS.index("keys")).item()

    @property
    def watermark(self) -> int:
        """Return the largest event time so far, 0 before the first."""
        return int(self._words[WATERMARK])

    @property
    def salt(self) -> int:
        """Return what tags are mixed with."""
        return int(self._words[SALT : SALT + 1].view(np.uint64)[0])

    @property
    def devices(self) -> int:
        """Return the number of devices in memory."""
        return self._tables[BY_TAG].used

    @property
    def nbytes(self) -> int:
        """Return the bytes of the arrays that grow."""
        arrays = (self._devices, self._sessions, self._pool, self._heavy, self._journal)
        return sum(array.nbytes for array in arrays) + sum(table.nbytes for table in self._tables)

    @property
    def bytes_per_slice(self) -> int:
        """Return about how many bytes a slice takes when it is written."""
        devices, ids, sessions, _ = (table.used for table in self._tables)
        events = min(int(self._words[EVENTS]), int(self._words[POOL_END]))
        return (devices * 128 + events * 24 + ids * 10 + sessions * 8 * SESSION_WORDS) // SLICES

    def count(self, rows: RowsIn, out: RowsOut, at: int, end: int) -> None:
        """Count the rows of a batch from ``at`` to ``end``. Where one was not counted, only its fate means anything."""
        while True:
            done = count_rows(self._address, id(rows), id(out), at, end)
            if done == end:
                return
            if done == NOT_PLAIN:
                rows = RowsIn(*plain_ones(rows, ROWS_IN))
            else:
                at = done
                self._make_room()

    def note(self, tags: U64, unless: U64, times: I64) -> U8:
        """Note tags that are not counted, in order, but where that of ``unless`` (0: none) is known already.

        Return their fates, COUNTED, or DROPPED where one of the two was known.
        """
        fate, at, end = np.empty(len(tags), np.uint8), 0, len(tags)
        while True:
            at = note_rows(self._words, tags, unless, times, fate, at, end)
            if at == end:
                return fate
            self._make_room()

    def note_scores(self, columns: tuple[NDArray[Any], ...], first: int, end: int) -> None:
        """Note some rows of ``layout.SCORED``: devices, offsets that follow those noted before, and scores."""
        while True:
            done = note_scores(self._address, id(columns), first, end)
            if done == end - first:
                return
            if done == NOT_PLAIN:
                columns = tuple(plain_ones(columns, SCORED))
            else:
                self._make_room_for_scores(end - first)

    def _make_room_for_scores(self, rows: int) -> None:
        waiting = self.pending()
        kept = len(waiting.offset)
        fresh = _no_pending(4 * (kept + rows))
        for name in Pending._fields:
            getattr(fresh, name)[:kept] = getattr(waiting, name)
        self._pending = fresh
        self._words[[PENDING_HEAD, PENDING_TAIL]] = 0, kept
        self._bind()

    def begin_journal(self) -> None:
        """Keep a journal from here on."""
        self._words[JOURNAL_ON], self._words[JOURNAL_END] = 1, 0

    def take_journal(self) -> Journal | None:
        """Return what happened since the journal was begun, None where none was kept or it outgrew its limit."""
        if not self._words[JOURNAL_ON]:
            return None
        rows = self._journal.array[: self._words[JOURNAL_END]]
        tags = np.unique(rows[rows[:, 0] == J_COUNTED, 6]).view(np.uint64)
        sessions = np.empty((len(tags), SESSION_WORDS), np.int64)
        found = find_sessions(self._words, tags, sessions)
        return Journal(rows, sessions[:found], self.pending())

    def pending(self) -> Pending:
        """Return the scores that no row has seen."""
        waiting = slice(int(self._words[PENDING_HEAD]), int(self._words[PENDING_TAIL]))
        offset, tag, score = self._pending
        return Pending(offset[waiting], tag[waiting], score[waiting])

    def write(self, first: int, end: int) -> SliceColumns:
        """Return the slices from ``first`` to ``end``; the columns are good until the next call."""
        ends = np.zeros(4, np.int64)
        self._make_columns(first, end)
        while True:
            first = write_slices(self._words, first, end, self._written, ends)
            if first == end:
                return _part(self._written, ends)
            kept = _part(self._written, ends)  # the events of these slices were more than their share
            self._written = _slice_columns(*self._room[:1], 2 * self._room[1], *self._room[2:])
            self._room = (self._room[0], 2 * self._room[1], *self._room[2:])
            for name in SliceColumns._fields:
                getattr(self._written, name)[: len(getattr(kept, name))] = getattr(kept, name)

    def _make_columns(self, first: int, end: int) -> None:
        """Have columns for some slices: no shorter than these need, and no longer than much more than that."""
        devices, ids, sessions = (int(table.counts[first:end].sum()) for table in self._tables[:VALUES])
        events = int(self._words[POOL_END]) * (end - first) // SLICES * 5 // 4 + 4_096
        room = (devices, events, ids, sessions)
        if any(not need <= have <= 4 * need + 65_536 for need, have in zip(room, self._room, strict=True)):
            self._room = (2 * devices, events, 2 * ids, 2 * sessions) if end - first < SLICES else room
            self._written = _slice_columns(*self._room)

    def read(self, watermark: int, columns: SliceColumns, loaded: Bool) -> None:
        """Add slices, but for those that are here, bool[SLICES]."""
        self._words[WATERMARK] = max(self._words[WATERMARK], watermark)
        if loaded.any():
            columns = _without(columns, loaded)
        position = np.zeros(4, np.int64)
        while not read_devices(self._words, columns, position):
            self._make_room()
        self._replace(columns)

    def replace_sessions(self, sessions: I64, loaded: Bool) -> None:
        """Put sessions of slices that are here, bool[SLICES], in place of what is known of them."""
        here = sessions[loaded[_slices_of(sessions[:, S_TAG].view(np.uint64))]]
        self._replace(_slice_columns(0, 0, 0, 0)._replace(sessions=here))

    def _replace(self, columns: SliceColumns) -> None:
        position = np.zeros(2, np.int64)
        while not read_rest(self._words, columns, position):
            self._make_room()

    def repeat(self, rows: I64, loaded: Bool) -> None:
        """Do to the slices that are here, bool[SLICES], what a journal says."""
        at, scores = 0, rows.view(np.float32)
        while at < len(rows):
            at = repeat_journal(self._words, rows, scores, loaded, id(self._one), at, len(rows))
            if at < len(rows):
                self._make_room()

    def expect_pending(self, pending: Pending) -> None:
        """Replace the scores that no row has seen."""
        rows = len(pending.offset)
        self._pending = _no_pending(max(_PENDING, 4 * rows))
        for name in Pending._fields:
            getattr(self._pending, name)[:rows] = getattr(pending, name)
        self._words[[PENDING_HEAD, PENDING_TAIL]] = 0, rows
        self._bind()

    def _make_room(self) -> None:
        """Make longer what is too short for another row."""
        words = self._words
        self._devices.lengthen(int(words[DEVICE_END]) + 1)
        self._sessions.lengthen(int(words[SESSION_END]) + 1)
        self._pool.lengthen(int(words[POOL_END] + words[POOL_NEED]))
        self._heavy.lengthen(int(words[HEAVY_END]) + 1)
        waiting = int(words[PENDING_TAIL] - words[PENDING_HEAD])
        if words[JOURNAL_ON]:
            if words[JOURNAL_END] > _JOURNAL_LIMIT:
                words[[JOURNAL_ON, JOURNAL_END]] = 0
                self._journal = Growing(np.int64, 1_024, JOURNAL_WORDS)
            else:
                self._journal.lengthen(int(words[JOURNAL_END]) + waiting + 2)
        for table in self._tables:
            largest = table.grow_if_wanted()
            if 2 * largest > len(self._scratch):
                self._scratch.lengthen(4 * largest)
        self._bind()


def rows_out(rows: int) -> RowsOut:
    """Return columns to be written. For a few rows, names and types that NumPy must look up took half of the time."""
    places = rows, PLACES_KEPT
    return RowsOut(
        np.empty(rows, _U8), np.empty((rows, _COUNTS), _U32), np.empty(rows, _I64), np.empty(rows, _I64),
        np.empty(rows, _U32), np.empty((rows, HOURS), _U8), np.empty((rows, SCORES_KEPT), _F32),
        np.empty(places, _F32), np.empty(places, _F32), np.empty(places, _I64),
        np.empty(rows, _U32), np.empty(rows, _I64), np.empty((rows, len(STATISTICS)), _F32),
    )  # fmt: skip


def slice_columns(devices: I64, events: I64, ids: U64, hours: U32, sessions: I64) -> SliceColumns:
    """Return columns that share the memory of what is given."""
    return SliceColumns(devices, devices.view(np.uint32), events, ids, hours, sessions)


def event_counts(columns: SliceColumns) -> U32:
    """Return how many events each device has."""
    return columns.devices_32[:, LENGTH]


def _slice_columns(devices: int, events: int, ids: int, sessions: int) -> SliceColumns:
    return slice_columns(
        np.empty((devices, DEVICE_WORDS), np.int64),
        np.empty((events, 3), np.int64),
        np.empty(ids, np.uint64),
        np.empty(ids, np.uint32),
        np.empty((sessions, SESSION_WORDS), np.int64),
    )


def _part(columns: SliceColumns, ends: I64) -> SliceColumns:
    devices, events, ids, sessions = ends.tolist()
    return slice_columns(
        columns.devices[:devices], columns.events[:events], columns.ids[:ids], columns.hours[:ids],
        columns.sessions[:sessions],
    )  # fmt: skip


def _without(columns: SliceColumns, loaded: Bool) -> SliceColumns:
    """Leave out what lies in some slices."""
    devices = ~loaded[_slices_of(columns.devices[:, TAG].view(np.uint64))]
    ids = ~loaded[_slices_of(columns.ids)]
    sessions = ~loaded[_slices_of(columns.sessions[:, S_TAG].view(np.uint64))]
    events = np.repeat(devices, event_counts(columns))
    return slice_columns(
        columns.devices[devices], columns.events[events], columns.ids[ids], columns.hours[ids],
        columns.sessions[sessions],
    )  # fmt: skip


def _slices_of(tags: U64) -> I64:
    return (tags >> np.uint64(64 - SLICE_BITS)).astype(np.int64)


def no_journal(pending: Pending) -> Journal:
    """Return a journal of nothing."""
    return Journal(np.empty((0, JOURNAL_WORDS), np.int64), np.empty((0, SESSION_WORDS), np.int64), pending)


def _no_pending(rows: int) -> Pending:
    return Pending(np.zeros(rows, np.int64), np.zeros(rows, np.uint64), np.zeros(rows, np.float32))
