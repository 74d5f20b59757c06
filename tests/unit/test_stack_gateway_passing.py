"""Blocks that go on to the engine: every byte of them, whatever the pieces they come in, and little of it in memory."""

from __future__ import annotations

import pytest

from infra.stack.gateway.native import pass_block
from infra.stack.gateway.wire import DisconnectedError, ProtocolError, Wire, text, varint
from tests.unit.test_stack_gateway_texts import column, wire_of

ROWS = 40
LENGTHS = [length for length in (0, 3, 127, 128, 300, 20_000, 70_000, 5) for _ in range(ROWS // 8)]
ARRAYS = b"".join(end.to_bytes(8, "little") for end in range(9_000, (ROWS + 1) * 9_000, 9_000)) + bytes(
    4 * 9_000 * ROWS
)
WORDS = (1).to_bytes(8, "little") + (1 << 9).to_bytes(8, "little") + (2).to_bytes(8, "little") + column([0, 200])
COLUMNS = {
    "String": column(LENGTHS),
    "FixedString(16)": bytes(16 * ROWS),
    "Array(UInt32)": ARRAYS,
    "Nullable(UInt32)": bytes(5 * ROWS),
    "LowCardinality(String)": WORDS + ROWS.to_bytes(8, "little") + bytes(ROWS),
}
BLOCK = varint(len(COLUMNS)) + varint(ROWS) + b"".join(text("c") + text(kind) + data for kind, data in COLUMNS.items())


@pytest.mark.parametrize("piece", [1_000, 4_096, 100_000, 1 << 24])
def test_a_block_is_passed_on_byte_for_byte_and_what_follows_is_not(piece: int) -> None:
    passed = bytearray()
    wire = wire_of(BLOCK + b"next", piece)
    assert pass_block(wire, passed.extend)
    assert passed == BLOCK
    assert wire.take(4) == b"next"


def test_only_a_window_of_a_block_is_held() -> None:
    pieces = iter([BLOCK[at : at + 4_096] for at in range(0, len(BLOCK), 4_096)])
    held: list[int] = []
    wire = Wire(lambda: next(pieces, b""))
    assert pass_block(wire, lambda read: held.append(len(wire.buf)))
    assert len(BLOCK) > 1_000_000
    assert max(held) < len(BLOCK) // 4


def test_a_block_without_rows_is_not_passed_on_and_one_without_columns_ends_them() -> None:
    passed = bytearray()
    assert pass_block(wire_of(varint(1) + varint(0) + text("c") + text("String"), 4), passed.extend)
    assert not pass_block(wire_of(varint(0) + varint(0), 4), passed.extend)
    assert passed == b""


@pytest.mark.parametrize("missing", [1, 1_000, len(BLOCK) // 2])
def test_a_block_that_is_cut_off_is_not_taken_for_a_whole_one(missing: int) -> None:
    with pytest.raises(DisconnectedError):
        pass_block(wire_of(BLOCK[:-missing], 4_096), lambda read: None)


def test_a_block_that_is_too_long_is_refused_before_it_is_read() -> None:
    said = varint(1) + varint(90_000_000) + text("c") + text("UInt64")
    with pytest.raises(ProtocolError, match="more than"):
        pass_block(wire_of(said, 4_096), lambda read: None)
