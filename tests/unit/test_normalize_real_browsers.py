"""normalize over what real browsers showed: Chromium 156 and Firefox 153, in a window and without, by the agent's
own collectors, on pages of secure and of insecure origins; and over the same browsers when they say they are others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from schemas.environment import ENGINES
from tests.normalize.agents import EDGE, FIREFOX, IPHONE, MAC, PIXEL, environment, failed_by
from tests.wire import USER_AGENT

_FOLDER = Path(__file__).parents[1] / "captures"
IN_A_WINDOW = ("chromium-headed", "chromium-headed-insecure", "firefox-headed", "firefox-headed-insecure")
AT = 1_795_320_000_000  # when they were captured


def shown(name: str, **changes: Any) -> Mapping[str, Any]:
    """Return what a browser showed, with changes that name signals without their family's dot."""
    signals: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text("utf-8"))
    return {**signals, **{changed.replace("__", "."): value for changed, value in changes.items()}}


@pytest.mark.parametrize("name", IN_A_WINDOW)
def test_a_browser_in_a_window_fails_no_check(name: str) -> None:
    assert failed_by(shown(name), AT) == set()


def test_a_browser_without_a_window_fails_what_a_window_is_needed_for() -> None:
    assert failed_by(shown("chromium-headless"), AT) == set()
    assert failed_by(shown("firefox-headless"), AT) == {"pointer_contradicts_device"}


@pytest.mark.parametrize(
    ("name", "engine", "version"),
    [("chromium-headed", "chromium", 156), ("chromium-headed-insecure", "chromium", 156),
     ("firefox-headed", "gecko", 153), ("firefox-headless", "gecko", 153)],
)  # fmt: skip
def test_engine_and_version_are_known_by_features_alone(name: str, engine: str, version: int) -> None:
    for agent in (None, USER_AGENT, FIREFOX, IPHONE):
        seen = environment(shown(name, navigator__user_agent=agent), at=AT)
        assert ENGINES[seen.engine[0]] == engine
        assert version - 3 <= seen.engine_at_least[0] <= version


@pytest.mark.parametrize(
    ("name", "agent", "expected"),
    [
        ("chromium-headed", FIREFOX, {"engine_contradicts_user_agent", "script_engine_contradicts_user_agent"}),
        ("chromium-headed", IPHONE, {"engine_contradicts_user_agent", "navigator_contradicts_engine"}),
        ("chromium-headed", USER_AGENT.replace("147", "120"), {"features_newer_than_user_agent"}),
        ("chromium-headed", USER_AGENT.replace("147", "190"), {"brand_version_contradicts_user_agent"}),
        ("chromium-headed", MAC, {"platform_contradicts_user_agent", "worker_contradicts_page"}),
        ("chromium-headed", PIXEL, {"pointer_contradicts_device", "touch_contradicts_device"}),
        ("firefox-headed", USER_AGENT, {"engine_contradicts_user_agent", "navigator_contradicts_engine",
                                        "audio_contradicts_engine", "webgl_contradicts_engine"}),
        ("firefox-headed", EDGE, {"engine_contradicts_user_agent", "vendor_contradicts_browser"}),
        ("firefox-headed", FIREFOX.replace("140", "115"), {"features_newer_than_user_agent"}),
        ("firefox-headed", FIREFOX.replace("140", "170"), {"features_older_than_user_agent"}),
    ],
)  # fmt: skip
def test_a_browser_that_says_it_is_another_one_is_found(name: str, agent: str, expected: set[str]) -> None:
    assert expected <= failed_by(shown(name, navigator__user_agent=agent), AT)
