"""Loops over replies of Redis as they came, compiled: where they end, and what the members of a range answer.

To make an object of each member and of its time takes longer than to answer sixty questions by them. Numba keeps what
it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be written, in the user's
cache folder. All that the loops are compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
SUM, MIN, MAX, AVG, LAST, COUNT, SINCE, DISTINCT, LAST_TEXT = range(9)
"""What a question asks: of numbers up to LAST, whole numbers up to DISTINCT, a text."""
ANSWERED, LACKING, OTHER_LAYOUT, NOT_READ = 0, 1, 2, -1
"""What ``answer_ranges`` says: all is answered; so it is, and something is not there; the members are of another
layout, or not alike; it cannot tell."""
_ID: Final = 16
_DIGITS: Final = 15  # of a time, at most
_PARTIALS: Final = 64  # a double's exponents take 40 of them at most
_ARRAY, _BULK, _STATUS, _ERROR, _NUMBER = 42, 36, 43, 45, 58
_MINUS, _RETURN, _ZERO, _NINE = 45, 13, 48, 57


def kernel(function: F) -> F:
    """Compile a function that Python calls."""
    return cast(F, numba.njit(cache=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it."""
    return cast(F, numba.njit(error_model="numpy")(function))


@_part
def _line(data: Any, at: int) -> tuple[int, int]:
    """Return the number from ``at`` on and where the next line begins; the place is 0 where the line is not whole."""
    size, number, sign = len(data), 0, 1
    if at < size and data[at] == _MINUS:
        sign, at = -1, at + 1
    while at < size and _ZERO <= data[at] <= _NINE:
        number = number * 10 + (data[at] - _ZERO)
        at += 1
    while at < size and data[at] != _RETURN:
        at += 1
    return (sign * number, at + 2) if at + 1 < size else (0, 0)


@kernel
def reply_ends(data: Any, first: int, ends: Any) -> int:
    """Put the ends of the whole replies from ``first`` on into ``ends`` int64[n]; return how many, at most n.

    -1 where this is not protocol 2.
    """
    at, size, found = first, len(data), 0
    while found < len(ends):
        parts = 1
        while parts:
            if at >= size:
                return found
            kind = data[at]
            if kind not in (_ARRAY, _BULK, _STATUS, _ERROR, _NUMBER):
                return -1
            number, at = _line(data, at + 1)
            if not at:
                return found
            parts -= 1
            if kind == _ARRAY:
                parts += max(number, 0)
            elif kind == _BULK and number >= 0:
                at += number + 2
                if at > size:
                    return found
        ends[found] = at
        found += 1
    return found


@_part
def _time(data: Any, at: int, length: int) -> int:
    """Return a member's time, -1 where it is not written with digits alone."""
    if not 0 < length <= _DIGITS:
        return -1
    number, first = 0, np.uintp(at)
    for place in range(length):
        sign = int(data[first + np.uintp(place)])
        if not _ZERO <= sign <= _NINE:
            return -1
        number = number * 10 + (sign - _ZERO)
    return number


@_part
def _begins(data: Any, at: int, with_this: Any) -> bool:
    first = np.uintp(at)
    for place in range(len(with_this)):  # noqa: SIM110 # Numba is quicker with a loop
        if data[first + np.uintp(place)] != with_this[np.uintp(place)]:
            return False
    return True


@_part
def _word(data: Any, at: int) -> Any:
    place, word = np.uintp(at), np.uint64(0)
    for step in range(8):
        word = word << np.uint64(8) | np.uint64(data[place + np.uintp(step)])
    return word


@_part
def _exact_sum(values: Any) -> float:
    """Return the double nearest to the exact sum, as ``math.fsum`` does (Shewchuk 1997): no value is above 1e300."""
    partials, kept = np.empty(_PARTIALS, np.float64), 0
    for value in values:
        x, some = value, 0
        for at in range(kept):
            y = partials[at]
            if abs(x) < abs(y):
                x, y = y, x
            high = x + y
            low = y - (high - x)
            if low != 0.0:
                partials[some] = low
                some += 1
            x = high
        kept = some
        if x != 0.0:
            partials[kept] = x
            kept += 1
    high, low = 0.0, 0.0
    if kept:
        kept -= 1
        high = partials[kept]
        while kept:
            kept -= 1
            x, y = high, partials[kept]
            high = x + y
            low = y - (high - x)
            if low != 0.0:
                break
        if kept and ((low < 0.0 and partials[kept - 1] < 0.0) or (low > 0.0 and partials[kept - 1] > 0.0)):
            y = low * 2.0  # half-way cases are rounded to even
            x = high + y
            if y == x - high:
                high = x
    return high


@_part
def _different(words: Any) -> int:
    """Return how many different words there are."""
    slots = 16
    while slots < 2 * len(words):
        slots *= 2
    table, count, zero = np.zeros(slots, np.uint64), 0, 0
    for word in words:
        if word == np.uint64(0):
            zero = 1
            continue
        place = np.int64((word * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & (slots - 1)
        while table[place] != np.uint64(0) and table[place] != word:
            place = (place + 1) & (slots - 1)
        if table[place] == np.uint64(0):
            table[place] = word
            count += 1
    return count + zero


@_part
def _of_numbers(asked: int, values: Any) -> float:
    """Return a function of at least one number; a sum also of none."""
    if asked == SUM:
        return _exact_sum(values)
    if asked == AVG:
        return _exact_sum(values) / len(values)
    found = values[0]
    for value in values:
        if (asked == MIN and value < found) or (asked == MAX and value > found):
            found = value
    return found


@_part
def _begins_of(times: Any, at: int, overs: Any) -> Any:
    """Return for each window which member is its first."""
    begins = np.empty(len(overs), np.int64)
    for window in range(len(overs)):
        begin, low = len(times), at - overs[window]
        while begin and times[begin - 1] > low:
            begin -= 1
        begins[window] = begin
    return begins


@_part
def _members(
    data: Any, first: int, own: Any, head: Any, rest: int, at: int, places: Any, times: Any
) -> tuple[int, int, int]:
    """Put where members up to ``at`` are, and their times; return how many, and where the newest and the reply end.

    Less than none: 0 where they are of another layout, 1 where they cannot be read.
    """
    place = _line(data, first + 1)[1]
    kept, end = 0, 0
    for _ in range(len(places)):
        length, name = _line(data, place + 1)
        score = name + length + 2
        if data[place] != _BULK or length < 0 or data[score] != _BULK:
            return -1, 1, 0
        digits, score = _line(data, score + 1)
        time = _time(data, score, digits)
        if time < 0:
            return -1, 1, 0
        place = score + digits + 2
        if time > at or (length >= _ID and len(own) and _begins(data, name, own)):
            continue  # what is later, the floor, and the event's own
        if length < rest or (len(head) == 0 and length != _ID) or not _begins(data, name + _ID, head):
            return -1, 0, 0
        places[kept], times[kept], end = name, time, name + length
        kept += 1
    return kept, end, place


@_part
def _text(data: Any, name: int, end: int, behind: int, rest: int, before: int, found: Any) -> bool:
    """Put where a text of the member that begins at ``name`` is, -1 where there is none; tell whether it is whole."""
    found[0] = -1
    if name < 0:
        return True
    after = name + rest
    for _ in range(before + 1):
        begin = after + 2
        if begin > end:
            return False
        length = int(data[after]) << 8 | int(data[after + 1])
        after = begin + length
    found[0], found[1], found[2] = name + behind, begin, length
    return after <= end


@_part
def _answered(data: Any, found: Any, rest: int, at: int, overs: Any, parts: Any, out: Any) -> int:
    """Answer questions by the members that were found, as ``answer_ranges`` does, and return what it does."""
    (places, times, end), (numbers, whole, texts) = found, out
    kept = len(times)
    said, begins = ANSWERED, _begins_of(times, at, overs)
    words = np.empty(kept + 1, np.uint64)
    for row in range(len(parts)):
        asked, behind, begin, into = parts[row, 0], parts[row, 1], begins[parts[row, 3]], parts[row, 4]
        if asked == LAST_TEXT:
            place = -1 if begin == kept else places[kept - 1]
            if not _text(data, place, end, behind, rest, parts[row, 2], texts[into]):
                return NOT_READ
            continue
        if asked == LAST:
            begin = max(begin, kept - 1)
        if asked not in (COUNT, SINCE):
            for member in range(begin, kept):
                words[member - begin] = _word(data, places[member] + behind)
        some = words[: kept - begin]
        if asked <= LAST:
            lacking = len(some) == 0 and asked != SUM
            numbers[into] = np.nan if lacking else _of_numbers(asked, some.view(np.float64))
        else:
            count = _different(some) if asked == DISTINCT else len(some)
            if asked == SINCE:
                count = at - times[kept - 1] if len(some) else -1
            lacking = count < 0
            whole[into] = count
        if lacking:
            said = LACKING
    return said


@kernel
def answer_ranges(data: Any, first: int, own: Any, layouts: Any, at: int, overs: Any, parts: Any, out: Any) -> int:
    """Answer questions by replies of ZRANGEBYSCORE with scores that follow each other; return one of the constants.

    The first begins at ``first``. Members are those up to ``at`` whose id is not ``own``. ``layouts``: what members
    have behind their ids, uint8, one reply's behind the other's, and for each reply int64[3]: where that of its
    members ends, where the rest of their texts begins, each behind its length, and where its questions end.
    ``overs`` int64[w]: how far windows reach back. ``parts`` int64[q, 5]: what is asked, where its value is in a
    member, how many texts are before it, its window, and where in ``out`` the answer goes: numbers to float64 with
    NaN, whole numbers to int64 with -1, for what is not there; and of each text int64[3] where its first bytes and its
    rest are, and how long this is.
    """
    heads, bounds = layouts
    said, head, row = ANSWERED, 0, 0
    for number in range(len(bounds)):
        pairs = max(_line(data, first + 1)[0], 0) // 2
        places, times = np.empty(pairs, np.int64), np.empty(pairs, np.int64)
        rest = bounds[number, 1]
        kept, end, first = _members(data, first, own, heads[head : bounds[number, 0]], rest, at, places, times)
        if kept < 0:
            return NOT_READ if end else OTHER_LAYOUT
        some = parts[row : bounds[number, 2]]
        told = _answered(data, (places[:kept], times[:kept], end), rest, at, overs, some, out)
        if told == NOT_READ:
            return told
        said, head, row = max(said, told), bounds[number, 0], bounds[number, 2]
    return said


def warm() -> None:
    """Compile the loops, or load them, for the types that they are given."""
    none = np.zeros(0, np.int64)
    for nothing in (b"", bytearray()):
        reply_ends(nothing, 0, none)
    out = np.zeros(0), none, np.zeros((0, 3), np.int64)
    layouts = np.zeros(0, np.uint8), np.zeros((0, 3), np.int64)
    answer_ranges(b"*0\r\n", 0, b"", layouts, 0, none, np.zeros((0, 5), np.int64), out)
