"""Make ``browser_support.json`` from MDN's browser-compat-data: since which version a browser knows a name.

``python -m infra.traffic.data.make_browser_support node_modules/@mdn/browser-compat-data/data.json``. Run it again
after a new version of the data or of the catalogue, and read the difference.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.catalogue import load_catalogue

Node = Mapping[str, Any]
OUT = Path(__file__).with_name("browser_support.json")
BROWSERS = (
    "chrome", "chrome_android", "webview_android", "firefox", "firefox_android", "safari", "safari_ios", "webview_ios",
)  # fmt: skip
_C, _CA, _WA, _F, _FA, _S, _SI, _WI = range(len(BROWSERS))
_CHROMIUM, _GECKO, _WEBKIT = (_C, _CA, _WA), (_F, _FA), (_S, _SI, _WI)
# What the data does not hold: names of one engine, and prefixed ones. Seen in the browsers themselves, or, for
# WebKit, in its sources (Source/WebCore/**/*.idl).
_KNOWN: Mapping[str, Mapping[tuple[int, ...], str]] = {
    "interface.ApplePaySession": {(_S, _SI): "10"},
    "interface.ApplePaySetup": {(_S, _SI): "13.1"},
    "interface.CSSMozDocumentRule": {_GECKO: "1"},
    "interface.InstallTrigger": {_GECKO: "1"},
    "interface.WebKitCSSMatrix": {_CHROMIUM: "1", _GECKO: "49", _WEBKIT: "5"},
    "interface.WebKitMediaKeys": {(_S, _SI): "8"},
    "interface.WebKitMutationObserver": {_CHROMIUM: "18", _WEBKIT: "6"},
    "interface.WebKitPlaybackTargetAvailabilityEvent": {(_S, _SI): "9"},
    "interface.webkitAudioContext": {_CHROMIUM: "10-126", _WEBKIT: "6"},
    "interface.webkitMediaStream": {_CHROMIUM: "26"},
    "interface.webkitRTCPeerConnection": {_CHROMIUM: "23"},
    "interface.webkitSpeechRecognition": {(_C, _CA): "25", (_S, _SI): "14.1"},
    "window_member.onsearch": {_CHROMIUM: "1"},
    "window_member.offscreenBuffering": {_CHROMIUM: "1", _WEBKIT: "1"},
    "window_member.chrome": {(_C, _CA): "1"},
    "window_member.webkitRequestFileSystem": {_CHROMIUM: "13"},
    "window_member.webkitCancelAnimationFrame": {_CHROMIUM: "17", _WEBKIT: "6"},
    "window_member.netscape": {_GECKO: "1"},
    "window_member.onmozfullscreenchange": {_GECKO: "10"},
    "window_member.ondragexit": {_GECKO: "1"},
    "window_member.safari": {(_S,): "5"},
    "window_member.ontouchstart": {(_CA, _WA): "18", (_FA,): "18", (_SI, _WI): "2"},
    "window_member.ongestureend": {_WEBKIT: "2"},
    "window_member.onwebkitmouseforcechanged": {_WEBKIT: "9"},
    "window_member.openDatabase": {_CHROMIUM: "4-118", _WEBKIT: "3.1-18"},
    "navigator_member.webkitTemporaryStorage": {_CHROMIUM: "13"},
    "navigator_member.webkitGetUserMedia": {_CHROMIUM: "21"},
    "navigator_member.mozGetUserMedia": {_GECKO: "17"},
    "navigator_member.standalone": {_WEBKIT: "2"},
    "css_property.-webkit-line-clamp": {_CHROMIUM: "6", _GECKO: "68", _WEBKIT: "5"},
    "css_property.-moz-osx-font-smoothing": {_GECKO: "25"},
    "css_property.-apple-pay-button-style": {(_S, _SI): "11"},
    "css_selector.-webkit-autofill": {_CHROMIUM: "1", _GECKO: "86", _WEBKIT: "1"},
    "css_selector.-moz-focusring": {_GECKO: "4"},
    "css_selector.-moz-broken": {},
    "css_property.-moz-appearance": {_GECKO: "1"},
    "css_property.text-decoration-skip-spaces": {_WEBKIT: "18.4"},
    "interface.StyleMedia": {_WEBKIT: "4"},
    "interface.SpeechGrammar": {(_C, _CA): "135"},
    **{
        f"{family}.{name}": {_CHROMIUM: "122", _GECKO: "159", _WEBKIT: "17.4"}
        for family in ("webgl_extension", "webgl2_extension")
        for name in (
            "WEBGL_polygon_mode",
            "WEBGL_blend_func_extended",
            "EXT_conservative_depth",
            "EXT_render_snorm",
            "NV_shader_noperspective_interpolation",
            "OES_sample_variables",
            "OES_shader_multisample_interpolation",
            "WEBGL_clip_cull_distance",
            "WEBGL_stencil_texturing",
            "WEBGL_render_shared_exponent",
        )
    },
    "webgl2_extension.WEBGL_provoking_vertex": {_CHROMIUM: "113", _GECKO: "113", _WEBKIT: "17"},
    "webgl_extension.EXT_depth_clamp": {_CHROMIUM: "122", _GECKO: "147", _WEBKIT: "17.4"},
    "webgl2_extension.EXT_depth_clamp": {_CHROMIUM: "122", _GECKO: "147", _WEBKIT: "17.4"},
    "worker_interface.SharedWorker": {},
    "worker_interface.WebAssembly": {_CHROMIUM: "57", _GECKO: "52", _WEBKIT: "11"},
}


def _places(data: Node, family: str, name: str) -> list[Any]:
    api, window = data["api"], data["api"]["Window"]
    if family == "interface":
        return [
            api.get(name),
            data["javascript"]["builtins"].get(name),
            data["webassembly"]["api"] if name == "WebAssembly" else None,
        ]
    if family == "window_member":
        return [window.get(name), window.get(f"{name[2:]}_event") if name.startswith("on") else None, api.get(name)]
    if family == "navigator_member":
        return [api["Navigator"].get(name)]
    if family == "css_property":
        return [data["css"]["properties"].get(name)]
    if family == "css_selector":
        return [data["css"]["selectors"].get(name.split("(", 1)[0].removeprefix(":"))]
    if family in ("worker_interface", "webgl_extension", "webgl2_extension"):
        return [api.get(name)]
    raise ValueError(f"the family {family} is not in the data")


FAMILIES = (
    "interface", "window_member", "navigator_member", "css_property", "css_selector", "worker_interface",
    "webgl_extension", "webgl2_extension",
)  # fmt: skip
_OLDEST = {_C: 100, _CA: 100, _WA: 100, _F: 115, _FA: 115, _S: 15, _SI: 15, _WI: 15}


def _ranges(statements: Any) -> str:
    """Return "66", "4-118", or "" for never: under its own name, and not behind a preference."""
    found = []
    for statement in statements if isinstance(statements, list) else [statements]:
        if "flags" in statement or "prefix" in statement or "alternative_name" in statement:
            continue
        added, removed = statement.get("version_added"), statement.get("version_removed")
        if isinstance(added, str) and re.match(r"≤?\d", added):
            end = f"-{_before(removed)}" if isinstance(removed, str) and removed != "preview" else ""
            found.append(added.lstrip("≤") + end)
    return ",".join(found)


def _before(version: str) -> str:
    """Return the last version before one: 119 -> 118; of a version with a minor, the one that stands for it."""
    head, _, minor = version.lstrip("≤").partition(".")
    return f"{head}.{int(minor) - 1}" if minor.isdigit() and int(minor) else str(int(head) - 1)


def row(data: Node, name: str) -> list[str]:
    """Return the ranges of a signal in the order of BROWSERS."""
    family, member = name.split(".", 1)
    if name in _KNOWN:
        return [next((ranges for who, ranges in _KNOWN[name].items() if at in who), "") for at in range(len(BROWSERS))]
    node = next((node for node in _places(data, family, member) if node and "__compat" in node), None)
    if node is None:
        return [""] * len(BROWSERS)
    support = node["__compat"]["support"]
    inside = node.get("worker_support") if family == "worker_interface" else None
    found = [_ranges(support.get(browser, {})) for browser in BROWSERS]
    if inside:
        theirs = inside["__compat"]["support"]
        found = [_ranges(theirs.get(browser, {})) for browser in BROWSERS]
    return found


def within(ranges: str, version: float) -> bool:
    """Tell whether a version lies in the ranges."""
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        if _number(first) <= version <= (_number(last) if last else version):
            return True
    return False


def _number(version: str) -> float:
    return float(".".join(version.split(".")[:2]))


def counts(data: Node, at: int) -> list[list[float]]:
    """Return rows of version, interfaces, navigator's members and CSS properties of one browser."""
    browser, window = BROWSERS[at], {**data["api"], **data["javascript"]["builtins"]}
    tables = [
        [_ranges(node["__compat"]["support"].get(browser, {})) for node in table.values() if "__compat" in node]
        for table in (window, data["api"]["Navigator"], data["css"]["properties"])
    ]
    versions = sorted({_number(version) for version in data["browsers"][browser]["releases"]})
    return [
        [version, *(sum(within(ranges, version) for ranges in table) for table in tables)]
        for version in versions
        if version >= _OLDEST[at]
    ]


def main(path: Path) -> None:
    """Write the table."""
    data = json.loads(path.read_text("utf-8"))
    rows = {s.name: row(data, s.name) for s in load_catalogue().booleans if s.family in FAMILIES}
    head = {
        "source": "@mdn/browser-compat-data", "version": data["__meta"]["version"], "licence": "CC0-1.0",
        "browsers": BROWSERS,
    }  # fmt: skip
    sizes = {browser: counts(data, at) for at, browser in enumerate(BROWSERS)}
    lines = [f"  {json.dumps(name)}: {json.dumps(ranges, separators=(',', ':'))}" for name, ranges in rows.items()]
    growth = [f"  {json.dumps(browser)}: {json.dumps(rows, separators=(',', ':'))}" for browser, rows in sizes.items()]
    parts = (
        json.dumps(head)[:-1] + ',\n"counts": {',
        ",\n".join(growth) + '},\n"support": {',
        ",\n".join(lines) + "}}",
    )
    OUT.write_text("\n".join(parts) + "\n", "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
