"""Contradictions of a browser's own statements, grouped by what causes them: who replaced what.

A spoofer that replaces the page's navigator contradicts the worker in platform, cores, languages and client hints at
once. That is one cause and one clue; which statements differ is in the details.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from enrichers.causes import Causes, NamesBy, listed, word_of
from schemas.batches import Enriched
from schemas.environment import BROWSERS, ENGINES, GPUS, SYSTEMS

# Checks of the normalisation by their cause. On 20,000 honest visitors of the simulated population none of these fails
# in more than 0.01%, worker_gpu_contradicts_page apart (laptops with two cards): docs/normalisation.md.
CONTRADICTIONS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "worker_contradicts_page": (
        "check.worker_contradicts_page", "check.worker_navigator_contradicts_page",
        "check.worker_timezone_contradicts_page", "check.contexts_compute_differently",
    ),
    "frame_contradicts_page": (
        "check.frame_contradicts_page", "check.frame_navigator_contradicts_page",
        "check.frame_screen_contradicts_page", "check.frame_timezone_contradicts_page",
        "check.frame_gpu_contradicts_page",
    ),
    "engine_contradicts_user_agent": (
        "check.engine_contradicts_user_agent", "check.script_engine_contradicts_user_agent", "check.engines_mixed",
        "check.navigator_contradicts_engine", "check.audio_contradicts_engine", "check.webgl_contradicts_engine",
    ),
    "version_contradicts_user_agent": (
        "check.features_newer_than_user_agent", "check.features_older_than_user_agent",
    ),
    "system_contradicts_user_agent": (
        "check.platform_contradicts_user_agent", "check.client_hints_contradict_user_agent",
        "check.client_hints_contradict_each_other",
    ),
    "hints_contradict_user_agent": (
        "check.form_factor_contradicts_user_agent", "check.system_version_contradicts_user_agent",
        "check.brand_contradicts_user_agent",
    ),
    "brand_version_contradicts_user_agent": ("check.brand_version_contradicts_user_agent",),
    "mobile_hint_contradicts_user_agent": ("check.mobile_hint_contradicts_user_agent",),
    "vendor_contradicts_browser": ("check.vendor_contradicts_browser",),
    "device_contradicts_screen": (
        "check.touch_contradicts_device", "check.screen_contradicts_device", "check.screen_contradicts_itself",
        "check.media_queries_contradict_each_other", "check.window_exceeds_screen", "check.available_exceeds_screen",
    ),
    "machine_contradicts_gpu": (
        "check.gpu_contradicts_system", "check.architecture_contradicts_gpu", "check.webgpu_contradicts_webgl",
    ),
    "webgl_contradicts_itself": (
        "check.webgl_limits_impossible", "check.webgl_limits_contradict_driver", "check.webgl_copies_differ",
        "check.webgl_extensions_contradict_driver", "check.gpu_vendor_contradicts_renderer",
        "check.worker_limits_contradict_page",
    ),
    "worker_gpu_contradicts_page": ("check.worker_gpu_contradicts_page",),
    "fonts_contradict_system": ("check.fonts_contradict_system",),
    "timezone_contradicts_itself": (
        "check.timezone_offset_contradicts_zone", "check.timezone_season_contradicts_zone",
    ),
    "plugins_contradict_pdf_viewer": ("check.plugins_contradict_pdf_viewer",),
    "device_memory_impossible": ("check.device_memory_impossible",),
    "language_list_contradicts_language": ("check.language_list_contradicts_language",),
    "number_out_of_range": ("check.number_out_of_range",),
})  # fmt: skip
ALL: Final = Causes(CONTRADICTIONS)

# Functions and accessors by what somebody replaces them for.
_HIDING = ("Navigator.webdriver", "Permissions.query", "HTMLIFrameElement.contentWindow")
_PRINTING = ("Function.prototype.toString", "Object.getOwnPropertyDescriptor", "Reflect.ownKeys", "Error.stack")
_IDENTITY = (
    "Navigator.userAgent", "Navigator.platform", "Navigator.languages", "Navigator.hardwareConcurrency",
    "Navigator.plugins",
    "Navigator.deviceMemory", "Navigator.userAgentData", "Navigator.maxTouchPoints", "Screen.width", "Screen.height",
    "Window.innerWidth", "Window.outerWidth", "Window.devicePixelRatio", "WebGLRenderingContext.getParameter",
    "WebGLRenderingContext.getExtension", "WebGL2RenderingContext.getParameter", "Date.getTimezoneOffset",
    "Intl.DateTimeFormat.resolvedOptions",
)  # fmt: skip
_CANVAS = (
    "HTMLCanvasElement.toDataURL",
    "HTMLCanvasElement.toBlob",
    "CanvasRenderingContext2D.getImageData",
    "CanvasRenderingContext2D.fillText",
)
_NOISE = (
    *_CANVAS, "CanvasRenderingContext2D.measureText", "HTMLCanvasElement.getContext",
    "WebGLRenderingContext.readPixels", "AudioBuffer.getChannelData", "AnalyserNode.getFloatFrequencyData",
    "Element.getBoundingClientRect", "HTMLElement.offsetWidth",
)  # fmt: skip
_OTHER = (
    "MediaDevices.enumerateDevices", "RTCPeerConnection.createOffer", "EventTarget.addEventListener",
    "Performance.now", "HTMLMediaElement.canPlayType",
)  # fmt: skip
ALTERED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({
    "hiding_functions_altered": tuple(f"altered.{name}" for name in _HIDING),
    "printing_functions_altered": tuple(f"altered.{name}" for name in _PRINTING),
    "identity_functions_altered": tuple(f"altered.{name}" for name in _IDENTITY),
    "noise_functions_altered": tuple(f"altered.{name}" for name in _NOISE),
    "other_functions_altered": (
        *(f"altered.{name}" for name in _OTHER), "automation.native_code_altered", "automation.prototype_altered",
        "automation.proxy_detected",
    ),
})  # fmt: skip
FUNCTIONS: Final = Causes({**ALTERED, "canvas_functions_altered": tuple(f"altered.{name}" for name in _CANVAS)})

_PLATFORMS = {
    "Win32": "windows", "MacIntel": "macos", "iPhone": "ios", "iPad": "ios", "Linux x86_64": "linux",
    "Linux aarch64": "linux", "Linux armv81": "android", "Linux armv8l": "android", "Linux armv7l": "android",
}  # fmt: skip
_HINTED = {
    "Windows": "windows", "macOS": "macos", "Linux": "linux", "Android": "android", "Chrome OS": "chromeos",
    "iOS": "ios",
}  # fmt: skip
_NAMED_BY = {
    "platform": ("navigator.platform", _PLATFORMS),
    "worker": ("worker.platform", _PLATFORMS),
    "frame": ("frame.platform", _PLATFORMS),
    "client_hints": ("client_hints.platform", _HINTED),
}


def said(batch: Enriched, row: int) -> dict[str, str | float]:
    """Return what the user agent says, and where else another system is named: classes, never the strings."""
    shown = batch.environment
    system = SYSTEMS[shown.system[row]]
    found: dict[str, str | float] = {
        "user_agent": f"{BROWSERS[shown.browser[row]]} on {system}",
        "engine": ENGINES[shown.engine[row]] if shown.engine[row] else "",
        "gpu": GPUS[shown.gpu[row]] if shown.gpu[row] else "",
    }
    for place, (name, systems) in _NAMED_BY.items():
        named = systems.get(word_of(batch, row, name, tuple(systems)), "")
        if named and named != system:
            found[place] = named
    return found


def contradictions_on(batch: Enriched, row: int) -> str:
    """Return the names of the failed checks of one row."""
    return ALL.said_on(batch, row, _contradictions)


def _contradictions(found: NamesBy) -> str:
    return listed(name for names in found.values() for name in names)


def altered_on(batch: Enriched, row: int) -> str:
    """Return the names of the replaced functions of one row."""
    return FUNCTIONS.said_on(batch, row, _altered)


def _altered(replaced: NamesBy) -> str:
    names = [name for cause in tuple(ALTERED)[:-1] for name in replaced[cause]]
    return listed((*names, *(name for name in replaced["other_functions_altered"] if name in _OTHER)))
