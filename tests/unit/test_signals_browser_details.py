"""What the browser signals say besides their reasons: the tool, the functions, the contradiction with both classes."""

from __future__ import annotations

from typing import Any

import pytest

from enrichers.causes import listed
from enrichers.consistency import CONTRADICTIONS
from enrichers.present import LONGEST_DETAIL, MOST_DETAILS
from enrichers.stage import Enrich
from schemas.catalogue import load_catalogue
from schemas.environment import CHECKS
from tests.signal_cases import batch_of, usual
from tests.unit.test_enrich_signals import BY_NAME, FIREFOX, GOOGLEBOT, SAFARI, SWIFTSHADER, VMWARE

ALTERED = [signal.name for signal in load_catalogue().booleans if signal.family == "altered"]


def details(name: str, shown: dict[str, Any], checks: tuple[str, ...] = (), **row: Any) -> dict[str, str | float]:
    """Return the details of a signal on the usual row with more shown, within their bounds."""
    environment = {**row.pop("environment", {}), "checks": checks}
    found = BY_NAME[name].details(Enrich()(batch_of(usual(events=shown, environment=environment, **row))).oks, 0)
    assert len(found) <= MOST_DETAILS
    assert all(len(value) <= LONGEST_DETAIL for value in found.values() if isinstance(value, str))
    return {detail: value for detail, value in found.items() if value != ""}


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({"navigator.webdriver": True}, {"kind": "bad"}),
        ({"automation.cdc_globals": True}, {"kind": "bad", "tool": "ChromeDriver"}),
        ({"fpscanner.hasPlaywright": True}, {"kind": "bad", "tool": "Playwright"}),
        ({"botd.DistinctiveProperties": True, "botd.kind": "fminer"}, {"kind": "bad", "tool": "fminer"}),
        ({"altered.Navigator.plugins": True, "altered.Permissions.query": True},
         {"kind": "bad", "hides": "Navigator.plugins, Permissions.query"}),
        (GOOGLEBOT, {"kind": "bad", "crawler": "google"}),
    ],
)  # fmt: skip
def test_a_bot_names_its_tool(shown: dict[str, Any], expected: dict[str, str]) -> None:
    assert details("bot", shown) == expected


def test_a_crawler_at_its_operators_addresses_is_a_good_bot() -> None:
    found = details("bot", GOOGLEBOT, network={"asn": 15169, "classes": ["crawler"]})
    assert found == {"kind": "good", "crawler": "google"}


def test_a_client_of_the_protocol_names_its_tool() -> None:
    assert details("cdp_automation", {"automation.puppeteer_globals": True}) == {"tool": "Puppeteer"}


@pytest.mark.parametrize("name", ["tampering", "anti_detect_browser"])
def test_contradictions_and_replaced_functions_are_named(name: str) -> None:
    shown = {"altered.Navigator.webdriver": True, "altered.Performance.now": True, "automation.proxy_detected": True}
    assert details(name, shown, ("worker_contradicts_page", "webgl_copies_differ")) == {
        "contradictions": "worker_contradicts_page, webgl_copies_differ",
        "altered": "Navigator.webdriver, Performance.now",
    }


def test_a_mismatch_names_both_classes_and_no_string() -> None:
    shown = {"navigator.platform": "Linux x86_64", "worker.platform": "MacIntel", "client_hints.platform": "Windows"}
    assert details("navigator_mismatch", shown, ("platform_contradicts_user_agent",)) == {
        "user_agent": "chrome on windows",
        "gpu": "nvidia",
        "platform": "linux",
        "worker": "macos",
        "contradictions": "platform_contradicts_user_agent",
    }


def test_graphics_are_named_by_maker_on_each_side() -> None:
    shown = {"worker.webgl_vendor": "Google Inc. (Google)", "webgl.unmasked_vendor": "Google Inc. (Intel)"}
    assert details("webgl_mismatch", shown) == {
        "system": "windows",
        "renderer": "nvidia",
        "vendor": "intel",
        "worker": "SwiftShader",
    }
    shown = details("webgl_mismatch", {"webgl.unmasked_renderer": SWIFTSHADER})
    assert str(shown["renderer"]).startswith("SwiftShader")


def test_a_virtual_machine_is_named() -> None:
    assert details("virtual_machine", {"webgl.unmasked_renderer": VMWARE}) == {"product": "VMware"}


def test_a_spoofed_canvas_is_counted() -> None:
    shown = {"canvas.pixel_differences": 41, "altered.HTMLCanvasElement.toDataURL": True}
    assert details("canvas_spoofing", shown) == {
        "pixels_differing": 41.0,
        "known_pixels_wrong": 0.0,
        "altered": "HTMLCanvasElement.toDataURL",
    }


def test_sizes_of_a_browser_without_a_display_are_told() -> None:
    assert details("headless", {}) == {"screen": "1920 by 1080", "viewport": "1905 by 920"}


@pytest.mark.parametrize(
    ("shown", "row", "expected"),
    [
        ({"api.brave": True}, {}, "Brave"),
        ({"timing.resolution": 16.7}, {"network": {"classes": ["tor"]}}, "Tor Browser"),
        ({"timing.resolution": 16.7, "screen.inner_width": 1400, "screen.inner_height": 900}, {},
         "resist-fingerprinting, letterboxed"),
        ({"timing.resolution": 100}, {}, "resist-fingerprinting"),
        ({"canvas.readback_errors": 3}, {}, "Firefox, session noise or rounded values"),
    ],
)  # fmt: skip
def test_a_protection_is_named(shown: dict[str, Any], row: dict[str, Any], expected: str) -> None:
    assert details("privacy_settings", shown, environment=FIREFOX, **row)["protection"] == expected


def test_a_private_window_tells_by_which_browsers_tell() -> None:
    assert details("incognito", {"storage.quota": None}, environment=SAFARI)["browser"] == "safari"
    found = details("incognito", {"storage.quota": 900, "storage.heap_limit": 4192})
    assert found == {"browser": "chrome", "quota_mib": 900.0, "heap_limit_mib": 4192.0}


def test_everything_at_once_stays_within_its_bounds() -> None:
    everything = dict.fromkeys(ALTERED, True)
    for name in BY_NAME:
        details(name, everything, CHECKS)
    named = str(details("tampering", everything, CHECKS)["altered"])
    assert named.startswith("Navigator.webdriver, ") and named.endswith(" more")


def test_a_list_is_cut_between_names_and_says_how_many_are_left_out() -> None:
    assert listed([]) == ""
    assert listed(["one", "two", "one"]) == "one, two"
    names = [f"function_{at}" for at in range(40)]
    line = listed(names)
    shown, _, left = line.partition(" and ")
    assert len(line) <= LONGEST_DETAIL
    assert len(shown.split(", ")) + int(left.removesuffix(" more")) == len(names)


def test_every_check_but_those_of_another_signal_is_a_contradiction_of_one_cause() -> None:
    named = [check.removeprefix("check.") for checks in CONTRADICTIONS.values() for check in checks]
    assert len(named) == len(set(named))
    assert set(CHECKS) - set(named) == {
        "user_agent_unparsed", "timezone_unknown", "pointer_contradicts_device", "client_hints_missing",
        "canvas_readback_failed", "canvas_unstable", "canvas_constant", "audio_unstable", "audio_impossible",
    }  # fmt: skip
