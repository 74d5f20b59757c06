"""The roll-out: who scores, how it changes, and how it goes back."""

from __future__ import annotations

import pytest

from scoring.rollout import (
    HISTORY_KEPT,
    Candidate,
    Roles,
    Rollout,
    decode,
    encode,
    is_version,
    promoted,
    rolled_back,
    shadowed,
    unshadowed,
)
from tests.registry_kit import ALICE, BOB


def lives(*versions: str) -> Rollout:
    """Return a roll-out whose live versions were these, in turn."""
    rollout = promoted(None, versions[0], ALICE)
    for version in versions[1:]:
        rollout = promoted(rollout, version, ALICE)
    return rollout


def test_a_promotion_makes_the_version_live_and_says_who_did_it() -> None:
    rollout = promoted(lives("a"), "b", BOB)
    assert rollout.roles == Roles("b")
    change = rollout.history[-1]
    assert (change.by, change.at, change.did) == (BOB.by, BOB.at, "promote")
    assert change.before == Roles("a")
    assert change.after == Roles("b")


def test_promoting_what_is_live_changes_nothing() -> None:
    rollout = lives("a", "b")
    assert promoted(rollout, "b", BOB) is rollout


def test_a_share_makes_a_candidate_and_the_whole_makes_it_live() -> None:
    part = promoted(lives("a"), "b", ALICE, 10)
    assert part.roles == Roles("a", Candidate("b", 10))
    assert promoted(part, "b", ALICE, 50).roles.candidate == Candidate("b", 50)
    assert promoted(part, "b", ALICE).roles == Roles("b")


@pytest.mark.parametrize("percent", [0, -1, 100.5, float("nan")])
def test_a_share_that_is_none_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="no share of devices"):
        promoted(lives("a"), "b", ALICE, percent)


def test_a_candidate_needs_a_live_model_that_is_another() -> None:
    with pytest.raises(ValueError, match="no model is live"):
        promoted(None, "a", ALICE, 10)
    with pytest.raises(ValueError, match="live for all devices already"):
        promoted(lives("a"), "a", ALICE, 10)


def test_a_rollback_ends_the_candidate_first_and_then_goes_to_the_model_before() -> None:
    part = promoted(lives("a", "b"), "c", ALICE, 10)
    once = rolled_back(part, BOB)
    assert once.roles == Roles("b")
    assert rolled_back(once, BOB).roles == Roles("a")


def test_rolling_back_twice_goes_two_steps_back_and_not_to_and_fro() -> None:
    once = rolled_back(lives("a", "b", "c"), BOB)
    assert once.roles.live == "b"
    twice = rolled_back(once, BOB)
    assert twice.roles.live == "a"
    with pytest.raises(ValueError, match="no version was live before a"):
        rolled_back(twice, BOB)


def test_a_version_promoted_after_a_rollback_goes_back_to_what_was_live_then() -> None:
    back = rolled_back(lives("a", "b"), BOB)
    assert rolled_back(promoted(back, "c", ALICE), BOB).roles.live == "a"


def test_a_version_that_was_live_twice_is_passed_once_at_a_time() -> None:
    rollout = lives("a", "b", "a", "c")
    assert rollout.earlier() == ("a", "b")
    assert rolled_back(rolled_back(rollout, BOB), BOB).roles.live == "b"


def test_a_rollback_can_name_its_version() -> None:
    assert rolled_back(lives("a", "b", "c"), BOB, "a").roles == Roles("a")


def test_shadows_come_and_go_and_the_live_one_is_none() -> None:
    two = shadowed(shadowed(lives("a"), "b", ALICE), "c", ALICE)
    assert two.roles.shadows == ("b", "c")
    assert shadowed(two, "b", ALICE) is two
    assert unshadowed(two, "b", ALICE).roles.shadows == ("c",)
    assert promoted(two, "b", ALICE).roles == Roles("b", None, ("c",))
    with pytest.raises(ValueError, match="its own shadow"):
        shadowed(two, "a", ALICE)
    with pytest.raises(ValueError, match="no shadow; there are: b, c"):
        unshadowed(two, "d", ALICE)


def test_the_file_gives_back_what_was_written() -> None:
    rollout = shadowed(promoted(lives("a", "b"), "c", BOB, 2.5), "d", BOB)
    assert decode(encode(rollout)) == rollout


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"roles": {"live": "../../etc"}}',
        '{"roles": {"live": "a", "candidate": {"version": "a", "percent": 5}}}',
        '{"roles": {"live": "a", "candidate": {"version": "b", "percent": 100}}}',
        '{"roles": {"live": "a", "shadows": ["b", "b"]}}',
        '{"roles": {"live": "a", "shadow": ["b"]}}',
        '{"roles": {"live": "a"}, "format": 2}',
    ],
)
def test_a_file_that_says_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"damaged|format 2"):
        decode(text.encode())


def test_the_history_is_bounded() -> None:
    rollout = lives(*(f"v{number}" for number in range(HISTORY_KEPT + 10)))
    assert len(rollout.history) == HISTORY_KEPT
    assert rollout.history[-1].after.live == rollout.roles.live


@pytest.mark.parametrize("name", ["..", ".hidden", "a/b", "", "-x", "a" * 65, "a\n"])
def test_a_name_that_leads_elsewhere_is_no_version(name: str) -> None:
    assert not is_version(name)
