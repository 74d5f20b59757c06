"""privacy_settings: the browser hides what it is on its owner's behalf."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool

_RESIST_STEP = 16  # ms
_LETTERBOX = (200, 100)  # CSS px: Tor Browser rounds the viewport to these


class PrivacySettings(SmartSignal):
    """Tor Browser, Brave, and Firefox's resist-fingerprinting, by what they change."""

    name = "privacy_settings"
    question = "A privacy browser or resist-fingerprinting is at work."
    held_down = "Do Not Track and Global Privacy Control are ordinary choices, and stay far under the threshold."
    inputs = (
        "api.brave",
        "timing.resolution",
        "screen.inner_width",
        "screen.inner_height",
        "screen.width",
        "navigator.hardware_concurrency",
        "intl.timezone_offset",
        "navigator.do_not_track",
        "navigator.global_privacy_control",
        "navigator.cookie_enabled",
        "storage.local",
        "check.canvas_readback_failed",
        "check.audio_unstable",
    )
    clues = (
        Clue("brave", 0.95, "navigator.brave is there, which only Brave has."),
        Clue("coarse_clock", 0.75, "The clock steps by 16 ms or more, which resist-fingerprinting makes it do."),
        Clue("letterboxed", 0.4, "Firefox's viewport is a multiple of 200 by 100, as Tor Browser rounds it."),
        Clue("screen_is_viewport", 0.3, "Firefox says that the screen is as large as the viewport."),
        Clue("spoofed_utc_and_cores", 0.35, "Firefox in UTC with 2 or 4 cores, the values that it hides behind."),
        Clue("canvas_refused", 0.3, "Known pixels of the canvas read back wrong; spoofers do that too."),
        Clue("audio_noise", 0.3, "Two equal sounds differ."),
        Clue("cookies_off", 0.3, "Cookies are switched off."),
        Clue("storage_refused", 0.25, "Local storage is refused."),
        Clue("global_privacy_control", 0.15, "The person asked not to be sold; Brave and DuckDuckGo ask by default."),
        Clue("do_not_track", 0.08, "The person asked not to be tracked."),
    )

    def computable(self, view: View) -> Bool:
        """Brave was looked for, or the clock measured."""
        return view.known("api.brave") | ~np.isnan(view.number("timing.resolution"))

    def observe(self, view: View) -> Sequence[Bool]:
        """Look for the marks of each."""
        firefox = view.browser("firefox") & view.desktop
        width, height = view.number("screen.inner_width"), view.number("screen.inner_height")
        letterboxed = (np.mod(width, _LETTERBOX[0]) == 0) & (np.mod(height, _LETTERBOX[1]) == 0) & (width > 0)
        screen_is_viewport = (view.number("screen.width") == width) & (view.number("screen.height") == height)
        cores = view.number("navigator.hardware_concurrency")
        return (
            view.true("api.brave"),
            view.number("timing.resolution") >= _RESIST_STEP,
            letterboxed & firefox,
            screen_is_viewport & firefox & (width > 0),
            firefox & (view.number("intl.timezone_offset") == 0) & ((cores == 2) | (cores == 4)),
            view.check("canvas_readback_failed"),
            view.check("audio_unstable"),
            view.false("navigator.cookie_enabled"),
            view.false("storage.local"),
            view.true("navigator.global_privacy_control"),
            view.true("navigator.do_not_track"),
        )
