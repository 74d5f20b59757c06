"""The browser signals on what real browsers showed: Chromium 156 and Firefox 153, in a window and without, recorded by
the agent's own collectors. A driver recorded them, so what only a driver leaves is taken out first, as a person's
browser would not have it; whatever else they show is theirs.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from enrichers.registry import SIGNALS
from enrichers.stage import Enrich
from flows.stages.normalize import Normalize
from schemas.batches import Related, Verified
from schemas.columns import widen
from tests.builders import decoded, related

FOLDER = Path(__file__).parents[1] / "captures"
AT = 1_795_320_000_000  # when they were recorded
IN_A_WINDOW = ("chromium-headed", "chromium-headed-insecure", "firefox-headed", "firefox-headed-insecure")
HEADLESS = ("chromium-headless", "firefox-headless")
ACCUSING = ("bot", "headless", "tampering", "anti_detect_browser", "canvas_spoofing")
OF_THE_DRIVER = (
    "navigator.webdriver", "automation.iframe_webdriver", "automation.worker_webdriver", "automation.cdp_runtime",
    "botd.WebDriver", "fpscanner.hasWebdriver", "fpscanner.hasWebdriverIframe", "fpscanner.hasWebdriverWorker",
    "fpscanner.hasWebdriverWritable", "fpscanner.hasCDP",
)  # fmt: skip
NORMALIZE, ENRICH = Normalize(), Enrich()


def recorded(name: str, **changes: Any) -> dict[str, Any]:
    """Return what a browser showed, with changes that name signals with two underscores for their dot."""
    shown: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return {**shown, **{changed.replace("__", ".", 1): value for changed, value in changes.items()}}


def undriven(name: str, **changes: Any) -> dict[str, Any]:
    """Return the same without what its driver left."""
    shown = recorded(name)
    assert any(shown.get(trace) for trace in OF_THE_DRIVER)
    return {**recorded(name, **changes), **{trace: False for trace in OF_THE_DRIVER if trace in shown}}


def judged(shown: dict[str, Any]) -> dict[str, set[str]]:
    """Return which signals are true, with their reasons."""
    kept = {name: value for name, value in shown.items() if value is not None}
    out = NORMALIZE(widen(Verified, decoded([kept], times=[AT])))
    assert not out.errs
    event: Related = replace(
        related([kept], times=[AT]), signals=out.oks.signals, environment=out.oks.environment, network=out.oks.network
    )
    smart = ENRICH(event).oks.smart
    return {
        signal.name: {name for bit, name in enumerate(signal.reasons) if int(smart.reasons[0, at]) >> bit & 1}
        for at, signal in enumerate(SIGNALS)
        if smart.result[0, at] == 1
    }


@pytest.mark.parametrize("name", IN_A_WINDOW)
def test_a_browser_in_a_window_is_accused_of_nothing(name: str) -> None:
    found = judged(undriven(name))
    assert not set(found) & set(ACCUSING), found
    assert set(found) == {"virtual_machine"}  # it ran in one, without a card


@pytest.mark.parametrize("name", (*IN_A_WINDOW, *HEADLESS))
def test_its_driver_is_seen_where_it_is_not_hidden(name: str) -> None:
    assert "webdriver" in judged(recorded(name))["bot"]


def test_chromium_without_a_window_is_headless_by_name_and_without_it() -> None:
    named = judged(undriven("chromium-headless"))
    assert "headless_user_agent" in named["headless"] and "headless_user_agent" in named["bot"]
    agent = recorded("chromium-headed")["navigator.user_agent"]
    copies = {name: recorded("chromium-headed")[name] for name in ("worker.user_agent", "frame.user_agent")}
    app = recorded("chromium-headed")["worker_page.app_version"]
    hidden = {"navigator.user_agent": agent, **copies, "worker_page.app_version": app, "botd.AppVersion": False,
              "botd.UserAgent": False, "fpscanner.hasBotUserAgent": False}  # fmt: skip
    found = judged({**undriven("chromium-headless"), **hidden})
    assert found["headless"] >= {"default_screen", "hidden_scroll_bars", "software_renderer"}
    assert "bot" not in found


def test_firefox_without_a_window_is_headless_by_what_it_lacks() -> None:
    found = judged(undriven("firefox-headless"))
    assert found["headless"] >= {"no_pointer", "no_webgl", "window_covers_screen"}
    assert not set(found) & {"bot", "tampering", "anti_detect_browser", "canvas_spoofing"}


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("chromium-headed", {"navigator__platform": "Win32"}, {"tampering", "navigator_mismatch"}),
        ("chromium-headed", {"worker__hardware_concurrency": 1}, {"tampering", "navigator_mismatch"}),
        ("chromium-headed", {"frame_page__timezone": "Asia/Tokyo"}, {"tampering"}),
        ("chromium-headed", {"canvas__pixel_differences": 4}, {"canvas_spoofing"}),
        ("chromium-headed", {"canvas__text": "811c9dc5"}, {"canvas_spoofing"}),
        ("chromium-headed", {"webgl__max_texture_size": 16384, "webgl__max_viewport_width": 16384},
         {"webgl_mismatch"}),
        ("chromium-headed", {"automation__webdriver_altered": True, "altered__Navigator.webdriver": True},
         {"bot", "tampering", "anti_detect_browser"}),
        ("firefox-headed", {"canvas__pixel_differences": 4}, {"canvas_spoofing"}),
        ("firefox-headed", {"timing__resolution": 16.667, "canvas__pixel_differences": 4}, {"privacy_settings"}),
        ("firefox-headed", {"storage_detail__opfs": False}, {"incognito"}),
        ("firefox-headed", {"navigator__oscpu": None, "navigator__vendor": "Google Inc.",
                            "navigator__product_sub": "20030107"}, {"tampering", "navigator_mismatch"}),
    ],
)  # fmt: skip
def test_one_lie_on_a_real_browser_is_seen(name: str, changes: dict[str, Any], expected: set[str]) -> None:
    assert expected <= set(judged(undriven(name, **changes)))
