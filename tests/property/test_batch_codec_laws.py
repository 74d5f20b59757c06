"""Laws of the batch codec: every section and batch comes back to the bit, and damage is never read as a batch."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import batches as b
from schemas.batch_codec import MOST_BYTES, decode_batch, encode_batch, encode_in_parts, layout_in, row_bytes
from schemas.batch_layout import layout_of
from schemas.columns import Columns
from tests.property.test_schemas_columns_laws import ALL, enriched, raw
from tests.strategies import RECIPES, activities, same, signals

_BODY = 20  # where it begins
_QUIET_NAN, _ODD_NAN = 0x7FC00000, 0xFFC12345


def resealed(data: bytes, body: bytes) -> bytes:
    """Return a record with another body and a checksum that fits it: not damage but a forgery."""
    return data[:12] + struct.pack("<II", len(body), zlib.crc32(body, zlib.crc32(data[4:12]))) + body


@ALL
@pytest.mark.parametrize("rows", [0, 1, 2, 9])
def test_what_is_decoded_is_what_was_encoded_to_the_bit(make: Callable[[int], Columns], rows: int) -> None:
    batch = make(rows)
    again = decode_batch(encode_batch(batch), type(batch))
    assert same(again, batch)
    assert encode_batch(again) == encode_batch(batch)


@settings(max_examples=25, deadline=None)
@given(RECIPES, st.integers(0, 6), st.lists(st.text(max_size=5), min_size=1, max_size=4), st.data())
def test_any_values_come_back_from_any_rows_taken(recipe: Any, rows: int, names: list[str], data: Any) -> None:
    whole = b.Decoded(
        origin=b.Origin(names[0], *(np.arange(rows).astype(kind) for kind in ("i4", "i8", "i8", "i8"))),
        values=tuple(bytes([row]) * row * 7 for row in range(rows)),
        ledger=b.Ledger(tuple(names), np.arange(rows * len(names)).reshape(rows, len(names))),
        event=enriched(rows).event,
        signals=signals(recipe, rows),
        activity=activities(recipe, rows),
    )
    chosen = data.draw(st.lists(st.integers(0, rows - 1), max_size=6)) if rows else []
    batch = whole.take(np.array(chosen, np.intp))
    assert same(decode_batch(encode_batch(batch), b.Decoded), batch)


def test_the_payload_of_a_nan_and_half_of_a_character_come_back() -> None:
    bits = np.array([[_QUIET_NAN, _ODD_NAN]], np.uint32)
    shown = b.SmartSignals(("\ud800", "ä"), np.zeros((1, 2), np.int8), bits.view(np.float32), bits, ("", "\udfff"))
    again = decode_batch(encode_batch(shown), b.SmartSignals)
    assert again.confidence.view(np.uint32).tolist() == bits.tolist()
    assert (again.names, again.data) == (shown.names, shown.data)


def test_arrays_are_read_in_place_and_cannot_be_written() -> None:
    data = encode_batch(enriched(50))
    again = decode_batch(data, b.Enriched)
    assert again.signals.numbers.base is not None
    assert again.signals.numbers.ctypes.data % 8 == 0
    with pytest.raises(ValueError, match="read-only"):
        again.signals.numbers[0, 0] = 1


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_record_is_refused(data: Any) -> None:
    good = encode_batch(raw(3))
    at = data.draw(st.integers(0, len(good) - 1))
    bad = bytearray(good)
    bad[at] ^= data.draw(st.integers(1, 255))
    if at != 3:  # a byte that means nothing
        with pytest.raises(ValueError, match="record"):
            decode_batch(bytes(bad), b.RawBatch)
    with pytest.raises(ValueError, match="record"):
        decode_batch(good[: data.draw(st.integers(0, len(good) - 1))], b.RawBatch)
    with pytest.raises(ValueError, match="record"):
        decode_batch(good + b"\0", b.RawBatch)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_forged_body_is_a_batch_or_refused_and_takes_no_more_memory_than_it_has(data: Any) -> None:
    good = encode_batch(b.Counted(**{f.name: getattr(enriched(3), f.name) for f in fields(b.Counted)}))
    body = bytearray(good[_BODY:])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body) - 4))
        body[at : at + 4] = data.draw(
            st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\xff\xff\xff\x7f"]) | st.binary(min_size=4, max_size=4)
        )
    try:
        batch = decode_batch(resealed(good, bytes(body)), b.Counted)
    except ValueError as refused:
        assert "not laid out as it says" in str(refused) or "too many" in str(refused)
    else:
        assert {len(getattr(batch, f.name)) for f in fields(batch)} == {len(batch)}


def test_an_activity_log_that_points_beside_its_entries_is_refused() -> None:
    log = b.Activity(np.array([0, 5]), *(np.zeros(2, kind) for kind in ("u4", "f4", "u2", "u1")))
    with pytest.raises(ValueError, match="beside its entries"):
        decode_batch(encode_batch(log), b.Activity)


def test_another_layout_another_version_and_no_record_at_all_are_each_refused_by_a_sentence() -> None:
    record = encode_batch(enriched(1))
    assert layout_in(record) == layout_of(b.Enriched)
    with pytest.raises(ValueError, match="read it with the build that wrote it"):
        decode_batch(record, b.Related)
    with pytest.raises(ValueError, match="version 9"):
        decode_batch(record[:2] + b"\x09" + record[3:], b.Enriched)
    with pytest.raises(ValueError, match="not a record"):
        decode_batch(b"", b.Enriched)


def test_a_field_more_or_of_another_type_is_another_layout() -> None:
    @dataclass(frozen=True, slots=True, eq=False)
    class Shared(b.Shared):
        more: b.F32

    assert layout_of(Shared) != layout_of(b.Shared)
    assert len({layout_of(kind) for kind in (b.Verified, b.Normalized, b.Related, b.Enriched)}) == 4


def test_what_no_column_may_hold_and_what_is_too_large_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="cannot be a column"):
        encode_batch(b.Shared(np.zeros((1, 2), object), np.zeros(1, np.bool_)))
    with pytest.raises(ValueError, match="more than a record"):
        encode_batch(b.Shared(np.zeros(MOST_BYTES // 4, np.float32), np.zeros(1, np.bool_)))


def test_one_row_of_counts_is_small() -> None:
    assert len(encode_batch(enriched(3).velocity.take(np.array([1])))) < 200


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.integers(1, 40_000))
def test_a_batch_in_parts_is_the_batch_and_no_part_of_several_rows_passes_the_limit(rows: int, limit: int) -> None:
    whole = enriched(rows)
    parts = list(encode_in_parts(whole, limit))
    assert all(len(data) <= limit or len(piece) <= 1 for piece, data in parts)
    assert all(same(decode_batch(data, b.Enriched), piece) for piece, data in parts)
    assert same(b.Enriched.concat([piece for piece, _ in parts]), whole)
    assert len(row_bytes(whole)) == rows


def test_texts_of_many_bytes_a_character_are_cut_until_they_fit() -> None:
    whole = enriched(20)
    event = replace(whole.event, linked_id=("€" * 300,) * 20)
    parts = list(encode_in_parts(event, 3_000))
    assert all(len(data) <= 3_000 for _, data in parts)
    assert same(b.Event.concat([piece for piece, _ in parts]).linked_id, event.linked_id)
