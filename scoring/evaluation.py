"""Evaluation of a model's trees: one compiled pass gives scores and factors.

The exported graph carries its trees twice: as ONNX operators, and as the flat tables that are read here. The tables
are outputs of the graph that depend on no input, so there is one file, its digest covers both forms, and ONNX Runtime
reads it. When a model is loaded both forms score its golden rows and must agree.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32, I32, U8
from scoring.compiled import walk

TOP_FACTORS = 5
PREFIX = "tables."
_EVERY_LANE = np.uint32(0xFFFFFFFF)


class Tables(NamedTuple):
    """The N nodes of all trees, tree by tree, and their L leaves. A right child follows the left one."""

    root: I32  # [trees]
    depth: I32  # [trees]: steps to the deepest leaf
    feature: I32  # [N]; 0 at a leaf
    threshold: F32  # [N]: left where less; NaN at a leaf
    child: I32  # [N]: the left one, behind its parent; a leaf names itself
    default_right: U8  # [N]: 1 where NaN goes right
    leaf: I32  # [N]: number of the leaf, 0 at other nodes
    target: U8  # [L, W]: 0 is the margin, 1 to G are the groups; G + 1 where a leaf has fewer
    value: F32  # [L, W]: what the leaf adds to the target
    constants: F32  # base, slope, offset
    groups: I32  # [1]: G


class Verdict(NamedTuple):
    """One pass over n events."""

    score: F32  # [n], 0 to 100
    top_contribution: F32  # [n, K], log-odds, largest first
    top_factor: NDArray[np.int64]  # [n, K]


class Evaluation:
    """The tables in the form in which they are walked through. It holds no state between batches."""

    def __init__(self, tables: Tables, features: int) -> None:
        _check(tables, features)
        self._nodes = _nodes(tables)
        self._leaves = _leaves(tables)
        edges, leaf, value = self._leaves
        self._margins = edges[:2], leaf, value
        self._calibration = tuple(tables.constants.astype(np.float64).tolist())
        self._groups, self._features = int(tables.groups[0]), features

    @classmethod
    def of(cls, session: Any) -> Self:
        """Read the tables of an open graph. ValueError where it has none, or they contradict themselves."""
        given = {output.name for output in session.get_outputs()}
        names = [PREFIX + field for field in Tables._fields]
        if not given.issuperset(names):
            raise ValueError("the graph has no tables of its trees")
        features = int(session.get_inputs()[0].shape[1])
        found = session.run(names, {"features": np.zeros((1, features), np.float32)})
        return cls(Tables(*found), features)

    def __call__(self, features: F32) -> Verdict:
        """Score float32[n, F]."""
        return self._walk(features, self._leaves, self._groups, TOP_FACTORS)

    def score(self, features: F32) -> F32:
        """Score float32[n, F] without factors: the same scores."""
        return self._walk(features, self._margins, 0, 0).score

    def _walk(self, features: F32, leaves: tuple[Any, ...], groups: int, kept: int) -> Verdict:
        if features.dtype != np.float32 or features.shape[1:] != (self._features,):
            raise ValueError(f"features must be float32[n, {self._features}], not {features.dtype}{features.shape}")
        rows = len(features)
        verdict = Verdict(
            np.empty(rows, np.float32), np.empty((rows, kept), np.float32), np.empty((rows, kept), np.int64)
        )
        walk(np.ascontiguousarray(features), self._nodes, leaves, self._calibration, (*verdict, groups))
        return verdict

    def differences(self, session: Any, rows: F32) -> dict[str, float]:
        """Return the largest differences from what the graph's operators give; a NaN is an infinite one.

        Of the top factors: what the graph says of the groups that are named here, so that equal ones may change places.
        """
        mine = self(rows)
        score, contributions, top = session.run(["score", "contributions", "top_contribution"], {"features": rows})
        named = np.take_along_axis(contributions, mine.top_factor, axis=1)
        pairs = ((mine.score, score), (mine.top_contribution, top), (mine.top_contribution, named))
        found = [float(np.nan_to_num(np.abs(a - b), nan=np.inf).max()) for a, b in pairs]
        return {"score": found[0], "contribution": max(found[1:])}


def _nodes(tables: Tables) -> tuple[Any, ...]:
    """Return the nodes that are no leaves as ``walk`` takes them."""
    inner = np.flatnonzero(tables.child != np.arange(len(tables.child)))
    used, place = np.unique(tables.feature[inner], return_inverse=True)
    absent = np.where(tables.default_right[inner] != 0, _EVERY_LANE, np.uint32(0))
    return (
        used.astype(np.int32),
        len(tables.child),
        tables.root.astype(np.int32),
        inner.astype(np.int32),
        place.astype(np.int32),
        tables.threshold[inner],
        absent.astype(np.uint32),
        tables.child[inner].astype(np.int32),
    )


def _leaves(tables: Tables) -> tuple[I32, I32, F32]:
    """Return what leaves add by target, in the order of the trees, as ``walk`` takes it, without nobody's and zeros."""
    node = np.flatnonzero(tables.child == np.arange(len(tables.child)))
    target, value = tables.target[tables.leaf[node]], tables.value[tables.leaf[node]]
    groups = int(tables.groups[0])
    row, column = np.nonzero((target <= groups) & (value != 0))
    order = np.argsort(target[row, column], kind="stable")
    row, column = row[order], column[order]
    edges = np.searchsorted(target[row, column], np.arange(groups + 2))
    return edges.astype(np.int32), node[row].astype(np.int32), value[row, column].astype(np.float32)


def _check(tables: Tables, features: int) -> None:
    """Refuse tables that would send the walk out of their arrays, or to a node before the one that leads to it."""
    nodes, leaves = len(tables.feature), len(tables.target)
    inner = tables.child != np.arange(nodes)
    right = tables.child + inner
    later = tables.child > np.arange(nodes)  # than the node that leads to it
    sound = (
        {len(column) for column in (tables.threshold, tables.child, tables.default_right, tables.leaf)} == {nodes}
        and len(tables.root) == len(tables.depth)
        and tables.target.shape == tables.value.shape
        and _within(tables.root, nodes)
        and _within(tables.child, nodes)
        and bool(later[inner].all())
        and _within(right, nodes)
        and _within(tables.leaf, leaves)
        and _within(tables.feature, features)
        and _within(tables.target, int(tables.groups[0]) + 2)
        and bool(np.isnan(tables.threshold[~inner]).all())
        and not tables.default_right[~inner].any()
    )
    if not sound:
        raise ValueError("the tables of the graph's trees contradict themselves")


def _within(numbers: NDArray[Any], end: int) -> bool:
    return not numbers.size or (int(numbers.min()) >= 0 and int(numbers.max()) < end)
