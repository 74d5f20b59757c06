"""Policy: from a score to a decision, by thresholds of the merchant and of what the visit is for.

**Hysteresis.** Each threshold is a Schmitt trigger: a score at or above it switches the stricter decision on, and only
one below it by more than ``margin`` switches it off again. So a session whose score moves to and fro about a threshold
is decided once, not with every event. A session's standing decision is what its last event was given.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property, lru_cache
from hashlib import sha256
from typing import Any, Final, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from schemas.batches import F32, U8
from schemas.result import DECISIONS

ALLOW, REVIEW, DENY = (DECISIONS.index(name) for name in ("allow", "review", "deny"))
USUAL_MARGIN: Final = 5.0  # points of the score, where nobody says another one
LIMITS: Final = ("review", "deny", "margin")
WhenDegraded = Literal["allow", "review", "deny", "model"]
"""What decides where rules could not ask history or lists. model: rules that need neither, and the model."""
WHEN_DEGRADED: Final[tuple[WhenDegraded, ...]] = get_args(WhenDegraded)
_DIGITS: Final = 16  # of a digest, in hexadecimal
_PAIRS_KEPT: Final = 4_096  # merchants with event types whose policy was looked up lately


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds on the score: from ``review`` on a person looks, from ``deny`` on the payment is refused.

    ``margin``: how far below a threshold the score must fall to leave the stricter decision of before.
    """

    review: float = 40.0
    deny: float = 80.0
    margin: float = 0.0

    def __post_init__(self) -> None:
        """Refuse thresholds that decide nothing, and a margin that keeps a decision for good."""
        if not 0 < self.review < self.deny <= 100:
            raise ValueError(f"policy: review {self.review:g} and deny {self.deny:g} must rise inside 0 to 100")
        if not 0 <= self.margin <= self.widest_margin(self.review, self.deny):
            raise ValueError(
                f"policy: margin {self.margin:g} must be from 0 to half of review {self.review:g}, and not more than "
                f"lies between review and deny {self.deny:g}"
            )

    @staticmethod
    def widest_margin(review: float, deny: float) -> float:
        """Return the widest margin that leaves both decisions: deny ends above review, and review above 0."""
        return min(review / 2, deny - review)

    @classmethod
    @lru_cache(_PAIRS_KEPT)
    def usual(cls, review: float, deny: float) -> Self:
        """Return the policy with the usual margin, or the widest where that is less."""
        return cls(review, deny, max(0.0, min(USUAL_MARGIN, cls.widest_margin(review, deny))))

    def decide(self, score: F32) -> U8:
        """Return decisions uint8[n] for scores float32[n] of sessions that nothing is known of."""
        return decide(score, self.review, self.deny, self.margin, ALLOW)


def decide(score: Any, review: Any, deny: Any, margin: Any, before: Any) -> U8:
    """Return decisions uint8, given scores, thresholds and standing decisions of one shape, or that broadcast to it.

    All is compared in float32, whatever it comes as, so that what was stored gives the same again. A threshold itself
    belongs to the stricter side. ValueError where a score is not a number.
    """
    score = np.asarray(score, np.float32)
    if np.isnan(score).any():
        raise ValueError("a score is not a number: the model is broken")
    return _decide(score, review, deny, margin, before)


def decide_apart(score: F32, review: F32, deny: F32) -> U8:
    """Return what scores float32[n, S] of S models would decide by thresholds [n], each event looked at alone.

    A score that is not a number, of a model that failed, is decided as 0 is; the score itself says so.
    """
    if not score.size:
        return np.empty(score.shape, np.uint8)
    return _decide(score, review[:, None], deny[:, None], np.float32(0), np.uint8(ALLOW))


def _decide(score: F32, review: Any, deny: Any, margin: Any, before: Any) -> U8:
    review, deny, margin = (np.asarray(limit, np.float32) for limit in (review, deny, margin))
    before = np.asarray(before)
    denied = score >= np.where(before >= DENY, deny - margin, deny)
    reviewed = score >= np.where(before >= REVIEW, review - margin, review)
    return np.where(denied, DENY, np.where(reviewed, REVIEW, ALLOW)).astype(np.uint8)


@dataclass(frozen=True)
class Policies:
    """Policies by merchant and event type. The most specific one decides, whole: nothing is taken from another.

    In this order: of the merchant and the event type, of the merchant, of the event type, the default; where there is
    none of these, the model's own thresholds. ``degraded``: what decides where rules could not ask history or lists,
    and ``degraded_of`` the same for merchants that say otherwise (``scoring/rules/outage.py``).
    """

    default: Policy | None = None
    of_event_type: Mapping[str, Policy] = field(default_factory=dict)
    of_merchant: Mapping[str, Policy] = field(default_factory=dict)
    of_both: Mapping[tuple[str, str], Policy] = field(default_factory=dict)
    degraded: WhenDegraded = "model"
    degraded_of: Mapping[str, WhenDegraded] = field(default_factory=dict)

    def which(self, merchant: str, event_type: str) -> tuple[str, Policy | None]:
        """Return of what the policy is that decides, and the policy, None for the model's own thresholds."""
        steps = (
            ("merchant and event type", self.of_both.get((merchant, event_type))),
            ("merchant", self.of_merchant.get(merchant)),
            ("event type", self.of_event_type.get(event_type)),
            ("default", self.default),
        )
        return next(((of, policy) for of, policy in steps if policy is not None), ("model", None))

    def find(self, merchant: str, event_type: str) -> Policy | None:
        """Return the policy that decides, None for the model's own thresholds."""
        return self.which(merchant, event_type)[1]

    def when_degraded(self, merchant: str) -> WhenDegraded:
        """Return what decides about a merchant's events where rules could not ask history or lists."""
        return self.degraded_of.get(merchant, self.degraded)

    @property
    def differ(self) -> bool:
        """Return whether some merchants or event types have a policy of their own."""
        return bool(self.of_both or self.of_merchant or self.of_event_type)

    def limits(self, merchants: Sequence[str], event_types: Sequence[str], own: F32) -> F32:
        """Return review, deny and margin of each event, float32[n, 3]; ``own``: those of the model, the same shape."""
        if not self.differ:
            return own if self.default is None else np.broadcast_to(_row(self.default), own.shape)
        place, table = self._places
        chosen = table[list(map(place, merchants, event_types))]
        return np.where(np.isnan(chosen), own, chosen)

    @cached_property
    def _places(self) -> tuple[Callable[[str, str], int], F32]:
        """Return where the policy of a merchant and event type lies in a table float32[k, 3]; NaN: the model's own."""
        several = (self.of_both.values(), self.of_merchant.values(), self.of_event_type.values())
        policies = [*(policy for some in several for policy in some), *([self.default] if self.default else []), None]
        rows = {policy: row for row, policy in enumerate(policies)}

        def place(merchant: str, event_type: str) -> int:
            return rows[self.find(merchant, event_type)]

        table = np.array([_row(policy) for policy in policies], np.float32)
        return lru_cache(_PAIRS_KEPT)(place), table  # event types are what merchants say: the cache must be bounded

    def __getstate__(self) -> dict[str, Any]:
        """Pickle what was given, not what was made of it."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def content(self) -> list[dict[str, Any]]:
        """Return all policies in a fixed order and form; a merchant or event type of None stands for every one."""
        said: list[tuple[str | None, str | None, Policy]] = [
            *((merchant, event_type, policy) for (merchant, event_type), policy in sorted(self.of_both.items())),
            *((merchant, None, policy) for merchant, policy in sorted(self.of_merchant.items())),
            *((None, event_type, policy) for event_type, policy in sorted(self.of_event_type.items())),
            *([(None, None, self.default)] if self.default else []),
        ]
        return [
            {"merchant": merchant, "event_type": event_type}
            | {name: float(str(limit)) for name, limit in zip(LIMITS, _row(policy), strict=True)}
            for merchant, event_type, policy in said
        ]

    def degraded_content(self) -> dict[str, Any]:
        """Return what decides where rules could not ask, in a fixed form, without merchants that say the default."""
        apart = {merchant: said for merchant, said in sorted(self.degraded_of.items()) if said != self.degraded}
        return {"default": self.degraded, "merchants": apart}

    @cached_property
    def digest(self) -> str:
        """Return what names the content, 16 hexadecimal digits: files that decide alike have the same."""
        said: Any = self.content()
        degraded = self.degraded_content()
        if degraded != _USUAL_WHEN_DEGRADED:
            said = {"policies": said, "degraded": degraded}
        canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
        return sha256(canonical.encode()).hexdigest()[:_DIGITS]


_USUAL_WHEN_DEGRADED: Final = Policies().degraded_content()


def _row(policy: Policy | None) -> NDArray[np.float32]:
    return np.array((np.nan,) * 3 if policy is None else (policy.review, policy.deny, policy.margin), np.float32)


CurrentPolicies = Callable[[], Policies]
"""Gives the policies to decide the next batch by. It must not block."""
OwnPolicy = Callable[[str], Policy]
"""Gives the thresholds of a model itself, by its version."""


@dataclass(frozen=True, slots=True)
class FixedPolicies:
    """The same policies for every batch: tests, benchmarks and replays."""

    policies: Policies = field(default_factory=Policies)

    def __call__(self) -> Policies:
        """Return them."""
        return self.policies
