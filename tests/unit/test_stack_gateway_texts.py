"""Where a column of strings ends, however long they are and however the bytes come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from infra.stack.gateway.native import Text
from infra.stack.gateway.wire import DisconnectedError, Wire, varint

LENGTHS = (0, 1, 127, 128, 129, 255, 300, 2_600, 16_383, 16_384, 16_385, 70_000)


def column(lengths: Sequence[int]) -> bytes:
    return b"".join(varint(length) + b"\xff" * length for length in lengths)


def wire_of(data: bytes, piece: int) -> Wire:
    pieces = iter([data[at : at + piece] for at in range(0, len(data), piece)])
    return Wire(lambda: next(pieces, b""))


@pytest.mark.parametrize("piece", [1, 7, 128, 4_096, 1 << 20])
@pytest.mark.parametrize("lengths", [LENGTHS, LENGTHS[::-1], (128,) * 40, (5, 200) * 20])
def test_a_column_of_strings_ends_where_the_last_one_does(lengths: Sequence[int], piece: int) -> None:
    data = column(lengths)
    wire = wire_of(data + b"next", piece)
    Text().rows(wire, len(lengths))
    assert wire.pos == len(data)
    assert wire.take(4) == b"next"


@pytest.mark.parametrize("missing", [1, 2, 100])
def test_a_column_that_is_cut_off_is_not_taken_for_a_whole_one(missing: int) -> None:
    data = column((300, 40, 300))
    with pytest.raises(DisconnectedError):
        Text().rows(wire_of(data[:-missing], 64), 3)
