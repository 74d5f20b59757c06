"""What a batch of activity logs says in numbers: one pass, shared by the smart signals and the model's features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32, Activity, Bool
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
_LARGEST = 1e9


@dataclass(frozen=True, slots=True)
class ActivityStatistics:
    """``table`` is float32[len(STATISTICS), n]: one contiguous row a statistic."""

    table: F32

    def column(self, name: str) -> F32:
        """Return one statistic of every event, float32[n]."""
        column: F32 = self.table[_POSITION[name]]
        return column


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
    counts = np.bincount(cell, minlength=rows * width).reshape(width, rows)
    totals = np.bincount(cell, weights=value, minlength=rows * width).reshape(width, rows)
    out = np.zeros((len(STATISTICS), rows), np.float32)
    lengths = np.diff(activity.offsets)
    out[0] = lengths
    if rows:
        out[1 : 1 + len(_CLASSES)] = np.add.reduceat(counts[:-1], firsts, axis=0)
    _put_totals(out, counts, totals, names)
    _put_duration(out, lengths, time)
    _put_keys(
        out,
        np.flatnonzero(dense == names["key_interval"]),
        row,
        value,
        counts[names["key_interval"]],
        totals[names["key_interval"]],
    )
    for name, source in (("pasted_card", "pasted"), ("set_by_script_card", "value_set_by_script")):
        chosen = np.flatnonzero(dense == names[source])
        chosen = chosen[_card_targets()[target[chosen]]]
        out[_POSITION[name]] = np.bincount(row[chosen], minlength=rows)
    return ActivityStatistics(out)


def _tame(value: F32) -> NDArray[np.float64]:
    """Return values from 0 to 1e9 as float64; fmax gives 0 for NaN."""
    tamed = np.fmax(value, np.float32(0.0))
    return np.minimum(tamed, np.float32(_LARGEST), out=tamed).astype(np.float64)


def _put_totals(out: F32, counts: NDArray[Any], totals: NDArray[Any], names: dict[str, int]) -> None:
    """Fill what is a count or a sum over one code."""
    for name, code in (
        ("keys", "key_interval"),
        ("clicks", "clicked"),
        ("scrolls", "scrolled"),
        ("focused", "field_focused"),
        ("pasted", "pasted"),
        ("autofilled", "autofilled"),
        ("clicks_without_trail", "click_without_trail"),
        ("set_by_script", "value_set_by_script"),
        ("declined", "payment_declined"),
        ("tab_left", "tab_left"),
        ("close_attempted", "close_attempted"),
        ("devtools_opened", "devtools_opened"),
        ("form_steps", "form_step"),
        ("api_failed", "api_failed"),
    ):
        out[_POSITION[name]] = counts[names[code]]
    for name, code in (
        ("pointer_travel", "pointer_summary"),
        ("touches", "touch_summary"),
        ("time_away", "tab_returned"),
    ):
        out[_POSITION[name]] = totals[names[code]]
    # An entry stands for at least one untrusted event, even where its value is missing.
    untrusted = names["untrusted_event"]
    out[_POSITION["untrusted"]] = np.maximum(totals[untrusted], counts[untrusted])
    for name, code in (("click_hold_mean", "clicked"), ("submitted_after", "submitted")):
        out[_POSITION[name]] = _mean(totals[names[code]], counts[names[code]])


def _mean(total: NDArray[Any], count: NDArray[Any]) -> NDArray[np.float64]:
    return np.divide(total, count, out=np.full(len(count), np.nan), where=count > 0)


def _put_duration(out: F32, lengths: NDArray[np.int64], time: NDArray[np.uint32]) -> None:
    filled = np.flatnonzero(lengths)
    if filled.size:
        starts = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths[filled])[:-1]))
        spans = np.maximum.reduceat(time, starts) - np.minimum.reduceat(time, starts)
        out[_POSITION["duration"], filled] = spans


def _put_keys(
    out: F32,
    chosen: NDArray[np.intp],
    row: NDArray[np.int64],
    value: NDArray[np.float64],
    count: NDArray[Any],
    total: NDArray[Any],
) -> None:
    rows = len(count)
    at, interval = row[chosen], value[chosen]
    mean = _mean(total, count)
    squares = _mean(np.bincount(at, weights=interval * interval, minlength=rows), count)
    least = np.full(rows, np.nan)
    if at.size:
        starts = np.flatnonzero(np.concatenate((np.ones(1, np.bool_), at[1:] != at[:-1])))
        least[at[starts]] = np.minimum.reduceat(interval, starts)
    out[_POSITION["key_interval_mean"]] = mean
    out[_POSITION["key_interval_deviation"]] = np.sqrt(np.maximum(squares - mean * mean, 0.0))
    out[_POSITION["key_interval_least"]] = least
