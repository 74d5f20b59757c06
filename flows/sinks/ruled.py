"""What rules and lists said, as results and tables have it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from schemas.batches import Decided
from schemas.result import DECISIONS, RulesSaid, TriedRules
from schemas.ruling import BY, Ruling
from scoring.precedence import with_points

DECIMALS = 4


def rules_said(batch: Decided) -> Iterator[RulesSaid]:
    """Yield what was said of each row."""
    section = batch.rules
    scores = np.round(with_points(batch.score.score, section.added).astype(np.float64), DECIMALS).tolist()
    rows = zip(scores, batch.decision.by.tolist(), section.said, strict=True)
    added = section.added.tolist()
    for row, (score, by, said) in enumerate(rows):
        if said is None:
            yield RulesSaid(BY[by], score)
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
                shadows=_tried(batch, row, said),
            )


def _tried(batch: Decided, row: int, said: Ruling) -> tuple[TriedRules, ...]:
    decisions = batch.decision.shadow_rules[row].tolist()
    return tuple(TriedRules(one.ruleset, DECISIONS[decisions[one.place]], one.matched) for one in said.shadows)
