"""Parity: a graph that does not score like the booster it was exported from is refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xgboost
from numpy.typing import NDArray

from schemas.batches import F32, I64
from scoring.model import open_session
from scoring.train import Calibration
from scoring.trees import load_booster, read_forest, thresholds

TOLERANCE = 1e-5
GOLDEN_ROWS = 512


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


def measure_parity(
    graph: bytes, booster_file: bytes, calibration: Calibration, group_of: I64, groups: int, rows: F32 | None = None
) -> Parity:
    """Compare graph and booster on the golden rows, or on ``rows``. Never raises for a difference."""
    booster = load_booster(booster_file)
    golden = golden_rows(booster, len(group_of)) if rows is None else rows
    names = ["margin", "score", "contributions"]
    margin, score, found = open_session(graph).run(names, {"features": golden})
    columns = xgboost.DMatrix(golden, nthread=1)
    expected = booster.predict(columns, output_margin=True).astype(np.float64)
    shares = booster.predict(columns, pred_contribs=True, approx_contribs=True).astype(np.float64)
    grouped = np.zeros((len(golden), groups))
    np.add.at(grouped.T, group_of, shares[:, :-1].T)
    scale = np.maximum(np.abs(expected), 1.0)
    total = found.astype(np.float64).sum(axis=1) + read_forest(booster).bias()
    return Parity(
        rows=len(golden),
        margin=_largest(np.abs(margin - expected) / scale),
        score=_largest(np.abs(score - calibration.score(expected))),
        contribution=_largest(np.abs(found - grouped)),
        sum_of_contributions=_largest(np.abs(total - expected) / scale),
    )


def _largest(values: NDArray[np.float64]) -> float:
    """Return the largest value; NaN counts as infinite, so that no comparison lets it through."""
    return float(np.nan_to_num(values, nan=np.inf).max())


def verify(graph: bytes, booster_file: bytes, calibration: Calibration, group_of: I64, groups: int) -> Parity:
    """Return the parity, or raise ParityError where the model must not be used."""
    parity = measure_parity(graph, booster_file, calibration, group_of, groups)
    # Contributions are sums of float32 node means, in another order than xgboost's: ten times the room.
    limits = {"margin": 1.0, "score": 100.0, "contribution": 10.0, "sum_of_contributions": 10.0}
    for name, room in limits.items():
        if getattr(parity, name) > TOLERANCE * room:
            raise ParityError(
                f"the graph's {name} differs from xgboost's by {getattr(parity, name):.2g}, over {TOLERANCE * room:.0e}"
            )
    return parity
