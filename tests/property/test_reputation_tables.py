"""What labels say of addresses, networks and systems, summed column-wise, is what a plain loop sums."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.lookups.labelled_fraud import pack_reputation, unpack_reputation
from infra.reputation import Counts, tables_of
from schemas.batches import Network
from schemas.envelope import address_bytes
from schemas.recognition import REPUTED, LabelTables, entity_keys

four = st.builds(lambda a, b: address_bytes(f"198.18.{a}.{b}"), st.integers(0, 2), st.integers(0, 5))
six = st.builds(lambda a, b: address_bytes(f"2001:4860:{a}::{b:x}"), st.integers(0, 2), st.integers(0, 5))
share = st.floats(0, 1)
rows = st.lists(
    st.tuples(st.one_of(four, six, st.just(bytes(16))), st.sampled_from([0, 3320, 7018]), st.floats(1e-3, 50), share),
    max_size=40,
)


def counts_of(drawn: list[tuple[bytes, int, float, float]]) -> Counts:
    return Counts(
        np.frombuffer(b"".join(row[0] for row in drawn), np.uint8).reshape(-1, 16),
        np.array([row[1] for row in drawn], np.uint32),
        np.array([row[2] for row in drawn], np.float64),
        np.array([row[2] * row[3] for row in drawn], np.float64),
        len(drawn),
        0,
    )


def keys_of(counts: Counts) -> np.ndarray:
    size = len(counts.asn)
    none = np.full(size, np.nan, np.float32)
    number = np.zeros(size, np.uint16)
    return entity_keys(Network(number, counts.asn, none, none, number), counts.address)


@settings(deadline=None)
@given(rows)
def test_tables_hold_the_sums_of_each_entity(drawn: list[tuple[bytes, int, float, float]]) -> None:
    counts = counts_of(drawn)
    keys = keys_of(counts)
    for kind, table in enumerate(tables_of(counts)):
        sums: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for key, (_, _, weight, part) in zip(keys[:, kind].tolist(), drawn, strict=True):
            sums[key][0] += weight
            sums[key][1] += weight * part
        sums.pop(0, None)
        assert table.keys.tolist() == sorted(sums)
        for key, events, fraud in zip(table.keys.tolist(), table.events.tolist(), table.fraud.tolist(), strict=True):
            assert events == pytest.approx(sums[key][0], rel=1e-6)
            assert fraud == pytest.approx(sums[key][1], rel=1e-6, abs=1e-30)
            assert fraud <= events


@settings(deadline=None)
@given(rows)
def test_the_order_of_the_rows_changes_no_table_and_a_file_brings_them_back(
    drawn: list[tuple[bytes, int, float, float]],
) -> None:
    tables = tables_of(counts_of(drawn))
    for one, other in zip(tables, tables_of(counts_of(drawn[::-1])), strict=True):
        assert one.keys.tolist() == other.keys.tolist()
        np.testing.assert_allclose(one.events, other.events, rtol=1e-6)
    found = unpack_reputation(pack_reputation(tables, 1, 0, 30.0)).tables
    assert len(found) == len(REPUTED)
    keys = keys_of(counts_of(drawn))
    for read, made in zip(LabelTables(found, "").count(keys), LabelTables(tables, "").count(keys), strict=True):
        np.testing.assert_array_equal(read, made)
