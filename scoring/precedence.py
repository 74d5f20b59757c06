"""What decides about an event: an allow list, then a deny list, then rules, then the model's score by the policy.

The same for events of the flow as ``scoring.rules.evaluate`` and ``outage`` say it for one event, by column. Points
that rules add belong to the score that the policy looks at. What lists, rules or an outage decide is of this event
alone: a session's standing decision is what the policy makes of its score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from schemas.batches import F32, U8, Rules
from schemas.result import DECISIONS
from schemas.ruling import BY_ALLOW_LIST, BY_DEGRADED, BY_DENY_LIST, BY_MODEL, NO_DECISION
from scoring.policy import Policies

HIGHEST: Final = np.float32(100)


def with_points(score: Any, added: Any) -> F32:
    """Return scores with the points of rules, float32, kept within 0 to 100; as they are where none are added."""
    score, added = np.asarray(score, np.float32), np.asarray(added, np.float32)
    if not added.any():
        return score
    return np.where(added == 0, score, np.clip(score + added, np.float32(0), HIGHEST)).astype(np.float32)


def settled(rules: Rules, by_policy: U8, when_degraded: U8) -> tuple[U8, U8]:
    """Return what is decided and who did, both uint8[n].

    ``when_degraded``: of rows that are degraded what the merchant's policies say, else NO_DECISION. It stands where
    neither lists nor a rule that is as strict decides.
    """
    override, by = rules.override, rules.by
    if (when_degraded != NO_DECISION).any():
        listed = (by == BY_ALLOW_LIST) | (by == BY_DENY_LIST)
        milder = (override == NO_DECISION) | (override < when_degraded)
        taken = (when_degraded != NO_DECISION) & ~listed & milder
        override, by = np.where(taken, when_degraded, override), np.where(taken, BY_DEGRADED, by).astype(np.uint8)
    none = override == NO_DECISION
    if none.all():
        return by_policy, np.full(len(by_policy), BY_MODEL, np.uint8)
    return np.where(none, by_policy, override), np.where(none, BY_MODEL, by).astype(np.uint8)


def when_degraded(policies: Policies, merchants: Sequence[str], degraded: Any) -> U8:
    """Return what decides rows in which history or lists could not be asked, uint8[n], NO_DECISION for all others."""
    found = np.full(len(merchants), NO_DECISION, np.uint8)
    for row in np.flatnonzero(degraded).tolist():
        said = policies.when_degraded(merchants[row])
        if said != "model":
            found[row] = DECISIONS.index(said)
    return found
