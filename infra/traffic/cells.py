"""Which browsers on which systems come, and how often.

The published population is 72% desktop Chrome, 0.7% Firefox and 2% Android, which is who crawled, not who shops. The
weights here are a shop's: about half of the visits come from phones. A cell without rows of its own in the population
is made from a neighbour: the machine of the neighbour, the user agent and hints of the browser.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Cell(NamedTuple):
    """One kind of browser on one kind of device. ``source`` is the browser whose rows in the population are used."""

    browser: str
    system: str
    weight: float
    source: str
    engine: str


CELLS = (
    Cell("chrome", "windows", 0.200, "chrome", "chromium"),
    Cell("edge", "windows", 0.065, "edge", "chromium"),
    Cell("opera", "windows", 0.012, "chrome", "chromium"),
    Cell("brave", "windows", 0.012, "brave", "chromium"),
    Cell("firefox", "windows", 0.035, "firefox", "gecko"),
    Cell("chrome", "macos", 0.060, "chrome", "chromium"),
    Cell("edge", "macos", 0.004, "edge", "chromium"),
    Cell("brave", "macos", 0.006, "brave", "chromium"),
    Cell("safari", "macos", 0.065, "safari", "webkit"),
    Cell("firefox", "macos", 0.008, "firefox", "gecko"),
    Cell("chrome", "linux", 0.012, "chrome", "chromium"),
    Cell("firefox", "linux", 0.008, "firefox", "gecko"),
    Cell("chrome", "chromeos", 0.008, "chrome", "chromium"),
    Cell("chrome", "android", 0.240, "chrome", "chromium"),
    Cell("samsung", "android", 0.040, "chrome", "chromium"),
    Cell("brave", "android", 0.005, "brave", "chromium"),
    Cell("edge", "android", 0.003, "edge", "chromium"),
    Cell("firefox", "android", 0.006, "firefox", "gecko"),
    Cell("webview", "android", 0.035, "chrome", "chromium"),
    Cell("safari", "ios", 0.140, "safari", "webkit"),
    Cell("chrome", "ios", 0.025, "safari", "webkit"),
    Cell("webview", "ios", 0.030, "safari", "webkit"),
)

_SYSTEMS = (
    ("iPhone", "ios"),
    ("iPad", "ios"),
    ("Android", "android"),
    ("CrOS", "chromeos"),
    ("Windows NT", "windows"),
    ("Macintosh", "macos"),
    ("Linux", "linux"),
)
_ODD = re.compile(r"Nexus 5 Build|compatible;|Lark|CCleaner|Atom/|GrokApp|Brave|WOW64; x64|i686| U; en|Safari/605\.1$")
_VERSION = re.compile(r"(?:Edg|EdgA|Firefox|Chrome|Version)/(\d+)")
_OLDEST = {"chromium": 100, "gecko": 115, "webkit": 15}


def system_of(user_agent: str) -> str:
    """Return the operating system that a user agent of the population names."""
    return next(system for mark, system in _SYSTEMS if mark in user_agent)


def source_of(user_agent: str) -> str | None:
    """Return the browser that a user agent of the population is, None for emulators, apps and crawlers."""
    if _ODD.search(user_agent) or "CriOS" in user_agent:
        return None
    if "Firefox/" in user_agent:
        found = "firefox"
    elif "Edg/" in user_agent or "EdgA/" in user_agent:
        found = "edge"
    else:
        found = "chrome" if "Chrome/" in user_agent else "safari"
    if system_of(user_agent) == "ios" and found != "safari":
        return None
    engine = {"firefox": "gecko", "safari": "webkit"}.get(found, "chromium")
    return found if major_version(user_agent) >= _OLDEST[engine] else None


def major_version(user_agent: str) -> int:
    """Return the browser's major version."""
    found = re.search(r"(?:Edg|EdgA|Firefox)/(\d+)", user_agent) or _VERSION.search(user_agent)
    return int(found[1]) if found else 0


def device_of(user_agent: str) -> str:
    """Return desktop, phone or tablet."""
    if "iPad" in user_agent or ("Android" in user_agent and "Mobile" not in user_agent):
        return "tablet"
    return "phone" if "Mobile" in user_agent else "desktop"
