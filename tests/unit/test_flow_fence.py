"""The fence against committed offsets in memory: who may start, who must stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import pytest

from flows.sources.fence import Fence, Fenced, FenceUnknown, Owner, TakenOver, Waits
from tests.waiting import SECONDS, eventually

EVERY = 0.05
# A living owner is seen at its next commit, however late that comes; what has to be waited for to its end is short.
WAITS = Waits(look=0.01, settle=0.02, margin=SECONDS, kafka=SECONDS)
HERE = Owner("state-a", "host-a", 11, EVERY)
THERE = Owner("state-b", "host-b", 22, EVERY)


class Offsets:
    """What Kafka keeps for the group."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.kept: dict[int, tuple[int, str]] = {}
        self.away = False

    def owner(self, partition: int) -> Owner:
        found = Owner.read(self.kept[partition][1])
        assert found is not None
        return found


class MemoryGroup:
    """One client of the offsets; ``before_write`` and ``after_write`` run once, beside its first commit."""

    def __init__(
        self,
        offsets: Offsets,
        before_write: Callable[[], None] = lambda: None,
        after_write: Callable[[], None] = lambda: None,
    ) -> None:
        self._offsets = offsets
        self._before_write, self._after_write = before_write, after_write
        self.closed = False

    def read(self, partitions: Iterable[int]) -> dict[int, str | None]:
        if self._offsets.away:
            raise FenceUnknown("away")
        with self._offsets.lock:
            return {p: self._offsets.kept[p][1] if p in self._offsets.kept else None for p in partitions}

    def write(self, offsets: Mapping[int, tuple[int, str]]) -> None:
        if self._offsets.away:
            raise FenceUnknown("away")
        before, self._before_write = self._before_write, lambda: None
        before()
        with self._offsets.lock:
            self._offsets.kept.update(offsets)
        after, self._after_write = self._after_write, lambda: None
        after()

    def close(self) -> None:
        self.closed = True


class World:
    def __init__(self) -> None:
        self.offsets = Offsets()
        self.errors: list[None] = []
        self._fences: list[Fence] = []

    def fence(self, me: Owner, group: MemoryGroup | None = None, waits: Waits = WAITS) -> Fence:
        made = Fence(group or MemoryGroup(self.offsets), me, lambda p: 100 + p, lambda: self.errors.append(None), waits)
        self._fences.append(made)
        return made

    def leave(self, owner: Owner, *partitions: int) -> None:
        """Write what a flow committed that is not running here."""
        self.offsets.kept.update({partition: (7, owner.text()) for partition in partitions})

    def close(self) -> None:
        self.offsets.away = False
        for fence in self._fences:
            fence.close()


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.close()


def waited(action: Callable[[], None]) -> float:
    began = time.monotonic()
    action()
    return time.monotonic() - began


def test_a_first_flow_takes_its_partitions_and_commits_the_watermarks(world: World) -> None:
    world.fence(HERE).claim([0, 2])
    assert {partition: offset for partition, (offset, _) in world.offsets.kept.items()} == {0: 100, 2: 102}
    assert world.offsets.owner(2).same_place(HERE)


def test_its_number_grows_and_its_check_is_quiet(world: World) -> None:
    fence = world.fence(HERE)
    fence.claim([0])
    first = world.offsets.owner(0).count
    eventually(lambda: world.offsets.owner(0).count >= first + 3)
    fence.check()


def test_a_second_flow_elsewhere_is_refused_by_a_sentence_with_host_process_and_partitions(world: World) -> None:
    world.fence(HERE).claim([0, 1, 2])
    second = world.fence(THERE)
    with pytest.raises(Fenced, match=r"partitions 1, 2 by process 11 on host-a \(state state-a\)"):
        second.claim([1, 2, 3])
    assert world.offsets.owner(1).same_place(HERE)
    assert 3 not in world.offsets.kept, "a refused flow took what was free"


def test_flows_of_other_partitions_do_not_meet(world: World) -> None:
    one, two = world.fence(HERE), world.fence(THERE)
    one.claim([0, 2])
    two.claim([1, 3])
    time.sleep(3 * EVERY)
    one.check()
    two.check()


def test_after_an_end_in_order_another_state_starts_without_watching(world: World) -> None:
    first = world.fence(HERE)
    first.claim([0])
    first.close()
    assert world.offsets.owner(0).gone
    assert world.offsets.kept[0][0] == 100
    assert waited(lambda: world.fence(THERE).claim([0])) < WAITS.margin


def test_after_kill_9_the_same_state_starts_without_watching_or_settling(world: World) -> None:
    world.leave(replace(HERE, every=60.0, run="dead"), 0)
    never = WAITS._replace(settle=2 * SECONDS)
    assert waited(lambda: world.fence(replace(HERE, pid=12), waits=never).claim([0])) < SECONDS


def test_after_kill_9_another_state_takes_over_once_the_number_stood_still_for_three_commits(world: World) -> None:
    world.leave(replace(HERE, run="dead"), 0)
    short = WAITS._replace(margin=0.05)
    took = waited(lambda: world.fence(THERE, waits=short).claim([0]))
    assert took >= 3 * EVERY + short.margin
    assert world.offsets.owner(0).same_place(THERE)


def test_a_copy_of_the_state_on_another_host_is_another_flow(world: World) -> None:
    world.fence(HERE).claim([0])
    with pytest.raises(Fenced):
        world.fence(replace(HERE, host="host-b")).claim([0])


def test_a_flow_that_was_overwritten_stops_itself_and_leaves_the_winners_mark(world: World) -> None:
    first = world.fence(HERE)
    first.claim([0, 1])
    world.leave(replace(THERE, run="winner"), 1)

    def stopped() -> bool:
        try:
            first.check()
        except TakenOver as taken:
            assert "partitions 1 by process 22 on host-b" in str(taken)
            return True
        return False

    eventually(stopped)
    first.close()
    assert world.offsets.owner(1).run == "winner"


def test_of_two_that_start_in_the_same_moment_one_remains(world: World) -> None:
    second = world.fence(THERE)
    racing = MemoryGroup(world.offsets, before_write=lambda: second.claim([0]))
    first = world.fence(HERE, racing)  # reads that nobody is there; then the second claims; then the first writes
    first.claim([0])
    eventually(lambda: isinstance(second._taken, TakenOver))
    first.check()
    assert world.offsets.owner(0).same_place(HERE)


def test_one_that_is_overwritten_before_it_reads_is_refused(world: World) -> None:
    def overwrite() -> None:
        world.leave(replace(THERE, run="winner"), 0)

    with pytest.raises(Fenced, match="host-b"):
        world.fence(HERE, MemoryGroup(world.offsets, after_write=overwrite)).claim([0])


def test_what_other_tools_commit_stops_nobody(world: World) -> None:
    world.offsets.kept[0] = (5, "")
    fence = world.fence(HERE)
    fence.claim([0])
    world.offsets.kept[0] = (5, '{"of": "another tool"}')
    eventually(lambda: world.offsets.kept[0][0] == 100)
    fence.check()


def test_while_kafka_is_away_the_flow_goes_on_and_errors_are_counted(world: World) -> None:
    fence = world.fence(HERE)
    fence.claim([0])
    world.offsets.away = True
    eventually(lambda: len(world.errors) > 1)
    fence.check()
    before = world.offsets.owner(0).count
    world.offsets.away = False
    eventually(lambda: world.offsets.owner(0).count > before)


def test_a_start_waits_for_a_kafka_that_comes_within_bounds(world: World) -> None:
    world.offsets.away = True
    threading.Timer(0.05, setattr, (world.offsets, "away", False)).start()
    world.fence(HERE).claim([0])
    assert world.offsets.owner(0).same_place(HERE)


def test_a_start_while_kafka_is_away_is_an_error_and_claims_nothing(world: World) -> None:
    world.offsets.away = True
    with pytest.raises(FenceUnknown):
        world.fence(HERE, waits=WAITS._replace(kafka=0.2)).claim([0])
    assert world.offsets.kept == {}
