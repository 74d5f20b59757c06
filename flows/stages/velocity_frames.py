"""The bytes of velocity's snapshots: a whole state, or the events counted since the last snapshot.

Little-endian: ``magic 4 | version u8 | kind u8 | reserved u16 | watermark i64``, then columns, each as ``bytes u64``
and its items. A delta holds the events themselves (24 bytes each), so that its cost is that of the change, whatever
the size of the lists that they went into.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.batches import I64, U32, U64

_HEAD = struct.Struct("<4sBBHq")
_SIZE = struct.Struct("<Q")
_MAGIC = b"CGVS"
_VERSION = 1
_FULL, _DELTA = 1, 2


@dataclass(frozen=True, slots=True)
class Full:
    """A whole state. D devices, L times, N ids."""

    watermark: int
    tags: U64  # [D]
    first: I64  # [D]
    lengths: I64  # [D]
    times: I64  # [L], each device's list after the other's
    ids: U64  # [N]
    hours: U32  # [N]


@dataclass(frozen=True, slots=True)
class Delta:
    """Events in the order of their offsets, in runs of one hour of the watermark."""

    watermark: int  # after the last row, counted or not
    hours: I64  # [runs]
    sizes: I64  # [runs], may be 0: the hour began, nothing was counted
    tags: U64  # [n]
    times: I64  # [n]
    ids: U64  # [n]


def pack(frame: Full | Delta) -> bytes:
    """Return the bytes."""
    kind = _FULL if isinstance(frame, Full) else _DELTA
    parts: list[bytes | memoryview] = [_HEAD.pack(_MAGIC, _VERSION, kind, 0, frame.watermark)]
    for name, dtype in _COLUMNS[kind]:
        column = np.ascontiguousarray(getattr(frame, name), dtype)
        parts += (_SIZE.pack(column.nbytes), column.data.cast("B") if column.size else b"")
    return b"".join(parts)


def unpack(data: bytes) -> Full | Delta:
    """Read a frame; the columns share its memory. ValueError where it is none of this build's."""
    try:
        magic, version, kind, _, watermark = _HEAD.unpack_from(data)
        if magic != _MAGIC or version != _VERSION or kind not in _COLUMNS:
            raise ValueError(f"not a velocity snapshot of version {_VERSION}: rebuild the state from Kafka")
        columns = _read(data, [dtype for _, dtype in _COLUMNS[kind]])
    except struct.error as error:
        raise ValueError("a velocity snapshot ends early: rebuild the state from Kafka") from error
    return Full(watermark, *columns) if kind == _FULL else Delta(watermark, *columns)


def _read(data: bytes, dtypes: Sequence[str]) -> list[NDArray[Any]]:
    columns, at = [], _HEAD.size
    for dtype in dtypes:
        (size,) = _SIZE.unpack_from(data, at)
        at += _SIZE.size
        if at + size > len(data):
            raise ValueError("a velocity snapshot ends early: rebuild the state from Kafka")
        columns.append(np.frombuffer(data, dtype, size // np.dtype(dtype).itemsize, at))
        at += size
    if at != len(data):
        raise ValueError("a velocity snapshot has bytes left over: rebuild the state from Kafka")
    return columns


_COLUMNS = {
    _FULL: (("tags", "<u8"), ("first", "<i8"), ("lengths", "<i8"), ("times", "<i8"), ("ids", "<u8"), ("hours", "<u4")),
    _DELTA: (("hours", "<i8"), ("sizes", "<i8"), ("tags", "<u8"), ("times", "<i8"), ("ids", "<u8")),
}
