"""Sentences over columns as a program: each is run once on columns that only write down what is done with them.

The sentences stay what they are. What they do with NumPy's operators becomes steps that one compiled loop runs
(``column_steps.run``); a step that two of them share is made once. Numbers that a sentence writes are float32 as NumPy
takes them beside float32 columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from schemas import column_steps as k
from schemas.batches import F32, I64, U8, Bool

NUMBER, HASH, CODE, FLAG = "number", "hash", "code", "flag"


class Column:
    """A column of a kind that stands for all rows of a batch: operators on it are written down."""

    __slots__ = ("_program", "kind", "place")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, program: Program, kind: str, place: tuple[str, int]) -> None:
        self._program, self.kind, self.place = program, kind, place

    def __and__(self, other: Column) -> Column:
        return self._program.step(FLAG, k.AND, *_in_order(self, other))

    def __or__(self, other: Column) -> Column:
        return self._program.step(FLAG, k.OR, *_in_order(self, other))

    def __invert__(self) -> Column:
        return self._program.step(FLAG, k.NOT, self)

    def __lt__(self, other: Any) -> Column:
        return self._program.compare(self, other, (k.LESS, k.LESS_THAN), lambda code: code < other)

    def __le__(self, other: Any) -> Column:
        return self._program.compare(self, other, (k.AT_MOST, k.AT_MOST_THAN), lambda code: code <= other)

    def __gt__(self, other: Any) -> Column:
        if isinstance(other, Column):
            return self._program.step(FLAG, k.AND_NOT, self, other) if self.kind == FLAG else other < self
        return self._program.compare(self, other, (None, k.MORE_THAN), lambda code: code > other)

    def __ge__(self, other: Any) -> Column:
        if isinstance(other, Column):
            return other <= self
        return self._program.compare(self, other, (None, k.AT_LEAST_THAN), lambda code: code >= other)

    def __eq__(self, other: Any) -> Column:  # type: ignore[override]
        return self._program.equal(self, other)

    def __ne__(self, other: Any) -> Column:  # type: ignore[override]
        if self.kind == CODE and isinstance(other, Column):
            return self._program.step(FLAG, k.CODES_DIFFER, *_in_order(self, other))
        return ~(self == other)

    def __add__(self, other: Any) -> Column:
        return self._program.compute(self, other, (k.ADD, k.ADD_TO))

    def __sub__(self, other: Any) -> Column:
        if isinstance(other, Column):
            return self._program.step(NUMBER, k.SUBTRACT, self, other)
        return self + -other

    def __mul__(self, other: float) -> Column:
        return self._program.compute(self, other, (None, k.TIMES))

    def __array_ufunc__(self, function: np.ufunc, method: str, *inputs: Any, **_: Any) -> Any:
        """Write down NumPy's functions."""
        if method != "__call__" or function not in _FUNCTIONS:
            raise TypeError(f"{function.__name__} is used, which programs of columns do not know")
        return _FUNCTIONS[function](self._program, *inputs)

    def __array_function__(self, function: Any, _: Any, args: Any, __: Any) -> Column:
        """Write down ``np.where`` with two plain numbers, or with one and a column behind it."""
        if function is not np.where or isinstance(args[1], Column):
            raise TypeError(f"{function.__name__} is used in a way that programs of columns do not know")
        chosen, yes, no = args
        if isinstance(no, Column):
            return self._program.instead(chosen, yes, no)
        return self._program.choose(chosen, yes, no)


def _in_order(one: Column, other: Column) -> tuple[Column, Column]:
    return (one, other) if one.place <= other.place else (other, one)


class Steps(NamedTuple):
    """A program as ``column_steps.run`` takes it, and how many columns it has by kind: float32, uint32, uint8."""

    steps: I64
    constants: F32
    tables: U8
    width: tuple[int, int, int]


class Program:
    """What is written down. ``place`` of a column is the stretch that it stands in, and where there."""

    def __init__(self) -> None:
        self._made: dict[tuple[Any, ...], Column] = {}
        self._steps: list[tuple[Any, ...]] = []
        self._temporary = {NUMBER: 0, FLAG: 0}
        self._constants: dict[float, int] = {}
        self._tables: list[U8] = []

    def input(self, kind: str, stretch: str, at: int) -> Column:
        """Return a column that is there before the program runs."""
        return Column(self, kind, (stretch, at))

    def step(self, kind: str, operation: int, *inputs: Column, more: tuple[int, ...] = ()) -> Column:
        """Return the column that a step makes; the same step is made once."""
        key = (operation, *(column.place for column in inputs), *more)
        found = self._made.get(key)
        if found is None:
            found = Column(self, kind, ("temporary", self._temporary[kind]))
            self._temporary[kind] += 1
            self._made[key] = found
            self._steps.append((operation, found, inputs, more))
        return found

    def compare(
        self, left: Column, right: Any, operations: tuple[int | None, int], holds: Callable[[int], bool]
    ) -> Column:
        """Compare numbers with numbers, or codes with a constant."""
        if left.kind == CODE:
            return self.among(left, [code for code in range(64) if holds(code)])
        if not isinstance(right, Column):
            return self.step(FLAG, operations[1], left, more=(self._constant(right),))
        if operations[0] is None:
            raise TypeError("two columns cannot be compared so")
        return self.step(FLAG, operations[0], left, right)

    def equal(self, left: Column, right: Any) -> Column:
        """Compare two columns, or one with a constant."""
        if left.kind == NUMBER:
            return self.compare(left, right, (k.EQUAL, k.EQUAL_TO), bool)
        if left.kind == HASH:
            if isinstance(right, Column):
                return self.step(FLAG, k.SAME, *_in_order(left, right))
            return self.step(FLAG, k.SAME_AS, left, more=(int(right),))
        if isinstance(right, Column):
            return ~self.step(FLAG, k.CODES_DIFFER, *_in_order(left, right))
        return self.among(left, [right])

    def among(self, codes: Column, chosen: Sequence[int]) -> Column:
        """Return where a code is one of these, all below 64."""
        mask = sum(1 << code for code in set(chosen))
        return self.step(FLAG, k.IN, codes, more=(mask - (1 << 64) if mask >> 63 else mask,))

    def together(self, table: Bool, one: Column, other: Column) -> Column:
        """Return what a table of two codes says."""
        start = sum(map(len, self._tables))
        key = (id(table), one.place, other.place)
        if key not in self._made:
            self._tables.append(np.ascontiguousarray(table, np.uint8).ravel())
            self._made[key] = self.step(FLAG, k.TABLE, one, other, more=(start, table.shape[1]))
        return self._made[key]

    def compute(self, left: Column, right: Any, operations: tuple[int | None, int]) -> Column:
        """Return numbers made of two columns, or of one and a constant."""
        if isinstance(right, Column) and operations[0] is not None:
            return self.step(NUMBER, operations[0], left, right)
        return self.step(NUMBER, operations[1], left, more=(self._constant(right),))

    def choose(self, chosen: Column, yes: float, no: float) -> Column:
        """Return one of two constants."""
        return self.step(NUMBER, k.CHOOSE, chosen, more=(self._constant(yes), self._constant(no)))

    def instead(self, chosen: Column, value: float, column: Column) -> Column:
        """Return a column with a constant where that is chosen."""
        return self.step(NUMBER, k.INSTEAD, column, chosen, more=(self._constant(value),))

    def modulo(self, column: Column, by: float) -> Column:
        """Return what is left of numbers."""
        return self.step(NUMBER, k.MODULO, column, more=(self._constant(by),))

    def _constant(self, value: float) -> int:
        return self._constants.setdefault(float(np.float32(value)), len(self._constants))

    def compiled(self, starts: dict[str, int], width: tuple[int, int, int], results: Sequence[Column] = ()) -> Steps:
        """Return the program whose result i is bit i. ``starts``: where each stretch of inputs begins in its kind."""
        floats, hashes, codes = width

        def at(column: Column) -> int:
            return stands_at(column, starts, width)

        steps = []
        for operation, target, inputs, more in self._steps:
            places = [at(column) for column in inputs]
            if operation == k.CHOOSE:
                steps.append((operation, at(target), *more, places[0], 0))
            elif operation == k.INSTEAD:
                steps.append((operation, at(target), places[0], *more, places[1], 0))
            elif operation in (k.IN, k.TABLE):
                steps.append((operation, at(target), *(*places, 0)[:2], *(*more, 0)[:2]))
            else:
                steps.append((operation, at(target), *(*places, *more, 0)[:2], 0, 0))
        tables = np.concatenate([*self._tables, np.zeros(1, np.uint8)])
        wide = (floats + self._temporary[NUMBER], hashes, codes + self._temporary[FLAG])
        steps += [(k.OUT, bit, at(column), 0, 0, 0) for bit, column in enumerate(results)]
        return Steps(np.array(steps, np.int64), np.array([*self._constants, 0], np.float32), tables, wide)


def stands_at(column: Column, starts: dict[str, int], width: tuple[int, int, int]) -> int:
    """Return which of its kind a column is, where stretches of inputs begin so and kinds have so many inputs."""
    stretch, place = column.place
    if stretch != "temporary":
        return place + starts[stretch]
    return place + width[0 if column.kind == NUMBER else 2]


def _one(operation: int) -> Callable[[Program, Column], Column]:
    return lambda program, column: program.step(NUMBER, operation, column)


_FUNCTIONS: dict[np.ufunc, Callable[..., Any]] = {
    np.isnan: lambda program, column: program.step(FLAG, k.IS_NAN, column),
    np.absolute: _one(k.ABSOLUTE),
    np.floor: _one(k.FLOOR),
    np.rint: _one(k.ROUND),
    np.fmin: lambda program, one, other: program.step(NUMBER, k.LEAST, one, other),
    np.mod: lambda program, column, by: program.modulo(column, by),
    np.frexp: lambda program, column: (program.step(NUMBER, k.MANTISSA, column), None),
}
