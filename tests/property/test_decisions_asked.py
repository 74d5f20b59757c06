"""The loop that asks policies for every row at once, against the functions that it says the same as."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.ruling import NO_DECISION
from scoring.policy import ALLOW, DENY, REVIEW, Policy, decide
from scoring.precedence import with_points
from scoring.standing_loops import DEGRADED, NO_BATCH, NO_NUMBER, OVERRIDDEN, ask

POLICIES = (Policy(40, 80, 5), Policy(1, 100, 0.5), Policy(30.1, 30.3, 0.1), Policy(60, 90))
LIMITS = np.array([[one.review, one.deny, one.margin] for one in POLICIES], np.float32)


def asked(score: Any, added: Any, place: Any, override: Any, degraded: Any) -> tuple[int, Any, Any, Any]:
    """Return what the loop returns and writes."""
    rows = len(score)
    out = np.empty((3, rows), np.float32), np.empty((rows, 3), np.uint8), np.empty(rows, np.uint64)
    ids = np.arange(2 * rows, dtype=np.uint64).reshape(rows, 2)
    found = ask((score, added), (override, degraded), NO_DECISION, (LIMITS, place), ids, out)
    return found, *out


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40))
def test_every_row_is_decided_as_one_alone_after_every_standing_decision(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    edges = np.concatenate((LIMITS[:, 0], LIMITS[:, 1], LIMITS[:, 0] - LIMITS[:, 2], LIMITS[:, 1] - LIMITS[:, 2]))
    near = np.concatenate((edges, np.nextafter(edges, np.float32(0)), [np.float32(0), np.float32(100)]))
    score = np.where(rng.random(rows) < 0.5, rng.choice(near, rows), rng.uniform(0, 100, rows)).astype(np.float32)
    added = np.where(rng.random(rows) < 0.5, 0, rng.choice([-200, -5, 0.1, 40, 300], rows)).astype(np.float32)
    place = rng.integers(0, len(POLICIES), rows)
    nobody = np.full(rows, NO_DECISION, np.uint8)
    found, limits, outcome, session = asked(score, added, place, nobody, np.zeros(rows, np.uint8))
    assert found == 0
    assert limits.T.tobytes() == LIMITS[place].tobytes()
    review, deny, margin = limits
    for before in (ALLOW, REVIEW, DENY):
        expected = decide(with_points(score, added), review, deny, margin, np.full(rows, before, np.uint8))
        assert outcome[:, before].tolist() == expected.tolist()
    assert len(set(session.tolist())) == rows


@settings(max_examples=30, deadline=None)
@given(st.booleans(), st.booleans(), st.booleans(), st.integers(0, 4))
def test_what_one_row_has_is_said_of_the_batch(overridden: bool, degraded: bool, broken: bool, row: int) -> None:
    score, added, place = np.full(5, 50, np.float32), np.zeros(5, np.float32), np.zeros(5, np.int64)
    override, away = np.full(5, NO_DECISION, np.uint8), np.zeros(5, np.uint8)
    override[row] = DENY if overridden else NO_DECISION
    away[row] = degraded
    score[row] = np.nan if broken else 50
    expected = OVERRIDDEN * overridden | DEGRADED * degraded | NO_NUMBER * broken
    assert asked(score, added, place, override, away)[0] == expected


def test_columns_of_different_lengths_are_no_batch() -> None:
    columns: list[Any] = [np.full(5, 50, np.float32), np.zeros(5, np.float32), np.zeros(5, np.int64)]
    columns += [np.full(5, NO_DECISION, np.uint8), np.zeros(5, np.uint8)]
    assert asked(*columns)[0] == 0
    for short in range(1, len(columns)):
        assert asked(*(column[:4] if at == short else column for at, column in enumerate(columns)))[0] == NO_BATCH
