"""Reading and writing the primitives of the native protocol, plain or in LZ4 frames."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import cast

import lz4.block
from clickhouse_driver.compression.base import CityHash128

MAX_BLOCK_BYTES = 256 * 1024 * 1024
MAX_TEXT_BYTES = 16 * 1024 * 1024
_WINDOW_BYTES = 256 * 1024  # of a block that is passed on; as much again may come with one look at the source
_FRAME = struct.Struct("<BII")
_LZ4 = 0x82
_HEADER_BYTES = _FRAME.size
_CHECKSUM = struct.Struct("<QQ")


class ProtocolError(Exception):
    """The peer sent bytes that are not the protocol; the connection cannot go on."""


class DisconnectedError(ProtocolError):
    """The peer closed the connection."""


class Wire:
    """A buffer over a byte source; bytes stay in it until :meth:`compact`, so a whole block can be taken.

    While a block is passed on (:meth:`passing`) only a window of it stays: memory that is touched for the first time
    costs several times what copying does.
    """

    __slots__ = ("_fill", "_passed", "_sink", "buf", "pos")

    def __init__(self, fill: Callable[[], bytes | memoryview]) -> None:
        self._fill = fill
        self._sink: Callable[[memoryview], object] | None = None
        self._passed = 0
        self.buf = bytearray()
        self.pos = 0

    def compact(self) -> None:
        """Forget what has been read."""
        del self.buf[: self.pos]
        self.pos = 0

    @contextmanager
    def passing(self, sink: Callable[[memoryview], object]) -> Iterator[None]:
        """Give ``sink`` whatever is read in this block, after what is read already; the view holds for the call."""
        self._sink, self._passed = sink, 0
        try:
            yield
            self._pass_on()
        finally:
            self._sink = None

    def _pass_on(self) -> None:
        """Let go of what has been read."""
        if self._sink is not None and self.pos:
            with memoryview(self.buf) as whole, whole[: self.pos] as read:
                self._sink(read)
            self._passed += self.pos
            self.compact()

    def _more(self) -> None:
        """Add what comes next."""
        chunk = self._fill()
        if not chunk:
            raise DisconnectedError("the peer closed the connection")
        self.buf += chunk

    def ensure(self, count: int) -> None:
        """Have at least ``count`` unread bytes in the buffer."""
        self._allow(count)
        while len(self.buf) < self.pos + count:
            if self.pos >= _WINDOW_BYTES:
                self._pass_on()
            self._more()

    def _allow(self, count: int) -> None:
        if (self._passed if self._sink else 0) + self.pos + count > MAX_BLOCK_BYTES:
            raise ProtocolError(f"a block of more than {MAX_BLOCK_BYTES} bytes")

    def skip(self, count: int) -> None:
        """Pass over ``count`` bytes."""
        self._allow(count)
        while self._sink is not None and (there := len(self.buf) - self.pos) < count:
            self.pos, count = len(self.buf), count - there
            self._pass_on()
            self._more()
        self.ensure(count)
        self.pos += count

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes."""
        self.ensure(count)
        start, self.pos = self.pos, self.pos + count
        return bytes(memoryview(self.buf)[start : self.pos])

    def u8(self) -> int:
        """Read one byte."""
        self.ensure(1)
        self.pos += 1
        return self.buf[self.pos - 1]

    def u64(self) -> int:
        """Read a little-endian 64-bit number."""
        return int.from_bytes(self.take(8), "little")

    def varint(self) -> int:
        """Read a LEB128 number of at most 64 bits."""
        value = shift = 0
        while shift < 70:
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
        raise ProtocolError("a number of more than 64 bits")

    def text(self, limit: int = MAX_TEXT_BYTES) -> str:
        """Read a length-prefixed string."""
        size = self.varint()
        if size > limit:
            raise ProtocolError(f"a string of {size} bytes where at most {limit} are allowed")
        return self.take(size).decode("utf-8", "replace")


def varint(value: int) -> bytes:
    """Encode a LEB128 number."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def text(value: str) -> bytes:
    """Encode a length-prefixed string."""
    raw = value.encode("utf-8", "surrogateescape")
    return varint(len(raw)) + raw


def _checksum(data: bytes) -> bytes:
    """Return ClickHouse's checksum of a frame, as it is written on the wire."""
    digest = cast(int, CityHash128(data))
    return _CHECKSUM.pack(digest >> 64, digest & (2**64 - 1))


def pack_frame(data: bytes) -> bytes:
    """Compress ``data`` into one checked LZ4 frame."""
    body = lz4.block.compress(data, store_size=False)
    checked = _FRAME.pack(_LZ4, len(body) + _HEADER_BYTES, len(data)) + body
    return _checksum(checked) + checked


def read_frame(wire: Wire) -> bytes:
    """Read one LZ4 frame from ``wire`` and return what it holds."""
    wire.compact()
    checksum = wire.take(_CHECKSUM.size)
    header = wire.take(_HEADER_BYTES)
    method, packed, size = _FRAME.unpack(header)
    if method != _LZ4:
        raise ProtocolError(f"compression method {method:#x}; the gateway speaks only lz4")
    if not _HEADER_BYTES <= packed <= MAX_BLOCK_BYTES or size > MAX_BLOCK_BYTES:
        raise ProtocolError("a compressed frame with an impossible size")
    body = wire.take(packed - _HEADER_BYTES)
    if _checksum(header + body) != checksum:
        raise ProtocolError("a compressed frame with a wrong checksum")
    try:
        return cast(bytes, lz4.block.decompress(body, uncompressed_size=size))
    except lz4.block.LZ4BlockError as error:
        raise ProtocolError("a compressed frame that does not decompress") from error
