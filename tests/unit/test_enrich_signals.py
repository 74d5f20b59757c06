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
CRAWLER = {**CHROME, "browser": "bot"}
GOOGLEBOT = {"navigator.user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}
KEPT = {"page.secure_context": True, "navigator.cookie_enabled": True, "storage.local": True}
TRUE = [
    Case("bot", {"webdriver"}, {"navigator.webdriver": True}),
    Case("bot", {"webdriver"}, {"fpscanner.hasWebdriver": True, "automation.webdriver_altered": True}),
    Case("bot", {"hidden_webdriver"}, {"automation.iframe_webdriver": True, "automation.worker_webdriver": True}),
    Case("bot", {"webdriver_redefined"}, {"automation.webdriver_altered": True, "altered.Navigator.webdriver": True}),
    Case("bot", {"headless_user_agent"}, {}, HEADLESS),
    Case("bot", {"headless_user_agent"}, {"botd.AppVersion": True, "botd.kind": "headless_chrome"}),
    Case("bot", {"headless_name_in_worker"}, {"fpscanner.hasBotUserAgent": True}),
    Case("bot", {"crawler_name_from_elsewhere"}, GOOGLEBOT, CRAWLER),
    Case("bot", {"verified_crawler"}, GOOGLEBOT, CRAWLER, network={**HOME, "asn": 15169, "classes": ["crawler"]}),
    Case("bot", {"crawler_name_from_elsewhere"}, GOOGLEBOT, CRAWLER, network={**HOME, "classes": ["crawler"]}),
    Case("bot", {"crawler_unverified"}, {"navigator.user_agent": "Mozilla/5.0 (compatible; Baiduspider/2.0)"}, CRAWLER),
    Case("bot", {"crawler_unverified"}, {"navigator.user_agent": "python-requests/2.32"},
         {**CHROME, "browser": "unknown"}),
    Case("bot", {"clicks_of_no_length", "debugger_attached"}, {"automation.cdp_runtime": True},
         activity=[*TYPED, *(entry("clicked", 5_000 + at, 0, "button") for at in range(20))]),
    Case("bot", {"filled_without_hand", "debugger_attached"}, {"automation.cdp_runtime": True},
         activity=[*(entry("value_set_by_script", at, 9, "card_number") for at in range(4)),
                   entry("click_without_trail", 9)]),
    Case("bot", {"cdc_globals"}, {"automation.cdc_globals": True, "fpscanner.hasSeleniumProperty": True}),
    Case("bot", {"other_tool"}, {"botd.DistinctiveProperties": True, "botd.kind": "fminer"}),
    Case("bot", {"hiding_functions"}, {"altered.Navigator.plugins": True, "altered.Permissions.query": True}),
    Case("bot", {"permissions_inconsistent", "no_languages"},
         {"automation.permissions_inconsistent": True, "navigator.languages_count": 0}),
    Case("bot", {"permissions_inconsistent", "debugger_attached"},
         {"botd.NotificationPermissions": True, "automation.cdp_runtime": True}),
    Case("cdp_automation", {"runtime_enabled"}, {"automation.cdp_runtime": True}),
    Case("cdp_automation", {"runtime_enabled"}, {"fpscanner.hasCDP": True}),
    Case("cdp_automation", {"source_url_marker"},
         {"automation.source_url_marker": True, "automation.error_stack_marker": True}),
    Case("headless", {"headless_user_agent"}, {}, HEADLESS),
    Case("headless", {"screen_is_viewport", "software_renderer", "zero_round_trip", "no_task_bar"}, EMULATED),
    Case("headless", {"default_screen", "no_pointer", "no_task_bar", "hidden_scroll_bars"},
         {"screen.width": 800, "screen.height": 600, "screen.avail_height": 600, "viewport.scroll_bar_overlay": True},
         CHROME, ("pointer_contradicts_device",)),
    Case("headless", {"no_pointer", "no_webgl", "window_covers_screen", "no_task_bar", "no_audio_output", "no_voices"},
         {"screen.outer_height": 1080, "screen.avail_height": 1080, "webgl.supported": False, "media.voices_count": 0,
          "media.audio_outputs": 0, "webgl.unmasked_renderer": None}, FIREFOX, ("pointer_contradicts_device",)),
    Case("incognito", {"small_quota"}, {"storage.quota": 3_200, "storage.heap_limit": 4_192}),
    Case("incognito", {"no_private_files_safari"}, {**KEPT, "storage_detail.opfs": False}, SAFARI),
    Case("incognito", {"no_private_files_firefox"}, {**KEPT, "storage_detail.opfs": False}, FIREFOX),
    Case("incognito", {"no_service_worker_firefox"}, {**KEPT, "navigator_member.serviceWorker": False}, FIREFOX),
    Case("tampering", {"worker_contradicts_page"}, {}, CHROME,
         ("worker_contradicts_page", "worker_navigator_contradicts_page", "worker_gpu_contradicts_page")),
    Case("tampering", {"frame_contradicts_page"}, {}, CHROME, ("frame_timezone_contradicts_page",)),
    Case("tampering", {"engine_contradicts_user_agent"}, {}, CHROME,
         ("engine_contradicts_user_agent", "vendor_contradicts_browser")),
    Case("tampering", {"system_contradicts_user_agent"}, {}, CHROME,
         ("platform_contradicts_user_agent", "mobile_hint_contradicts_user_agent")),
    Case("tampering", {"hiding_functions_altered"},
         {"altered.Permissions.query": True, "automation.native_code_altered": True}),
    Case("tampering", {"webgl_contradicts_itself", "navigator_own_properties"},
         {"automation.navigator_own_properties": True}, CHROME, ("webgl_limits_contradict_driver",)),
    Case("anti_detect_browser", {"engine_is_another"}, {}, FIREFOX, ("script_engine_contradicts_user_agent",)),
    Case("anti_detect_browser", {"version_is_another"}, {}, CHROME, ("features_older_than_user_agent",)),
    Case("anti_detect_browser", {"worker_was_forgotten"}, {}, CHROME,
         ("worker_contradicts_page", "worker_gpu_contradicts_page")),
    Case("anti_detect_browser", {"graphics_are_made_up"}, {}, CHROME,
         ("webgl_limits_contradict_driver", "webgl_extensions_contradict_driver", "gpu_contradicts_system")),
    Case("anti_detect_browser", {"noise_in_pictures_and_sound"}, {"canvas.pixel_differences": 4}, CHROME,
         ("canvas_unstable", "audio_unstable")),
    Case("anti_detect_browser", {"noise_in_pictures_and_sound"},
         {"canvas.readback_errors": 4, "audio.sample_sum": 99.0}),
    Case("anti_detect_browser", {"noise_in_sound", "version_is_another"}, {"sound.noise_hash": "76fcbc45"}, CHROME,
         ("features_newer_than_user_agent",)),
    Case("anti_detect_browser", {"functions_hide"}, {"automation.webdriver_altered": True}),
    Case("anti_detect_browser", {"fonts_of_another_system", "gpu_of_another_machine"}, {}, CHROME,
         ("gpu_contradicts_system", "fonts_contradict_system")),
    Case("canvas_spoofing", {"unstable"}, {"canvas.pixel_differences": 4, "canvas.readback_errors": 2}),
    Case("canvas_spoofing", {"unstable"}, {"canvas.pixel_differences": 4}, FIREFOX),
    Case("canvas_spoofing", {"known_pixels_differ"}, {"canvas.readback_errors": 2}),
    Case("canvas_spoofing", {"differs_elsewhere"}, {"frame_page.canvas_text": "other"}),
    Case("canvas_spoofing", {"differs_elsewhere"}, {"picture.offscreen_equal": False}),
    Case("canvas_spoofing", {"functions_replaced"}, {"altered.HTMLCanvasElement.toDataURL": True}),
    Case("canvas_spoofing", {"blank"}, {"canvas.cleared": True}),
    Case("canvas_spoofing", {"blank"}, {"canvas.text": "d13aaac5"}),
    Case("canvas_spoofing", {"one_answer_for_all"}, {"canvas.text": "g"}),
    Case("webgl_mismatch", {"worker_draws_in_software"}, {"worker.webgl_vendor": "Google Inc. (Google)"}, CHROME,
         ("worker_gpu_contradicts_page",)),
    Case("webgl_mismatch", {"worker_differs"}, {}, CHROME, ("worker_gpu_contradicts_page", "worker_contradicts_page")),
    Case("webgl_mismatch", {"worker_limits_differ"}, {}, CHROME, ("worker_limits_contradict_page",)),
    Case("webgl_mismatch", {"frame_differs"}, {}, CHROME, ("frame_gpu_contradicts_page",)),
    Case("webgl_mismatch", {"wrong_for_system"}, {}, CHROME, ("architecture_contradicts_gpu",)),
    Case("webgl_mismatch", {"limits_of_another_driver"}, {}, CHROME,
         ("webgl_limits_contradict_driver", "webgl_copies_differ")),
    Case("webgl_mismatch", {"vendor_is_not_renderers"}, {}, CHROME, ("gpu_vendor_contradicts_renderer",)),
    Case("webgl_mismatch", {"software_under_hardware_name"}, {"webgl.software_fallback": True}),
    Case("navigator_mismatch", {"platform_is_not_user_agents"}, {}, CHROME,
         ("platform_contradicts_user_agent", "client_hints_contradict_user_agent")),
    Case("navigator_mismatch", {"worker_platform"}, {"worker.platform": "Linux x86_64"}, CHROME,
         ("worker_contradicts_page",)),
    Case("navigator_mismatch", {"worker_cores"}, {"worker.hardware_concurrency": 2}, CHROME,
         ("worker_contradicts_page",)),
    Case("navigator_mismatch", {"worker_differs"}, {}, CHROME, ("worker_navigator_contradicts_page",)),
    Case("navigator_mismatch", {"frame_platform"}, {"frame.platform": "Linux x86_64"}),
    Case("navigator_mismatch", {"frame_differs"}, {}, CHROME, ("frame_contradicts_page",)),
    Case("navigator_mismatch", {"engine_is_not_user_agents"}, {"navigator.oscpu": "Linux x86_64"}, CHROME,
         ("navigator_contradicts_engine",)),
    Case("navigator_mismatch", {"product_sub_is_not_engines"}, {"navigator.product_sub": "20100101"}),
    Case("virtual_machine", {"machine_renderer"}, {"webgl.unmasked_renderer": VMWARE}),
    Case("virtual_machine", {"emulator"}, {"webgl.unmasked_renderer": "Android Emulator OpenGL ES Translator"}, PHONE),
    Case("virtual_machine", {"software_renderer"}, {"webgl.unmasked_renderer": SWIFTSHADER}),
    Case("virtual_machine", {"basic_render", "one_core"},
         {"webgl.unmasked_renderer": BASIC, "navigator.hardware_concurrency": 1}),
    Case("developer_tools", {"console_probe"}, {"automation.devtools_open": True, "automation.cdp_runtime": True}),
    Case("developer_tools", {"opened_during_visit"}, {}, activity=[*TYPED, entry("devtools_opened", 9500)]),
    Case("privacy_settings", {"brave"}, {"api.brave": True}),
    Case("privacy_settings", {"coarse_clock"},
         {"timing.resolution": 100, "screen.inner_width": 1400, "screen.inner_height": 900}, FIREFOX),
    Case("privacy_settings", {"tor_browser"}, {"timing.resolution": 100}, FIREFOX,
         network={**HOME, "classes": ["tor"]}),
    Case("privacy_settings", {"session_noise"}, {"canvas.readback_errors": 3}, FIREFOX),
    Case("high_activity", {"over_200_in_24_hours"}, velocity={"events_24h": 201, "events_1h": 60}),
    Case("high_activity", {"over_200_in_24_hours", "over_600_in_24_hours", "sustained"},
         velocity={"events_24h": 700, "events_1h": 60}),
    Case("velocity_anomaly", {"over_30_in_5_minutes"}, velocity={"events_5m": 31, "first_seen_at": NOW - 3_600_000}),
    Case("velocity_anomaly", {"new_device_in_a_burst", "less_than_half_a_second_apart"},
         velocity={"events_5m": 26, "previous_at": NOW - 100, "first_seen_at": NOW - 60_000}),
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


CUBOT = "Mozilla/5.0 (Linux; Android 13; CUBOT P80) AppleWebKit/537.36 Chrome/147.0.0.0 Mobile Safari/537.36"
HELD_DOWN = [
    Case("bot", set(), {"automation.permissions_inconsistent": True}, PHONE),
    Case("bot", set(), {"automation.permissions_inconsistent": True, "page.secure_context": False}, FIREFOX),
    Case("bot", {"permissions_inconsistent"}, {"botd.NotificationPermissions": True}),
    Case("bot", set(), {"botd.DistinctiveProperties": True, "botd.kind": "coachjs"}),
    Case("bot", set(), {"fpscanner.hasBotUserAgent": True, "navigator.user_agent": CUBOT}, PHONE),
    Case("bot", {"debugger_attached"}, {"automation.cdp_runtime": True}),
    Case("bot", {"clicks_of_no_length"}, activity=[*TYPED, *(entry("clicked", 5_000, 0, "button") for _ in range(20))]),
    Case("bot", {"filled_without_hand"},
         activity=[*(entry("value_set_by_script", at, 9, "email") for at in range(4)),
                   entry("click_without_trail", 9)]),
    Case("bot", {"forged_objects"}, {"plugin.consistent": False, "botd.PluginsArray": True}),
    Case("bot", set(), {"plugin.consistent": False, "botd.PluginsArray": True}, PHONE),
    Case("bot", set(), {"automation.cdp_runtime": True, "automation.devtools_open": True}),
    Case("bot", set(), {"navigator.plugins_count": 0, "navigator.pdf_viewer_enabled": False}),
    Case("bot", set(), {"navigator.plugins_count": 0}, PHONE),
    Case("headless", {"software_renderer", "no_voices", "no_audio_output", "no_task_bar"},
         {"webgl.unmasked_renderer": SWIFTSHADER, "media.voices_count": 0, "media.audio_outputs": 0,
          "screen.avail_height": 1080}),
    Case("headless", {"no_task_bar"}, {**EMULATED, "webgl.unmasked_renderer": NVIDIA, "timing.resolution": 100},
         FIREFOX),
    Case("headless", set(), {"screen.inner_width": 360, "screen.outer_width": 360, "screen.inner_height": 640,
                             "screen.outer_height": 640, "screen.width": 360, "screen.height": 640}, PHONE),
    Case("headless", set(), {"screen.outer_width": 0, "screen.outer_height": 0, "viewport.has_focus": False}),
    Case("headless", set(), {"viewport.scroll_bar_overlay": True}, SAFARI),
    Case("headless", set(), {"viewport.scroll_bar_overlay": True}, {**CHROME, "browser": "edge"}),
    Case("headless", {"zero_round_trip", "no_task_bar", "no_voices", "no_audio_output", "no_webgl"},
         {"navigator.connection_rtt": 0, "screen.avail_height": 1080, "media.voices_count": 0,
          "media.audio_outputs": 0, "webgl.supported": False, "webgl.unmasked_renderer": None}),
    Case("incognito", set(), {**KEPT, "storage_detail.opfs": False}, CHROME),
    Case("incognito", set(), {"storage.quota": 9_000, "storage.heap_limit": 4_192}),
    Case("cdp_automation", {"runtime_enabled_with_devtools"},
         {"automation.cdp_runtime": True, "automation.devtools_open": True}),
    Case("tampering", {"other_functions_altered"},
         {f"automation.{name}": True for name in ("native_code_altered", "prototype_altered", "proxy_detected")}),
    Case("tampering", {"noise_functions_altered"},
         {"altered.HTMLCanvasElement.toDataURL": True, "altered.AudioBuffer.getChannelData": True}),
    Case("tampering", {"identity_functions_altered"},
         {"altered.Navigator.userAgent": True, "altered.HTMLCanvasElement.toDataURL": True}),
    Case("tampering", {"brand_version_contradicts_user_agent"}, {}, CHROME, ("brand_version_contradicts_user_agent",)),
    Case("tampering", {"worker_gpu_contradicts_page"}, {}, CHROME, ("worker_gpu_contradicts_page",)),
    Case("tampering", {"hints_contradict_user_agent"}, {}, CHROME,
         ("brand_contradicts_user_agent", "brand_version_contradicts_user_agent")),
    Case("anti_detect_browser", {"functions_replaced", "navigator_own_properties"},
         {"automation.proxy_detected": True, "automation.navigator_own_properties": True}),
    Case("anti_detect_browser", {"functions_replaced"}, {"altered.HTMLCanvasElement.toDataURL": True}),
    Case("anti_detect_browser", {"noise_in_pictures"}, {"canvas.readback_errors": 4}),
    Case("anti_detect_browser", {"noise_in_pictures", "functions_replaced"},
         {"canvas.pixel_differences": 4, "altered.HTMLCanvasElement.toDataURL": True}, CHROME, ("audio_unstable",)),
    Case("tampering", {"identity_functions_altered"}, {"altered.Navigator.plugins": True}),
    Case("anti_detect_browser", set(), {"canvas.readback_errors": 4, "api.brave": True}, CHROME, ("audio_unstable",)),
    Case("anti_detect_browser", set(), {"canvas.readback_errors": 4}, FIREFOX),
    Case("canvas_spoofing", {"noise_of_privacy_browser"}, {"canvas.pixel_differences": 4, "api.brave": True}),
    Case("canvas_spoofing", {"noise_of_privacy_browser"}, {"canvas.readback_errors": 4, "timing.resolution": 100}),
    Case("canvas_spoofing", {"noise_of_privacy_browser"}, {"canvas.readback_errors": 4}, FIREFOX),
    Case("canvas_spoofing", {"noise_of_privacy_browser"}, {"canvas.pixel_differences": 4}, SAFARI),
    Case("canvas_spoofing", {"text_differs_in_worker"}, {"worker_page.canvas_text": "other"}),
    Case("webgl_mismatch", {"worker_has_another_card"}, {"worker.webgl_vendor": "Google Inc. (Intel)"}, CHROME,
         ("worker_gpu_contradicts_page",)),
    Case("webgl_mismatch", set(), {"worker_page.webgl_image": "other", "webgl.image": "one", "api.brave": True}),
    Case("navigator_mismatch", {"mobile_hint_is_wrong"}, {}, PHONE, ("mobile_hint_contradicts_user_agent",)),
    Case("virtual_machine", {"basic_render"}, {"webgl.unmasked_renderer": BASIC}),
    Case("virtual_machine", set(), {"navigator.device_memory": 32}),
    Case("developer_tools", {"docked_beside"}, {"screen.inner_width": 1500}),
    Case("developer_tools", {"console_probe_wrapped"},
         {"automation.devtools_open": True, "automation.proxy_detected": True}),
    Case("privacy_settings", {"do_not_track", "global_privacy_control"},
         {"navigator.do_not_track": True, "navigator.global_privacy_control": True}),
    Case("privacy_settings", {"noise"}, {"canvas.readback_errors": 3}, CHROME, ("audio_unstable",)),
    Case("velocity_anomaly", set(), velocity={"events_5m": 25, "events_1h": 60, "first_seen_at": NOW - 7_200_000}),
    Case("high_activity", set(), velocity={"events_24h": 200}),
]  # fmt: skip


@pytest.mark.parametrize("case", HELD_DOWN, ids=lambda case: f"{case.signal}-{'-'.join(sorted(case.reasons))}")
def test_a_known_false_positive_is_held_down(case: Case) -> None:
    verdict = judge(case)
    assert verdict.result.tolist() == [0]
    assert reasons_of(case, verdict) == case.reasons


def test_webgl_absent_is_not_a_mismatch() -> None:
    assert judge(Case("webgl_mismatch", set(), {"webgl.supported": False})).result.tolist() == [-1]


@pytest.mark.parametrize(
    ("shown", "environment"),
    [({"storage.quota": 10_240}, CHROME), ({"storage.quota": 10_246, "storage.usage": 6}, CHROME), (KEPT, SAFARI),
     ({**KEPT, "page.secure_context": False, "storage_detail.opfs": False}, FIREFOX),
     ({**KEPT, "storage_detail.opfs": False, "navigator.cookie_enabled": False}, FIREFOX)],
)  # fmt: skip
def test_a_private_window_without_a_known_tell_is_not_computable(
    shown: Mapping[str, Any], environment: Mapping[str, Any]
) -> None:
    assert judge(Case("incognito", set(), shown, environment)).result.tolist() == [-1]


def test_a_clue_that_is_seen_needs_no_other_input() -> None:
    verdict = judge(Case("bot", set(), {"automation.phantom_globals": True}, environment={}), honest=False)
    assert verdict.result.tolist() == [1]


def test_clues_join_by_noisy_or() -> None:
    case = next(case for case in TRUE if case.reasons == {"permissions_inconsistent", "no_languages"})
    assert judge(case).confidence[0] == pytest.approx(1 - (1 - 0.35) * (1 - 0.35))


def test_events_come_too_close_by_their_event_time_whatever_the_browsers_clock_says() -> None:
    batch = related([HONEST], [TYPED], [{"previous_at": NOW - 200, "first_seen_at": NOW - 200}], [CHROME])
    ahead = replace(batch.event, occurred_at=batch.event.occurred_at + 600_000, received_at=np.array([NOW]))
    verdict = BY_NAME["velocity_anomaly"].evaluate(View(replace(batch, event=ahead)))
    assert "less_than_half_a_second_apart" in reasons_of(Case("velocity_anomaly", set()), verdict)
