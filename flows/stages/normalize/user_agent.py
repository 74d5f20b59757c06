"""What a user agent says: browser, engine, system, device and their versions. Pure, and cached by value."""

from __future__ import annotations

import re
from functools import lru_cache
from math import nan
from typing import NamedTuple

import numpy as np
import ua_parser
from ua_parser import OS, Domain, UserAgent

from schemas.catalogue import category_hash
from schemas.environment import BROWSERS, DEVICES, ENGINES, SYSTEMS

_ASKED = Domain.USER_AGENT | Domain.OS  # and not for the device, which takes as long as both
AGENT_BYTES = 1_024  # read of a user agent; one more shows that it is longer
_BROWSER = {name: code for code, name in enumerate(BROWSERS)}
_SYSTEM = {name: code for code, name in enumerate(SYSTEMS)}
_DEVICE = {name: code for code, name in enumerate(DEVICES)}
_ENGINE = {name: code for code, name in enumerate(ENGINES)}

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
_WINDOWS_VERSIONS = {"XP": 5.1, "Vista": 6.0, "7": 7.0, "8": 8.0, "8.1": 8.1}  # 10 may be 11: the string is frozen
_VERSION = {
    "chromium": re.compile(r"\b(?:Headless)?Chrom(?:e|ium)/(\d{1,4})"),
    "gecko": re.compile(r"\bFirefox/(\d{1,4})"),  # rv: stood still at 109 from Firefox 110 to 119
    "webkit": re.compile(r"\bVersion/(\d{1,3}(?:\.\d{1,3})?)"),
}
_ANDROID_MODEL = re.compile(r"Android [\d.]+; (?:SAMSUNG )?([^;()]{1,64}?)(?: Build/[^;()]*)?(?:; wv)?\)")
_FROZEN_MODEL = "K"  # User-Agent reduction: every model is K and every Android is 10
_FROZEN_ANDROID = re.compile(r"Android 10; K(?:; wv)?\)")

CLIENT = np.dtype(
    [
        ("shown", "?"),
        ("browser", "u1"),
        ("system", "u1"),
        ("device", "u1"),
        ("engine", "u1"),
        ("version", "<f4"),
        ("engine_version", "<f4"),
        ("system_version", "<f4"),
        ("category", "<u4"),
        ("app_version", "<u4"),
        ("model", "<u4"),
    ],
    align=True,
)


class Client(NamedTuple):
    """What a user agent string says. NaN and 0 where it does not say it."""

    browser: int
    system: int
    device: int
    engine: int  # what such a browser is built on, on such a system
    version: float = nan
    engine_version: float = nan
    system_version: float = nan  # NaN also where browsers freeze it: Windows 10, macOS 10.15, Android 10 with model K
    category: int = 0  # the hash that a worker's or an iframe's copy would have; 0 where it is too long
    app_version: int = 0  # the hash of navigator.appVersion in Chromium and WebKit
    model: int = 0  # the hash of an Android device's model


def parse_user_agent(raw: bytes) -> Client:
    """Parse with ua-parser's native matcher, and fold its families into our closed sets.

    Only the first 1,024 bytes are read; a longer string is compared with no copy of it.
    """
    text = raw[:AGENT_BYTES].decode("utf-8", "replace")
    found = ua_parser.parser(text, _ASKED)
    agent, of_system = found.user_agent or UserAgent(), found.os or OS()
    system = _SYSTEM_OF_FAMILY.get(of_system.family, "unknown")
    engine = _engine(text, system)
    match = _VERSION[engine].search(text) if engine in _VERSION else None
    version, whole = agent.major, len(raw) <= AGENT_BYTES
    return Client(
        browser=_BROWSER[_browser(agent.family.lower(), text)],
        system=_SYSTEM[system],
        device=_DEVICE[_device(text, system)],
        engine=_ENGINE[engine],
        version=float(version) if version and version.isdecimal() else nan,
        engine_version=float(match[1]) if match else nan,
        system_version=_system_version(system, of_system, text),
        category=category_hash(text) if whole else 0,
        app_version=category_hash(text.removeprefix("Mozilla/")) if whole else 0,
        model=_model(text) if system == "android" else 0,
    )


@lru_cache(maxsize=8192)
def client_row(raw: bytes | None) -> bytes:
    """Return the parsed string as the bytes of one ``CLIENT``. The caller cuts it to ``AGENT_BYTES + 1``."""
    if raw is None:
        return np.array((False, *Client(0, 0, 0, 0)), CLIENT)[()].tobytes()
    client = parse_user_agent(raw)
    return np.array((True, *client), CLIENT)[()].tobytes()


def _browser(family: str, text: str) -> str:
    if "headlesschrome" in text.lower():
        return "headless_chrome"
    return next((name for word, name in _BROWSER_OF_FAMILY if word in family), "unknown")


def _engine(text: str, system: str) -> str:
    if system == "ios" or "CriOS/" in text or "FxiOS/" in text or "EdgiOS/" in text:
        return "webkit"  # every browser there
    if "Chrome/" in text or "Chromium/" in text:
        return "chromium"
    if "Firefox/" in text and "Gecko/" in text:
        return "gecko"
    return "webkit" if "AppleWebKit/" in text and "Safari/" in text else "unknown"


def _device(text: str, system: str) -> str:
    if system in ("windows", "macos", "linux", "chromeos"):
        return "desktop"
    if "iPad" in text or (system == "android" and "Mobile" not in text):
        return "tablet"
    return "phone" if system in ("android", "ios") else "unknown"


def _system_version(system: str, found: OS, text: str) -> float:
    major, minor = found.major or "", found.minor or ""
    if system == "windows":
        return _WINDOWS_VERSIONS.get(major if minor != "1" else f"{major}.{minor}", nan)
    if not major.isdecimal():
        return nan
    version = float(f"{int(major)}.{int(minor)}") if minor.isdecimal() else float(major)
    if system == "ios":
        safari = _VERSION["webkit"].search(text)
        return max(version, float(safari[1])) if safari and float(safari[1]) >= 26 else version  # frozen at 18.6
    if system == "macos":
        return nan if (int(major), minor) == (10, "15") else version
    if system == "android":
        return nan if _FROZEN_ANDROID.search(text) else version
    return nan


def _model(text: str) -> int:
    match = _ANDROID_MODEL.search(text)
    return category_hash(match[1]) if match and match[1] != _FROZEN_MODEL else 0
