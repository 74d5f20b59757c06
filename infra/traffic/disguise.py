"""Cells without rows of their own: the machine of a neighbour, the user agent and hints of the browser."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from infra.traffic.cells import Cell, major_version

_BRANDS = {"chrome": "Google Chrome", "edge": "Microsoft Edge", "brave": "Brave", "opera": "Opera"}
_APPS_IOS = (
    "[FBAN/FBIOS;FBAV/512.0.0.31.108;FBBV/735101010;FBDV/iPhone15,2;FBMD/iPhone;FBSN/iOS;FBLC/en_US;FBOP/5]",
    "Instagram 380.0.0.29.95 (iPhone15,2; iOS 18_4; en_US; en; scale=3.00; 1179x2556; IABMV/1)",
)
_APPS_ANDROID = ("[FB_IAB/FB4A;FBAV/512.0.0.43.109;]", "Instagram 380.0.0.28.104 Android")
_SAMSUNG = ((130, 28), (136, 29), (121, 27))
# The population was seen in the spring of 2026. Half of its newest browsers are shown as updated since: which versions,
# the newest oftenest.
_UPDATED = {
    "chromium": (145, (150, 152, 153, 154, 155, 155, 156, 156, 156, 157, 157, 157)),
    "gecko": (149, (153, 153, 156, 158, 159, 160, 160)),
    "webkit": (26, ("27.0", "27.1", "27.2")),
}


def disguise(
    cell: Cell, user_agent: str, hints: dict[str, Any] | None, random: Random
) -> tuple[str, dict[str, Any] | None]:
    """Return user agent and hints as the cell's browser gives them; hints carry the significant brand."""
    if cell.system == "ios":
        return _ios(cell, user_agent, random), None
    if hints is None:
        return user_agent, None
    brand, version = _BRANDS.get(cell.source, "Chromium"), _chromium(hints)
    chromium = version
    if cell.browser == "opera":
        number = version - 15
        user_agent, brand, version = f"{user_agent} OPR/{number}.0.0.0", "Opera", number
    elif cell.browser == "samsung":
        chromium, version = random.choice(_SAMSUNG)
        user_agent = re.sub(r"Chrome/[\d.]+", f"SamsungBrowser/{version}.0 Chrome/{chromium}.0.0.0", user_agent)
        brand = "Samsung Internet"
    elif cell.browser == "webview":
        user_agent = re.sub(r"\) AppleWebKit", "; wv) AppleWebKit", user_agent, count=1)
        user_agent = user_agent.replace(" Chrome/", " Version/4.0 Chrome/") + " " + random.choice(_APPS_ANDROID)
        brand = "Android WebView"
    text = ",".join(
        f"{brand} {version}" if one["brand"] == _BRANDS[cell.source] else _named(one, chromium)
        for one in hints["brands"]
    )
    return user_agent, {**hints, "brand": brand, "brand_version": version, "brands_text": text}


def _named(brand: dict[str, str], chromium: int) -> str:
    name = brand["brand"]
    return f"{name} {chromium if name == 'Chromium' else brand['version']}"


def updated(
    cell: Cell, user_agent: str, hints: dict[str, Any] | None, random: Random
) -> tuple[str, dict[str, Any] | None]:
    """Return user agent and hints of the browser, or of one of its later versions."""
    least, versions = _UPDATED[cell.engine]
    old = major_version(user_agent)
    if old < least or random.random() < 0.5:
        return user_agent, hints
    new = str(random.choice(versions))
    if cell.engine == "webkit":
        return re.sub(r"Version/[\d.]+", f"Version/{new}", user_agent), hints
    if cell.engine == "gecko":
        return user_agent.replace(f"rv:{old}.0", f"rv:{new}.0").replace(f"Firefox/{old}.", f"Firefox/{new}."), hints
    agent = re.sub(rf"(Chrome|Edg|EdgA)/{old}\.", rf"\g<1>/{new}.", user_agent)
    if hints is None:
        return agent, None
    brands = [{**one, "version": new if one["version"] == str(old) else one["version"]} for one in hints["brands"]]
    full = re.sub(r"^\d+", new, hints["uaFullVersion"])
    return agent, {**hints, "brands": brands, "uaFullVersion": full}


def engine_version(cell: Cell, user_agent: str, own: str) -> float:
    """Return the version of Chromium, Firefox or WebKit; ``own`` is the user agent before it was disguised."""
    mark = {"chromium": r"Chrome/(\d+)", "gecko": r"Firefox/(\d+)", "webkit": r"Version/(\d+(?:\.\d+)?)"}[cell.engine]
    found = re.search(mark, own if cell.engine == "webkit" else user_agent)
    return float(found[1]) if found else float(major_version(own))


def _chromium(hints: dict[str, Any]) -> int:
    return int(next(brand["version"] for brand in hints["brands"] if brand["brand"] == "Chromium"))


def _ios(cell: Cell, user_agent: str, random: Random) -> str:
    if cell.browser == "chrome":
        return re.sub(
            r"Version/[\d.]+", f"CriOS/{random.randint(140, 148)}.0.7727.{random.randint(20, 99)}", user_agent
        )
    if cell.browser == "webview":
        return re.sub(r" Version/[\d.]+| Safari/[\d.]+", "", user_agent) + " " + random.choice(_APPS_IOS)
    return user_agent
