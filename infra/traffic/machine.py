"""What engine, system and GPU decide together: audio, canvas and WebGL images, fonts.

Audio values are those that the engines really give. Images are named by what decides them, so that equal
machines give equal hashes and others do not; no picture is drawn here.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from infra.traffic.look import more_fonts

_AUDIO = {
    ("chromium", "x86"): 124.04347776696522, ("chromium", "arm"): 124.0434474653739,
    ("gecko", "x86"): 35.749972093850374, ("gecko", "arm"): 35.7383295930922,
    ("webkit", "x86"): 124.04345808873768, ("webkit", "arm"): 124.04344884395687,
}  # fmt: skip
_SYSTEM_FONTS = {
    "windows": {"arial", "calibri", "cambria", "comic_sans", "consolas", "ms_gothic", "segoe_ui"},
    "macos": {"arial", "comic_sans", "futura", "geneva", "helvetica_neue", "menlo"},
    "ios": {"arial", "futura", "helvetica_neue", "menlo"},
    "linux": {"dejavu_sans", "liberation_sans", "noto_color_emoji"},
    "chromeos": {"arial", "roboto", "noto_color_emoji"},
    "android": {"roboto", "noto_color_emoji"},
}
_FONTS = (
    "arial", "calibri", "cambria", "comic_sans", "consolas", "dejavu_sans", "futura", "geneva", "helvetica_neue",
    "liberation_sans", "menlo", "ms_gothic", "noto_color_emoji", "roboto", "segoe_ui", "ubuntu",
)  # fmt: skip
_WIDTHS = {  # default, serif, sans, mono, system
    "windows": (149.31, 149.31, 144.02, 121.52, 147.86),
    "macos": (147.56, 147.56, 144.02, 132.62, 145.09),
    "ios": (146.09, 146.09, 144.02, 132.63, 145.09),
    "linux": (162.0, 173.109, 162.0, 133.062, 162.0),
    "chromeos": (149.31, 149.31, 144.02, 132.63, 147.86),
    "android": (146.86, 146.86, 147.02, 132.31, 147.02),
}


@lru_cache(65_536)
def stamp(*parts: str) -> str:
    """Return a short hash that stands for an image or a list made by a machine of these parts."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()


def audio(engine: str, arch: str, system: str) -> dict[str, float | bool | str]:
    """Return ``audio.*`` and the context's part of ``sound.*`` of a machine without noise."""
    rate = 44_100.0 if system == "linux" or (system == "windows" and engine == "chromium") else 48_000.0
    latency = {"windows": 0.01, "macos": 0.005333, "ios": 0.0064, "linux": 0.01}.get(system, 0.0116)
    return {
        "sound.state": "running" if engine == "chromium" else "suspended",
        "sound.destination_channels": 2.0, "sound.destination_inputs": 1.0,
        "sound.output_latency": 0.0 if engine == "gecko" else latency * 2,
        "audio.sample_sum": _AUDIO[engine, arch], "audio.sample_rate": rate, "audio.max_channels": 2.0,
        "audio.base_latency": 0.0 if engine == "gecko" else latency, "audio.noise": 0.0, "audio.supported": True,
    }  # fmt: skip


_PICTURES = ("gradient", "shadow", "blend", "curves", "text_rtl", "text_emoji_zwj", "image_data", "path")
_AVIF = {"chromium": 85, "gecko": 93, "webkit": 16.4}


@lru_cache(8192)
def images(engine: str, system: str, renderer: str, arch: str) -> dict[str, str]:
    """Return the hashes of what a machine draws: 2D pictures and a WebGL scene."""
    # What is read back is drawn by the processor: text and emoji come from the system's fonts, shapes from the engine;
    # the scene is the graphics driver's.
    shapes = stamp("geometry", engine, arch)
    found = {
        "canvas.text": stamp("text", engine, system), "canvas.geometry": shapes, "canvas.emoji": stamp("emoji", system),
        "webgl.image": stamp("scene", engine, renderer), "picture.offscreen": shapes,
        "picture.jpeg": stamp("jpeg", engine, arch), "sound.noise_hash": stamp("noise", engine, arch),
    }  # fmt: skip
    if engine != "webkit":
        found["picture.webp"] = stamp("webp", engine, arch)
    for name in _PICTURES:
        place = system if name.startswith("text") else arch
        found[f"picture.{name}"] = stamp(name, engine, place)
    return found


@lru_cache(512)
def picture_formats(engine: str, version: float, wide_gamut: bool) -> dict[str, bool]:
    """Return the booleans of ``picture.*``."""
    return {
        "picture.offscreen_equal": True, "picture.jpeg_supported": True, "picture.webp_supported": engine != "webkit",
        "picture.avif_supported": version >= _AVIF[engine],
        "picture.filter_supported": engine != "webkit" or version >= 18, "picture.conic_gradient_supported": True,
        "picture.round_rectangle_supported": version >= {"chromium": 99, "gecko": 112, "webkit": 16}[engine],
        "picture.color_space_p3": engine == "chromium" or (engine == "webkit" and wide_gamut),
    }  # fmt: skip


def _spelt(name: str) -> str:
    """Return the font's own name, as the agent spells it."""
    own = {
        "comic_sans": "Comic Sans MS",
        "dejavu_sans": "DejaVu Sans",
        "ms_gothic": "MS Gothic",
        "segoe_ui": "Segoe UI",
    }
    return own.get(name) or " ".join(word[0].upper() + word[1:] for word in name.split("_"))


@lru_cache(8192)
def fonts(engine: str, system: str, newer: bool, office: bool, found: tuple[str, ...]) -> dict[str, Any]:
    """Return ``fonts.*`` and ``font.*`` of a system with the extra fonts that the population row lists."""
    base = _SYSTEM_FONTS[system] | ({"ubuntu"} if system == "linux" and office else set())
    more = more_fonts(system, newer, office, found)
    widths = list(_WIDTHS[system])
    if engine == "gecko":
        widths[0] = widths[1] = round(widths[1] + 0.0077, 4)  # its default is a serif font
        widths[3] = round(widths[3] * 0.922, 3)
    there = [name for name in _FONTS if name in base] + [name for name, seen in more.items() if seen]
    names = ("default", "serif", "sans", "mono", "system")
    return {
        **{f"fonts.{name}": name in base for name in _FONTS}, **more,
        **{f"fonts.width_{name}": width for name, width in zip(names, widths, strict=True)},
        "fonts.count": float(len(there)), "fonts.list": ",".join(_spelt(name) for name in there),
    }  # fmt: skip
