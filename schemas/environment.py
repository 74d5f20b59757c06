"""The closed sets of the normalised environment. Append only: the numbers are stored."""

from __future__ import annotations

BROWSERS = (
    "unknown",
    "chrome",
    "edge",
    "opera",
    "samsung",
    "chromium_other",
    "firefox",
    "safari",
    "webview",
    "headless_chrome",
    "bot",
)
SYSTEMS = ("unknown", "windows", "macos", "linux", "chromeos", "android", "ios")
DEVICES = ("unknown", "desktop", "phone", "tablet")
GPUS = ("unknown", "nvidia", "amd", "intel", "apple", "qualcomm", "arm", "imagination", "samsung", "virtual")

CHECKS = (
    "user_agent_unparsed",
    "platform_contradicts_user_agent",
    "client_hints_contradict_user_agent",
    "mobile_hint_contradicts_user_agent",
    "brand_version_contradicts_user_agent",
    "worker_contradicts_page",
    "frame_contradicts_page",
    "window_exceeds_screen",
    "available_exceeds_screen",
    "touch_contradicts_device",
    "timezone_unknown",
    "timezone_offset_contradicts_zone",
    "language_list_contradicts_language",
    "vendor_contradicts_browser",
    "gpu_contradicts_system",
    "worker_gpu_contradicts_page",
    "webgl_limits_impossible",
    "canvas_readback_failed",
    "canvas_unstable",
    "audio_unstable",
    "number_out_of_range",
)
CHECK_BIT = {name: 1 << index for index, name in enumerate(CHECKS)}
