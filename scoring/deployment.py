"""Deployment: which models score now. It is replaced as a whole, between two batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scoring.model import Model


@dataclass(frozen=True, slots=True, eq=False)
class Deployment:
    """The models in use. ValueError where a candidate's share is none.

    The candidate scores the events of ``percent`` of all devices, chosen by a hash of their ids, in place of the live
    model. Shadows score every event beside it, for comparison only.
    """

    live: Model
    candidate: Model | None = None
    percent: float = 0.0  # 0 to 100
    shadows: tuple[Model, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a share that is none."""
        if not 0 <= self.percent <= 100:
            raise ValueError(f"deployment: a share of {self.percent:g}% is none; give 0 to 100")


CurrentDeployment = Callable[[], Deployment]
"""Gives the deployment to score the next batch with. It must not block."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """The same deployment for every batch: tests, training, benchmarks and replays."""

    deployment: Deployment

    def __call__(self) -> Deployment:
        """Return it."""
        return self.deployment


def only(model: Model) -> Fixed:
    """Return the deployment of one model alone."""
    return Fixed(Deployment(model))
