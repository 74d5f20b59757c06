"""decide: the stage that turns scores, and what rules and lists say, into decisions (``scoring.precedence``).

**Hysteresis** follows what the policy makes of the score with the points that rules add. What a list, a rule or an
outage decides over it is of that event alone, and never stands for the session.

**What a row sees** of its session depends on the rows of its partition before it, in the order of their offsets, and on
nothing else, however rows are cut into batches: a session that comes several times in a batch is decided one row after
the other. The policies are read once for a batch, of however many partitions, so none is decided by two.

A session that shows itself on two devices may lie in two partitions; each of them remembers what it decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from schemas.batches import F32, I32, U8, Decided, Decision, Judged, Score
from schemas.columns import widen
from schemas.event_time import event_time
from schemas.ruling import NO_DECISION
from schemas.stage import Snapshot, StageOut
from schemas.velocity import SLICES
from scoring.policy import ALLOW, DENY, LIMITS, CurrentPolicies, OwnPolicy, decide, decide_apart
from scoring.precedence import settled, when_degraded, with_points
from scoring.standing import Standing, restored, session_hashes
from scoring.standing_loops import Rows

IDLE_MS: Final = 1_800_000  # as velocity's sessions
MOST_SESSIONS: Final = 1 << 16
_LEAST_BYTES: Final = 16 << 10  # of the slices in a snapshot
_EACH: Final = np.arange(ALLOW, DENY + 1, dtype=np.uint8)  # every standing decision


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

    def decided(self, batch: Judged, states: Iterator[tuple[Standing, slice]]) -> StageOut[Decided]:
        """Decide a batch, each of its parts after what is standing in its state."""
        policies, score, event = self._policies(), batch.score, batch.event
        limits = policies.limits(event.merchant, event.event_type, self._own_limits(score))
        review, deny, margin = np.ascontiguousarray(limits.T)
        points = with_points(score.score, batch.rules.added)
        outcome = decide(points[:, None], review[:, None], deny[:, None], margin[:, None], _EACH)
        offset = np.require(batch.origin.offset, np.int64, ("C", "W"))  # as the loop is compiled for
        columns = (session_hashes(event.session_id), event_time(batch), offset, outcome)
        before, by_policy = np.empty(len(offset), np.uint8), np.empty(len(offset), np.uint8)
        for state, part in states:
            rows: list[Any] = [column[part] for column in columns]
            state.follow(Rows(*rows), before[part], by_policy[part])
        apart = decide_apart(score.shadow_score, review, deny)
        degraded = when_degraded(policies, event.merchant, batch.rules.degraded)
        decision, by = settled(batch.rules, by_policy, degraded)
        tried = _by_shadow_rules(batch, before, limits)
        section = Decision(policies.digest, decision, by, by_policy, before, review, deny, margin, apart, tried)
        return StageOut(widen(Decided, batch, decision=section))

    def _own_limits(self, score: Score) -> F32:
        """Return the thresholds of the model that scored each row, float32[n, 3]."""
        own = [self._own(version) for version in score.versions]
        table = np.array([[getattr(policy, name) for name in LIMITS] for policy in own], np.float32)
        return table.reshape(-1, len(LIMITS))[score.model]


def _by_shadow_rules(batch: Judged, before: U8, limits: F32) -> U8:
    """Return what would be decided with each shadow ruleset in place of the live ones, uint8[n, R]."""
    override, added = batch.rules.shadow_override, batch.rules.shadow_added
    if not override.size:
        return override
    points = with_points(batch.score.score[:, None], added)
    review, deny, margin = (limits[:, place, None] for place in range(len(LIMITS)))
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
        return self.stage.decided(batch, iter([(self.state, slice(0, len(batch)))]))

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
        return self._stage.decided(batch, self._parts(batch.origin.partition))

    def _parts(self, partition: I32) -> Iterator[tuple[Standing, slice]]:
        edges = [*np.flatnonzero(np.diff(partition, prepend=-1)).tolist(), len(partition)]
        for start, stop in pairwise(edges):  # none where no row is left
            yield self._sessions[int(partition[start])].state, slice(start, stop)
