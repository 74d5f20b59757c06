"""What driven and disguised browsers leave in the signals, as automated clients were measured to (docs/traffic.md)."""

from __future__ import annotations

from random import Random

from infra.traffic.browser_support import column_of
from infra.traffic.contexts import copies
from infra.traffic.engine import engine_traits, recorded
from infra.traffic.graphics_detail import webgl_detail
from infra.traffic.members import members, name_counts
from infra.traffic.signals import Signals
from infra.traffic.virtual import SWIFTSHADER

_SERVER = ("fonts", "font", "font_width", "text_metric", "rectangle", "voice", "system_font", "system_color")
_WEBDRIVER = (
    "navigator.webdriver", "automation.iframe_webdriver", "automation.worker_webdriver", "botd.WebDriver",
    "fpscanner.hasWebdriver", "fpscanner.hasWebdriverIframe", "fpscanner.hasWebdriverWorker",
    "fpscanner.hasWebdriverWritable",
)  # fmt: skip
_SMALL = (800.0, 600.0)
# What stealth plugins and fingerprint injectors replace, and how often one of them shows it.
_PATCHED = {
    "Navigator.webdriver": 0.7, "Navigator.plugins": 0.5, "Navigator.languages": 0.5, "Permissions.query": 0.5,
    "WebGLRenderingContext.getParameter": 0.6, "WebGL2RenderingContext.getParameter": 0.5,
    "HTMLIFrameElement.contentWindow": 0.4, "Navigator.hardwareConcurrency": 0.4, "HTMLMediaElement.canPlayType": 0.4,
    "Window.outerWidth": 0.2, "Function.prototype.toString": 0.3, "Navigator.userAgent": 0.2,
}  # fmt: skip
_NOISY = ("HTMLCanvasElement.toDataURL", "CanvasRenderingContext2D.getImageData", "WebGLRenderingContext.readPixels")


def driven(signals: Signals, driver: str) -> Signals:
    """Return what a browser says that a WebDriver, Puppeteer, Playwright or nobody drives without hiding it."""
    shown: Signals = dict.fromkeys(_WEBDRIVER, driver != "chromium")
    headless = "HeadlessChrome/" in str(signals["navigator.user_agent"])
    shown |= dict.fromkeys(("botd.UserAgent", "botd.AppVersion", "fpscanner.hasBotUserAgent"), headless)
    shown["botd.DistinctiveProperties"] = shown["fpscanner.hasSeleniumProperty"] = driver == "selenium"
    shown["fpscanner.hasPlaywright"] = driver == "playwright"
    shown["fpscanner.headlessChromeScreenResolution"] = (signals["screen.width"], signals["screen.height"]) == _SMALL
    found = driver != "chromium" or headless
    return shown | {"botd.kind": "headless_chrome" if found else "none"}


def server() -> Signals:
    """Return what a bare Linux server shows: two fonts, no voices, no microphone, the default look."""
    found = {name: value for name, value in recorded()["chromium"].items() if name.partition(".")[0] in _SERVER}
    devices = dict.fromkeys(
        ("media.audio_inputs", "media.audio_outputs", "media.video_inputs", "media.voices_count"), 0.0
    )
    numbers = {
        name: float(value) if isinstance(value, int) and not isinstance(value, bool) else value
        for name, value in found.items()
    }
    return {**numbers, **devices, "voice.default": None, "css.dark_scheme": False, "storage.quota": 10_240.0}


def patches(random: Random, share: float = 1.0) -> Signals:
    """Return the functions that a plugin altered, of a careless one where ``share`` is 1."""
    found: Signals = {f"altered.{name}": random.random() < often * share for name, often in _PATCHED.items()}
    if random.random() < 0.25 * share:
        found["frame_page.native_code_differs"] = True
    if random.random() < 0.2 * share:
        found["plugin.consistent"] = False
    return found


def noise_patches(random: Random) -> Signals:
    """Return what an extension that blocks canvas altered."""
    return {f"altered.{name}": random.random() < 0.8 for name in _NOISY}


def forgotten_worker(agent: str, cores: float, version: float) -> Signals:
    """Return the answers of a worker on the server that the browser really runs on."""
    limits = webgl_detail("chromium", "chrome", version, SWIFTSHADER)
    names = (
        "max_texture_size", "max_cube_map_texture_size", "max_render_buffer_size", "max_vertex_attribs",
        "max_vertex_uniform_vectors", "max_fragment_uniform_vectors", "max_varying_vectors",
        "max_combined_texture_units", "extensions_count",
    )  # fmt: skip
    found: Signals = {f"worker_page.{name}": limits[f"webgl.{name}"] for name in names}
    return found | {
        "worker.supported": True, "worker.platform": "Linux x86_64", "worker.hardware_concurrency": cores,
        "worker.webgl_vendor": "Google Inc. (Google)", "worker.webgl_renderer": SWIFTSHADER,
        "worker.user_agent": agent, "worker_page.app_version": agent.removeprefix("Mozilla/"),
        "worker_page.client_hints_platform": "Linux", "fpscanner.hasMismatchWebGLInWorker": True,
        "fpscanner.hasMismatchPlatformWorker": True, "fpscanner.hasContextMismatch": True,
    }  # fmt: skip


def other_engine(signals: Signals, browser: str, system: str, engine: str, version: float, arch: str) -> Signals:
    """Return what the engine that really runs shows: one of another version than the user agent's."""
    touch = bool(signals.get("navigator.max_touch_points"))
    shown: Signals = {
        **signals, **members(browser, system, engine, version, touch),
        **name_counts(browser, system, engine, version),
        **engine_traits(engine, version, arch),
    }  # fmt: skip
    renderer = signals.get("webgl.renderer")
    if renderer and signals.get("webgl.supported"):
        detail = webgl_detail(engine, column_of(browser, system, engine), version, str(renderer))
        shown |= {name: value for name, value in detail.items() if "extension" in name}
    shown["navigator.properties_count"] = shown["count.navigator_prototype"]
    return shown | copies(shown)
