"""The registry of rules: sets never change, the state is replaced by compare-and-set, and nothing bad is loaded."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from scoring.rules.registry import Conflict, RegistryError, RulesRegistry, SetFile, Text, digest_of
from scoring.rules.registry_state import MOST_SHADOWS, STATE_FILE, Surprise, expected, published, retired
from scoring.storage import DirectoryStorage
from tests.rules_registry_kit import ALICE, BOB, Moody, Shelf, damage, text


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


def test_a_set_comes_back_as_it_was_written(shelf: Shelf) -> None:
    files = [Text("b.yaml", "# why\nrules: [{id: b, when: always, actions: [{tag: ü}]}]"), text(1)]
    made = shelf.registry.add("shop", files, ALICE, "first")
    found = shelf.registry.load(made.file.digest, "shop")
    assert found == made
    assert (found.file.by, found.file.at, found.file.note) == (*ALICE, "first")
    assert {file.name: file.text for file in found.file.files} == {file.name: file.text for file in files}
    assert [rule.id for rule in found.ruleset.rules] == ["b", "r1"]
    assert found.file.decides == found.ruleset.digest


def test_the_same_files_are_the_same_set_and_the_first_author_stays(shelf: Shelf) -> None:
    first = shelf.registry.add(None, [text(1), text(2, "b.yaml")], ALICE)
    again = shelf.registry.add(None, [text(2, "b.yaml"), text(1)], BOB, "again")
    assert again.file == first.file


def test_another_owner_or_another_character_is_another_set() -> None:
    names = {digest_of(None, [text(1)]), digest_of("shop", [text(1)]), digest_of("shop2", [text(1)])}
    names |= {digest_of(None, [Text("payment.yaml", text(1).text + " ")]), digest_of(None, [text(1, "b.yaml")])}
    assert len(names) == 5


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-9], "is not what was published for global"),
        (lambda data: b"", "is not what was published for global"),
        (lambda data: b"\xff\xfe", "is not what was published for global"),
        (lambda data: data.replace(b"gt: 0", b"gt: 9"), "tampered with"),
        (lambda data: data.replace(b'"merchant":null', b'"merchant":"shop"'), "tampered with"),
    ],
)
def test_a_set_that_is_not_what_was_published_is_refused_in_one_sentence(
    shelf: Shelf, tmp_path: Path, change: Callable[[bytes], bytes], said: str
) -> None:
    digest = shelf.add(1)
    damage(tmp_path, digest, change)
    with pytest.raises(RegistryError, match=said) as refused:
        shelf.registry.load(digest, None)
    assert "\n" not in str(refused.value)


def test_a_damaged_set_is_mended_by_publishing_its_files_again(shelf: Shelf, tmp_path: Path) -> None:
    digest = shelf.add(1)
    damage(tmp_path, digest)
    assert shelf.add(1) == digest
    assert [rule.id for rule in shelf.registry.load(digest, None).ruleset.rules] == ["r1"]


def test_one_owners_set_cannot_be_put_under_anothers_name(shelf: Shelf) -> None:
    digest = shelf.add(1, "shop")
    with pytest.raises(RegistryError, match="published for merchant rival"):
        shelf.registry.load(digest, "rival")
    with pytest.raises(RegistryError, match="published for global"):
        shelf.registry.load(digest, None)


def test_a_set_that_this_build_does_not_understand_is_refused_whole(shelf: Shelf, tmp_path: Path) -> None:
    files = (text(1), Text("new.yaml", "rules: [{id: n, when: {median: payments}, actions: [deny]}]"))
    digest = digest_of(None, files)
    made = SetFile(digest, None, digest, 2, 0, "carol", "2027-01-01T00:00:00+00:00", "", files)
    path = tmp_path / "sets" / digest / "ruleset.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(msgspec.json.encode(made))
    with pytest.raises(RegistryError, match=r"cannot be used by this build: new\.yaml:1:"):
        shelf.registry.load(digest, None)


def test_files_with_mistakes_are_not_taken(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"a\.yaml:1:\d+: an action cannot be"):
        shelf.registry.add(None, [Text("a.yaml", "rules: [{id: a, when: always, actions: [block]}]")], ALICE)
    with pytest.raises(RegistryError, match="MiB together"):
        big = [Text(f"{number}.yaml", "#" * (256 << 10)) for number in range(40)]
        shelf.registry.add(None, big, ALICE)
    with pytest.raises(RegistryError, match="a note has at most"):
        shelf.registry.add(None, [text(1)], ALICE, "x" * 501)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("data", [b"{", b"\xff", b'{"everyone":{"live":"../../etc/passwd"}}', b'{"format":2}'])
def test_a_damaged_state_is_one_sentence(shelf: Shelf, tmp_path: Path, data: bytes) -> None:
    (tmp_path / STATE_FILE).write_bytes(data)
    with pytest.raises(RegistryError, match="cannot be used: it is") as refused:
        shelf.registry.read_state()
    assert "\n" not in str(refused.value)


def test_a_state_names_no_set_twice(shelf: Shelf, tmp_path: Path) -> None:
    twice = {"everyone": {"live": "a" * 16, "shadows": ["a" * 16]}}
    (tmp_path / STATE_FILE).write_text(json.dumps(twice))
    with pytest.raises(RegistryError, match="two stages at once"):
        shelf.registry.read_state()


def test_what_is_live_is_no_draft_nor_its_own_shadow_and_shadows_are_few(shelf: Shelf) -> None:
    live = shelf.publish(0)
    with pytest.raises(RegistryError, match="is live"):
        shelf.publish(0, "shadow")
    for number in range(1, MOST_SHADOWS + 1):
        shelf.publish(number, "shadow")
    with pytest.raises(RegistryError, match="retire one"):
        shelf.publish(99, "shadow")
    assert shelf.state.everyone.live == live


def test_the_history_says_who_when_and_why(shelf: Shelf) -> None:
    one, two = shelf.publish(1), shelf.add(2)
    shelf.registry.change(lambda state: published(state, None, two, "live", BOB, "FRAUD-12"))
    first, last = shelf.state.everyone.history
    assert (first.before, first.after, last.before, last.after) == (None, one, one, two)
    assert (last.by, last.at, last.note, last.did) == (*BOB, "FRAUD-12", "publish")
    assert shelf.state.everyone.retired == (one,)


def test_nothing_is_noted_where_nothing_changes(shelf: Shelf) -> None:
    shelf.publish(1)
    before = shelf.registry.read_state()
    shelf.publish(1)
    assert shelf.registry.read_state() == before


def test_rolling_back_twice_goes_two_steps_back_and_undoes_a_retirement(shelf: Shelf) -> None:
    one, two, three = (shelf.publish(number) for number in (1, 2, 3))
    shelf.roll_back()
    assert shelf.state.everyone.live == two
    shelf.roll_back()
    assert shelf.state.everyone.live == one
    with pytest.raises(RegistryError, match="no ruleset was live"):
        shelf.roll_back()
    shelf.retire(one)
    assert shelf.state.everyone.live is None
    shelf.roll_back()
    assert shelf.state.everyone.live == one
    assert set(shelf.state.everyone.retired) == {two, three}


def test_an_expectation_that_is_wrong_changes_nothing(shelf: Shelf) -> None:
    one, two = shelf.publish(1), shelf.add(2)
    before = shelf.registry.read_state()
    for wrong in (None, two):
        with pytest.raises(Surprise, match=f"{one} is live"):
            shelf.registry.change(lambda state: published(expected(state, None, wrong), None, two, "live", BOB))  # noqa: B023
    assert shelf.registry.read_state() == before


def test_a_change_that_another_came_before_is_asked_again_with_what_is_new(tmp_path: Path) -> None:
    storage = Moody(tmp_path)
    shelf, rival = Shelf(storage), Shelf(tmp_path)
    theirs: list[str] = []

    def between() -> None:
        storage.between = None
        theirs.append(rival.publish(2, owner="shop"))

    mine = shelf.add(1)
    storage.between = between
    shelf.registry.change(lambda state: published(state, None, mine, "live", ALICE))
    assert (shelf.state.everyone.live, shelf.state.merchants["shop"].live) == (mine, theirs[0])


def test_one_who_always_comes_second_gives_up_with_a_sentence(tmp_path: Path) -> None:
    storage = Moody(tmp_path)
    shelf, rival = Shelf(storage), Shelf(tmp_path)
    numbers = iter(range(1_000))
    storage.between = lambda: rival.publish(next(numbers), "draft") and None
    mine = shelf.add(0, "shop")
    with pytest.raises(Conflict, match="run this again"):
        shelf.registry.change(lambda state: published(state, "shop", mine, "live", ALICE))


def test_of_many_publishers_at_once_nobodys_change_is_lost(tmp_path: Path) -> None:
    shelf, numbers = Shelf(tmp_path), range(6)
    refused: list[str] = []

    def publish(number: int) -> None:
        own = Shelf(tmp_path)
        try:
            for step in range(5):
                own.publish(100 * number + step, owner=f"m{number}")
                own.publish(100 * number + step, "draft")
        except RegistryError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=publish, args=(number,)) for number in numbers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused == []
    assert {owner: len(owned.history) for owner, owned in shelf.state.merchants.items()} == {
        f"m{n}": 5 for n in numbers
    }
    assert len(shelf.state.everyone.drafts) == 30


def test_of_two_who_expect_the_same_one_wins_and_the_other_is_told(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    live = shelf.publish(0)
    digests = [shelf.add(number) for number in (1, 2)]
    barrier = threading.Barrier(2)
    outcomes: list[str] = []

    def publish(digest: str) -> None:
        own = RulesRegistry(DirectoryStorage(tmp_path))
        barrier.wait()
        try:
            own.change(lambda state: published(expected(state, None, live), None, digest, "live", ALICE))
            outcomes.append(digest)
        except Surprise as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=publish, args=(digest,)) for digest in digests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    won = [one for one in outcomes if one in digests]
    assert won == [shelf.state.everyone.live]
    assert [won[0] in one for one in outcomes if one not in won] == [True]


def test_a_set_is_retired_by_its_owner_only(shelf: Shelf) -> None:
    digest = shelf.publish(1, "draft", "shop")
    with pytest.raises(RegistryError, match="there is no ruleset"):
        shelf.registry.change(lambda state: retired(state, "rival", digest, BOB))
    shelf.retire(digest, "shop")
    assert shelf.state.merchants["shop"].retired == (digest,)


def test_what_is_far_away_is_read_once_and_kept_in_a_sound_copy(tmp_path: Path) -> None:
    storage = Moody(tmp_path / "far")
    shelf = Shelf(storage, tmp_path / "near")
    digest = shelf.publish(1)
    assert shelf.registry.load(digest, None).ruleset.rules[0].id == "r1"
    storage.away = True
    assert shelf.registry.load(digest, None).ruleset.rules[0].id == "r1"
    damage(tmp_path / "near", digest)
    storage.away = False
    assert shelf.registry.load(digest, None).ruleset.rules[0].id == "r1"
    storage.away = True
    assert shelf.registry.load(digest, None).ruleset.rules[0].id == "r1"
