"""Detectors that an honest browser does not set off, and its fingerprint's components, which follow from the rest."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

from infra.traffic.engine import recorded
from infra.traffic.machine import stamp
from infra.traffic.signals import Signals
from schemas.catalogue import load_catalogue

_ENGINE_KIND = {"chromium": "chromium", "gecko": "gecko", "webkit": "webkit"}
_BROWSER_KIND = {"firefox": "firefox", "safari": "safari", "opera": "opera", "edge": "edge_chromium"}
_SKIPPED = '"skipped"'  # fingerprintjs asks no picture of an engine that adds noise
_MOST_CORES, _MOST_MEMORY = 70, 32
_FLAVORS = {"chromium": '["chrome"]', "gecko": "[]", "webkit": '["safari"]'}


@cache
def quiet() -> dict[str, bool]:
    """Return every boolean of ``automation``, ``altered``, ``botd`` and ``fpscanner`` as honest browsers have it."""
    families = ("automation", "altered", "botd", "fpscanner")
    found = {s.name: False for s in load_catalogue().booleans if s.family in families}
    return found | {"fpscanner.valid_plugin_array": True}


@lru_cache(64)
def not_there(engine: str) -> Signals:
    """Return accessors that an engine does not have, which nobody can have altered."""
    if engine == "chromium":
        return {}
    return {"altered.Navigator.deviceMemory": None, "altered.Navigator.userAgentData": None}


def detectors(found: Signals, browser: str, engine: str) -> Signals:
    """Return what the detectors say of an honest browser: nothing, but for a few that are odd."""
    cores, memory = (float(found.get(f"navigator.{name}") or 1) for name in ("hardware_concurrency", "device_memory"))
    agent = str(found["navigator.user_agent"])
    return {
        "botd.kind": "none",
        "botd.browser_kind": _BROWSER_KIND.get(browser, "chrome" if engine == "chromium" else "safari"),
        "botd.engine_kind": _ENGINE_KIND[engine], "fpscanner.hasHighCPUCount": cores > _MOST_CORES,
        "fpscanner.hasImpossibleDeviceMemory": memory > _MOST_MEMORY,
        "fpscanner.hasMissingChromeObject": "Chrome/" in agent and not found["window_member.chrome"],
        "fpscanner.hasUTCTimezone": found["intl.timezone"] == "UTC",
        "fpscanner.hasSwiftshaderRenderer": "SwiftShader" in str(found.get("webgl.renderer")),
        **_scanned(engine, browser),
    }  # fmt: skip


@lru_cache(64)
def _scanned(engine: str, browser: str) -> Signals:
    seen = recorded()["firefox" if engine == "gecko" else "chromium"]
    found: Signals = {
        f"fpscanner.{name}": str(seen.get(f"fpscanner.{name}", name)) for name in ("extensions", "descriptors", "maths")
    }
    return found | {"fpscanner.codecs_audio": f"{engine} {browser}", "fpscanner.codecs_video": f"{engine} {browser}"}


def fingerprint(found: Signals, engine: str, version: float, arch: str) -> Signals:
    """Return ``fingerprint.*``; the visitor's hash is one of all that it is made of."""
    get = found.get
    renderer = str(get("webgl.renderer"))
    noisy = engine == "gecko" or (engine == "webkit" and version >= 17)
    more: Signals = {
        "fingerprint.contrast": 0.0, "fingerprint.architecture": 127.0 if arch == "arm" else 255.0,
        "fingerprint.apple_pay": 1.0 if get("interface.ApplePaySession") else -1.0,
        "fingerprint.audio_base_latency": get("audio.base_latency"),
        "fingerprint.fonts": get("fonts.list"), "fingerprint.audio": str(get("audio.sample_sum")),
        "fingerprint.canvas_geometry": _SKIPPED if noisy else stamp("url", str(get("canvas.geometry")), renderer),
        "fingerprint.canvas_text": _SKIPPED if noisy else stamp("url", str(get("canvas.text")), renderer),
        "fingerprint.languages": str(get("navigator.languages")),
        "fingerprint.screenResolution": _resolution(get("screen.width"), get("screen.height")),
        "fingerprint.timezone": f'"{get("intl.timezone")}"',
        "fingerprint.plugins": "[]" if get("navigator.plugins_count") == 0 else "PDF Viewer",
        "fingerprint.touchSupport": _touch(get("navigator.max_touch_points"), get("window_member.ontouchstart")),
        "fingerprint.vendorFlavors": _FLAVORS[engine],
        "fingerprint.colorGamut": '"p3"' if get("css.gamut_p3") else '"srgb"',
        "fingerprint.math": stamp("math", engine), "fingerprint.dateTimeLocale": f'"{get("intl.locale")}"',
        "fpscanner.canvas": stamp("url", str(get("canvas.text")), engine),
        **_graphics(engine, str(get("webgl.version")), renderer, str(get("webgl.extensions"))),
    }  # fmt: skip
    for name in ("default", "serif", "sans", "mono", "system"):
        more[f"fingerprint.font_{name}"] = get(f"fonts.width_{name}")
    more["fingerprint.font_apple"] = get(
        "fonts.width_system" if get("navigator.platform") == "MacIntel" else "fonts.width_default"
    )
    more["fingerprint.font_min"] = round(float(get("fonts.width_default") or 0) / 16, 4)
    more["fingerprint.fontPreferences"] = str(get("fonts.width_default")) + engine
    if engine == "gecko":
        more["fingerprint.osCpu"] = f'"{get("navigator.oscpu")}"'
    if engine == "chromium":
        hints = ("platform", "platform_version", "architecture", "bitness", "model", "brand")
        more["fingerprint.userAgentData"] = ",".join(str(get(f"client_hints.{name}")) for name in hints)
    more["fingerprint.visitor"] = visitor(found, more)
    return more


def visitor(found: Signals, more: Signals) -> str:
    """Return what stands for fingerprintjs's hash of all components."""
    parts = (
        more["fingerprint.canvas_text"], more["fingerprint.audio"], more["fingerprint.fonts"],
        more["fingerprint.webGlBasics"], more["fingerprint.screenResolution"], more["fingerprint.timezone"],
        more["fingerprint.languages"], found.get("navigator.hardware_concurrency"),
        found.get("navigator.device_memory"), found["navigator.user_agent"],
    )  # fmt: skip
    return stamp(*(str(part) for part in parts))


@lru_cache(8192)
def _graphics(engine: str, version: str, renderer: str, extensions: str) -> dict[str, Any]:
    return {
        "fingerprint.webGlBasics": stamp("basics", engine, version, renderer),
        "fingerprint.webGlExtensions_parameters": stamp("parameters", engine, renderer),
        "fingerprint.webGlExtensions_shader": stamp("shader", engine, renderer),
        "fingerprint.webGlExtensions_list": extensions, "fingerprint.webGlExtensions_unsupported": "[]",
    }  # fmt: skip


@lru_cache(8192)
def _resolution(wide: float | None, high: float | None) -> str:
    sides = sorted((int(wide or 0), int(high or 0)))
    return f"[{sides[0]},{sides[1]}]"


@lru_cache(64)
def _touch(points: float | None, handler: bool | None) -> str:
    there = "true" if handler else "false"
    return f'{{"maxTouchPoints":{int(points or 0)},"touchEvent":{there},"touchStart":{there}}}'
