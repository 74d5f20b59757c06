"""What rules and lists said, as results and tables have it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from schemas.batches import Decided
from schemas.result import DECISIONS, RulesSaid, TriedRules
from schemas.ruling import BY, BY_MODEL, Ruling
from scoring.precedence import with_points

DECIMALS = 4


def rules_said(batch: Decided) -> Iterator[RulesSaid]:
    """Yield what was said of each row."""
    section = batch.rules
    scores = np.round(scores_with_points(batch).astype(np.float64), DECIMALS).tolist()
    rows = zip(scores, batch.decision.by.tolist(), section.said, strict=True)
    added, policy = section.added.tolist(), batch.decision.by_policy.tolist()
    for row, (score, by, said) in enumerate(rows):
        by_policy = policy_said(by, policy[row])
        if said is None:
            yield RulesSaid(BY[by], score, by_policy=by_policy)
        else:
            yield RulesSaid(
                decided_by=BY[by],
                score=score,
                added=added[row],
                matched=said.matched,
                reasons=said.reasons,
                tags=said.tags,
                alerts=said.alerts,
                ruleset=section.ruleset_of(row),
                degraded=said.degraded,
                shadows=tried(batch, row, said),
                by_policy=by_policy,
            )


def scores_with_points(batch: Decided) -> NDArray[np.float32]:
    """Return the scores that the policy looked at, float32[n]."""
    return with_points(batch.score.score, batch.rules.added)


def policy_said(by: int, by_policy: int) -> str:
    """Return what the policy alone decided, empty where nothing else did."""
    return "" if by == BY_MODEL else DECISIONS[by_policy]


def tried(batch: Decided, row: int, said: Ruling) -> tuple[TriedRules, ...]:
    """Return what rulesets that are tried would have decided of a row."""
    if not said.shadows:
        return ()
    decisions = batch.decision.shadow_rules[row].tolist()
    return tuple(TriedRules(one.ruleset, DECISIONS[decisions[one.place]], one.matched) for one in said.shadows)
