"""The clear part of records: envelope and header, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from flows.stages import decode_kernels as kernels
from flows.stages.decode_kernels import LENGTHS_AT, NO_ENVELOPE, NO_HEADER, OTHER_VERSION
from schemas import envelope, sealed
from schemas.batches import I64, U8, U32, Bool

__all__ = ["LENGTHS_AT", "NO_ENVELOPE", "NO_HEADER", "OTHER_VERSION", "Heads", "read_heads"]

_USUAL: Final = 256  # bytes of a record's head that mostly suffice
_MOST: Final = envelope.ENVELOPE_BYTES + len(envelope.NAME_LENGTHS) * envelope.MAX_NAME_BYTES + sealed.HEADER_BYTES


class Heads(NamedTuple):
    """Envelopes and headers of n records. What is not there reads as zeros."""

    address: U8  # [n, 16]
    session_id: U8  # [n, 16]
    device_id: U8  # [n, 16]
    event_id: U8  # [n, 16]
    key_id: U32
    sequence: U32
    sent_at: I64
    received_at: I64
    start: I64  # of the sealed event
    found: U8  # what it is: GOOD, NO_ENVELOPE, NO_HEADER or OTHER_VERSION

    def sealed_bytes(self, values: Sequence[bytes], opened: Bool) -> I64:
        """Return the bytes of each sealed payload without its tag, int64[n], 0 where it is not to be opened."""
        sizes = np.fromiter(map(len, values), np.int64, len(values))
        around = sealed.HEADER_BYTES + sealed.NONCE_BYTES + sealed.TAG_BYTES
        return np.where(opened, sizes - self.start - around, 0)


def read_heads(values: Sequence[bytes]) -> Heads:
    """Read the heads of records, whatever their bytes."""
    heads = _read(values, _USUAL)
    return _read(values, _MOST) if (heads.found == kernels.UNREAD).any() else heads


def _read(values: Sequence[bytes], width: int) -> Heads:
    rows = len(values)
    joined = b"".join([value[:width] for value in values])
    if len(joined) != width * rows:
        joined = b"".join([value[:width].ljust(width, b"\0") for value in values])
    ids = np.empty((4, rows, 16), np.uint8)
    numbers, times = np.empty((2, rows), np.uint32), np.empty((3, rows), np.int64)
    found = np.empty(rows, np.uint8)
    matrix = np.frombuffer(joined, np.uint8).reshape(rows, width)
    sizes = np.fromiter(map(len, values), np.int64, rows)
    address, session_id, device_id, event_id = ids
    key_id, sequence = numbers
    sent_at, received_at, start = times
    clear = (key_id, sequence, sent_at, received_at)
    kernels.read_heads(matrix, sizes, (address, session_id, device_id, event_id), clear, start, found)
    return Heads(address, session_id, device_id, event_id, *clear, start, found)


def _check() -> None:
    """Refuse kernels that were written for other layouts."""
    header: Mapping[str, Any] = sealed.HEADER_DTYPE.fields or {}
    fields: Mapping[str, Any] = envelope.ENVELOPE_DTYPE.fields or {}
    ours = (
        kernels.ENVELOPE_BYTES, kernels.RECEIVED_AT, kernels.ADDRESS_AT, kernels.LENGTHS_AT,
        kernels.EVENT_TYPE_LENGTH_AT, bytes(kernels.ENVELOPE_MARK), kernels.HEADER_BYTES, kernels.SEALED_MIN_BYTES,
        bytes(kernels.SEALED_MARK), kernels.KEY_AT, kernels.SESSION_AT, kernels.DEVICE_AT, kernels.EVENT_AT,
        kernels.SEQUENCE_AT, kernels.SENT_AT,
    )  # fmt: skip
    theirs = (
        envelope.ENVELOPE_BYTES, fields["received_at"][1], fields["address"][1], fields["merchant_length"][1],
        fields["event_type_length"][1], envelope.ENVELOPE_MAGIC + bytes((envelope.ENVELOPE_VERSION,)),
        sealed.HEADER_BYTES, sealed.SEALED_MIN_BYTES, sealed.SEALED_MAGIC + bytes((sealed.SEALED_VERSION,)),
        *(header[name][1] for name in ("key_id", "session_id", "device_id", "event_id", "sequence", "sent_at")),
    )  # fmt: skip
    if ours != theirs:
        raise AssertionError("flows.stages.decode_kernels reads other layouts than schemas.envelope and schemas.sealed")


_check()
