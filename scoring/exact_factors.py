"""Exact contributions as people read them: every factor group with its sentence, and what tells most inside it."""

from __future__ import annotations

import msgspec
import numpy as np

from schemas.batches import F32
from scoring.explain import say
from scoring.features import feature_schema
from scoring.groups import GROUPS, feature_groups
from scoring.shap import Exact

DIGITS = 6  # of a contribution
_FEATURES = 5  # of a group


class FeatureShare(msgspec.Struct, frozen=True):
    """What one feature adds, in log-odds. ``value`` None: the event does not show it."""

    name: str
    value: float | None
    contribution: float


class GroupShare(msgspec.Struct, frozen=True):
    """What one factor group adds, in log-odds: positive raises the score. ``features``: those that add most."""

    code: str
    text: str
    contribution: float
    features: list[FeatureShare]


def group_shares(exact: Exact, features: F32, row: int = 0) -> list[GroupShare]:
    """Return all groups of one event of ``exact``, the strongest first; ``features`` is its row, float32[F]."""
    order = np.argsort(-np.abs(exact.groups[row]), kind="stable").tolist()
    return [
        GroupShare(
            GROUPS[group].code,
            say(group, features),
            round(float(exact.groups[row, group]), DIGITS),
            _strongest(group, exact.features[row], features),
        )
        for group in order
    ]


def _strongest(group: int, shares: F32, features: F32) -> list[FeatureShare]:
    names = feature_schema().names
    members = np.flatnonzero((feature_groups() == group) & (shares != 0))
    order = members[np.argsort(-np.abs(shares[members]), kind="stable")][:_FEATURES].tolist()
    return [
        FeatureShare(
            names[at],
            None if np.isnan(features[at]) else float(features[at]),
            round(float(shares[at]), DIGITS),
        )
        for at in order
    ]
