"""The sentence of every factor group, on observed values and where nothing was observed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from schemas.environment import CHECKS
from schemas.velocity import WINDOWS
from scoring.features import feature_schema, matrix
from scoring.groups import GROUP_CODES, GROUPS
from tests.builders import NOW, enriched, entry


def sentence(code: str, **said: Any) -> str:
    """Return what a group says of one event."""
    table = matrix(enriched(**{"events": [{}], **said}))
    group = GROUPS[GROUP_CODES.index(code)]
    return group.say({name: float(table[0, feature_schema().position[name]]) for name in group.observed})


def counts(entity: str, events: tuple[int, ...], devices: tuple[int, ...]) -> dict[str, int]:
    """Return shared counts as the builders take them."""
    return {
        f"{entity}_{measure}_{window}": found
        for measure, of in (("events", events), ("devices", devices))
        for window, found in zip(WINDOWS, of, strict=True)
    }


@pytest.mark.parametrize("code", GROUP_CODES)
def test_every_group_has_a_sentence_where_nothing_was_observed(code: str) -> None:
    text = sentence(code)
    assert text
    assert "nan" not in text.lower()


@pytest.mark.parametrize("code", GROUP_CODES)
def test_every_group_has_a_sentence_on_extreme_values(code: str) -> None:
    group = GROUPS[GROUP_CODES.index(code)]
    for value in (0.0, 1.0, 1e9, float(np.float32(3e38))):
        values = {
            name: 11.0 if name.endswith(("log", "since_first", "since_previous", "age")) else value
            for name in group.observed
        }
        assert group.say(values)


LOG = [
    entry("key_interval", 10, 80), entry("key_interval", 20, 120), entry("pasted", 30, 16, "card_number"),
    entry("clicked", 40, 90), entry("pointer_summary", 50, 1234), entry("touch_summary", 55, 1),
    entry("untrusted_event", 60, 3), entry("tab_left", 70), entry("tab_returned", 90, 4000),
    entry("submitted", 95, 2500), entry("payment_declined", 96),
]  # fmt: skip
SAID = [
    ("bot", {"smart": [{"bot": 0.95}]}, "The browser is driven by automation (confidence 95%)"),
    ("bot", {"smart": [{"bot": 0.3}]}, "No sign of automation (clues of 30%)"),
    ("bot", {"smart": [{"bot": 0.0}]}, "No sign of automation"),
    ("bot", {}, "Could not be asked: the browser is driven by automation"),
    ("high_velocity", {"velocity": [{"events_5m": 47}]}, "47 events from this device in 5 minutes"),
    ("high_velocity", {"velocity": [{"events_1h": 9}]}, "9 events from this device in 1 hour"),
    ("high_velocity", {}, "1 event from this device in 5 minutes"),
    ("daily_volume", {"velocity": [{"events_24h": 1204}]}, "1,204 events from this device in 24 hours"),
    ("device_history", {}, "First event of this device"),
    ("device_history", {"velocity": [{"first_seen_at": NOW - 3 * 86_400_500, "previous_at": NOW - 61_000}]},
     "Device first seen 3 days ago, last seen 1 minute ago"),
    ("device_accounts", {"velocity": [{"accounts_5m": 2, "accounts_1h": 12, "accounts_24h": 15}]},
     "12 accounts on this device in 1 hour"),
    ("device_accounts", {"velocity": [{"accounts_5m": 0, "accounts_1h": 0, "accounts_24h": 0}]},
     "No account was named"),
    ("device_places", {"velocity": [{"countries_5m": 0, "countries_1h": 0, "countries_24h": 2}]},
     "2 countries in 24 hours"),
    ("device_places", {"velocity": [{"addresses_1h": 7, "addresses_24h": 8}]}, "7 addresses of this device in 1 hour"),
    ("device_sessions", {"velocity": [{"sessions_5m": 5, "sessions_24h": 9}]},
     "5 sessions of this device in 5 minutes"),
    ("device_sessions", {"velocity": [{"merchants_24h": 3}]},
     "1 session of this device in 5 minutes, and 3 shops in 24 hours"),
    ("session", {}, "First event of this session"),
    ("shared_account", {}, "No account was named"),
    ("shared_account", {"shared": [counts("account", (4, 30, 32), (2, 12, 12))]},
     "12 devices used this account in 1 hour"),
    ("shared_account", {"shared": [counts("account", (9, 9, 9), (1, 1, 1))]},
     "9 events with this account in 5 minutes, by 1 device"),
    ("shared_network", {"shared": [counts("network", (900, 900, 950), (40, 41, 60))]},
     "900 events from this network in 5 minutes, by 40 devices"),
    ("shared_card", {"shared": [counts("card", (1, 2, 9), (1, 1, 5))]}, "5 devices used this card in 24 hours"),
    ("rare_attributes", {"recognition": [{"tail_fonts": 0.0004, "tail_browser": 0.3}]},
     "Unusual: fonts and system; only 0.04% of all events show what is as rare"),
    ("rare_attributes", {"recognition": [{"tail_fonts": 0.2, "tail_screen": 0.1}]},
     "Usual in every respect; the least usual is screen and kind of device"),
    ("rare_attributes", {}, "Not known yet how usual this device is"),
    ("reputation", {"recognition": [{"denied_address": 0.1, "denied_network": 0.3, "denied_asn": 0.02}]},
     "30% of events from this network are expected to be denied, by what came of earlier ones"),
    ("reputation", {"recognition": [{"denied_address": 0.004, "denied_network": 0.004}]},
     "0.40% of events from this address are expected to be denied, by what came of earlier ones"),
    ("reputation", {}, "Not known what came of earlier events from this address"),
    ("card_paste", {"activity": [LOG]}, "1 paste into card fields"),
    ("card_paste", {"activity": [[entry("pasted", 1, 3, "email")]]}, "1 paste, none into card fields"),
    ("typing", {"activity": [LOG]}, "2 keys typed, 100 ms apart, varying by 20 ms"),
    ("pointer", {"activity": [LOG]}, "1 click, 1 touch, 1,234 px of pointer travel"),
    ("untrusted_input", {"activity": [LOG]},
     "3 untrusted events, 0 clicks without a pointer trail, 0 fields set by script"),
    ("attention", {"activity": [LOG]}, "Tab left 1 time, away 4 s"),
    ("pace", {"activity": [LOG]}, "Form submitted 2.5 s after the page opened"),
    ("pace", {"activity": [LOG[:2]]}, "2 entries of activity in 0.0 s"),
    ("page_trouble", {"activity": [LOG]}, "1 declined payment on this page"),
    ("identity_checks", {"environment": [{"checks": ["worker_contradicts_page", "user_agent_unparsed"]}]},
     "User agent unparsed; worker contradicts page"),
    ("browser", {"environment": [{"browser": "headless_chrome", "browser_version": 147}]},
     "Browser: headless chrome 147"),
    ("system", {"environment": [{"system": "macos", "device": "desktop"}]}, "System: macos, desktop"),
    ("graphics", {"environment": [{"gpu": "virtual"}]}, "Graphics: virtual, no WebGL"),
    ("graphics", {"environment": [{"gpu": "intel"}],
                  "events": [{"webgl.max_texture_size": 16384, "webgl.extensions_count": 38}]},
     "Graphics: intel, textures of 16384 px, 38 extensions"),
    ("hardware", {"events": [{"navigator.hardware_concurrency": 1, "navigator.device_memory": 0.5}]},
     "1 processor core, 0.5 GiB of memory"),
    ("automation_traces", {"events": [{"navigator.webdriver": True}]}, "The browser says that it is automated"),
    ("automation_traces", {"events": [{"navigator.webdriver": False}]}, "The browser says that it is not automated"),
    ("altered_functions", {"events": [{"altered.Navigator.webdriver": True, "altered.Screen.width": False}]},
     "Altered functions of the browser: Navigator.webdriver"),
    ("altered_functions", {"events": [{}]}, "No function of the browser is altered"),
    ("bot_detectors", {"events": [{"fpscanner.hasCDP": True, "botd.WebDriver": True, "botd.Process": True,
                                   "fpscanner.hasBotUserAgent": True, "fpscanner.hasPlaywright": True}]},
     "Traces of a bot: Process, WebDriver, hasCDP, hasPlaywright and 1 more"),
    ("navigator", {"events": [{"navigator.plugins_count": 5, "navigator.languages_count": 1}]},
     "5 plugins, 1 language"),
    ("display", {"events": [{"screen.width": 800, "screen.height": 600}]}, "Screen 800 by 600"),
    ("display", {"events": [{"screen.width": 800, "screen.height": 600, "screen.inner_width": 780,
                             "screen.inner_height": 500}]}, "Screen 800 by 600, page 780 by 500"),
    ("canvas", {"events": [{"canvas.pixel_differences": 12, "canvas.readback_errors": 1}]},
     "Canvas: 12 pixels drawn differently, 1 read wrongly"),
    ("media", {"events": [{"media.voices_count": 19, "rtc.video_codecs_count": 1}]},
     "Media: 19 voices, 1 video codec"),
    ("interfaces", {"events": [{"count.window": 1211, "count.navigator_prototype": 81}]},
     "1,211 names on window, 81 on navigator"),
    ("other_contexts", {"events": [{"navigator.hardware_concurrency": 8, "worker.hardware_concurrency": 2}]},
     "The page has 8 processor cores, and its worker 2"),
    ("page_load", {"events": [{"navigation.load": 1240, "navigation.resources_count": 31}]},
     "Page loaded in 1.2 s with 31 resources"),
    ("locale", {"events": [{"intl.timezone_offset": -120}]}, "Time zone -120 minutes west of UTC, and locale"),
    ("fonts", {"events": [{"fonts.count": 14}]}, "14 fonts seen"),
    ("timing", {"events": [{"timing.page_age": 1500}]}, "Collected 1.5 s after the page opened"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "said", "text"), SAID)
def test_a_sentence_carries_the_observed_value(code: str, said: dict[str, Any], text: str) -> None:
    assert sentence(code, **said) == text


def said_of(code: str, **values: float) -> str:
    """Return what a group says of values by the last part of their names; the rest is absent."""
    group = GROUPS[GROUP_CODES.index(code)]
    return group.say({name: values.get(name.partition(".")[2], float("nan")) for name in group.observed})


def test_the_past_of_a_device_is_said() -> None:
    minute, day = float(np.log1p(60)), float(np.log1p(3 * 86_400))
    seen = {"since_first": day, "since_previous": minute, "events": 30.0}
    text = "Device first seen 3 days ago, last seen 1 minute ago"
    assert said_of("device_history", **seen, hour_share=0.5) == text
    assert said_of("device_history", **seen, hour_share=0.01) == f"{text}, seldom at this hour"
    assert said_of("device_history", **(seen | {"events": 3.0}), hour_share=0.01) == text
    moved = {"countries_5m": 1.0, "countries_1h": 2.0, "countries_24h": 2.0, "travel_kmh_log": float(np.log1p(3_100))}
    assert said_of("device_places", **moved) == "2 countries in 1 hour, the last way at 3,100 km/h"


def test_a_session_is_said_with_what_was_done_in_it() -> None:
    seen = {"events": 5.0, "age": float(np.log1p(180)), "keys": 120.0, "pasted": 0.0, "set_by_script": 1.0}
    text = "5 events in this session over 3 minutes"
    assert said_of("session", **seen, declined=2.0) == f"{text}: 120 keys, 1 field set by script, 2 declined payments"
    assert said_of("session", events=5.0, age=float(np.log1p(180))) == text


def test_every_check_is_said_by_one_group() -> None:
    for name in CHECKS:
        said = [code for code in GROUP_CODES if code.endswith("_checks")]
        found = [code for code in said if name.replace("_", " ") in
                 sentence(code, environment=[{"checks": [name]}]).lower()]  # fmt: skip
        assert len(found) == 1, name
