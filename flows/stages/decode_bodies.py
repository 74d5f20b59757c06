"""Payloads side by side in one stretch of memory, which is used again, and the columns that are made of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Final

import numpy as np

from flows.stages import decode_kernels as kernels
from schemas import payload
from schemas.batches import I64, U8, Activity, Bool, Signals, Texts
from schemas.catalogue import Catalogue
from schemas.sealed import MAX_BODY_BYTES, Codec

_ALIGN: Final = 4  # bytes: where bodies start, one after their codec byte
_KEPT_BYTES: Final = 16 << 20  # of memory that is kept for the next batch


class Bodies:
    """The plaintexts of a batch: row i lies in ``first[i]:end[i]`` of ``room``, its body one byte behind ``first``."""

    def __init__(self, octets: U8, sizes: I64) -> None:
        """``octets``: memory for ``room_for(sizes)`` bytes."""
        rooms = (sizes + 2 * (_ALIGN - 1)) // _ALIGN * _ALIGN
        ends = np.cumsum(rooms)
        self.first: I64 = ends - rooms + _ALIGN - 1
        self.end: I64 = self.first + sizes
        self._used = int(ends[-1]) if len(ends) else 0
        self.octets = octets
        self.room = octets.data

    def unpacked(self, opened: Bool) -> I64:
        """Return the opened rows that are not their bodies yet."""
        raw = self.octets[self.first] == Codec.RAW
        return np.flatnonzero(opened & ~(raw & (self.end - self.first - 1 <= MAX_BODY_BYTES)))

    def plaintext(self, row: int) -> bytes:
        """Return the plaintext of a row."""
        return self.room[self.first[row] : self.end[row]].tobytes()

    def put(self, row: int, body: bytes) -> None:
        """Give a row another body, behind all others."""
        first = self._used + _ALIGN - 1
        self.first[row], self.end[row] = first, first + 1 + len(body)
        self._used = (first + len(body) + _ALIGN) // _ALIGN * _ALIGN
        if self._used > len(self.octets):
            octets = _memory(2 * self._used)
            octets[: len(self.octets)] = self.octets
            self.octets, self.room = octets, octets.data
        self.room[first + 1 : first + 1 + len(body)] = body

    def drop(self, rows: Bool) -> None:
        """Leave rows without a body."""
        self.end[rows] = self.first[rows]


class Rooms:
    """Memory for plaintexts: new pages for each batch would cost as much as filling them. At most one a thread."""

    def __init__(self) -> None:
        self._spare: list[U8] = []

    @contextmanager
    def bodies(self, sizes: I64) -> Iterator[Bodies]:
        """Give room for plaintexts of these sizes, int64[n]. Nothing may keep a view of it."""
        needed = int(sizes.sum()) + 2 * _ALIGN * (len(sizes) + 1)
        octets = self._spare.pop() if self._spare else None
        found = Bodies(_memory(needed) if octets is None or len(octets) < needed else octets, sizes)
        yield found
        if len(found.octets) <= _KEPT_BYTES:
            self._spare.append(found.octets)


def _memory(size: int) -> U8:
    """Return at least so many bytes, aligned for all that payloads hold."""
    return np.zeros(size // 8 + 1, np.uint64).view(np.uint8)


def read_columns(bodies: Bodies, catalogue: Catalogue) -> tuple[Signals, Activity, Bool]:
    """Lay out bodies in columns as ``schemas.payload.decode_payloads`` does, texts by their own bytes alone.

    Returns signals, activity and ``good`` bool[n]; a row that is not good is empty in the first two.
    """
    rows, octets = len(bodies.first), bodies.octets
    first = bodies.first + 1
    numbers, booleans, categories, texts = catalogue.counts()
    starts, lengths = np.empty((2, rows, texts), np.int32)
    good, version, places = np.empty(rows, np.bool_), np.empty(rows, np.uint16), np.empty((4, rows), np.int64)
    measured = (good, version, *places)
    kernels.measure(octets, np.stack((first, bodies.end - first)), (starts, lengths), measured)
    entries, text_bytes = places[0], places[3]
    offsets, tail_ends = _running(entries), _running(text_bytes)
    total = int(offsets[-1])
    table, codes = np.empty((rows, numbers), np.float32), np.empty((rows, categories), np.uint32)
    known, true = np.empty((2, rows, (booleans + 7) // 8), np.uint8)
    log = np.empty(total, np.uint32), np.empty(total, np.float32), np.empty(total, np.uint16), np.empty(total, np.uint8)
    tails = np.empty(int(tail_ends[-1]), np.uint8)
    time, value, code, target = log
    kernels.lay_out(
        octets, first, measured, (table.view(np.uint32), codes, known, true, booleans),
        (time, value.view(np.uint32), code, target), tails,
    )  # fmt: skip
    joined = tails.tobytes()
    blobs = tuple([joined[at:end] for at, end in pairwise(tail_ends.tolist())])
    signals = Signals(
        version, table, _flags(known, booleans), _flags(true, booleans), codes, Texts(blobs, starts, lengths)
    )
    return signals, Activity(offsets, *log), good


def _running(counts: I64) -> I64:
    """Return where each part begins, and the end of the last, int64[n + 1]."""
    ends = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=ends[1:])
    return ends


def _flags(packed: U8, count: int) -> Bool:
    return np.unpackbits(packed, axis=1, count=count, bitorder="little").view(np.bool_)


if (
    payload.PAYLOAD_VERSION, payload.MAX_ENTRIES, payload.ABSENT_TEXT, payload.PREFIX.size,
) != (kernels.PAYLOAD_VERSION, kernels.MAX_ENTRIES, kernels.ABSENT_TEXT, kernels.PREFIX_BYTES):  # fmt: skip
    raise AssertionError("flows.stages.decode_kernels reads another layout than schemas.payload")
