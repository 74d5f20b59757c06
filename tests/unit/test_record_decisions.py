"""Records of decisions on their way: read, written as columns, and what becomes of those that are none."""

from __future__ import annotations

from typing import Any

import pytest

from flows.run_stage import Monitor, run_stage
from flows.sinks.clickhouse import ClickHouse
from flows.sinks.decisions import DeadRecords, DecisionTable, RecordedParcel, decision_columns
from flows.sinks.destination import Choosy, DestinationError
from flows.sinks.packed_rows import unpack_rows
from flows.stages.read_records import ReadRecords
from schemas.dead_letter import Reason
from schemas.decision_record import VERSION
from tests.decided import decided, encoded
from tests.wire import parcel, raw_batch

BAD = b'{"merchant": "shop", "note": "jane@example.com"}'
LATER = b'{"version": %d, "of": "a newer build"}' % (VERSION + 1)


def read(values: list[bytes]) -> RecordedParcel:
    return RecordedParcel(run_stage(ReadRecords(), parcel(raw_batch(values, partition=2, first=10)), Monitor.silent()))


class Tables(ClickHouse):
    """Keeps what is inserted."""

    def __init__(self, away: bool = False) -> None:
        super().__init__("clickhouse://127.0.0.1:1/x")
        self.inserted: list[dict[str, Any]] = []
        self.away = away

    def insert(self, tables: Any) -> None:
        if self.away:
            raise DestinationError("connection refused")
        self.inserted.append(dict(tables))


def test_every_row_is_a_record_or_a_dead_letter() -> None:
    item = read([*encoded(3), BAD, LATER, b""])
    assert [record.event_id for record in item.parcel.batch.records] == ["payment-0", "payment-1", "payment-2"]
    assert [(letter.reason, letter.offset) for letter in item.parcel.errs] == [
        (Reason.BAD_RECORD, 13), (Reason.RECORD_VERSION, 14), (Reason.BAD_RECORD, 15),
    ]  # fmt: skip
    assert (item.rows, item.spans[0]) == (6, (2, 10, 16))
    assert item.size > sum(map(len, encoded(3)))


def test_what_is_no_record_is_redacted_and_a_later_build_s_is_kept_as_it_is() -> None:
    bad, later = read([BAD, LATER]).parcel.errs
    assert b"jane" not in bad.payload and bad.payload.startswith(b'{"merchant": "shop", "note": ')
    assert bad.payload_format == "redacted"
    assert later.payload == LATER and later.payload_format == "record"


def test_what_is_no_text_and_what_is_large_is_bounded() -> None:
    (letter,) = read([b"\xff" * 1_000_000]).parcel.errs
    assert len(letter.payload) <= 3 * (64 << 10)


def test_records_become_columns_with_the_record_as_it_was_received() -> None:
    values = encoded(3)
    columns = decision_columns(read(values).parcel.batch)
    assert columns["record"].tolist() == values
    assert columns["event_id"].tolist() == [b"payment-0", b"payment-1", b"payment-2"]
    assert columns["occurred_at"].astype(int).tolist() == [decided(n).occurred_at for n in range(3)]
    assert (columns["partition"].tolist(), columns["offset"].tolist()) == ([2] * 3, [10, 11, 12])


def test_a_block_is_one_insert_a_table() -> None:
    tables = Tables()
    DecisionTable(tables).write([read([*encoded(2), BAD]), read(encoded(2, 2)), read([BAD])])
    (inserted,) = tables.inserted
    assert {name: len(next(iter(table.values()))) for name, table in inserted.items()} == {
        "decisions": 4, "dead_letters": 2,
    }  # fmt: skip


def test_rows_that_clickhouse_does_not_take_come_back_from_their_letters() -> None:
    item = read([*encoded(2), BAD])
    with pytest.raises(DestinationError):
        DecisionTable(Tables(away=True)).write([item])
    letters = DecisionTable(Tables()).letters([item], "connection refused")
    assert {letter.reason for letter in letters} == {Reason.SINK_CLICKHOUSE}
    assert [(letter.topic, letter.offset) for letter in letters] == [("events.raw", offset) for offset in (10, 11, 12)]
    back = Tables()
    back.rewrite(letters)
    rows = [table for tables in back.inserted for table in tables.get("decisions", {}).get("record", [])]
    assert rows == encoded(2)
    dead = [row for tables in back.inserted for row in tables.get("dead_letters", {}).get("reason", [])]
    assert dead == [b"record.bad_record"]
    assert len(unpack_rows([letter.payload for letter in letters])) == 1


def test_only_dead_letters_go_to_the_backup_topic() -> None:
    class Backup:
        letters: list[Any] = []

        def append(self, letters: Any, /) -> None:
            self.letters += letters

    backup = Backup()
    DeadRecords(backup).write([read([*encoded(2), BAD]), read(encoded(1))])
    assert [letter.reason for letter in backup.letters] == [Reason.BAD_RECORD]


def test_a_parcel_without_dead_letters_does_not_concern_their_sink() -> None:
    dead = DeadRecords(None)  # type: ignore[arg-type] # it is not asked
    assert isinstance(dead, Choosy)
    assert [dead.concerned(read(values)) for values in ([], encoded(2), [*encoded(1), BAD])] == [False, False, True]
