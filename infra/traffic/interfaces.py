"""Which interfaces and media features a browser of each family shows, as of the versions in the population."""

from __future__ import annotations

from functools import lru_cache

from schemas.catalogue import Signal, load_catalogue


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMON = _names(
    "web_authn service_worker push_manager notification speech_synthesis gamepads media_session credential_management"
    " offscreen_canvas visual_viewport process_node buffer_node wake_lock shared_worker device_orientation"
    " device_motion payment_request"
)
_CHROMIUM = _names(
    "chrome bluetooth usb hid web_gpu speech_recognition midi xr presentation battery network_information launch_queue"
    " trusted_types webkit_file_system idle_detector"
)
_CHROMIUM_DESKTOP = _names("serial eye_dropper file_system_access keyboard chrome_app")
_ANDROID = _names("touch_event contact_picker web_share barcode_detector")
_IN_APP = _names(
    "notification push_manager payment_request web_share bluetooth usb hid presentation speech_recognition chrome"
    " contact_picker web_gpu idle_detector xr midi launch_queue wake_lock apple_pay_session service_worker"
)
_WEBKIT = _names("apple_pay_session web_share speech_recognition")
_SHARES = frozenset(("windows", "chromeos", "macos"))


@lru_cache(256)
def _present(browser: str, system: str, engine: str) -> frozenset[str]:
    if engine == "gecko":
        found = _COMMON - {"payment_request"} | {"mozilla_inner_screen", "midi"}
        return found | {"touch_event", "web_share"} if system == "android" else found
    if engine == "webkit":
        if system == "macos":
            return _COMMON - {"device_motion", "device_orientation"} | _WEBKIT | {"safari"}
        found = _COMMON - {"notification", "push_manager"} | _WEBKIT | {"touch_event"}
        return found - _IN_APP if browser == "webview" else found
    found = _COMMON | _CHROMIUM
    if system == "android":
        found = found - {"hid", "shared_worker"} | _ANDROID
        return found - _IN_APP if browser == "webview" else found
    found = found | _CHROMIUM_DESKTOP
    found = found | {"web_share"} if system in _SHARES else found
    found = found | {"barcode_detector"} if system in ("macos", "chromeos") else found
    own = {"opera": {"opr"}, "brave": {"brave"}}.get(browser, set())
    return found - {"network_information", "usb", "hid"} | own if browser == "brave" else found | own


@lru_cache(1024)
def interfaces(browser: str, system: str, engine: str, version: int, touch: bool) -> dict[str, bool]:
    """Return every ``api.*`` boolean of a browser."""
    found = set(_present(browser, system, engine))
    if touch:
        found.add("touch_event")
    if engine == "gecko" and (version >= 141 and system == "windows"):
        found.add("web_gpu")
    if engine == "webkit" and version >= 26:
        found.add("web_gpu")
    if engine == "webkit" and version < 16:
        found -= {"shared_worker", "offscreen_canvas", "wake_lock", "push_manager"}
    if engine == "chromium" and version < 119:
        found.add("open_database")
    return {f"api.{signal.name.removeprefix('api.')}": signal.name.removeprefix("api.") in found for signal in _api()}


@lru_cache(1)
def _api() -> tuple[Signal, ...]:
    return tuple(s for s in load_catalogue().booleans if s.family == "api")


@lru_cache(64)
def media_queries(device: str, touch: bool, wide_gamut: bool) -> dict[str, bool]:
    """Return the ``css.*`` booleans that the device decides."""
    fine = device == "desktop"
    return {
        "css.hover": fine, "css.any_hover": fine, "css.pointer_fine": fine, "css.pointer_coarse": not fine,
        "css.any_pointer_fine": fine, "css.any_pointer_coarse": touch or not fine, "css.gamut_srgb": True,
        "css.gamut_p3": wide_gamut, "css.gamut_rec2020": False, "css.more_contrast": False,
        "css.less_contrast": False, "css.forced_colors": False, "css.inverted_colors": False,
        "css.reduced_transparency": False, "css.display_standalone": False,
    }  # fmt: skip


_SCRIPTING = {"chromium": 120, "gecko": 113, "webkit": 17}
_UPDATE = {"chromium": 113, "gecko": 102, "webkit": 17}
_NEVER = (
    "prefers-reduced-data_reduce", "prefers-contrast_custom", "display-mode_fullscreen", "display-mode_minimal-ui",
    "display-mode_window-controls-overlay", "update_slow", "grid_1", "environment-blending_opaque", "shape_rect",
    "-ms-high-contrast_active",
)  # fmt: skip


@lru_cache(1024)
def more_queries(
    engine: str, version: float, dark: bool, hdr: bool, page_wide: bool, screen_wide: bool
) -> dict[str, bool]:
    """Return ``media_query.*``; the last two say whether page and screen are wider than high."""
    found = dict.fromkeys(_NEVER, False) | {
        "prefers-color-scheme_light": not dark, "prefers-color-scheme_dark": dark,
        "prefers-contrast_no-preference": True, "display-mode_browser": True,
        "scripting_enabled": version >= _SCRIPTING[engine], "update_fast": version >= _UPDATE[engine],
        "video-dynamic-range_high": hdr, "orientation_landscape": page_wide, "orientation_portrait": not page_wide,
        "color-index_0": True, "-webkit-transform-3d_1": True,
        "vertical-viewport-segments_1": engine == "chromium" and version >= 138,
        "device-posture_continuous": engine == "chromium" and version >= 132,
        "-moz-device-orientation_landscape": engine == "gecko" and screen_wide,
    }  # fmt: skip
    return {f"media_query.{name}": value for name, value in found.items()}
