"""The loop that writes the results of a batch as JSON, compiled: columns and pieces in, one run of bytes out.

What it writes is what msgspec writes of ``schemas.result.Result``, byte for byte; a test compares them. Numba keeps
what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be written, in the
user's cache folder. All that the loop is compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])
(
    EVENT, SESSION, DEVICE, MERCHANT, TRANSACTION, OCCURRED, RECEIVED, SCORE, SIGNALS, VERSIONS, ORIGIN, OFFSET, LEDGER,
    SHARED, ENTITY_END, HISTORY, FIRST_SEEN, PREVIOUS, SCORES, SCORES_END, SESSION_EVENTS, STARTED, COMMA, NULL,
    DECIDED,
) = range(25)  # fmt: skip
"""Places of pieces of the frame; from ``DECIDED`` on those of decisions, who decided, counts, and what is shared."""
DECIMALS: Final = 10_000.0  # four
_SURE: Final = 1e15  # whole numbers below it have a shortest decimal form of their own
_ROOM: Final = 22  # of a number
_HEX: Final = 96  # of three ids


class Numbered(NamedTuple):
    """Columns of numbers, one row an event."""

    occurred_at: Any  # int64[n]
    received_at: Any
    partition: Any  # int32[n]
    offset: Any
    ledger: Any  # int64[n, M]
    velocity: Any  # uint32[n, K, W]
    shared: Any  # float32[n, E, 2, W], NaN where not known
    history: Any  # uint32[n]: events of its life
    first_seen_at: Any
    previous_at: Any  # -1 where none
    session: Any  # uint32[n]
    started_at: Any


class Rounded(NamedTuple):
    """Columns of numbers that are written with four decimals at most."""

    score: Any  # float32[n]
    contribution: Any  # float32[n, K]
    earlier: Any  # float32[n, SCORES_KEPT], NaN where fewer
    by_rules: Any  # float32[n]


class Chosen(NamedTuple):
    """Which piece stands where: numbers of pieces by row."""

    merchant: Any  # int32[n]
    version: Any
    rest: Any  # of what rules said
    degraded: Any
    decision: Any  # uint8[n]
    by: Any
    factor: Any  # int32[n, K], -1 where fewer
    signal: Any  # int32[n, S]


class Texts(NamedTuple):
    """The pieces, each as (text, bounds)."""

    frame: Any
    named: Any  # merchants, versions, rests, degraded
    marks: Any
    transaction: Any
    factor: Any
    signal: Any


def kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it. It owns nothing: to count owners takes longer than work."""
    return cast(
        F, numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)(function)
    )


def _copied(typing: Any, out: Any, at: Any, text: Any, first: Any, size: Any) -> Any:
    """Copy bytes as C does: a loop over them is not made into that, because both runs might overlap."""

    def generated(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, origin = (
            cgutils.pointer_add(builder, context.make_array(kind)(context, builder, column).data, place)
            for kind, column, place in zip(signature.args[:3:2], arguments[:3:2], arguments[1:4:2], strict=True)
        )
        cgutils.raw_memcpy(builder, to, origin, arguments[4], 1)
        return context.get_dummy_value()

    return types.void(out, at, text, first, size), generated


_copy: Any = intrinsic(_copied)


@_part
def _put(out: Any, at: Any, pieces: Any, number: Any) -> Any:
    """Copy a piece; return where the next one begins. Places are unsigned: Numba counts from the end by signed ones."""
    text, bounds = pieces
    place = np.uintp(number)
    first = np.uintp(bounds[place])
    size = np.uintp(bounds[place + np.uintp(1)]) - first
    _copy(out, at, text, first, size)
    return at + size


@_part
def _put_natural(out: Any, at: Any, value: Any) -> Any:
    """Write an unsigned number."""
    value = np.uint64(value)
    ten = np.uint64(10)
    if value < ten:
        out[at] = np.uint8(np.uint64(48) + value)
        return at + np.uintp(1)
    digits = np.uintp(1)
    limit = ten
    while digits < np.uintp(19) and value >= limit:
        digits += np.uintp(1)
        limit *= ten
    if value >= np.uint64(10000000000000000000):
        digits = np.uintp(20)
    place = at + digits
    while value >= ten:
        rest = value // ten
        place -= np.uintp(1)
        out[place] = np.uint8(np.uint64(48) + (value - rest * ten))
        value = rest
    out[at] = np.uint8(np.uint64(48) + value)
    return at + digits


@_part
def _put_whole(out: Any, at: Any, value: Any) -> Any:
    """Write a whole number, int64."""
    if value < 0:
        out[at] = np.uint8(45)
        return _put_natural(out, at + np.uintp(1), np.uint64(0) - np.uint64(value))
    return _put_natural(out, at, value)


@_part
def _put_rounded(out: Any, at: Any, value: Any, frame: Any) -> Any:
    """Write a number of float32 with four decimals at most, as Python rounds: the product is exact in a double."""
    times = np.float64(value) * DECIMALS
    if not np.isfinite(times):
        return _put(out, at, frame, NULL)
    rounded = np.rint(times)
    if rounded < 0 or (rounded == 0 and np.signbit(times)):
        out[at] = np.uint8(45)
        at += np.uintp(1)
        rounded = -rounded
    ten = np.uint64(10)
    number = np.uint64(rounded)
    whole = number // np.uint64(10000)
    rest = number - whole * np.uint64(10000)
    at = _put_natural(out, at, whole)
    out[at] = np.uint8(46)
    digits = np.uintp(4)
    while digits > np.uintp(1) and rest % ten == np.uint64(0):
        rest //= ten
        digits -= np.uintp(1)
    for place in range(digits):
        out[at + digits - place] = np.uint8(np.uint64(48) + rest % ten)
        rest //= ten
    return at + digits + np.uintp(1)


@_part
def _put_hex(out: Any, at: Any, ids: Any, row: Any) -> Any:
    for column in range(ids.shape[1]):
        value = ids[row, column]
        high, low = value >> np.uint8(4), value & np.uint8(15)
        out[at] = high + (np.uint8(48) if high < 10 else np.uint8(87))
        out[at + np.uintp(1)] = low + (np.uint8(48) if low < 10 else np.uint8(87))
        at += np.uintp(2)
    return at


@_part
def _odd_number(value: Any) -> Any:
    return abs(np.float64(value)) * DECIMALS >= _SURE and np.isfinite(value)


@kernel
def room(rounded: Any, shared: Any, chosen: Any, texts: Any, numbers: int) -> int:
    """Return how many bytes the records take at most; -1 where a number is one that :func:`assemble` cannot write.

    ``numbers``: how many of them a record has at most.
    """
    rows = len(chosen.merchant)
    score, contribution, earlier, by_rules = rounded
    for row in range(rows):
        odd = _odd_number(score[row]) or _odd_number(by_rules[row])
        for place in range(contribution.shape[1]):
            odd = odd or _odd_number(contribution[row, place])
        for place in range(earlier.shape[1]):
            odd = odd or _odd_number(earlier[row, place])
        if odd:
            return -1
    for count in shared.reshape(-1):
        if count < -0.5 or count >= 4294967296.0:
            return -1
    named, factor, signal = texts.named[1], texts.factor[1], texts.signal[1]
    total = rows * (len(texts.frame[0]) + len(texts.marks[0]) + _ROOM * numbers + _HEX)
    total += len(texts.transaction[0])
    for row in range(rows):
        for number in (chosen.merchant[row], chosen.version[row], chosen.rest[row], chosen.degraded[row]):
            total += named[number + 1] - named[number]
        for place in range(chosen.factor.shape[1]):
            number = chosen.factor[row, place]
            if number >= 0:
                total += factor[number + 1] - factor[number] + 2
        for place in range(chosen.signal.shape[1]):
            number = chosen.signal[row, place]
            total += signal[number + 1] - signal[number] + 1
    return total


@_part
def _put_factors(out: Any, at: Any, row: Any, chosen: Any, rounded: Any, texts: Any) -> Any:
    said = False
    for place in range(chosen.factor.shape[1]):
        number = chosen.factor[row, place]
        if number < 0:
            continue
        if said:
            out[at] = np.uint8(44)
            at += np.uintp(1)
        said = True
        at = _put(out, at, texts.factor, number)
        at = _put_rounded(out, at, rounded.contribution[row, place], texts.frame)
        out[at] = np.uint8(125)
        at += np.uintp(1)
    return at


@_part
def _put_signals(out: Any, at: Any, row: Any, chosen: Any, texts: Any) -> Any:
    for place in range(chosen.signal.shape[1]):
        if place:
            out[at] = np.uint8(44)
            at += np.uintp(1)
        at = _put(out, at, texts.signal, chosen.signal[row, place])
    return at


@_part
def _put_counts(out: Any, at: Any, row: Any, counts: Any, frame: Any, first: Any) -> Any:
    piece = first
    for kind in range(counts.shape[1]):
        for window in range(counts.shape[2]):
            at = _put(out, at, frame, piece)
            at = _put_natural(out, at, counts[row, kind, window])
            piece += 1
    return at


@_part
def _put_shared(out: Any, at: Any, row: Any, counts: Any, frame: Any, first: Any) -> Any:
    """Write the entities of which any count is known; a count of 0 is one that is not."""
    said = False
    size = counts.shape[2] * counts.shape[3]
    for entity in range(counts.shape[1]):
        known = False
        for measure in range(counts.shape[2]):
            for window in range(counts.shape[3]):
                known = known or not np.isnan(counts[row, entity, measure, window])
        if not known:
            continue
        if said:
            at = _put(out, at, frame, COMMA)
        said = True
        piece = first + entity * size
        for measure in range(counts.shape[2]):
            for window in range(counts.shape[3]):
                at = _put(out, at, frame, piece)
                piece += 1
                count = counts[row, entity, measure, window]
                number = np.uint64(0) if np.isnan(count) else np.uint64(np.rint(count))
                at = _put_natural(out, at, number) if number else _put(out, at, frame, NULL)
        at = _put(out, at, frame, ENTITY_END)
    return at


@_part
def _put_history(out: Any, at: Any, row: Any, numbers: Any, earlier: Any, frame: Any) -> Any:
    at = _put_natural(out, _put(out, at, frame, HISTORY), numbers.history[row])
    at = _put_whole(out, _put(out, at, frame, FIRST_SEEN), numbers.first_seen_at[row])
    at = _put(out, at, frame, PREVIOUS)
    previous = numbers.previous_at[row]
    at = _put(out, at, frame, NULL) if previous < 0 else _put_whole(out, at, previous)
    kept = 0
    for place in range(earlier.shape[1]):
        kept += not np.isnan(earlier[row, place])
    for place in range(kept):  # the first so many, wherever the others lie
        at = _put(out, at, frame, COMMA if place else SCORES)
        at = _put_rounded(out, at, earlier[row, place], frame)
    return _put(out, at, frame, SCORES_END) if kept else at


@kernel
def assemble(ids: Any, numbers: Any, rounded: Any, chosen: Any, texts: Any, named: Any, out: Any, ends: Any) -> None:
    """Write the records into ``out``, uint8, of the size that :func:`room` says; ``ends``, int64[n]: where each ends.

    ``ids``: event, session and device, uint8[n, 16] each; ``named``: in ``texts.frame``, where the pieces begin of who
    decided, of the device's counts and of what is shared.
    """
    frame = texts.frame
    by, counts, shared = named
    at = np.uintp(0)
    for row in range(len(chosen.merchant)):
        for place in range(3):
            at = _put_hex(out, _put(out, at, frame, EVENT + place), ids[place], row)
        at = _put(out, _put(out, at, frame, MERCHANT), texts.named, chosen.merchant[row])
        at = _put(out, _put(out, at, frame, TRANSACTION), texts.transaction, row)
        at = _put_whole(out, _put(out, at, frame, OCCURRED), numbers.occurred_at[row])
        at = _put_whole(out, _put(out, at, frame, RECEIVED), numbers.received_at[row])
        at = _put_rounded(out, _put(out, at, frame, SCORE), rounded.score[row], frame)
        at = _put_factors(out, _put(out, at, frame, DECIDED + chosen.decision[row]), row, chosen, rounded, texts)
        at = _put_signals(out, _put(out, at, frame, SIGNALS), row, chosen, texts)
        at = _put_counts(out, at, row, numbers.velocity, frame, counts)
        at = _put(out, _put(out, at, frame, VERSIONS), texts.named, chosen.version[row])
        at = _put_whole(out, _put(out, at, frame, ORIGIN), numbers.partition[row])
        at = _put_whole(out, _put(out, at, frame, OFFSET), numbers.offset[row])
        at = _put(out, at, frame, LEDGER)
        for mark in range(numbers.ledger.shape[1]):
            at = _put_whole(out, _put(out, at, texts.marks, mark), numbers.ledger[row, mark])
        at = _put_shared(out, _put(out, at, frame, SHARED), row, numbers.shared, frame, shared)
        at = _put_history(out, at, row, numbers, rounded.earlier, frame)
        at = _put_natural(out, _put(out, at, frame, SESSION_EVENTS), numbers.session[row])
        at = _put_whole(out, _put(out, at, frame, STARTED), numbers.started_at[row])
        at = _put_rounded(out, _put(out, at, frame, by + chosen.by[row]), rounded.by_rules[row], frame)
        at = _put(out, at, texts.named, chosen.rest[row])
        at = _put(out, at, texts.named, chosen.degraded[row])
        ends[row] = at
