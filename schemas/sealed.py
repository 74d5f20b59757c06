"""The sealed event: a clear header, authenticated, and an AES-256-GCM payload that only the flow opens.

Layout, little-endian, 68 bytes of header, then nonce, ciphertext and tag::

    0  "CG" | 2 version u8 | 3 flags u8 (0) | 4 key_id u32 | 8 session_id 16 | 24 device_id 16 | 40 event_id 16
    56 sequence u32 | 60 sent_at u64 ms | 68 nonce 12 | 80 ciphertext | tag 16

The header is the additional authenticated data. The plaintext is one codec byte and the body; a compressed body is
preceded by its unpacked size as u32, so that a bound can be checked before a byte is unpacked.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

import deflate
import lz4.block
import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEALED_MAGIC = b"CG"
SEALED_VERSION = 1
HEADER_BYTES = 68
NONCE_BYTES = 12
TAG_BYTES = 16
SEALED_MIN_BYTES = HEADER_BYTES + NONCE_BYTES + 1 + TAG_BYTES
MAX_BODY_BYTES = 262_144

HEADER_DTYPE = np.dtype(
    [
        ("magic", "S2"),
        ("version", "u1"),
        ("flags", "u1"),
        ("key_id", "<u4"),
        ("session_id", "u1", (16,)),
        ("device_id", "u1", (16,)),
        ("event_id", "u1", (16,)),
        ("sequence", "<u4"),
        ("sent_at", "<u8"),
    ]
)
_HEADER = struct.Struct("<2sBBI16s16s16sIQ")
_SIZE = struct.Struct("<I")


class Codec(IntEnum):
    """How the body is packed: the plaintext's first byte."""

    RAW = 0
    DEFLATE_RAW = 1
    LZ4 = 2
    NESTED_JSON = 3


_CODECS = {bytes((codec,)): codec for codec in Codec}
_UNPACKED = (Codec.RAW, Codec.NESTED_JSON)


class Header(NamedTuple):
    """The clear header of one event."""

    key_id: int
    session_id: bytes
    device_id: bytes
    event_id: bytes
    sequence: int
    sent_at: int

    def pack(self) -> bytes:
        """Return the 68 bytes."""
        return _HEADER.pack(
            SEALED_MAGIC, SEALED_VERSION, 0, self.key_id, self.session_id, self.device_id, self.event_id,
            self.sequence, self.sent_at,
        )  # fmt: skip


def read_header(sealed: bytes) -> Header | None:
    """Return the clear header, or None where the bytes are no sealed event of this version."""
    if len(sealed) < SEALED_MIN_BYTES:
        return None
    magic, version, flags, *rest = _HEADER.unpack_from(sealed)
    if magic != SEALED_MAGIC or version != SEALED_VERSION or flags:
        return None
    return Header(*rest)


def seal(header: Header, body: bytes, key: bytes, nonce: bytes, codec: Codec = Codec.RAW) -> bytes:
    """Return the sealed event. ``nonce`` must never repeat under one session key: draw it at random."""
    clear = header.pack()
    return clear + nonce + AESGCM(key).encrypt(nonce, pack_body(body, codec), clear)


def pack_body(body: bytes, codec: Codec) -> bytes:
    """Return the plaintext for a body: the codec byte, the size where packed, the bytes."""
    mark = bytes((codec,))
    if codec is Codec.DEFLATE_RAW:
        return mark + _SIZE.pack(len(body)) + bytes(deflate.deflate_compress(body, 6))
    if codec is Codec.LZ4:
        return mark + _SIZE.pack(len(body)) + lz4.block.compress(body, store_size=False)
    return mark + body


class BodyError(Exception):
    """A body that cannot be unpacked; ``kind`` is one of too_large, unknown_codec, inflate_failed."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def unpack_body(plaintext: bytes, limit: int = MAX_BODY_BYTES) -> tuple[Codec, bytes]:
    """Return codec and body, never more than ``limit`` bytes. BodyError otherwise."""
    codec = _CODECS.get(plaintext[:1])
    if codec is None:
        raise BodyError("unknown_codec")
    if codec in _UNPACKED:
        if len(plaintext) - 1 > limit:
            raise BodyError("too_large")
        return codec, plaintext[1:]
    if len(plaintext) < 1 + _SIZE.size:
        raise BodyError("inflate_failed")
    (size,) = _SIZE.unpack_from(plaintext, 1)
    if size > limit:
        raise BodyError("too_large")
    return codec, _inflate(codec, plaintext[1 + _SIZE.size :], size)


def _inflate(codec: Codec, packed: bytes, size: int) -> bytes:
    try:
        if codec is Codec.LZ4:
            body = lz4.block.decompress(packed, uncompressed_size=size)
        else:
            body = bytes(deflate.deflate_decompress(packed, size + 1))  # + 1: a size of 0 is no bound to it
    except (lz4.block.LZ4BlockError, deflate.DeflateError, ValueError, MemoryError) as error:
        raise BodyError("inflate_failed") from error
    if len(body) != size:
        raise BodyError("inflate_failed")
    return body
