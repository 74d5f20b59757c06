"""decode: opaque records -> columns. Everything that a hostile client can put on the wire ends here as a value."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import count

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from flows.stages.decode_bodies import Bodies, Layout, Rooms
from flows.stages.decode_heads import LENGTHS_AT, Heads, read_heads
from flows.stages.decode_kernels import END, NO_ENVELOPE, NO_HEADER, NO_PAYLOAD, OTHER_VERSION, PACKED
from schemas.batches import U8, Activity, Decoded, Event, RawBatch, Signals
from schemas.catalogue import Catalogue, load_catalogue
from schemas.columns import widen
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.envelope import NAME_LENGTHS
from schemas.keys import KeyRing, derived_key
from schemas.makers import constructor
from schemas.nested import NestedError, columns_of, parse_nested
from schemas.payload import encode_payloads
from schemas.redriven import Redriven, RedrivenError, is_redriven, unwrap_redriven
from schemas.sealed import HEADER_BYTES, MAX_BODY_BYTES, NONCE_BYTES, SEALED_VERSION, BodyError, Codec, unpack_body
from schemas.stage import StageOut
from schemas.told import read_told

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
_HEAD_REASONS = {
    NO_ENVELOPE: Reason.BAD_ENVELOPE,
    NO_HEADER: Reason.BAD_HEADER,
    OTHER_VERSION: Reason.UNKNOWN_VERSION,
}
SESSIONS_KEPT = 2_048
"""Sessions whose ciphers are remembered, 5 MB: one takes 2.5 kB, and to make one of a known key takes 1 µs. Keeping
65,536 of them, 177 MB, was no quicker where a third of the events have a new session."""
_new_event = constructor(Event)
_KEY_AT, _KEY_END = 4, 24  # of a header: key id and session id, which a cipher is made from
_KEY_ID_BYTES = 4


class Decode:
    """Reads envelopes and headers as one matrix, opens the payloads side by side, lays out the columns."""

    name = "decode"

    def __init__(self, keys: KeyRing, catalogue: Catalogue | None = None, sessions: int = SESSIONS_KEPT) -> None:
        """``sessions``: of so many, those that came last, the ciphers are remembered."""
        self._keys = keys
        self._catalogue = catalogue or load_catalogue()
        self._counts = self._catalogue.counts()
        self._cipher = lru_cache(sessions)(self._new_cipher)
        self._rooms = Rooms()

    def __reduce__(self) -> tuple[type[Decode], tuple[KeyRing]]:
        """Pickle without the cache of ciphers."""
        return (Decode, (self._keys,))

    def __call__(self, batch: RawBatch, /) -> StageOut[Decoded]:
        """Decode a batch; rows that cannot be read become dead letters with a ``decode.*`` reason."""
        failures = _Failures()
        values, redriven, heads = _first_received(batch.values, failures)
        bodies = self._rooms.bodies(heads.places, heads.room)
        if heads.others or failures:
            _drop_unlike(heads, bodies, failures)
        self._open(values, heads, bodies, failures)
        signals, activity = self._columns(bodies, failures)
        self._rooms.take_back(bodies)
        decoded = widen(Decoded, batch, event=_event(values, heads, redriven), signals=signals, activity=activity)
        if not failures:
            return StageOut(decoded)
        return StageOut(decoded.take(failures.others(len(batch))), failures.letters(decoded))

    def _new_cipher(self, of: bytes) -> AESGCM | None:
        key_id = int.from_bytes(of[:_KEY_ID_BYTES], "little")
        master = self._keys.masters.get(key_id)
        return None if master is None else AESGCM(derived_key(master, of[_KEY_ID_BYTES:], "seal"))

    def _open(self, values: Sequence[bytes], heads: Heads, bodies: Bodies, failures: _Failures) -> None:
        """Decrypt every row into its place; what cannot be opened has no body.

        All keys are made before: each of the two works finds its code and data at hand.
        """
        cipher_of, room = self._cipher, bodies.room
        places = heads.places[: END + 1].tolist()  # START, FIRST and END
        ciphers = [
            cipher_of(value[at + _KEY_AT : at + _KEY_END]) if first != end else None
            for value, at, first, end in zip(values, *places, strict=True)
        ]
        for row, cipher, value, at, first, end in zip(count(), ciphers, values, *places, strict=False):
            if cipher is None:
                if first != end:
                    failures.put(row, Reason.UNKNOWN_KEY)
                    bodies.drop(row)
                continue
            clear = at + HEADER_BYTES
            sealed = clear + NONCE_BYTES
            try:
                cipher.decrypt_into(value[clear:sealed], memoryview(value)[sealed:], value[at:clear], room[first:end])
            except InvalidTag:
                failures.put(row, Reason.NOT_AUTHENTIC)
                bodies.drop(row)

    def _columns(self, bodies: Bodies, failures: _Failures) -> tuple[Signals, Activity]:
        """Unpack what is packed, and lay out all bodies."""
        layout = Layout(bodies, self._counts)
        if layout.packed:
            for row in layout.rows_of(PACKED):
                self._unpack(row, bodies, failures)
            layout = Layout(bodies, self._counts, any_form=True)
        if layout.others:
            for row in layout.rows_of(NO_PAYLOAD):
                if row not in failures:
                    failures.put(row, Reason.BAD_LAYOUT)
        return layout.columns()

    def _unpack(self, row: int, bodies: Bodies, failures: _Failures) -> None:
        """Put the vector body of a row that has another form, or too many bytes, behind all others."""
        try:
            codec, body = unpack_body(bodies.plaintext(row))
            bodies.put(row, self._vector(body) if codec is Codec.NESTED_JSON else body)
            return
        except BodyError as error:
            failures.put(row, _BODY_REASONS[error.kind])
        except NestedError as error:
            failures.put(row, Reason.BAD_NESTED, str(error))
        bodies.drop(row)

    def _vector(self, nested: bytes) -> bytes:
        signals, activity = columns_of([parse_nested(nested)], self._catalogue)
        return encode_payloads(signals, activity)[0]


class _Failures(dict[int, tuple[Reason, str]]):
    """The first reason that each row failed for."""

    def rows(self) -> list[int]:
        return sorted(self)

    def others(self, rows: int) -> NDArray[np.intp]:
        """Return the rows that did not fail, of so many."""
        passed = np.ones(rows, np.bool_)
        passed[self.rows()] = False
        return np.flatnonzero(passed)

    def put(self, row: int, reason: Reason, detail: str | None = None) -> None:
        self[row] = (reason, detail or _DETAILS[reason])

    def letters(self, decoded: Decoded) -> list[DeadLetter]:
        found = []
        for row in self.rows():
            reason, detail = self[row]
            source: RawBatch = decoded
            if reason in (Reason.BAD_ENVELOPE, Reason.BAD_HEADER):  # no ids to speak of
                source = RawBatch(decoded.origin, decoded.values, decoded.ledger)
            found += dead_letters(source, [row], reason, "decode", detail)
        return found


def _drop_unlike(heads: Heads, bodies: Bodies, failures: _Failures) -> None:
    """Let fail what is no sealed event of this version, and leave without a body what failed before."""
    for row in failures.rows():
        bodies.drop(row)
    for row, found in enumerate(heads.found.tolist()):
        if found and row not in failures:
            failures.put(row, _HEAD_REASONS[found])


def _first_received(
    values: Sequence[bytes], failures: _Failures
) -> tuple[Sequence[bytes], Mapping[int, Redriven], Heads]:
    """Return the records as they were first received, what redriven ones say besides, and the heads."""
    heads = read_heads(values)
    if not heads.others:
        return values, {}, heads
    unmarked = np.flatnonzero(heads.found == NO_ENVELOPE).tolist()
    redriven = {row: found for row in unmarked if (found := _redriven(values[row], row, failures))}
    if not redriven:
        return values, {}, heads
    originals = list(values)
    for row, found in redriven.items():
        originals[row] = found.record
    return originals, redriven, read_heads(originals)


def _redriven(value: bytes, row: int, failures: _Failures) -> Redriven | None:
    """Return what a redriven record holds, None where it is none; what this build cannot read fails."""
    if not is_redriven(value):
        return None
    try:
        found = unwrap_redriven(value)
    except RedrivenError as error:
        failures.put(row, Reason.BAD_ENVELOPE, str(error))
        return None
    try:
        if found.told:
            read_told(found.told)
    except ValueError:
        failures.put(row, Reason.UNKNOWN_VERSION, "what was counted of the redriven event is of another build's layout")
    return found


def _split(names: bytes) -> tuple[str, ...]:
    """Return the names that follow their lengths in an envelope; the last one has what the others leave.

    The ingest tier wrote UTF-8, anything else is shown, not raised.
    """
    one = _LENGTHS + names[0]
    two = one + names[1]
    three = two + names[2]
    four = three + names[3]
    if names.isascii():
        text = names.decode("ascii")
        return text[_LENGTHS:one], text[one:two], text[two:three], text[three:four], text[four:]
    spans = (names[_LENGTHS:one], names[one:two], names[two:three], names[three:four], names[four:])
    return tuple([name.decode("utf-8", "replace") for name in spans])


_LENGTHS = len(NAME_LENGTHS) - 1  # the length of the last name stands elsewhere


def _names(values: Sequence[bytes], heads: Heads) -> list[tuple[str, ...]]:
    """Return merchants, transactions, linked ids, card tokens and event types, a tuple of n each."""
    if heads.names:
        names = iter(heads.names)  # a tuple takes as many of them as there are rows, then comes the next column
        return list(zip(*[names] * len(values), strict=True))
    named = [value[LENGTHS_AT:at] for value, at in zip(values, heads.start.tolist(), strict=True)]
    if heads.others:
        for row in np.flatnonzero(heads.found == NO_ENVELOPE).tolist():
            named[row] = named[row].ljust(_LENGTHS, b"\0")
    return list(zip(*map(_split, named), strict=True)) if named else [()] * len(NAME_LENGTHS)


def _event(values: Sequence[bytes], heads: Heads, redriven: Mapping[int, Redriven]) -> Event:
    attempt, told = _tries(len(values), redriven)
    merchant, transaction, linked_id, card_token, event_type = _names(values, heads)
    return _new_event(
        event_id=heads.event_id,
        session_id=heads.session_id,
        device_id=heads.device_id,
        address=heads.address,
        key_id=heads.key_id,
        sequence=heads.sequence,
        occurred_at=heads.sent_at,
        received_at=heads.received_at,
        merchant=merchant,
        transaction=transaction,
        linked_id=linked_id,
        card_token=card_token,
        event_type=event_type,
        attempt=attempt,
        told=told,
    )


def _tries(rows: int, redriven: Mapping[int, Redriven]) -> tuple[U8, tuple[bytes, ...]]:
    """Return how often each row was tried before, and what it was told then."""
    attempt = np.zeros(rows, np.uint8)
    if not redriven:
        return attempt, (b"",) * rows
    told = [b""] * rows
    for row, found in redriven.items():
        attempt[row], told[row] = found.attempt, found.told
    return attempt, tuple(told)
