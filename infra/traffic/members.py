"""Every name that a page finds in a browser: MDN's table, and what it cannot say: systems, brands, touch screens.

Checked against Debian's Chromium 156 and Firefox 153 by ``tests/unit/test_traffic_members.py``.
"""

from __future__ import annotations

from functools import lru_cache

from infra.traffic.browser_support import Sizes, column_of, known_names, sizes

Names = dict[str, bool]
_ISOLATED_ONLY = ("interface.SharedArrayBuffer",)  # a shop's page is not cross-origin isolated
_TOUCH = ("window_member.ontouchstart",)
_GECKO_TOUCH = ("interface.TouchEvent", "interface.TouchList")
_SHARE = ("navigator_member.share", "navigator_member.canShare")
_BLUETOOTH = ("interface.Bluetooth", "navigator_member.bluetooth")
_BARCODE = ("interface.BarcodeDetector",)
_GPU = ("interface.GPU", "navigator_member.gpu", "worker_interface.GPU")
_NOT_BRAVE = (
    *_BLUETOOTH, "interface.NetworkInformation", "navigator_member.connection", "interface.FontData",
    "window_member.queryLocalFonts", "window_member.showDirectoryPicker", "interface.IdleDetector", "interface.Fence",
    "window_member.fence", "window_member.sharedStorage", "navigator_member.joinAdInterestGroup",
    "navigator_member.protectedAudience", "navigator_member.canLoadAdAuctionFencedFrame", "interface.USB",
    "navigator_member.usb", "interface.HID", "navigator_member.hid", "interface.Serial", "navigator_member.serial",
    "interface.LanguageModel", "worker_interface.NetworkInformation", "worker_interface.USB", "worker_interface.HID",
    "worker_interface.Serial", "worker_interface.IdleDetector", "navigator_member.getBattery",
    "interface.BatteryManager",
)  # fmt: skip
# Signals of catalogue 1 that ask the same question.
_API = {
    "chrome": "window_member.chrome", "safari": "window_member.safari", "opr": "window_member.opr",
    "brave": "navigator_member.brave", "mozilla_inner_screen": "window_member.mozInnerScreenX",
    "apple_pay_session": "interface.ApplePaySession", "payment_request": "interface.PaymentRequest",
    "bluetooth": "navigator_member.bluetooth", "usb": "navigator_member.usb", "serial": "navigator_member.serial",
    "hid": "navigator_member.hid", "wake_lock": "navigator_member.wakeLock", "web_share": "navigator_member.share",
    "web_gpu": "navigator_member.gpu", "eye_dropper": "interface.EyeDropper",
    "file_system_access": "window_member.showDirectoryPicker", "shared_array_buffer": "interface.SharedArrayBuffer",
    "shared_worker": "interface.SharedWorker", "service_worker": "navigator_member.serviceWorker",
    "push_manager": "interface.PushManager", "speech_synthesis": "window_member.speechSynthesis",
    "gamepads": "navigator_member.getGamepads", "midi": "navigator_member.requestMIDIAccess",
    "xr": "navigator_member.xr", "contact_picker": "navigator_member.contacts",
    "idle_detector": "interface.IdleDetector", "keyboard": "navigator_member.keyboard",
    "offscreen_canvas": "interface.OffscreenCanvas", "battery": "navigator_member.getBattery",
    "network_information": "navigator_member.connection", "launch_queue": "window_member.launchQueue",
    "barcode_detector": "interface.BarcodeDetector", "trusted_types": "window_member.trustedTypes",
    "webkit_file_system": "window_member.webkitRequestFileSystem", "open_database": "window_member.openDatabase",
    "touch_event": "window_member.ontouchstart",
}  # fmt: skip


@lru_cache(1024)
def members(browser: str, system: str, engine: str, version: float, touch: bool) -> Names:
    """Return the presence of every name. Shared: not to be changed."""
    known = known_names(column_of(browser, system, engine), version)
    found = {name: there for name, there in known.items() if not name.startswith("webgl")}

    def drop(*names: str) -> None:
        found.update(dict.fromkeys(names, False))

    drop(*_ISOLATED_ONLY)
    if engine == "chromium":
        if system == "linux":
            drop(*_BLUETOOTH, *_SHARE)
        if system in ("linux", "windows"):
            drop(*_BARCODE)
        if system == "linux" and version < 144:
            drop(*_GPU)
        if system == "macos" and version < 128:
            drop(*_SHARE)
    if engine == "gecko" and not (system == "windows" or (system == "macos" and version >= 147)):
        drop(*_GPU)
    if system not in ("android", "ios"):
        found.update(dict.fromkeys(_TOUCH, touch and engine != "webkit"))
        if engine == "gecko":
            found.update(dict.fromkeys(_GECKO_TOUCH, touch))
    if engine == "gecko" and system != "macos":
        drop("css_property.-moz-osx-font-smoothing")
    if browser == "brave":
        drop(*_NOT_BRAVE)
    if browser == "webview":
        drop("window_member.chrome", "window_member.safari")
    found["navigator_member.brave"] = browser == "brave"
    found["window_member.brave"] = False
    found["window_member.opr"] = browser == "opera"
    found |= {f"api.{name}": found[signal] for name, signal in _API.items()}
    found["api.speech_recognition"] = found["interface.SpeechRecognition"] or found["interface.webkitSpeechRecognition"]
    found["navigator.has_share"] = found["navigator_member.share"]
    found["navigator.has_vibrate"] = found["navigator_member.vibrate"]
    found["navigator.has_build_id"] = found["navigator_member.buildID"]
    return found


# What the two browsers here show, less what MDN counts of them.
_WINDOW = {"chromium": 1226, "gecko": 941, "webkit": 1080}
_NAVIGATOR = {"chromium": 81, "gecko": 47, "webkit": 44}
_STYLE = {"chromium": 479, "gecko": 383, "webkit": 410}
_SEEN_AT = {"chromium": ("chrome", 156.0), "gecko": ("firefox", 153.0), "webkit": ("safari", 26.0)}
_CONSTANT = {
    "chromium": {
        "document": 1, "element_prototype": 153, "webgl_prototype": 443, "webgl2_prototype": 792, "console": 25,
        "keyboard_event_prototype": 18, "supported_calendars": 18, "supported_collations": 10,
        "supported_currencies": 159, "supported_numbering_systems": 78, "supported_time_zones": 418,
        "supported_units": 45,
    },
    "gecko": {
        "document": 1, "element_prototype": 144, "webgl_prototype": 438, "webgl2_prototype": 789, "console": 23,
        "keyboard_event_prototype": 204, "supported_calendars": 16, "supported_collations": 11,
        "supported_currencies": 307, "supported_numbering_systems": 78, "supported_time_zones": 445,
        "supported_units": 45,
    },
    "webkit": {
        "document": 1, "element_prototype": 141, "webgl_prototype": 440, "webgl2_prototype": 790, "console": 25,
        "keyboard_event_prototype": 19, "supported_calendars": 17, "supported_collations": 10,
        "supported_currencies": 300, "supported_numbering_systems": 78, "supported_time_zones": 432,
        "supported_units": 43,
    },
}  # fmt: skip
# Since which version the language has it: Math.f16round and sumPrecise, Array's copying methods, String's well-formed
# pair, Object.groupBy.
_GROWN: dict[str, tuple[int, dict[str, tuple[float, ...]]]] = {
    "math": (43, {"chromium": (135, 147), "gecko": (129, 137), "webkit": (18.2, 26.2)}),
    "array_prototype": (36, {"chromium": (110,) * 4, "gecko": (115,) * 4, "webkit": (16,) * 4}),
    "string_prototype": (50, {"chromium": (111, 111), "gecko": (119, 119), "webkit": (16.4, 16.4)}),
    "object": (25, {"chromium": (117,), "gecko": (119,), "webkit": (17.4,)}),
}


@lru_cache(1024)
def name_counts(browser: str, system: str, engine: str, version: float) -> dict[str, float]:
    """Return ``count.*``: sizes as MDN's data has them grow, from what was seen in one version of each engine."""
    seen, now = sizes(*_SEEN_AT[engine]), sizes(column_of(browser, system, engine), version)
    grown = Sizes(*(b - a for a, b in zip(seen, now, strict=True)))
    found: dict[str, float] = {
        "window": _WINDOW[engine] + grown.interfaces,
        "navigator_prototype": _NAVIGATOR[engine] + grown.navigator,
        "computed_style": _STYLE[engine] + round(grown.css_properties * 0.7),  # the rest are shorthands
        **_CONSTANT[engine],
    }
    for name, (least, since) in _GROWN.items():
        found[name] = least + sum(version >= first for first in since[engine])
    return {f"count.{name}": float(value) for name, value in found.items()}
