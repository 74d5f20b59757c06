"""Kernels read the columns of a tuple where they lie: of any dimensions, and only those that are plain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from schemas.kernels import kernels_of
from schemas.pointers import are_plain, array_in, numbers_of, plain_ones
from tests.odd_columns import read_only, spread, swapped

_NUMBERS = numbers_of((np.int64, np.uint8, np.float32))
_vector_in, _matrix_in, _cube_in, _flat_in = (
    array_in(np.int64), array_in(np.int64, 2), array_in(np.int64, 3), array_in(np.int64, 3, flat=True),
)  # fmt: skip


def _is_plain(columns: int) -> Any:
    return are_plain(columns, _NUMBERS)


def _vector(columns: int, at: int) -> Any:
    return _vector_in(columns, 0)[at], len(_vector_in(columns, 0))


def _matrix(columns: int, row: int, at: int) -> Any:
    found = _matrix_in(columns, 1)
    return found[row, at], found.shape


def _cube(columns: int, row: int, one: int, other: int) -> Any:
    found = _cube_in(columns, 2)
    return found[row, one, other], found.shape


def _flat(columns: int, row: int, at: int) -> Any:
    found = _flat_in(columns, 2)
    return found[row, at], found.shape


is_plain, vector, matrix, cube, flat = map(numba.njit, (_is_plain, _vector, _matrix, _cube, _flat))


def columns(first: NDArray[Any]) -> tuple[NDArray[Any], ...]:
    return first, np.zeros((3, 16), np.uint8), np.zeros(3, np.float32)


def test_columns_of_any_dimensions_are_found_with_their_shape() -> None:
    given = np.arange(10, 15), np.arange(12).reshape(3, 4), np.arange(24).reshape(2, 3, 4)
    assert vector(id(given), 3) == (13, 5)
    assert matrix(id(given), 2, 1) == (9, (3, 4))
    assert cube(id(given), 1, 2, 3) == (23, (2, 3, 4))
    assert flat(id(given), 1, 11) == (23, (2, 12))


def test_what_is_written_to_such_a_column_is_in_the_column() -> None:
    given = (np.zeros(4, np.int64),)

    @numba.njit
    def write(columns: int) -> None:
        found = _vector_in(columns, 0)
        for at in range(len(found)):
            found[at] = at * at

    write(id(given))
    assert given[0].tolist() == [0, 1, 4, 9]


@pytest.mark.parametrize("kind", [np.int64, np.longlong, np.dtype("=i8")])
def test_columns_of_the_types_and_the_order_that_are_wanted_are_plain(kind: Any) -> None:
    given = columns(np.zeros(3, kind))
    assert is_plain(id(given))


@pytest.mark.parametrize(
    "other",
    [
        np.zeros(3, np.uint64),
        np.zeros(3, np.int32),
        swapped(np.zeros(3, np.int64)),
        spread(np.zeros(3, np.int64)),
        read_only(np.zeros(3, np.int64)),
        np.zeros((3, 2), np.int64).T,
        np.zeros(25, np.uint8)[1:].view(np.int64),
    ],
    ids=["unsigned", "narrow", "swapped", "spread", "read_only", "transposed", "odd_address"],
)
def test_other_columns_are_not_plain_and_their_copies_are(other: NDArray[Any]) -> None:
    given = columns(other)
    assert not is_plain(id(given))
    copies = tuple(plain_ones(given, (np.int64, np.uint8, np.float32)))
    assert is_plain(id(copies))
    assert copies[1] is given[1]
    assert all((one == copy).all() for one, copy in zip(given, copies, strict=True))


def test_a_kernel_is_kept_by_the_text_of_its_sources(tmp_path: Path) -> None:
    sources = tmp_path / "one.py", tmp_path / "other.py"
    for source in sources:
        source.write_text("text")

    def kept() -> str:
        made: Any = kernels_of(*sources)(lambda: 1)
        return str(made.stats.cache_path)

    first = kept()
    assert kept() == first
    sources[1].write_text("another text")
    assert kept() != first
