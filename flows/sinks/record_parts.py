"""What the loop that writes records is made of: pieces, numbers and ids as text, parts of a compiled loop."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from flows.stages.device_state.compiled import step
from schemas.fragments import SPARE

DECIMALS: Final = 10_000.0  # four
_TEN, _HUNDRED, _FOUR_DIGITS, _EIGHT_DIGITS = np.uint64(10), np.uint64(100), np.uint64(10**4), np.uint64(10**8)
# Digits side by side in one word, in pairs and singly: what keeps each in its place.
_PAIRS, _SINGLES = np.uint64(0x0000007F0000007F), np.uint64(0x000F000F000F000F)
_ZEROS, _SIXES, _ONES = np.uint64(0x3030303030303030), np.uint64(0x0606060606060606), np.uint64(0x0101010101010101)
_TO_LETTERS = np.uint64(ord("a") - ord("9") - 1)


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


def _stored(typing: Any, out: Any, at: Any, word: Any) -> Any:
    """Write eight bytes, the lowest first."""

    def generated(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        place = builder.bitcast(cgutils.pointer_add(builder, data, arguments[1]), ir.IntType(64).as_pointer())
        builder.store(arguments[2], place, align=1)
        return context.get_dummy_value()

    return types.void(out, at, types.uint64), generated


def _counted_zeros(typing: Any, word: Any) -> Any:
    """Return how many of the lowest bits of a word are 0."""

    def generated(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), generated


_store: Any = intrinsic(_stored)
_zeros_below: Any = intrinsic(_counted_zeros)


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
def put_again(out: Any, at: Any, first: Any, size: Any) -> Any:
    """Copy what was written before."""
    _copy(out, at, out, first, size)
    return at + size


@step
def _eight_digits(value: Any) -> Any:
    """Return a number below 10^8 as eight digits in a word, the highest in the lowest byte; each is 0 to 9.

    Halves, then pairs, then digits are divided side by side: one by one, each would wait for the one before it.
    """
    high = value // _FOUR_DIGITS
    word = high | (value - high * _FOUR_DIGITS) << np.uint64(32)
    pairs = word * np.uint64(10486) >> np.uint64(20) & _PAIRS
    word = (word - pairs * _HUNDRED) << np.uint64(16) | pairs
    singles = word * np.uint64(103) >> np.uint64(10) & _SINGLES
    return (word - singles * _TEN) << np.uint64(8) | singles


@step
def _put_eight(out: Any, at: Any, value: Any) -> Any:
    """Write a number below 10^8 with its leading zeros."""
    _store(out, at, _eight_digits(value) | _ZEROS)
    return at + np.uintp(8)


@step
def _put_few(out: Any, at: Any, value: Any) -> Any:
    """Write a number below 10^8."""
    if value < _TEN:
        out[at] = np.uint8(np.uint64(48) + value)
        return at + np.uintp(1)
    word = _eight_digits(value)
    leading = _zeros_below(word) >> np.uint64(3)
    _store(out, at, (word | _ZEROS) >> (leading << np.uint64(3)))
    return at + np.uintp(8) - np.uintp(leading)


@step
def put_natural(out: Any, at: Any, value: Any) -> Any:
    """Write an unsigned number. Up to seven bytes behind it are written too."""
    value = np.uint64(value)
    if value < _EIGHT_DIGITS:
        return _put_few(out, at, value)
    high = value // _EIGHT_DIGITS
    highest = high // _EIGHT_DIGITS
    if highest:
        at = _put_eight(out, _put_few(out, at, highest), high - highest * _EIGHT_DIGITS)
    else:
        at = _put_few(out, at, high)
    return _put_eight(out, at, value - high * _EIGHT_DIGITS)


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
    """Write an id of a column uint8[n, 16], four of its bytes at a time."""
    for place in range(ids.shape[1] // 4):
        word = np.uint64(0)
        for byte in range(4):
            value = np.uint64(ids[row, 4 * place + byte])
            word |= (value >> np.uint64(4) | (value & np.uint64(15)) << np.uint64(8)) << np.uint64(16 * byte)
        letters = (word + _SIXES) >> np.uint64(4) & _ONES
        _store(out, at, word + _ZEROS + letters * _TO_LETTERS)
        at += np.uintp(8)
    return at
