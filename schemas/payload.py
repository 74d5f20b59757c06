"""The vector payload, version 1: columns of a batch <-> one body of bytes an event.

Layout, little-endian. N, B, C, T and A count numbers, booleans, categories, texts and activity entries::

    0  payload version u16 | 2 catalogue u16 | 4 N u16 | 6 B u16 | 8 C u16 | 10 T u16 | 12 A u16 | 14 reserved u16
    16 numbers f32[N] | categories u32[C] | text lengths u16[T], 65535 where absent
       known bits[B] | value bits[B], each in whole bytes, lowest bit first | zeros up to a multiple of 4
       activity: time u32[A] | value f32[A] | code u16[A] | target u8[A]
       text bytes, in the order of the text lengths

An older agent sends fewer signals of each kind, which reads as absent; a newer one sends more, which are ignored.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.batches import Activity, Bool, Signals, Texts
from schemas.catalogue import Catalogue

PAYLOAD_VERSION = 1
PREFIX = struct.Struct("<8H")
ABSENT_TEXT = 0xFFFF
MAX_ENTRIES = 10_000
_ENTRY_BYTES = 11


class Shape(NamedTuple):
    """The counts of one payload; rows of equal shape (entries aside) are read as one matrix."""

    catalogue: int
    numbers: int
    booleans: int
    categories: int
    texts: int


@dataclass(frozen=True, slots=True)
class Places:
    """Byte offsets of the fixed blocks of a shape."""

    categories: int
    lengths: int
    known: int
    values: int
    end: int

    @classmethod
    def of(cls, shape: Shape) -> Places:
        """Compute the offsets."""
        categories = PREFIX.size + 4 * shape.numbers
        lengths = categories + 4 * shape.categories
        known = lengths + 2 * shape.texts
        bits = (shape.booleans + 7) // 8
        values = known + bits
        return cls(categories, lengths, known, values, (values + bits + 3) // 4 * 4)


def encode_payloads(signals: Signals, activity: Activity) -> list[bytes]:
    """Return one body a row. Texts over 65,534 bytes and logs over 10,000 entries are refused (ValueError)."""
    if not len(signals):
        return []
    lengths = signals.texts.length
    entries = np.diff(activity.offsets)
    if lengths.size and lengths.max() >= ABSENT_TEXT:
        raise ValueError("a text has more than 65,534 bytes")
    if entries.size and entries.max() > MAX_ENTRIES:
        raise ValueError(f"an activity log has more than {MAX_ENTRIES} entries")
    fixed = _fixed_blocks(signals)
    counts = [signals.numbers.shape[1], signals.known.shape[1], signals.categories.shape[1], lengths.shape[1]]
    at = activity.offsets.tolist()
    logs = [column.tobytes() for column in (activity.time, activity.value, activity.code, activity.target)]
    tails = [signals.texts.column(position) for position in range(lengths.shape[1])]
    bodies = []
    for row, catalogue in enumerate(signals.catalogue.tolist()):
        a, b = at[row], at[row + 1]
        prefix = PREFIX.pack(PAYLOAD_VERSION, catalogue, *counts, b - a, 0)
        log = (block[a * width : b * width] for block, width in zip(logs, (4, 4, 2, 1), strict=True))
        tail = (text[row] or b"" for text in tails)
        bodies.append(b"".join((prefix, fixed[row], *log, *tail)))
    return bodies


def _fixed_blocks(signals: Signals) -> list[bytes]:
    rows = len(signals)
    lengths = np.where(signals.texts.length < 0, ABSENT_TEXT, signals.texts.length).astype("<u2")
    known = np.packbits(signals.known, axis=1, bitorder="little")
    values = np.packbits(signals.booleans & signals.known, axis=1, bitorder="little")
    blocks = [
        np.ascontiguousarray(signals.numbers, "<f4").view(np.uint8).reshape(rows, -1),
        np.ascontiguousarray(signals.categories, "<u4").view(np.uint8).reshape(rows, -1),
        np.ascontiguousarray(lengths).view(np.uint8).reshape(rows, -1),
        known,
        values,
    ]
    padding = -sum(block.shape[1] for block in blocks) % 4
    blocks.append(np.zeros((rows, padding), np.uint8))
    return [row.tobytes() for row in np.concatenate(blocks, axis=1)]


def decode_payloads(bodies: Sequence[bytes], catalogue: Catalogue) -> tuple[Signals, Activity, Bool]:
    """Lay out bodies in columns, padded or cut to this build's catalogue.

    Returns signals, activity and ``good`` bool[n]; a row that is not good is empty in the first two. Never raises,
    whatever the bytes.
    """
    shapes, which, entries, good = _read_prefixes(bodies)
    if len(shapes) == 1 and good.all():
        fixed = _fixed_columns(bodies, shapes[0], catalogue)
    else:
        fixed = _mixed_columns(bodies, shapes, which, good, catalogue)
    starts = np.array([Places.of(shape).end for shape in shapes], np.int64)[which]
    sizes = np.fromiter(map(len, bodies), np.int64, len(bodies))
    good &= starts + entries * _ENTRY_BYTES + fixed.tails == sizes
    entries[~good] = 0
    fixed.blank(~good)
    texts = _texts(bodies, starts + entries * _ENTRY_BYTES, fixed)
    signals = Signals(fixed.catalogue, fixed.numbers, fixed.known, fixed.values, fixed.categories, texts)
    return signals, _activity(bodies, starts, entries), good


@dataclass(slots=True)
class _Fixed:
    """The fixed blocks of a batch at this build's widths; ``tails`` int64[n] sums the bytes of all texts sent."""

    catalogue: NDArray[np.uint16]
    numbers: NDArray[np.float32]
    known: Bool
    values: Bool
    categories: NDArray[np.uint32]
    lengths: NDArray[np.int32]
    tails: NDArray[np.int64]

    @classmethod
    def empty(cls, rows: int, catalogue: Catalogue) -> _Fixed:
        numbers, booleans, categories, texts = catalogue.counts()
        return cls(
            np.zeros(rows, np.uint16),
            np.full((rows, numbers), np.nan, np.float32),
            np.zeros((rows, booleans), np.bool_),
            np.zeros((rows, booleans), np.bool_),
            np.zeros((rows, categories), np.uint32),
            np.full((rows, texts), -1, np.int32),
            np.zeros(rows, np.int64),
        )

    def blank(self, rows: Bool) -> None:
        """Make rows empty that turned out not to be payloads."""
        if rows.any():
            self.numbers[rows] = np.nan
            self.known[rows] = self.values[rows] = False
            self.categories[rows] = 0
            self.lengths[rows] = -1


def _read_prefixes(bodies: Sequence[bytes]) -> tuple[list[Shape], NDArray[np.int64], NDArray[np.int64], Bool]:
    """Return the distinct shapes, each row's index among them, each row's entries, and which rows have a prefix."""
    sizes = np.fromiter(map(len, bodies), np.int64, len(bodies))
    heads = b"".join([body[: PREFIX.size] for body in bodies])
    if len(heads) != PREFIX.size * len(bodies):
        heads = b"".join([body[: PREFIX.size].ljust(PREFIX.size, b"\0") for body in bodies])
    prefixes = np.frombuffer(heads, "<u2").reshape(len(bodies), 8)
    entries = prefixes[:, 6].astype(np.int64)
    good = (prefixes[:, 0] == PAYLOAD_VERSION) & (entries <= MAX_ENTRIES)
    if len(bodies) and (prefixes[:, 1:6] == prefixes[0, 1:6]).all():
        found, which = prefixes[:1, 1:6], np.zeros(len(bodies), np.int64)
    else:
        found, which = np.unique(prefixes[:, 1:6], axis=0, return_inverse=True)
    shapes = [Shape(*counts) for counts in found.tolist()]
    ends = np.array([Places.of(shape).end for shape in shapes], np.int64)
    good &= ends[which] <= sizes if shapes else False
    entries[~good] = 0
    return shapes, which, entries, good


def _fixed_columns(bodies: Sequence[bytes], shape: Shape, catalogue: Catalogue) -> _Fixed:
    """Read rows of one shape: one join, then views."""
    places = Places.of(shape)
    rows = len(bodies)
    matrix = np.frombuffer(b"".join([body[: places.end] for body in bodies]), np.uint8).reshape(rows, places.end)
    fixed = _Fixed.empty(rows, catalogue)
    fixed.catalogue[:] = shape.catalogue
    _copy(fixed.numbers, matrix[:, PREFIX.size : places.categories].view("<f4"))
    _copy(fixed.categories, matrix[:, places.categories : places.lengths].view("<u4"))
    lengths = matrix[:, places.lengths : places.known].view("<u2").astype(np.int32)
    lengths[lengths == ABSENT_TEXT] = -1
    _copy(fixed.lengths, lengths)
    fixed.tails[:] = np.maximum(lengths, 0).sum(axis=1, dtype=np.int64)
    _copy(fixed.known, _unpack(matrix[:, places.known : places.values], shape.booleans))
    value_end = 2 * places.values - places.known
    _copy(fixed.values, _unpack(matrix[:, places.values : value_end], shape.booleans))
    fixed.values &= fixed.known
    return fixed


def _unpack(packed: NDArray[np.uint8], count: int) -> Bool:
    return np.unpackbits(packed, axis=1, count=count, bitorder="little").view(np.bool_)


def _copy(target: NDArray[np.generic], source: NDArray[np.generic]) -> None:
    width = min(target.shape[1], source.shape[1])
    target[:, :width] = source[:, :width]


def _mixed_columns(
    bodies: Sequence[bytes], shapes: list[Shape], which: NDArray[np.int64], good: Bool, catalogue: Catalogue
) -> _Fixed:
    """Read rows of several shapes (agents of several versions), one shape at a time."""
    fixed = _Fixed.empty(len(bodies), catalogue)
    for index in np.unique(which[good]).tolist():
        rows = np.flatnonzero(good & (which == index))
        part = _fixed_columns([bodies[row] for row in rows.tolist()], shapes[index], catalogue)
        for name in ("catalogue", "numbers", "known", "values", "categories", "lengths", "tails"):
            getattr(fixed, name)[rows] = getattr(part, name)
    return fixed


def _texts(bodies: Sequence[bytes], tails: NDArray[np.int64], fixed: _Fixed) -> Texts:
    sizes = np.maximum(fixed.lengths, 0)
    starts = (tails[:, None] + np.cumsum(sizes, axis=1) - sizes).astype(np.int32)
    return Texts(tuple(bodies), starts, fixed.lengths)


def _activity(bodies: Sequence[bytes], starts: NDArray[np.int64], entries: NDArray[np.int64]) -> Activity:
    columns = []
    spans = list(zip(bodies, starts.tolist(), entries.tolist(), strict=True))
    at = 0
    for dtype, width in (("<u4", 4), ("<f4", 4), ("<u2", 2), ("u1", 1)):
        joined = b"".join([body[s + at * n : s + (at + width) * n] for body, s, n in spans])
        columns.append(np.frombuffer(joined, dtype))
        at += width
    offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(entries)))
    return Activity(offsets, *columns)
