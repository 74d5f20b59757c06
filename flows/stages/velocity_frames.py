"""The bytes of velocity's snapshots: what happened since the one before, and some slices of the state as they are.

Little-endian: ``magic 4 | version u16 | first slice u16 | slices u16 | reserved u16 | watermark i64 | salt u64``, then
columns, each as ``bytes u64`` and its items: the journal, the sessions that it touched, the scores that no row has
seen, and the slices. The version changes with the layout of a device, an event, a session or a row of the journal.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.stages.device_state.layout import (
    DEVICE_WORDS,
    J_COUNTED,
    J_NOTED,
    JOURNAL_WORDS,
    S_TAG,
    SESSION_WORDS,
    TAG,
    SliceColumns,
)
from flows.stages.device_state.state import Journal, Pending, event_counts, slice_columns
from schemas.batches import I64, U64, Bool
from schemas.velocity import SLICE_BITS, SLICES

_HEAD = struct.Struct("<4sHHHHqQ")
_SIZE = struct.Struct("<Q")
_MAGIC = b"CGVS"
_VERSION = 3
_REBUILD = "rebuild the state from Kafka"
_SHAPES = {
    "journal": ("<i8", JOURNAL_WORDS), "touched": ("<i8", SESSION_WORDS), "pending_offset": ("<i8", 0),
    "pending_tag": ("<u8", 0), "pending_score": ("<f4", 0), "devices": ("<i8", DEVICE_WORDS), "events": ("<i8", 3),
    "ids": ("<u8", 0), "hours": ("<u4", 0), "sessions": ("<i8", SESSION_WORDS),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Frame:
    """One snapshot."""

    watermark: int  # after the last row, counted or not
    salt: int
    first_slice: int
    slices: int
    journal: Journal
    columns: SliceColumns

    def covered(self) -> Bool:
        """Return which slices the frame holds, bool[SLICES]."""
        covered = np.zeros(SLICES, np.bool_)
        covered[self.first_slice : self.first_slice + self.slices] = True
        return covered


def pack(frame: Frame) -> bytes:
    """Return the bytes."""
    journal, slices = frame.journal, frame.columns
    columns: tuple[NDArray[Any], ...] = (
        journal.rows, journal.sessions, *journal.pending,
        slices.devices, slices.events, slices.ids, slices.hours, slices.sessions,
    )  # fmt: skip
    head = _HEAD.pack(_MAGIC, _VERSION, frame.first_slice, frame.slices, 0, frame.watermark, frame.salt)
    parts: list[bytes | memoryview] = [head]
    for column, (dtype, _) in zip(columns, _SHAPES.values(), strict=True):
        plain = np.ascontiguousarray(column, dtype)
        parts += (_SIZE.pack(plain.nbytes), plain.reshape(-1).data.cast("B") if plain.size else b"")
    return b"".join(parts)


def unpack(data: bytes) -> Frame:
    """Read a frame; the columns have memory of their own. ValueError where it is none of this build's."""
    try:
        magic, version, first, slices, _, watermark, salt = _HEAD.unpack_from(data)
        if magic != _MAGIC or version != _VERSION:
            raise ValueError(f"not a velocity snapshot of version {_VERSION}: {_REBUILD}")
        columns = _read(data)
    except struct.error as error:
        raise ValueError(f"a velocity snapshot ends early: {_REBUILD}") from error
    rows, touched, offset, tag, score, devices, events, ids, hours, sessions = columns
    journal = Journal(rows, touched, Pending(offset, tag, score))
    frame = Frame(watermark, salt, first, slices, journal, slice_columns(devices, events, ids, hours, sessions))
    if not _is_sound(frame):
        raise ValueError(f"a velocity snapshot contradicts itself: {_REBUILD}")
    return frame


def _read(data: bytes) -> list[NDArray[Any]]:
    columns, at = [], _HEAD.size
    for dtype, width in _SHAPES.values():
        (size,) = _SIZE.unpack_from(data, at)
        at += _SIZE.size
        if at + size > len(data):
            raise ValueError(f"a velocity snapshot ends early: {_REBUILD}")
        if size % (np.dtype(dtype).itemsize * max(width, 1)):
            raise ValueError(f"a velocity snapshot has half a row: {_REBUILD}")
        column = np.frombuffer(data, dtype, size // np.dtype(dtype).itemsize, at).astype(dtype[1:])  # a copy
        columns.append(column.reshape(-1, width) if width else column)
        at += size
    if at != len(data):
        raise ValueError(f"a velocity snapshot has bytes left over: {_REBUILD}")
    return columns


def _is_sound(frame: Frame) -> bool:
    """Return whether what the kernels rely on holds: they look at nothing twice."""
    journal, slices = frame.journal, frame.columns
    kinds, lengths = journal.rows[:, 0], event_counts(slices)
    return (
        frame.first_slice + frame.slices <= SLICES
        and frame.slices > 0
        and frame.watermark >= 0
        and len({len(column) for column in journal.pending}) == 1
        and len(slices.ids) == len(slices.hours)
        and bool(((kinds >= J_COUNTED) & (kinds <= J_NOTED)).all())
        and bool((lengths > 0).all())
        and int(lengths.sum(dtype=np.int64)) == len(slices.events)
        and _are_apart(slices.devices[:, TAG].view(np.uint64), frame)
        and _are_apart(slices.ids, frame)
        and _are_apart(slices.sessions[:, S_TAG].view(np.uint64), frame)
    )


def _are_apart(tags: U64, frame: Frame) -> bool:
    """Return whether tags are those of the frame's slices and none comes twice."""
    parts: I64 = (tags >> np.uint64(64 - SLICE_BITS)).astype(np.int64)
    inside = (parts >= frame.first_slice) & (parts < frame.first_slice + frame.slices)
    in_order = np.sort(tags)  # np.unique takes ten times as long for a million
    return bool(inside.all() and tags.all() and (in_order[1:] != in_order[:-1]).all())
