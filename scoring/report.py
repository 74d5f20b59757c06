"""The report of a training: everything measured on the hold-out, as one JSON object that is the same for one seed."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
import xgboost
from numpy.typing import NDArray

from schemas.batches import F32, Bool
from schemas.environment import BROWSERS, SYSTEMS
from scoring import metrics
from scoring.drift import Last, Reference, drift, reference
from scoring.groups import GROUP_CODES, feature_groups
from scoring.leaf_factors import at_leaves
from scoring.metrics import Floats
from scoring.train import PARAMETERS, Plan, Trained, gains, margins_of
from scoring.training_set import Rows, TrainingSet, Window, parts_of, window
from scoring.trees import load_booster

_COMPARED = 2_000  # flagged events whose exact TreeSHAP is computed: 2 ms each
_TOLD = 25  # features and groups
_SCORES = (1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99)
_BINS = 20


class Goal(NamedTuple):
    """What a model that ships must reach."""

    figure: str
    least: float | None
    most: float | None

    def met(self, value: float) -> bool:
        """Return whether a value reaches it."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


GOALS = (
    Goal("roc_auc", 0.97, None),
    Goal("recall_at_1pct_fpr", 0.85, None),
    Goal("calibration_error", None, 0.03),
    Goal("top_factor_agreement", 0.95, None),
)


@dataclass(frozen=True, slots=True)
class HoldOut:
    """The hold-out as columns: rows of the training set, and what the model says of them."""

    rows: Rows
    features: F32
    labels: NDArray[np.int8]
    score: Floats
    weights: Floats
    kinds: NDArray[np.str_]


class Report(NamedTuple):
    """What is told of a training, and the histograms that the next one is compared with."""

    told: dict[str, Any]
    reference: Reference
    window: Window

    def encode(self) -> bytes:
        """Return ``report.json``, the same for the same report."""
        return json.dumps(self.told, indent=1, allow_nan=False).encode() + b"\n"


def make_report(data: TrainingSet, trained: Trained, plan: Plan, last: Last | None = None) -> Report:
    """Measure everything. ``last`` is the model that drift is measured against."""
    booster = load_booster(trained.booster)
    rows = trained.split.test
    features = data.features[rows]
    score = trained.calibration.score(margins_of(booster, features))
    kinds = np.array([data.kinds[row] for row in rows.tolist()])
    held = HoldOut(rows, features, data.labels[rows], score, data.weights[rows], kinds)
    used = gains(booster, data.names)
    kept = _reference(data, trained, held, [name for name, _ in used])
    agreement = _agreement(booster, trained, held, plan)
    figures = {**trained.metrics, "top_factor_agreement": agreement["agreement"]}
    told = {
        "figures": {name: value for name, value in figures.items() if not isinstance(value, Mapping)},
        "goals": [_goal(goal, figures[goal.figure]) for goal in GOALS],
        "training": _training(data, trained, plan, len(used)),
        **metrics.curves(held.labels, score, held.weights),
        **_thresholds(held, plan),
        "calibration": _calibration(held),
        "scores": _scores(held),
        "attackers": _attackers(held, plan),
        "false_positives": {
            name: _false_positives(held, data.names, f"environment.{name}", known, plan)
            for name, known in (("browser", BROWSERS), ("system", SYSTEMS))
        },
        "features": [{"name": name, "gain": gain, "group": _group(data, name)} for name, gain in used[:_TOLD]],
        "groups": _groups(booster, trained, held),
        "factors": agreement,
        "drift": None if last is None else _drift(last, data, trained, kept, figures),
    }
    return Report(told, kept, window(data))


def _goal(goal: Goal, value: float) -> dict[str, Any]:
    return {**goal._asdict(), "value": value, "met": goal.met(value)}


def _training(data: TrainingSet, trained: Trained, plan: Plan, used: int) -> dict[str, Any]:
    seen = window(data)
    return {
        "rows": seen.rows,
        "weight": round(float(data.weights.sum()), 3),
        "first": seen.first,
        "last": seen.last,
        "sources": seen.sources,
        "parts": parts_of(data, trained.split),
        "seed": plan.seed,
        "trees": trained.trees,
        "depth": plan.depth,
        "learning_rate": plan.learning_rate,
        "parameters": dict(PARAMETERS),
        "features": len(data.names),
        "features_used": used,
        "libraries": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "xgboost": xgboost.__version__,
            "onnx": onnx.__version__,
            "onnxruntime": onnxruntime.__version__,
        },
    }


def _thresholds(held: HoldOut, plan: Plan) -> dict[str, Any]:
    wanted = sorted({*map(float, _SCORES), plan.policy.review, plan.policy.deny})
    said = {plan.policy.review: "review", plan.policy.deny: "deny"}
    at_rates = []
    for rate in metrics.FALSE_POSITIVES:
        found = metrics.threshold_at(held.labels, held.score, rate, held.weights)
        at_rates.append({"at_most": rate, **metrics.at_threshold(held.labels, held.score, found, held.weights)})
    return {
        "thresholds": [
            {"decides": said.get(one, ""), **metrics.at_threshold(held.labels, held.score, one, held.weights)}
            for one in wanted
        ],
        "at_false_positive_rates": at_rates,
    }


def _calibration(held: HoldOut) -> list[dict[str, float]]:
    """Return the bins that hold events: mean prediction and share of fraud, both of 0 to 1."""
    columns = metrics.calibration(held.labels, held.score / 100, held.weights)
    return [
        {"predicted": round(predicted / events, 5), "happened": round(happened / events, 5), "events": round(events, 2)}
        for predicted, happened, events in zip(*(column.tolist() for column in columns), strict=True)
        if events
    ]


def _scores(held: HoldOut) -> dict[str, list[float]]:
    """Return the number of honest and of fraudulent events by score, in bins of 5."""
    fraud = held.labels == 1
    counts = {}
    for name, chosen in (("honest", ~fraud), ("fraud", fraud)):
        found, _ = np.histogram(held.score[chosen], _BINS, (0, 100), weights=held.weights[chosen])
        counts[name] = found.round(2).tolist()
    return counts


def _attackers(held: HoldOut, plan: Plan) -> list[dict[str, Any]]:
    at_1pct = metrics.threshold_at(held.labels, held.score, 0.01, held.weights)
    borders = {"review": plan.policy.review, "deny": plan.policy.deny, "at_1pct_fpr": at_1pct}
    found = []
    for kind in sorted(set(held.kinds[held.labels == 1].tolist())):
        mine: Bool = (held.kinds == kind) & (held.labels == 1)
        recalls = {
            name: round(metrics.share(held.score >= border, mine, held.weights), 4) for name, border in borders.items()
        }
        found.append({"kind": kind, "events": int(mine.sum()), **recalls})
    return found


def _false_positives(
    held: HoldOut, names: tuple[str, ...], column: str, known: tuple[str, ...], plan: Plan
) -> list[dict[str, Any]]:
    """Return by browser or system the honest events and the share of them that would be reviewed."""
    values = np.nan_to_num(held.features[:, names.index(column)], nan=0.0).astype(np.intp)
    honest, flagged = held.labels == 0, held.score >= plan.policy.review
    found = []
    for code in sorted(set(values[honest].tolist())):
        mine = honest & (values == code)
        name = known[code] if code < len(known) else str(code)
        rate = metrics.share(flagged, mine, held.weights)
        found.append({"name": name, "events": int(mine.sum()), "false_positive_rate": round(rate, 5)})
    return sorted(found, key=lambda one: (-one["events"], one["name"]))


def _group(data: TrainingSet, name: str) -> str:
    return GROUP_CODES[int(feature_groups()[data.names.index(name)])]


def _leaves(booster: xgboost.Booster, rows: F32) -> Rows:
    leaves = booster.predict(xgboost.DMatrix(rows, nthread=1), pred_leaf=True)
    return leaves.astype(np.intp).reshape(len(rows), -1)


def _groups(booster: xgboost.Booster, trained: Trained, held: HoldOut) -> list[dict[str, Any]]:
    """Return the factor groups by the mean size of what they add, in log-odds."""
    sizes = np.average(
        np.abs(at_leaves(trained.factors, _leaves(booster, held.features))), axis=0, weights=held.weights
    )
    ordered = sorted(zip(GROUP_CODES, sizes.tolist(), strict=True), key=lambda item: (-item[1], item[0]))
    return [{"code": code, "mean_contribution": round(size, 5)} for code, size in ordered[:_TOLD]]


def _agreement(booster: xgboost.Booster, trained: Trained, held: HoldOut, plan: Plan) -> dict[str, Any]:
    """Return how often a flagged event's first factor is that of exact TreeSHAP, and how far they differ at most."""
    flagged = np.flatnonzero(held.score >= plan.policy.review)
    if not flagged.size:
        return {"events": 0, "agreement": 0.0, "top_3_overlap": 0.0, "largest_difference": 0.0}
    chosen = flagged[np.unique(np.linspace(0, len(flagged) - 1, min(len(flagged), _COMPARED)).astype(np.intp))]
    rows = held.features[chosen]
    shares = booster.predict(xgboost.DMatrix(rows, nthread=1), pred_contribs=True).astype(np.float64)
    exact = np.zeros((len(rows), len(GROUP_CODES)))
    np.add.at(exact.T, feature_groups(), shares[:, :-1].T)
    told = at_leaves(trained.factors, _leaves(booster, rows))
    three, exact_three = (np.argsort(-values, axis=1, kind="stable")[:, :3] for values in (told, exact))
    return {
        "events": len(rows),
        "agreement": round(float((told.argmax(axis=1) == exact.argmax(axis=1)).mean()), 5),
        "top_3_overlap": round(float((three[:, :, None] == exact_three[:, None]).any(axis=2).mean()), 5),
        "largest_difference": round(float(np.abs(told - exact).max()), 4),
    }


def _reference(data: TrainingSet, trained: Trained, held: HoldOut, used: list[str]) -> Reference:
    place = {name: column for column, name in enumerate(data.names)}
    ordered = sorted(used, key=place.__getitem__)
    fit = trained.split.fit
    columns = data.features[fit][:, [place[name] for name in ordered]]
    return reference(ordered, columns, held.score, held.weights, data.weights[fit])


def _drift(
    last: Last, data: TrainingSet, trained: Trained, kept: Reference, figures: Mapping[str, Any]
) -> dict[str, Any]:
    fit = trained.split.fit
    return drift(last, data.names, data.features[fit], data.weights[fit], kept.score, figures)
