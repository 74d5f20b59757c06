"""What the loop that writes records is made of: pieces, numbers and ids as text, parts of a compiled loop."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from flows.stages.device_state.compiled import step
from schemas.fragments import SPARE

DECIMALS: Final = 10_000.0  # four


def _copied(typing: Any, out: Any, at: Any, text: Any, first: Any, size: Any) -> Any:
    """Copy bytes as C does: a loop over them is not made into that, because both runs might overlap."""

    def generated(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, origin = (
            cgutils.pointer_add(builder, context.make_array(kind)(context, builder, column).data, place)
            for kind, column, place in zip(signature.args[:3:2], arguments[:3:2], arguments[1:4:2], strict=True)
        )
        short = builder.icmp_unsigned("<=", arguments[4], arguments[4].type(SPARE))
        with builder.if_else(short) as (few, many):
            with few:
                cgutils.raw_memcpy(builder, to, origin, arguments[4].type(SPARE), 1)
            with many:
                cgutils.raw_memcpy(builder, to, origin, arguments[4], 1)
        return context.get_dummy_value()

    return types.void(out, at, text, first, size), generated


_copy: Any = intrinsic(_copied)


@step
def put(out: Any, at: Any, pieces: Any, number: Any) -> Any:
    """Copy a piece; return where the next one begins. Places are unsigned: Numba counts from the end by signed ones."""
    text, bounds = pieces
    place = np.uintp(number)
    first = np.uintp(bounds[place])
    size = np.uintp(bounds[place + np.uintp(1)]) - first
    _copy(out, at, text, first, size)
    return at + size


@step
def put_null(out: Any, at: Any) -> Any:
    """Write null."""
    out[at], out[at + np.uintp(1)] = np.uint8(110), np.uint8(117)
    out[at + np.uintp(2)] = out[at + np.uintp(3)] = np.uint8(108)
    return at + np.uintp(4)


@step
def put_natural(out: Any, at: Any, value: Any) -> Any:
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


@step
def put_whole(out: Any, at: Any, value: Any) -> Any:
    """Write a whole number, int64."""
    if value < 0:
        out[at] = np.uint8(45)
        return put_natural(out, at + np.uintp(1), np.uint64(0) - np.uint64(value))
    return put_natural(out, at, value)


@step
def put_rounded(out: Any, at: Any, value: Any) -> Any:
    """Write a number of float32 with four decimals at most, as Python rounds: the product is exact in a double."""
    times = np.float64(value) * DECIMALS
    if not np.isfinite(times):
        return put_null(out, at)
    rounded = np.rint(times)
    if rounded < 0 or (rounded == 0 and np.signbit(times)):
        out[at] = np.uint8(45)
        at += np.uintp(1)
        rounded = -rounded
    ten = np.uint64(10)
    number = np.uint64(rounded)
    whole = number // np.uint64(10000)
    rest = number - whole * np.uint64(10000)
    at = put_natural(out, at, whole)
    out[at] = np.uint8(46)
    digits = np.uintp(4)
    while digits > np.uintp(1) and rest % ten == np.uint64(0):
        rest //= ten
        digits -= np.uintp(1)
    for place in range(digits):
        out[at + digits - place] = np.uint8(np.uint64(48) + rest % ten)
        rest //= ten
    return at + digits + np.uintp(1)


@step
def put_hex(out: Any, at: Any, ids: Any, row: Any) -> Any:
    """Write an id of a column uint8[n, 16]."""
    for column in range(ids.shape[1]):
        value = ids[row, column]
        high, low = value >> np.uint8(4), value & np.uint8(15)
        out[at] = high + (np.uint8(48) if high < 10 else np.uint8(87))
        out[at + np.uintp(1)] = low + (np.uint8(48) if low < 10 else np.uint8(87))
        at += np.uintp(2)
    return at
