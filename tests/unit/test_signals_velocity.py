"""The signals of counts, rarity and copies: when they are true, false and not computable, and what is held down."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from enrichers.counters import Limit, Limits
from enrichers.view import View
from schemas.recognition import COMBINATIONS, SAME_CONTENTS, SAME_LOG, SAME_SEQUENCE
from schemas.velocity import KINDS, WINDOWS
from tests.builders import NOW
from tests.judged import BY_NAME, HOUR, event, judged

NOTHING = {f"{kind}_{window}": 0 for kind in KINDS for window in WINDOWS}
USUAL = {f"tail_{name}": 0.6 for name in COMBINATIONS} | {f"seen_{name}": 900.0 for name in COMBINATIONS}
BRAVE = {"shown": {"api.brave": True}}
RESISTING = {"shown": {"timing.resolution": 100}, "environment": {"browser": "firefox"}}


def rare(*names: str, tail: float = 0.001, seen: float = 3.0) -> dict[str, float]:
    """Return what traffic says of a device whose named combinations are rare."""
    return {**USUAL, **{f"tail_{name}": tail for name in names}, **{f"seen_{name}": seen for name in names}}


@pytest.mark.parametrize("name", ["high_activity", "velocity_anomaly", "rare_device", "replayed"])
def test_an_ordinary_visit_has_none(name: str) -> None:
    found = judged(name, recognition=USUAL)
    assert (found.result, found.confidence, found.reasons) == (False, 0.0, set())


@pytest.mark.parametrize("name", ["high_activity", "velocity_anomaly"])
def test_without_counts_nothing_is_computable(name: str) -> None:
    assert judged(name, velocity=NOTHING).result is None


@pytest.mark.parametrize(
    ("velocity", "reasons"),
    [
        ({"events_24h": 201, "events_1h": 60}, {"over_200_in_24_hours"}),
        (
            {"events_24h": 2001, "events_1h": 60},
            {"over_200_in_24_hours", "over_600_in_24_hours", "over_2000_in_24_hours", "sustained"},
        ),
        ({"sessions_24h": 41}, {"over_40_sessions_in_24_hours"}),
        ({"accounts_24h": 31}, {"over_30_accounts_in_24_hours"}),
    ],
)
def test_a_days_counts_over_a_limit_are_high_activity(velocity: dict[str, int], reasons: set[str]) -> None:
    found = judged("high_activity", velocity=velocity)
    assert (found.result, found.reasons) == (True, reasons)
    assert found.details.items() <= {name: float(count) for name, count in velocity.items()}.items()


@pytest.mark.parametrize(
    "velocity",
    [
        {"events_24h": 200, "events_1h": 20},
        {"events_24h": 52, "sessions_24h": 10, "accounts_24h": 10},
        {"sessions_24h": 40, "accounts_24h": 30},
    ],
)
def test_machines_that_people_share_are_under_the_limits(velocity: dict[str, int]) -> None:
    found = judged("high_activity", velocity=velocity)
    assert (found.result, found.reasons, found.details) == (False, set(), {})


def test_details_name_the_counters_that_are_most_over_first() -> None:
    found = judged("high_activity", velocity={"events_24h": 300, "sessions_24h": 400, "accounts_24h": 5})
    assert list(found.details.items()) == [("sessions_24h", 400.0), ("events_24h", 300.0)]


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ({"velocity": {"events_5m": 31}}, {"over_30_in_5_minutes"}),
        ({"velocity": {"events_5m": 91}}, {"over_30_in_5_minutes", "over_90_in_5_minutes"}),
        ({"velocity": {"events_1h": 121}}, {"over_120_in_1_hour"}),
        ({"velocity": {"events_24h": 1001}}, {"over_1000_in_24_hours"}),
        ({"velocity": {"addresses_5m": 4}}, {"over_3_addresses_in_5_minutes"}),
        ({"velocity": {"accounts_5m": 7}}, {"over_6_accounts_in_5_minutes"}),
        ({"velocity": {"countries_5m": 3}}, {"over_2_countries_in_5_minutes"}),
        ({"velocity": {"sessions_5m": 9}}, {"over_8_sessions_in_5_minutes"}),
        ({"shared": {"card_devices_1h": 4}}, {"card_over_3_devices_in_1_hour"}),
        (
            {"shared": {"account_devices_1h": 5, "account_devices_24h": 9}},
            {"account_over_4_devices_in_1_hour", "account_over_8_devices_in_24_hours"},
        ),
        (
            {"velocity": {"events_5m": 26, "previous_at": NOW - 100, "first_seen_at": NOW - 60_000}},
            {"new_device_in_a_burst", "less_than_half_a_second_apart"},
        ),
    ],
)
def test_any_counter_over_its_limit_is_an_anomaly(said: dict[str, Any], reasons: set[str]) -> None:
    found = judged("velocity_anomaly", **said)
    assert (found.result, found.reasons) == (True, reasons)


CROWD = {
    "fingerprint_devices_1h": 5e4, "address_devices_5m": 900, "address_devices_24h": 1e5, "network_devices_1h": 1e5,
    "asn_devices_5m": 1e6,
}  # fmt: skip


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ({"velocity": {"events_5m": 25, "events_1h": 60, "events_24h": 90}}, set()),
        ({"velocity": {"accounts_1h": 10, "sessions_1h": 10, "accounts_24h": 10, "addresses_24h": 3}}, set()),
        ({"velocity": {"addresses_1h": 7}}, {"over_6_addresses_in_1_hour"}),
        ({"velocity": {"countries_24h": 3, "countries_1h": 2}}, set()),
        (
            {"velocity": {"merchants_1h": 7, "merchants_24h": 16}},
            {"over_6_merchants_in_1_hour", "over_15_merchants_in_24_hours"},
        ),
        ({"velocity": {"previous_at": NOW - 300}}, {"less_than_half_a_second_apart"}),
        (
            {"shared": CROWD},
            {
                "fingerprint_over_10_devices_in_1_hour",
                "address_over_10_devices_in_5_minutes",
                "address_over_100_devices_in_24_hours",
                "network_over_100_devices_in_1_hour",
                "asn_over_1000_devices_in_5_minutes",
            },
        ),
        ({"shared": {"card_devices_24h": 2, "account_devices_24h": 3}}, set()),
    ],
)
def test_people_and_crowds_however_large_are_no_anomaly(said: dict[str, Any], reasons: set[str]) -> None:
    found = judged("velocity_anomaly", **said)
    assert (found.result, found.reasons) == (False, reasons)


def test_shared_counts_that_are_not_known_are_over_no_limit() -> None:
    batch = event()
    assert np.isnan(batch.shared.counts).all()
    assert not any(clue.any() for clue in BY_NAME["velocity_anomaly"].observe(View(batch)))


def test_every_limit_is_of_its_own_counter() -> None:
    own = [Limit(f"{kind}_{window}", 10 + place, 0.5, "") for kind in KINDS for place, window in enumerate(WINDOWS)]
    limits = Limits(own)
    for place, limit in enumerate(own):
        for count, over in ((limit.most, False), (limit.most + 1, True)):
            batch = event(velocity={limit.counter: count})
            seen = [bool(clue[0]) for clue in limits.over(batch.velocity, batch.shared)]
            assert seen == [over and at == place for at in range(len(own))]


@pytest.mark.parametrize(
    ("recognition", "reasons"),
    [
        (rare("graphics", "fonts"), {"rare_part", "rare_parts"}),
        (rare("screen", "hardware", "fonts", "locale"), {"rare_part", "rare_parts", "rare_throughout"}),
        (rare("graphics", tail=0.0001), {"rare_part", "one_in_ten_thousand"}),
        (rare("graphics", "fonts", "hardware", tail=0.02, seen=0.0), {"parts_never_seen"}),
    ],
)
def test_a_device_like_hardly_any_other_is_rare(recognition: dict[str, float], reasons: set[str]) -> None:
    found = judged("rare_device", recognition=recognition)
    assert (found.result, found.reasons) == (True, reasons)
    assert all(name.endswith("_percent") or name == "never_seen" for name in found.details)


@pytest.mark.parametrize(
    ("said", "reasons"),
    [
        ({"recognition": rare("screen", tail=0.00001, seen=0.0)}, {"rare_part"}),
        ({"recognition": rare("locale", tail=0.00001)}, {"rare_part"}),
        ({"recognition": rare("graphics", "rendering", "machine")}, {"rare_part"}),
        ({"recognition": rare("browser", "system", tail=0.00001, seen=0.0)}, {"rare_browser"}),
        ({"recognition": rare("browser", "fonts")}, {"rare_browser", "rare_part"}),
        ({"recognition": rare("rendering", "hardware", "fonts", "screen"), **BRAVE}, set()),
        ({"recognition": rare("rendering", "hardware", "fonts", "screen", tail=0.00001, seen=0.0), **RESISTING}, set()),
        ({"recognition": rare(*COMBINATIONS, tail=0.3, seen=0.0)}, set()),
    ],
)
def test_odd_screens_new_browsers_and_privacy_are_held_down(said: dict[str, Any], reasons: set[str]) -> None:
    found = judged("rare_device", **said)
    assert (found.result, found.reasons) == (False, reasons)


def test_details_tell_the_rarest_first() -> None:
    found = judged("rare_device", recognition={**rare("fonts", seen=0.0), **{"tail_screen": 0.0005}})
    assert list(found.details.items())[:2] == [
        ("screen_percent", pytest.approx(0.05)),
        ("fonts_percent", pytest.approx(0.1)),
    ]
    assert found.details["never_seen"] == "fonts"


def test_rarity_is_not_computable_before_traffic_was_seen() -> None:
    assert judged("rare_device").result is None
    assert judged("rare_device", recognition={"tail_fonts": 0.4}).result is False


@pytest.mark.parametrize(
    ("bits", "result", "reasons", "copied"),
    [
        (SAME_CONTENTS, True, {"same_contents"}, "contents"),
        (SAME_LOG, True, {"same_log"}, "activity log"),
        (SAME_LOG | SAME_SEQUENCE, True, {"same_log", "same_sequence"}, "activity log, number in the session"),
        (SAME_SEQUENCE, False, {"same_sequence"}, "number in the session"),
        (0, False, set(), ""),
    ],
)
def test_a_copy_is_told_by_what_came_before(bits: int, result: bool, reasons: set[str], copied: str) -> None:
    found = judged("replayed", recognition={"replayed": bits})
    assert (found.result, found.reasons, found.details) == (result, reasons, {"copied": copied})


def test_a_new_devices_burst_is_over_after_ten_minutes() -> None:
    velocity = {"events_5m": 26, "first_seen_at": NOW - HOUR}
    assert judged("velocity_anomaly", velocity=velocity).reasons == set()
