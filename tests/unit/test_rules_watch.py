"""The watch of published rules: whole, within a second, in every process; a bad set never replaces a good one."""

from __future__ import annotations

import json
import logging
import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scoring.rules.in_force import InForce
from scoring.rules.registry_state import STATE_FILE, published
from scoring.rules.watch import WatchedRules
from scoring.storage import RegistryError, StorageAway
from tests.rules_registry_kit import ALICE, Moody, Shelf, damage, shadow_tags, tags, text
from tests.waiting import PATIENCE, SECONDS, eventually


class Watched(Shelf):
    """A registry, and a watch of it that looks when it is asked to."""

    def __init__(self, root: Path | Moody, kept: Path | None = None) -> None:
        super().__init__(root, kept)
        self.taken: list[InForce] = []
        self.refused: list[str] = []
        self.watch = self.another()

    def another(self, seconds: float = 0.25) -> WatchedRules:
        return WatchedRules(self.registry, seconds, self.taken.append, self.refused.append)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@contextmanager
def running(watch: WatchedRules) -> Iterator[WatchedRules]:
    watch.start()
    try:
        yield watch
    finally:
        watch.close()


def test_where_nothing_was_published_there_are_no_rules(watched: Watched) -> None:
    assert tags(watched.watch()) == ()
    assert not watched.watch.look()


def test_what_is_published_is_taken_at_the_next_look_and_told(watched: Watched) -> None:
    before = watched.watch()
    watched.publish(1)
    assert watched.watch.look()
    assert not watched.watch.look()
    assert (tags(before), tags(watched.watch())) == ((), ("t1",))
    assert watched.taken[-1] is watched.watch()
    assert watched.watch().state != before.state


def test_drafts_and_retired_sets_judge_nothing(watched: Watched) -> None:
    watched.publish(1, "draft")
    digest = watched.publish(2)
    watched.retire(digest)
    watched.watch.look()
    assert tags(watched.watch()) == ()
    assert watched.watch().shadows == ()


def test_a_merchant_is_judged_by_its_own_rules_and_the_global_ones_and_by_nobody_elses(watched: Watched) -> None:
    for number, owner in ((1, None), (2, "shop"), (3, "rival")):
        watched.publish(number, owner=owner)
    watched.watch.look()
    seen = {merchant: tags(watched.watch(), merchant) for merchant in ("shop", "rival", "other")}
    assert seen == {"shop": ("t1", "t2"), "rival": ("t1", "t3"), "other": ("t1",)}


def test_a_shadow_stands_in_for_its_owners_live_set_and_concerns_nobody_else(watched: Watched) -> None:
    for number, owner in ((1, None), (2, "shop"), (3, "rival")):
        watched.publish(number, owner=owner)
    for number, owner in ((11, None), (12, "shop"), (13, "rival"), (14, "rival")):
        watched.publish(number, "shadow", owner)
    watched.watch.look()
    current = watched.watch()
    assert tags(current) == ("t1", "t2")
    assert sorted(shadow_tags(current, "shop")) == [("t1", "t12"), ("t11", "t2")]
    assert sorted(shadow_tags(current, "rival")) == [("t1", "t13"), ("t1", "t14"), ("t11", "t3")]
    assert shadow_tags(current, "other") == [("t11",)]


def test_what_did_not_change_is_neither_loaded_nor_compiled_again(watched: Watched, tmp_path: Path) -> None:
    watched.publish(1)
    watched.publish(2, owner="shop")
    watched.watch.look()
    before = watched.watch().live
    watched.publish(3, owner="rival")
    damage(tmp_path, str(watched.state.everyone.live))  # nobody reads it again
    watched.watch.look()
    after = watched.watch().live
    assert watched.refused == []
    for merchant in ("shop", "other"):
        assert after.program(merchant, "payment") is before.program(merchant, "payment")
    assert tags(watched.watch(), "rival") == ("t1", "t3")


def test_a_bad_set_never_replaces_a_good_one_and_is_said_once_and_others_go_on(
    watched: Watched, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    watched.publish(1)
    watched.publish(2, owner="shop")
    watched.watch.look()
    bad = watched.add(3)
    damage(tmp_path, bad)
    watched.registry.change(lambda state: published(state, None, bad, "live", ALICE))
    watched.publish(4, owner="rival")
    with caplog.at_level(logging.ERROR, "clickgoose.rules"):
        assert watched.watch.look()
        for _ in range(10):
            assert not watched.watch.look()
    assert {merchant: tags(watched.watch(), merchant) for merchant in ("shop", "rival")} == {
        "shop": ("t1", "t2"),
        "rival": ("t1", "t4"),
    }
    assert [bad in sentence for sentence in watched.refused] == [True]
    assert len(caplog.records) == 1


def test_a_bad_set_is_tried_again_and_taken_once_it_is_mended(watched: Watched, tmp_path: Path) -> None:
    watched.publish(1)
    watched.watch.look()
    bad = watched.add(2)
    damage(tmp_path, bad)
    watched.registry.change(lambda state: published(state, None, bad, "live", ALICE))
    assert not watched.watch.look()
    watched.add(2)
    assert any(watched.watch.look() for _ in range(4))
    assert tags(watched.watch()) == ("t2",)


def test_a_bad_shadow_is_left_out_and_the_rest_is_taken(watched: Watched, tmp_path: Path) -> None:
    bad, good = watched.publish(1, "shadow"), watched.publish(2, "shadow")
    watched.publish(3)
    damage(tmp_path, bad)
    watched.watch.look()
    assert (tags(watched.watch()), shadow_tags(watched.watch())) == (("t3",), [("t2",)])
    assert len(watched.refused) == 1
    assert good in watched.state.everyone.shadows


def test_at_the_start_a_set_that_cannot_be_used_gives_way_to_the_one_before(watched: Watched, tmp_path: Path) -> None:
    watched.publish(1)
    damage(tmp_path, watched.publish(2))
    watched.publish(3, owner="shop")
    damage(tmp_path, watched.publish(4, owner="rival"))
    start = watched.another()
    seen = {merchant: tags(start(), merchant) for merchant in ("shop", "rival", "other")}
    assert seen == {"shop": ("t1", "t3"), "rival": ("t1",), "other": ("t1",)}
    assert len(watched.refused) == 2


def test_somebody_elses_set_in_the_state_is_refused(watched: Watched, tmp_path: Path) -> None:
    rivals = watched.publish(1, owner="rival")
    watched.watch.look()
    state = json.loads((tmp_path / STATE_FILE).read_text())
    state["merchants"]["shop"] = {"live": rivals}
    (tmp_path / STATE_FILE).write_text(json.dumps(state))
    watched.watch.look()
    assert (tags(watched.watch(), "shop"), tags(watched.watch(), "rival")) == ((), ("t1",))
    assert len(watched.refused) == 1


@pytest.mark.parametrize("data", [b"", b"{", b'{"format": 9}'])
def test_a_damaged_state_changes_nothing_and_is_said_once(watched: Watched, tmp_path: Path, data: bytes) -> None:
    watched.publish(1)
    watched.watch.look()
    (tmp_path / STATE_FILE).write_bytes(data)
    for _ in range(3):
        assert not watched.watch.look()
    assert tags(watched.watch()) == ("t1",)
    assert len(watched.refused) == 1


def test_while_the_storage_is_away_what_was_taken_goes_on_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = Moody(tmp_path)
    watched = Watched(storage)
    watched.publish(1)
    watched.watch.look()
    storage.away = True
    with caplog.at_level(logging.WARNING, "clickgoose.rules"):
        for _ in range(3):
            assert not watched.watch.look()
    assert [record.getMessage() for record in caplog.records] == [
        "s3://rules does not answer: it sleeps; the rules that are in force go on"
    ]
    storage.away = False
    watched.publish(2)
    assert watched.watch.look()
    assert tags(watched.watch()) == ("t2",)


def test_a_state_that_is_gone_is_a_disk_that_is_away_and_not_the_end_of_all_rules(
    watched: Watched, tmp_path: Path
) -> None:
    watched.publish(1)
    watched.watch.look()
    (tmp_path / STATE_FILE).rename(tmp_path / "elsewhere")
    assert not watched.watch.look()
    assert tags(watched.watch()) == ("t1",)


def test_a_start_without_the_storage_uses_what_was_kept(tmp_path: Path) -> None:
    storage = Moody(tmp_path / "far")
    watched = Watched(storage, tmp_path / "near")
    watched.publish(1)
    watched.publish(2, "shadow")
    watched.watch.look()
    storage.away = True
    start = watched.another()
    assert (tags(start()), shadow_tags(start())) == (("t1",), [("t2",)])
    storage.away = False
    watched.publish(3)
    assert start.look()
    assert tags(start()) == ("t3",)


def test_a_start_without_the_storage_and_without_anything_kept_is_refused(tmp_path: Path) -> None:
    storage = Moody(tmp_path)
    storage.away = True
    with pytest.raises(StorageAway, match="does not answer"):
        Watched(storage)


def test_a_bug_does_not_end_the_watch(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, sound = watched.another(0.001), watched.registry.read_state
    calls: list[int] = []

    def broken() -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError("a bug")
        return sound()

    watched.publish(1)
    monkeypatch.setattr(watched.registry, "read_state", broken)
    with running(watch):
        eventually(lambda: tags(watch()) == ("t1",))
    assert watched.refused == ["a bug"]


def test_whoever_judges_never_sees_halves_of_two_publications(watched: Watched) -> None:
    """Two publications alternate, each of a global set, one of a merchant and a shadow; readers look all the time."""
    sets: list[dict[Any, str]] = [
        {None: watched.add(first), "shop": watched.add(first + 1, "shop"), "shadow": watched.add(first + 2)}
        for first in (10, 20)
    ]
    whole = {(("t10", "t11"), (("t11", "t12"),)), (("t20", "t21"), (("t21", "t22"),))}

    def publish(chosen: dict[Any, str], other: dict[Any, str]) -> None:
        def transition(state):  # type: ignore[no-untyped-def]
            state = published(state, None, other["shadow"], "draft", ALICE)
            for owner in (None, "shop"):
                state = published(state, owner, chosen[owner], "live", ALICE)
            return published(state, None, chosen["shadow"], "shadow", ALICE)

        watched.registry.change(transition)

    publish(*sets)
    seen: set[Any] = set()
    states: set[str] = set()
    done = threading.Event()

    def read(watch: WatchedRules) -> None:
        while not done.is_set():
            current = watch()
            seen.add((tags(current), tuple(shadow_tags(current))))
            states.add(current.state)

    with running(watched.another(0.001)) as watch:
        readers = [threading.Thread(target=read, args=(watch,)) for _ in range(3)]
        for reader in readers:
            reader.start()
        for turn in range(30):
            publish(*(sets if turn % 2 else reversed(sets)))
            time.sleep(0.005)
        eventually(lambda: seen == whole or seen - whole)
        done.set()
        for reader in readers:
            reader.join()
    assert seen == whole
    assert len(states) == 2


def _follow(root: str, said: Any, ended: Any) -> None:
    """Tell of each other rules that are in force in this process, and when."""
    with running(WatchedRules(Shelf(Path(root)).registry)) as watch:
        known = None
        while not ended.is_set():
            if (seen := tags(watch())) != known:
                known = seen
                said.put((seen, time.monotonic()))
            time.sleep(0.01)


def test_every_process_takes_up_a_publication_within_a_second(tmp_path: Path) -> None:
    """Two processes of their own; CLOCK_MONOTONIC is one clock for all processes of a host.

    Each publication comes just after a look, so that it waits for a whole period; the quickest counts, of three or,
    where the machine is busy, of some more.
    """
    shelf = Shelf(tmp_path)
    context = multiprocessing.get_context("spawn")
    said = [context.Queue() for _ in range(2)]
    ended = context.Event()
    processes = [context.Process(target=_follow, args=(str(tmp_path), queue, ended), daemon=True) for queue in said]
    try:
        for process in processes:
            process.start()
        assert [queue.get(timeout=PATIENCE)[0] for queue in said] == [(), ()]
        took: list[list[float]] = [[], []]
        for number in range(1, 13):
            shelf.publish(number)
            at = time.monotonic()
            for queue, seconds in zip(said, took, strict=True):
                seen, when = queue.get(timeout=PATIENCE)
                assert seen == (f"t{number}",)
                seconds.append(when - at)
            if number >= 3 and max(map(min, took)) < 1.0:
                break
        assert max(map(min, took)) < 1.0, took
    finally:
        ended.set()
        for process in processes:
            process.join(SECONDS)


def test_an_address_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shelf = Shelf(tmp_path / "file")
    with pytest.raises(RegistryError, match="choose another place"):
        shelf.registry.add(None, [text(1)], ALICE)
