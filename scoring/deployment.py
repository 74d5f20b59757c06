"""Deployment: which models score now. It is replaced as a whole, between two batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scoring.model import Model
from scoring.policy import Policy


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


@dataclass(slots=True, eq=False)
class LastTaken:
    """What the score stage takes its deployment from, and remembers: decisions go by the models that scored."""

    current: CurrentDeployment
    last: Deployment | None = None

    def __call__(self) -> Deployment:
        """Take the current one."""
        self.last = self.current()
        return self.last

    def own_policy(self, version: str) -> Policy:
        """Return the thresholds that a model was measured at; of one that is not deployed, the live model's."""
        last = self.last or self()
        candidate = last.candidate
        return candidate.policy if candidate is not None and candidate.version == version else last.live.policy
