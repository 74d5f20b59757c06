"""Training: gradient-boosted trees on plain matrices, split by time, calibrated, and the same twice for one seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import xgboost
from numpy.typing import NDArray

from schemas.batches import F32, I8
from scoring.features import feature_schema
from scoring.groups import GROUP_CODES, feature_groups
from scoring.leaf_factors import LeafFactors, leaf_factors
from scoring.metrics import measure
from scoring.policy import Policy
from scoring.training_set import Rows, Split, TrainingSet, split
from scoring.trees import read_forest

_STEPS = 50  # of Newton's method; it converges in under 10
_BINS = 128
PARAMETERS: Final[Mapping[str, str | float]] = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
    "max_bin": _BINS,
    "subsample": 0.8,
    # Few columns a tree and a node: the score rests on many signals, and not on the one that separates best in a
    # simulation and is the first that an attacker corrects.
    "colsample_bytree": 0.35,
    "colsample_bynode": 0.5,
    "min_child_weight": 6,
    "reg_lambda": 2.0,
    "base_score": 0.5,
}
_TOLD = 10  # features in the metrics; the report has more


@dataclass(frozen=True, slots=True)
class Plan:
    """How to train. Shares are of the events in order of time: training, then validation, then test."""

    seed: int = 7
    trees: int = 300
    depth: int = 6
    learning_rate: float = 0.05
    patience: int = 30
    validation_share: float = 0.15
    test_share: float = 0.15
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class Calibration:
    """``score = 100 * sigmoid(slope * margin + offset)``: Platt's map, monotone, and exact in ONNX."""

    slope: float
    offset: float

    def score(self, margin: NDArray[Any]) -> NDArray[np.float64]:
        """Return scores of 0 to 100."""
        wide = self.slope * np.asarray(margin, np.float64) + self.offset
        return 100.0 / (1.0 + np.exp(-wide))


@dataclass(frozen=True, slots=True)
class Trained:
    """What training gives: the booster as UBJSON, what its leaves explain, its calibration, and figures."""

    booster: bytes
    factors: LeafFactors
    calibration: Calibration
    trees: int
    split: Split
    metrics: dict[str, Any]  # of the hold-out


Progress = Callable[[str, int, int], None]
"""Is told a step's name, how much of it is done, and how much there is."""


def train(data: TrainingSet, plan: Plan | None = None, progress: Progress | None = None) -> Trained:
    """Train, calibrate and measure. ValueError where a part of the split lacks one of the labels."""
    plan = plan or Plan()
    if data.names != feature_schema().names:
        raise ValueError("the training set has other features than this build; make it anew")
    parts = split(data, plan.validation_share, plan.test_share)
    for part, rows in (("training", parts.fit), ("validation", parts.validate), ("hold-out", parts.test)):
        if len(np.unique(data.labels[rows])) != 2:
            raise ValueError(f"the {part} part of the time split lacks fraud or honest events; train on more events")
    booster = _boost(data, parts, plan, progress)
    forest = read_forest(booster)
    factors = leaf_factors(forest, feature_groups(), len(GROUP_CODES))
    held, test = parts.validate, parts.test
    calibration = platt(margins_of(booster, data.features[held]), data.labels[held], data.weights[held])
    score = calibration.score(margins_of(booster, data.features[test]))
    kinds = [data.kinds[row] for row in test.tolist()]
    metrics = measure(data.labels[test], score, kinds, plan.policy.review, data.weights[test])
    metrics["gain_by_feature"] = dict(gains(booster, data.names)[:_TOLD])
    return Trained(bytes(booster.save_raw("ubj")), factors, calibration, len(forest.trees), parts, metrics)


def margins_of(booster: xgboost.Booster, rows: F32) -> NDArray[np.float64]:
    """Return the margins float64[n] of rows float32[n, F]."""
    return booster.inplace_predict(rows, predict_type="margin").astype(np.float64)


def gains(booster: xgboost.Booster, names: Sequence[str]) -> list[tuple[str, float]]:
    """Return the features that split, with their share of the total gain, largest first: where to look for a leak."""
    gain = {name: float(np.sum(value)) for name, value in booster.get_score(importance_type="total_gain").items()}
    total = sum(gain.values())
    largest = sorted(gain.items(), key=lambda item: (-item[1], item[0]))
    return [(names[int(key[1:])], round(value / total, 4)) for key, value in largest]


def _boost(data: TrainingSet, parts: Split, plan: Plan, progress: Progress | None) -> xgboost.Booster:
    columns = _columns(data, parts.fit, None)
    held_out = _columns(data, parts.validate, columns)
    weights, fraud = data.weights[parts.fit], data.labels[parts.fit] == 1
    parameters = {
        **PARAMETERS,
        "max_depth": plan.depth,
        "learning_rate": plan.learning_rate,
        "scale_pos_weight": float(weights[~fraud].sum() / weights[fraud].sum()),
        # No tree mixes factor groups: what a leaf adds is exactly its group's (scoring.leaf_factors).
        "interaction_constraints": json.dumps(_of_each_group()),
        "monotone_constraints": f"({','.join(map(str, monotone(data.names)))})",
        "seed": plan.seed,
        # One thread: the order of sums, and so the model's digest, is the same on every machine.
        "nthread": 1,
    }
    return xgboost.train(
        parameters,
        columns,
        num_boost_round=plan.trees,
        evals=[(held_out, "validation")],
        verbose_eval=False,
        callbacks=[
            xgboost.callback.EarlyStopping(rounds=plan.patience, save_best=True, data_name="validation"),
            *([_Rounds(progress, plan.trees)] if progress else []),
        ],
    )


def _of_each_group() -> list[list[int]]:
    """Return the features of each factor group that has some."""
    group_of = feature_groups()
    return [np.flatnonzero(group_of == group).tolist() for group in np.unique(group_of)]


def _columns(data: TrainingSet, rows: Rows, bins_of: xgboost.QuantileDMatrix | None) -> xgboost.QuantileDMatrix:
    labels = data.labels[rows].astype(np.float32)
    return xgboost.QuantileDMatrix(
        data.features[rows], labels, weight=data.weights[rows], ref=bins_of, nthread=1, max_bin=_BINS
    )


class _Rounds(xgboost.callback.TrainingCallback):
    def __init__(self, tell: Progress, rounds: int) -> None:
        super().__init__()
        self._tell, self._rounds = tell, rounds

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        """Tell the round; never stop."""
        self._tell("growing trees", epoch + 1, self._rounds)
        return False


_RISING = (
    "smart.bot",
    "smart.cdp_automation",
    "smart.headless",
    "smart.tampering",
    "smart.anti_detect_browser",
    "smart.canvas_spoofing",
    "smart.webgl_mismatch",
    "smart.navigator_mismatch",
    "smart.high_activity",
    "smart.velocity_anomaly",
    "smart.scripted_input",
    "velocity.events_",
    "shared.account_devices_5m",
    "shared.account_devices_1h",
    "shared.account_devices_24h",
    "shared.card_devices_5m",
    "shared.card_devices_1h",
    "shared.card_devices_24h",
    "reputation.",
    "activity.untrusted",
    "activity.declined",
    "session.untrusted",
    "session.declined",
)


def monotone(names: Sequence[str]) -> list[int]:
    """Return 1 for features of which more never means less risk, else 0: what a reviewer would find absurd."""
    return [int(name.startswith(_RISING)) for name in names]


def platt(margins: NDArray[np.float64], labels: I8, weights: NDArray[np.float64]) -> Calibration:
    """Fit Platt's map by Newton's method, with his smoothed targets. The slope is positive, or ValueError."""
    positive, negative = float((labels == 1).sum()), float((labels == 0).sum())
    targets = np.where(labels == 1, (positive + 1) / (positive + 2), 1 / (negative + 2))
    design = np.stack((margins, np.ones_like(margins)))
    found = np.array([1.0, 0.0])
    for _ in range(_STEPS):
        probability = 1 / (1 + np.exp(-np.clip(found @ design, -60, 60)))
        gradient = design @ (weights * (probability - targets))
        curvature = (design * (weights * probability * (1 - probability))) @ design.T + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        # A long step can overshoot where all events are far from the border.
        found = found - step * min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-12))
        if float(np.abs(step).max()) < 1e-10:
            break
    if not found[0] > 0:
        raise ValueError("the model ranks the validation part backwards; train on more events")
    return Calibration(float(np.float32(found[0])), float(np.float32(found[1])))
