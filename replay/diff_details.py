"""Which factors, smart signals, rules and counts of the same events differ between two sides, one by one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray

from replay.diff_rows import COUNTS, SHARED_COUNTS, VELOCITY_COUNTS, Details
from schemas.columns import F32

_SHOWN = 200  # names of a table, those with the most changes first
_ABSENT = -2  # the result of a signal that the build does not have; -1 could not be computed
_MOST_TEXTS = 65_536
Ints = NDArray[np.int64]
Json = dict[str, Any]


class _Table:
    """Counts by name, an array that grows with the names."""

    def __init__(self, *columns: str) -> None:
        self.columns = columns
        self._numbers: dict[bytes, int] = {}
        self._counts: Ints = np.zeros((0, len(columns)), np.int64)

    def number(self, name: bytes) -> int:
        """Return the number of a name."""
        return self._numbers.setdefault(name, len(self._numbers))

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, column: str, counts: NDArray[Any]) -> None:
        """Add counts by number of a name; of names that came later there are none."""
        if len(self._counts) < len(self):
            more = np.zeros((len(self) - len(self._counts), len(self.columns)), np.int64)
            self._counts = np.concatenate((self._counts, more))
        self._counts[: len(counts), self.columns.index(column)] += counts.astype(np.int64)

    def rows(self, what: str, *, every: bool = False) -> list[Json]:
        """Return the names with their counts, most first; those without any only where every one is asked for."""
        found = [
            {what: name.decode("utf-8", "replace"), **dict(zip(self.columns, counts, strict=True))}
            for name, counts in zip(self._numbers, self._counts.tolist(), strict=False)
            if every or any(counts)
        ]
        return sorted(found, key=lambda row: (-sum(row[name] for name in self.columns), row[what]))[:_SHOWN]


class _Lists:
    """Texts of joined names as numbers of a table; a text is split once."""

    def __init__(self, table: _Table) -> None:
        self._table = table
        self._split: dict[bytes, NDArray[np.intp]] = {}

    def flat(self, texts: Sequence[bytes]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the row and the number of every name of n texts."""
        if len(self._split) > _MOST_TEXTS:
            self._split.clear()
        parts = [self._read(text) for text in texts]
        rows = np.repeat(np.arange(len(texts)), [len(part) for part in parts])
        return rows, np.concatenate(parts)

    def _read(self, text: bytes) -> NDArray[np.intp]:
        found = self._split.get(text)
        if found is None:
            names = text.split(b",") if text else []
            found = self._split[text] = np.array([self._table.number(name) for name in names], np.intp)
        return found


class DetailChanges:
    """What changed in the details of paired rows, bucket by bucket. Changes are A's against B's."""

    def __init__(self) -> None:
        self._factors = _Table("came", "went", "rose", "fell", "became_top", "ceased_top")
        self._rules = _Table("came", "went")
        self._signals = _Table("became_true", "became_false", "became_known", "became_unknown", "confidence")
        self._factor_lists, self._rule_lists = _Lists(self._factors), _Lists(self._rules)
        self._signal_lists = _Lists(self._signals)
        self._largest: list[float] = []  # change of a signal's confidence, by its number
        self._counts: Ints = np.zeros((len(COUNTS), 2), np.int64)  # higher, lower
        self.events = {"factors": 0, "top_factor": 0, "smart": 0, "rules": 0, "velocity": 0, "shared": 0}

    def add(self, a: Details, b: Details) -> None:
        """Take paired rows."""
        if not len(a):
            return
        self._add_factors(a, b)
        self._add_rules(a, b)
        self._add_signals(a, b)
        self._add_counts(a, b)

    def _add_factors(self, a: Details, b: Details) -> None:
        (rows_a, codes_a), (rows_b, codes_b) = (self._factor_lists.flat(side.factors) for side in (a, b))
        shape = len(a), len(self._factors)
        is_a, adds_a = _placed(shape, rows_a, codes_a, a.contributions)
        is_b, adds_b = _placed(shape, rows_b, codes_b, b.contributions)
        both = is_a & is_b
        found = {"came": is_a & ~is_b, "went": is_b & ~is_a, "rose": both & (adds_a > adds_b),
                 "fell": both & (adds_a < adds_b)}  # fmt: skip
        for name, which in found.items():
            self._factors.add(name, which.sum(axis=0))
        self.events["factors"] += int(np.any(list(found.values()), axis=(0, 2)).sum())
        top_a, top_b = (_firsts(len(a), *flat) for flat in ((rows_a, codes_a), (rows_b, codes_b)))
        other = top_a != top_b
        for name, top in (("became_top", top_a), ("ceased_top", top_b)):
            self._factors.add(name, np.bincount(top[other & (top >= 0)], minlength=shape[1]))
        self.events["top_factor"] += int(other.sum())

    def _add_rules(self, a: Details, b: Details) -> None:
        flat_a, flat_b = (self._rule_lists.flat(side.rules) for side in (a, b))
        is_a, is_b = (np.zeros((len(a), len(self._rules)), np.bool_) for _ in range(2))
        is_a[flat_a], is_b[flat_b] = True, True
        self._rules.add("came", (is_a & ~is_b).sum(axis=0))
        self._rules.add("went", (is_b & ~is_a).sum(axis=0))
        self.events["rules"] += int((is_a != is_b).any(axis=1).sum())

    def _add_signals(self, a: Details, b: Details) -> None:
        flat_a, flat_b = (self._signal_lists.flat(side.smart_names) for side in (a, b))
        shape = len(a), len(self._signals)
        now, was = (
            _signals(shape, flat, side.smart_results, np.dtype("i1"), _ABSENT)
            for flat, side in ((flat_a, a), (flat_b, b))
        )
        sure_a, sure_b = (
            _signals(shape, flat, side.smart_confidences, np.dtype("<f4"), np.nan)
            for flat, side in ((flat_a, a), (flat_b, b))
        )
        found = {
            "became_true": (now == 1) & (was == 0),
            "became_false": (now == 0) & (was == 1),
            "became_known": (now >= 0) & (was < 0),
            "became_unknown": (now < 0) & (was >= 0),
            "confidence": (sure_a != sure_b) & ~(np.isnan(sure_a) & np.isnan(sure_b)),
        }
        for name, which in found.items():
            self._signals.add(name, which.sum(axis=0))
        self.events["smart"] += int(np.any(list(found.values()), axis=(0, 2)).sum())
        moved = np.nan_to_num(np.abs(sure_a - sure_b)).max(axis=0, initial=0)
        self._largest = [max(pair) for pair in zip_longest(self._largest, moved.tolist(), fillvalue=0.0)]

    def _add_counts(self, a: Details, b: Details) -> None:
        higher, lower = a.counts > b.counts, a.counts < b.counts
        self._counts[:, 0] += higher.sum(axis=0)
        self._counts[:, 1] += lower.sum(axis=0)
        other, own = higher | lower, len(VELOCITY_COUNTS)
        self.events["velocity"] += int(other[:, :own].any(axis=1).sum())
        self.events["shared"] += int(other[:, -len(SHARED_COUNTS) :].any(axis=1).sum())

    def as_json(self) -> Json:
        """Return what changed, by name."""
        signals = self._signals.rows("signal")
        for row in signals:
            row["largest_confidence_change"] = round(self._largest[self._signals.number(row["signal"].encode())], 6)
        return {
            "factors": {"events": self.events["factors"], "top_events": self.events["top_factor"],
                        "codes": self._factors.rows("code")},
            "smart": {"events": self.events["smart"], "signals": signals},
            "rules": {"events": self.events["rules"], "rules": self._rules.rows("rule")},
            "counts": {"velocity_events": self.events["velocity"], "shared_events": self.events["shared"],
                       "counts": _counts(self._counts)},
        }  # fmt: skip


def _counts(changes: Ints) -> list[Json]:
    rows = [
        {"count": name, "changed": higher + lower, "higher": higher, "lower": lower}
        for name, (higher, lower) in zip(COUNTS, changes.tolist(), strict=True)
        if higher + lower
    ]
    return sorted(rows, key=lambda row: (-row["changed"], row["count"]))


def _placed(
    shape: tuple[int, int], rows: NDArray[np.intp], codes: NDArray[np.intp], adds: Sequence[bytes]
) -> tuple[NDArray[np.bool_], F32]:
    """Return which codes each row has, bool[n, C], and what they add, float32[n, C]."""
    is_there, added = np.zeros(shape, np.bool_), np.zeros(shape, np.float32)
    is_there[rows, codes] = True
    values = np.frombuffer(b"".join(adds), "<f4")
    if len(values) == len(rows):  # a build of old may have kept none
        added[rows, codes] = values
    return is_there, added


def _firsts(count: int, rows: NDArray[np.intp], codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the first code of each row, -1 where it has none."""
    found = np.full(count, -1, np.intp)
    found[rows[::-1]] = codes[::-1]
    return found


def _signals(
    shape: tuple[int, int],
    flat: tuple[NDArray[np.intp], NDArray[np.intp]],
    values: Sequence[bytes],
    kind: np.dtype[Any],
    absent: float,
) -> NDArray[np.float64]:
    """Return the values of each row's signals by number, [n, S]; ``absent`` where a row has no such signal."""
    found = np.full(shape, absent, np.float64)
    read = np.frombuffer(b"".join(values), kind)
    if len(read) == len(flat[0]):
        found[flat] = read
    return found
