"""decide: the stage that turns scores, and what rules and lists say, into decisions (``scoring.precedence``).

**Hysteresis** follows what the policy makes of the score with the points that rules add. What a list, a rule or an
outage decides over it is of that event alone, and never stands for the session.

**What a row sees** of its session depends on the rows of its partition before it, in the order of their offsets, and on
nothing else, however rows are cut into batches: a session that comes several times in a batch is decided one row after
the other. The policies are read once for a batch, of however many partitions, so none is decided by two.

A session that shows itself on two devices may lie in two partitions; each of them remembers what it decided.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from schemas.batches import F32, I64, U8, Decided, Decision, Judged
from schemas.columns import plain, widen
from schemas.event_time import event_time
from schemas.makers import constructor
from schemas.ruling import BY_MODEL, NO_DECISION
from schemas.stage import Part, Snapshot, StageOut, parts_of
from schemas.velocity import SLICES
from scoring.policy import DENY, LIMITS, CurrentPolicies, OwnPolicy, Policies, Policy, decide, decide_apart
from scoring.precedence import settled, when_degraded, with_points
from scoring.standing import Standing, restored
from scoring.standing_loops import DEGRADED, NO_BATCH, NO_NUMBER, OVERRIDDEN, Rows, ask

IDLE_MS: Final = 1_800_000  # as velocity's sessions
MOST_SESSIONS: Final = 1 << 16
_LEAST_BYTES: Final = 16 << 10  # of the slices in a snapshot
_STANDING: Final = DENY + 1  # how many standing decisions there are
_TABLES_KEPT: Final = 64
_decision: Final = constructor(Decision)
_NO_BATCH: Final = "decide: the batch's columns differ in length"


class Decide:
    """The stage, keyed by partition. Every row goes on.

    ``policies`` gives those in force, ``own`` the thresholds of a model for what they say nothing of. A session is
    forgotten after ``idle_ms`` of event time; of more than ``most`` in a partition the oldest are.
    """

    def __init__(
        self, policies: CurrentPolicies, own: OwnPolicy, idle_ms: int = IDLE_MS, most: int = MOST_SESSIONS
    ) -> None:
        if idle_ms < 0 or most < 1:
            raise ValueError("decide: idle_ms must not be negative, and most at least 1")
        self._policies = policies
        self._own = own
        self._idle = idle_ms
        self._most = most

    @property
    def name(self) -> str:
        """Return the stage's name."""
        return "decide"

    def open(self, snapshots: Sequence[bytes], /) -> DecideSession:
        """Return the session of a partition after the given snapshots; without any, an empty one.

        ValueError where one is not a snapshot of this build, or they do not cover all slices.
        """
        if not len(snapshots):
            return DecideSession(self, Standing(self._idle, self._most), begun=False, next_slice=0)
        state, next_slice = restored(snapshots, self._idle, self._most)
        return DecideSession(self, state, begun=True, next_slice=next_slice)

    def decided(self, batch: Judged, sessions: Sequence[Part[DecideSession]]) -> StageOut[Decided]:
        """Decide a batch, each of its parts after what is standing in its state."""
        policies, score, rules = self._policies(), batch.score, batch.rules
        limits, rows, asked = self._asked(policies, batch)
        if sessions and sessions[-1][2] > min(len(rows.session), len(rows.time), len(rows.offset)):
            raise ValueError(_NO_BATCH)
        before, by_policy = np.empty(len(rows.time), np.uint8), np.empty(len(rows.time), np.uint8)
        for session, first, end in sessions:
            session.state.follow(rows, before, by_policy, first, end)
        if asked & (OVERRIDDEN | DEGRADED):
            degraded = when_degraded(policies, batch.event.merchant, rules.degraded)
            decision, by = settled(rules, by_policy, degraded)
        else:
            decision, by = by_policy, np.full(len(by_policy), BY_MODEL, np.uint8)
        review, deny, margin = limits
        apart = decide_apart(score.shadow_score, review, deny)
        tried = _by_shadow_rules(batch, before, limits)
        section = _decision(policies.digest, decision, by, by_policy, before, review, deny, margin, apart, tried)
        return StageOut(widen(Decided, batch, decision=section))

    def _asked(self, policies: Policies, batch: Judged) -> tuple[F32, Rows, int]:
        """Return each row's thresholds, float32[3, n], what its partition follows, and what ``ask`` says of them."""
        score, rules, count = batch.score, batch.rules, len(batch.score.model)
        limits, outcome = np.empty((len(LIMITS), count), np.float32), np.empty((count, _STANDING), np.uint8)
        session = np.empty(count, np.uint64)
        asked = ask(
            (plain(score.score, np.float32), plain(rules.added, np.float32)),
            (plain(rules.override, np.uint8), plain(rules.degraded, np.bool_).view(np.uint8)),
            NO_DECISION,
            self._limits(policies, batch),
            plain(batch.event.session_id, np.uint8).view(np.uint64),
            (limits, outcome, session),
        )
        if asked == NO_BATCH:
            raise ValueError(_NO_BATCH)
        if asked & NO_NUMBER:
            raise ValueError("a score is not a number: the model is broken")
        return limits, Rows(session, event_time(batch), plain(batch.origin.offset, np.int64), outcome), asked

    def _limits(self, policies: Policies, batch: Judged) -> tuple[F32, I64]:
        """Return thresholds float32[k, 3], and which of them decide each row."""
        score, event = batch.score, batch.event
        own = _table(tuple(map(self._own, score.versions)))
        if policies.differ:
            limits = policies.limits(event.merchant, event.event_type, own[score.model])
            return limits, np.arange(len(limits))
        if policies.default is not None:
            return _table((policies.default,)), np.zeros(len(score.model), np.int64)
        return own, score.model.astype(np.int64)


@lru_cache(_TABLES_KEPT)
def _table(policies: tuple[Policy, ...]) -> F32:
    """Return the thresholds of some policies, float32[k, 3]."""
    return np.array([[getattr(policy, name) for name in LIMITS] for policy in policies], np.float32).reshape(-1, 3)


def _by_shadow_rules(batch: Judged, before: U8, limits: F32) -> U8:
    """Return what would be decided with each shadow ruleset in place of the live ones, uint8[n, R].

    ``before`` uint8[n] is the standing decision of each row, ``limits`` float32[3, n] its thresholds.
    """
    override, added = batch.rules.shadow_override, batch.rules.shadow_added
    if not override.size:
        return override
    points = with_points(batch.score.score[:, None], added)
    review, deny, margin = limits[:, :, None]
    return np.where(override == NO_DECISION, decide(points, review, deny, margin, before[:, None]), override)


class DecideSession:
    """The state of one partition."""

    def __init__(self, stage: Decide, state: Standing, *, begun: bool, next_slice: int) -> None:
        self.stage = stage
        self.state = state
        self._begun = begun  # a snapshot covered all slices
        self._next_slice = next_slice

    def apply(self, batch: Judged, /) -> StageOut[Decided]:
        """Decide a batch in order. Every row goes on."""
        return self.stage.decided(batch, ((self, 0, len(batch)),))

    def snapshot(self, *, whole: bool = False) -> Snapshot:
        """Return the next snapshot: of all slices where ``whole`` says so and for a session that began empty."""
        if whole or not self._begun:
            return self.snapshot_of(0, SLICES)
        slices = max(1, _LEAST_BYTES // max(1, self.state.bytes_per_slice))
        return self.snapshot_of(self._next_slice, min(slices, SLICES - self._next_slice))

    def snapshot_of(self, first_slice: int, slices: int) -> Snapshot:
        """Return the next snapshot, with these slices whole. The first one must cover all of them."""
        self._begun = self._begun or slices == SLICES
        self._next_slice = (first_slice + slices) % SLICES
        return Snapshot(self.state.pack(first_slice, slices), first_slice, slices)


class Together:
    """Sessions of several partitions as one, for batches in which the rows of each lie together."""

    def __init__(self, sessions: Mapping[int, DecideSession]) -> None:
        self._sessions = sessions
        self._stage = next(iter(sessions.values())).stage

    @property
    def name(self) -> str:
        """Return the stage's name."""
        return self._stage.name

    def apply(self, batch: Judged, /) -> StageOut[Decided]:
        """Decide all rows by the same policies, each after what is standing in its partition."""
        return self._stage.decided(batch, parts_of(batch.origin.partition, self._sessions))
