"""Signals and logs of many events as columns: what ``schemas.nested.columns_of`` gives, without its checks, faster."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from infra.traffic.profile import Signals as Values
from infra.traffic.visits import Planned
from schemas.batches import Activity, Signals
from schemas.catalogue import Kind, category_hash, load_catalogue
from schemas.nested import pack_texts

_CATALOGUE = load_catalogue()
_PLACES: dict[str, tuple[Kind, int]] = {s.name: (s.kind, s.position) for s in _CATALOGUE.by_name.values()}
_NUMBERS, _BOOLEANS, _CATEGORIES, _TEXTS = _CATALOGUE.counts()
_NAN = float("nan")
_UNKNOWN = 2  # beside 0 and 1


_Cells = tuple[list[float], list[int], list[int], list[bytes | None]]


def _put(cells: _Cells, name: str, value: Any) -> None:
    kind, at = _PLACES[name]
    if kind == "number":
        cells[0][at] = _NAN if value is None else value
    elif kind == "boolean":
        cells[1][at] = _UNKNOWN if value is None else value
    elif kind == "category":
        cells[2][at] = 0 if value is None else category_hash(value)
    else:
        cells[3][at] = None if value is None else str(value).encode()


class _Layouts:
    """The cells of browsers seen lately: the events of a visit share their browser's signals, laid out once."""

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._known: dict[int, tuple[Values, _Cells]] = {}  # the signals are held, so their id stays theirs

    def row(self, event: Planned) -> _Cells:
        known = self._known.get(id(event.signals))
        base = self._lay_out(event.signals) if known is None else known[1]
        cells: _Cells = (base[0][:], base[1][:], base[2][:], base[3][:])
        for name, value in event.changes.items():
            _put(cells, name, value)
        return cells

    def _lay_out(self, signals: Values) -> _Cells:
        cells: _Cells = ([_NAN] * _NUMBERS, [_UNKNOWN] * _BOOLEANS, [0] * _CATEGORIES, [None] * _TEXTS)
        for name, value in signals.items():
            _put(cells, name, value)
        if len(self._known) >= self._kept:
            del self._known[next(iter(self._known))]
        self._known[id(signals)] = (signals, cells)
        return cells


_LAYOUTS = _Layouts(2_048)


def columns(events: Sequence[Planned]) -> tuple[Signals, Activity]:
    """Return the columns of events; KeyError for a signal that the catalogue does not have."""
    rows = [_LAYOUTS.row(event) for event in events]
    count = len(events)
    booleans = np.array([row[1] for row in rows], np.uint8).reshape(count, _BOOLEANS)
    with np.errstate(over="ignore"):
        numbers = np.array([row[0] for row in rows], np.float64).reshape(count, _NUMBERS).astype(np.float32)
    signals = Signals(
        np.full(count, _CATALOGUE.version, np.uint16),
        numbers,
        booleans != _UNKNOWN,
        booleans == 1,
        np.array([row[2] for row in rows], np.uint32).reshape(count, _CATEGORIES),
        pack_texts([row[3] for row in rows], _TEXTS),
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
