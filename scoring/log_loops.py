"""The loop that tells what activity logs hold, compiled: entries are folded row by row, and statistics follow at once.

Amounts are almost always whole numbers (milliseconds, pixels, counts), whose sums are the same in any order. So entries
go into lanes, side by side, in turn: one that is added where the one before it was added would wait for it. A row with
another amount is folded entry by entry, and so are key intervals' squares in every row.

Numba keeps what it compiled as ``scoring.compiled`` says; all that the loop is compiled with stands in this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
_NAN, _NOUGHT = np.float32(np.nan), np.float32(0)
_BLOCK = 64  # entries whose amounts are made whole together
_LANES, _LANE_BITS, _LANE = 4, np.uintp(2), np.uintp(3)
_COUNT_BITS = np.uint64(48)  # of a word: from here on how many entries, below the sum of their amounts
_ONE, _SUM = np.uint64(1 << 48), np.uint64((1 << 48) - 1)
_MOST_ENTRIES = 1 << 16  # an amount is below 2^30, so the sum of a row stays below 2^48
_NO_TIME = np.uint32(0xFFFFFFFF)


class Kinds(NamedTuple):
    """Where an entry is counted, by its kind: the codes that are counted alike are one, those of no use the last.

    Columns of COUNTS and SUMS; ``nowhere`` stands for none.
    """

    kind: Any  # uint8[65536], by code
    category: Any  # uint8[kinds], column of COUNTS, as the next
    counted: Any
    summed: Any  # uint8[kinds], column of SUMS
    on_cards: Any  # int64[k, 3]: a code, its column of COUNTS, and the column for entries on a card's fields
    card: Any  # bool[256], by target
    places: (
        Any  # nowhere, the least and most time (of COUNTS), squares and least of key intervals (of SUMS), their code
    )


def _part(function: F) -> F:
    """Make a function a part of the kernel that calls it."""
    return cast(F, numba.njit(error_model="numpy", inline="always")(function))


@_part
def _amount(shown: Any, largest: Any) -> Any:
    """Return a value within 0 and the largest; NaN counts as 0."""
    tamed = shown if shown > _NOUGHT else _NOUGHT
    return tamed if tamed < largest else largest


@_part
def _fold(log: Any, largest: Any, kinds: Any, counts: Any, sums: Any, exact: Any) -> None:
    """Accumulate rows in lanes, into zeros, and say of which that is right: their summed amounts are whole numbers.

    One body: arrays that are handed to a part are counted, and that would be done for every block.
    """
    offsets, time, value, code, _ = log
    kind, category, counted, summed, _, _, (nowhere, least, most, squares, shortest, key) = kinds
    amounts, intervals = np.empty(_BLOCK, np.int32), np.empty(_BLOCK, np.float32)
    seen = np.zeros(len(category) * _LANES, np.uint64)  # lanes of a kind lie together
    for row in range(len(offsets) - 1):
        first, count = np.uintp(offsets[row]), offsets[row + 1] - offsets[row]
        earliest, latest, whole = _NO_TIME, np.uint32(0), count < _MOST_ENTRIES
        square, quickest = 0.0, np.float32(np.inf)
        for done in range(0, count, _BLOCK):
            start, some, broken = first + np.uintp(done), min(_BLOCK, count - done), np.int32(0)
            for at in range(some):
                amount = _amount(value[start + np.uintp(at)], largest)
                amounts[at] = np.int32(amount)
                broken = np.int32(broken | np.int32(np.float32(amounts[at]) != amount))
            for at in range(some):
                shown = time[start + np.uintp(at)]
                earliest = shown if shown < earliest else earliest
                latest = shown if shown > latest else latest
            for at in range(some):
                word = (np.uintp(kind[code[start + np.uintp(at)]]) << _LANE_BITS) + (np.uintp(at) & _LANE)
                seen[word] += _ONE | np.uint64(np.uint32(amounts[at]))
            found = np.uintp(0)
            for at in range(some):
                intervals[found] = value[start + np.uintp(at)]
                found += np.uintp(code[start + np.uintp(at)] == key)
            for at in range(found):
                interval = _amount(intervals[at], largest)
                square += np.float64(interval) * np.float64(interval)
                quickest = interval if interval < quickest else quickest
            for at in range(some if broken else 0):
                entry = start + np.uintp(at)
                if summed[kind[code[entry]]] != nowhere:
                    whole &= np.float32(amounts[at]) == _amount(value[entry], largest)
        for which in range(len(category)):
            held, place = np.uint64(0), np.uintp(which) << _LANE_BITS
            for lane in range(_LANES):
                held += seen[place + np.uintp(lane)]
                seen[place + np.uintp(lane)] = 0
            if held:
                many = np.uint32(held >> _COUNT_BITS)
                counts[row, category[which]] += many
                counts[row, counted[which]] += many
                sums[row, summed[which]] += np.float64(np.int64(held & _SUM))
        counts[row, 0], counts[row, least], counts[row, most] = count, earliest, latest
        sums[row, squares], sums[row, shortest] = square, quickest
        exact[row] = whole


@_part
def _fold_plainly(log: Any, largest: Any, kinds: Any, counts: Any, sums: Any, exact: Any) -> None:
    """Accumulate again, entry by entry, the rows of which lanes are not exact."""
    offsets, _, value, code, _ = log
    kind, category, counted, summed = kinds[:4]
    for row in range(len(exact)):
        if exact[row]:
            continue
        for which in range(len(category)):
            counts[row, category[which]] = counts[row, counted[which]] = 0
            sums[row, summed[which]] = 0
        for entry in range(np.uintp(offsets[row]), np.uintp(offsets[row + 1])):
            which = kind[code[entry]]
            counts[row, category[which]] += np.uint32(1)
            counts[row, counted[which]] += np.uint32(1)
            sums[row, summed[which]] += np.float64(_amount(value[entry], largest))


@_part
def _count_cards(log: Any, kinds: Any, counts: Any) -> None:
    """Count the entries that are on a card's fields."""
    offsets, _, _, code, target = log
    on_cards, card = kinds[4:6]
    for at in range(len(on_cards)):
        wanted, every, found = np.uint16(on_cards[at, 0]), on_cards[at, 1], on_cards[at, 2]
        for row in range(len(counts)):
            count = offsets[row + 1] - offsets[row] if counts[row, every] else 0
            for done in range(0, count, _BLOCK):
                start, some, here = np.uintp(offsets[row] + done), min(_BLOCK, count - done), np.uint16(0)
                for entry in range(some):
                    here = np.uint16(here | np.uint16(code[start + np.uintp(entry)] == wanted))
                for entry in range(some if here else 0):  # few blocks have one
                    if code[start + np.uintp(entry)] == wanted and card[target[start + np.uintp(entry)]]:
                        counts[row, found] += np.uint32(1)


@_part
def _tell(counts: Any, sums: Any, wanted: Any, table: Any, column: Any) -> None:
    """Write the statistics, as ``schemas.activity_statistics.Accumulators.statistics`` says."""
    from_counts, from_sums, means, (duration, least, most), (untrusted, sent, said), of_keys = wanted
    deviation, quickest, keys, intervals, squares, shortest = of_keys
    for row in range(len(counts)):
        for at in range(len(from_counts)):
            table[row, column + from_counts[at, 0]] = counts[row, from_counts[at, 1]]
        for at in range(len(from_sums)):
            table[row, column + from_sums[at, 0]] = sums[row, from_sums[at, 1]]
        for at in range(len(means)):
            count, mean = counts[row, means[at, 2]], _NAN
            if count:
                mean = np.float32(sums[row, means[at, 1]] / np.float64(count))
            table[row, column + means[at, 0]] = mean
        earliest, latest = np.int64(counts[row, least]), np.int64(counts[row, most])
        table[row, column + duration] = latest - earliest if earliest <= latest else 0
        table[row, column + untrusted] = max(sums[row, sent], np.float64(counts[row, said]))
        table[row, column + deviation] = table[row, column + quickest] = _NAN
        if counts[row, keys]:
            many = np.float64(counts[row, keys])
            middle, square = sums[row, intervals] / many, sums[row, squares] / many
            table[row, column + deviation] = math.sqrt(max(square - middle * middle, 0.0))
            table[row, column + quickest] = sums[row, shortest]


def _kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


@_kernel
def tell_logs(log: Any, largest: Any, kinds: Any, wanted: Any, table: Any, column: int) -> None:
    """Write the statistics of logs into float32[n, F], from a column on.

    ``log``: offsets int64[n + 1], and by entry time, value, code and target. A value above ``largest`` counts as it.
    ``kinds``: a ``Kinds``. ``wanted``: pairs of a statistic and the column of COUNTS or SUMS that it is; int64[k, 3] of
    a mean, a sum and a count; then the statistics that are none of these with the columns that they are made of.
    """
    rows, room = len(log[0]) - 1, kinds.places[0] + 1
    counts, sums, exact = np.zeros((rows, room), np.uint32), np.zeros((rows, room)), np.empty(rows, np.bool_)
    _fold(log, largest, kinds, counts, sums, exact)
    _fold_plainly(log, largest, kinds, counts, sums, exact)
    _count_cards(log, kinds, counts)
    _tell(counts, sums, wanted, table, column)
