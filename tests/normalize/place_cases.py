"""Cases of the checks of worker, frame, time zone and language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.normalize.agents import FIREFOX
from tests.normalize.changes import Case, Changes
from tests.wire import RENDERER, USER_AGENT


def _copies(*pairs: tuple[str, Any, Any]) -> Case:
    """Return cases of copies: what differs from the page, and what is absent."""
    guilty = [{name: other} for name, other, _ in pairs]
    return guilty, [{name: same for name, _, same in pairs}, {name: None for name, _, _ in pairs}]


_PAGE: Changes = {
    "intl.locale": "de-DE", "client_hint.brands": "Chromium 147", "screen.color_depth": 24,
    "webgl.max_cube_map_texture_size": 16384,
}  # fmt: skip


def _on_page(case: Case) -> Case:
    guilty, honest = case
    return [{**_PAGE, **changes} for changes in guilty], [{**_PAGE, **changes} for changes in honest]


CONTEXTS: Mapping[str, Case] = {
    "worker_contradicts_page": _copies(
        ("worker.platform", "MacIntel", "Win32"), ("worker.language", "en-US", "de-DE"),
        ("worker.user_agent", FIREFOX, USER_AGENT), ("worker.hardware_concurrency", 4, 8),
    ),
    "frame_contradicts_page": _copies(
        ("frame.platform", "MacIntel", "Win32"), ("frame.language", "en-US", "de-DE"),
        ("frame.user_agent", FIREFOX, USER_AGENT), ("frame.hardware_concurrency", 4, 8),
    ),
    "worker_gpu_contradicts_page": _copies(
        ("worker.webgl_vendor", "Intel", "Google Inc. (NVIDIA)"), ("worker.webgl_renderer", "Other", RENDERER),
    ),
    "frame_gpu_contradicts_page": _copies(
        ("frame_page.webgl_vendor", "Intel", "Google Inc. (NVIDIA)"), ("frame_page.webgl_renderer", "Other", RENDERER),
    ),
    "worker_timezone_contradicts_page": _copies(
        ("worker.timezone", "UTC", "Europe/Berlin"), ("worker.timezone_offset", 0, -120),
    ),
    "frame_timezone_contradicts_page": _copies(
        ("frame_page.timezone", "UTC", "Europe/Berlin"), ("frame_page.timezone_offset", 0, -120),
    ),
    "worker_navigator_contradicts_page": _on_page(_copies(
        ("worker.device_memory", 4, 8), ("worker_page.languages", "en-US", "de-DE,de,en"),
        ("worker_page.locale", "en-US", "de-DE"), ("worker_page.client_hints_platform", "Linux", "Windows"),
        ("worker_page.client_hints_brand", "Chromium 140", "Chromium 147"),
        ("worker_page.app_version", "5.0 (X11)", USER_AGENT.removeprefix("Mozilla/")),
    )),
    "frame_navigator_contradicts_page": _on_page(_copies(
        ("frame_page.device_memory", 4, 8), ("frame_page.languages", "en-US", "de-DE,de,en"),
        ("frame_page.locale", "en-US", "de-DE"), ("frame_page.vendor", "", "Google Inc."),
        ("frame_page.client_hints_platform", "Linux", "Windows"), ("frame_page.max_touch_points", 5, 0),
    )),
    "worker_limits_contradict_page": (
        [{"worker_page.max_texture_size": 8192}, {**_PAGE, "worker_page.max_cube_map_texture_size": 8192}],
        [
            {"worker_page.max_texture_size": 16384}, {"worker_page.max_texture_size": None},
            {"worker_page.max_texture_size": 8192, "worker.webgl_renderer": "Other"},
        ],
    ),
    "frame_screen_contradicts_page": _on_page(_copies(
        ("frame.screen_width", 1366, 1920), ("frame_page.screen_height", 768, 1080),
        ("frame_page.color_depth", 30, 24), ("frame_page.device_pixel_ratio", 1, 1.25),
    )),
    "contexts_compute_differently": (
        [
            {"worker_page.maths": "1", "frame_page.maths": "2"},
            {"worker_page.error_message": "a", "frame_page.error_message": "b"},
        ],
        [{"worker_page.maths": "1", "frame_page.maths": "1"}, {"worker_page.maths": "1"}],
    ),
}  # fmt: skip

PLACE: Mapping[str, Case] = {
    "timezone_unknown": (
        [{"intl.timezone": "Europe/Nowhere"}, {"intl.timezone": ""}, {"intl.timezone": "europe/berlin\u00e4"}],
        [{"intl.timezone": None}, {"intl.timezone": "America/Argentina/Buenos_Aires", "intl.timezone_offset": 180}],
    ),
    "timezone_offset_contradicts_zone": (
        [{"intl.timezone_offset": 0}, {"intl.timezone_offset": 120}, {"intl.timezone": "Asia/Kathmandu"}],
        [
            {"intl.timezone_offset": -60}, {"intl.timezone_offset": None}, {"intl.timezone": "Nowhere"},
            {"intl.timezone": "Asia/Kathmandu", "intl.timezone_offset": -345},
        ],
    ),
    "timezone_season_contradicts_zone": (
        [
            {"intl.timezone_offset_january": -120}, {"intl.timezone_offset_july": -60},
            {"intl.timezone": "Europe/Moscow", "intl.timezone_offset_july": -240},
        ],
        [
            {"intl.timezone_offset_january": -60, "intl.timezone_offset_july": -120},
            {"intl.timezone": "Nowhere", "intl.timezone_offset_july": 17},
            # Mexico gave up summer time in 2022: browsers with older tables are honest.
            {"intl.timezone": "America/Mexico_City", "intl.timezone_offset_july": 300},
        ],
    ),
    "language_list_contradicts_language": (
        [{"navigator.languages": "en,de-DE"}, {"navigator.language": "en"}],
        [{"navigator.languages": None}, {"navigator.language": None}, {"navigator.languages": "de-DE"}],
    ),
}  # fmt: skip
