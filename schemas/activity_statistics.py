"""What a batch of activity logs says in numbers: one pass, shared by the smart signals and the model's features.

Statistics are made in two steps. Accumulators (counts, sums, a least and a most) say what some entries hold and can be
merged: so those of a session run along with it. Statistics follow from accumulators.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32, U8, U32, Activity, Bool
from schemas.log_codes import load_log_codes

STATISTICS = (
    "entries",
    "lifecycle",
    "progress",
    "attention",
    "input",
    "errors",
    "duration",  # ms from the first entry to the last
    "keys",
    "key_interval_mean",  # ms, NaN without keys, as the two below
    "key_interval_deviation",
    "key_interval_least",
    "pointer_travel",  # CSS px
    "touches",
    "clicks",
    "click_hold_mean",  # ms between down and up, NaN without clicks
    "scrolls",
    "focused",
    "pasted",
    "pasted_card",
    "autofilled",
    "untrusted",
    "clicks_without_trail",
    "set_by_script",
    "set_by_script_card",
    "declined",
    "tab_left",
    "time_away",  # ms
    "close_attempted",
    "devtools_opened",
    "submitted_after",  # ms since the page opened, NaN where not submitted
    "form_steps",
    "api_failed",
)
_POSITION = {name: index for index, name in enumerate(STATISTICS)}
_CLASSES = ("lifecycle", "progress", "attention", "input", "errors")
_CARD_TARGETS = ("card_number", "card_expiry", "card_cvv", "cardholder_name")
LARGEST: Final = 1e9
"""A value that is not finite, or negative, counts as 0, and a larger one as this."""

_COUNTED = {  # how many entries of a code
    "keys": "key_interval",
    "clicks": "clicked",
    "scrolls": "scrolled",
    "focused": "field_focused",
    "pasted": "pasted",
    "autofilled": "autofilled",
    "untrusted": "untrusted_event",
    "clicks_without_trail": "click_without_trail",
    "set_by_script": "value_set_by_script",
    "declined": "payment_declined",
    "tab_left": "tab_left",
    "close_attempted": "close_attempted",
    "devtools_opened": "devtools_opened",
    "submissions": "submitted",
    "form_steps": "form_step",
    "api_failed": "api_failed",
}
_COUNTED_ON_CARDS = {"pasted_card": "pasted", "set_by_script_card": "value_set_by_script"}
_SUMMED = {  # the values of a code
    "key_intervals": "key_interval",
    "pointer_travel": "pointer_summary",
    "touches": "touch_summary",
    "click_holds": "clicked",
    "untrusted": "untrusted_event",
    "time_away": "tab_returned",
    "submitted_after": "submitted",
}
COUNTS: Final = ("entries", *_CLASSES, *_COUNTED, *_COUNTED_ON_CARDS, "time_least", "time_most")
SUMS: Final = (*_SUMMED, "key_interval_squares", "key_interval_least")
_COUNT = {name: index for index, name in enumerate(COUNTS)}
_SUM = {name: index for index, name in enumerate(SUMS)}
NOT_COUNTED: Final = 255
NO_TIME: Final = 0xFFFF_FFFF  # the least of no times


class CodeColumns(NamedTuple):
    """Where an entry is counted, by its code: for those who fold entries one by one. ``NOT_COUNTED``: nowhere."""

    category: U8  # [65536], column of COUNTS
    counted: U8  # [65536], column of COUNTS
    counted_on_cards: U8  # [65536], column of COUNTS
    summed: U8  # [65536], column of SUMS
    card: Bool  # [256], by target


@cache
def code_columns() -> CodeColumns:
    """Return the tables of this build."""
    codes = load_log_codes()
    category, count, on_cards, total = np.full((4, 65_536), NOT_COUNTED, np.uint8)
    for number in codes.by_code:
        place = number // 100 - 1
        if 0 <= place < len(_CLASSES):
            category[number] = _COUNT[_CLASSES[place]]
    for table, columns, names in (
        (count, _COUNT, _COUNTED),
        (on_cards, _COUNT, _COUNTED_ON_CARDS),
        (total, _SUM, _SUMMED),
    ):
        for name, code in names.items():
            table[codes.code(code)] = columns[name]
    return CodeColumns(category, count, on_cards, total, _card_targets())


@dataclass(frozen=True, slots=True)
class ActivityStatistics:
    """``table`` is float32[len(STATISTICS), n]: one contiguous row a statistic."""

    table: F32

    def column(self, name: str) -> F32:
        """Return one statistic of every event, float32[n]."""
        column: F32 = self.table[_POSITION[name]]
        return column


@dataclass(frozen=True, slots=True)
class Accumulators:
    """What some entries hold: one contiguous row an accumulator."""

    counts: U32  # [COUNTS, n]; time_least is NO_TIME and time_most 0 without entries
    sums: NDArray[np.float64]  # [SUMS, n]; key_interval_least is infinite without keys

    def merged(self, other: Accumulators) -> Accumulators:
        """Return those of the entries of both, row by row."""
        counts, sums = self.counts + other.counts, self.sums + other.sums
        least, most, shortest = _COUNT["time_least"], _COUNT["time_most"], _SUM["key_interval_least"]
        counts[least] = np.minimum(self.counts[least], other.counts[least])
        counts[most] = np.maximum(self.counts[most], other.counts[most])
        sums[shortest] = np.minimum(self.sums[shortest], other.sums[shortest])
        return Accumulators(counts, sums)

    def statistics(self) -> ActivityStatistics:
        """Return the statistics."""
        counts, sums = self.counts, self.sums
        out = np.empty((len(STATISTICS), counts.shape[1]), np.float32)
        out[_COPIED_TO_FROM_COUNTS] = counts[_COPIED_COUNTS]
        out[_COPIED_TO_FROM_SUMS] = sums[_COPIED_SUMS]
        least, most = counts[_COUNT["time_least"]], counts[_COUNT["time_most"]]
        out[_POSITION["duration"]] = np.where(least <= most, most - least, 0)
        # An entry stands for at least one untrusted event, even where its value is missing.
        out[_POSITION["untrusted"]] = np.maximum(sums[_SUM["untrusted"]], counts[_COUNT["untrusted"]])
        for name, total, count in _MEANS:
            out[_POSITION[name]] = _mean(sums[_SUM[total]], counts[_COUNT[count]])
        keys = counts[_COUNT["keys"]]
        mean = _mean(sums[_SUM["key_intervals"]], keys)
        squares = _mean(sums[_SUM["key_interval_squares"]], keys)
        out[_POSITION["key_interval_deviation"]] = np.sqrt(np.maximum(squares - mean * mean, 0.0))
        out[_POSITION["key_interval_least"]] = np.where(keys > 0, sums[_SUM["key_interval_least"]], np.nan)
        return ActivityStatistics(out)


_MEANS = (
    ("key_interval_mean", "key_intervals", "keys"),
    ("click_hold_mean", "click_holds", "clicks"),
    ("submitted_after", "submitted_after", "submissions"),
)
_DERIVED = {"duration", "untrusted", "key_interval_deviation", "key_interval_least", *(name for name, _, _ in _MEANS)}
_COPIED = [name for name in STATISTICS if name not in _DERIVED]
_COPIED_TO_FROM_COUNTS = [_POSITION[name] for name in _COPIED if name in _COUNT]
_COPIED_COUNTS = [_COUNT[name] for name in _COPIED if name in _COUNT]
_COPIED_TO_FROM_SUMS = [_POSITION[name] for name in _COPIED if name not in _COUNT]
_COPIED_SUMS = [_SUM[name] for name in _COPIED if name not in _COUNT]


@cache
def _dense() -> tuple[NDArray[np.uint8], dict[str, int], NDArray[np.int64]]:
    """Return code -> dense index uint8[65536], name -> dense index, and the first dense index of each class."""
    codes = load_log_codes()
    numbers = sorted(codes.by_code)
    table = np.full(65_536, len(numbers), np.uint8)
    table[numbers] = np.arange(len(numbers))
    names = {codes.by_code[number].name: index for index, number in enumerate(numbers)}
    firsts = np.searchsorted(numbers, [100 * each for each in range(1, len(_CLASSES) + 1)])
    return table, names, firsts


@cache
def _card_targets() -> Bool:
    table = np.zeros(256, np.bool_)
    table[[load_log_codes().targets[name] for name in _CARD_TARGETS]] = True
    return table


def activity_statistics(activity: Activity) -> ActivityStatistics:
    """Count a batch of logs. A value that is not finite, or negative, counts as 0; unknown codes only as entries."""
    return accumulate(activity).statistics()


def accumulate(activity: Activity) -> Accumulators:
    """Return the accumulators of every log of a batch."""
    rows = len(activity)
    span = slice(int(activity.offsets[0]), int(activity.offsets[-1]))
    code, target, time = activity.code[span], activity.target[span], activity.time[span]
    value = _tame(activity.value[span])
    row = activity.rows()
    table, names, firsts = _dense()
    width = len(names) + 1
    dense = table.take(code, mode="clip")
    cell = dense * np.int64(rows)
    cell += row
    by_code = np.bincount(cell, minlength=rows * width).reshape(width, rows)
    totals = np.bincount(cell, weights=value, minlength=rows * width).reshape(width, rows)
    counts = np.zeros((len(COUNTS), rows), np.uint32)
    sums = np.zeros((len(SUMS), rows))
    lengths = np.diff(activity.offsets)
    counts[0] = lengths
    if rows:
        counts[1 : 1 + len(_CLASSES)] = np.add.reduceat(by_code[:-1], firsts, axis=0)
    counts[_COUNT["keys"] : _COUNT["keys"] + len(_COUNTED)] = by_code[[names[code] for code in _COUNTED.values()]]
    sums[: len(_SUMMED)] = totals[[names[code] for code in _SUMMED.values()]]
    for name, source in _COUNTED_ON_CARDS.items():
        chosen = np.flatnonzero(dense == names[source])
        chosen = chosen[_card_targets()[target[chosen]]]
        counts[_COUNT[name]] = np.bincount(row[chosen], minlength=rows)
    _put_times(counts, lengths, time)
    _put_keys(sums, np.flatnonzero(dense == names["key_interval"]), row, value)
    return Accumulators(counts, sums)


def _tame(value: F32) -> NDArray[np.float64]:
    """Return values from 0 to LARGEST as float64; fmax gives 0 for NaN."""
    tamed = np.fmax(value, np.float32(0.0))
    return np.minimum(tamed, np.float32(LARGEST), out=tamed).astype(np.float64)


def _mean(total: NDArray[Any], count: NDArray[Any]) -> NDArray[np.float64]:
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _put_times(counts: U32, lengths: NDArray[np.int64], time: NDArray[np.uint32]) -> None:
    counts[_COUNT["time_least"]] = NO_TIME
    filled = np.flatnonzero(lengths)
    if filled.size:
        starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths[filled])[:-1]))
        counts[_COUNT["time_least"], filled] = np.minimum.reduceat(time, starts)
        counts[_COUNT["time_most"], filled] = np.maximum.reduceat(time, starts)


def _put_keys(
    sums: NDArray[np.float64], chosen: NDArray[np.intp], row: NDArray[np.int64], value: NDArray[np.float64]
) -> None:
    at, interval = row[chosen], value[chosen]
    sums[_SUM["key_interval_squares"]] = np.bincount(at, weights=interval * interval, minlength=sums.shape[1])
    least = sums[_SUM["key_interval_least"]]
    least[:] = np.inf
    if at.size:
        starts = np.flatnonzero(np.concatenate((np.ones(1, np.bool_), at[1:] != at[:-1])))
        least[at[starts]] = np.minimum.reduceat(interval, starts)
