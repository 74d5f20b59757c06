"""Which names a browser knows at a version: interfaces, members, CSS, WebGL extensions; from MDN's data.

``data/browser_support.json`` is made by ``data/make_browser_support.py``, which says what it holds.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from functools import cache, lru_cache
from importlib import resources
from typing import Any, NamedTuple

Column = str  # chrome, chrome_android, webview_android, firefox, firefox_android, safari, safari_ios, webview_ios
_NEVER = float("inf")


class Sizes(NamedTuple):
    """How many names MDN knows of a browser's version."""

    interfaces: int
    navigator: int
    css_properties: int


@cache
def _table() -> dict[str, Any]:
    text = resources.files("infra.traffic").joinpath("data", "browser_support.json").read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


@cache
def _ranges() -> dict[str, list[list[tuple[float, float]]]]:
    return {name: [_parse(text) for text in row] for name, row in _table()["support"].items()}


def _parse(text: str) -> list[tuple[float, float]]:
    return [(_number(part.partition("-")[0]), _number(part.partition("-")[2])) for part in text.split(",") if part]


def _number(text: str) -> float:
    return float(".".join(text.split(".")[:2])) if text else _NEVER


def column_of(browser: str, system: str, engine: str) -> Column:
    """Return whose column of the data speaks for a browser."""
    if engine == "webkit":
        return "safari" if system == "macos" else "safari_ios" if browser == "safari" else "webview_ios"
    if engine == "gecko":
        return "firefox_android" if system == "android" else "firefox"
    return "chrome" if system != "android" else "webview_android" if browser == "webview" else "chrome_android"


@lru_cache(512)
def known_names(column: Column, version: float) -> dict[str, bool]:
    """Return for every name of the data whether the version knows it. Not to be changed: it is shared."""
    at = _table()["browsers"].index(column)
    return {name: any(low <= version <= high for low, high in rows[at]) for name, rows in _ranges().items()}


@lru_cache(512)
def sizes(column: Column, version: float) -> Sizes:
    """Return how many names there are, of the newest version that is not newer."""
    rows = _table()["counts"][column]
    at = max(0, bisect_right([row[0] for row in rows], version) - 1)
    return Sizes(*rows[at][1:])
