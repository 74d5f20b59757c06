"""Results and table columns from scored batches, and rows packed for the backup and back."""

from __future__ import annotations

import numpy as np
import pytest

from flows.sinks.tables import Table, archive_columns, event_columns, letter_columns, pack_rows, tables_of, unpack_rows
from schemas.result import DECISIONS, Place, decode_rejected, decode_result, encode_rejected
from tests.builders import NOW
from tests.scored_parcels import BUILD, encoded_parcel


def test_a_result_says_what_its_row_says() -> None:
    item = encoded_parcel(6, first=40, partition=3)
    batch = item.parcel.batch
    for row, result in enumerate(item.results):
        assert bytes.fromhex(result.event_id) == batch.event.event_id[row].tobytes()
        assert bytes.fromhex(result.session_id) == batch.event.session_id[row].tobytes()
        assert bytes.fromhex(result.device_id) == batch.event.device_id[row].tobytes()
        assert (result.merchant, result.transaction) == ("demo", "t")
        assert (result.occurred_at, result.received_at) == (NOW + 1000 * row, NOW + 1000 * row + 10)
        assert result.score == pytest.approx(float(batch.score.score[row]))
        assert result.decision == DECISIONS[batch.score.decision[row]]
        assert len(result.factors) == row % 3
        assert result.velocity.events_5m == 1 + row
        assert result.origin == Place("events.raw", 3, 40 + row)
        assert (result.versions.model, result.versions.build) == ("test-model", BUILD)
        assert result.ledger == {"received": NOW * 1000 + 40 + row, "polled": NOW * 1000 + 45 + row}


def test_smart_signals_that_are_not_computable_are_null() -> None:
    unknown, known = encoded_parcel(2).results
    assert unknown.smart_signals["bot"].result is None
    assert unknown.smart_signals["bot"].confidence is None
    assert known.smart_signals["bot"].result is True
    assert known.smart_signals["bot"].confidence == pytest.approx(0.9)


def test_records_are_the_results_as_json() -> None:
    item = encoded_parcel(5)
    assert tuple(map(decode_result, item.records)) == item.results


def test_a_parcel_without_rows_has_no_records() -> None:
    item = encoded_parcel(0, dropped=2)
    assert (item.records, item.rows, tables_of([item])) == ((), 0, {})


def test_an_encoded_parcel_lets_go_of_the_signals_and_keeps_the_rest() -> None:
    batch = encoded_parcel(4).parcel.batch
    assert len(batch) == len(batch.signals) == 4
    assert batch.signals.numbers.size == batch.signals.categories.size == 0
    assert batch.signals.texts.column is not None
    assert len(batch.take(np.array([2, 0]))) == 2


def test_a_rejection_is_told_from_a_result() -> None:
    rejected = decode_rejected(encode_rejected("00" * 16, "mask.email"))
    assert rejected is not None
    assert (rejected.event_id, rejected.reason, rejected.status) == ("00" * 16, "mask.email", "rejected")
    assert decode_rejected(encoded_parcel(1).records[0]) is None


def _same(left: Table, right: Table) -> None:
    assert left.keys() == right.keys()
    for name, column in left.items():
        assert column.dtype == right[name].dtype, name
        np.testing.assert_array_equal(column, right[name], err_msg=name)


def test_rows_packed_for_the_backup_come_back_as_the_same_columns() -> None:
    item = encoded_parcel(7, dead=3)
    events, archive = event_columns(item.parcel.batch, item.results), archive_columns(item.parcel.batch)
    (found,) = unpack_rows(pack_rows({"events": events, "raw_archive": archive}))
    _same(found["events"], events)
    _same(found["raw_archive"], archive)
    letters = letter_columns(item.parcel.errs)
    (found,) = unpack_rows(pack_rows({"dead_letters": letters}))
    _same(found["dead_letters"], letters)


def test_rows_that_another_build_packed_with_other_columns_are_tables_of_their_own() -> None:
    item = encoded_parcel(3)
    events = event_columns(item.parcel.batch, item.results)
    older = {name: column for name, column in events.items() if name != "engine"}
    older["checks"] = older["checks"].astype(np.uint32)
    new, old = pack_rows({"events": events}), pack_rows({"events": older})
    first, second = unpack_rows([new[0], old[1], new[2]])
    assert first["events"]["offset"].tolist() == [0, 2]
    assert second["events"]["offset"].tolist() == [1]
    assert "engine" not in second["events"] and second["events"]["checks"].dtype == np.uint32


def test_columns_of_many_parcels_are_joined_in_order() -> None:
    tables = tables_of([encoded_parcel(2), encoded_parcel(0, dropped=1), encoded_parcel(3, first=10, dead=1)])
    assert tables["events"]["offset"].tolist() == [0, 1, 10, 11, 12]
    assert tables["raw_archive"]["payload"].tolist() == [b"sealed\0%d\0" % n for n in (0, 1, 10, 11, 12)]
    assert tables["dead_letters"]["offset"].tolist() == [13]
    assert "raw_archive" not in tables_of([encoded_parcel(2)], archive=False)
