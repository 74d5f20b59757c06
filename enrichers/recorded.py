"""Signals as one program over columns: what they do with a view is written down once, when the stage is made.

Signals that say ``recorded`` observe a view of no batch (``enrichers.recorded_view``); what they do becomes one program
for all of them (``schemas.column_program``). Whatever they ask for is gathered for each batch by few compiled loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np

from enrichers.causes import EveryCause, every_cause
from enrichers.recorded_view import CODES, FLOATS, HASHES, Classify, RecordedView
from enrichers.view import View
from enrichers.view_loops import BOT, COLUMNS, HEADLESS, TABLES, Starts, gather
from enrichers.whereabouts import where_tables
from schemas.batches import F32, I64, U8, U32
from schemas.column_program import Column, Steps, stands_at
from schemas.column_steps import run
from schemas.pointers import NOT_PLAIN, plain_ones

_SHOWN: Final = ("number", "statistic", "category", "true", "false", "known", "check", "class")
_PAST: Final = ("count", "shared", "denied", "weight", "older", "sooner")
_NO_CHECKS: Final = np.zeros(0, np.uint64)
_NO_KINDS: Final = np.zeros(0, np.uint8)
_NOTHING: Final = np.zeros(0, np.int64)


class Recording:
    """A program over views, whose results are some of its columns of flags. It holds no state between batches."""

    def __init__(self, record: Callable[[View], Iterable[Any]]) -> None:
        """``record`` is given a view of no batch, and returns the results; None: somebody else puts it there."""
        view = RecordedView()
        results = [*record(cast(View, view))]
        language = view.category("navigator.language")
        self._every: EveryCause = every_cause()
        starts, width = _stretches(view, len(self._every))
        self._steps: Steps = view.program.compiled(starts, width)
        self._starts = starts
        shown, self._past = (
            tuple(np.array([*view.asked[stretch]], np.int64) for stretch in stretches) for stretches in (_SHOWN, _PAST)
        )
        self._language = stands_at(language, starts, width)
        self._classified: tuple[tuple[str, Classify], ...] = tuple(view.asked["classified"])
        loops = [(loop, starts["loop"] + first) for loop, first in view.loops.items()]
        self._loops = [(loop, at) for loop, at in loops if loop.which < 0]
        self._gathered = {loop.which: (loop, at) for loop, at in loops if loop.which >= 0}
        self._tables = self._all_tables(shown)
        self.places = _places(results, lambda column: stands_at(column, starts, width), self._steps.width[2])
        """Which columns of flags the results are, int64[results]."""
        self._height = self._steps.width[2] + sum(result is None for result in results)

    def __call__(self, view: View) -> U8:
        """Return columns of flags, uint8[k, n] of 0 and 1, of which ``places`` are the results."""
        rows = len(view)
        floats, hashes, _ = self._steps.width
        columns = (
            np.empty((floats, rows), np.float32),
            np.empty((hashes, rows), np.uint32),
            np.empty((self._height, rows), np.uint8),
        )
        self._gather(view, columns)
        run(self._steps.steps, self._steps.constants, self._steps.tables, columns, _NO_CHECKS)
        return columns[2]

    def _gather(self, view: View, columns: tuple[F32, U32, U8]) -> None:
        codes, starts = columns[2], self._starts
        given = (*view.columns(), self._renderers(view), *columns)
        suspects = gather(id(given), id(self._tables))
        if suspects == NOT_PLAIN:
            copies = (*plain_ones(given[: len(COLUMNS)], COLUMNS), *given[len(COLUMNS) :])
            suspects = gather(id(copies), id(self._tables))
        for at, question in enumerate(self._classified, starts["classified"]):
            codes[at] = view.classify(*question)
        again = [self._gathered[BOT]] if suspects else []  # seldom: somebody may be a crawler
        for loop, at in (*self._loops, *again):
            view.know(self._every, codes[starts["cause"] : starts["where"]].view(np.bool_))
            loop.run(view, codes[at : at + loop.rows])

    def _renderers(self, view: View) -> U8:
        """Return the kinds of renderers, which one of the loops asks for."""
        loop, _ = self._gathered.get(HEADLESS, (None, 0))
        return view.classify(*loop.classified) if loop and loop.classified else _NO_KINDS

    def _all_tables(self, shown: Sequence[I64]) -> tuple[Any, ...]:
        """Return what ``gather`` takes beside a batch."""
        starts, loops = self._starts, self._gathered
        bot, headless, inputs, rare = (loops[which][1] if which in loops else -1 for which in range(len(TABLES)))
        first = Starts(
            starts["count"], starts["older"], starts["cause"], starts["where"], starts["classified"], starts["speed"],
            self._language, bot, headless, inputs, rare,
        )  # fmt: skip
        of_loops = [
            loops[which][0].tables() if which in loops else (_NOTHING,) * count for which, count in enumerate(TABLES)
        ]
        flat = (table for tables in of_loops for table in tables)
        return (np.array(first, np.int64), *shown, *self._every.places, *self._past, *where_tables(), *flat)


def _stretches(view: RecordedView, causes: int) -> tuple[dict[str, int], tuple[int, int, int]]:
    """Return where each stretch begins among the columns of its kind, and how many of each kind are given."""
    widths: Mapping[str, int] = {
        **{stretch: len(asked) for stretch, asked in view.asked.items()},
        "cause": causes,
        "loop": sum(loop.rows for loop in view.loops),
    }
    starts, ends = {}, []
    for stretches in (FLOATS, HASHES, CODES):
        end = 0
        for stretch in stretches:
            starts[stretch] = end
            end += widths[stretch]
        ends.append(end)
    floats, hashes, codes = ends
    return starts, (floats, hashes, codes)


def _places(results: Sequence[Column | None], at: Callable[[Column], int], behind: int) -> I64:
    """Return where results stand; those of others one by one behind all columns."""
    others = iter(range(behind, behind + len(results)))
    return np.array([next(others) if result is None else at(result) for result in results], np.int64)
