"""The file of one kind of knowledge about addresses: where each stretch of addresses begins, and what holds from there.

::

    "CGAR" | form u8 = 1 | u32 length of the description | description, JSON | zlib(body)
    body: differences of the IPv4 starts u32[n4] | values u32[n4]
          | differences of the IPv6 starts u64[n6] | values u32[n6]

little-endian, each column by planes: the first bytes of all rows, then their second bytes, and so on, which packs to a
quarter. IPv6 is known by its upper 64 bits, the network's half. The description has the kind, the version and licence
of the data, the rows and the body's SHA-256.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from schemas.batches import U32, U64

_HEAD = struct.Struct("<4sBI")
_MAGIC, _FORM = b"CGAR", 1
_MOST_BYTES = 1 << 28  # of a body: a damaged length never fills the memory


class DataFileError(ValueError):
    """A data file is missing or cannot be used; says which, and what to do."""


class Stretches(NamedTuple):
    """Sorted starts, the first of them 0, and the value from each start to the next."""

    starts: NDArray[np.unsignedinteger[Any]]  # uint32 or uint64
    values: U32

    def at(self, keys: NDArray[np.unsignedinteger[Any]]) -> U32:
        """Return the values at keys of the starts' own type."""
        return self.values[self.starts.searchsorted(keys, "right") - 1]


class Described(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file says of itself."""

    kind: str
    version: str
    source: str
    licence: str
    rows: tuple[int, int]
    sha256: str


class AddressFile(NamedTuple):
    """A file's content."""

    described: Described
    four: Stretches  # uint32 starts
    six: Stretches  # uint64 starts: upper halves


def pack_address_file(kind: str, version: str, source: str, licence: str, four: Stretches, six: Stretches) -> bytes:
    """Return a file's bytes, the same for the same content."""
    body = b"".join(
        (
            *(_planes(_differences(four.starts.astype("<u4"))), _planes(four.values.astype("<u4"))),
            *(_planes(_differences(six.starts.astype("<u8"))), _planes(six.values.astype("<u4"))),
        )
    )
    digest = hashlib.sha256(body).hexdigest()
    said = msgspec.json.encode(Described(kind, version, source, licence, (len(four.starts), len(six.starts)), digest))
    return _HEAD.pack(_MAGIC, _FORM, len(said)) + said + zlib.compress(body, 9)


def read_address_file(path: Path, kind: str) -> AddressFile:
    """Return a file's content; DataFileError where it is missing, damaged or of another kind."""
    try:
        packed = path.read_bytes()
    except OSError as error:
        raise DataFileError(f"The data file {path} cannot be read ({error.strerror}); {_REMEDY}") from None
    try:
        described, body = _opened(packed)
        if described.kind != kind:
            raise ValueError("another kind")
        return _content(described, body)
    except (ValueError, msgspec.MsgspecError, zlib.error, struct.error):
        raise DataFileError(f"The data file {path} is damaged or of another version; {_REMEDY}") from None


_REMEDY = "install clickgoose again, or make it with `clickgoose data build`."


def _opened(packed: bytes) -> tuple[Described, bytes]:
    magic, form, length = _HEAD.unpack_from(packed)
    if (magic, form) != (_MAGIC, _FORM):
        raise ValueError("no such file")
    start = _HEAD.size + length
    described = msgspec.json.decode(packed[_HEAD.size : start], type=Described)
    body = zlib.decompressobj().decompress(packed[start:], _MOST_BYTES)
    if hashlib.sha256(body).hexdigest() != described.sha256:
        raise ValueError("another digest")
    return described, body


def _content(described: Described, body: bytes) -> AddressFile:
    four, six = described.rows
    sizes = (4 * four, 4 * four, 8 * six, 4 * six)
    if min(four, six) < 1 or len(body) != sum(sizes):
        raise ValueError("other sizes")
    spans = zip(pairwise(accumulate((0, *sizes))), ("<u4", "<u4", "<u8", "<u4"), strict=True)
    starts4, values4, starts6, values6 = (_column(body[a:b], kind) for (a, b), kind in spans)
    found = AddressFile(
        described,
        Stretches(np.cumsum(starts4, dtype=np.uint32), values4),
        Stretches(np.cumsum(starts6, dtype=np.uint64), values6),
    )
    for stretches in (found.four, found.six):
        if stretches.starts[0] != 0 or not (stretches.starts[1:] > stretches.starts[:-1]).all():
            raise ValueError("starts in disorder")
    return found


def _differences(starts: NDArray[Any]) -> NDArray[Any]:
    return np.diff(starts, prepend=starts.dtype.type(0))


def _planes(column: U32 | U64) -> bytes:
    return np.ascontiguousarray(column.view(np.uint8).reshape(len(column), column.dtype.itemsize).T).tobytes()


def _column(planes: bytes, kind: str) -> NDArray[Any]:
    width = np.dtype(kind).itemsize
    bytes_of = np.frombuffer(planes, np.uint8).reshape(width, -1)
    return np.ascontiguousarray(bytes_of.T).view(kind)[:, 0]
