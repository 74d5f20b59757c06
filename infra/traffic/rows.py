"""Signals and logs of many events as columns: what ``schemas.nested.columns_of`` gives, without its checks, faster."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from infra.traffic.signals import Signals as Values
from infra.traffic.visits import Planned
from schemas.batches import Activity, Signals
from schemas.catalogue import Kind, category_hash, load_catalogue
from schemas.nested import pack_texts

_CATALOGUE = load_catalogue()
_PLACES: dict[str, tuple[Kind, int]] = {s.name: (s.kind, s.position) for s in _CATALOGUE.by_name.values()}
_NUMBERS, _BOOLEANS, _CATEGORIES, _TEXTS = _CATALOGUE.counts()
_NAN = float("nan")
_UNKNOWN = 2  # beside 0 and 1
_CATEGORY, _TEXT = 2, 3


_WHERE = {name: (("number", "boolean", "category", "text").index(kind), at) for name, (kind, at) in _PLACES.items()}
_EMPTY = (_NAN, _UNKNOWN, 0, None)


class _Cells(NamedTuple):
    """One browser's signals, laid out: float64[N], uint8[B] of 0, 1 or unknown, uint32[C], and texts."""

    numbers: NDArray[np.float64]
    booleans: NDArray[np.uint8]
    categories: NDArray[np.uint32]
    texts: list[bytes | None]


# The lists of extensions are long, and the same of many browsers.
_hash = lru_cache(65_536)(category_hash)


def _cell(kind: int, value: Any) -> Any:
    """Return what stands in a column of a kind for a value."""
    if value is None:
        return _EMPTY[kind]
    if kind == _CATEGORY:
        return value if isinstance(value, int) else _hash(value)  # of what was recorded, the hash is all there is
    return str(value).encode() if kind == _TEXT else value


class _Places(NamedTuple):
    """Where the values of one kind stand: among the signals, and in the columns."""

    among: tuple[int, ...]
    at: NDArray[np.intp]


@lru_cache(4096)
def _plan(names: tuple[str, ...]) -> tuple[_Places, ...]:
    """Return the places of numbers, booleans, categories and texts; most browsers show the same names in one order."""
    where = [_WHERE[name] for name in names]
    rows = [[(among, at) for among, (kind, at) in enumerate(where) if kind == wanted] for wanted in range(4)]
    return tuple(_Places(tuple(among for among, _ in row), np.array([at for _, at in row], np.intp)) for row in rows)


def _picked(places: _Places, values: tuple[Any, ...]) -> list[Any]:
    return [values[among] for among in places.among]


class _Layouts:
    """The cells of browsers seen lately: the events of a visit share their browser's signals, laid out once."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._known: dict[int, tuple[Values, _Cells]] = {}  # the signals are held, so their id stays theirs

    def cells(self, signals: Values) -> _Cells:
        known = self._known.get(id(signals))
        return self._lay_out(signals) if known is None else known[1]

    def _lay_out(self, signals: Values) -> _Cells:
        plan, values = _plan(tuple(signals)), tuple(signals.values())
        cells = _Cells(
            np.full(_NUMBERS, _NAN), np.full(_BOOLEANS, _UNKNOWN, np.uint8), np.zeros(_CATEGORIES, np.uint32),
            [None] * _TEXTS,
        )  # fmt: skip
        numbers, booleans, categories, texts = (_picked(places, values) for places in plan)
        cells.numbers[plan[0].at] = np.array(numbers, np.float64)  # None becomes NaN
        cells.booleans[plan[1].at] = [_UNKNOWN if value is None else value for value in booleans]
        cells.categories[plan[2].at] = [_cell(_CATEGORY, value) for value in categories]
        for at, value in zip(plan[3].at.tolist(), texts, strict=True):
            cells.texts[at] = None if value is None else str(value).encode()
        if len(self._known) >= self._kept:
            del self._known[next(iter(self._known))]
        self._known[id(signals)] = (signals, cells)
        return cells


_LAYOUTS = _Layouts(2_048)


def columns(events: Sequence[Planned]) -> tuple[Signals, Activity]:
    """Return the columns of events; KeyError for a signal that the catalogue does not have."""
    rows = [_LAYOUTS.cells(event.signals) for event in events]
    count = len(events)
    numbers = np.empty((count, _NUMBERS), np.float64)
    booleans = np.empty((count, _BOOLEANS), np.uint8)
    categories = np.empty((count, _CATEGORIES), np.uint32)
    texts = []
    for at, row in enumerate(rows):
        numbers[at], booleans[at], categories[at] = row[:3]
        texts.append(row.texts[:])
    table = (numbers, booleans, categories)
    for at, event in enumerate(events):
        for name, value in event.changes.items():
            kind, column = _WHERE[name]
            if kind == _TEXT:
                texts[at][column] = _cell(kind, value)
            else:
                table[kind][at, column] = _cell(kind, value)
    with np.errstate(over="ignore"):
        narrow = numbers.astype(np.float32)
    signals = Signals(
        np.full(count, _CATALOGUE.version, np.uint16),
        narrow,
        booleans != _UNKNOWN,
        booleans == 1,
        categories,
        pack_texts(texts, _TEXTS),
    )
    return signals, _activity(events)


def _activity(events: Sequence[Planned]) -> Activity:
    sizes = np.fromiter((len(event.log) for event in events), np.int64, len(events))
    cells = chain.from_iterable(chain.from_iterable(event.log for event in events))
    flat = np.fromiter(cells, np.float64, 4 * int(sizes.sum())).reshape(-1, 4)
    return Activity(
        np.concatenate((np.zeros(1, np.int64), np.cumsum(sizes))),
        flat[:, 0].astype(np.uint32),
        flat[:, 2].astype(np.float32),
        flat[:, 1].astype(np.uint16),
        flat[:, 3].astype(np.uint8),
    )
