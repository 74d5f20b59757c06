"""privacy_settings: the browser hides what it is on its owner's behalf."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.causes import first_of, is_true, number_of
from enrichers.noise import BRAVE, RESIST_STEP, is_brave, noisy_pictures, resists_fingerprinting
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched
from schemas.networks import NETWORK_BIT

_LETTERBOX = (200, 100)  # CSS px: resist-fingerprinting rounds the viewport to these


class PrivacySettings(SmartSignal):
    """Tor Browser, Brave, and Firefox's protections, by what they change."""

    name = "privacy_settings"
    recorded = True
    version = 2
    question = "A privacy browser or resist-fingerprinting is at work."
    held_down = (
        "Do Not Track and Global Privacy Control are ordinary choices, and noise of a spoofer is not a person's wish "
        "for privacy: all stay far under the threshold."
    )
    honest_true = "2% of honest visitors use Brave, and 0.3% a Firefox that resists fingerprinting."
    inputs = (
        *BRAVE,
        "timing.resolution",
        "screen.inner_width",
        "screen.inner_height",
        "screen.width",
        "screen.height",
        "navigator.hardware_concurrency",
        "intl.timezone_offset",
        "navigator.do_not_track",
        "navigator.global_privacy_control",
        "navigator.cookie_enabled",
        "storage.local",
        "canvas.pixel_differences",
        "canvas.readback_errors",
        "check.audio_unstable",
        "network.classes",
    )
    clues = (
        Clue("brave", 0.95, "navigator.brave is there, which only Brave has."),
        Clue("tor_browser", 0.95, "Resist-fingerprinting at an exit of the Tor network."),
        Clue("coarse_clock", 0.8, "The clock steps by 16 ms or more, which resist-fingerprinting makes it do."),
        Clue("letterboxed", 0.4, "Firefox's viewport is a multiple of 200 by 100, and the screen is as large."),
        Clue("spoofed_utc_and_cores", 0.35, "Firefox in UTC with 2, 4 or 8 cores, the values that it hides behind."),
        Clue("session_noise", 0.6, "Firefox's pictures have noise that stays for the session: its own protection."),
        Clue("noise", 0.3, "Noise in pictures or sound; spoofers make it too."),
        Clue("storage_refused", 0.35, "Cookies or stores are switched off: 0.8% of honest."),
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
        letterboxed &= (view.number("screen.width") == width) & (view.number("screen.height") == height)
        cores = view.number("navigator.hardware_concurrency")
        hidden = (view.number("intl.timezone_offset") == 0) & ((cores == 2) | (cores == 4) | (cores == 8))
        brave, coarse = view.once(is_brave), view.once(resists_fingerprinting)
        noisy = view.once(noisy_pictures)
        session = noisy & firefox & ~(view.number("canvas.pixel_differences") > 0)
        return (
            brave,
            *first_of(coarse & view.network_class("tor"), coarse, letterboxed & firefox, hidden & firefox),
            *first_of(session & ~coarse, (noisy | view.check("audio_unstable")) & ~brave & ~coarse),
            view.false("navigator.cookie_enabled") | view.false("storage.local"),
            view.true("navigator.global_privacy_control"),
            view.true("navigator.do_not_track"),
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return which protection it is, and the clock's step in ms."""
        step = number_of(batch, row, "timing.resolution")
        if any(is_true(batch, row, name) for name in BRAVE):
            return {"protection": "Brave"}
        if not step >= RESIST_STEP:
            return {"protection": "Firefox, session noise or rounded values"}
        by_tor = int(batch.network.classes[row]) & NETWORK_BIT["tor"]
        boxed = number_of(batch, row, "screen.inner_width") % _LETTERBOX[0] == 0
        boxed = boxed and number_of(batch, row, "screen.inner_height") % _LETTERBOX[1] == 0
        name = "Tor Browser" if by_tor else "resist-fingerprinting, letterboxed" if boxed else "resist-fingerprinting"
        return {"protection": name, "clock_step_ms": step}
