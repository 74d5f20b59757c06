"""Columns that Python hands to a kernel as one tuple, read by it where they lie.

To take an array over costs Numba 0.06 to 0.3 µs, and a batch of four rows has three hundred on its way through signals,
score and results. So a kernel gets ``id(columns)`` of a tuple, one number, and reads the addresses out of the objects:
where a tuple has its items, and an array its data, type and flags, is part of CPython's and NumPy's binary interfaces.
Who calls holds the tuple until the kernel returns. ``are_plain`` says whether columns are as the kernel reads them;
where they are not, it returns ``NOT_PLAIN`` before it did anything, and ``plain_ones`` makes copies that are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array
from numba.np.numpy_support import from_dtype
from numpy.typing import NDArray

from schemas import kernels
from schemas.columns import plain
from schemas.kernels import step

NOT_PLAIN: Final = -1
SOURCES: Final = (Path(__file__), Path(str(kernels.__file__)))
"""What kernels that read columns so are compiled with, beside their own files."""
_INT = ir.IntType(64)
POINTER = 8
ITEMS = tuple.__basicsize__  # behind references, type and length
DATA = object.__basicsize__  # behind references and type: PyArrayObject_fields.data, then
SHAPE, _DESCRIPTION, _FLAGS = DATA + 2 * POINTER, DATA + 5 * POINTER, DATA + 6 * POINTER
_TYPE = object.__basicsize__ + POINTER  # of PyArray_Descr: kind, letter, order of bytes, a flag, then the number
_ORDER_SHIFT, _NUMBER_SHIFT, _BYTE, _SWAPPED = 16, 32, 0xFF, ord(">")
_CARRAY = 0x0001 | 0x0100 | 0x0400  # contiguous, aligned, may be written
_LONG, _UNSIGNED_LONG = np.dtype(np.int64).num, np.dtype(np.uint64).num
_LONGER = np.dtype(np.longlong).num - np.dtype(np.int_).num  # C has a second name for words of 64 bits


def _loaded(typing: Any, address: Any) -> Any:
    """Return the word at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(builder, arguments[0])

    return types.int64(types.int64), generate


def _load(builder: Any, address: Any, more: int = 0) -> Any:
    """Generate the word that lies so many bytes behind an address."""
    return builder.load(builder.inttoptr(builder.add(address, ir.Constant(_INT, more)), ir.PointerType(_INT)))


_word_at: Any = intrinsic(_loaded)


@step
def _column(columns: Any, place: Any) -> Any:
    return _word_at(columns + ITEMS + POINTER * place)


def array_in(dtype: Any, dimensions: int = 1, *, flat: bool = False) -> Any:
    """Return a compiled function from columns and a place to the array there, plain and of so many dimensions.

    It owns nothing, so it may be handed to steps, but no step can make one. ``flat``: as a matrix of long
    rows.
    """
    kind = types.Array(from_dtype(np.dtype(dtype)), 2 if flat else dimensions, "C")

    def found(typing: Any, columns: Any, place: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            at = builder.add(arguments[0], builder.mul(arguments[1], ir.Constant(_INT, POINTER)))
            column = _load(builder, at, ITEMS)
            shape_at = _load(builder, column, SHAPE)
            shape = [_load(builder, shape_at, POINTER * axis) for axis in range(dimensions)]
            if flat:
                shape = [shape[0], reduce(builder.mul, shape[1:])]
            item = ir.Constant(_INT, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
            strides = [item]
            for size in reversed(shape[1:]):
                strides.insert(0, builder.mul(strides[0], size))
            made = make_array(kind)(context, builder)
            populate_array(
                made,
                data=builder.inttoptr(_load(builder, column, DATA), made.data.type),
                shape=cgutils.pack_array(builder, shape),
                strides=cgutils.pack_array(builder, strides),
                itemsize=item,
                meminfo=None,
            )
            return made._getvalue()

        return kind(types.int64, types.int64), generate

    return intrinsic(found)


@step
def are_plain(columns: Any, numbers: Any) -> Any:
    """Return whether columns have these types, ``numbers_of`` them, and lie in order in memory that may be written."""
    for place in range(len(numbers)):
        column = _column(columns, place)
        if _word_at(column + _FLAGS) & _CARRAY != _CARRAY:
            return False
        kind = _word_at(_word_at(column + _DESCRIPTION) + _TYPE)
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
