"""decode: opaque records -> columns. Everything that a hostile client can put on the wire ends here as a value."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from schemas.batches import Decoded, Event, RawBatch
from schemas.catalogue import Catalogue, load_catalogue
from schemas.columns import widen
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.envelope import ENVELOPE_BYTES, ENVELOPE_DTYPE, ENVELOPE_MAGIC, ENVELOPE_VERSION, NAME_LENGTHS
from schemas.keys import KeyRing
from schemas.nested import NestedError, columns_of, parse_nested
from schemas.payload import decode_payloads, encode_payloads
from schemas.sealed import (
    HEADER_BYTES,
    HEADER_DTYPE,
    MAX_BODY_BYTES,
    NONCE_BYTES,
    SEALED_MAGIC,
    SEALED_MIN_BYTES,
    SEALED_VERSION,
    BodyError,
    Codec,
    unpack_body,
)
from schemas.stage import StageOut

_BODY_REASONS = {
    "too_large": Reason.TOO_LARGE,
    "unknown_codec": Reason.UNKNOWN_CODEC,
    "inflate_failed": Reason.INFLATE_FAILED,
}
_DETAILS = {
    Reason.BAD_ENVELOPE: "the record does not start with an ingest envelope of this version",
    Reason.BAD_HEADER: "the sealed event is too short or does not start with its mark",
    Reason.UNKNOWN_VERSION: f"the sealed event is not of version {SEALED_VERSION}",
    Reason.UNKNOWN_KEY: "the event names a master key that this flow does not hold",
    Reason.NOT_AUTHENTIC: "the payload does not authenticate under its session's key",
    Reason.UNKNOWN_CODEC: "the payload's first byte names no codec",
    Reason.TOO_LARGE: f"the payload is larger than {MAX_BODY_BYTES} bytes when unpacked",
    Reason.INFLATE_FAILED: "the payload does not unpack to the size that it states",
    Reason.BAD_LAYOUT: "the payload's blocks do not add up to its length",
}
_KEYS_CACHED = 65_536


class Decode:
    """Reads envelopes and headers as one matrix each, opens the payloads, lays out the columns."""

    name = "decode"

    def __init__(self, keys: KeyRing, catalogue: Catalogue | None = None) -> None:
        self._keys = keys
        self._catalogue = catalogue or load_catalogue()
        self._cipher = lru_cache(_KEYS_CACHED)(self._new_cipher)

    def __reduce__(self) -> tuple[type[Decode], tuple[KeyRing]]:
        """Pickle without the cache of ciphers."""
        return (Decode, (self._keys,))

    def __call__(self, batch: RawBatch, /) -> StageOut[Decoded]:
        """Decode a batch; rows that cannot be read become dead letters with a ``decode.*`` reason."""
        failures = _Failures(len(batch))
        envelopes, sealed_at = _read_envelopes(batch.values, failures)
        headers = _read_headers(batch.values, sealed_at, failures)
        bodies = self._open(batch.values, sealed_at, headers, failures)
        signals, activity, good = decode_payloads(bodies, self._catalogue)
        failures.put(np.flatnonzero(~good & failures.none()), Reason.BAD_LAYOUT)
        event = _event(batch.values, envelopes, sealed_at, headers)
        decoded = widen(Decoded, batch, event=event, signals=signals, activity=activity)
        return StageOut(decoded.take(np.flatnonzero(failures.none())), failures.letters(decoded))

    def _new_cipher(self, key_id: int, session_id: bytes) -> AESGCM | None:
        key = self._keys.derive(key_id, session_id, "seal")
        return None if key is None else AESGCM(key)

    def _open(
        self,
        values: Sequence[bytes],
        sealed_at: list[int],
        headers: NDArray[np.void],
        failures: _Failures,
    ) -> list[bytes]:
        """Return the vector body of every row, empty where it cannot be opened."""
        bodies = [b""] * len(values)
        key_ids = headers["key_id"].tolist()
        sessions = [session.tobytes() for session in headers["session_id"]]
        for row in np.flatnonzero(failures.none()).tolist():
            cipher = self._cipher(key_ids[row], sessions[row])
            if cipher is None:
                failures.put(row, Reason.UNKNOWN_KEY)
                continue
            value, at = values[row], sealed_at[row]
            clear, sealed = at + HEADER_BYTES, at + HEADER_BYTES + NONCE_BYTES
            try:
                plaintext = cipher.decrypt(value[clear:sealed], value[sealed:], value[at:clear])
                codec, body = unpack_body(plaintext)
                bodies[row] = self._vector(body) if codec is Codec.NESTED_JSON else body
            except InvalidTag:
                failures.put(row, Reason.NOT_AUTHENTIC)
            except BodyError as error:
                failures.put(row, _BODY_REASONS[error.kind])
            except NestedError as error:
                failures.put(row, Reason.BAD_NESTED, str(error))
        return bodies

    def _vector(self, nested: bytes) -> bytes:
        signals, activity = columns_of([parse_nested(nested)], self._catalogue)
        return encode_payloads(signals, activity)[0]


class _Failures:
    """The first reason that each row failed for."""

    def __init__(self, rows: int) -> None:
        self._failed = np.zeros(rows, np.bool_)
        self._reasons: dict[int, tuple[Reason, str]] = {}

    def none(self) -> NDArray[np.bool_]:
        return ~self._failed

    def put(self, rows: NDArray[np.intp] | int, reason: Reason, detail: str | None = None) -> None:
        for row in np.atleast_1d(rows).tolist():
            self._failed[row] = True
            self._reasons[row] = (reason, detail or _DETAILS[reason])

    def letters(self, decoded: Decoded) -> list[DeadLetter]:
        found = []
        for row, (reason, detail) in sorted(self._reasons.items()):
            source: RawBatch = decoded
            if reason in (Reason.BAD_ENVELOPE, Reason.BAD_HEADER):  # no ids to speak of
                source = RawBatch(decoded.origin, decoded.values, decoded.ledger)
            found += dead_letters(source, [row], reason, "decode", detail)
        return found


def _matrix(pieces: list[bytes], width: int, dtype: np.dtype[np.void]) -> NDArray[np.void]:
    """Return one structured row a piece; a short piece is filled with zeros, which no mark equals."""
    joined = b"".join(pieces)
    if len(joined) != width * len(pieces):
        joined = b"".join([piece.ljust(width, b"\0") for piece in pieces])
    return np.frombuffer(joined, dtype)


def _read_envelopes(values: Sequence[bytes], failures: _Failures) -> tuple[NDArray[np.void], list[int]]:
    """Return the envelopes and where each sealed event starts."""
    envelopes = _matrix([value[:ENVELOPE_BYTES] for value in values], ENVELOPE_BYTES, ENVELOPE_DTYPE)
    names = sum(envelopes[field].astype(np.int64) for field in NAME_LENGTHS)
    starts = ENVELOPE_BYTES + names
    sizes = np.fromiter(map(len, values), np.int64, len(values))
    good = (envelopes["magic"] == ENVELOPE_MAGIC) & (envelopes["version"] == ENVELOPE_VERSION) & (starts <= sizes)
    failures.put(np.flatnonzero(~good), Reason.BAD_ENVELOPE)
    failures.put(np.flatnonzero(good & (starts + SEALED_MIN_BYTES > sizes)), Reason.BAD_HEADER)
    return envelopes, np.asarray(starts).tolist()


def _read_headers(values: Sequence[bytes], sealed_at: list[int], failures: _Failures) -> NDArray[np.void]:
    pieces = [value[at : at + HEADER_BYTES] for value, at in zip(values, sealed_at, strict=True)]
    headers = _matrix(pieces, HEADER_BYTES, HEADER_DTYPE)
    ours = failures.none()
    marked = headers["magic"] == SEALED_MAGIC
    current = headers["version"] == SEALED_VERSION
    failures.put(np.flatnonzero(ours & ~marked), Reason.BAD_HEADER)
    failures.put(np.flatnonzero(ours & marked & ~current), Reason.UNKNOWN_VERSION)
    failures.put(np.flatnonzero(ours & marked & current & (headers["flags"] != 0)), Reason.BAD_HEADER)
    return headers


@lru_cache(maxsize=65_536)
def _split(names: bytes, *lengths: int) -> tuple[str, ...]:
    """Return the names of these lengths; the ingest tier wrote UTF-8, anything else is shown, not raised."""
    ends = tuple(accumulate(lengths))
    return tuple(names[end - size : end].decode("utf-8", "replace") for size, end in zip(lengths, ends, strict=True))


def _names(values: Sequence[bytes], envelopes: NDArray[np.void], sealed_at: list[int]) -> list[tuple[str, ...]]:
    """Return merchants, transactions, linked ids, card tokens and event types, a tuple of n each."""
    lengths = (envelopes[field].tolist() for field in NAME_LENGTHS)
    spans = zip(values, sealed_at, *lengths, strict=True)
    rows = [_split(value[ENVELOPE_BYTES:end], *sizes) for value, end, *sizes in spans]
    return list(zip(*rows, strict=True)) if rows else [()] * len(NAME_LENGTHS)


def _times(column: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return times as int64; what no clock can show reads as the largest."""
    return np.minimum(column, np.uint64(2**62)).astype(np.int64)


def _event(
    values: Sequence[bytes], envelopes: NDArray[np.void], sealed_at: list[int], headers: NDArray[np.void]
) -> Event:
    merchant, transaction, linked_id, card_token, event_type = _names(values, envelopes, sealed_at)
    return Event(
        event_id=np.ascontiguousarray(headers["event_id"]),
        session_id=np.ascontiguousarray(headers["session_id"]),
        device_id=np.ascontiguousarray(headers["device_id"]),
        address=np.ascontiguousarray(envelopes["address"]),
        key_id=headers["key_id"].astype(np.uint32),
        sequence=headers["sequence"].astype(np.uint32),
        occurred_at=_times(headers["sent_at"]),
        received_at=_times(envelopes["received_at"]),
        merchant=merchant,
        transaction=transaction,
        linked_id=linked_id,
        card_token=card_token,
        event_type=event_type,
    )
