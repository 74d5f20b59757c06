"""Frames of the state log: bytes on disk that say themselves whether they are whole.

Little-endian, 32 bytes and then the payload::

    0  "CGSL" | 4 kind u8 (1 start, 2 snapshot, 3 mark) | 5 codec u8 (0 raw, 1 lz4) | 6 first slice u16 | 8 number u64
    16 stored bytes u32 | 20 unpacked bytes u32 | 24 slices u16 | 26 reserved u16 | 28 crc32 u32 of all other bytes

``number`` is the offset behind the last row that a snapshot holds, the watermark of a mark, a start's segment number.
The CRC starts from that of the frame before it in its segment, so that a frame that is missing or in the wrong place
is found like one that was altered. A start's payload names the partition and the CRC of the last frame of the segment
before, which makes one chain of all segments.
"""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum
from typing import BinaryIO, NamedTuple

import lz4.block

from schemas.velocity import SLICES

_HEAD = struct.Struct("<4sBBHQIIHH")
_CRC = struct.Struct("<I")
_START = struct.Struct("<II")
HEADER_BYTES = _HEAD.size + _CRC.size
_MAGIC = b"CGSL"
_RAW, _LZ4 = 0, 1
MAX_PAYLOAD = (1 << 31) - 1
_SAMPLE, _SAMPLES = 4_096, 3
_WORTH = 0.5  # packing 1 MiB costs up to 4 ms, writing it as it is 0.3 ms: only where it halves the bytes


class Kind(IntEnum):
    """Where a segment starts, what changed with some whole slices, or the sinks' watermark."""

    START = 1
    SNAPSHOT = 2
    MARK = 3


class Entry(NamedTuple):
    """What a frame is to hold."""

    kind: Kind
    number: int
    payload: bytes = b""
    first_slice: int = 0
    slices: int = 0


class Frame(NamedTuple):
    """One whole frame as found in a file: its payload is ``stored`` bytes at ``begin``."""

    kind: Kind
    number: int
    first_slice: int
    slices: int
    crc: int
    codec: int
    begin: int
    stored: int
    size: int  # bytes unpacked

    @property
    def end(self) -> int:
        """Return where the next frame starts."""
        return self.begin + self.stored


class Start(NamedTuple):
    """What a segment says of itself."""

    number: int
    partition: int
    previous_crc: int  # of the last frame of the segment before, 0 where there was none


class Broken(ValueError):
    """The bytes at this place are no whole frame; the text says how."""


def encode(entry: Entry, previous_crc: int) -> tuple[list[bytes], int]:
    """Return the frame in parts, for a payload is not to be copied, and its CRC.

    ValueError where the payload is over 2 GiB.
    """
    payload = entry.payload
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a state of {len(payload)} bytes does not fit into one frame: use more Kafka partitions")
    codec, stored = _packed(payload)
    slices = (entry.first_slice, entry.number, len(stored), len(payload), entry.slices, 0)
    head = _HEAD.pack(_MAGIC, entry.kind, codec, *slices)
    crc = zlib.crc32(stored, zlib.crc32(head, previous_crc))
    return [head + _CRC.pack(crc), stored], crc


def encode_start(start: Start) -> tuple[list[bytes], int]:
    """Return the frame that a segment starts with, and its CRC."""
    return encode(Entry(Kind.START, start.number, _START.pack(start.partition, start.previous_crc)), 0)


def read_frame(file: BinaryIO, at: int, size: int, previous_crc: int) -> Frame:
    """Read the frame at a place of a file of ``size`` bytes, and check it.

    Broken where it is torn, altered or not the one that belongs there.
    """
    file.seek(at)
    head = file.read(HEADER_BYTES)
    if len(head) < HEADER_BYTES:
        raise Broken("a frame is torn")
    magic, kind, codec, first_slice, number, stored, unpacked, slices, reserved = _HEAD.unpack_from(head)
    if magic != _MAGIC or reserved:
        raise Broken("no frame starts where one should")
    if stored > size - at - HEADER_BYTES:
        raise Broken("a frame is torn")
    crc = zlib.crc32(file.read(stored), zlib.crc32(head[: _HEAD.size], previous_crc))
    if crc != _CRC.unpack_from(head, _HEAD.size)[0]:
        raise Broken("a frame's CRC does not match")
    if kind not in _KINDS or codec > _LZ4 or slices > SLICES:
        raise Broken("a frame is of another build")
    return Frame(Kind(kind), number, first_slice, slices, crc, codec, at + HEADER_BYTES, stored, unpacked)


def read_start(file: BinaryIO, size: int) -> tuple[Start, Frame]:
    """Read the frame that a segment starts with. Broken where there is none."""
    frame = read_frame(file, 0, size, 0)
    if frame.kind is not Kind.START or frame.stored != _START.size:
        raise Broken("the segment does not say which one it is")
    return Start(frame.number, *_START.unpack(read_payload(file, frame))), frame


def read_payload(file: BinaryIO, frame: Frame) -> bytes:
    """Return the bytes that were encoded."""
    file.seek(frame.begin)
    stored = file.read(frame.stored)
    if frame.codec == _RAW:
        return stored
    unpacked: bytes = lz4.block.decompress(stored, uncompressed_size=frame.size)
    return unpacked


_KINDS = frozenset(Kind)


def _packed(payload: bytes) -> tuple[int, bytes]:
    """Return the codec and the bytes to store: packed where three samples of the payload say that it pays."""
    if len(payload) > _SAMPLES * _SAMPLE:
        step = (len(payload) - _SAMPLE) // (_SAMPLES - 1)
        samples = b"".join(payload[at * step : at * step + _SAMPLE] for at in range(_SAMPLES))
        if len(lz4.block.compress(samples, store_size=False)) > _WORTH * len(samples):
            return _RAW, payload
    packed: bytes = lz4.block.compress(payload, store_size=False)
    return (_LZ4, packed) if len(packed) <= _WORTH * len(payload) else (_RAW, payload)
