"""The smart signals of this build, in column order. Append only: scores and models name them by this order."""

from __future__ import annotations

SMART_SIGNALS = (
    "bot",
    "cdp_automation",
    "headless",
    "tampering",
    "anti_detect_browser",
    "canvas_spoofing",
    "webgl_mismatch",
    "navigator_mismatch",
    "virtual_machine",
    "developer_tools",
    "privacy_settings",
    "high_activity",
    "velocity_anomaly",
    "scripted_input",
    "incognito",
    "rare_device",
    "impossible_travel",
    "vpn",
    "proxy",
    "tor",
    "datacenter_ip",
    "ip_blocklist",
    "geo_timezone_mismatch",
    "replayed",
)
LEVELS = ("none", "low", "medium", "high")
