"""Any batch or section of schemas.batches as bytes, and back: the same to the bit.

A record is, little-endian: ``magic 2 | version u8 | 0 u8 | layout 8 | bytes of the body u32 | CRC-32 u32`` and the
body: the fields in the order of their declaration. An array is ``type u8 | dimensions u8 | shape u32 each | raw
elements``, the elements at a multiple of eight where they are many; a tuple of texts or bytes is ``items u32 | length
u32 each | all of them``. Whoever has another layout refuses. Arrays are read in place, so they are read-only.

Nothing that is read can name a type, and what is allocated is at most a small multiple of the record, which is at most
``MOST_BYTES``.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from math import prod
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.batch_layout import Field, Kind, fields_of, layout_of
from schemas.batches import Activity
from schemas.columns import I64, Columns
from schemas.ruling import Ruling

MOST_BYTES: Final = 32 * 1024**2
_MAGIC: Final = b"CB"
_VERSION: Final = 1
_HEAD: Final = struct.Struct("<2sBx8sII")
_U32: Final = struct.Struct("<I")
_I64: Final = struct.Struct("<q")
_DTYPES: Final = tuple(
    np.dtype(name) for name in ("?", "<i1", "<u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8")
)
_DTYPE_CODE: Final = {dtype: code for code, dtype in enumerate(_DTYPES)}
_SHAPES: Final = tuple(struct.Struct(f"<BB{dimensions}I") for dimensions in range(5))
_ALIGN: Final = 8
_ALIGNED_FROM: Final = 128  # bytes of an array; smaller ones lie where they come: one row stays small
_RULINGS: Final = msgspec.msgpack.Decoder(tuple[Ruling | None, ...])
B = TypeVar("B", bound=Columns)


def encode_batch(batch: Columns) -> bytes:
    """Return a batch or section as bytes; ValueError where it is larger than ``MOST_BYTES``."""
    writer = _Writer()
    writer.section(batch)
    body = b"".join(writer.parts)
    if len(body) > MOST_BYTES - _HEAD.size:
        raise ValueError(f"a {type(batch).__name__} of {len(batch)} rows takes {len(body)} bytes: more than a record")
    layout = layout_of(type(batch))
    return _HEAD.pack(_MAGIC, _VERSION, layout, len(body), zlib.crc32(body, zlib.crc32(layout))) + body


def decode_batch(data: bytes, kind: type[B]) -> B:
    """Return the batch or section of that type; ValueError says in one sentence why there is none."""
    layout = layout_in(data)
    _, _, _, size, check = _HEAD.unpack_from(data)
    if layout != layout_of(kind):
        raise ValueError(
            f"the record is no {kind.__name__} of this build (its layout is {layout.hex()}, this build's "
            f"{layout_of(kind).hex()}): read it with the build that wrote it"
        )
    if len(data) > MOST_BYTES or size != len(data) - _HEAD.size:
        raise ValueError(f"the record of a {kind.__name__} is cut off or too long: {len(data)} bytes")
    if zlib.crc32(memoryview(data)[_HEAD.size :], zlib.crc32(layout)) != check:
        raise ValueError(f"the record of a {kind.__name__} is damaged: its checksum does not fit")
    reader = _Reader(data, _HEAD.size)
    try:
        batch = reader.section(kind)
        _check_rows(batch, len(batch))
    except (struct.error, UnicodeDecodeError, msgspec.MsgspecError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"the record of a {kind.__name__} is not laid out as it says: {error}") from None
    if reader.at != len(data):
        raise ValueError(f"the record of a {kind.__name__} has {len(data) - reader.at} bytes too many")
    return batch


def layout_in(data: bytes) -> bytes:
    """Return the digest of the layout that a record says it has; ValueError where it is no such record."""
    if len(data) < _HEAD.size or data[:2] != _MAGIC:
        raise ValueError("not a record of a batch")
    if data[2] != _VERSION:
        raise ValueError(f"the record is of version {data[2]} of the batch format, this build reads {_VERSION}")
    return data[4:12]


def encode_in_parts(batch: B, most_bytes: int) -> Iterator[tuple[B, bytes]]:
    """Yield the batch in pieces of whole rows with their bytes, as few as the limit allows, in order.

    A row that is larger than the limit by itself is yielded by itself. A batch without rows is one piece.
    """
    ends = np.cumsum(row_bytes(batch))
    first = 0
    while first < len(batch) or first == 0:
        before = int(ends[first - 1]) if first else 0
        next_ = max(first + 1, int(np.searchsorted(ends, before + most_bytes - _head_bytes(type(batch)), "right")))
        piece = batch.take(np.arange(first, min(next_, len(batch))))
        data = encode_batch(piece)
        if len(data) > most_bytes and len(piece) > 1:  # texts of many bytes a character
            middle = len(piece) // 2
            for part in (np.arange(middle), np.arange(middle, len(piece))):
                yield from encode_in_parts(piece.take(part), most_bytes)
        else:
            yield piece, data
        first = next_


def row_bytes(batch: Columns) -> I64:
    """Return about how many bytes each row takes in a record, int64[n]."""
    rows = len(batch)
    found = np.zeros(rows, np.int64)
    if isinstance(batch, Activity):
        return 8 + np.diff(batch.offsets) * sum(
            getattr(batch, field.name).itemsize for field in fields_of(Activity)[1:]
        )
    for field in fields_of(type(batch)):
        value = getattr(batch, field.name)
        if isinstance(value, Columns):
            found += row_bytes(value)
        elif isinstance(value, np.ndarray) and rows:
            found += value.nbytes // rows
        elif field.kind in (Kind.TEXTS, Kind.BLOBS) and len(value) == rows:
            found += 4 + np.fromiter(map(len, value), np.int64, rows)
    return found


def _head_bytes(kind: type[Columns]) -> int:
    """Return at most how many bytes a record takes beside its rows, what all rows share left out."""
    inner = [field.of for field in fields_of(kind) if field.kind in (Kind.SECTION, Kind.OPTIONAL_SECTION)]
    return _HEAD.size + 32 * len(fields_of(kind)) + sum(map(_head_bytes, inner))


class _Writer:
    """Gathers the pieces of a body."""

    def __init__(self) -> None:
        self.parts: list[Any] = []
        self._size = 0
        self._by_kind: dict[Kind, Callable[[Any], None]] = {
            Kind.ARRAY: self._array,
            Kind.TEXTS: self._texts,
            Kind.BLOBS: self._blobs,
            Kind.NUMBERS: lambda value: self._array(np.array(value, np.int64)),
            Kind.RULINGS: lambda value: self._sized(msgspec.msgpack.encode(value)),
            Kind.TEXT: lambda value: self._sized(value.encode("utf-8", "surrogatepass")),
            Kind.NUMBER: lambda value: self._put(_I64.pack(value)),
            Kind.SECTION: self.section,
            Kind.OPTIONAL_SECTION: self._optional,
        }

    def section(self, section: Columns) -> None:
        """Put all fields."""
        for field in fields_of(type(section)):
            self._by_kind[field.kind](getattr(section, field.name))

    def _put(self, piece: Any) -> None:
        self.parts.append(piece)
        self._size += len(piece)

    def _sized(self, piece: bytes) -> None:
        self._put(_U32.pack(len(piece)))
        self._put(piece)

    def _optional(self, section: Columns | None) -> None:
        self._put(b"\0" if section is None else b"\1")
        if section is not None:
            self.section(section)

    def _array(self, array: NDArray[Any]) -> None:
        dtype = array.dtype.newbyteorder("<")
        if dtype not in _DTYPE_CODE or array.ndim >= len(_SHAPES):
            raise ValueError(f"an array of type {array.dtype} and {array.ndim} dimensions cannot be a column")
        self._put(_SHAPES[array.ndim].pack(_DTYPE_CODE[dtype], array.ndim, *array.shape))
        if array.nbytes >= _ALIGNED_FROM:
            self._put(bytes(-(self._size + _HEAD.size) % _ALIGN))
        if array.size:
            self.parts.append(np.ascontiguousarray(array, dtype).data)
            self._size += array.nbytes

    def _texts(self, texts: Sequence[str]) -> None:
        self._lengths(texts)
        self._sized("".join(texts).encode("utf-8", "surrogatepass"))

    def _blobs(self, blobs: Sequence[bytes]) -> None:
        total = self._lengths(blobs)
        self.parts += blobs
        self._size += total

    def _lengths(self, items: Sequence[Any]) -> int:
        lengths = np.fromiter(map(len, items), "<u4", len(items))
        self._put(_U32.pack(len(items)))
        self._put(lengths.tobytes())
        return int(lengths.sum(dtype=np.int64))


class _Reader:
    """Reads a body from a place on."""

    def __init__(self, data: bytes, at: int) -> None:
        self.at = at
        self._data = data
        self._by_kind: dict[Kind, Callable[[], Any]] = {
            Kind.ARRAY: self._array,
            Kind.TEXTS: self._texts,
            Kind.BLOBS: self._blobs,
            Kind.NUMBERS: lambda: tuple(self._array().tolist()),
            Kind.RULINGS: lambda: _RULINGS.decode(self._sized()),
            Kind.TEXT: lambda: self._sized().decode("utf-8", "surrogatepass"),
            Kind.NUMBER: lambda: _I64.unpack(self._bytes(8))[0],
        }

    def section(self, kind: type[B]) -> B:
        """Return the section that begins here."""
        return kind(*map(self._field, fields_of(kind)))

    def _field(self, field: Field) -> Any:
        if field.kind is Kind.SECTION:
            return self.section(field.of)
        if field.kind is Kind.OPTIONAL_SECTION:
            return self.section(field.of) if self._bytes(1) != b"\0" else None
        return self._by_kind[field.kind]()

    def _bytes(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self._data):
            raise ValueError("it ends too early")
        piece = self._data[self.at : end]
        self.at = end
        return piece

    def _sized(self) -> bytes:
        return self._bytes(*_U32.unpack(self._bytes(4)))

    def _array(self) -> NDArray[Any]:
        code, dimensions = self._bytes(2)
        shape = struct.unpack(f"<{dimensions}I", self._bytes(4 * dimensions))
        dtype, count = _DTYPES[code], prod(shape)
        size = count * dtype.itemsize
        if size >= _ALIGNED_FROM:
            self.at += -self.at % _ALIGN
        if self.at + size > len(self._data):
            raise ValueError("it ends too early")
        found = np.frombuffer(self._data, dtype, count, self.at) if count else np.empty(0, dtype)
        self.at += size
        return found.reshape(shape)

    def _texts(self) -> tuple[str, ...]:
        ends = self._ends()
        text = self._sized().decode("utf-8", "surrogatepass")
        if ends[-1] != len(text):
            raise ValueError("the lengths of texts do not add up")
        return tuple([text[start:end] for start, end in pairwise(ends)])

    def _blobs(self) -> tuple[bytes, ...]:
        ends = self._ends()
        start, data = self.at, self._data
        if start + ends[-1] > len(data):
            raise ValueError("it ends too early")
        self.at += ends[-1]
        return tuple([data[start + low : start + high] for low, high in pairwise(ends)])

    def _ends(self) -> list[int]:
        (items,) = _U32.unpack(self._bytes(4))
        return [0, *accumulate(np.frombuffer(self._bytes(4 * items), "<u4").tolist())]


def _check_rows(section: Columns, rows: int) -> None:
    """Refuse columns that are not of the same length, and a ragged one that points beside its entries."""
    if isinstance(section, Activity):
        return _check_ragged(section, rows)
    items_are_rows = type(section).__len__ is Columns.__len__
    for field in fields_of(type(section)):
        value = getattr(section, field.name)
        if isinstance(value, Columns):
            _check_rows(value, rows)
        elif isinstance(value, np.ndarray | tuple if items_are_rows else np.ndarray) and len(value) != rows:
            raise ValueError(f"{field.name} has not {rows} rows")


def _check_ragged(log: Activity, rows: int) -> None:
    offsets, entries = log.offsets, {len(column) for column in (log.time, log.value, log.code, log.target)}
    if offsets.shape != (rows + 1,) or len(entries) != 1:
        raise ValueError("the activity log has not as many rows as the others")
    if offsets[0] < 0 or bool((np.diff(offsets) < 0).any()) or offsets[-1] > min(entries):
        raise ValueError("the activity log points beside its entries")
