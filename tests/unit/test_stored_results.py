"""Results as they lie in Redis: packed and read back the same, whatever they are, and by every build after this one."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import lz4.block
import pytest

from flows.sinks.packing_loops import REACH
from flows.sinks.result_packing import ResultPacker
from schemas.result import encode_rejected
from schemas.stored_results import DICTIONARY, NUMBER, rejection_in, unpacked
from tests.scored_parcels import encoded_parcel

GOLDEN = Path(__file__).parent.parent / "golden" / "results.jsonl"
RELEASED = {1: "27730040a93c745695ad5e06e22d115afd0001e68e29fd51cbb510ea4ae6d86f"}
"""Numbers of dictionaries and their SHA-256: results that were packed with one are read with it."""


def golden() -> list[bytes]:
    lines = GOLDEN.read_text("utf-8").splitlines()
    return [json.dumps(json.loads(line), separators=(",", ":"), ensure_ascii=False).encode() for line in lines]


def test_a_released_dictionary_stays_as_it_is() -> None:
    assert RELEASED[NUMBER] == hashlib.sha256(DICTIONARY).hexdigest()


def test_results_are_read_back_as_they_were_and_take_a_third_at_most() -> None:
    records = golden()
    packed = ResultPacker().packed(records)
    assert list(map(unpacked, packed)) == records
    assert 3 * sum(map(len, packed)) < sum(map(len, records))


def test_records_like_none_before_are_read_back_as_they_were() -> None:
    drawn = random.Random(5)
    records = [b"{" + drawn.randbytes(size) for size in (*range(64), 270, 271, 525, 526, 4_000)]
    records += [b"{" + b"a" * size for size in (*range(64), 273, 274, 275, 528, 529, 530, 20_000)]
    records += [DICTIONARY[-size:] for size in range(1, 400)]
    for first in range(0, len(DICTIONARY) - 3_000, 97):
        part = DICTIONARY[first : first + drawn.randrange(3_000)]
        records.append(b"{" + part + drawn.randbytes(drawn.randrange(40)) + part[: drawn.randrange(3_000)])
    packer = ResultPacker()
    assert list(map(unpacked, packer.packed(records))) == records
    assert [unpacked(packer.packed([record])[0]) for record in records] == records


def test_a_damaged_result_is_a_value_error_and_no_guess() -> None:
    (packed,) = ResultPacker().packed(golden()[:1])
    for damaged in (packed[:-9], packed[:3], packed[:5], packed[:5] + b"\xff" * 40, packed[:1] + b"\xff" * 40):
        with pytest.raises(ValueError, match="damaged"):
            unpacked(damaged)


def test_the_longest_record_is_packed_and_a_longer_one_stays_as_it_is() -> None:
    longest = b"{" + random.Random(6).randbytes(REACH - len(DICTIONARY) - 1)
    packer = ResultPacker()
    (packed,) = packer.packed([longest])
    assert packed[0] == NUMBER and unpacked(packed) == longest
    assert packer.packed([b"{}", longest + b"."]) == [b"{}", longest + b"."]
    assert packer.packed([]) == []


def test_what_a_record_becomes_depends_on_no_other_one() -> None:
    records = list(encoded_parcel(40).records)
    packer = ResultPacker()
    together = packer.packed(records)
    assert together == [packer.packed([record])[0] for record in records] == ResultPacker().packed(records)


def test_the_library_packs_what_is_read_here_too() -> None:
    (record,) = encoded_parcel(1).records
    assert unpacked(bytes([NUMBER]) + lz4.block.compress(record, dict=DICTIONARY)) == record


def test_a_rejection_is_told_from_a_result_packed_or_not() -> None:
    (record,) = encoded_parcel(1).records
    rejected = rejection_in(encode_rejected("ab" * 16, "internal.bug"))
    assert rejected is not None and rejected.reason == "internal.bug"
    assert rejection_in(record) is None
    assert rejection_in(ResultPacker().packed([record])[0]) is None


def test_json_is_read_as_it_is_and_another_dictionary_is_refused() -> None:
    assert unpacked(b'{"score":1}') == b'{"score":1}'
    for stored in (b"", b"\x00", bytes([NUMBER + 1]) + b"abc"):
        with pytest.raises(ValueError, match="a result in Redis was packed by a newer build"):
            unpacked(stored)
