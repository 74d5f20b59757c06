"""Parity: a graph that does not score like the booster it was exported from is refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xgboost

from schemas.batches import F32
from scoring.golden import ROOM, Golden, beyond, largest
from scoring.leaf_factors import LeafFactors, at_leaves
from scoring.model import open_session
from scoring.train import Calibration
from scoring.trees import load_booster, read_forest, thresholds

GOLDEN_ROWS = 512
GOLDEN_KEPT = 128  # with the model: a flow runs them each time it loads one


class ParityError(ValueError):
    """The graph and the booster disagree."""


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest differences found: of margins relative to max(1, |margin|), of the rest absolute."""

    rows: int
    margin: float
    score: float
    contribution: float
    sum_of_contributions: float


def golden_rows(booster: xgboost.Booster, features: int, rows: int = GOLDEN_ROWS, seed: int = 11) -> F32:
    """Return float32[rows, F] that try every border: exact thresholds, their neighbours, NaN, 0, and far values.

    The first row is all NaN. The same booster and seed give the same rows.
    """
    rng = np.random.default_rng(seed)
    table = np.empty((rows, features), np.float32)
    for column, borders in enumerate(thresholds(read_forest(booster), features)):
        known = borders if borders.size else np.zeros(1, np.float32)
        low, high = (np.nextafter(known, np.float32(side)) for side in (-np.inf, np.inf))
        pool = np.concatenate((known, known, low, high, np.array([np.nan, np.nan, 0.0, -1e9, 1e9], np.float32)))
        table[:, column] = rng.choice(pool, rows)
    table[0] = np.nan
    return table


def golden_of(
    booster: xgboost.Booster, calibration: Calibration, factors: LeafFactors, features: int, rows: F32 | None = None
) -> Golden:
    """Return what is right for the golden rows, or for ``rows``: contributions of the leaves that XGBoost finds."""
    golden = golden_rows(booster, features, GOLDEN_KEPT) if rows is None else rows
    columns = xgboost.DMatrix(golden, nthread=1)
    margin = booster.predict(columns, output_margin=True).astype(np.float64)
    leaves = booster.predict(columns, pred_leaf=True).astype(np.intp).reshape(len(golden), -1)
    return Golden(golden, margin, calibration.score(margin), at_leaves(factors, leaves).astype(np.float32))


def measure_parity(
    graph: bytes,
    booster_file: bytes,
    calibration: Calibration,
    factors: LeafFactors,
    features: int,
    rows: F32 | None = None,
) -> Parity:
    """Compare graph and booster on the golden rows, or on ``rows``. Never raises for a difference."""
    booster = load_booster(booster_file)
    tried = golden_rows(booster, features) if rows is None else rows
    golden = golden_of(booster, calibration, factors, features, tried)
    session = open_session(graph)
    (found,) = session.run(["contributions"], {"features": tried})
    total = found.astype(np.float64).sum(axis=1) + read_forest(booster).bias()
    scale = np.maximum(np.abs(golden.margin), 1.0)
    return Parity(
        rows=len(tried),
        sum_of_contributions=largest(np.abs(total - golden.margin) / scale),
        **golden.differences(session),
    )


def verify(graph: bytes, booster_file: bytes, calibration: Calibration, factors: LeafFactors, features: int) -> Parity:
    """Return the parity, or raise ParityError where the model must not be used."""
    parity = measure_parity(graph, booster_file, calibration, factors, features)
    if wrong := beyond({name: getattr(parity, name) for name in ROOM}):
        raise ParityError(f"the graph's {wrong}")
    return parity
