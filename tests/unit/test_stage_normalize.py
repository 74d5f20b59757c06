"""normalize: every check has an event that fails it and an honest one that does not; numbers are nulled or deadly."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from flows.stages.normalize import Normalize
from flows.stages.time_zones import zone_names, zone_offsets
from flows.stages.user_agent import parse_renderer, parse_user_agent
from schemas.batches import Verified
from schemas.columns import widen
from schemas.dead_letter import Reason
from schemas.environment import BROWSERS, CHECK_BIT, CHECKS, DEVICES, GPUS, SYSTEMS
from tests.builders import decoded
from tests.strategies import same
from tests.wire import CATALOGUE, HONEST, NOW, RENDERER, USER_AGENT

NORMALIZE = Normalize()
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1"
)
PIXEL = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Mobile Safari/537.36"
)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
EDGE = USER_AGENT + " Edg/147.0.0.0"
HEADLESS = USER_AGENT.replace("Chrome/", "HeadlessChrome/")
TABLET = USER_AGENT.replace("Windows NT 10.0; Win64; x64", "Linux; Android 15; SM-X910")

# Each check: changes to the honest event that fail it, and others that come near and must not.
CASES: Mapping[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    "user_agent_unparsed": (
        [{"navigator.user_agent": "curl"}, {"navigator.user_agent": ""}],
        [{"navigator.user_agent": None}],
    ),
    "platform_contradicts_user_agent": (
        [{"navigator.platform": "MacIntel"}, {"navigator.platform": "Linux x86_64"}],
        [{"navigator.platform": None}, {"navigator.platform": "Never seen"}, {"navigator.platform": "Win64"}],
    ),
    "client_hints_contradict_user_agent": (
        [{"client_hints.platform": "macOS"}, {"client_hints.platform": "Android"}],
        [{"client_hints.platform": None}],
    ),
    "mobile_hint_contradicts_user_agent": (
        [{"client_hints.mobile": True}, {"navigator.user_agent": PIXEL}],
        [{"client_hints.mobile": None}, {"client_hints.mobile": True, "navigator.user_agent": PIXEL}],
    ),
    "brand_version_contradicts_user_agent": (
        [{"client_hints.brand_version": 140}, {"client_hints.brand_version": 148}],
        [{"client_hints.brand_version": None}, {"client_hints.brand_version": 12, "navigator.user_agent": FIREFOX}],
    ),
    "worker_contradicts_page": (
        [
            {"worker.platform": "MacIntel"},
            {"worker.language": "en-US"},
            {"worker.user_agent": FIREFOX},
            {"worker.hardware_concurrency": 4},
        ],
        [dict.fromkeys(("worker.platform", "worker.language", "worker.user_agent", "worker.hardware_concurrency"))],
    ),
    "frame_contradicts_page": (
        [
            {"frame.platform": "MacIntel"},
            {"frame.language": "en-US"},
            {"frame.user_agent": FIREFOX},
            {"frame.hardware_concurrency": 4},
        ],
        [dict.fromkeys(("frame.platform", "frame.language", "frame.user_agent", "frame.hardware_concurrency"))],
    ),
    "window_exceeds_screen": (
        [{"screen.outer_width": 2600}, {"screen.outer_height": 1200}],
        [
            {"screen.outer_width": 1984, "screen.outer_height": 1144},
            {"screen.outer_width": 2600, "screen.is_extended": True},
            {"navigator.user_agent": IPHONE, "screen.width": 393, "screen.height": 852, "screen.outer_width": 852},
        ],
    ),
    "available_exceeds_screen": (
        [{"screen.avail_width": 1922}, {"screen.avail_height": 1082}],
        [{"screen.avail_width": 1921, "screen.avail_height": 1081}, {"screen.avail_width": None}],
    ),
    "touch_contradicts_device": (
        [{"navigator.user_agent": PIXEL}, {"navigator.user_agent": TABLET}],
        [{"navigator.user_agent": PIXEL, "navigator.max_touch_points": 5}, {"navigator.max_touch_points": 10}],
    ),
    "timezone_unknown": (
        [{"intl.timezone": "Europe/Nowhere"}, {"intl.timezone": ""}, {"intl.timezone": "europe/berlin\u00e4"}],
        [{"intl.timezone": None}, {"intl.timezone": "America/Argentina/Buenos_Aires", "intl.timezone_offset": 180}],
    ),
    "timezone_offset_contradicts_zone": (
        [{"intl.timezone_offset": 0}, {"intl.timezone_offset": 120}, {"intl.timezone": "Asia/Kathmandu"}],
        [
            {"intl.timezone_offset": -60},
            {"intl.timezone_offset": None},
            {"intl.timezone": "Nowhere"},
            {"intl.timezone": "Asia/Kathmandu", "intl.timezone_offset": -345},
        ],
    ),
    "language_list_contradicts_language": (
        [{"navigator.languages": "en,de-DE"}, {"navigator.language": "en"}],
        [{"navigator.languages": None}, {"navigator.language": None}, {"navigator.languages": "de-DE"}],
    ),
    "vendor_contradicts_browser": (
        [{"navigator.vendor": "Apple Computer, Inc."}, {"navigator.vendor": ""}, {"navigator.user_agent": FIREFOX}],
        [
            {"navigator.vendor": None},
            {"navigator.vendor": "Never seen"},
            {"navigator.vendor": "Apple Computer, Inc.", "navigator.user_agent": IPHONE},
            {"navigator.vendor": "", "navigator.user_agent": FIREFOX},
        ],
    ),
    "gpu_contradicts_system": (
        [
            {"webgl.unmasked_renderer": "Apple M2"},
            {"webgl.unmasked_renderer": "ANGLE (Apple, ANGLE Metal Renderer: Apple M2)"},
            {"navigator.user_agent": PIXEL},
            {"webgl.unmasked_renderer": "Adreno (TM) 740", "navigator.user_agent": IPHONE},
        ],
        [
            {"webgl.unmasked_renderer": None},
            {"webgl.unmasked_renderer": "Google SwiftShader"},
            {"webgl.unmasked_renderer": "Adreno (TM) 740", "navigator.user_agent": PIXEL},
        ],
    ),
    "worker_gpu_contradicts_page": (
        [{"worker.webgl_vendor": "Intel"}, {"worker.webgl_renderer": "Other"}],
        [{"worker.webgl_vendor": None, "worker.webgl_renderer": None}],
    ),
    "webgl_limits_impossible": (
        [
            {"webgl.max_texture_size": 16000},
            {"webgl.max_texture_size": 512},
            {"webgl.max_viewport_width": 100},
            {"webgl.max_texture_size": 0},
        ],
        [{"webgl.max_texture_size": None, "webgl.max_viewport_width": 0}, {"webgl.max_texture_size": 8192}],
    ),
    "canvas_readback_failed": ([{"canvas.readback_errors": 1}], [{"canvas.readback_errors": None}]),
    "canvas_unstable": ([{"canvas.pixel_differences": 3}], [{"canvas.pixel_differences": None}]),
    "audio_unstable": ([{"audio.noise": 0.001}], [{"audio.noise": None}]),
    "number_out_of_range": (
        [{"battery.level": 1.5}, {"navigator.hardware_concurrency": 0}, {"timing.collection": -1}],
        [{"battery.level": 1}, {"battery.level": None}],
    ),
}


def verified(events: list[dict[str, Any]], times: list[int] | None = None) -> Verified:
    return widen(Verified, decoded(events, times=times or [NOW] * len(events)))


def failed(changes: Mapping[str, Any], at: int = NOW) -> set[str]:
    """Return the checks that the honest event fails with these changes."""
    out = NORMALIZE(verified([{**HONEST, **changes}], [at]))
    assert not out.errs
    bits = int(out.oks.environment.checks[0])
    return {name for name in CHECKS if bits & CHECK_BIT[name]}


def test_the_honest_event_fails_no_check() -> None:
    assert failed({}) == set()


@pytest.mark.parametrize("check", CHECKS)
def test_each_check_fails_where_it_should_and_nowhere_near(check: str) -> None:
    guilty, honest = CASES[check]
    for changes in guilty:
        assert check in failed(changes), changes
    for changes in honest:
        assert check not in failed(changes), changes


def test_no_check_is_tested_that_is_none() -> None:
    assert set(CASES) == set(CHECKS)
    assert len(set(CHECK_BIT.values())) == len(CHECKS) <= 32


def test_an_event_that_shows_nothing_fails_no_check() -> None:
    out = NORMALIZE(verified([{}]))
    assert out.oks.environment.checks.tolist() == [0]
    assert out.oks.environment.browser.tolist() == out.oks.environment.gpu.tolist() == [0]
    assert np.isnan(out.oks.environment.browser_version).all()


def test_a_number_outside_its_range_becomes_absent_and_the_input_keeps_it() -> None:
    batch = verified([{**HONEST, "battery.level": 1.5}, {**HONEST, "battery.level": 0.5}])
    level = CATALOGUE.number("battery.level")
    out = NORMALIZE(batch).oks
    assert np.isnan(out.signals.numbers[0, level])
    assert out.signals.numbers[1, level] == 0.5
    assert batch.signals.numbers[0, level] == 1.5
    assert out.signals.numbers[0, CATALOGUE.number("screen.width")] == 1920


def test_numbers_inside_their_ranges_are_shared_and_not_copied() -> None:
    batch = verified([dict(HONEST)])
    assert NORMALIZE(batch).oks.signals is batch.signals


@pytest.mark.parametrize(
    "number", [signal.name for signal in CATALOGUE.numbers if np.isfinite((signal.minimum, signal.maximum)).all()]
)
def test_the_bounds_themselves_are_inside(number: str) -> None:
    signal = CATALOGUE.by_name[number]
    bounds = [{number: signal.minimum}, {number: signal.maximum}]
    out = NORMALIZE(verified(bounds))
    assert not out.errs
    assert not np.isnan(out.oks.signals.numbers[:, signal.position]).any()


def test_impossible_and_infinite_numbers_are_dead_and_their_neighbours_are_not() -> None:
    events = [
        {},
        {"screen.width": 0},
        {"timing.resolution": float("inf")},
        {"screen.height": 70_000},
        {},
        {"timing.resolution": float("-inf"), "screen.width": -5},
    ]
    out = NORMALIZE(verified([{**HONEST, **event} for event in events]))
    assert out.oks.origin.offset.tolist() == [0, 4]
    assert {letter.offset: (letter.reason, letter.detail) for letter in out.errs} == {
        1: (Reason.OUT_OF_RANGE, "screen.width lies outside the catalogue's range"),
        2: (Reason.NOT_FINITE, "a number of the payload is infinite"),
        3: (Reason.OUT_OF_RANGE, "screen.height lies outside the catalogue's range"),
        5: (Reason.NOT_FINITE, "a number of the payload is infinite"),
    }


@pytest.mark.parametrize(
    ("agent", "browser", "version", "system", "device"),
    [
        (USER_AGENT, "chrome", 147, "windows", "desktop"),
        (EDGE, "edge", 147, "windows", "desktop"),
        (FIREFOX, "firefox", 140, "linux", "desktop"),
        (IPHONE, "safari", 18, "ios", "phone"),
        (PIXEL, "chrome", 147, "android", "phone"),
        (TABLET, "chrome", 147, "android", "tablet"),
        (HEADLESS, "headless_chrome", 147, "windows", "desktop"),
        (IPHONE.replace("iPhone", "iPad"), "safari", 18, "ios", "tablet"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "bot", 2, "unknown", "unknown"),
        ("\u00ff\u0000nonsense", "unknown", None, "unknown", "unknown"),
        (
            USER_AGENT.replace("Windows NT 10.0; Win64; x64", "X11; CrOS x86_64 14541.0.0"),
            "chrome",
            147,
            "chromeos",
            "desktop",
        ),
    ],
)
def test_user_agents_are_folded_into_closed_sets(
    agent: str, browser: str, version: float | None, system: str, device: str
) -> None:
    environment = NORMALIZE(verified([{"navigator.user_agent": agent}])).oks.environment
    assert BROWSERS[environment.browser[0]] == browser
    assert SYSTEMS[environment.system[0]] == system
    assert DEVICES[environment.device[0]] == device
    assert np.isnan(environment.browser_version[0]) if version is None else environment.browser_version[0] == version


@pytest.mark.parametrize(
    ("renderer", "gpu"),
    [
        (RENDERER, "nvidia"),
        ("ANGLE (AMD, AMD Radeon RX 6600 Direct3D11)", "amd"),
        ("Mesa Intel(R) UHD 620", "intel"),
        ("Apple GPU", "apple"),
        ("Adreno (TM) 740", "qualcomm"),
        ("Mali-G715", "arm"),
        ("PowerVR Rogue GE8320", "imagination"),
        ("ANGLE (Samsung Xclipse 940)", "samsung"),
        ("Google SwiftShader", "virtual"),
        ("llvmpipe (LLVM 15)", "virtual"),
        ("ANGLE (Microsoft, Microsoft Basic Render Driver Direct3D11)", "virtual"),
        ("", "unknown"),
        ("\u00ff", "unknown"),
    ],
)
def test_renderers_are_folded_into_makers(renderer: str, gpu: str) -> None:
    assert GPUS[NORMALIZE(verified([{"webgl.unmasked_renderer": renderer}])).oks.environment.gpu[0]] == gpu


def test_screens_are_given_in_device_pixels() -> None:
    environment = NORMALIZE(verified([dict(HONEST), {"screen.width": 100}])).oks.environment
    assert (environment.screen_pixels_wide[0], environment.screen_pixels_high[0]) == (2400, 1350)
    assert np.isnan(environment.screen_pixels_wide[1])


def test_the_zone_counts_in_the_year_of_the_event_and_not_of_the_machine() -> None:
    moscow = {"intl.timezone": "Europe/Moscow", "intl.timezone_offset": -240}
    assert "timezone_offset_contradicts_zone" not in failed(moscow, 1_350_000_000_000)  # 2012: UTC+4 all year
    assert "timezone_offset_contradicts_zone" in failed(moscow, NOW)
    for extreme in (0, 2**62):
        failed({}, extreme)


def test_zones_come_from_the_package_and_unknown_names_open_no_file() -> None:
    assert zone_offsets("Europe/Berlin", 2026) == {-60, -120}
    assert zone_offsets("Asia/Kolkata", 2026) == {-330}
    assert zone_offsets("UTC", 2026) == {0}
    for name in ("", "Europe", "../../etc/passwd", "europe/berlin", "\0"):
        assert zone_offsets(name, 2026) is None
    assert "Europe/Berlin" in zone_names()


def test_every_zone_of_the_package_can_be_read() -> None:
    assert all(zone_offsets(name, 2026) for name in zone_names())


def test_strings_are_parsed_once_and_hostile_lengths_are_not_remembered() -> None:
    assert parse_user_agent(USER_AGENT.encode()) is parse_user_agent(USER_AGENT.encode())
    long = USER_AGENT.encode() + b" " * 60_000
    assert parse_user_agent(long).browser == parse_user_agent(USER_AGENT.encode()).browser
    assert parse_user_agent(long).category == 0
    assert parse_user_agent(long) is parse_user_agent(long + b"other")
    assert parse_renderer(b"x" * 600 + b"nvidia") is parse_renderer(b"x" * 600)


def test_a_long_user_agent_is_not_held_against_its_worker() -> None:
    agent = USER_AGENT + " x" * 600
    assert "worker_contradicts_page" not in failed({"navigator.user_agent": agent, "worker.user_agent": agent})


def test_a_pickled_stage_gives_the_same() -> None:
    batch = verified([dict(HONEST), {}])
    copy = pickle.loads(pickle.dumps(NORMALIZE))  # noqa: S301 - our own bytes
    assert same(copy(batch).oks, NORMALIZE(batch).oks)
