"""Columns that Python hands to a kernel as one tuple, read by it where they lie.

Taking an array over costs Numba 0.3 µs, and a batch of four rows has a hundred of them on its way through the keyed
stages. So a kernel gets ``id(columns)`` of a tuple, one number, and reads the addresses out of the objects: where a
tuple has its items, and an array its data, type and flags, is part of CPython's and NumPy's binary interfaces. Who
calls holds the tuple until the kernel returns. ``are_plain`` says whether columns are as the kernel reads them; where
they are not, it returns ``NOT_PLAIN`` before it did anything, and ``plain_ones`` makes copies that are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from flows.stages.device_state.compiled import part, step
from flows.stages.device_state.memory import matrix_at, vector_at, word_at
from schemas.columns import plain

NOT_PLAIN: Final = -1
_POINTER = 8
_ITEMS = tuple.__basicsize__  # behind references, type and length
_DATA = object.__basicsize__  # behind references and type: PyArrayObject_fields.data, then
_SHAPE, _DESCRIPTION, _FLAGS = _DATA + 2 * _POINTER, _DATA + 5 * _POINTER, _DATA + 6 * _POINTER
_TYPE = object.__basicsize__ + _POINTER  # of PyArray_Descr: kind, letter, order of bytes, a flag, then the number
_ORDER_SHIFT, _NUMBER_SHIFT, _BYTE, _SWAPPED = 16, 32, 0xFF, ord(">")
_CARRAY = 0x0001 | 0x0100 | 0x0400  # contiguous, aligned, may be written
_LONG, _UNSIGNED_LONG = np.dtype(np.int64).num, np.dtype(np.uint64).num
_LONGER = np.dtype(np.longlong).num - np.dtype(np.int_).num  # C has a second name for words of 64 bits


@step
def address_of(columns: Any, place: Any) -> Any:
    """Return where the data of a column begin."""
    return word_at(word_at(columns + _ITEMS + _POINTER * place) + _DATA)


@step
def length_of(columns: Any, place: Any) -> Any:
    """Return how many rows a column has."""
    return word_at(word_at(word_at(columns + _ITEMS + _POINTER * place) + _SHAPE))


@step
def width_of(columns: Any, place: Any) -> Any:
    """Return how wide the rows of a matrix are."""
    return word_at(word_at(word_at(columns + _ITEMS + _POINTER * place) + _SHAPE) + _POINTER)


def vector_in(dtype: Any) -> Any:
    """Return a compiled function from columns and a place to the vector there; it owns nothing."""
    vector = vector_at(dtype)

    @part
    def found(columns: Any, place: Any) -> Any:
        return vector(address_of(columns, place), length_of(columns, place), 0)

    return found


def matrix_in(dtype: Any, width: int = 0) -> Any:
    """Return the same for matrices; of a ``width``, in items of the type, where it is not as NumPy has it."""
    matrix = matrix_at(dtype)

    @part
    def found(columns: Any, place: Any) -> Any:
        items = width if width else width_of(columns, place)
        return matrix(address_of(columns, place), length_of(columns, place), items)

    return found


@step
def are_plain(columns: Any, numbers: Any) -> Any:
    """Return whether columns have these types, ``numbers_of`` them, and lie in order in memory that may be written."""
    for place in range(len(numbers)):
        column = word_at(columns + _ITEMS + _POINTER * place)
        if word_at(column + _FLAGS) & _CARRAY != _CARRAY:
            return False
        kind = word_at(word_at(column + _DESCRIPTION) + _TYPE)
        number, wanted = kind >> _NUMBER_SHIFT, numbers[place]
        if kind >> _ORDER_SHIFT & _BYTE == _SWAPPED:
            return False
        if number != wanted and not (wanted in (_LONG, _UNSIGNED_LONG) and number == wanted + _LONGER):
            return False
    return True


def numbers_of(dtypes: Iterable[Any]) -> NDArray[np.int64]:
    """Return NumPy's numbers of types, for ``are_plain``."""
    return np.array([np.dtype(dtype).num for dtype in dtypes], np.int64)


def plain_ones(columns: Sequence[NDArray[Any]], dtypes: Iterable[Any]) -> list[NDArray[Any]]:
    """Return columns that are plain: those that are, and copies of the others."""
    made = [plain(column, dtype) for column, dtype in zip(columns, dtypes, strict=True)]
    return [column if column.flags.carray else column.copy() for column in made]  # it may lie at an odd address
