"""What the account remembers: ids that are read in the clear, places, and letters that only wait."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.account_books import (
    DeadBook,
    RawBook,
    ScoredBook,
    event_id_of,
    first_by_place,
    fold,
    place,
    places_of,
)
from schemas.dead_letter import Reason, encode_dead_letter
from schemas.envelope import Attested, wrap
from schemas.sealed import SEALED_MIN_BYTES, Header
from tests.scored_parcels import encoded_parcel, letters_of

IDENTITY = bytes(range(16))


class Message:
    """What the books read of a Kafka message."""

    def __init__(self, value: bytes | None, offset: int = 0, partition: int = 0, at: int = 0) -> None:
        self._value, self._offset, self._partition, self._at = value, offset, partition, at

    def value(self) -> bytes | None:
        return self._value

    def offset(self) -> int:
        return self._offset

    def partition(self) -> int:
        return self._partition

    def timestamp(self) -> tuple[int, int]:
        return 1, self._at


def messages(*found: Message) -> Any:
    return found


def record(merchant: str = "m", event_id: bytes = IDENTITY) -> bytes:
    sealed = Header(1, bytes(16), bytes(16), event_id, 0, 0).pack().ljust(SEALED_MIN_BYTES, b"\1")
    return wrap(Attested(merchant, "täg", ""), 1, bytes(16), sealed)


@pytest.mark.parametrize("merchant", ["", "m", "größer"])
def test_an_event_id_is_read_behind_names_of_any_length(merchant: str) -> None:
    assert event_id_of(record(merchant)) == IDENTITY


@pytest.mark.parametrize("value", [b"", b"CE", b"XX" + record()[2:], record()[:-1], record()[:60], b"\0" * 200])
def test_what_is_not_readable_has_no_id(value: bytes) -> None:
    assert event_id_of(value) is None


@settings(max_examples=50)
@given(st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=20))
def test_hashes_of_ids_are_equal_where_the_ids_are(ids: list[bytes]) -> None:
    folded = fold(b"".join(ids)).tolist()
    assert len(set(folded)) == len(set(ids))
    assert fold(bytearray(b"".join(ids))).tolist() == folded


@settings(max_examples=50)
@given(st.integers(0, 1023), st.integers(0, 2**48 - 1))
def test_places_order_by_partition_and_then_by_offset(partition: int, offset: int) -> None:
    assert places_of(np.array([partition]), np.array([offset])).tolist() == [place(partition, offset)]
    assert place(partition, offset) < place(partition + 1, 0)


def test_the_first_record_of_a_place_counts() -> None:
    book = RawBook()
    book.visit(messages(Message(record(), 7), Message(record(), 3), Message(b"bad", 7)))
    found = first_by_place(book.places)
    assert (found.places.tolist(), found.rows.tolist()) == ([3, 7], [1, 0])
    assert list(book.known) == [1, 1, 0]


def test_scored_records_are_kept_by_their_origin_and_unreadable_ones_are_counted() -> None:
    item = encoded_parcel(3, first=5, partition=2)
    book = ScoredBook("events.raw")
    book.visit(messages(*(Message(value, at=item.results[0].received_at + 9) for value in item.records), Message(b"{")))
    assert book.places.tolist() == [place(2, offset) for offset in (5, 6, 7)]
    assert bytes(book.ids) == b"".join(bytes.fromhex(result.event_id) for result in item.results)
    assert (book.unreadable, book.merchant_names) == (1, ["demo"])
    other = ScoredBook("another.topic")
    other.visit(messages(Message(item.records[0])))
    assert len(other.places) == other.unreadable == 0


def test_letters_for_a_destination_wait_and_are_no_dead_events() -> None:
    batch = encoded_parcel(3).parcel.batch
    dead, waiting = letters_of(batch, [0], Reason.EMAIL), letters_of(batch, [1, 2], Reason.SINK_REDIS)
    book = DeadBook("events.raw")
    book.visit(messages(*(Message(encode_dead_letter(letter)) for letter in (*dead, *waiting)), Message(None)))
    assert book.places.tolist() == [0]
    assert [book.reason_name(number) for number in book.reasons] == ["mask.email"]
    assert book.backups[Reason.SINK_REDIS].places.tolist() == [1, 2]
    assert len(book.backups[Reason.SINK_REDIS].letters) == 2
    assert book.unreadable == 1
