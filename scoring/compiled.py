"""The walk through the trees, compiled: 32 rows side by side.

No tree is descended row by row: every node is asked once, for all rows, by one comparison of vectors, and what comes of
it are bits, one a row: of the rows that reach the node, which go right. So each leaf knows its rows.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loops are compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])
LANES = 32  # rows that go through the trees together
_ALL, _NONE = np.uint32(0xFFFFFFFF), np.uint32(0)
_FLOATS, _FLAGS, _BITS = ir.VectorType(ir.FloatType(), LANES), ir.VectorType(ir.IntType(1), LANES), ir.IntType(LANES)


def kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it."""
    return cast(F, numba.njit(error_model="numpy", inline="always")(function))


def _data(context: Any, builder: Any, signature: Any, args: Any, position: int) -> Any:
    """Return where an argument, an array, begins."""
    return context.make_array(signature.args[position])(context, builder, args[position]).data


def _lanes_at(builder: Any, data: Any, start: Any) -> Any:
    return builder.bitcast(builder.gep(data, [start]), _FLOATS.as_pointer())


def _in_all_lanes(builder: Any, value: Any) -> Any:
    nothing, first = ir.Constant(_FLOATS, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(nothing, value, first)
    return builder.shuffle_vector(one, nothing, ir.Constant(ir.VectorType(ir.IntType(32), LANES), None))


def _compared(_: Any, shown: Any, start: Any, threshold: Any, absent: Any) -> Any:
    """Return in which lanes a value is not below the threshold, as bits; of NaN, those that ``absent`` names."""
    signature = types.uint32(shown, start, threshold, absent)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = builder.load(_lanes_at(builder, _data(context, builder, signature, args, 0), args[1]), align=4)
        high = builder.fcmp_ordered(">=", values, _in_all_lanes(builder, args[2]))
        no_number = builder.bitcast(builder.fcmp_unordered("uno", values, values), _BITS)
        return builder.or_(builder.bitcast(high, _BITS), builder.and_(no_number, args[3]))

    return signature, generate


_right: Any = intrinsic(_compared)


def _summed(_: Any, rows: Any, leaf: Any, value: Any, first: Any, last: Any, sums: Any, start: Any) -> Any:
    """Write what the leaves from ``first`` to ``last`` add in each lane, in their order: at most one a tree does."""
    signature = types.void(rows, leaf, value, first, last, sums, start)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        reached, leaves, values, out = (_data(context, builder, signature, args, at) for at in (0, 1, 2, 5))
        zeros = ir.Constant(_FLOATS, [0.0] * LANES)
        total = cgutils.alloca_once(builder, _FLOATS)
        builder.store(zeros, total)
        step = ir.Constant(args[3].type, 1)
        with cgutils.for_range_slice(builder, args[3], args[4], step) as (at, _count):
            bits = builder.load(builder.gep(reached, [builder.load(builder.gep(leaves, [at]))]))
            added = _in_all_lanes(builder, builder.load(builder.gep(values, [at])))
            added = builder.select(builder.bitcast(bits, _FLAGS), added, zeros)
            builder.store(builder.fadd(builder.load(total), added), total)
        builder.store(builder.load(total), _lanes_at(builder, out, args[6]), align=4)
        return context.get_dummy_value()

    return signature, generate


_put_sums: Any = intrinsic(_summed)


@kernel
def walk(features: Any, nodes: Any, leaves: Any, calibration: Any, out: Any) -> None:
    """Score rows float32[n, F] and rank what each factor group adds, as the exported graph does.

    ``nodes``: the features that are asked for, int32[U]; how many nodes there are; the roots; and of each node that is
    no leaf, in an order in which none comes before the one that leads to it: its number, its place among the U, its
    threshold, all bits where NaN goes right (else none), and the number of its left child, which the right one follows.
    ``leaves``: the edges of the ranges of each target (0 is the margin, 1 to G are the groups), and by range, in the
    order of the trees, leaves' nodes and the values float32 that they add. ``calibration``: base, slope and offset.
    ``out``: score float32[n], the largest contributions float32[n, K] with their groups int64[n, K], largest first, of
    equal ones the first group, and G.

    Every sum is in the order of the trees, whatever rows come together: where a leaf is not a row's, 0 is added.
    """
    used, count, roots, number, place, threshold, absent, child = nodes
    edges, leaf, value = leaves
    targets = out[3] + 1
    shown, reached = np.zeros(len(used) * LANES, np.float32), np.zeros(count, np.uint32)
    sums = np.empty(targets * LANES, np.float32)
    for first in range(0, len(features), LANES):
        rows = min(LANES, len(features) - first)
        _put_shown(features, first, rows, used, shown)
        for root in range(len(roots)):
            reached[roots[root]] = _ALL
        for at in range(len(number)):
            here = reached[np.uintp(number[at])]
            right = _right(shown, np.intp(place[at] * LANES), threshold[at], absent[at])
            left = np.uintp(child[at])
            reached[left] = here & ~right
            reached[left + np.uintp(1)] = here & right
        for target in range(targets):
            start, end = np.intp(edges[target]), np.intp(edges[target + 1])
            _put_sums(reached, leaf, value, start, end, sums, target * LANES)
        for row in range(rows):
            _rank(sums, row, first + row, calibration, out)


@_part
def _put_shown(features: Any, first: Any, rows: Any, used: Any, shown: Any) -> None:
    """Lay the rows' features side by side."""
    flat, width = features.reshape(-1), np.uintp(features.shape[1])
    for at in range(len(used)):
        start, lane = np.uintp(first) * width + np.uintp(used[at]), np.uintp(at * LANES)
        for _ in range(rows):
            shown[lane] = flat[start]
            start += width
            lane += np.uintp(1)


@_part
def _rank(sums: Any, lane: Any, row: Any, calibration: Any, out: Any) -> None:
    """Write the score of a row and its largest contributions."""
    base, slope, offset = calibration
    score, top_contribution, top_factor, groups = out
    score[row] = 100.0 / (1.0 + math.exp(-(slope * (sums[lane] + base) + offset)))
    kept = top_factor.shape[1]
    for place in range(kept):
        top_contribution[row, place] = -np.inf
        top_factor[row, place] = -1
    for group in range(groups):
        value = sums[(group + 1) * LANES + lane]
        if value > top_contribution[row, kept - 1]:
            place = kept - 1
            while place > 0 and top_contribution[row, place - 1] < value:
                top_contribution[row, place] = top_contribution[row, place - 1]
                top_factor[row, place] = top_factor[row, place - 1]
                place -= 1
            top_contribution[row, place] = value
            top_factor[row, place] = group


@kernel
def put_reasons(verdict: Any, features: Any, columns: Any, out: Any) -> bool:
    """Write what is told of scores, and return whether all of them are numbers.

    ``verdict``: scores float32[n], shares float32[n, K], and the groups that add them int64[n, K]. ``features``:
    float32[n, F], of which the ``columns`` are kept. ``out``: the groups that raise scores, int8[n, K], -1 for others;
    their shares float32[n, K], else 0; and the features that are kept, float32[n, O].
    """
    score, shares, groups = verdict
    factor, contribution, observed = out
    sound = True
    for row in range(len(score)):
        sound &= bool(np.isfinite(score[row]))
        for place in range(shares.shape[1]):
            raises = shares[row, place] > 0
            factor[row, place] = groups[row, place] if raises else -1
            contribution[row, place] = shares[row, place] if raises else np.float32(0)
    shown, kept, start, at_kept = features.reshape(-1), observed.reshape(-1), np.uintp(0), np.uintp(0)
    for _ in range(len(features)):
        for at in range(len(columns)):
            kept[at_kept] = shown[start + np.uintp(columns[at])]
            at_kept += np.uintp(1)
        start += np.uintp(features.shape[1])
    return sound
