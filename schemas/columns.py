"""Columns: what every section and batch is made of. One rule for taking rows and one for joining."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from operator import itemgetter
from typing import Any, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

U8 = NDArray[np.uint8]
I8 = NDArray[np.int8]
I16 = NDArray[np.int16]
U16 = NDArray[np.uint16]
U32 = NDArray[np.uint32]
U64 = NDArray[np.uint64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
F32 = NDArray[np.float32]
Bool = NDArray[np.bool_]

Rows = NDArray[np.intp]
Chosen = Rows | slice  # a slice has a start and a stop inside the columns, and no step
T = TypeVar("T", bound="Columns")


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A frozen set of columns of equal length.

    A field is a NumPy array (rows first), a tuple (one item a row), another ``Columns``, or a plain value that all
    rows share (str, int, None). Subclasses with ragged fields override ``_take`` and ``_concat``.
    """

    def __len__(self) -> int:
        """Return the number of rows."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, np.ndarray | tuple | Columns):
                return len(value)
        raise TypeError(f"{type(self).__name__} has no column")

    def take(self, rows: Rows) -> Self:
        """Return the chosen rows, in the order given; all rows in order give the same object.

        Rows that lie together are not copied: the arrays returned are views.
        """
        count = len(rows)
        first = int(rows[0]) if count else -1
        if first >= 0 and rows[-1] == first + count - 1 and bool((rows == np.arange(first, first + count)).all()):
            return self if count == len(self) else self._take(slice(first, first + count))
        return self._take(rows)

    def _take(self, rows: Chosen) -> Self:
        return replace(self, **{f.name: _take_value(getattr(self, f.name), rows) for f in fields(self)})

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Join batches of one type, first rows first. One part is returned as it is."""
        if not parts:
            raise ValueError(f"{cls.__name__}.concat needs at least one part")
        return parts[0] if len(parts) == 1 else cls._concat(parts)

    @classmethod
    def _concat(cls, parts: Sequence[Self]) -> Self:
        columns = {f.name: _concat_values([getattr(p, f.name) for p in parts]) for f in fields(parts[0])}
        return replace(parts[0], **columns)


def widen(target: type[T], batch: Columns, **sections: Columns) -> T:
    """Make the next batch type from ``batch`` and the new sections; the old sections are shared, not copied."""
    kept = {f.name: getattr(batch, f.name) for f in fields(batch)}
    return target(**kept, **sections)


def _take_value(value: Any, rows: Chosen) -> Any:
    if isinstance(value, np.ndarray):
        return value[rows]
    if isinstance(value, Columns):
        return value._take(rows)
    if isinstance(value, tuple):
        if isinstance(rows, slice):
            return value[rows]
        if len(rows) == 1:
            return (value[rows[0]],)
        return itemgetter(*rows.tolist())(value) if len(rows) else ()
    return value


def _concat_values(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, np.ndarray):
        return np.concatenate(values)
    if isinstance(first, Columns):
        return cast(Any, type(first)).concat(values)
    if isinstance(first, tuple):
        return tuple(item for value in values for item in value)
    if any(value != first for value in values):
        raise ValueError(f"cannot join batches that disagree on a shared value: {first!r}")
    return first


def segments(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Rows:
    """Return the indices of many ranges, one after the other: the gather of a ragged column."""
    total = int(lengths.sum())
    if total == 0:
        return np.empty(0, np.intp)
    before = np.cumsum(lengths) - lengths
    return (np.arange(total) + np.repeat(starts - before, lengths)).astype(np.intp, copy=False)
