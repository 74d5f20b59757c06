"""The file of one kind of knowledge about addresses: where each stretch of addresses begins, and what holds from there.

A data file (``data_file.py``) whose body is packed with zlib::

    differences of the IPv4 starts u32[n4] | values u32[n4] | differences of the IPv6 starts u64[n6] | values u32[n6]

little-endian, each column by planes: the first bytes of all rows, then their second bytes, and so on, which packs to a
quarter. IPv6 is known by its upper 64 bits, the network's half.
"""

from __future__ import annotations

import zlib
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from enrichers.data_file import MOST_BYTES, DataFileError, Described, Form, pack_data_file, read_data_file, whole
from schemas.batches import U32, U64

__all__ = ["AddressFile", "DataFileError", "Described", "Stretches", "pack_address_file", "read_address_file"]


def _unpack(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    return whole(unpacker, unpacker.decompress(packed, MOST_BYTES))


_FORM = Form(b"CGAR", lambda body: zlib.compress(body, 9), _unpack)


class Stretches(NamedTuple):
    """Sorted starts, the first of them 0, and the value from each start to the next."""

    starts: NDArray[np.unsignedinteger[Any]]  # uint32 or uint64
    values: U32

    def at(self, keys: NDArray[np.unsignedinteger[Any]]) -> U32:
        """Return the values at keys of the starts' own type."""
        return self.values[self.starts.searchsorted(keys, "right") - 1]


class AddressFile(NamedTuple):
    """A file's content."""

    described: Described
    four: Stretches  # uint32 starts
    six: Stretches  # uint64 starts: upper halves


def pack_address_file(
    kind: str,
    version: str,
    source: str,
    licence: str,
    four: Stretches,
    six: Stretches,
    covers: tuple[str, ...] = (),
) -> bytes:
    """Return a file's bytes, the same for the same content."""
    body = b"".join(
        (
            *(_planes(_differences(four.starts.astype("<u4"))), _planes(four.values.astype("<u4"))),
            *(_planes(_differences(six.starts.astype("<u8"))), _planes(six.values.astype("<u4"))),
        )
    )
    rows = (len(four.starts), len(six.starts))
    return pack_data_file(_FORM, Described(kind, version, source, licence, rows, "", covers), body)


def read_address_file(path: Path, kind: str) -> AddressFile:
    """Return a file's content; DataFileError where it is missing, damaged or of another kind."""
    return read_data_file(path, kind, _FORM, _content)


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
