"""One row for which each smart signal is true, one for which it is false, one for which it cannot be computed.

Tests that ask something of all signals go through this table. What a signal makes of each of its clues stands in tests
of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from schemas.batches import Related
from tests.builders import NOW, entry, related
from tests.judged import middle
from tests.unit.test_enrich_signals import CHROME, HOME, HONEST, TYPED, USUAL

Row = Mapping[str, Any]  # arguments of tests.builders.related without their lists
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/147.0.0.0 Safari/537.36"
)
USUAL_ROW: Row = {
    "events": {**HONEST, "navigator.user_agent": AGENT},
    "activity": TYPED,
    "velocity": {"places": [(*middle("DE"), NOW - 3_600_000)]},
    "environment": CHROME,
    "network": HOME,
    "recognition": USUAL,
}
EMPTY_ROW: Row = {"events": {}}
UNCOUNTED_ROW: Row = {"events": {}, "velocity": {"events_5m": 0, "events_1h": 0, "events_24h": 0}}


class Cases(NamedTuple):
    """Rows of one signal. ``null`` None: it says of itself that it can be computed of every event."""

    true: Row
    false: Row = USUAL_ROW
    null: Row | None = EMPTY_ROW


def usual(**changed: Any) -> Row:
    """Return the usual row with more shown; dicts are joined, other things replaced."""
    return USUAL_ROW | {
        name: {**USUAL_ROW[name], **value} if isinstance(value, dict) and name in USUAL_ROW else value
        for name, value in changed.items()
    }


def batch_of(*rows: Row) -> Related:
    """Return one batch of these rows."""
    names = ("events", "activity", "velocity", "environment", "shared", "network", "recognition")
    columns = {name: [row.get(name, [] if name == "activity" else {}) for row in rows] for name in names}
    return related(**columns)


def _checks(*names: str) -> Row:
    return usual(environment={"checks": names})


def _network(*classes: str) -> Row:
    return usual(network={"classes": classes})


BY_SIGNAL: Mapping[str, Cases] = {
    "bot": Cases(usual(events={"navigator.webdriver": True})),
    "cdp_automation": Cases(usual(events={"automation.cdp_runtime": True})),
    "headless": Cases(usual(environment={"browser": "headless_chrome"})),
    "tampering": Cases(_checks("worker_contradicts_page", "platform_contradicts_user_agent")),
    "anti_detect_browser": Cases(_checks("worker_contradicts_page")),
    "canvas_spoofing": Cases(usual(events={"canvas.pixel_differences": 40, "canvas.readback_errors": 40})),
    "webgl_mismatch": Cases(_checks("worker_gpu_contradicts_page", "webgl_limits_impossible")),
    "navigator_mismatch": Cases(_checks("platform_contradicts_user_agent", "client_hints_contradict_user_agent")),
    "virtual_machine": Cases(usual(events={"webgl.unmasked_renderer": "ANGLE (VMware, VMware SVGA 3D Direct3D11)"})),
    "developer_tools": Cases(usual(activity=[*TYPED, entry("devtools_opened", 9_500)])),
    "privacy_settings": Cases(usual(events={"api.brave": True})),
    "high_activity": Cases(usual(velocity={"events_24h": 900, "events_1h": 90}), null=UNCOUNTED_ROW),
    "velocity_anomaly": Cases(
        usual(velocity={"events_5m": 100, "events_1h": 500, "events_24h": 500, "first_seen_at": NOW - 90_000}),
        null=UNCOUNTED_ROW,
    ),
    "scripted_input": Cases(usual(activity=[entry("key_interval", 50 * key, 50, "email") for key in range(14)])),
    "incognito": Cases(usual(events={"storage.quota": 900})),
    "rare_device": Cases(usual(recognition={
        "tail_machine": 0.0001, "seen_machine": 0.0, "tail_graphics": 0.0001, "seen_graphics": 0.0,
        "tail_fonts": 0.0001,
    })),
    "impossible_travel": Cases(usual(velocity={"places": [(*middle("AU"), NOW - 3_600_000)]})),
    "vpn": Cases(_network("vpn")),
    "proxy": Cases(_network("proxy")),
    "tor": Cases(_network("tor")),
    "datacenter_ip": Cases(_network("hosting")),
    "ip_blocklist": Cases(usual(recognition={"denied_address": 0.95, "weight_address": 300.0})),
    "geo_timezone_mismatch": Cases(usual(environment={"timezone_offset": 480})),
    "replayed": Cases(usual(recognition={"replayed": 7}), null=None),
}  # fmt: skip
