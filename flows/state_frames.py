"""Frames of the state log: bytes on disk that say themselves whether they are whole.

Little-endian, 32 bytes and then the payload::

    0  "CGSF" | 4 kind u8 (1 full, 2 delta, 3 mark) | 5 codec u8 (0 raw, 1 lz4) | 6 reserved u16 | 8 next_offset u64
    16 stored bytes u32 | 20 unpacked bytes u32 | 24 crc32 u32 of all other bytes | 28 reserved u32

The CRC starts from that of the frame before it in its segment, so that a frame that is missing or in the wrong place
is found like one that was altered.
"""

from __future__ import annotations

import struct
import zlib
from enum import IntEnum
from typing import NamedTuple

import lz4.block

_HEAD = struct.Struct("<4sBBHQII")
_TAIL = struct.Struct("<II")
HEADER_BYTES = _HEAD.size + _TAIL.size
_MAGIC = b"CGSF"
_RAW, _LZ4 = 0, 1
MAX_PAYLOAD = (1 << 31) - 1


class Kind(IntEnum):
    """A whole state, what changed, or the sinks' watermark: a mark has no payload, its offset is the watermark."""

    FULL = 1
    DELTA = 2
    MARK = 3


class Frame(NamedTuple):
    """One frame as read: ``end`` is where the next one starts in its segment."""

    kind: Kind
    next_offset: int
    crc: int
    end: int
    codec: int
    size: int
    stored: memoryview

    def payload(self) -> bytes:
        """Return the bytes that were encoded."""
        if self.codec == _RAW:
            return bytes(self.stored)
        unpacked: bytes = lz4.block.decompress(self.stored, uncompressed_size=self.size)
        return unpacked


class Broken(ValueError):
    """The bytes at this place are no whole frame; the text says how."""


def encode(kind: Kind, payload: bytes, next_offset: int, previous_crc: int) -> tuple[list[bytes], int]:
    """Return the frame in parts, for a whole state is not to be copied, and its CRC.

    ValueError where the payload is over 2 GiB.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a state of {len(payload)} bytes does not fit into one frame: use more Kafka partitions")
    packed = lz4.block.compress(payload, store_size=False)
    codec, stored = (_LZ4, packed) if len(packed) < len(payload) else (_RAW, payload)
    head = _HEAD.pack(_MAGIC, kind, codec, 0, next_offset, len(stored), len(payload))
    crc = zlib.crc32(stored, zlib.crc32(head, previous_crc))
    return [head + _TAIL.pack(crc, 0), stored], crc


def decode(data: memoryview, at: int, previous_crc: int) -> Frame:
    """Read the frame at a place. Broken where it is torn, altered or not the one that belongs there."""
    if len(data) - at < HEADER_BYTES:
        raise Broken("a frame is torn")
    magic, kind, codec, reserved, next_offset, stored, size = _HEAD.unpack_from(data, at)
    crc, unused = _TAIL.unpack_from(data, at + _HEAD.size)
    if magic != _MAGIC or reserved or unused:
        raise Broken("no frame starts where one should")
    begin, end = at + HEADER_BYTES, at + HEADER_BYTES + stored
    if end > len(data):
        raise Broken("a frame is torn")
    if zlib.crc32(data[begin:end], zlib.crc32(data[at : at + _HEAD.size], previous_crc)) != crc:
        raise Broken("a frame's checksum does not match")
    return Frame(Kind(kind), next_offset, crc, end, codec, size, data[begin:end])
