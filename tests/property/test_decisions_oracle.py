"""decide against a program that keeps every session in a dict and looks at one row after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.batches import Decided
from schemas.velocity import SLICES
from scoring.decide import Decide, DecideSession
from scoring.policy import Policies, Policy
from tests.deciding import OWN, Visit, decide_stage, visits
from tests.strategies import same

IDLE = 1_000
MERCHANTS, EVENT_TYPES = ("shop", "big", "new"), ("", "payment", "login")


class Found(NamedTuple):
    before: int
    decision: int


class Oracle:
    """The last event of each session that was not allowed: when by the partition's time, its turn, its decision."""

    def __init__(self, policies: dict[tuple[str | None, str | None], Policy], most: int) -> None:
        self.policies = policies
        self.most = most
        self.sessions: dict[int, tuple[int, int, int]] = {}
        self.time = 0
        self.turn = 0

    def decide(self, row: Visit, now: int) -> Found:
        self.time, self.turn = max(self.time, now), self.turn + 1
        seen, _, before = self.sessions.pop(row.session, (0, 0, 0))
        if self.time - seen >= IDLE:
            before = 0
        decision = self._decision(np.float32(row.score), self._policy(row), before)
        if decision:
            self.sessions[row.session] = (self.time, self.turn, decision)
        if len(self.sessions) > self.most:
            del self.sessions[min(self.sessions, key=lambda one: self.sessions[one][1])]
        return Found(before, decision)

    def _policy(self, row: Visit) -> Policy:
        for key in ((row.merchant, row.event_type), (row.merchant, None), (None, row.event_type), (None, None)):
            if key in self.policies:
                return self.policies[key]
        return OWN

    @staticmethod
    def _decision(score: np.float32, policy: Policy, before: int) -> int:
        review, deny, margin = np.float32(policy.review), np.float32(policy.deny), np.float32(policy.margin)
        if score >= deny or (before == 2 and score >= deny - margin):
            return 2
        if score >= review or (before >= 1 and score >= review - margin):
            return 1
        return 0


limits = st.tuples(st.floats(1, 98, width=32), st.floats(0.5, 50, width=32), st.floats(0, 1)).map(
    lambda drawn: _policy(*drawn)
)


def _policy(review: float, gap: float, share: float) -> Policy:
    deny = min(100.0, review + gap)
    return Policy(review, deny, share * Policy.widest_margin(review, deny))


drawn_policies = st.dictionaries(
    st.tuples(st.sampled_from((None, *MERCHANTS)), st.sampled_from((None, *EVENT_TYPES[1:]))), limits, max_size=6
)
near = st.sampled_from((35.0, 40.0, 75.0, 80.0)).flatmap(lambda at: st.floats(at - 2, at + 2, width=32))
rows = st.builds(
    Visit,
    session=st.integers(0, 6),
    score=near | st.floats(0, 100, width=32),
    at=st.integers(0, 4 * IDLE),
    merchant=st.sampled_from(MERCHANTS),
    event_type=st.sampled_from(EVENT_TYPES),
)
# Each batch's rows, and what comes behind it: how many slices a frame has, and whether the state is restored from all.
batches = st.lists(
    st.tuples(st.lists(rows, max_size=12), st.sampled_from((0, 1, 300, SLICES)), st.booleans()), max_size=8
)


def in_policies(drawn: dict[tuple[str | None, str | None], Policy]) -> Policies:
    return Policies(
        default=drawn.get((None, None)),
        of_event_type={kind: policy for (merchant, kind), policy in drawn.items() if kind and merchant is None},
        of_merchant={merchant: policy for (merchant, kind), policy in drawn.items() if merchant and kind is None},
        of_both={(merchant, kind): policy for (merchant, kind), policy in drawn.items() if merchant and kind},
    )


class Frames:
    """All frames of a state, some slices a time in turn, as the state log keeps them."""

    def __init__(self, stage: Decide, session: DecideSession) -> None:
        self.stage = stage
        self.data = [session.snapshot().data]
        self.next = 0

    def write(self, session: DecideSession, slices: int) -> None:
        slices = min(slices, SLICES - self.next)
        self.data.append(session.snapshot_of(self.next, slices).data)
        self.next = (self.next + slices) % SLICES

    def restored(self) -> DecideSession:
        return self.stage.open(self.data)


@settings(max_examples=60, deadline=None)
@given(drawn_policies, st.sampled_from((1, 3, 100)), batches)
def test_every_row_is_decided_as_the_oracle_does_however_batches_are_cut_and_states_restored(
    drawn: dict[tuple[str | None, str | None], Policy],
    most: int,
    given_batches: Sequence[tuple[list[Visit], int, bool]],
) -> None:
    stage = decide_stage(in_policies(drawn), IDLE, most)
    oracle = Oracle(drawn, most)
    session = stage.open(())
    frames = Frames(stage, session)
    offset, expected, given_out = 0, list[Found](), list[Decided]()
    for visited, slices, restore in given_batches:
        batch = visits(visited, offset)
        offset += len(visited)
        expected += [oracle.decide(row, int(at)) for row, at in zip(visited, batch.event.occurred_at, strict=True)]
        given_out.append(session.apply(batch).oks)
        frames.write(session, slices)
        if restore:
            session = frames.restored()
    got = [
        Found(*pair)
        for one in given_out
        for pair in zip(one.decision.before.tolist(), one.decision.decision.tolist(), strict=True)
    ]
    assert got == expected
    everything = [row for visited, *_ in given_batches for row in visited]
    whole = stage.open(()).apply(visits(everything)).oks
    if everything:
        assert same(Decided.concat(given_out).decision, whole.decision)


@settings(max_examples=40, deadline=None)
@given(st.lists(rows, min_size=1, max_size=60), st.integers(1, 12))
def test_batches_of_any_size_leave_the_same_decisions_and_the_same_state(visited: list[Visit], cut: int) -> None:
    stage = decide_stage(idle_ms=IDLE, most=3)
    one, other = stage.open(()), stage.open(())
    whole = one.apply(visits(visited)).oks
    parts = [other.apply(visits(visited[at : at + cut], at)).oks for at in range(0, len(visited), cut)]
    assert same(Decided.concat(parts).decision, whole.decision)
    assert one.snapshot(whole=True).data == other.snapshot(whole=True).data
