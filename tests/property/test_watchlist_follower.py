"""Replicas of the lists against a dictionary, through any order of changes, outages, losses and late looks."""

from __future__ import annotations

import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from scoring.rules.watchlist_copy import StoreAway
from scoring.rules.watchlist_follower import ListFollower
from scoring.rules.watchlist_store import TruthAway, Wanted
from scoring.rules.watchlist_verify import compare
from scoring.rules.watchlists import FOREVER, REMOVED, ListName
from tests.memory_lists import KEYS, MemoryLists

LATER = 1_790_000_000_000 + 1_000
NAMES = (ListName("shop", "deny", "a"), ListName("shop", "named", "b"), ListName("", "snooze", "r"))
DIGESTS = tuple(KEYS.digest("shop", "card", str(number)) for number in range(6))
CHANGES = st.lists(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(DIGESTS), st.sampled_from([REMOVED, FOREVER, LATER])), max_size=4
)
STEPS = st.one_of(
    st.tuples(st.just("change"), CHANGES),
    st.tuples(st.just("clock"), st.sampled_from([-50, 0, 1])),
    st.tuples(
        st.sampled_from(["look at first", "look at second", "away", "back", "lose", "fail over", "new"]), st.none()
    ),
)


class World:
    """An installation, two processes, and what holds."""

    def __init__(self, stream_length: int) -> None:
        self.lists = MemoryLists(stream_length)
        self.followers = [self.lists.follower(), self.lists.follower()]
        self.held: dict[tuple[ListName, bytes], int] = {}
        self.before = self.lists.port.copy()

    def step(self, what: str, how: object) -> None:
        """Let something happen."""
        port = self.lists.port
        if what == "change":
            self.change(how)  # type: ignore[arg-type]
        elif what == "clock":
            self.lists.now_us += int(how)  # type: ignore[call-overload]
        elif what.startswith("look"):
            follower = self.followers[what.endswith("second")]
            assert follower.catch_up() != port.away
        elif what == "new":
            self.followers[1] = self.lists.follower()
        elif what == "lose":
            port.lose()
        elif what == "fail over":
            port.go_back(self.before)
            self.before = port.copy()
        else:
            self.before = port.copy()
            port.away = what == "away"

    def change(self, lines: list[tuple[ListName, bytes, int]]) -> None:
        """Change entries; what was not done is asked for again when the store is back, as clients do."""
        wanted = [Wanted(name, "card", digest, until, "why", "ann") for name, digest, until in lines]
        with contextlib.suppress(StoreAway, TruthAway):
            self.lists.store.change(wanted, "api")
            self.held |= {(one.list, one.digest): one.until for one in wanted}


def agrees(follower: ListFollower, held: dict[tuple[ListName, bytes], int]) -> None:
    """Compare a process's lists with what holds."""
    table = follower.table
    assert table is not None
    for name in NAMES:
        for digest in DIGESTS:
            assert table.until(name, digest) == held.get((name, digest), REMOVED)


@settings(max_examples=120, deadline=None)
@given(st.integers(1, 6), st.lists(STEPS, max_size=40))
@example(
    1,
    [
        ("change", [(NAMES[0], DIGESTS[0], REMOVED)]),
        ("back", None),
        ("change", [(NAMES[0], DIGESTS[0], REMOVED)] * 2),
        ("fail over", None),  # loses two changes while the clock stands still
        ("change", [(NAMES[0], DIGESTS[0], FOREVER)]),
    ],
)
def test_every_process_knows_what_holds_whatever_happened_before(
    stream_length: int, steps: list[tuple[str, object]]
) -> None:
    world = World(stream_length)
    for what, how in steps:
        world.step(what, how)
    world.lists.port.away = False
    world.lists.store.restore()  # a fail-over that nobody had followed is noticed by nobody
    for follower in (*world.followers, world.lists.follower()):
        assert follower.catch_up()
        agrees(follower, world.held)
    found, _ = compare(world.lists.port, world.lists.copy, world.lists.truth, world.lists.now_us + 10_000_000)
    assert all(one.good for one in found.values())


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 6), st.lists(STEPS.filter(lambda step: step[0] not in ("lose", "fail over")), max_size=40))
def test_without_losses_a_look_is_enough(stream_length: int, steps: list[tuple[str, object]]) -> None:
    world = World(stream_length)
    for what, how in steps:
        world.step(what, how)
        if not world.lists.port.away and world.followers[0].catch_up():
            agrees(world.followers[0], world.held)
