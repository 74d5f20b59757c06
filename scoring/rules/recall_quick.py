"""Questions to sets, answered by the reply as it came: ``reply_loops`` reads what ``recall_columns`` reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isnan
from operator import itemgetter
from typing import Any, Final, NamedTuple

import numpy as np

from scoring.rules.answers import Function
from scoring.rules.history_members import ID, TEXT, Layout
from scoring.rules.recall_columns import Part
from scoring.rules.reply_loops import (
    ANSWERED,
    AVG,
    COUNT,
    DISTINCT,
    LACKING,
    LAST,
    LAST_TEXT,
    MAX,
    MIN,
    SINCE,
    SUM,
    answer_ranges,
)

_VALUE: Final = 8
_CODES: Final[dict[Function, int]] = {
    "sum": SUM, "min": MIN, "max": MAX, "avg": AVG, "last": LAST, "count": COUNT, "since": SINCE, "distinct": DISTINCT,
}  # fmt: skip
_READ: Final = (ANSWERED, LACKING)


class Quick(NamedTuple):
    """How members of one layout answer questions to a set."""

    layout: Layout
    parts: Sequence[Part]
    columns: dict[int, int]  # by number, which of the layout's values it is
    others: Sequence[int]  # questions that are left

    def rows(self) -> list[_Row]:
        """Return what is asked of the members."""
        return [self._row(part) for part in self.parts]

    def _row(self, part: Part) -> _Row:
        code, behind, texts = _CODES[part.function], 0, 0
        if part.kind is not None:
            place = self.columns[part.column]
            behind, texts = ID + len(self.layout.head) + _VALUE * place, sum(self.layout.kinds[:place])
        if code == LAST and part.kind == TEXT:
            code = LAST_TEXT
        return _Row(code, behind, texts, part.window, part.place)


class _Row(NamedTuple):
    code: int
    behind: int
    texts: int
    window: int
    place: int  # of the answer


class Joint:
    """The questions to several sets, answered together. For one thread alone: what is found is put into its arrays."""

    def __init__(
        self, quicks: Sequence[Quick], overs: Sequence[int], answers: int, opened: Callable[[str, bytes], str | None]
    ) -> None:
        """``answers``: how many there are; those of questions that are left stay None."""
        self.quicks = tuple(quicks)
        self.leaves = any(quick.others for quick in quicks)  # questions that are answered otherwise
        self._opened = opened
        rows = [quick.rows() for quick in quicks]
        kinds = [[row.place for some in rows for row in some if _kind(row.code) == kind] for kind in range(3)]
        into = {place: number for places in kinds for number, place in enumerate(places)}
        asked = [(*row[:4], into[row.place]) for some in rows for row in some]
        numbers, whole, texts = map(len, kinds)
        self._out = np.zeros(numbers), np.zeros(whole, np.int64), np.zeros((texts, 3), np.int64)
        ends = np.cumsum([(len(quick.layout.head), len(some)) for quick, some in zip(quicks, rows, strict=True)], 0)
        bounds = np.array([(head, quick.layout.rest, row) for (head, row), quick in zip(ends, quicks, strict=True)])
        heads = np.frombuffer(b"".join([quick.layout.head for quick in quicks]), np.uint8)
        self._layouts = heads, bounds.astype(np.int64).reshape(-1, 3)
        self._asked = np.array(overs, np.int64), np.array(asked, np.int64).reshape(-1, 5)
        self._none = numbers + whole + texts
        order = {place: number for number, place in enumerate([place for places in kinds for place in places])}
        # The last ones are asked for nothing: of one place alone there would be no row.
        self._pick = itemgetter(*[order.get(place, self._none) for place in range(answers)], self._none)

    def read(self, data: bytes, first: int, at: int, own: bytes, merchant: str) -> Sequence[Any] | None:
        """Return the answers in their places, of replies that begin at ``first``, and one None.

        None where members are not alike or cannot be read so.
        """
        said: int = answer_ranges(data, first, own, self._layouts, at, *self._asked, self._out)
        if said not in _READ:
            return None
        of_numbers, of_whole, of_texts = self._out
        numbers: list[Any] = of_numbers.tolist()
        whole: list[Any] = of_whole.tolist()
        if said == LACKING:
            numbers = [None if isnan(value) else value for value in numbers]
            whole = [None if value < 0 else value for value in whole]
        values = numbers + whole
        for mark, rest, length in of_texts.tolist():
            cipher = data[mark : mark + _VALUE] + data[rest : rest + length]
            values.append(None if mark < 0 else self._opened(merchant, cipher))
        values.append(None)
        found: Sequence[Any] = self._pick(values)
        return found


def _kind(code: int) -> int:
    """Return whether a number (0), a whole number (1) or a text (2) answers what is asked."""
    return 0 if code <= LAST else 2 if code == LAST_TEXT else 1
