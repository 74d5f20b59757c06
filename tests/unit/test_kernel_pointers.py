"""The state's kernels read the columns of a tuple where they lie, and say the same of columns that are not plain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numba
import numpy as np

from flows.stages.device_state.pointers import address_of
from flows.stages.velocity import Velocity
from tests.builders import normalized
from tests.odd_columns import read_only


def _address(columns: int, place: int) -> Any:
    return address_of(columns, place)


address = numba.njit(_address)


def test_a_column_is_found_where_its_data_begin() -> None:
    given = (
        np.arange(3),
        np.zeros((3, 16), np.uint8),
        np.zeros(3, np.float32),
        np.arange(12, dtype=np.uint16)[4:],
        np.empty(0),
    )
    assert [address(id(given), place) for place in range(len(given))] == [column.ctypes.data for column in given]


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
