"""Watchlists in a real Valkey and a real ClickHouse: changes that every process sees, and a copy made again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from infra.settings import ClickHouseSettings, RedisSettings, Settings
from infra.watchlists import FollowedLists
from scoring.rules.answers import Entity, Entry, Membership, Standing, Unanswered
from scoring.rules.watchlist_store import Wanted
from scoring.rules.watchlists import FOREVER, REMOVED, ListName
from tests.migrated import migrate
from tests.stack_fixture import Namespace
from tests.waiting import PATIENCE

BAD_CARDS = ListName("shop", "deny", "bad-cards")
Make = Callable[..., FollowedLists]
ROUNDS = 9


@pytest.fixture
def make(namespace: Namespace) -> Iterator[Make]:
    """Return what makes a process's lists; all of one test share a copy and a table."""
    migrate(namespace.clickhouse_url)
    made: list[FollowedLists] = []

    def new(redis_url: str = namespace.stack.redis_url, clickhouse: bool = True) -> FollowedLists:
        settings = Settings(
            redis=RedisSettings(url=redis_url),
            clickhouse=ClickHouseSettings(url=namespace.clickhouse_url if clickhouse else None),
        )
        made.append(FollowedLists(settings, prefix=namespace.key("l")))
        return made[-1]

    yield new
    for one in made:
        one.close()


def wanted(lists: FollowedLists, value: str, until: int = FOREVER, name: ListName = BAD_CARDS) -> Wanted:
    """Return a change of one card."""
    kind = "" if name.mode == "named" else "card"
    return Wanted(name, kind, lists.keys.digest(name.merchant, kind, value), until, "stolen", "ann")


def change(lists: FollowedLists, *changes: Wanted) -> list[int]:
    """Make changes as a command does."""
    assert lists.store is not None
    return lists.store.change(changes, "command")


def denied(lists: FollowedLists, value: str, merchant: str = "shop") -> Entry | None:
    """Return the deny list that has a card."""
    said = lists().of(merchant).standing(Entity("card", value))
    assert isinstance(said, Standing)
    return said.deny


def until(seconds: float, what: Callable[[], bool]) -> float:
    """Wait until something holds; return how long that took."""
    started = time.monotonic()
    while not what():
        assert time.monotonic() - started < seconds
        time.sleep(0.005)
    return time.monotonic() - started


def test_a_change_is_seen_by_every_process_within_a_second_and_at_once_by_its_own(make: Make) -> None:
    first, second = make(), make()
    assert isinstance(first().of("shop").standing(Entity("card", "1")), Unanswered)
    first.start()
    second.start()
    until(PATIENCE, lambda: first.state().loaded and second.state().loaded)
    took = list[float]()
    while len(took) < 3 or (min(took) >= 1.0 and len(took) < ROUNDS):
        number = len(took)
        assert change(first, wanted(first, f"4{number}")) == [REMOVED]
        assert first.follower.catch_up()
        assert denied(first, f"4{number}") == Entry("bad-cards")
        took.append(until(PATIENCE, lambda number=number: denied(second, f"4{number}") is not None))  # type: ignore[misc]
    assert min(took) < 1.0, took  # a busy machine may be late at times
    assert change(second, wanted(second, "40", REMOVED)) == [FOREVER]
    until(PATIENCE, lambda: denied(first, "40") is None)
    assert denied(first, "41") and denied(first, "41", merchant="other") is None


def test_a_copy_that_was_lost_is_made_again_from_the_table(make: Make, namespace: Namespace) -> None:
    first = make()
    named = ListName("", "named", "vips")
    change(
        first, *(wanted(first, str(number)) for number in range(2_500)), wanted(first, "x", 4_102_444_800_000, named)
    )
    change(first, wanted(first, "7", REMOVED))
    assert first.follower.catch_up()
    client = namespace.redis()
    client.delete(*client.keys(namespace.key("l:*")))
    fresh, without = make(), make(clickhouse=False)
    assert without.follower.catch_up() and not without().of("shop")  # knows of no table, so of no lists
    assert fresh.follower.catch_up()
    assert first.follower.catch_up()
    for lists in (first, fresh):
        assert [denied(lists, value) for value in ("0", "7", "2499")] == [Entry("bad-cards"), None, Entry("bad-cards")]
        assert lists().of("anybody").member(Membership("vips", " x ")) == Entry("vips", 4_102_444_800_000)
        table = lists.follower.table
        assert table is not None and table.counts() == {BAD_CARDS: 2_499, named: 1}
