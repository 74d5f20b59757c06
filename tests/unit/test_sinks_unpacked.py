"""Packed columns as numbers: the same values, in the bytes of the native protocol."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest

from flows.sinks.tables import Table, event_columns, objects
from flows.sinks.unpacked import Numbers, Piece, pieces_of, write_words
from schemas.velocity import WINDOWS
from tests.scored_parcels import encoded_parcel


def unpacked(table: Table) -> Piece:
    (whole,) = pieces_of(table)
    return whole


def _array(column: Numbers, kind: str) -> list[list[float]]:
    offsets, *values = column.pieces
    ends = np.frombuffer(offsets, "<u8").tolist()
    flat = np.frombuffer(b"".join(values), kind).tolist()
    return [flat[first:last] for first, last in zip([0, *ends[:-1]], ends, strict=True)]


@pytest.mark.parametrize("entries", [0, 1, 3, 400])
def test_rows_of_bytes_become_arrays_of_as_many_numbers(entries: int) -> None:
    rows = [np.arange(entries * (row % 3), dtype="<u2") for row in range(7)]
    found = unpacked({"activity_code_bytes": objects(row.tobytes() for row in rows)})
    column = found["activity_code"]
    assert isinstance(column, Numbers) and (column.kind, len(column)) == ("Array(UInt16)", 7)
    assert _array(column, "<u2") == [row.tolist() for row in rows]


def test_a_count_that_is_not_known_is_null_and_one_of_the_device_is_0() -> None:
    counts = np.arange(2 * 36, dtype="<u4").reshape(2, 36)  # the first is 0
    velocity = np.arange(2 * 18, dtype="<u4").reshape(2, 18) % 18
    packed = {"shared_bytes": objects(map(bytes, counts)), "velocity_bytes": objects(map(bytes, velocity))}
    found = unpacked(packed)
    assert len(found) == 36 + 15
    first, last = found["address_events_5m"], found["card_devices_24h"]
    assert isinstance(first, Numbers) and isinstance(last, Numbers)
    assert first.kind == "Nullable(UInt32)"
    assert [np.frombuffer(first.pieces[0], "u1").tolist(), np.frombuffer(first.pieces[1], "<u4").tolist()] == [
        [1, 0],
        [0, 36],
    ]
    assert np.frombuffer(last.pieces[1], "<u4").tolist() == [35, 71]
    sessions = found["sessions_24h"]
    assert isinstance(sessions, Numbers) and sessions.kind == "UInt32"
    assert np.frombuffer(sessions.pieces[0], "<u4").tolist() == [17, 17]


@pytest.mark.parametrize(
    "packed",
    [
        {"activity_time_bytes": [b"1234", b"12345"]},
        {"velocity_bytes": [bytes(72), b""]},
        {"shared_bytes": [bytes(144), bytes(148)]},
    ],
)
def test_rows_that_are_not_of_their_form_stay_for_the_table_to_unpack(packed: dict[str, list[bytes]]) -> None:
    table = {name: objects(rows) for name, rows in packed.items()}
    assert unpacked(table) == table


def test_every_packed_column_of_an_event_is_unpacked_and_the_others_are_left() -> None:
    item = encoded_parcel(3)
    table = event_columns(item.parcel.batch, item.results)
    found = unpacked(table)
    assert not [name for name in found if name.endswith("_bytes")]
    kept = [name for name in table if not name.endswith("_bytes")]
    assert all(found[name] is table[name] for name in kept)
    assert {f"sessions_{window}" for window in WINDOWS} <= set(found)
    assert {len(column) for column in found.values()} == {3}


@pytest.mark.parametrize(("different", "size"), [(1, 1), (256, 1), (257, 2), (65_536, 2), (65_537, 4)])
def test_texts_are_numbers_of_as_few_bytes_as_the_different_ones_need(different: int, size: int) -> None:
    texts = [b"%07d" % (row % different) for row in range(2 * different)]
    out = BytesIO()
    write_words(texts, out)
    written = out.getvalue()
    version, kind, count = np.frombuffer(written[:24], "<u8").tolist()
    assert (version, kind, count) == (1, 1 << 9 | {1: 0, 2: 1, 4: 2}[size], different)
    words = [written[24 + 8 * at + 1 : 24 + 8 * at + 8] for at in range(different)]
    rest = written[24 + 8 * different :]
    assert int.from_bytes(rest[:8], "little") == len(texts)
    assert [words[at] for at in np.frombuffer(rest[8:], f"<u{size}").tolist()] == texts


def test_joined_texts_are_left_out_only_where_no_row_has_any() -> None:
    table = {"tags_text": objects([b"", b""]), "rules_text": objects([b"", b"one"]), "card": objects([b"", b""])}
    assert list(unpacked(table)) == ["rules_text", "card"]


def test_pieces_of_a_table_have_one_set_of_columns_and_together_all_rows() -> None:
    texts = [b""] * 4 + [b"new"] * 3
    sizes = range(7)
    table = {
        "tags_text": objects(texts),
        "rules_text": objects([b""] * 7),
        "offset": np.arange(7),
        "activity_code_bytes": objects(np.arange(size, dtype="<u2").tobytes() for size in sizes),
    }
    pieces = list(pieces_of(table, 3))
    assert [list(piece) for piece in pieces] == [["tags_text", "offset", "activity_code"]] * 3
    assert [len(piece["offset"]) for piece in pieces] == [3, 3, 1]
    assert np.concatenate([np.asarray(piece["tags_text"]) for piece in pieces]).tolist() == texts
    codes = [piece["activity_code"] for piece in pieces]
    assert all(isinstance(one, Numbers) for one in codes)
    found = [row for one in codes if isinstance(one, Numbers) for row in _array(one, "<u2")]
    assert found == [list(range(size)) for size in sizes]


def test_a_table_without_rows_is_one_piece_where_it_is_not_cut_and_none_where_it_is() -> None:
    table = {"offset": np.arange(0), "card": objects([])}
    assert [len(piece["card"]) for piece in pieces_of(table)] == [0]
    assert list(pieces_of(table, 3)) == []
