"""What each factor group adds at a leaf: exact TreeSHAP, averaged over the training events that end there.

TreeSHAP (Lundberg, Erion, Lee: "Consistent Individualized Feature Attribution for Tree Ensembles", 2018) gives an
event's exact share of every feature. It is not constant at a leaf: it also depends on what the event would have met on
the way to the others. Its mean over the events of a leaf is, it sums to what Saabas' contributions sum to, and so it
costs the graph nothing: see ``scoring.export``.

Notation: the way to a leaf splits on m features. For each of them, ``zero`` is the share of training events (by the sum
of Hessians) that pass its splits on this way, and an event either passes them all or not. The bits of a pattern say
which, so a leaf tells 2^m kinds of events apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import factorial

import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32, I64, U16, Bool
from scoring.trees import Forest, Tree, saabas

F64 = NDArray[np.float64]
LeafFactors = tuple[F32, ...]  # of every tree [nodes, groups]: what each group adds at a leaf; 0 at other nodes
_ROWS = 16_384  # events that are followed through a tree at once: bounds memory
_LONGEST = 8  # features on a way: a tree with 2^m leaves of 2^m patterns takes 8^m numbers


@dataclass(frozen=True, slots=True)
class Way:
    """The way to one leaf: its features in the order of their first splits, and ``zero`` of each."""

    leaf: int
    features: tuple[int, ...]
    zero: tuple[float, ...]


def mean_factors(
    forest: Forest, rows: F32, weights: F64, group_of: I64, groups: int, progress: Callable[[int], None] | None = None
) -> LeafFactors:
    """Return the mean exact contributions of weighted rows float32[n, F] at every leaf; ``progress`` is told trees.

    At each leaf they sum to its value less the root's mean. A leaf without rows has Saabas', which do too, and so has
    a tree with more than 8 features on a way.
    """
    found = []
    for number, tree in enumerate(forest.trees, 1):
        found.append(_means(tree, rows, weights, group_of, groups))
        if progress:
            progress(number)
    return tuple(found)


def saabas_factors(forest: Forest, group_of: I64, groups: int) -> LeafFactors:
    """Return Saabas' contributions at every leaf: what the means differ in, the same for every event of a leaf."""
    return tuple(saabas(tree, group_of, groups).astype(np.float32) for tree in forest.trees)


def at_leaves(factors: LeafFactors, leaves: NDArray[np.integer]) -> F64:
    """Return the sums float64[n, groups] over the trees, for leaves [n, trees] as ``pred_leaf`` gives them."""
    found = np.zeros((len(leaves), factors[0].shape[1]))
    for number, table in enumerate(factors):
        found += table[leaves[:, number]]
    return found


def _means(tree: Tree, rows: F32, weights: F64, group_of: I64, groups: int) -> F32:
    ways = _ways(tree)
    found = saabas(tree, group_of, groups)
    if max(len(way.features) for way in ways) > _LONGEST:
        return found.astype(np.float32)
    counts = _counted(tree, ways, rows, weights)
    means = np.zeros((len(ways), groups))
    for length in {len(way.features) for way in ways} - {0}:
        alike = [place for place, way in enumerate(ways) if len(way.features) == length]
        shares = _shares(np.array([ways[place].zero for place in alike]))
        for place, share in zip(alike, shares, strict=True):
            value = float(tree.threshold[ways[place].leaf])
            columns = [int(group_of[feature]) for feature in ways[place].features]
            added = counts[place] @ share * value
            for column, group in enumerate(columns):
                means[:, group] += added[:, column]
    total = counts[0].sum(axis=1)
    ends = np.array([way.leaf for way in ways])
    found[ends[total > 0]] = means[total > 0] / total[total > 0, None]
    return found.astype(np.float32)


def _ways(tree: Tree) -> list[Way]:
    """Return the ways to all leaves, in the order in which ``_patterns`` follows them."""
    found: list[Way] = []
    stack: list[tuple[int, dict[int, float]]] = [(0, {})]
    while stack:
        node, zero = stack.pop()
        if tree.left[node] < 0:
            found.append(Way(node, tuple(zero), tuple(zero.values())))
            continue
        feature = int(tree.feature[node])
        for child in (int(tree.right[node]), int(tree.left[node])):
            passing = float(tree.cover[child] / tree.cover[node])
            stack.append((child, {**zero, feature: zero.get(feature, 1.0) * passing}))
    return found


def _patterns(tree: Tree, rows: F32) -> U16:
    """Return the pattern of every row at every leaf, uint16[leaves, n]."""
    found: list[U16] = []
    stack: list[tuple[int, tuple[int, ...], U16]] = [(0, (), np.zeros(len(rows), np.uint16))]
    while stack:
        node, features, code = stack.pop()
        if tree.left[node] < 0:
            found.append(code)
            continue
        feature = int(tree.feature[node])
        known = feature in features
        below = features if known else (*features, feature)
        bit = np.uint16(1 << below.index(feature))
        values = rows[:, feature]
        left: Bool = values < tree.threshold[node]
        if tree.default_left[node]:
            left = left | np.isnan(values)
        for child, passed in ((int(tree.right[node]), ~left), (int(tree.left[node]), left)):
            kept = np.where(passed, code, code & ~bit) if known else np.where(passed, code | bit, code)
            stack.append((child, below, kept.astype(np.uint16, copy=False)))
    return np.stack(found)


def _counted(tree: Tree, ways: Sequence[Way], rows: F32, weights: F64) -> list[F64]:
    """Return for every way the weight of rows by leaf and by pattern on this way, float64[leaves, 2^m]."""
    counts = [np.zeros((len(ways), 1 << len(way.features))) for way in ways]
    full = np.array([count.shape[1] - 1 for count in counts], np.uint16)
    for first in range(0, len(rows), _ROWS):
        part = slice(first, first + _ROWS)
        patterns = _patterns(tree, rows[part])
        ends = np.argmax(patterns == full[:, None], axis=0)
        for place, pattern in enumerate(patterns):
            leaves, kinds = counts[place].shape
            key = ends * kinds + pattern
            counts[place] += np.bincount(key, weights[part], leaves * kinds).reshape(leaves, kinds)
    return counts


@cache
def _bits(length: int) -> F64:
    """Return float64[2^m, m]: bit j of every pattern."""
    return ((np.arange(1 << length)[:, None] >> np.arange(length)) & 1).astype(np.float64)


def _shares(zero: F64) -> F64:
    """Return the Shapley values float64[ways, 2^m, m] of leaves of value 1, by pattern, for zero shares [ways, m].

    The game of a leaf gives a set of known features the product of its bits and of the others' zero shares.
    """
    length = zero.shape[1]
    ones = _bits(length)
    weight = np.array([factorial(k) * factorial(length - k - 1) / factorial(length) for k in range(length)])
    found = np.empty((len(zero), *ones.shape))
    for place in range(length):
        # Coefficient k: the sum over all sets of k of the other features.
        sums = np.zeros((len(zero), *ones.shape))
        sums[:, :, 0] = 1.0
        for other in range(length):
            if other != place:
                with_it = sums[:, :, :-1] * ones[None, :, other, None]
                sums *= zero[:, None, other, None]
                sums[:, :, 1:] += with_it
        found[:, :, place] = (sums @ weight) * (ones[:, place] - zero[:, None, place])
    return found
