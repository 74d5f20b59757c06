"""What honest browsers do that looks wrong: the noise that keeps a detector from calling every oddity fraud."""

from __future__ import annotations

from random import Random

from infra.traffic.contexts import copies
from infra.traffic.engine import locale_texts
from infra.traffic.machine import stamp
from infra.traffic.signals import Signals
from infra.traffic.virtual import RENDERERS, virtual_machine

_WEBGL = ("webgl.", "webgl_", "webgl2_", "worker_page.max_")
_WEBGL_KEPT = ("webgl.supported", "webgl.supported_2")
_NO_CONTEXT = (
    "fingerprint.webGlExtensions_parameters", "fingerprint.webGlExtensions_shader", "fingerprint.webGlExtensions_list",
    "fingerprint.webGlExtensions_unsupported",
)  # fmt: skip
_OF_WORKER = ("worker.", "worker_page.", "worker_interface.")
_PICTURES = (
    "gradient", "shadow", "blend", "curves", "text_rtl", "text_emoji_zwj", "image_data", "jpeg", "webp", "path",
    "offscreen",
)  # fmt: skip


def add_oddities(signals: Signals, browser: str, system: str, engine: str, device: str, random: Random) -> list[str]:
    """Change the signals in place, and return the names of what was changed."""
    found = []
    if browser == "brave":
        _farble(signals, random)
        found.append("brave")
    if engine == "gecko" and device == "desktop" and random.random() < 0.06:
        _resist_fingerprinting(signals, random)
        found.append("resist_fingerprinting")
    renderers = RENDERERS.get(system, ()) if engine == "chromium" else ()
    if renderers and random.random() < (0.004 if system == "android" else 0.02):
        _in_virtual_machine(signals, renderers, system, random)
        found.append("virtual_machine")
    if system == "windows" and engine == "chromium" and "virtual_machine" not in found and random.random() < 0.006:
        _two_cards(signals)
        found.append("two_cards")
    for name, share, change in (
        ("webgl_missing", 0.01, _without_webgl),
        ("worker_blocked", 0.015, _without_worker),
        ("private_window", 0.04, _private_window),
        ("storage_blocked", 0.008, _storage_blocked),
        ("console_wrapped", 0.008, _console_wrapped),
        ("natives_wrapped", 0.012, _natives_wrapped),
        ("wallet", 0.006, _wallet),
    ):
        if random.random() < share:
            change(signals)
            found.append(name)
    if device == "desktop" and random.random() < 0.012:
        signals["automation.devtools_open"] = True
        found.append("devtools")
    if engine == "chromium" and device == "desktop" and random.random() < 0.02:
        signals |= {"navigator.pdf_viewer_enabled": False, "navigator.plugins_count": 0.0}
        signals |= {"navigator.mime_types_count": 0.0, "frame_page.plugins_count": 0.0, "plugin.pdf": False}
        signals |= {"plugin.list": "", "plugin.mime_types": "", "fingerprint.plugins": "[]"}
        found.append("pdf_viewer_off")
    return found


def _in_virtual_machine(signals: Signals, renderers: tuple[str, ...], system: str, random: Random) -> None:
    """Work computers behind a remote desktop, developers' machines, people who run Android in a window."""
    cores, memory = (float(random.choice(sizes)) for sizes in ((2, 2, 4, 4, 8), (2, 4, 4, 8)))
    signals.update(virtual_machine(signals, random.choice(renderers), system, cores, memory))


def _two_cards(signals: Signals) -> None:
    """A laptop that draws pages on one card and workers on the other."""
    signals["worker.webgl_vendor"] = "Google Inc. (Intel)"
    signals["worker.webgl_renderer"] = (
        "ANGLE (Intel, Intel(R) UHD Graphics (0x00009A60) Direct3D11 vs_5_0 ps_5_0, D3D11)"
    )


def _wallet(signals: Signals) -> None:
    """A wallet extension: natives in a Proxy, prototypes changed."""
    signals |= {"automation.proxy_detected": True, "automation.prototype_altered": True}


def _farble(signals: Signals, random: Random) -> None:
    """Brave: images and counts changed a little, by a seed of its own per site, the same in page and worker."""
    seed = f"{random.getrandbits(64):x}"
    for name in ("canvas.text", "canvas.geometry", "canvas.emoji", "webgl.image", "fpscanner.canvas",
                 "fingerprint.canvas_text", "fingerprint.canvas_geometry", "fingerprint.visitor"):  # fmt: skip
        signals[name] = stamp(str(signals[name]), seed)
    _noise_in_pictures(signals, seed)
    signals["canvas.readback_errors"] = float(random.randint(1, 12))
    signals["audio.sample_sum"] = round(124.0434 * random.uniform(0.98, 1.02), 10)
    signals["navigator.hardware_concurrency"] = float(random.choice((2, 4, 6, 8)))
    signals["navigator.device_memory"] = random.choice((1.0, 2.0, 4.0, 8.0))
    signals["navigator.global_privacy_control"] = True
    signals.update(copies(signals))


def _resist_fingerprinting(signals: Signals, random: Random) -> None:
    """Firefox: everybody's clock in one zone, rounded windows, fresh noise in every picture."""
    signals |= {
        "intl.timezone": "Atlantic/Reykjavik", "intl.timezone_offset": 0.0, "intl.timezone_offset_january": 0.0,
        "intl.timezone_offset_july": 0.0, "intl.locale": "en-US", "navigator.language": "en-US",
        "navigator.languages": "en-US,en", "navigator.languages_count": 2.0, "navigator.hardware_concurrency": 4.0,
        "timing.resolution": 16.667, "screen.device_pixel_ratio": 1.0, "canvas.readback_errors": 64.0,
        "canvas.pixel_differences": float(random.randint(500, 4000)), "webgl.vendor": "Mozilla",
        "webgl.renderer": "Mozilla", "webgl.unmasked_vendor": "Mozilla", "webgl.unmasked_renderer": "Mozilla",
        "webgl.debug_renderer_info": False,
    }  # fmt: skip
    wide = float(int(float(signals["screen.inner_width"] or 1200) // 200 * 200))
    high = float(int(float(signals["screen.inner_height"] or 700) // 100 * 100))
    for name in ("width", "avail_width", "inner_width", "outer_width"):
        signals[f"screen.{name}"] = wide
    for name in ("height", "avail_height", "inner_height", "outer_height"):
        signals[f"screen.{name}"] = high
    signals["screen.orientation_landscape"] = wide > high
    noise = str(random.getrandbits(64))
    for name in ("canvas.text", "canvas.geometry", "canvas.emoji", "fpscanner.canvas", "fingerprint.visitor"):
        signals[name] = stamp(str(signals[name]), noise)
    _noise_in_pictures(signals, noise)
    signals |= locale_texts("en-US", "gecko", "h12", "Atlantic/Reykjavik")
    signals |= {"webgl.parameters": None, "picture.offscreen_equal": False, "viewport.client_width": wide,
                "viewport.client_height": high, "viewport.visual_width": wide, "viewport.visual_height": high,
                "viewport.document_width": wide, "viewport.zoom": 1.0, "viewport.scroll_bar_width": 0.0}  # fmt: skip
    signals |= {f"fingerprint.screen_frame_{side}": 0.0 for side in ("top", "right", "bottom", "left")}
    signals.update(copies(signals))


def _noise_in_pictures(signals: Signals, seed: str) -> None:
    for name in _PICTURES:
        if signals.get(f"picture.{name}"):
            signals[f"picture.{name}"] = stamp(str(signals[f"picture.{name}"]), seed)


def _without_webgl(signals: Signals) -> None:
    for name in [name for name in signals if name.startswith(_WEBGL) and name not in _WEBGL_KEPT]:
        del signals[name]
    signals |= {"webgl.supported": False, "webgl.supported_2": False, "fingerprint.webGlBasics": "-1"}
    signals |= dict.fromkeys(_NO_CONTEXT) | copies(signals)


def _without_worker(signals: Signals) -> None:
    """A page whose policy forbids workers from blobs."""
    for name in [name for name in signals if name.startswith(_OF_WORKER)]:
        del signals[name]
    signals |= {"worker.supported": False, "automation.worker_webdriver": None, "fpscanner.hasWebdriverWorker": None}
    signals |= {"fpscanner.hasMismatchWebGLInWorker": None, "fpscanner.hasMismatchPlatformWorker": None}


def _private_window(signals: Signals) -> None:
    quota = signals["storage.quota"]
    ratio = float(signals.get("storage_detail.quota_ratio") or 0) * 0.06
    signals |= {
        "storage_detail.quota_ratio": ratio or None,
        "storage_detail.opfs": False,
        "storage.quota": float(quota or 0) * 0.06,
        "storage.usage": 0.0,
        "navigator.history_length": 1.0,
    }


def _storage_blocked(signals: Signals) -> None:
    signals |= {"storage.local": False, "storage.indexed_db": False, "navigator.cookie_enabled": False}


def _console_wrapped(signals: Signals) -> None:
    """An error reporter of the page, or a wallet extension."""
    signals["automation.console_wrapped"] = True


def _natives_wrapped(signals: Signals) -> None:
    """An extension that wraps a native function, as ad blockers and wallets do."""
    signals |= {"automation.native_code_altered": True, "altered.EventTarget.addEventListener": True}
