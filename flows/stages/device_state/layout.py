"""How the state of a partition lies in memory: records in arrays, and where each field is.

A **device** is 128 bytes, two cache lines, seen as 16 words: 0 first seen, 1 last seen, 12 to 14 when it was at its
places, 15 its tag; as 32 numbers of 32 bits: 4 events of its life, 5 start, 6 length and 7 class of its list, 8 to 11
its scores, 18 to 23 latitudes and longitudes of its places; as bytes: 48 to 71 its hours.

An **event** is three words: ``time << 21 | country << 5 | newest``; address and account; merchant and session, hashes
of 32 bits each. ``newest`` has a bit for each kind but events: no later event of the list has the same value. A list
is sorted by time and lies in one block of the pool (classes of ``SIZES``).

A **heavy** device has more than 64 events in its list. They lie in chunks of 64, found through a directory, a block of
``start, length, first time``; it has counters of its windows, and the table ``values`` says when each value of its last
24 hours was last seen. There, the bit of an event is set where no event before it has the same value and time.

A **table** finds the number of a tag, by open addressing within slices, the highest bits of a tag; 0 is an empty place.
All slices have ``CAPACITY`` places; while it grows, slices from ``BOUNDARY`` on have ``NEXT_CAPACITY`` already. There
are four: device -> its record; event id -> the hour of the watermark in which it was counted; session -> its record;
value of a heavy device -> when it was last seen, the lower 32 bits.

A **session** of a device is 208 bytes, 26 words: 0 tag, 1 start, 2 watermark when it was last counted; 32-bit numbers
6 events, 7 to 32 counts; words 17 to 25 sums, both as ``schemas.activity_statistics`` has them.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.activity_statistics import COUNTS, SUMS
from schemas.batches import F32, I64, U8, U16, U32, U64
from schemas.velocity import SLICES

F64 = NDArray[np.float64]
SECOND = 1_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
NEVER = -(1 << 62)
LATEST = (1 << 42) - 1  # ms since the epoch, in 2109: what an event's word can hold

# The words of a state: what is known of the whole, ends and lengths of its arrays, and where they lie.
WATERMARK, LATENESS, HOURS_KEPT, IDLE, SESSION_IDLE, SALT, EVENTS, FETCHED = range(8)
POOL_END, POOL_NEED, DEVICE_END, DEVICE_FREE, HEAVY_END, HEAVY_FREE, SESSION_END, SESSION_FREE = range(8, 16)
PENDING_HEAD, PENDING_TAIL, JOURNAL_END, JOURNAL_ON = range(16, 20)
POOL_LENGTH, DEVICE_LENGTH, HEAVY_LENGTH, SESSION_LENGTH, JOURNAL_LENGTH = range(20, 25)
DEVICES, POOL, HEAVY, SESSIONS, PENDING_OFFSET, PENDING_TAG, PENDING_SCORE, JOURNAL, SCRATCH = range(25, 34)
TALLY, CODES, KEY_CODE, CODE_CATEGORY, CODE_COUNTED, CODE_ON_CARDS, CODE_SUMMED, CODE_CARD = range(34, 42)
PENDING_LENGTH = 42
IDS_SWEPT, DEVICE_SWEPT, SESSION_SWEPT = 94, 95, 96
FREE = 60  # by class of block: the last that was given back, + 1
BY_TAG, IDS, BY_SESSION, VALUES = range(4)  # tables
TABLES, TABLE_WORDS = 100, 16  # where the first one is described; the words of each
COUNTS_AT = TABLES + 4 * TABLE_WORDS  # by table and slice: how many tags it has
CACHE_LINE = 8  # words
# Where the columns of the batch at hand lie, in the order of RowsIn and of RowsOut.
COLUMNS_AT = COUNTS_AT + 4 * SLICES
(
    IN_OCCURRED, IN_RECEIVED, IN_APPENDED, IN_OFFSET, IN_EVENT, IN_DEVICE, IN_SESSION, IN_ADDRESS, IN_MERCHANT,
    IN_ACCOUNT, IN_COUNTRY, IN_LATITUDE, IN_LONGITUDE, LOG_OFFSETS, LOG_TIME, LOG_VALUE, LOG_CODE, LOG_TARGET,
) = range(COLUMNS_AT, COLUMNS_AT + 18)  # fmt: skip
(
    OUT_FATE, OUT_COUNTS, OUT_FIRST, OUT_PREVIOUS, OUT_LIFE, OUT_HOURS, OUT_SCORES, OUT_LATITUDE, OUT_LONGITUDE,
    OUT_PLACE_AT, OUT_SESSION_EVENTS, OUT_SESSION_STARTED, OUT_STATISTICS,
) = range(LOG_TARGET + 1, LOG_TARGET + 14)  # fmt: skip
SCORED_DEVICE, SCORED_OFFSET, SCORED_SCORE = range(OUT_STATISTICS + 1, OUT_STATISTICS + 4)
STATE_WORDS = SCORED_SCORE + 1

# A table: where its tags and values lie, and
CAPACITY, NEXT_CAPACITY, BOUNDARY, CREDIT, WANTS, USED, TAGS, VALUES_AT = range(8)

# A device: words, then numbers of 32 bits, then bytes.
FIRST, LAST, PLACE_AT, TAG = 0, 1, 12, 15
LIFE, START, LENGTH, CLASS, SCORES, PLACES = 4, 5, 6, 7, 8, 18
HOURS_AT = 48
DEVICE_WORDS = 16
IS_HEAVY = 255  # as the class of a list: START is then the heavy record

# A heavy device.
H_DIRECTORY, H_CLASS, H_HEAD, H_LENGTH, H_COUNTS = range(5)
HEAVY_WORDS = 24

# A session: words, then numbers of 32 bits.
S_TAG, S_STARTED, S_TOUCHED, S_SUMS = 0, 1, 2, 17
S_EVENTS, S_COUNTS = 6, 7
SESSION_WORDS = S_SUMS + len(SUMS)
if S_COUNTS + len(COUNTS) > 2 * S_SUMS:
    raise AssertionError("the counts of a session do not fit before its sums")

# Classes of blocks: entries of three words.
SIZES: I64 = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, *(64 << np.arange(22))], np.int64)
CHUNK_CLASS, DIRECTORY_CLASS = 11, 5
CHUNK = 64
SCANNED = 16_384
"""A late event of a heavy device looks at so many events of its window; distinct values beyond are not counted."""

# The tally of a log: a word a code, in several copies in turn, so that no entry waits for the one before. They lie in a
# line of the cache: further apart, at a multiple of its ways, each would drive the others out. A word has the number of
# entries and, below, how many have a value that is no small whole number, and the sum of the others' values.
TALLY_CODES, TALLY_COPIES = 1 << 10, 8
TALLY_COUNT, TALLY_ODD = 1 << 44, 1 << 31
TALLY_ENTRIES, TALLY_VALUES = 1 << 10, 1 << 20  # of a log at once; whole numbers below

# A journal's row: kind, device, three words of the event, id, session, place.
J_COUNTED, J_SCORE, J_WATERMARK, J_NOTED = 1, 2, 3, 4  # noted: an attempt of a redriven row, which counts nothing
JOURNAL_WORDS = 8


class RowsIn(NamedTuple):
    """What the state needs of a batch, as columns of ``ROWS_IN``."""

    occurred_at: I64  # an event counts at the least of the three
    received_at: I64
    appended_at: I64
    offset: I64
    event: U8  # [n, 16], as the next three
    device: U8
    session: U8
    address: U8
    merchant: U64  # a hash
    account: U64  # a hash, 0 where there is none
    country: U16
    latitude: F32
    longitude: F32
    log_offsets: I64
    log_time: U32
    log_value: F32
    log_code: U16
    log_target: U8


ROWS_IN = (
    *(np.int64,) * 4, *(np.uint8,) * 4, np.uint64, np.uint64, np.uint16, np.float32, np.float32,
    np.int64, np.uint32, np.float32, np.uint16, np.uint8,
)  # fmt: skip


SCORED = (np.uint8, np.int64, np.float32)


class RowsOut(NamedTuple):
    """What the state says of a batch."""

    fate: U8  # COUNTED, DROPPED, DEAD
    counts: U32  # [n, 18]
    first: I64
    previous: I64
    life: U32
    hours: U8  # [n, 24]
    scores: F32  # [n, 4]
    latitude: F32  # [n, 3]
    longitude: F32
    place_at: I64
    session_events: U32
    session_started: I64
    statistics: F32  # [n, STATISTICS]


COUNTED, DROPPED, DEAD = range(3)


class SliceColumns(NamedTuple):
    """Slices of a state: devices and their events in the same order, ids and sessions."""

    devices: I64  # [D, 16]; start and class are 0
    devices_32: U32  # the same memory
    events: I64  # [L, 3]
    ids: U64
    hours: U32
    sessions: I64  # [S, 26]
