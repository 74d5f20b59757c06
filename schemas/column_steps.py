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
AND, OR, NOT, AND_NOT, IN, TABLE, CODES_DIFFER, SAME, SAME_AS = range(9)
LESS, AT_MOST, EQUAL, LESS_THAN, AT_MOST_THAN, EQUAL_TO, MORE_THAN, AT_LEAST_THAN, IS_NAN = range(9, 18)
ADD, SUBTRACT, LEAST, ADD_TO, TIMES, ABSOLUTE, FLOOR, ROUND, MANTISSA, CHOOSE = range(18, 28)
OUT, INSTEAD, MODULO = range(28, 31)


def _part(function: F) -> F:
    """Make a function a part of the kernel that calls it.

    Columns go by their place in all of their kind: a row taken out of an array counts its owners, which costs more than
    what is done with the few rows of a small batch.
    """
    return cast(F, numba.njit(error_model="numpy")(function))


@_part
def _combine(operation: Any, codes: Any, z: Any, x: Any, y: Any) -> None:
    """Make a column of flags of one or two columns of flags."""
    rows = codes.shape[1]
    if operation == AND:
        for row in range(rows):
            codes[z, row] = codes[x, row] & codes[y, row]
    elif operation == OR:
        for row in range(rows):
            codes[z, row] = codes[x, row] | codes[y, row]
    elif operation == NOT:
        for row in range(rows):
            codes[z, row] = codes[x, row] ^ np.uint8(1)
    else:
        for row in range(rows):
            codes[z, row] = codes[x, row] & (codes[y, row] ^ np.uint8(1))


@_part
def _look_up(operation: Any, codes: Any, z: Any, x: Any, y: Any, tables: Any, c: Any, d: Any) -> None:
    """Make a column of flags of one or two columns of codes."""
    rows = codes.shape[1]
    if operation == IN:
        mask = np.uint64(c)
        for row in range(rows):
            codes[z, row] = mask >> np.uint64(codes[x, row]) & np.uint64(1)
    elif operation == TABLE:
        for row in range(rows):
            codes[z, row] = tables[c + codes[x, row] * d + codes[y, row]]
    else:
        for row in range(rows):
            codes[z, row] = codes[x, row] != codes[y, row]


@_part
def _compare_hashes(codes: Any, z: Any, hashes: Any, a: Any, b: Any) -> None:
    for row in range(codes.shape[1]):
        codes[z, row] = hashes[a, row] == hashes[b, row]


@_part
def _compare_hash(codes: Any, z: Any, hashes: Any, a: Any, value: Any) -> None:
    for row in range(codes.shape[1]):
        codes[z, row] = hashes[a, row] == value


@_part
def _compare_two(operation: Any, codes: Any, z: Any, floats: Any, a: Any, b: Any) -> None:
    rows = codes.shape[1]
    if operation == LESS:
        for row in range(rows):
            codes[z, row] = floats[a, row] < floats[b, row]
    elif operation == AT_MOST:
        for row in range(rows):
            codes[z, row] = floats[a, row] <= floats[b, row]
    else:
        for row in range(rows):
            codes[z, row] = floats[a, row] == floats[b, row]


@_part
def _compare_one(operation: Any, codes: Any, z: Any, floats: Any, a: Any, limit: Any) -> None:
    rows = codes.shape[1]
    if operation == LESS_THAN:
        for row in range(rows):
            codes[z, row] = floats[a, row] < limit
    elif operation == AT_MOST_THAN:
        for row in range(rows):
            codes[z, row] = floats[a, row] <= limit
    elif operation == EQUAL_TO:
        for row in range(rows):
            codes[z, row] = floats[a, row] == limit
    elif operation == MORE_THAN:
        for row in range(rows):
            codes[z, row] = floats[a, row] > limit
    elif operation == AT_LEAST_THAN:
        for row in range(rows):
            codes[z, row] = floats[a, row] >= limit
    else:
        for row in range(rows):
            codes[z, row] = np.isnan(floats[a, row])


@_part
def _compute_two(operation: Any, floats: Any, z: Any, a: Any, b: Any) -> None:
    rows = floats.shape[1]
    if operation == ADD:
        for row in range(rows):
            floats[z, row] = floats[a, row] + floats[b, row]
    elif operation == SUBTRACT:
        for row in range(rows):
            floats[z, row] = floats[a, row] - floats[b, row]
    else:  # the less of two numbers; of one where the other is absent
        for row in range(rows):
            one, two = floats[a, row], floats[b, row]
            floats[z, row] = two if np.isnan(one) or two < one else one


@_part
def _compute_one(operation: Any, floats: Any, z: Any, a: Any, value: Any) -> None:
    rows = floats.shape[1]
    for row in range(rows):
        if operation == ADD_TO:
            floats[z, row] = floats[a, row] + value
        elif operation == TIMES:
            floats[z, row] = floats[a, row] * value
        elif operation == ABSOLUTE:
            floats[z, row] = abs(floats[a, row])
        elif operation == FLOOR:
            floats[z, row] = np.floor(floats[a, row])
        elif operation == ROUND:
            floats[z, row] = np.rint(floats[a, row])
        elif operation == MODULO:
            floats[z, row] = floats[a, row] % value
        else:
            floats[z, row] = math.frexp(np.float64(floats[a, row]))[0]


@_part
def _choose(codes: Any, chosen: Any, floats: Any, z: Any, one: Any, other: Any) -> None:
    for row in range(codes.shape[1]):
        floats[z, row] = one if codes[chosen, row] else other


@_part
def _instead(codes: Any, chosen: Any, floats: Any, z: Any, a: Any, value: Any) -> None:
    for row in range(codes.shape[1]):
        floats[z, row] = value if codes[chosen, row] else floats[a, row]


@_part
def _put_bits(checks: Any, codes: Any, a: Any, bit: Any) -> None:
    for row in range(len(checks)):
        checks[row] |= np.uint64(codes[a, row]) << bit


def _kernel(function: F) -> F:
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


@_kernel
def run(steps: Any, constants: Any, tables: Any, columns: Any, checks: Any) -> None:
    """Run a program: ``steps`` int64[m, 6] of operation, target, a, b, c, d. Sets bits of ``checks``, uint64[n].

    ``columns``: float32, uint32 and uint8 [k, n] each, flags as 0 and 1; ``constants`` float32; ``tables`` uint8.
    """
    floats, hashes, codes = columns
    for step in range(len(steps)):
        operation, z, a = steps[step, 0], steps[step, 1], steps[step, 2]
        b, c, d = steps[step, 3], steps[step, 4], steps[step, 5]
        if operation <= AND_NOT:
            _combine(operation, codes, z, a, b)
        elif operation <= CODES_DIFFER:
            _look_up(operation, codes, z, a, b, tables, c, d)
        elif operation == SAME:
            _compare_hashes(codes, z, hashes, a, b)
        elif operation == SAME_AS:
            _compare_hash(codes, z, hashes, a, np.uint32(b))
        elif operation <= EQUAL:
            _compare_two(operation, codes, z, floats, a, b)
        elif operation <= IS_NAN:
            _compare_one(operation, codes, z, floats, a, constants[b])
        elif operation <= LEAST:
            _compute_two(operation, floats, z, a, b)
        elif operation == OUT:
            _put_bits(checks, codes, a, np.uint64(z))
        elif operation == INSTEAD:
            _instead(codes, c, floats, z, a, constants[b])
        elif operation == CHOOSE:
            _choose(codes, c, floats, z, constants[a], constants[b])
        else:
            _compute_one(operation, floats, z, a, constants[b])
