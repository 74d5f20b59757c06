"""What the account remembers of each topic, in arrays: 25 bytes a raw record, about 60 a scored one.

A record's place is one int64: partition in the upper 16 bits, offset in the lower 48. An event id is 16 bytes.
"""

from __future__ import annotations

import secrets
from array import array
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from confluent_kafka import Message
from numpy.typing import NDArray

from schemas.dead_letter import Reason
from schemas.envelope import ENVELOPE_BYTES, ENVELOPE_MAGIC, sealed_start
from schemas.redriven import found_redriven, original_of
from schemas.result import DECISIONS, Place
from schemas.sealed import read_header

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
_NO_ID = bytes(16)
_SHIFT = 48
_PRIMES = np.array([secrets.randbits(64) | 1, secrets.randbits(64) | 1], np.uint64)


def place(partition: int, offset: int) -> int:
    """Return a record's place as one number."""
    return partition << _SHIFT | offset


def places_of(partitions: I64, offsets: I64) -> I64:
    """Return many records' places."""
    return partitions << _SHIFT | offsets


def fold(ids: bytes | bytearray) -> U64:
    """Return 64-bit hashes of concatenated 16-byte ids, of a family drawn anew by every process."""
    return fold_pairs(np.frombuffer(ids, "<u8").reshape(-1, 2))


def fold_pairs(pairs: U64) -> U64:
    """Return hashes of ids that are given as two little-endian halves, uint64[n, 2]."""
    return (pairs * _PRIMES).sum(axis=1, dtype=np.uint64)


def event_id_of(value: bytes) -> bytes | None:
    """Return the event id that a record of events.raw shows in the clear, or None where it is not readable."""
    value = original_of(value)
    if len(value) < ENVELOPE_BYTES or value[:2] != ENVELOPE_MAGIC:
        return None
    header = read_header(value[sealed_start(value) :])
    return None if header is None else header.event_id


class Columns(NamedTuple):
    """The first record of each place, in order of places."""

    places: I64
    rows: NDArray[np.intp]


def first_by_place(places: array[int]) -> Columns:
    """Return the distinct places, and at which index each appeared first."""
    return Columns(*np.unique(np.frombuffer(places, np.int64), return_index=True))


class RawBook:
    """The records of events.raw."""

    def __init__(self) -> None:
        self.places = array("q")
        self.ids = bytearray()
        self.known = bytearray()  # 1 where the id was readable
        self.attempts = bytearray()  # how often the row was tried before: 0 but for redriven records

    def visit(self, messages: Sequence[Message]) -> None:
        """Note records."""
        for message in messages:
            event_id = event_id_of(_value(message))
            self.places.append(place(message.partition() or 0, message.offset() or 0))
            self.ids += event_id or _NO_ID
            self.known.append(event_id is not None)
            redriven = found_redriven(_value(message))
            self.attempts.append(redriven.attempt if redriven else 0)


class _Scored(msgspec.Struct):
    event_id: str
    merchant: str
    score: float
    decision: str
    received_at: int
    origin: Place


class ScoredBook:
    """The records of events.scored, by the place that each event came from."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._decoder = msgspec.json.Decoder(_Scored)
        self._merchants: dict[str, int] = {}
        self.places = array("q")
        self.ids = bytearray()
        self.scores = array("f")
        self.decisions = array("B")
        self.merchants = array("H")
        self.written_at = array("q")
        self.received_at = array("q")
        self.unreadable = 0

    @property
    def merchant_names(self) -> list[str]:
        """Return the merchants in the order of their numbers."""
        return list(self._merchants)

    def visit(self, messages: Sequence[Message]) -> None:
        """Note records."""
        for message in messages:
            try:
                found = self._decoder.decode(_value(message))
                event_id, decision = bytes.fromhex(found.event_id), DECISIONS.index(found.decision)
            except (msgspec.MsgspecError, ValueError):
                self.unreadable += 1
                continue
            if found.origin.topic != self._topic:
                continue
            self.places.append(place(found.origin.partition, found.origin.offset))
            self.ids += event_id
            self.scores.append(found.score)
            self.decisions.append(decision)
            self.merchants.append(self._merchants.setdefault(found.merchant, len(self._merchants)))
            self.written_at.append(message.timestamp()[1])
            self.received_at.append(found.received_at)


class _Letter(msgspec.Struct):
    reason: Reason
    topic: str
    partition: int
    offset: int


class Backups(NamedTuple):
    """Rows that a destination did not take: where the event lies, and where the letter that holds the row does."""

    places: array[int]
    letters: array[int]


class DeadBook:
    """The records of events.dead_letter: events that died, and rows that wait for a destination."""

    def __init__(self, topic: str) -> None:
        self._topic = topic
        self._decoder = msgspec.json.Decoder(_Letter)
        self._reasons = tuple(Reason)
        self.places = array("q")
        self.reasons = array("B")
        self.backups: dict[Reason, Backups] = {}
        self.unreadable = 0

    def visit(self, messages: Sequence[Message]) -> None:
        """Note records."""
        for message in messages:
            try:
                letter = self._decoder.decode(_value(message))
            except msgspec.MsgspecError:
                self.unreadable += 1
                continue
            if letter.topic != self._topic:
                continue
            at = place(letter.partition, letter.offset)
            if letter.reason.startswith("sink."):
                found = self.backups.setdefault(letter.reason, Backups(array("q"), array("q")))
                found.places.append(at)
                found.letters.append(place(message.partition() or 0, message.offset() or 0))
            else:
                self.places.append(at)
                self.reasons.append(self._reasons.index(letter.reason))

    def reason_name(self, number: int) -> str:
        """Return a reason by its number."""
        return self._reasons[number].value


def _value(message: Message) -> bytes:
    value = message.value()
    return value if isinstance(value, bytes) else b""
