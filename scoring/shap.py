"""Exact explanations on request: what every feature and every factor group adds to the margin of an event.

TreeSHAP (Lundberg, Erion, Lee: "Consistent Individualized Feature Attribution for Tree Ensembles", 2018) as XGBoost
computes it (``pred_contribs``), 2 ms an event: too slow for the flow. Its factors are sums of these by group, which
leaves know, since no tree mixes groups.
Needs the ``train`` extra.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import xgboost
from numpy.typing import NDArray

from schemas.batches import F32, I64
from scoring.groups import GROUP_CODES, feature_groups
from scoring.model import BOOSTER_FILE, Manifest, ModelError, check_fit, read_file, read_manifest
from scoring.signing import ANYBODY, Trust
from scoring.train import Calibration
from scoring.trees import load_booster

F64 = NDArray[np.float64]
SUM_TOLERANCE = 1e-4  # of the sum of contributions, relative to max(1, |margin|): they are float32, 1,700 of them

SCORE_TOLERANCE = 1e-2  # of scores of 0 to 100: trees and graph of one model differ by less than a tenth of it


class ShapError(ValueError):
    """Contributions explain something else than the score; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Exact:
    """Of n events. Contributions are in log-odds: ``base`` and those of an event sum to its margin."""

    base: float  # the margin that is expected before anything is known
    features: F32  # [n, F]
    groups: F64  # [n, G], in the order of scoring.groups.GROUPS
    margin: F32  # [n]
    score: F64  # [n], 0 to 100


@dataclass(frozen=True, slots=True, eq=False)
class ExactExplainer:
    """A model's booster, and what makes scores of its margins."""

    manifest: Manifest
    booster: xgboost.Booster
    calibration: Calibration

    @classmethod
    def load(cls, directory: Path, trust: Trust = ANYBODY) -> Self:
        """Load and check a model's directory. ModelError where it is damaged or fits another build."""
        manifest = read_manifest(directory, trust)
        check_fit(manifest)
        try:
            booster = load_booster(read_file(directory, manifest, BOOSTER_FILE))
        except ModelError:
            raise
        except ValueError as error:
            raise ModelError(f"{directory / BOOSTER_FILE} cannot be used: {error}") from error
        return cls(manifest, booster, Calibration(manifest.slope, manifest.offset))

    def __call__(self, features: F32) -> Exact:
        """Explain float32[n, F]. ShapError where the contributions do not add up."""
        columns = xgboost.DMatrix(features, nthread=1)
        margin = self.booster.predict(columns, output_margin=True)
        found = self.booster.predict(columns, pred_contribs=True)
        found = found.reshape(len(features), features.shape[1] + 1)  # of no rows XGBoost gives one dimension
        shares = found[:, :-1]
        exact = Exact(
            base=float(found[0, -1]) if len(found) else self.manifest.bias,
            features=shares,
            groups=by_group(shares, feature_groups(), len(GROUP_CODES)),
            margin=margin,
            score=self.calibration.score(margin),
        )
        check_sum(exact)
        return exact


def by_group(features: F32, group_of: I64, groups: int) -> F64:
    """Return the sums float64[n, G] of contributions [n, F] over each group's features."""
    found = np.zeros((groups, len(features)))
    np.add.at(found, group_of, features.T.astype(np.float64))
    return found.T


def check_sum(exact: Exact) -> None:
    """Refuse contributions that do not add up to the margin: they would explain something else."""
    total = exact.base + exact.groups.sum(axis=1)
    off = np.abs(total - exact.margin) / np.maximum(np.abs(exact.margin), 1.0)
    if off.size and not float(off.max()) <= SUM_TOLERANCE:
        raise ShapError(f"contributions miss the margin by {float(off.max()):.2g}, over {SUM_TOLERANCE:.0e}")


def check_score(exact: Exact, score: F32) -> None:
    """Refuse contributions of other trees than those whose graph gave the scores, float32[n]."""
    off = np.abs(exact.score - score)
    if off.size and not float(off.max()) <= SCORE_TOLERANCE:
        raise ShapError(f"the model's trees and its graph differ by {float(off.max()):.2g} points of the score")
