"""The signals of one honest browser, from a drawn row of the population: every block a function of the draw.

``webgl.vendor`` and ``webgl.renderer`` are what the page reads with the debug extension where the browser gives it,
so that a worker's ``webgl_vendor`` and ``webgl_renderer`` can be compared with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

from infra.traffic.browser_support import column_of
from infra.traffic.cells import Cell
from infra.traffic.codecs import codecs
from infra.traffic.contexts import constant_copies, copies
from infra.traffic.countries import Country, zone_offset
from infra.traffic.engine import engine_traits, locale_texts, recorded
from infra.traffic.graphics import architecture_of
from infra.traffic.graphics_detail import adapter, webgl_detail
from infra.traffic.interfaces import interfaces, media_queries, more_queries
from infra.traffic.look import colors, layout
from infra.traffic.machine import audio, fonts, images, picture_formats
from infra.traffic.members import members, name_counts
from infra.traffic.moment import clocks, keyboard, navigation, permissions, stores, voices, window
from infra.traffic.signals import Signals
from infra.traffic.traces import detectors, fingerprint, not_there, quiet

DAY_MS = 86_400_000
_EVAL_LENGTH = {"chromium": 33.0, "gecko": 37.0, "webkit": 37.0}
_STACK = {"chromium": 11_000.0, "gecko": 26_000.0, "webkit": 36_000.0}
_RESOLUTION = {"chromium": 0.1, "gecko": 1.0, "webkit": 1.0}
_CHROME_HEIGHT = {"desktop": (85, 145), "phone": (56, 120), "tablet": (60, 110)}
_WEBGL_NAMES = {
    "chromium": ("WebGL 1.0 (OpenGL ES 2.0 Chromium)", "WebGL GLSL ES 1.0 (OpenGL ES GLSL ES 1.0 Chromium)"),
    "gecko": ("WebGL 1.0", "WebGL GLSL ES 1.0"),
    "webkit": ("WebGL 1.0", "WebGL GLSL ES 1.0 (1.0)"),
}


@dataclass(frozen=True, slots=True)
class Draw:
    """One consistent row: the browser's cell, its machine, and where its user is."""

    cell: Cell
    user_agent: str
    version: int
    device: str
    hints: dict[str, Any] | None
    card: dict[str, str]
    row: dict[str, Any]
    country: Country
    zone: str
    languages: str
    engine_version: float  # of Chromium, Firefox or WebKit, whatever the browser counts


def profile(draw: Draw, at: int, random: Random) -> Signals:
    """Return the signals of the browser at a time (ms since the epoch)."""
    cell, device, version = draw.cell, draw.device, draw.engine_version
    browser, engine, system, arch = cell.browser, cell.engine, cell.system, _architecture(draw)
    touch, wide_gamut = bool(draw.row["maxTouchPoints"]), system in ("macos", "ios") or random.random() < 0.1
    found = dict(_of_kind(browser, system, engine, version, touch, wide_gamut, device, arch))
    found.update(images(engine, system, draw.card["renderer"], arch))
    for block in (_navigator, _hints, _screen, _webgl, _media, _storage, _permissions, _timing, _fonts):
        found.update(block(draw, random))
    found.update(_intl(draw, at))
    found.update(_habits(draw, random))
    _follow(found, draw, random)
    found.update(copies(found))
    return found


@lru_cache(2048)
def _of_kind(
    browser: str, system: str, engine: str, version: float, touch: bool, wide_gamut: bool, device: str, arch: str
) -> Signals:
    """Return what all browsers of a kind and version show. Shared: to be copied."""
    found: Signals = {}
    for part in (
        quiet(), not_there(engine), interfaces(browser, system, engine, int(version), touch),
        members(browser, system, engine, version, touch), name_counts(browser, system, engine, version),
        engine_traits(engine, version, arch), layout(engine, system), colors(engine, system),
        media_queries(device, touch, wide_gamut), picture_formats(engine, version, wide_gamut),
        audio(engine, arch, system), permissions(engine, device, system), constant_copies(engine, version),
    ):  # fmt: skip
        found.update(part)
    return found


def _follow(found: Signals, draw: Draw, random: Random) -> None:
    """Add what follows from other signals."""
    engine, system, device, browser = draw.cell.engine, draw.cell.system, draw.device, draw.cell.browser
    found.update(navigation(engine, device, random))
    found.update(clocks(engine, device, random))
    found.update(window(found, engine, system, device, random))
    found.update(voices(browser, system, str(found["intl.locale"]), random))
    found.update(keyboard(engine, device, system, str(found["intl.locale"])))
    found.update(stores(found, engine, random))
    inner_wide = float(found["screen.inner_width"] or 0) > float(found["screen.inner_height"] or 0)
    screen_wide, dark = bool(found["screen.orientation_landscape"]), bool(found["css.dark_scheme"])
    hdr = bool(found["css.hdr"])
    found.update(more_queries(engine, draw.engine_version, dark, hdr, inner_wide, screen_wide))
    found["navigator.properties_count"] = found["count.navigator_prototype"]
    found.update(detectors(found, browser, engine))
    found.update(fingerprint(found, engine, draw.engine_version, _architecture(draw)))


def _architecture(draw: Draw) -> str:
    return architecture_of(draw.card["renderer"], draw.cell.system)


def _navigator(draw: Draw, random: Random) -> Signals:
    row, engine = draw.row, draw.cell.engine
    plugins = row["pluginsData"]
    found: Signals = {
        "navigator.user_agent": draw.user_agent, "navigator.languages": draw.languages,
        "navigator.language": draw.languages.split(",", 1)[0],
        "navigator.languages_count": float(draw.languages.count(",") + 1),
        "navigator.hardware_concurrency": float(row["hardwareConcurrency"]),
        "navigator.max_touch_points": float(row["maxTouchPoints"]),
        "navigator.plugins_count": float(len(plugins["plugins"])),
        "navigator.mime_types_count": float(len(plugins["mimeTypes"])),
        "navigator.history_length": float(min(50, 1 + int(random.expovariate(0.25)))),
        "navigator.webdriver": False,
        "navigator.cookie_enabled": True, "navigator.online": True, "navigator.java_enabled": False,
        "navigator.pdf_viewer_enabled": len(plugins["plugins"]) > 0,
        "navigator.do_not_track": row["doNotTrack"] == "1",
        "navigator.global_privacy_control": bool(row["extraProperties"]["globalPrivacyControl"]),
        "navigator.has_user_agent_data": draw.hints is not None, "navigator.platform": row["platform"],
        "navigator.vendor": row["vendor"] or "", "navigator.vendor_sub": "",
        "navigator.product_sub": row["productSub"], "navigator.app_name": "Netscape",
    }  # fmt: skip
    found |= _plugins(bool(plugins["plugins"]))
    if engine == "gecko":
        found["navigator.oscpu"] = row["oscpu"]
    if engine == "chromium":
        found["navigator.device_memory"] = float(row["deviceMemory"])
    if engine == "chromium" and draw.cell.browser != "brave":
        found |= {
            "navigator.connection_downlink": random.choice((10.0, 10.0, 9.4, 7.2, 5.5, 2.8, 1.6)),
            "navigator.connection_rtt": random.choice((50.0, 50.0, 100.0, 100.0, 150.0, 200.0, 300.0)),
            "navigator.connection_type": "4g" if random.random() < 0.97 else "3g",
            "navigator.save_data": draw.device == "phone" and random.random() < 0.04,
        }
    return found


@lru_cache(2)
def _plugins(viewer: bool) -> Signals:
    """Return ``plugin.*``: the five names of the one PDF viewer, or none."""
    seen = recorded()["chromium"]
    return {
        "plugin.pdf": viewer, "plugin.native_client": False, "plugin.widevine": False, "plugin.flash": False,
        "plugin.consistent": True, "plugin.list": seen["plugin.list"] if viewer else "",
        "plugin.mime_types": seen["plugin.mime_types"] if viewer else "",
    }  # fmt: skip


def _hints(draw: Draw, _random: Random) -> Signals:
    hints = draw.hints
    if hints is None:
        return {}
    return {
        "client_hint.low_entropy_consistent": True, "client_hint.wow64_known": True,
        "client_hint.full_version": hints["uaFullVersion"], "client_hint.brands": hints["brands_text"],
        "client_hint.form_factors": {"desktop": "Desktop", "phone": "Mobile", "tablet": "Tablet"}[draw.device],
        "client_hint.platform_low_entropy": hints["platform"],
        "client_hints.platform": hints["platform"], "client_hints.platform_version": hints["platformVersion"],
        "client_hints.architecture": hints["architecture"], "client_hints.bitness": hints["bitness"],
        "client_hints.brand": hints["brand"], "client_hints.brand_version": float(hints["brand_version"]),
        "client_hints.brands_count": float(len(hints["brands"])), "client_hints.mobile": hints["mobile"],
        "client_hints.model": hints["model"], "client_hints.wow64": False,
    }  # fmt: skip


def _screen(draw: Draw, random: Random) -> Signals:
    row = draw.row["screen"]
    wide, high = float(row["width"]), float(row["height"])
    desktop = draw.device == "desktop"
    if desktop and random.random() < 0.4:  # a window of its own size
        outer = (float(int(wide * random.uniform(0.6, 0.98))), float(int(row["availHeight"] * random.uniform(0.7, 1))))
        corner = (float(int(random.random() * (wide - outer[0]))), float(random.randrange(0, 40)))
    else:
        outer, corner = (wide if not desktop else float(row["availWidth"]), float(row["availHeight"])), (0.0, 0.0)
    bars = float(random.randint(*_CHROME_HEIGHT[draw.device]))
    edge = random.choice((0.0, 0.0, 16.0)) if desktop and draw.cell.system == "windows" else 0.0
    found: Signals = {
        "screen.width": wide, "screen.height": high, "screen.avail_width": float(row["availWidth"]),
        "screen.avail_height": float(row["availHeight"]), "screen.color_depth": float(row["colorDepth"]),
        "screen.pixel_depth": float(row["colorDepth"]), "screen.device_pixel_ratio": float(row["devicePixelRatio"]),
        "screen.inner_width": outer[0] - edge, "screen.inner_height": max(200.0, outer[1] - bars),
        "screen.outer_width": outer[0], "screen.outer_height": outer[1], "screen.window_x": corner[0],
        "screen.window_y": corner[1] or float(row["availTop"]), "screen.fullscreen": False,
        "screen.viewport_scale": 1.0, "screen.orientation_landscape": wide > high,
        "fingerprint.screen_frame_top": float(row["availTop"]),
        "fingerprint.screen_frame_left": float(row["availLeft"]),
        "fingerprint.screen_frame_bottom": high - float(row["availHeight"]) - float(row["availTop"]),
        "fingerprint.screen_frame_right": wide - float(row["availWidth"]) - float(row["availLeft"]),
        "screen.orientation_angle": 0.0, "css.hdr": bool(row["hasHDR"]), "css.monochrome_bits": 0.0,
    }  # fmt: skip
    if draw.cell.engine == "chromium":
        found["screen.is_extended"] = desktop and random.random() < 0.25
    return found


def _webgl(draw: Draw, _random: Random) -> Signals:
    vendor, renderer = draw.card["vendor"], draw.card["renderer"]
    cell, engine = draw.cell, draw.cell.engine
    version, shading = _WEBGL_NAMES[engine]
    column = column_of(cell.browser, cell.system, engine)
    has_gpu = members(cell.browser, cell.system, engine, draw.engine_version, False)["navigator_member.gpu"]
    return {
        **webgl_detail(engine, column, draw.engine_version, renderer), **adapter(renderer, has_gpu, engine),
        "webgl.supported": True, "webgl.supported_2": True, "webgl.antialias": True,
        "webgl.debug_renderer_info": True, "webgl.software_fallback": "Basic Render" in renderer,
        "webgl.vendor": vendor, "webgl.renderer": renderer, "webgl.version": version,
        "webgl.shading_language": shading, "webgl.unmasked_vendor": vendor,
        "webgl.unmasked_renderer": renderer, "canvas.supported": True, "canvas.winding": True,
        "canvas.cleared": False, "canvas.to_blob": True, "canvas.pixel_differences": 0.0,
        "canvas.readback_errors": 0.0,
    }  # fmt: skip


def _media(draw: Draw, _random: Random) -> Signals:
    row, engine = draw.row, draw.cell.engine
    devices = row["multimediaDevices"]
    found: Signals = {
        **codecs(draw.cell.browser, engine, draw.cell.system, draw.engine_version, bool(row["videoCodecs"]["h264"]),
                 bool(row["videoCodecs"]["ogg"]), bool(row["audioCodecs"]["aac"])),
        "media.audio_inputs": float(len(devices["micros"])), "media.audio_outputs": float(len(devices["speakers"])),
        "media.video_inputs": float(len(devices["webcams"])),
    }  # fmt: skip
    if draw.cell.browser not in ("brave",) and engine == "chromium" and row["battery"]:
        found |= {"battery.level": float(row["battery"]["level"]), "battery.charging": bool(row["battery"]["charging"])}
    return found


def _storage(draw: Draw, random: Random) -> Signals:
    disk = random.choice((64, 128, 128, 256, 256, 512, 512, 1024)) * 1024.0
    engine = draw.cell.engine
    quota = {"chromium": disk * 0.6, "gecko": 10_240.0, "webkit": disk * 0.6}[engine] * random.uniform(0.8, 1)
    found: Signals = {
        "storage.quota": float(round(quota)), "storage.usage": round(random.expovariate(2), 2), "storage.local": True,
        "storage.session": True, "storage.indexed_db": True, "storage.persisted": False,
        "storage.file_system_denied": False,
    }  # fmt: skip
    if engine == "chromium":
        found["storage.heap_limit"] = random.choice((4095.75, 2144.0)) if draw.device == "desktop" else 1130.5
    return found


def _permissions(draw: Draw, random: Random) -> Signals:
    state = random.choices(("prompt", "denied", "granted"), (0.84, 0.1, 0.06))[0]
    found: Signals = {"permissions.geolocation": "prompt"}
    if not (draw.cell.system == "ios" or draw.cell.browser == "webview"):
        found |= {
            "permissions.notifications": state,
            "permissions.notification_api": "default" if state == "prompt" else state,
        }
    if draw.cell.engine != "gecko" or draw.version >= 131:
        found |= {"permissions.camera": "prompt", "permissions.microphone": "prompt"}
    if draw.cell.engine == "gecko":
        found["permissions.midi"] = "prompt"
    if draw.cell.engine == "chromium":
        found |= {"permissions.clipboard_read": "prompt", "permissions.midi": "prompt"}
    return found


def _timing(draw: Draw, random: Random) -> Signals:
    engine = draw.cell.engine
    slow = 2.0 if draw.device == "phone" else 1.0
    return {
        "timing.resolution": _RESOLUTION[engine], "timing.eval_length": _EVAL_LENGTH[engine],
        "timing.error_stack_depth": float(round(_STACK[engine] * random.uniform(0.9, 1.1))),
        "timing.collection": round(slow * random.lognormvariate(4.9, 0.4), 1),
        "canvas.draw_time": round(slow * random.lognormvariate(1.4, 0.5), 1),
    }  # fmt: skip


def _intl(draw: Draw, at: int) -> Signals:
    day = at // DAY_MS
    year = day // 365 * 365  # January 1st or a few days from it: enough to choose a winter and a summer day
    locale = draw.languages.split(",", 1)[0]
    return {
        **locale_texts(locale, draw.cell.engine, draw.country.clock, draw.zone), "intl.timezone": draw.zone,
        "intl.timezone_offset": float(zone_offset(draw.zone, day)),
        "intl.timezone_offset_january": float(zone_offset(draw.zone, year + 20)),
        "intl.timezone_offset_july": float(zone_offset(draw.zone, year + 200)), "page.secure_context": True,
        "page.in_frame": False, "page.prerendered": False,
    }  # fmt: skip


def _fonts(draw: Draw, random: Random) -> Signals:
    system, hints = draw.cell.system, draw.hints
    known = str(hints["platformVersion"]).partition(".")[0] if hints else ""
    newer = int(known) >= 13 if known.isdigit() else random.random() < 0.6  # Windows 11
    found: Signals = fonts(draw.cell.engine, system, newer, random.random() < 0.45, tuple(draw.row["fonts"] or ()))
    return found


def _habits(draw: Draw, random: Random) -> Signals:
    return {
        "css.dark_scheme": random.random() < 0.35,
        "css.reduced_motion": random.random() < 0.05,
        "intl.clock_drift": round(random.gauss(0, 40), 1),
        "page.scroll_height": float(random.randrange(1200, 4200)),
    }
