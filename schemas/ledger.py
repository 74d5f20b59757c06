"""The ledger of a batch: when each of its rows was where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from schemas.columns import I64, Chosen, Columns
from schemas.makers import maker


class _Marked:
    """What a ledger holds once marks were made: the columns before them, and a number for each of them."""

    __slots__ = ("_later", "_micros")

    if TYPE_CHECKING:  # they are no fields, so nobody should find them among the hints
        _later: tuple[int, ...]
        _micros: I64


@dataclass(frozen=True, slots=True, eq=False)
class Ledger(Columns, _Marked):
    """Time stamps in microseconds since the epoch, one column a mark, in the order of the marks."""

    marks: tuple[str, ...]
    micros: I64  # [n, len(marks)]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._before()[0])

    def __getattr__(self, name: str) -> Any:
        """Make the columns when they are asked for first: ten stages mark a ledger, and one asks."""
        if name != "micros":
            raise AttributeError(name)
        before, later = self._micros, self._later
        micros = np.empty((len(before), len(self.marks)), np.int64)
        micros[:, : -len(later)] = before
        micros[:, -len(later) :] = later
        object.__setattr__(self, "micros", micros)
        return micros

    def _before(self) -> tuple[I64, tuple[int, ...]]:
        """Return the columns that are there, and what all rows have in those behind them."""
        later: tuple[int, ...] = getattr(self, "_later", ())
        return (self._micros if later else self.micros), later

    def _take(self, rows: Chosen) -> Self:
        before, later = self._before()
        return _marked(self.marks, before[rows], later) if later else type(self)(self.marks, before[rows])

    @classmethod
    def _concat(cls, parts: Sequence[Self]) -> Self:
        if any(part.marks != parts[0].marks for part in parts):
            raise ValueError("cannot join ledgers with different marks")
        return cls(parts[0].marks, np.concatenate([part.micros for part in parts]))

    def mark(self, name: str, micros: int) -> Ledger:
        """Return a ledger with one more column that holds ``micros`` in every row."""
        later = getattr(self, "_later", ())
        return _marked((*self.marks, name), self._micros if later else self.micros, (*later, micros))


_marked: Callable[..., Any] = maker(
    Ledger, "marks, before, later", {"marks": "marks", "_micros": "before", "_later": "later"}
)
