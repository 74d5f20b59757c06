"""The repair: of each node's values, those that fit the user agent, and of GPUs and hints, those that fit each other.

Drawing from what is left is drawing from the published network and rejecting every row that contradicts itself, only
without the loop: the weights of a GPU are multiplied with the share of hints that its architecture allows, which is
what rejection leaves of them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Final

from infra.traffic.cells import Cell, device_of, major_version, source_of, system_of
from infra.traffic.graphics import architecture_of, gpu_family, is_virtual
from infra.traffic.network import Network, Weighted

_VIRTUAL_SHARE: Final = 2.2  # the published 3% of all visitors, although phones, which have none, are more here
_PLATFORMS = {
    "windows": {"Win32"},
    "macos": {"MacIntel"},
    "linux": {"Linux x86_64"},
    "chromeos": {"Linux x86_64"},
    "android": {"Linux armv81", "Linux armv8l", "Linux aarch64", "Linux armv7l"},
    "ios": {"iPhone", "iPad"},
}
_VENDORS = {"chromium": "Google Inc.", "webkit": "Apple Computer, Inc.", "gecko": None}
_BRANDS = {"chrome": "Google Chrome", "edge": "Microsoft Edge", "brave": "Brave"}
_HINTED = {"windows": "Windows", "macos": "macOS", "linux": "Linux", "chromeos": "Chrome OS", "android": "Android"}
_FONT_OF = {"windows": "Segoe UI Light", "macos": "Helvetica Neue", "ios": "Helvetica Neue"}
_NOT_FONT_OF = {
    "linux": ("Segoe UI Light", "Helvetica Neue"),
    "chromeos": ("Segoe UI Light", "Helvetica Neue"),
    "android": ("Segoe UI Light", "Menlo", "MS UI Gothic"),
    "windows": ("Helvetica Neue", "Menlo"),
}
_NODES = (
    "platform", "vendor", "oscpu", "productSub", "maxTouchPoints", "hardwareConcurrency", "deviceMemory",
    "extraProperties", "pluginsData", "audioCodecs", "videoCodecs", "battery", "multimediaDevices", "screen", "fonts",
    "doNotTrack",
)  # fmt: skip


class Table:
    """Values with their cumulative weights."""

    def __init__(self, rows: Weighted) -> None:
        self._values = [value for value, _ in rows]
        self._ends = list(accumulate(weight for _, weight in rows))

    def __bool__(self) -> bool:
        """Tell whether there is anything to draw."""
        return bool(self._values)

    def draw(self, point: float) -> Any:
        """Return the value at a point of [0, 1)."""
        at = bisect_right(self._ends, point * self._ends[-1])
        return self._values[min(at, len(self._values) - 1)]


@dataclass(frozen=True, slots=True)
class Support:
    """What a user agent of one cell can be drawn with."""

    user_agent: str
    nodes: dict[str, Table]
    cards: Table
    hints: dict[str, Table]  # by architecture


def cell_support(network: Network, cell: Cell) -> Table:
    """Return the cell's user agents with their supports; a user agent without a consistent row is left out."""
    rows: Weighted = []
    wanted = "chrome" if cell.source == "brave" else cell.source
    for user_agent, weight in network.user_agents.items():
        if source_of(user_agent) == wanted and system_of(user_agent) == cell.system:
            support, share = _support(network, cell, user_agent)
            if support is not None:
                rows.append((support, weight * share))
    if not rows:
        raise ValueError(f"the population has no consistent row for {cell.browser} on {cell.system}")
    return Table(rows)


def _support(network: Network, cell: Cell, user_agent: str) -> tuple[Support | None, float]:
    nodes = {}
    for node in _NODES:
        fits = _FITS.get(node, _any)
        nodes[node] = Table([(v, w) for v, w in network.given(node, user_agent) if fits(v, cell, user_agent)])
        if not nodes[node]:
            return None, 0.0
    hints = _hints(network, cell, user_agent)
    shares = {arch: sum(weight for _, weight in rows) for arch, rows in hints.items()}
    cards = [
        (card, weight * shares.get(architecture_of(card["renderer"], cell.system), 0.0) * _kept(card["renderer"]))
        for card, weight in network.given("videoCard", user_agent)
        if card and _card_fits(card["renderer"], cell)
    ]
    cards = [(card, weight) for card, weight in cards if weight > 0]
    if not cards:
        return None, 0.0
    tables = {arch: Table(rows) for arch, rows in hints.items()}
    return Support(user_agent, nodes, Table(cards), tables), sum(shares.values())


def _kept(renderer: str) -> float:
    return _VIRTUAL_SHARE if is_virtual(renderer) else 1.0


def _card_fits(renderer: str, cell: Cell) -> bool:
    if is_virtual(renderer):
        return cell.system == "windows" and "Basic Render" in renderer
    direct3d, metal = "Direct3D" in renderer, "Metal" in renderer
    if cell.system == "windows":
        return direct3d
    if cell.system == "macos":
        return metal or (cell.engine != "chromium" and not direct3d and "Radeon HD 3200" not in renderer)
    if cell.system == "ios":
        return renderer == "Apple GPU"
    if cell.system == "android":
        return gpu_family(renderer) in ("qualcomm", "arm", "imagination", "samsung") and not direct3d
    return not direct3d and not metal and gpu_family(renderer) in ("intel", "amd", "nvidia")


def _hints(network: Network, cell: Cell, user_agent: str) -> dict[str, Weighted]:
    """Return the consistent client hints by architecture: a brand of the cell, of the user agent's own version."""
    if cell.engine != "chromium":
        return {"arm": [(None, 1.0)], "x86": [(None, 1.0)]}
    found: dict[str, Weighted] = {}
    for hints, weight in network.given("userAgentData", user_agent):
        if hints and _hints_fit(hints, cell, user_agent):
            arch = "arm" if cell.system == "android" else hints["architecture"]
            found.setdefault(arch, []).append((hints, weight))
    return found


def _hints_fit(hints: dict[str, Any], cell: Cell, user_agent: str) -> bool:
    brands = {brand["brand"]: brand["version"] for brand in hints["brands"]}
    version = str(major_version(user_agent))
    named = brands.get(_BRANDS[cell.source]) == version and brands.get("Chromium") == version
    mobile = device_of(user_agent) == "phone"
    return named and hints["platform"] == _HINTED[cell.system] and hints["mobile"] is mobile


def _any(_value: Any, _cell: Cell, _user_agent: str) -> bool:
    return True


def _platform(value: Any, cell: Cell, user_agent: str) -> bool:
    if cell.system == "ios":
        return bool(value == ("iPad" if "iPad" in user_agent else "iPhone"))
    return value in _PLATFORMS[cell.system]


def _vendor(value: Any, cell: Cell, _user_agent: str) -> bool:
    return bool(value == _VENDORS[cell.engine])


def _touch(value: Any, cell: Cell, user_agent: str) -> bool:
    if device_of(user_agent) != "desktop":
        return bool(value >= 1)
    return bool(value == 0 or cell.system in ("windows", "linux", "chromeos"))


def _cores(value: Any, _cell: Cell, user_agent: str) -> bool:
    return value is not None and 1 < value <= (128 if device_of(user_agent) == "desktop" else 12)


def _memory(value: Any, cell: Cell, _user_agent: str) -> bool:
    return (value is not None) == (cell.engine == "chromium")


def _extra(value: Any, cell: Cell, _user_agent: str) -> bool:
    if cell.engine != "chromium":
        return "chrome" not in value["vendorFlavors"]
    return cell.system != "android" or not value["pdfViewerEnabled"]


def _plugins(value: Any, cell: Cell, _user_agent: str) -> bool:
    count, types = len(value["plugins"]), len(value["mimeTypes"])
    if cell.engine == "chromium" and cell.system == "android":
        return count == 0
    # Five names and two types of the one PDF viewer; Brave adds to them, other lists are inventions of extensions.
    return (count, types) == (5, 2) or (cell.browser == "brave" and count > 0)


def _audio(value: Any, cell: Cell, _user_agent: str) -> bool:
    return value["aac"] != "" or cell.system == "linux"


def _video(value: Any, cell: Cell, _user_agent: str) -> bool:
    return value["h264"] != "" or cell.system == "linux"


def _battery(value: Any, cell: Cell, _user_agent: str) -> bool:
    return (value is not None) == (cell.engine == "chromium")


def _screen(value: Any, cell: Cell, user_agent: str) -> bool:
    wide, high, ratio = value["width"], value["height"], value["devicePixelRatio"]
    if not (value["availWidth"] <= wide and value["availHeight"] <= high and value["outerWidth"] <= wide + 16):
        return False
    device = device_of(user_agent)
    if device == "desktop":
        return bool(wide >= 1024 and high >= 600 and wide / high < 6 and 0.4 <= ratio <= 4)
    if cell.system == "ios":
        return bool(ratio in (2, 3) and (320 <= min(wide, high) <= 440 or device == "tablet"))
    if device == "phone":
        return bool(300 <= min(wide, high) <= 520 and max(wide, high) < 1300 and ratio >= 1)
    return bool(min(wide, high) >= 500 and ratio >= 1)


def _fonts(value: Any, cell: Cell, _user_agent: str) -> bool:
    if any(font in value for font in _NOT_FONT_OF.get(cell.system, ())):
        return False
    mark = _FONT_OF.get(cell.system)
    return mark is None or mark in value


_FITS: dict[str, Callable[[Any, Cell, str], bool]] = {
    "platform": _platform,
    "vendor": _vendor,
    "maxTouchPoints": _touch,
    "hardwareConcurrency": _cores,
    "deviceMemory": _memory,
    "extraProperties": _extra,
    "pluginsData": _plugins,
    "audioCodecs": _audio,
    "videoCodecs": _video,
    "battery": _battery,
    "screen": _screen,
    "fonts": _fonts,
}
