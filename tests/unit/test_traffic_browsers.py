"""The tables of browsers against what was recorded in two of them, and against themselves."""

from __future__ import annotations

from random import Random

import pytest

from infra.traffic.browser_support import column_of, known_names, sizes
from infra.traffic.contexts import copies
from infra.traffic.craft import Craft
from infra.traffic.engine import engine_traits, locale_texts, recorded
from infra.traffic.graphics_detail import webgl_detail
from infra.traffic.look import colors, layout
from infra.traffic.members import members, name_counts
from infra.traffic.opening import not_yet, opened
from infra.traffic.population import Population, Visitor
from infra.traffic.virtual import SWIFTSHADER

AT = 1_780_272_000_000
RECORDED = {"chromium": ("chrome", "linux", "chromium", 156.0), "firefox": ("firefox", "linux", "gecko", 153.0)}


def differences(shown: dict[str, object], browser: str) -> list[str]:
    """Return the names of what a recorded browser shows otherwise; what it does not show at all is not compared."""
    seen = recorded()[browser]
    return sorted(name for name, value in shown.items() if name in seen and not _same(value, seen[name]))


def _same(value: object, seen: object) -> bool:
    if isinstance(value, float) and isinstance(seen, (int, float)):
        return abs(value - seen) <= 2e-6 * max(1.0, abs(seen))  # a signal is 32 bits wide
    return value == seen


@pytest.mark.parametrize("browser", RECORDED)
def test_the_names_that_a_recorded_browser_knows_are_those_of_the_table(browser: str) -> None:
    own, system, engine, version = RECORDED[browser]
    shown = {**members(own, system, engine, version, False), **name_counts(own, system, engine, version)}
    assert len(shown.keys() & recorded()[browser].keys()) > 400
    assert differences(dict(shown), browser) == ["count.window"]  # the recorder's own global is one more


@pytest.mark.parametrize("browser", RECORDED)
def test_the_engine_and_the_look_of_linux_are_those_recorded(browser: str) -> None:
    _, system, engine, version = RECORDED[browser]
    shown = {**engine_traits(engine, version, "x86"), **layout(engine, system), **colors(engine, system)}
    assert differences(shown, browser) == []


def test_the_software_renderer_is_the_one_recorded() -> None:
    assert differences(webgl_detail("chromium", "chrome", 156.0, SWIFTSHADER), "chromium") == []


@pytest.mark.parametrize("browser", RECORDED)
def test_the_texts_of_the_locale_are_those_recorded(browser: str) -> None:
    texts = locale_texts("en-US", RECORDED[browser][2], "h12", "UTC")
    assert differences(texts, browser) == []


@pytest.mark.parametrize(
    ("column", "old", "new"), [("chrome", 110, 150), ("firefox", 118, 155), ("safari", 16.0, 26.0)]
)
def test_later_versions_know_more(column: str, old: float, new: float) -> None:
    assert sum(known_names(column, old).values()) < sum(known_names(column, new).values())
    assert all(a < b for a, b in zip(sizes(column, old), sizes(column, new), strict=True))


def test_a_name_comes_with_its_version_and_goes_with_its_last() -> None:
    assert [known_names("chrome", v)["window_member.openDatabase"] for v in (118.0, 119.0)] == [True, False]
    assert [known_names("chrome", v)["webgl_extension.EXT_clip_control"] for v in (121.0, 122.0)] == [False, True]
    assert known_names("safari", 26.0)["interface.ApplePaySession"] is True


def test_brands_and_systems_differ_where_they_do_in_life() -> None:
    brave = members("brave", "windows", "chromium", 147.0, False)
    chrome = members("chrome", "windows", "chromium", 147.0, False)
    assert brave["navigator_member.brave"] and not brave["interface.NetworkInformation"]
    assert (
        chrome["navigator_member.share"] and not members("chrome", "linux", "chromium", 147.0, False)["api.web_share"]
    )
    assert column_of("webview", "ios", "webkit") == "webview_ios"


def _visitors(count: int = 300) -> list[Visitor]:
    return Population(11).visitors(count, AT)


def test_an_honest_browser_tells_page_worker_and_frame_the_same() -> None:
    for visitor in _visitors():
        told = copies(visitor.signals)
        if {"two_cards", "worker_blocked"} & {*visitor.oddities}:
            continue
        assert all(visitor.signals.get(name) == value for name, value in told.items()), visitor.oddities


def test_no_detector_of_an_honest_browser_fires_but_those_of_odd_ones() -> None:
    odd = {"fpscanner.valid_plugin_array", "fpscanner.hasMissingChromeObject", "fpscanner.hasSwiftshaderRenderer"}
    for visitor in _visitors():
        fired = {
            name
            for name, value in visitor.signals.items()
            if value is True and name.startswith(("botd.", "fpscanner."))
        }
        assert fired <= odd
        assert visitor.signals["botd.kind"] == "none"


def test_one_gpu_has_one_set_of_limits_in_all_that_tell_them() -> None:
    for visitor in _visitors():
        shown = visitor.signals
        if shown["webgl.supported"]:
            assert shown["webgl_parameter.MAX_TEXTURE_SIZE"] == shown["webgl.max_texture_size"]
            assert shown["webgl2_parameter.MAX_VERTEX_ATTRIBS"] == shown["webgl.max_vertex_attribs"]
            present = sum(value is True for name, value in shown.items() if name.startswith("webgl_extension."))
            assert present == shown["webgl.extensions_count"]


def test_some_visits_begin_with_what_is_known_at_once_and_lose_no_entry() -> None:
    craft = Craft(5, small=True)
    visits = [craft.honest(craft.visitor(AT)) for _ in range(120)]
    early = [visit for visit in visits if visit.events[0].changes.get("fonts.count", 0) is None]
    assert 6 < len(early) < 35
    for visit in early:
        first = visit.events[0].all_signals()
        assert first["navigator.user_agent"] is not None
        assert first["count.window"] is not None
        assert [event.offset for event in visit.events] == sorted(event.offset for event in visit.events)
        assert all(entry[0] < 5_000 for entry in visit.events[0].log)


def test_opening_keeps_every_entry_in_order() -> None:
    craft = Craft(6, small=True)
    visitor = craft.visitor(AT)
    for seed in range(40):
        events = craft.sitting(visitor.signals, "demo-shop", craft.manner(visitor.device), visitor.device)
        after = opened(events, Random(seed), 1.0)
        assert [entry for event in after for entry in event.log] == [entry for event in events for entry in event.log]
        assert after[-1].all_signals() == events[-1].all_signals()
    assert "fpscanner.hasCDP" in not_yet()
    assert "navigator.user_agent" not in not_yet()
