"""Columns: what every section and batch is made of. One rule for taking rows and one for joining."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Any, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from schemas.makers import constructor, maker

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
        kind = type(self)
        value = getattr(self, _COUNTED[kind], None) if kind in _COUNTED else None
        if not isinstance(value, _COLUMN):
            _COUNTED[kind] = self._counted()
            value = getattr(self, _COUNTED[kind])
        return len(value)

    def _counted(self) -> str:
        """Return the name of a column to count: an array or a tuple, else a section, which asks further."""
        names = names_of(type(self))
        for kinds in (_COLUMN[:2], _COLUMN):
            for name in names:
                if isinstance(getattr(self, name), kinds):
                    return name
        raise TypeError(f"{type(self).__name__} has no column")

    def take(self, rows: Rows) -> Self:
        """Return the chosen rows, in the order given; all rows in order give the same object.

        Rows that lie together are not copied: the arrays returned are views.
        """
        count = len(rows)
        first = int(rows[0]) if count else -1
        if first >= 0 and rows[-1] == first + count - 1 and bool((rows == np.arange(first, first + count)).all()):
            return self.part(first, first + count)
        return self._take(rows)

    def part(self, first: int, end: int) -> Self:
        """Return the rows from ``first`` to ``end`` without a copy; all rows give the same object."""
        return self if not first and end == len(self) else self._take(slice(first, end))

    def _take(self, rows: Chosen) -> Self:
        kind = type(self)
        return _MADE[(kind,)](*[_take_value(getattr(self, name), rows) for name in names_of(kind)])

    @classmethod
    def concat(cls, parts: Sequence[Self]) -> Self:
        """Join batches of one type, first rows first. One part is returned as it is."""
        if not parts:
            raise ValueError(f"{cls.__name__}.concat needs at least one part")
        return parts[0] if len(parts) == 1 else cls._concat(parts)

    @classmethod
    def _concat(cls, parts: Sequence[Self]) -> Self:
        kind = type(parts[0])
        return _MADE[(kind,)](*[_concat_values([getattr(part, name) for part in parts]) for name in names_of(kind)])


# A batch passes a dozen steps, each of which asks for lengths and makes a new one: dataclasses' own functions look
# the fields up each time and set them one by one, which was a tenth of what a batch of six rows cost.
_COLUMN = (np.ndarray, tuple, Columns)
_COUNTED: dict[type, str] = {}  # the column that tells a type's length: where it is a plain value, another is sought


_NAMES: dict[type, tuple[str, ...]] = {}


def names_of(kind: type[Columns]) -> tuple[str, ...]:
    """Return the names of a type's fields, in order."""
    known = _NAMES.get(kind)
    if known is None:
        known = _NAMES[kind] = tuple(field.name for field in fields(kind))
    return known


def with_section(batch: T, name: str, section: Any) -> T:
    """Return the batch with one field replaced: as ``dataclasses.replace`` does, at a twentieth of the time."""
    return _REPLACING[type(batch), name](batch, section)


def widen(target: type[T], batch: Columns, **sections: Columns) -> T:
    """Make the next batch type from ``batch`` and the new sections; the old sections are shared, not copied."""
    return _WIDENING[target, type(batch)](batch, **sections)


class _Makers(dict[tuple[Any, ...], Callable[..., Any]]):
    """Functions that make batches, written when they are called for the first time."""

    def __init__(self, write: Callable[..., Callable[..., Any]]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, key: tuple[Any, ...]) -> Callable[..., Any]:
        made = self[key] = self._write(*key)
        return made


def _replacing(kind: type[Columns], name: str) -> Callable[..., Any]:
    names = names_of(kind)
    if name not in names:
        raise TypeError(f"{kind.__name__} has no field {name}")
    return maker(kind, "batch, section", {own: "section" if own == name else f"batch.{own}" for own in names})


def _widening(target: type[Columns], given: type[Columns]) -> Callable[..., Any]:
    had = names_of(given)
    added = names_of(target)[len(had) :]
    values = {name: f"batch.{name}" for name in had} | {name: name for name in added}
    return maker(target, ", ".join(("batch", *(("*", *added) if added else ()))), values)


_MADE, _REPLACING, _WIDENING = _Makers(constructor), _Makers(_replacing), _Makers(_widening)


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


# A batch asks some two hundred times: to compare a type with what stands for it takes as long as all else.
_NATIVE = {
    kind: np.dtype(kind)
    for kind in (
        np.bool_, np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64, np.float32,
    )
}  # fmt: skip


def plain(column: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """Return a column as kernels are compiled for: contiguous, of its type, and of memory that may be written."""
    if column.flags.carray and (column.dtype is _NATIVE.get(dtype) or column.dtype == dtype):
        return column
    return np.require(column, dtype, ("C", "W"))


def segments(starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> Rows:
    """Return the indices of many ranges, one after the other: the gather of a ragged column."""
    total = int(lengths.sum())
    if total == 0:
        return np.empty(0, np.intp)
    before = np.cumsum(lengths) - lengths
    return (np.arange(total) + np.repeat(starts - before, lengths)).astype(np.intp, copy=False)
