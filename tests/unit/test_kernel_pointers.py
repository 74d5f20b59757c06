"""Kernels read the columns of a tuple where they lie: only columns that are as they were compiled for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numba
import numpy as np
import pytest

from flows.stages.device_state.pointers import address_of, are_plain, numbers_of, plain_ones
from flows.stages.velocity import Velocity
from tests.builders import normalized

_NUMBERS = numbers_of((np.int64, np.uint8, np.float32))


def _is_plain(columns: int) -> Any:
    return are_plain(columns, _NUMBERS)


def _address(columns: int, place: int) -> Any:
    return address_of(columns, place)


is_plain, address = numba.njit(_is_plain), numba.njit(_address)


def read_only(column: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    column.flags.writeable = False
    return column


def columns(first: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
    return first, np.zeros((3, 16), np.uint8), np.zeros(3, np.float32)


def test_a_column_is_found_where_its_data_begin() -> None:
    given = (*columns(np.arange(3)), np.arange(12, dtype=np.uint16)[4:], np.empty(0))
    assert [address(id(given), place) for place in range(len(given))] == [column.ctypes.data for column in given]


@pytest.mark.parametrize("kind", [np.int64, np.longlong, np.dtype("=i8")])
def test_columns_of_the_types_and_the_order_that_are_wanted_are_plain(kind: Any) -> None:
    given = columns(np.zeros(3, kind))
    assert is_plain(id(given))


@pytest.mark.parametrize(
    "other",
    [
        np.zeros(3, np.uint64),
        np.zeros(3, np.int32),
        np.zeros(3, ">i8"),
        np.zeros(6, np.int64)[::2],
        np.zeros((3, 2), np.int64).T,
        read_only(np.zeros(3, np.int64)),
        np.zeros(25, np.uint8)[1:].view(np.int64),
    ],
    ids=["unsigned", "short", "swapped", "strided", "transposed", "read-only", "unaligned"],
)
def test_other_columns_are_not_plain_until_they_are_copied(other: np.ndarray[Any, Any]) -> None:
    given = columns(other)
    assert not is_plain(id(given))
    made = tuple(plain_ones(given, (np.int64, np.uint8, np.float32)))
    assert is_plain(id(made))
    assert made[1] is given[1]
    np.testing.assert_array_equal(made[0], other)


def test_velocity_says_the_same_of_columns_that_are_not_plain() -> None:
    batch = normalized([{}] * 5)
    offset, device = np.repeat(batch.origin.offset, 2)[::2], read_only(batch.event.device_id.copy())
    origin, event = replace(batch.origin, offset=offset), replace(batch.event, device_id=device)
    other = replace(batch, origin=origin, event=event)
    found, expected = Velocity().open([]), Velocity().open([])
    one, two = found.apply(other).oks, expected.apply(batch).oks
    np.testing.assert_array_equal(one.velocity.counts, two.velocity.counts)
    np.testing.assert_array_equal(one.history.events, two.history.events)
    assert found.snapshot().data == expected.snapshot().data
