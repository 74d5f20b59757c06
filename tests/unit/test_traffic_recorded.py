"""Recorded browsers in the simulated traffic: their real signals and logs, on other machines, from other places."""

from __future__ import annotations

from collections import Counter

import pytest

from infra.traffic.craft import Craft
from infra.traffic.dataset import LATE, labelled_batches
from infra.traffic.recorded.machines import client, client_names, fullest, of_machine, tells_zone
from infra.traffic.recorded.play import UNSEEN, by_hand, played, recorded
from infra.traffic.scenario import Mix
from infra.traffic.signals import Signals
from infra.traffic.visits import FRAUD, HONEST, Visit
from schemas.log_codes import load_log_codes

AT = 1_780_272_000_000
KEY = load_log_codes().code("key_interval")
# Of each client a part of what gives it away, so that a machine that is put on under it takes nothing of it along.
TELLS = {
    "puppeteer": ("navigator.webdriver", "screen.width", "webgl.renderer", "navigator.user_agent"),
    "puppeteer-headed": ("navigator.webdriver", "fpscanner.hasCDP", "automation.cdp_runtime"),
    "puppeteer-stealth": ("navigator.platform", "navigator.hardware_concurrency", "worker.hardware_concurrency"),
    "fingerprint-injector": ("screen.width", "webgl.renderer", "canvas.text", "navigator.user_agent", "fonts.list"),
    "chromium-old-headless": ("navigator.connection_rtt", "navigator.languages", "window_member.chrome"),
    "selenium": ("navigator.webdriver", "screen.height"),
    "firefox-bidi": ("navigator.webdriver", "screen.width"),
}


@pytest.fixture
def craft() -> Craft:
    return Craft(4, small=True)


def _visits(craft: Craft, campaigns: int) -> list[Visit]:
    return [visit for _ in range(campaigns) for _, visit in recorded(craft, AT)]


def _shown(visit: Visit) -> Signals:
    return max((event.all_signals() for event in visit.events), key=len)


@pytest.mark.parametrize("name", TELLS)
def test_what_a_tool_shows_stays_whatever_machine_it_gets(craft: Craft, name: str) -> None:
    browser = "firefox" if "firefox" in name else "chrome"
    said = fullest(client(name), 0)
    for _ in range(10):
        events = played(craft, craft.visitor(AT, browser, "linux"), name, 0, "demo-shop", AT)
        shown = max((event.signals for event in events), key=len)
        assert {tell: shown.get(tell) for tell in TELLS[name]} == {tell: said.get(tell) for tell in TELLS[name]}


def test_machines_and_places_are_those_of_many(craft: Craft) -> None:
    shown = [_shown(by_hand(craft, AT)) for _ in range(60)]
    for name, least in (
        ("fonts.list", 3), ("webgl.renderer", 5), ("screen.width", 5), ("intl.timezone", 8), ("navigator.languages", 8),
        ("navigator.hardware_concurrency", 3), ("webgl.supported", 2),
    ):  # fmt: skip
        assert len({signals.get(name) for signals in shown}) >= least, name


def test_page_worker_and_frame_go_on_telling_the_same_where_nobody_lies(craft: Craft) -> None:
    for _ in range(40):
        shown = _shown(by_hand(craft, AT))
        assert shown["worker.hardware_concurrency"] == shown["navigator.hardware_concurrency"]
        assert shown["worker.timezone_offset"] == shown["intl.timezone_offset"]
        assert shown["frame.screen_width"] == shown["screen.width"]
        assert (shown.get("webgl.renderer") is None) is (shown.get("worker.webgl_renderer") is None)


def test_controls_show_the_machine_alone_and_who_names_a_language_keeps_the_place() -> None:
    attackers, controls = client_names()
    assert (len(attackers), controls) == (26, ("chromium-headed", "firefox-headed"))
    assert all(all(of_machine(name, which)) for name in controls for which in (0, 1))
    assert {name for name in attackers if tells_zone(name, 0)} == {
        "chromium-old-headless", "puppeteer-old-headless", "fingerprint-injector", "playwright-injector",
    }  # fmt: skip


def test_controls_are_honest_visitors_and_all_others_are_not(craft: Craft) -> None:
    attackers, controls = client_names()
    honest = [by_hand(craft, AT) for _ in range(30)]
    fraud = _visits(craft, 50)
    assert {visit.client for visit in honest} == set(controls)
    assert {visit.label for visit in honest} == {HONEST} and {visit.label for visit in fraud} == {FRAUD}
    assert len({visit.client for visit in fraud}) > 15 and {visit.client for visit in fraud} <= set(attackers)
    assert len({visit.transaction for visit in (*honest, *fraud)}) == len(honest) + len(fraud)


def test_a_log_is_the_recorded_one_at_another_pace(craft: Craft) -> None:
    visitor = craft.visitor(AT, "chrome", "linux")
    events = played(craft, visitor, "puppeteer-headed", 0, "demo-shop", AT)
    kept = [entry for event in events for entry in event.log]
    said = [entry for event in client("puppeteer-headed").visits[0] for entry in event.activity]
    assert [entry[1] for entry in kept] == [entry["code"] for entry in said]
    pace = kept[-1][0] / said[-1]["t"]
    for (_, code, value, _), entry in zip(kept, said, strict=True):
        if code == KEY:
            assert abs(value - pace * entry["value"]) <= 1.1
    assert [event.offset for event in events] == sorted(event.offset for event in events)
    assert played(craft, visitor, "puppeteer-headed", 0, "demo-shop", AT)[0].offset != events[0].offset


def test_some_clients_come_in_the_last_events_only() -> None:
    assert set(UNSEEN) < set(client_names()[0])
    events, seen, place = 1_000, Counter[str](), 0
    for made in labelled_batches(events, 3, small=True, mix=Mix(1.0, 0.0, kinds=("recorded",))):
        for name in made.clients:
            late = place >= events * LATE
            seen[f"{name in UNSEEN} {late}"] += 1
            place += 1
    assert seen["True False"] == 0
    assert seen["True True"] > 20 and seen["False True"] > 20 and seen["False False"] > 700
