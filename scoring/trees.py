"""The trees of a booster as arrays, and Saabas' contributions: what each factor group adds on the way to a leaf."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray

from schemas.batches import F32, I32, I64, Bool


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree; node 0 is the root, ``left`` is -1 at a leaf. Splits go left where ``value < threshold``."""

    left: I32
    right: I32
    feature: I32
    threshold: F32  # the leaf's value at a leaf
    default_left: Bool
    mean: NDArray[np.float64]  # of the leaves below, weighted by the sum of Hessians


@dataclass(frozen=True, slots=True)
class Forest:
    """All trees, and the margin that they start from."""

    trees: tuple[Tree, ...]
    base: float

    def bias(self) -> float:
        """Return the expected margin: base plus the mean of every root."""
        return self.base + float(sum(tree.mean[0] for tree in self.trees))


def load_booster(data: bytes) -> xgboost.Booster:
    """Return the booster of UBJSON bytes, on one thread. ValueError where they are not one."""
    booster = xgboost.Booster({"nthread": 1})
    try:
        booster.load_model(bytearray(data))
    except xgboost.core.XGBoostError as error:
        raise ValueError("the booster file is not an xgboost model; train again") from error
    return booster


def read_forest(booster: xgboost.Booster) -> Forest:
    """Return the forest of a binary:logistic booster."""
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    return Forest(tuple(_tree(tree) for tree in trees), base_margin(learner["learner_model_param"]["base_score"]))


def base_margin(base_score: str) -> float:
    """Return the margin of a base score; xgboost writes "5E-1" before 3.1 and "[5E-1]" since."""
    probability = float(base_score.strip("[]"))
    return float(np.log(probability / (1 - probability)))


def _tree(tree: Mapping[str, Any]) -> Tree:
    left, right = (np.array(tree[f"{side}_children"], np.int32) for side in ("left", "right"))
    threshold = np.array(tree["split_conditions"], np.float32)
    weight = np.array(tree["sum_hessian"], np.float64)
    mean = threshold.astype(np.float64)
    # Children always have higher ids than their parent.
    for node in range(len(left) - 1, -1, -1):
        if left[node] >= 0:
            sides = [int(left[node]), int(right[node])]
            total = weight[sides].sum()
            mean[node] = (mean[sides] @ weight[sides]) / total if total > 0 else mean[sides].mean()
    return Tree(
        left,
        right,
        np.array(tree["split_indices"], np.int32),
        threshold,
        np.array(tree["default_left"], np.bool_),
        mean,
    )


def saabas(tree: Tree, group_of: I64, groups: int) -> NDArray[np.float64]:
    """Return what each group added on the way to each leaf, float64[nodes, groups]; they sum to value - root mean.

    Rows of other nodes are 0.
    """
    sums = np.zeros((len(tree.left), groups))
    inner = np.flatnonzero(tree.left >= 0).tolist()
    # Parents always have lower ids than their children.
    for node in inner:
        for child in (int(tree.left[node]), int(tree.right[node])):
            sums[child] = sums[node]
            sums[child, group_of[tree.feature[node]]] += tree.mean[child] - tree.mean[node]
    sums[inner] = 0.0
    return sums


def thresholds(forest: Forest, features: int) -> Sequence[F32]:
    """Return the distinct thresholds of every feature, ascending."""
    found: list[set[float]] = [set() for _ in range(features)]
    for tree in forest.trees:
        for node in np.flatnonzero(tree.left >= 0).tolist():
            found[int(tree.feature[node])].add(float(tree.threshold[node]))
    return [np.array(sorted(values), np.float32) for values in found]
