"""Parsing of the strings that name browser, system and graphics unit: pure, and cached by value."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ua_parser import parse

from schemas.catalogue import category_hash
from schemas.environment import BROWSERS, DEVICES, GPUS, SYSTEMS

_AGENT_BYTES = 1_024
_RENDERER_BYTES = 512
_BROWSER = {name: code for code, name in enumerate(BROWSERS)}
_SYSTEM = {name: code for code, name in enumerate(SYSTEMS)}
_DEVICE = {name: code for code, name in enumerate(DEVICES)}
_GPU = {name: code for code, name in enumerate(GPUS)}

_BROWSER_OF_FAMILY = (
    ("headlesschrome", "headless_chrome"),
    ("bot", "bot"),
    ("spider", "bot"),
    ("crawler", "bot"),
    ("edge", "edge"),
    ("opera", "opera"),
    ("samsung", "samsung"),
    ("webview", "webview"),
    ("facebook", "webview"),
    ("instagram", "webview"),
    ("mobile safari ui/wkwebview", "webview"),
    ("firefox", "firefox"),
    ("chrome", "chrome"),
    ("chromium", "chromium_other"),
    ("brave", "chromium_other"),
    ("yandex", "chromium_other"),
    ("vivaldi", "chromium_other"),
    ("uc browser", "chromium_other"),
    ("miui", "chromium_other"),
    ("safari", "safari"),
)
_SYSTEM_OF_FAMILY = {
    "Windows": "windows",
    "Mac OS X": "macos",
    "Chrome OS": "chromeos",
    "Android": "android",
    "iOS": "ios",
    "Linux": "linux",
    "Ubuntu": "linux",
    "Fedora": "linux",
    "Debian": "linux",
}
# Renderer strings of virtual machines and software rasterisers come first: they also name the host's maker.
_GPU_OF_WORD = (
    ("swiftshader", "virtual"), ("llvmpipe", "virtual"), ("softpipe", "virtual"), ("virgl", "virtual"),
    ("vmware", "virtual"), ("svga3d", "virtual"), ("virtualbox", "virtual"), ("parallels", "virtual"),
    ("basic render", "virtual"), ("qemu", "virtual"), ("hyper-v", "virtual"),
    ("nvidia", "nvidia"), ("geforce", "nvidia"), ("quadro", "nvidia"),
    ("adreno", "qualcomm"), ("qualcomm", "qualcomm"), ("mali", "arm"), ("immortalis", "arm"),
    ("powervr", "imagination"), ("xclipse", "samsung"),
    ("radeon", "amd"), ("amd", "amd"), ("ati ", "amd"),
    ("intel", "intel"), ("apple", "apple"),
)  # fmt: skip


class Client(NamedTuple):
    """What a user agent string says."""

    browser: int
    version: float  # NaN where unknown
    system: int
    device: int
    category: int  # the hash that a worker's or an iframe's copy of the string would have; 0 where it is too long


class Graphics(NamedTuple):
    """What a renderer string says."""

    gpu: int
    direct3d: bool
    metal: bool


def parse_user_agent(raw: bytes) -> Client:
    """Parse with ua-parser's native matcher, and fold its families into our closed sets.

    Only the first 1,024 bytes are read and remembered; a longer string is compared with no copy of it.
    """
    return _parse_user_agent(raw[: _AGENT_BYTES + 1])


@lru_cache(maxsize=8192)
def _parse_user_agent(raw: bytes) -> Client:
    text = raw[:_AGENT_BYTES].decode("utf-8", "replace")
    found = parse(text).with_defaults()
    system = _SYSTEM[_SYSTEM_OF_FAMILY.get(found.os.family, "unknown")]
    family = found.user_agent.family.lower()
    browser = next((name for word, name in _BROWSER_OF_FAMILY if word in family), "unknown")
    if "headlesschrome" in text.lower():
        browser = "headless_chrome"
    major = found.user_agent.major
    version = float(major) if major and major.isdecimal() else float("nan")
    category = category_hash(text) if len(raw) <= _AGENT_BYTES else 0
    return Client(_BROWSER[browser], version, system, _device(text, SYSTEMS[system]), category)


def _device(text: str, system: str) -> int:
    if system in ("windows", "macos", "linux", "chromeos"):
        return _DEVICE["desktop"]
    if "iPad" in text or (system == "android" and "Mobile" not in text):
        return _DEVICE["tablet"]
    return _DEVICE["phone" if system in ("android", "ios") else "unknown"]


def parse_renderer(raw: bytes) -> Graphics:
    """Fold an unmasked WebGL renderer string into maker and driver; only the first 512 bytes are read."""
    return _parse_renderer(raw[:_RENDERER_BYTES])


@lru_cache(maxsize=8192)
def _parse_renderer(raw: bytes) -> Graphics:
    text = raw.decode("utf-8", "replace").lower()
    gpu = next((name for word, name in _GPU_OF_WORD if word in text), "unknown")
    return Graphics(_GPU[gpu], "direct3d" in text or "d3d11" in text, "metal" in text)
