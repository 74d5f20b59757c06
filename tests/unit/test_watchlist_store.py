"""Lists in their stores: the truth first, a copy that can be made again, and replicas that follow it."""

from __future__ import annotations

import logging

import pytest

from scoring.rules.answers import Entity, Entry, Membership, Standing
from scoring.rules.watchlist_copy import Record, StoreAway
from scoring.rules.watchlist_follower import ListFollower
from scoring.rules.watchlist_store import KEPT_AFTER_END_MS, TruthAway, Wanted
from scoring.rules.watchlist_verify import clear_away, compare, removals
from scoring.rules.watchlists import FOREVER, REMOVED, ListName
from tests.memory_lists import KEYS, MemoryLists
from tests.waiting import eventually

BAD = ListName("shop", "deny", "bad")


def wanted(value: str, until: int = FOREVER, name: ListName = BAD) -> Wanted:
    """Return a change."""
    return Wanted(name, "card", KEYS.digest(name.merchant, "card", value), until, "why", "ann")


def denied(follower: ListFollower, value: str) -> Entry | None:
    """Return the deny list that has a card, as a process knows it."""
    said = follower().of("shop").standing(Entity("card", value))
    assert isinstance(said, Standing)
    return said.deny


def test_a_change_says_what_held_before_and_who_made_it() -> None:
    lists = MemoryLists()
    assert lists.store.change([wanted("1"), wanted("2", 5), wanted("1", 7)], "api") == [REMOVED, REMOVED, FOREVER]
    lists.now_us += 1
    assert lists.store.change([wanted("1", REMOVED), wanted("3", REMOVED)], "command") == [7, REMOVED]
    assert [(one.before, one.wanted.until, one.source) for one in lists.truth.changes] == [
        (REMOVED, FOREVER, "api"),
        (REMOVED, 5, "api"),
        (FOREVER, 7, "api"),
        (7, REMOVED, "command"),
        (REMOVED, REMOVED, "command"),
    ]
    versions = [one.version for one in lists.truth.changes if one.wanted.digest == wanted("1").digest]
    assert versions == sorted(set(versions))


def test_whoever_has_seen_a_change_comes_after_it_though_its_clock_is_behind() -> None:
    lists = MemoryLists()
    follower = lists.follower()
    lists.store.change([wanted("1")], "api")
    lists.now_us -= 3_600_000_000
    lists.store.change([wanted("1", REMOVED)], "api")
    assert follower.catch_up() and denied(follower, "1") is None


def test_nothing_is_done_where_the_truth_is_away_and_the_copy_follows_it_later_where_that_is() -> None:
    lists = MemoryLists()
    follower = lists.follower()
    lists.store.change([wanted("0")], "api")
    lists.truth.away = True
    with pytest.raises(TruthAway):
        lists.store.change([wanted("1")], "api")
    lists.truth.away = False
    assert follower.catch_up() and not denied(follower, "1") and denied(follower, "0")
    lists.port.away = True
    with pytest.raises(StoreAway):
        lists.store.change([wanted("1")], "api")
    assert not follower.catch_up() and denied(follower, "0")  # goes on with what it knows
    lists.port.away = False
    lists.store.change([wanted("1")], "api")
    assert follower.catch_up() and denied(follower, "1")


def test_a_store_without_a_copy_is_not_taken_for_empty_lists(caplog: pytest.LogCaptureFixture) -> None:
    lists = MemoryLists()
    known, fresh = lists.follower(), lists.follower()
    lists.store.change([wanted("1")], "api")
    assert known.catch_up()
    lists.port.lose()
    lists.truth.away = True
    with caplog.at_level(logging.WARNING, "clickgoose.lists"):
        assert not known.catch_up() and denied(known, "1")
        assert not fresh.catch_up() and not fresh.state().loaded
    assert "what is known goes on" in caplog.text and "nothing is known yet" in caplog.text
    lists.truth.away = False
    assert fresh.catch_up() and denied(fresh, "1")
    assert known.catch_up() and denied(known, "1")


def test_a_change_to_a_store_without_a_copy_makes_that_first() -> None:
    lists = MemoryLists()
    lists.store.change([wanted("1")], "api")
    lists.port.lose()
    lists.store.change([wanted("2")], "api")
    follower = lists.follower()
    assert follower.catch_up() and denied(follower, "1") and denied(follower, "2")


def test_a_reader_that_fell_behind_the_stream_reads_everything_anew() -> None:
    lists = MemoryLists(stream_length=3)
    follower = lists.follower()
    lists.store.change([wanted("0")], "api")
    assert follower.catch_up()
    for number in range(1, 8):
        lists.store.change([wanted(str(number))], "api")
    lists.store.change([wanted("0", REMOVED)], "api")
    assert follower.catch_up() and follower.state().reloads == 1
    assert [bool(denied(follower, str(number))) for number in range(8)] == [False] + [True] * 7


def test_a_replica_that_took_over_too_early_gets_back_what_it_lacks() -> None:
    lists = MemoryLists()
    follower, fresh = lists.follower(), lists.follower()
    lists.store.change([wanted("1")], "api")
    before = lists.port.copy()
    lists.store.change([wanted("2")], "api")
    lists.store.change([wanted("1", REMOVED)], "api")
    assert follower.catch_up()
    lists.port.go_back(before)
    assert follower.catch_up() and fresh.catch_up()
    for one in (follower, fresh):
        assert not denied(one, "1") and denied(one, "2")


def test_a_fork_of_the_stream_is_noticed_though_its_numbers_go_on() -> None:
    """A replica took over before it had all, and was changed until its numbers were past those that were seen."""
    for later in range(1, 4):
        lists = MemoryLists()
        follower = lists.follower()
        lists.store.change([wanted("1")], "api")
        before = lists.port.copy()
        lists.store.change([wanted("2")], "api")
        assert follower.catch_up()
        lists.port.go_back(before)
        for number in range(later):
            lists.store.change([wanted(f"after {number}")], "api")
        assert follower.catch_up() and follower.state().reloads == 1
        every = ["1", "2", *(f"after {number}" for number in range(later))]
        assert [value for value in every if not denied(follower, value)] == []


def test_one_process_restores_at_a_time() -> None:
    lists = MemoryLists()
    lists.port.values[lists.copy.lock] = b"another"
    with pytest.raises(StoreAway, match="another process"):
        lists.store.restore()
    assert lists.port.values[lists.copy.lock] == b"another"


def test_restoring_leaves_out_what_ended_long_ago_and_keeps_removals() -> None:
    lists = MemoryLists()
    now_ms = lists.now_us // 1_000
    ended, late = wanted("1", now_ms - KEPT_AFTER_END_MS), wanted("2", now_ms - KEPT_AFTER_END_MS + 1)
    lists.store.change([ended, late, wanted("3"), wanted("4"), wanted("4", REMOVED)], "api")
    lists.port.lose()
    assert lists.store.restore() == (2, 3)
    assert lists.store.restore() == (2, 0)  # harmless when repeated
    follower = lists.follower()
    assert follower.catch_up()
    assert [bool(denied(follower, value)) for value in "1234"] == [False, True, True, False]


def test_verify_tells_what_is_missing_extra_or_other_and_leaves_out_what_is_under_way() -> None:
    lists = MemoryLists()
    vips = ListName("", "allow", "vips")
    lists.store.change([wanted(str(number)) for number in range(5)] + [wanted("v", name=vips)], "api")
    lists.store.change([wanted("0", REMOVED)], "api")
    later = lists.now_us + 10_000_000
    found, _ = compare(lists.port, lists.copy, lists.truth, later)
    assert found == {vips: (1, 1, 0, 0, 0), BAD: (4, 4, 0, 0, 0)} and all(one.good for one in found.values())
    code = next(code for code, name in lists.port.hashes[lists.copy.names].items() if b"bad" in name)
    bucket = lists.port.hashes[lists.copy.bucket(wanted("1").digest)]
    value = bucket.pop(code + wanted("1").digest)  # lost
    bucket = lists.port.hashes[lists.copy.bucket(wanted("2").digest)]
    bucket[code + wanted("2").digest] = (9).to_bytes(8, "big") + value[8:]  # ended long ago: as if it were missing
    bucket = lists.port.hashes[lists.copy.bucket(wanted("3").digest)]
    bucket[code + wanted("3").digest] = (later).to_bytes(8, "big") + value[8:]
    bucket = lists.port.hashes.setdefault(lists.copy.bucket(wanted("x").digest), {})
    bucket[code + wanted("x").digest] = value
    found, extra = compare(lists.port, lists.copy, lists.truth, later)
    assert found[BAD] == (4, 3, 2, 1, 1) and not found[BAD].good
    assert all(one.good for one in compare(lists.port, lists.copy, lists.truth, lists.now_us)[0].values())
    ((name, records),) = removals(extra, {int.from_bytes(code, "big"): BAD}, later)
    assert (name, records) == (BAD, [Record(wanted("x").digest, REMOVED, later)])


def test_old_removals_and_ends_are_cleared_away_and_nothing_else() -> None:
    lists = MemoryLists()
    now_ms = lists.now_us // 1_000
    lists.store.change([wanted("1"), wanted("2"), wanted("3", now_ms + 1), wanted("2", REMOVED)], "api")
    assert clear_away(lists.port, lists.copy, lists.now_us + 1_000) == 0
    assert clear_away(lists.port, lists.copy, lists.now_us + 2 * 86_400_000_000) == 1
    assert clear_away(lists.port, lists.copy, lists.now_us + 91 * 86_400_000_000) == 1
    follower = lists.follower()
    assert follower.catch_up() and denied(follower, "1") and follower.state().entries == 1


def test_a_followers_thread_sees_changes_and_survives_outages() -> None:
    lists = MemoryLists()
    first, second = lists.follower(), lists.follower()
    for one in (first, second):
        one.start()
    try:
        eventually(lambda: first.state().loaded and second.state().loaded)
        lists.store.change([wanted("1")], "api")
        eventually(lambda: denied(first, "1") and denied(second, "1"))
        lists.port.away = True
        eventually(lambda: (first.state().behind_seconds or 0) > 0.1)
        assert denied(first, "1")
        lists.port.away = False
        lists.store.change([wanted("1", REMOVED), wanted("n", name=ListName("", "named", "n"))], "api")
        eventually(lambda: not denied(first, "1") and not denied(second, "1"))
    finally:
        first.close()
        second.close()


def test_a_merchants_digests_are_of_no_use_to_another() -> None:
    lists = MemoryLists()
    lists.store.change([wanted("1")], "api")
    follower = lists.follower()
    assert follower.catch_up()
    theirs = KEYS.digest("shop", "card", "1")
    for value in ("1", theirs.hex(), theirs.decode("latin-1"), "4:4:shopcard1", "shop\x00card\x001"):
        for merchant in ("other", "", "shop2", "sho"):
            of = follower().of(merchant)
            for kind in ("card", "", "shop", "shopcard"):
                assert of.standing(Entity(kind, value)) == Standing()
            assert of.member(Membership("bad", value)) is None
