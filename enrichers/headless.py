"""headless: the browser has no display, and so no person in front of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.graphics import SOFTWARE, renderer_kind
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool

_RESIST_STEP = 16  # ms: the clock's step when Firefox resists fingerprinting


class Headless(SmartSignal):
    """A rating over many weak markers: a headless browser shows several, a plain one on a bare desktop few."""

    name = "headless"
    question = "The browser runs without a display."
    threshold = 0.6
    held_down = (
        "Firefox's resist-fingerprinting gives the viewport as screen: not counted. "
        "Remote desktops, thin clients and fresh Linux desktops have a software renderer, no sound and no task bar: "
        "those clues together stay under the threshold."
    )
    inputs = (
        "navigator.user_agent",
        "webgl.unmasked_renderer",
        "screen.width",
        "screen.height",
        "screen.avail_height",
        "screen.inner_width",
        "screen.inner_height",
        "screen.outer_width",
        "screen.outer_height",
        "screen.fullscreen",
        "timing.resolution",
        "navigator.plugins_count",
        "navigator.pdf_viewer_enabled",
        "navigator.connection_rtt",
        "api.chrome",
        "automation.permissions_inconsistent",
        "media.voices_count",
        "media.audio_outputs",
    )
    clues = (
        Clue("headless_user_agent", 0.99, "The user agent says so."),
        Clue("no_outer_window", 0.5, "The outer window measures nothing; some embedded frames report so too."),
        Clue(
            "no_window_frame", 0.35, "A desktop window without frame and not in full screen; kiosks have none either."
        ),
        Clue("default_screen", 0.45, "800 by 600, headless Chromium's default; almost nobody's screen today."),
        Clue("screen_is_viewport", 0.3, "Screen, window and viewport are one size, which emulated devices are."),
        Clue("software_renderer", 0.25, "SwiftShader or llvmpipe; 3% of honest visitors have a virtual renderer."),
        Clue("zero_round_trip", 0.25, "Chromium reports a round trip of 0 ms headless; a fast line rounds to 0 too."),
        Clue("no_chrome_object", 0.35, "Desktop Chromium has window.chrome; old headless Chromium has not."),
        Clue("permissions_inconsistent", 0.3, "Notifications are denied and prompt at once: headless, some in-app."),
        Clue("no_plugins", 0.15, "The PDF plugins are missing although the viewer is not switched off."),
        Clue("no_voices", 0.08, "No speech voices; a bare Linux desktop has none either."),
        Clue("no_audio_output", 0.08, "No sound device; servers, but also office machines."),
        Clue("no_task_bar", 0.05, "All of the screen is available; auto-hide does that too."),
    )

    def computable(self, view: View) -> Bool:
        """The browser was parsed and the window measured."""
        return (view.environment.browser != 0) & ~np.isnan(view.number("screen.outer_width"))

    def observe(self, view: View) -> Sequence[Bool]:
        """Rate window, renderer and interfaces; a phone has no window frame, so those ask for a desktop."""
        desktop, chrome = view.desktop, view.desktop & view.chromium
        width, height = view.number("screen.width"), view.number("screen.height")
        inner_width, inner_height = view.number("screen.inner_width"), view.number("screen.inner_height")
        outer_width, outer_height = view.number("screen.outer_width"), view.number("screen.outer_height")
        frameless = (inner_width == outer_width) & (inner_height == outer_height) & (outer_height > 0)
        # Resist-fingerprinting gives the viewport as window and screen; its clock gives it away.
        resisting = view.number("timing.resolution") >= _RESIST_STEP
        frameless &= desktop & ~view.true("screen.fullscreen") & ~resisting
        plugins_off = view.false("navigator.pdf_viewer_enabled")
        return (
            view.browser("headless_chrome"),
            (outer_width == 0) & (outer_height == 0),
            frameless,
            (width == 800) & (height == 600) & desktop,
            frameless & (inner_width == width) & (inner_height == height),
            view.classify("webgl.unmasked_renderer", renderer_kind) == SOFTWARE,
            (view.number("navigator.connection_rtt") == 0) & chrome,
            view.false("api.chrome") & chrome,
            view.true("automation.permissions_inconsistent") & chrome,
            (view.number("navigator.plugins_count") == 0) & chrome & ~plugins_off,
            (view.number("media.voices_count") == 0) & desktop,
            (view.number("media.audio_outputs") == 0) & desktop,
            (view.number("screen.avail_height") == height) & desktop,
        )
