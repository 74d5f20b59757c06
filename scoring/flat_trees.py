"""The trees of a forest as the flat tables of ``scoring.evaluation``: made when a model is exported."""

from __future__ import annotations

from typing import Any

import numpy as np

from schemas.batches import F32, U8
from scoring.evaluation import Tables
from scoring.leaf_factors import LeafFactors
from scoring.trees import Forest, Tree


def flat_trees(forest: Forest, factors: LeafFactors, slope: float, offset: float) -> Tables:
    """Return the tables of a forest, whose leaves add ``factors``; a leaf's value and its groups are its targets."""
    groups = factors[0].shape[1]
    parts: list[dict[str, Any]] = []
    nodes = leaves_before = 0
    for tree in forest.trees:
        parts.append(_nodes(tree, nodes, leaves_before))
        nodes += len(tree.left)
        leaves_before += len(parts[-1]["leaf_node"])
    leaves = [
        (float(tree.threshold[node]), table[node])
        for tree, table, part in zip(forest.trees, factors, parts, strict=True)
        for node in part["leaf_node"].tolist()
    ]
    target, value = _targets(leaves, groups)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return Tables(
        root=np.cumsum([0, *(len(tree.left) for tree in forest.trees[:-1])]).astype(np.int32),
        depth=joined["depth"].astype(np.int32),
        feature=joined["feature"].astype(np.int32),
        threshold=joined["threshold"].astype(np.float32),
        child=joined["child"].astype(np.int32),
        default_right=joined["default_right"].astype(np.uint8),
        leaf=joined["leaf"].astype(np.int32),
        target=target,
        value=value,
        constants=np.array([forest.base, slope, offset], np.float32),
        groups=np.array([groups], np.int32),
    )


def _nodes(tree: Tree, first: int, first_leaf: int) -> dict[str, Any]:
    """Return the columns of a tree whose nodes begin at ``first`` and its leaves at ``first_leaf``."""
    order, depths = [0], [0]
    for place, node in enumerate(order):  # it grows: siblings come one after the other
        if tree.left[node] >= 0:
            order += [int(tree.left[node]), int(tree.right[node])]
            depths += [depths[place] + 1] * 2
    chosen = np.array(order)
    inner = tree.left[chosen] >= 0
    child = np.arange(len(order))
    child[inner] = 1 + 2 * np.arange(int(inner.sum()))
    leaf = np.zeros(len(order), np.int64)
    leaf[~inner] = first_leaf + np.arange(int((~inner).sum()))
    return {
        "depth": np.array([max(depths)]),
        "feature": np.where(inner, tree.feature[chosen], 0),
        "threshold": np.where(inner, tree.threshold[chosen], np.float32(np.nan)),
        "child": child + first,
        "default_right": inner & ~tree.default_left[chosen],
        "leaf": leaf,
        "leaf_node": chosen[~inner],
    }


def _targets(leaves: list[tuple[float, F32]], groups: int) -> tuple[U8, F32]:
    """Return targets uint8[L, W] and values float32[L, W] of leaves with a margin and what each group adds."""
    width = 1 + max(int(np.count_nonzero(added)) for _, added in leaves)
    target = np.full((len(leaves), width), groups + 1, np.uint8)
    value = np.zeros((len(leaves), width), np.float32)
    target[:, 0] = 0
    for row, (margin, added) in enumerate(leaves):
        found = np.flatnonzero(added)
        target[row, 1 : 1 + len(found)] = found + 1
        value[row, 0] = margin
        value[row, 1 : 1 + len(found)] = added[found]
    return target, value
