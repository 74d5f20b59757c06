"""Numbers and ids that the loop for results writes are the digits that Python writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from flows.sinks.record_parts import put_hex, put_natural, put_whole

_GUARD = 0xFE
_ROOM = 32
Write = Callable[..., Any]


@numba.njit  # type: ignore[untyped-decorator]
def _naturals(out: Any, values: Any, ends: Any) -> None:
    for row in range(len(values)):
        ends[row] = put_natural(out, np.uintp(row * _ROOM), values[row]) - np.uintp(row * _ROOM)


@numba.njit  # type: ignore[untyped-decorator]
def _wholes(out: Any, values: Any, ends: Any) -> None:
    for row in range(len(values)):
        ends[row] = put_whole(out, np.uintp(row * _ROOM), values[row]) - np.uintp(row * _ROOM)


@numba.njit  # type: ignore[untyped-decorator]
def _ids(out: Any, values: Any, ends: Any) -> None:
    for row in range(len(values)):
        ends[row] = put_hex(out, np.uintp(row * 2 * _ROOM), values, row) - np.uintp(row * 2 * _ROOM)


def written(write: Write, values: Any, room: int = _ROOM) -> list[str]:
    """Return what is written of each value; nothing may be written beyond seven bytes behind it."""
    out, ends = np.full((len(values) + 1) * room, _GUARD, np.uint8), np.empty(len(values), np.int64)
    write(out, values, ends)
    lines = [out[row * room : (row + 1) * room].tobytes() for row in range(len(values))]
    for line, end in zip(lines, ends.tolist(), strict=True):
        assert set(line[end + 7 :]) <= {_GUARD}
    return [line[:end].decode() for line, end in zip(lines, ends.tolist(), strict=True)]


def test_naturals_are_written_as_python_does() -> None:
    edges = {10**power + beside for power in range(20) for beside in (-1, 0, 1)} | {2**64 - 1}
    random = np.random.default_rng(5)
    some = random.integers(0, 2**63, 4_000).astype(np.uint64) >> random.integers(0, 63, 4_000).astype(np.uint64)
    values = np.array([*sorted(edges), *range(10_001), *some.tolist()], np.uint64)
    assert written(_naturals, values) == [str(value) for value in values.tolist()]


def test_whole_numbers_below_zero_are_written_with_a_sign() -> None:
    values = np.array([0, -1, -9, -10, -(10**8), 1 - 10**8, -(10**16), -(2**63), 2**63 - 1], np.int64)
    assert written(_wholes, values) == [str(value) for value in values.tolist()]


def test_ids_are_written_in_hex() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16)
    ids = np.concatenate((every, np.random.default_rng(6).integers(0, 256, (100, 16)).astype(np.uint8)))
    assert written(_ids, ids, 2 * _ROOM) == [bytes(one).hex() for one in ids]
