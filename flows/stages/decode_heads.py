"""The clear part of records: envelope and header, as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from flows.stages import decode_kernels as kernels
from flows.stages.decode_kernels import LENGTHS_AT
from schemas import envelope, sealed
from schemas.batches import I64, U8, U32

__all__ = ["LENGTHS_AT", "Heads", "read_heads"]

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
    places: I64  # [kernels.PLACES, n]: where the sealed event starts, what it is, and the room for its plaintext
    others: int  # how many are no sealed event of this version
    room: int  # bytes that all plaintexts take
    names: list[str]  # those of all rows, column after column; none where they are to be cut row by row

    @property
    def start(self) -> I64:
        """Return where the sealed events start, int64[n]."""
        return self.places[kernels.START]

    @property
    def found(self) -> I64:
        """Return what the records are: GOOD, NO_ENVELOPE, NO_HEADER or OTHER_VERSION, int64[n]."""
        return self.places[kernels.FOUND]


def read_heads(values: Sequence[bytes]) -> Heads:
    """Read the heads of records, whatever their bytes."""
    heads = _read(values, _USUAL) or _read(values, _MOST)
    if heads is None:
        raise AssertionError("no head is longer than all of its parts together")
    return heads


def _read(values: Sequence[bytes], width: int) -> Heads | None:
    """Read the heads of records; None where one is longer than ``width``."""
    rows = len(values)
    joined = b"".join([value[:width] for value in values])
    if len(joined) != width * rows:
        joined = b"".join([value[:width].ljust(width, b"\0") for value in values])
    heads = np.frombuffer(joined, np.uint8).reshape(rows, width)
    sizes = np.fromiter(map(len, values), np.int64, rows)
    ids, numbers = np.empty((4, rows, 16), np.uint8), np.empty((2, rows), np.uint32)
    times, places = np.empty((2, rows), np.int64), np.empty((kernels.PLACES, rows), np.int64)
    octets = np.empty(width * rows, np.uint8)
    unread, others, room, named = kernels.read_heads(heads, sizes, ids, numbers, times, places, octets)
    if unread:
        return None
    names = str(octets[: named - 1].data, "ascii").split("\0") if named else []
    address, session_id, device_id, event_id = ids
    key_id, sequence = numbers
    sent_at, received_at = times
    return Heads(
        address, session_id, device_id, event_id, key_id, sequence, sent_at, received_at, places, others, room, names
    )


def _check() -> None:
    """Refuse kernels that were written for other layouts."""
    header: Mapping[str, Any] = sealed.HEADER_DTYPE.fields or {}
    fields: Mapping[str, Any] = envelope.ENVELOPE_DTYPE.fields or {}
    ours = (
        kernels.ENVELOPE_BYTES, kernels.RECEIVED_AT, kernels.ADDRESS_AT, kernels.LENGTHS_AT,
        kernels.LENGTHS, bytes(kernels.ENVELOPE_MARK), kernels.HEADER_BYTES, kernels.SEALED_MIN_BYTES,
        bytes(kernels.SEALED_MARK), kernels.AROUND_BYTES, kernels.RAW, kernels.MAX_BODY_BYTES,
        kernels.KEY_AT, kernels.SESSION_AT, kernels.DEVICE_AT, kernels.EVENT_AT,
        kernels.SEQUENCE_AT, kernels.SENT_AT,
    )  # fmt: skip
    theirs = (
        envelope.ENVELOPE_BYTES, fields["received_at"][1], fields["address"][1], fields["merchant_length"][1],
        tuple(fields[name][1] for name in envelope.NAME_LENGTHS),
        envelope.ENVELOPE_MAGIC + bytes((envelope.ENVELOPE_VERSION,)),
        sealed.HEADER_BYTES, sealed.SEALED_MIN_BYTES, sealed.SEALED_MAGIC + bytes((sealed.SEALED_VERSION,)),
        sealed.HEADER_BYTES + sealed.NONCE_BYTES + sealed.TAG_BYTES, sealed.Codec.RAW, sealed.MAX_BODY_BYTES,
        *(header[name][1] for name in ("key_id", "session_id", "device_id", "event_id", "sequence", "sent_at")),
    )  # fmt: skip
    if ours != theirs:
        raise AssertionError("flows.stages.decode_kernels reads other layouts than schemas.envelope and schemas.sealed")


_check()
