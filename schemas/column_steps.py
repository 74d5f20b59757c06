"""The loop that runs a program over columns (``column_program``): one short loop over the rows for each step.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loop is compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
# What a step of a program does with columns ``a`` and ``b``: see ``column_program``.
AND, OR, NOT, AND_NOT, COPY, IN, TABLE, CODES_DIFFER = range(8)
SAME, SAME_AS = 8, 9
LESS, AT_MOST, EQUAL, LESS_THAN, AT_MOST_THAN, EQUAL_TO, MORE_THAN, AT_LEAST_THAN, IS_NAN = range(10, 19)
ADD, SUBTRACT, LEAST, ADD_TO, TIMES, ABSOLUTE, FLOOR, ROUND, MANTISSA, CHOOSE = range(19, 29)
OUT, INSTEAD, MODULO = range(29, 32)


def _part(function: F) -> F:
    """Make a function a part of the kernel that calls it."""
    return cast(F, numba.njit(error_model="numpy")(function))


@_part
def _combine(operation: Any, z: Any, x: Any, y: Any) -> None:
    """Make a column of flags of one or two columns of flags."""
    if operation == AND:
        for row in range(len(z)):
            z[row] = x[row] & y[row]
    elif operation == OR:
        for row in range(len(z)):
            z[row] = x[row] | y[row]
    elif operation == NOT:
        for row in range(len(z)):
            z[row] = x[row] ^ np.uint8(1)
    elif operation == AND_NOT:
        for row in range(len(z)):
            z[row] = x[row] & (y[row] ^ np.uint8(1))
    else:
        for row in range(len(z)):
            z[row] = x[row]


@_part
def _look_up(operation: Any, z: Any, x: Any, y: Any, tables: Any, c: Any, d: Any) -> None:
    """Make a column of flags of one or two columns of codes."""
    if operation == IN:
        mask = np.uint64(c)
        for row in range(len(z)):
            z[row] = mask >> np.uint64(x[row]) & np.uint64(1)
    elif operation == TABLE:
        for row in range(len(z)):
            z[row] = tables[c + x[row] * d + y[row]]
    else:
        for row in range(len(z)):
            z[row] = x[row] != y[row]


@_part
def _compare_hashes(z: Any, left: Any, right: Any) -> None:
    for row in range(len(z)):
        z[row] = left[row] == right[row]


@_part
def _compare_hash(z: Any, left: Any, value: Any) -> None:
    for row in range(len(z)):
        z[row] = left[row] == value


@_part
def _put_bits(checks: Any, failed: Any, bit: Any) -> None:
    for row in range(len(checks)):
        checks[row] |= np.uint64(failed[row]) << bit


@_part
def _choose(out: Any, chosen: Any, one: Any, other: Any) -> None:
    for row in range(len(out)):
        out[row] = one if chosen[row] else other


@_part
def _instead(out: Any, left: Any, value: Any, chosen: Any) -> None:
    for row in range(len(out)):
        out[row] = value if chosen[row] else left[row]


@_part
def _compare_two(operation: Any, z: Any, left: Any, right: Any) -> None:
    if operation == LESS:
        for row in range(len(z)):
            z[row] = left[row] < right[row]
    elif operation == AT_MOST:
        for row in range(len(z)):
            z[row] = left[row] <= right[row]
    else:
        for row in range(len(z)):
            z[row] = left[row] == right[row]


@_part
def _compare_one(operation: Any, z: Any, left: Any, limit: Any) -> None:
    if operation == LESS_THAN:
        for row in range(len(z)):
            z[row] = left[row] < limit
    elif operation == AT_MOST_THAN:
        for row in range(len(z)):
            z[row] = left[row] <= limit
    elif operation == EQUAL_TO:
        for row in range(len(z)):
            z[row] = left[row] == limit
    elif operation == MORE_THAN:
        for row in range(len(z)):
            z[row] = left[row] > limit
    elif operation == AT_LEAST_THAN:
        for row in range(len(z)):
            z[row] = left[row] >= limit
    else:
        for row in range(len(z)):
            z[row] = np.isnan(left[row])


@_part
def _compute_two(operation: Any, out: Any, left: Any, right: Any) -> None:
    for row in range(len(out)):
        if operation == ADD:
            out[row] = left[row] + right[row]
        elif operation == SUBTRACT:
            out[row] = left[row] - right[row]
        else:  # the less of two numbers; of one where the other is absent
            one, two = left[row], right[row]
            out[row] = two if np.isnan(one) or two < one else one


@_part
def _compute_one(operation: Any, out: Any, left: Any, value: Any) -> None:
    for row in range(len(out)):
        if operation == ADD_TO:
            out[row] = left[row] + value
        elif operation == TIMES:
            out[row] = left[row] * value
        elif operation == ABSOLUTE:
            out[row] = abs(left[row])
        elif operation == FLOOR:
            out[row] = np.floor(left[row])
        elif operation == ROUND:
            out[row] = np.rint(left[row])
        elif operation == MODULO:
            out[row] = left[row] % value
        else:
            out[row] = math.frexp(np.float64(left[row]))[0]


def _kernel(function: F) -> F:
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


@_kernel
def run(steps: Any, constants: Any, tables: Any, columns: Any, checks: Any) -> None:
    """Run a program: ``steps`` int64[m, 6] of operation, target, a, b, c, d. Sets bits of ``checks``, uint64[n].

    ``columns``: float32, uint32 and uint8 [k, n] each, flags as 0 and 1; ``constants`` float32; ``tables`` uint8.
    """
    floats, hashes, codes = columns
    for step in range(len(steps)):
        operation, target, a = steps[step, 0], steps[step, 1], steps[step, 2]
        b, c, d = steps[step, 3], steps[step, 4], steps[step, 5]
        if operation <= COPY:
            _combine(operation, codes[target], codes[a], codes[b])
        elif operation <= CODES_DIFFER:
            _look_up(operation, codes[target], codes[a], codes[b], tables, c, d)
        elif operation == SAME:
            _compare_hashes(codes[target], hashes[a], hashes[b])
        elif operation == SAME_AS:
            _compare_hash(codes[target], hashes[a], np.uint32(b))
        elif operation <= EQUAL:
            _compare_two(operation, codes[target], floats[a], floats[b])
        elif operation <= IS_NAN:
            _compare_one(operation, codes[target], floats[a], constants[b])
        elif operation <= LEAST:
            _compute_two(operation, floats[target], floats[a], floats[b])
        elif operation == OUT:
            _put_bits(checks, codes[a], np.uint64(target))
        elif operation == INSTEAD:
            _instead(floats[target], floats[a], constants[b], codes[c])
        elif operation == CHOOSE:
            _choose(floats[target], codes[c], constants[a], constants[b])
        else:
            _compute_one(operation, floats[target], floats[a], constants[b])
