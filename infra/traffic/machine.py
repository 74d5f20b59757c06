"""What engine, system and GPU decide together: maths, audio, canvas and WebGL images, fonts, codecs.

Maths and audio values are those that the engines really give. Images are named by what decides them, so that equal
machines give equal hashes and others do not; no picture is drawn here.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

_MATHS = {
    "chromium": (
        "1.4473588658278522", "709.889355822726", "0.12343746096704435", "0.12405122320450106", "1.9468519159297506",
        "1.718281828459045", "2.3978952727983707", "1.1752011936438014", "-4.987183803371025", "1.9275814160560185e-50",
    ),
    "gecko": (
        "1.4473588658278522", "709.889355822726", "0.12343746096704435", "0.12405122320450106", "1.9468519159297509",
        "1.718281828459045", "2.3978952727983707", "1.1752011936438014", "-1.4214488238747245",
        "1.9275814160560185e-50",
    ),
    "webkit": (
        "1.4473588658278522", "709.889355822726", "0.12343746096704435", "0.12405122320450106", "1.9468519159297506",
        "1.718281828459045", "2.3978952727983707", "1.1752011936438014", "-1.4214488238747245",
        "1.9275814160560206e-50",
    ),
}  # fmt: skip
_MATHS_NAMES = ("acos", "acosh", "asinh", "atanh", "cosh", "expm1", "log1p", "sinh", "tan", "pow")
_AUDIO = {
    ("chromium", "x86"): 124.04347527516074, ("chromium", "arm"): 124.04344968475198,
    ("gecko", "x86"): 35.749968223273754, ("gecko", "arm"): 35.7383295930922,
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
    "linux": (149.19, 149.19, 155.33, 132.63, 155.33),
    "chromeos": (149.31, 149.31, 144.02, 132.63, 147.86),
    "android": (146.86, 146.86, 147.02, 132.31, 147.02),
}


@lru_cache(65_536)
def stamp(*parts: str) -> str:
    """Return a short hash that stands for an image or a list made by a machine of these parts."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=8).hexdigest()


@lru_cache(64)
def maths(engine: str) -> dict[str, str]:
    """Return the ``maths.*`` categories of an engine."""
    return {f"maths.{name}": value for name, value in zip(_MATHS_NAMES, _MATHS[engine], strict=True)}


def audio(engine: str, arch: str, system: str) -> dict[str, float | bool]:
    """Return the ``audio.*`` signals of a machine without noise."""
    rate = 44_100.0 if system in ("windows", "linux") and engine == "chromium" else 48_000.0
    latency = {"windows": 0.01, "macos": 0.005333, "ios": 0.0064}.get(system, 0.0116)
    return {
        "audio.sample_sum": _AUDIO[engine, arch], "audio.sample_rate": rate, "audio.max_channels": 2.0,
        "audio.base_latency": 0.0 if engine == "gecko" else latency, "audio.noise": 0.0, "audio.supported": True,
    }  # fmt: skip


@lru_cache(8192)
def images(engine: str, system: str, renderer: str) -> dict[str, str]:
    """Return the hashes of what a machine draws: 2D text, geometry and emoji, and a WebGL scene."""
    # Text and emoji come from the system's fonts; shapes from the engine; the scene from the GPU's driver.
    return {
        "canvas.text": stamp("text", engine, system),
        "canvas.geometry": stamp("geometry", engine, "gpu" if engine == "webkit" else renderer),
        "canvas.emoji": stamp("emoji", system),
        "webgl.image": stamp("scene", engine, renderer),
    }


@lru_cache(8192)
def fonts(system: str, found: tuple[str, ...]) -> dict[str, Any]:
    """Return the ``fonts.*`` signals of a system with the extra fonts that the population row lists."""
    base = _SYSTEM_FONTS[system] | ({"ubuntu"} if system == "linux" and "PMingLiU" not in found else set())
    widths = zip(("default", "serif", "sans", "mono", "system"), _WIDTHS[system], strict=True)
    return {
        **{f"fonts.{name}": name in base for name in _FONTS},
        **{f"fonts.width_{name}": width for name, width in widths},
        "fonts.count": float(len(base) + len(found)),
        "fonts.list": stamp("fonts", system, *found),
    }


@lru_cache(256)
def codecs(engine: str, system: str, h264: bool, ogg: bool, aac: bool) -> dict[str, bool]:
    """Return the codec booleans of a browser."""
    hevc = engine == "webkit" or (h264 and system in ("windows", "macos", "android"))
    return {
        "media.codec_h264": h264, "media.codec_hevc": hevc, "media.codec_av1": engine != "webkit",
        "media.codec_vp8": True, "media.codec_vp9": True, "media.codec_theora": ogg, "media.codec_aac": aac,
        "media.codec_mp3": True, "media.codec_opus": True, "media.codec_vorbis": engine != "webkit",
        "media.codec_flac": True, "media.codec_wav": True, "media.webrtc": True,
        "media.drm_widevine": engine != "webkit",
    }  # fmt: skip
