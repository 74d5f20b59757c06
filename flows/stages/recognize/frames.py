"""The bytes of recognition's snapshots: what changed since the one before, and some slices of the tables as they are.

Little-endian: ``magic 4 | version u16 | first slice u16 | slices u16 | reserved u16 | places of a slice of each table
u32[3]``, then columns, each as ``bytes u64`` and its items: the words and weights of the whole, the events whose
decision no row has seen, and for each table the records that changed and those of the slices, each with its place.
The version changes with the layout of a record and with the members of a combination.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.stages.recognize.layout import LEVELS, WORDS, Decided
from schemas.batches import F32, I64, U32, U64
from schemas.recognition import COMBINATIONS, REPUTED
from schemas.velocity import SLICES

_HEAD = struct.Struct("<4sHHHHIII")
_SIZE = struct.Struct("<Q")
_MAGIC = b"CGRS"
_VERSION = 1
_REBUILD = "rebuild the state from Kafka"


class Records(NamedTuple):
    """Records of one table with their places. ``weights`` float32[r, 0 to 2]."""

    places: U32
    keys: U64
    weights: F32


class Whole(NamedTuple):
    """What is not in tables."""

    words: I64
    levels: NDArray[Any]  # float64[COMBINATIONS, LEVELS]
    shown: NDArray[Any]  # float64[COMBINATIONS]
    everybody: NDArray[Any]  # float64[2]


class Frame(NamedTuple):
    """One snapshot."""

    first_slice: int
    slices: int
    capacities: tuple[int, int, int]  # places of a slice of each table
    whole: Whole
    decided: Decided
    changed: tuple[Records, Records, Records]
    sliced: tuple[Records, Records, Records]


_WIDTHS = (1, 2, 0)  # weights of a record of each table
_WHOLE = (
    ("<i8", (WORDS,)), ("<f8", (len(COMBINATIONS), LEVELS)), ("<f8", (len(COMBINATIONS),)), ("<f8", (2,)),
)  # fmt: skip
_DECIDED = (("<i8", (-1,)), ("<i8", (-1,)), ("<u8", (-1, len(REPUTED))), ("|b1", (-1,)))
_TABLES = tuple(shape for width in _WIDTHS for shape in (("<u4", (-1,)), ("<u8", (-1,)), ("<f4", (-1, width))))
_SHAPES: tuple[tuple[str, tuple[int, ...]], ...] = (*_WHOLE, *_DECIDED, *_TABLES, *_TABLES)


def pack(frame: Frame) -> bytes:
    """Return the bytes."""
    columns = (*frame.whole, *frame.decided, *_columns(frame.changed), *_columns(frame.sliced))
    parts: list[bytes] = [
        _HEAD.pack(_MAGIC, _VERSION, frame.first_slice, frame.slices, 0, *frame.capacities),
    ]
    for column, (dtype, _) in zip(columns, _SHAPES, strict=True):
        stored = np.ascontiguousarray(column, dtype).tobytes()
        parts += (_SIZE.pack(len(stored)), stored)
    return b"".join(parts)


def _columns(tables: tuple[Records, ...]) -> list[NDArray[Any]]:
    return [column for records in tables for column in records]


def unpack(data: bytes) -> Frame:
    """Read a frame; the columns have memory of their own. ValueError where it is none of this build's."""
    try:
        magic, version, first, slices, _, *capacities = _HEAD.unpack_from(data)
        if magic != _MAGIC or version != _VERSION:
            raise ValueError(f"not a snapshot of recognize of version {_VERSION}: {_REBUILD}")
        columns = list(_read(data))
    except struct.error as error:
        raise ValueError(f"a snapshot of recognize ends early: {_REBUILD}") from error
    tables = [Records(*columns[at : at + 3]) for at in range(8, 26, 3)]
    one, two, three, *sliced = tables
    frame = Frame(
        first, slices, (capacities[0], capacities[1], capacities[2]), Whole(*columns[:4]), Decided(*columns[4:8]),
        (one, two, three), (sliced[0], sliced[1], sliced[2]),
    )  # fmt: skip
    if not _is_sound(frame):
        raise ValueError(f"a snapshot of recognize contradicts itself: {_REBUILD}")
    return frame


def _read(data: bytes) -> Iterator[NDArray[Any]]:
    at = _HEAD.size
    for dtype, shape in _SHAPES:
        (size,) = _SIZE.unpack_from(data, at)
        at += _SIZE.size
        if at + size > len(data):
            raise ValueError(f"a snapshot of recognize ends early: {_REBUILD}")
        column = np.frombuffer(data[at : at + size], dtype).astype(dtype.lstrip("<|"))
        try:
            yield column.reshape((0, 0) if 0 in shape else shape)  # some records have no weights
        except ValueError:
            raise ValueError(f"a snapshot of recognize has half a row: {_REBUILD}") from None
        at += size
    if at != len(data):
        raise ValueError(f"a snapshot of recognize has bytes left over: {_REBUILD}")


def _is_sound(frame: Frame) -> bool:
    """Return whether what the kernels rely on holds: they look at nothing twice."""
    decided = frame.decided
    lengths = {len(column) for column in decided}
    if frame.first_slice + frame.slices > SLICES or len(lengths) != 1 or np.any(np.diff(decided.offset) < 0):
        return False
    for capacity, width, *both in zip(frame.capacities, _WIDTHS, frame.changed, frame.sliced, strict=True):
        for records in both:
            if len(records.keys) != len(records.places) or (width and len(records.weights) != len(records.keys)):
                return False
            if len(records.places) and int(records.places.max()) >= capacity * SLICES:
                return False
    return True
