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
ENGINES = ("unknown", "chromium", "gecko", "webkit")
GPU_DRIVERS = ("unknown", "direct3d9", "direct3d11", "direct3d12", "metal", "vulkan", "opengl", "opengl_es", "software")
DENSITIES = ("unknown", "reduced", "single", "scaled", "double", "triple")  # device pixels to a CSS pixel

# Each name says what is wrong where the bit is set. What cannot be asked never sets a bit.
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
    "engine_contradicts_user_agent",
    "engines_mixed",
    "features_newer_than_user_agent",
    "features_older_than_user_agent",
    "script_engine_contradicts_user_agent",
    "navigator_contradicts_engine",
    "client_hints_missing",
    "client_hints_contradict_each_other",
    "brand_contradicts_user_agent",
    "system_version_contradicts_user_agent",
    "form_factor_contradicts_user_agent",
    "architecture_contradicts_gpu",
    "worker_timezone_contradicts_page",
    "worker_navigator_contradicts_page",
    "worker_limits_contradict_page",
    "frame_screen_contradicts_page",
    "frame_timezone_contradicts_page",
    "frame_navigator_contradicts_page",
    "frame_gpu_contradicts_page",
    "contexts_compute_differently",
    "timezone_season_contradicts_zone",
    "media_queries_contradict_each_other",
    "screen_contradicts_itself",
    "screen_contradicts_device",
    "pointer_contradicts_device",
    "gpu_vendor_contradicts_renderer",
    "webgl_contradicts_engine",
    "webgl_limits_contradict_driver",
    "webgl_extensions_contradict_driver",
    "webgl_copies_differ",
    "webgpu_contradicts_webgl",
    "canvas_constant",
    "audio_impossible",
    "audio_contradicts_engine",
    "plugins_contradict_pdf_viewer",
    "device_memory_impossible",
    "fonts_contradict_system",
)
CHECK_BIT = {name: 1 << index for index, name in enumerate(CHECKS)}  # bits of a uint64
