"""Every smart signal: when it is true, when it is false, when it is not computable, and what is held down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest

from enrichers.registry import SIGNALS
from enrichers.signal import Verdict
from enrichers.view import View
from schemas.recognition import COMBINATIONS, REPUTED
from tests.builders import NOW, entry, related

BY_NAME = {signal.name: signal for signal in SIGNALS}
CHROME = {
    "browser": "chrome",
    "browser_version": 147,
    "system": "windows",
    "device": "desktop",
    "gpu": "nvidia",
    "timezone_offset": -120,
}
FIREFOX = {"browser": "firefox", "browser_version": 148, "system": "windows", "device": "desktop", "gpu": "nvidia"}
SAFARI = {"browser": "safari", "browser_version": 19, "system": "macos", "device": "desktop", "gpu": "apple"}
PHONE = {"browser": "chrome", "browser_version": 147, "system": "android", "device": "phone", "gpu": "qualcomm"}
NVIDIA = "ANGLE (NVIDIA, NVIDIA GeForce RTX 3060 Direct3D11 vs_5_0 ps_5_0, D3D11)"
SWIFTSHADER = "ANGLE (Google, Vulkan 1.3.0 (SwiftShader Device (Subzero) (0x0000C0DE)), SwiftShader driver)"
BASIC = "ANGLE (Microsoft, Microsoft Basic Render Driver Direct3D11 vs_5_0 ps_5_0, D3D11)"
VMWARE = "ANGLE (VMware, VMware SVGA 3D Direct3D11 vs_5_0 ps_5_0, D3D11)"
WINDOW = {
    "screen.width": 1920, "screen.height": 1080, "screen.avail_height": 1040, "screen.inner_width": 1905,
    "screen.inner_height": 920, "screen.outer_width": 1920, "screen.outer_height": 1040,
}  # fmt: skip
HONEST = {
    **WINDOW, "navigator.webdriver": False, "automation.webdriver_attribute": False, "automation.cdp_runtime": False,
    "automation.devtools_open": False, "automation.native_code_altered": False, "navigator.languages_count": 2,
    "navigator.plugins_count": 5, "navigator.platform": "Win32", "navigator.pdf_viewer_enabled": True,
    "timing.eval_length": 33, "timing.resolution": 0.1, "api.chrome": True, "api.brave": False,
    "canvas.supported": True, "canvas.pixel_differences": 0, "canvas.readback_errors": 0, "canvas.text": "t",
    "canvas.geometry": "g", "canvas.emoji": "e", "canvas.winding": True, "webgl.supported": True,
    "webgl.unmasked_renderer": NVIDIA, "webgl.unmasked_vendor": "Google Inc. (NVIDIA)",
    "webgl.max_texture_size": 16384, "navigator.hardware_concurrency": 8, "navigator.device_memory": 16,
    "media.voices_count": 20, "media.audio_outputs": 2, "navigator.product_sub": "20030107",
    "storage.quota": 120_000,
}  # fmt: skip
HOME = {"country": "DE", "asn": 3320, "latitude": 51.0, "longitude": 10.0}
USUAL = {
    **{f"tail_{name}": 0.6 for name in COMBINATIONS}, **{f"seen_{name}": 900.0 for name in COMBINATIONS},
    **{f"denied_{name}": 0.01 for name in REPUTED}, **{f"weight_{name}": 300.0 for name in REPUTED},
}  # fmt: skip
STAYED = {"places": [(51.0, 10.0, NOW - 3_600_000)]}
TYPED = [
    entry("field_focused", 900, 0, "card_number"),
    *(entry("key_interval", 1000 + 130 * k, 90 + 37 * (k % 4), "card_number") for k in range(16)),
    entry("pointer_summary", 4000, 840),
    entry("clicked", 4200, 85, "button"),
    entry("submitted", 9000, 9000, "form"),
]


class Case(NamedTuple):
    """What is shown beyond an honest desktop Chrome, and the reasons that must be seen."""

    signal: str
    reasons: set[str]
    shown: Mapping[str, Any] = {}
    environment: Mapping[str, Any] = CHROME
    checks: tuple[str, ...] = ()
    activity: Any = TYPED
    velocity: Mapping[str, Any] = STAYED
    network: Mapping[str, Any] = HOME
    recognition: Mapping[str, Any] = USUAL
    shared: Mapping[str, Any] = {}


def judge(case: Case, *, honest: bool = True) -> Verdict:
    """Return the signal's verdict on the case."""
    batch = related(
        [{**(HONEST if honest else {}), **case.shown}],
        [case.activity],
        [case.velocity],
        [{**case.environment, "checks": case.checks}],
        shared=[case.shared],
        network=[case.network],
        recognition=[case.recognition],
    )
    return BY_NAME[case.signal].evaluate(View(batch))


def reasons_of(case: Case, verdict: Verdict) -> set[str]:
    """Return the names of the reasons."""
    names = BY_NAME[case.signal].reasons
    return {name for bit, name in enumerate(names) if int(verdict.reasons[0]) >> bit & 1}


HEADLESS = {**CHROME, "browser": "headless_chrome"}
EMULATED = {
    "screen.width": 1280, "screen.height": 720, "screen.avail_height": 720, "screen.inner_width": 1280,
    "screen.inner_height": 720, "screen.outer_width": 1280, "screen.outer_height": 720,
    "webgl.unmasked_renderer": SWIFTSHADER, "navigator.connection_rtt": 0,
}  # fmt: skip
TRUE = [
    Case("bot", {"webdriver"}, {"navigator.webdriver": True}),
    Case("bot", {"headless_user_agent"}, {}, HEADLESS),
    Case("bot", {"bot_user_agent"}, {}, {**CHROME, "browser": "bot"}),
    Case("bot", {"iframe_webdriver"}, {"automation.iframe_webdriver": True}),
    Case("bot", {"cdc_globals"}, {"automation.cdc_globals": True}),
    Case("bot", {"permissions_inconsistent", "no_languages"},
         {"automation.permissions_inconsistent": True, "navigator.languages_count": 0}),
    Case("cdp_automation", {"runtime_enabled"}, {"automation.cdp_runtime": True}),
    Case("cdp_automation", {"source_url_marker"}, {"automation.source_url_marker": True}),
    Case("headless", {"headless_user_agent"}, {}, HEADLESS),
    Case("headless", {"no_window_frame", "screen_is_viewport", "software_renderer", "zero_round_trip", "no_task_bar"},
         EMULATED),
    Case("tampering", {"worker_contradicts_page"}, {}, CHROME, ("worker_contradicts_page",)),
    Case("tampering", {"native_code_altered", "prototype_altered", "proxy_detected"},
         {f"automation.{name}": True for name in ("native_code_altered", "prototype_altered", "proxy_detected")}),
    Case("tampering", {"platform_contradicts_user_agent", "vendor_contradicts_browser"}, {}, CHROME,
         ("platform_contradicts_user_agent", "vendor_contradicts_browser")),
    Case("anti_detect_browser", {"engine_is_not_firefox"}, {}, FIREFOX),
    Case("anti_detect_browser", {"engine_is_not_chromium"}, {"navigator.oscpu": "Linux x86_64"}),
    Case("anti_detect_browser", {"engine_is_not_webkit"}, {}, SAFARI),
    Case("anti_detect_browser", {"webdriver_altered"}, {"automation.webdriver_altered": True}),
    Case("anti_detect_browser", {"fonts_of_another_system", "gpu_contradicts_system"},
         {"fonts.helvetica_neue": True, "fonts.menlo": True, "fonts.segoe_ui": False}, CHROME,
         ("gpu_contradicts_system",)),
    Case("canvas_spoofing", {"unstable"}, {"canvas.pixel_differences": 4}),
    Case("canvas_spoofing", {"cleared"}, {"canvas.cleared": True}),
    Case("canvas_spoofing", {"one_answer_for_all"}, {"canvas.text": "g"}),
    Case("webgl_mismatch", {"worker_differs"}, {}, CHROME, ("worker_gpu_contradicts_page",)),
    Case("webgl_mismatch", {"vendor_is_not_renderers"}, {"webgl.unmasked_vendor": "Google Inc. (Intel)"}),
    Case("webgl_mismatch", {"software_under_hardware_name"}, {"webgl.software_fallback": True}),
    Case("navigator_mismatch", {"platform_is_not_user_agents"}, {}, CHROME, ("platform_contradicts_user_agent",)),
    Case("navigator_mismatch", {"worker_platform"}, {"worker.platform": "Linux x86_64"}, CHROME,
         ("worker_contradicts_page",)),
    Case("navigator_mismatch", {"worker_or_frame_user_agent"}, {}, CHROME, ("frame_contradicts_page",)),
    Case("navigator_mismatch", {"product_sub_is_not_engines"}, {"navigator.product_sub": "20100101"}),
    Case("virtual_machine", {"machine_renderer"}, {"webgl.unmasked_renderer": VMWARE}),
    Case("virtual_machine", {"software_renderer"}, {"webgl.unmasked_renderer": SWIFTSHADER}),
    Case("virtual_machine", {"basic_render", "one_core"},
         {"webgl.unmasked_renderer": BASIC, "navigator.hardware_concurrency": 1}),
    Case("developer_tools", {"console_probe"}, {"automation.devtools_open": True}),
    Case("developer_tools", {"opened_during_visit"}, {}, activity=[*TYPED, entry("devtools_opened", 9500)]),
    Case("privacy_settings", {"brave"}, {"api.brave": True}),
    Case("privacy_settings", {"coarse_clock", "letterboxed"},
         {"timing.resolution": 100, "screen.inner_width": 1400, "screen.inner_height": 900}, FIREFOX),
    Case("high_activity", {"over_200_in_24_hours"}, velocity={"events_24h": 201, "events_1h": 60}),
    Case("high_activity", {"over_200_in_24_hours", "over_600_in_24_hours", "sustained"},
         velocity={"events_24h": 700, "events_1h": 60}),
    Case("velocity_anomaly", {"over_30_in_5_minutes"}, velocity={"events_5m": 31, "first_seen_at": NOW - 3_600_000}),
    Case("velocity_anomaly", {"new_device_in_a_burst", "less_than_half_a_second_apart"},
         velocity={"events_5m": 16, "previous_at": NOW - 100, "first_seen_at": NOW - 60_000}),
    Case("scripted_input", {"untrusted_events", "many_untrusted_events"},
         activity=[*TYPED, entry("untrusted_event", 5000, 9)]),
    Case("scripted_input", {"machine_cadence"},
         activity=[*(entry("key_interval", 50 * k, 50, "email") for k in range(14))]),
    Case("scripted_input", {"submitted_at_once"}, activity=[entry("submitted", 700, 700, "form")]),
    Case("scripted_input", {"clicks_of_no_length", "no_pointer_at_all"},
         activity=[entry("clicked", 10, 0, "button"), entry("clicked", 900, 1, "button")]),
]  # fmt: skip


@pytest.mark.parametrize("case", TRUE, ids=lambda case: f"{case.signal}-{'-'.join(sorted(case.reasons))}"[:70])
def test_a_signal_is_true_for_the_right_reasons(case: Case) -> None:
    verdict = judge(case)
    assert verdict.result.tolist() == [1]
    assert reasons_of(case, verdict) == case.reasons
    assert BY_NAME[case.signal].threshold <= verdict.confidence[0] < 1


@pytest.mark.parametrize("name", sorted(BY_NAME))
def test_an_honest_desktop_has_no_signal(name: str) -> None:
    case = Case(name, set())
    verdict = judge(case)
    assert (verdict.result[0], verdict.confidence[0], reasons_of(case, verdict)) == (0, 0.0, set())


@pytest.mark.parametrize("name", sorted(set(BY_NAME) - {"high_activity", "velocity_anomaly", "replayed"}))
def test_a_signal_without_its_inputs_is_not_computable(name: str) -> None:
    verdict = judge(
        Case(name, set(), environment={}, activity=[], velocity={}, network={}, recognition={}), honest=False
    )
    assert verdict.result.tolist() == [-1]
    assert np.isnan(verdict.confidence).all()
    assert verdict.reasons.tolist() == [0]


@pytest.mark.parametrize("name", ["high_activity", "velocity_anomaly"])
def test_counting_signals_are_not_computable_without_counts(name: str) -> None:
    nothing = {"events_5m": 0, "events_1h": 0, "events_24h": 0}
    assert judge(Case(name, set(), velocity=nothing)).result.tolist() == [-1]


HELD_DOWN = [
    Case("bot", {"permissions_inconsistent"}, {"automation.permissions_inconsistent": True}, PHONE),
    Case("bot", set(), {"navigator.plugins_count": 0, "navigator.pdf_viewer_enabled": False}),
    Case("bot", set(), {"navigator.plugins_count": 0}, PHONE),
    Case("headless", {"software_renderer", "no_voices", "no_audio_output", "no_task_bar"},
         {"webgl.unmasked_renderer": SWIFTSHADER, "media.voices_count": 0, "media.audio_outputs": 0,
          "screen.avail_height": 1080}),
    Case("headless", {"no_task_bar"}, {**EMULATED, "webgl.unmasked_renderer": NVIDIA, "timing.resolution": 100},
         FIREFOX),
    Case("headless", set(), {"screen.inner_width": 360, "screen.outer_width": 360, "screen.inner_height": 640,
                             "screen.outer_height": 640, "screen.width": 360, "screen.height": 640}, PHONE),
    Case("cdp_automation", {"runtime_enabled_with_devtools"},
         {"automation.cdp_runtime": True, "automation.devtools_open": True}),
    Case("tampering", {"native_code_altered"}, {"automation.native_code_altered": True}),
    Case("tampering", {"proxy_detected"}, {"automation.proxy_detected": True}),
    Case("tampering", {"brand_version_contradicts_user_agent"}, {}, CHROME, ("brand_version_contradicts_user_agent",)),
    Case("anti_detect_browser", {"proxy_detected", "navigator_own_properties"},
         {"automation.proxy_detected": True, "automation.navigator_own_properties": True}),
    Case("anti_detect_browser", {"native_code_altered"}, {"automation.native_code_altered": True}),
    Case("canvas_spoofing", {"noise_of_privacy_browser"}, {"canvas.pixel_differences": 4, "api.brave": True}),
    Case("canvas_spoofing", {"noise_of_privacy_browser"}, {"canvas.readback_errors": 4, "timing.resolution": 100}),
    Case("webgl_mismatch", set(), {"webgl.unmasked_vendor": "ATI Technologies Inc.",
                                   "webgl.unmasked_renderer": "AMD Radeon Pro 5300M OpenGL Engine"}, SAFARI),
    Case("navigator_mismatch", {"mobile_hint_is_wrong"}, {}, PHONE, ("mobile_hint_contradicts_user_agent",)),
    Case("virtual_machine", {"basic_render"}, {"webgl.unmasked_renderer": BASIC}),
    Case("virtual_machine", set(), {"navigator.device_memory": 32}),
    Case("developer_tools", {"docked_beside"}, {"screen.inner_width": 1500}),
    Case("privacy_settings", {"do_not_track", "global_privacy_control"},
         {"navigator.do_not_track": True, "navigator.global_privacy_control": True}),
    Case("velocity_anomaly", set(), velocity={"events_5m": 25, "events_1h": 60, "first_seen_at": NOW - 7_200_000}),
    Case("high_activity", set(), velocity={"events_24h": 200}),
    Case("scripted_input", {"click_without_trail"}, activity=[*TYPED, entry("click_without_trail", 1)]),
    Case("scripted_input", set(), activity=[entry("autofilled", 300, 0, "card_number"), entry("submitted", 900, 900)]),
    Case("scripted_input", {"pasted_whole_card"}, activity=[entry("pasted", 300, 16, "card_number"),
                                                             entry("pasted", 400, 3, "card_cvv")]),
    Case("scripted_input", {"card_set_by_script", "untrusted_events"},
         activity=[*TYPED, entry("value_set_by_script", 8, 16, "card_number"), entry("untrusted_event", 9, 1)]),
    Case("scripted_input", {"untrusted_events"},
         activity=[*TYPED, *(entry("value_set_by_script", 8, 9, "email"), entry("untrusted_event", 9, 4)) * 6]),
]  # fmt: skip


@pytest.mark.parametrize("case", HELD_DOWN, ids=lambda case: f"{case.signal}-{'-'.join(sorted(case.reasons))}")
def test_a_known_false_positive_is_held_down(case: Case) -> None:
    verdict = judge(case)
    assert verdict.result.tolist() == [0]
    assert reasons_of(case, verdict) == case.reasons


def test_webgl_absent_is_not_a_mismatch() -> None:
    assert judge(Case("webgl_mismatch", set(), {"webgl.supported": False})).result.tolist() == [-1]


def test_a_clue_that_is_seen_needs_no_other_input() -> None:
    verdict = judge(Case("bot", set(), {"automation.phantom_globals": True}, environment={}), honest=False)
    assert verdict.result.tolist() == [1]


def test_clues_join_by_noisy_or() -> None:
    verdict = judge(TRUE[5])
    assert verdict.confidence[0] == pytest.approx(1 - (1 - 0.35) * (1 - 0.35))


def test_events_come_too_close_by_their_event_time_whatever_the_browsers_clock_says() -> None:
    batch = related([HONEST], [TYPED], [{"previous_at": NOW - 200, "first_seen_at": NOW - 200}], [CHROME])
    ahead = replace(batch.event, occurred_at=batch.event.occurred_at + 600_000, received_at=np.array([NOW]))
    verdict = BY_NAME["velocity_anomaly"].evaluate(View(replace(batch, event=ahead)))
    assert "less_than_half_a_second_apart" in reasons_of(Case("velocity_anomaly", set()), verdict)
