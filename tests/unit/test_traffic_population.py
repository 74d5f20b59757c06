from __future__ import annotations

import re
from collections import Counter

import pytest

from infra.traffic.graphics import gpu_family, is_virtual
from infra.traffic.machine import stamp
from infra.traffic.population import Population, Visitor
from infra.traffic.signals import Signals
from schemas.catalogue import load_catalogue

AT = 1_780_272_000_000
HINTED = {"windows": "Windows", "macos": "macOS", "linux": "Linux", "chromeos": "Chrome OS", "android": "Android"}
NAMED = {
    "windows": "Windows NT",
    "macos": "Macintosh",
    "linux": "X11; ",
    "chromeos": "CrOS",
    "android": "Android",
    "ios": "like Mac OS X",
}


@pytest.fixture(scope="module")
def visitors() -> list[Visitor]:
    return Population(7).visitors(1_500, AT)


def _text(signals: Signals, name: str) -> str:
    return str(signals.get(name) or "")


def _number(signals: Signals, name: str) -> float:
    value = signals[name]
    assert isinstance(value, float)
    return value


def contradictions(visitor: Visitor) -> list[str]:
    """Return what in a visitor's signals cannot be true together, oddities aside. Written apart from the repair."""
    signals, found = visitor.signals, []
    agent, renderer = _text(signals, "navigator.user_agent"), _text(signals, "webgl.unmasked_renderer")
    if NAMED[visitor.system] not in agent:
        found.append("system against user agent")
    if visitor.engine == "chromium":
        found += _chromium(visitor, agent)
    elif any(name.startswith("client_hints.") for name in signals):
        found.append("client hints outside Chromium")
    if renderer not in ("", "Mozilla") and "virtual_machine" not in visitor.oddities:
        found += _graphics(visitor, renderer)
    if "resist_fingerprinting" not in visitor.oddities:
        found += _screen(visitor)
    if (_number(signals, "navigator.max_touch_points") > 0) < (visitor.device != "desktop"):
        found.append("no touch on a phone")
    if _text(signals, "navigator.languages").split(",")[0] != signals["navigator.language"]:
        found.append("languages")
    return found


def _chromium(visitor: Visitor, agent: str) -> list[str]:
    signals, found = visitor.signals, []
    marks = {"edge": r"EdgA?/(\d+)", "opera": r"OPR/(\d+)", "samsung": r"SamsungBrowser/(\d+)"}
    named = re.search(marks.get(visitor.browser, r"Chrome/(\d+)"), agent)
    if named is None or float(named[1]) != signals["client_hints.brand_version"]:
        found.append("brand version against user agent")
    if signals["client_hints.platform"] != HINTED[visitor.system]:
        found.append("hinted platform")
    if signals["client_hints.mobile"] is not (visitor.device == "phone"):
        found.append("mobile hint")
    arch = _text(signals, "client_hints.architecture")
    arm_gpu = gpu_family(_text(signals, "webgl.unmasked_renderer")) in ("apple", "qualcomm", "arm")
    real = signals["webgl.supported"] and "virtual_machine" not in visitor.oddities
    if real and arch and visitor.system != "android" and arm_gpu is not (arch == "arm"):
        found.append("architecture against GPU")
    return found


def _graphics(visitor: Visitor, renderer: str) -> list[str]:
    found = []
    if ("Direct3D" in renderer) is not (visitor.system == "windows"):
        found.append("Direct3D")
    if "Metal" in renderer and visitor.system != "macos":
        found.append("Metal")
    if is_virtual(renderer) and "Basic Render" not in renderer:
        found.append("virtual machine")
    if gpu_family(renderer) == "unknown":
        found.append("unknown GPU")
    return found


def _screen(visitor: Visitor) -> list[str]:
    found = []
    for side in ("width", "height"):
        screen, inner = (_number(visitor.signals, f"screen.{place}{side}") for place in ("", "inner_"))
        outer, avail = (_number(visitor.signals, f"screen.{place}{side}") for place in ("outer_", "avail_"))
        if not 0 < inner <= outer <= screen + 16 or avail > screen:
            found.append(f"window against screen, {side}")
    return found


def test_no_visitor_contradicts_itself(visitors: list[Visitor]) -> None:
    found = Counter(text for visitor in visitors for text in contradictions(visitor))
    assert not found


def test_the_checks_see_what_the_published_population_gets_wrong(visitors: list[Visitor]) -> None:
    mac = next(v for v in visitors if v.system == "macos" and v.browser == "chrome" and v.signals["webgl.supported"])
    mac.signals["client_hints.architecture"] = "x86" if mac.signals["client_hints.architecture"] == "arm" else "arm"
    assert contradictions(mac) == ["architecture against GPU"]
    mac.signals["client_hints.architecture"] = "arm" if mac.signals["client_hints.architecture"] == "x86" else "x86"


def test_the_same_seed_gives_the_same_visitors_and_another_seed_others() -> None:
    first, again, other = (Population(seed).visitors(50, AT) for seed in (3, 3, 4))
    assert first == again
    assert all(a.device_id != b.device_id for a, b in zip(first, other, strict=True))


def test_every_signal_is_in_the_catalogue_and_of_its_kind(visitors: list[Visitor]) -> None:
    by_name, kinds = load_catalogue().by_name, {"number": float, "boolean": bool, "category": str, "text": str}
    for visitor in visitors:
        for name, value in visitor.signals.items():
            assert value is None or type(value) is kinds[by_name[name].kind], name


def test_numbers_lie_inside_the_catalogues_ranges(visitors: list[Visitor]) -> None:
    by_name = load_catalogue().by_name
    for visitor in visitors:
        for name, value in visitor.signals.items():
            if isinstance(value, float):
                assert by_name[name].minimum <= value <= by_name[name].maximum, name


def test_honest_browsers_leave_few_signals_empty(visitors: list[Visitor]) -> None:
    total = len(load_catalogue())
    shares = {
        engine: sum(sum(x is not None for x in v.signals.values()) / total for v in group) / len(group)
        for engine in ("chromium", "gecko", "webkit")
        if (group := [v for v in visitors if v.engine == engine])
    }
    assert shares["chromium"] > 0.93
    assert min(shares.values()) > 0.85


def test_only_odd_browsers_show_traces_of_automation(visitors: list[Visitor]) -> None:
    for visitor in visitors:
        traces = {name for name, value in visitor.signals.items() if name.startswith("automation.") and value}
        assert not traces or {"devtools", "console_wrapped", "natives_wrapped", "wallet"} & set(visitor.oddities)
        assert visitor.signals["navigator.webdriver"] is False


def test_about_half_of_the_visits_come_from_phones(visitors: list[Visitor]) -> None:
    assert 0.45 < sum(v.device == "phone" for v in visitors) / len(visitors) < 0.6


def test_a_few_honest_visitors_draw_in_software(visitors: list[Visitor]) -> None:
    share = sum(is_virtual(_text(v.signals, "webgl.unmasked_renderer")) for v in visitors) / len(visitors)
    assert 0.015 < share < 0.045


def test_every_browser_and_every_oddity_comes_up(visitors: list[Visitor]) -> None:
    browsers = {v.browser for v in visitors}
    assert browsers == {"chrome", "edge", "opera", "brave", "firefox", "safari", "samsung", "webview"}
    oddities = {name for v in visitors for name in v.oddities}
    assert {
        "virtual_machine",
        "two_cards",
        "wallet",
        "brave",
        "webgl_missing",
        "private_window",
        "worker_blocked",
        "devtools",
        "pdf_viewer_off",
    } <= oddities


def test_worker_and_frame_tell_what_the_page_tells(visitors: list[Visitor]) -> None:
    for visitor in visitors:
        for place in ("worker", "frame"):
            for name in ("user_agent", "platform", "language", "hardware_concurrency"):
                told = visitor.signals.get(f"{place}.{name}")
                assert told is None or told == visitor.signals[f"navigator.{name}"]


def test_equal_machines_draw_equal_pictures(visitors: list[Visitor]) -> None:
    pictures: dict[tuple[str, ...], set[str]] = {}
    for visitor in visitors:
        if not visitor.oddities:
            key = (visitor.engine, visitor.system, _text(visitor.signals, "webgl.unmasked_renderer"))
            pictures.setdefault(key, set()).add(_text(visitor.signals, "canvas.geometry"))
    assert all(len(found) == 1 for found in pictures.values())
    assert stamp("a") != stamp("b")


def test_a_kind_that_nobody_uses_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="no safari on windows"):
        Population(1).visitor(AT, "safari", "windows")
