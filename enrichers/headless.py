"""headless: the browser has no display, and so no person in front of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.causes import Causes, first_of, number_of
from enrichers.graphics import SOFTWARE, renderer_kind
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched

_RESIST_STEP = 16  # ms: the clock's step when Firefox resists fingerprinting
_CAUSES = Causes(
    {
        "name": ("botd.UserAgent", "botd.AppVersion"),
        "permissions": ("automation.permissions_inconsistent", "botd.NotificationPermissions"),
        "no_chrome": ("!api.chrome",),
        "scroll_bars": ("viewport.scroll_bar_overlay",),
        "no_pointer": ("check.pointer_contradicts_device",),
        "no_webgl": ("!webgl.supported",),
        "full_screen": ("screen.fullscreen",),
        "plugins_off": ("!navigator.pdf_viewer_enabled",),
        "may_not_ask": ("!page.secure_context", "page.in_frame"),
        "in_background": ("!viewport.has_focus", "!viewport.visible"),
    }
)


class Headless(SmartSignal):
    """A rating over many weak markers: a headless browser shows several, a plain one on a bare desktop few."""

    name = "headless"
    version = 2
    question = "The browser runs without a display."
    threshold = 0.6
    held_down = (
        "Firefox's resist-fingerprinting gives the viewport as screen: not counted. Remote desktops, thin clients and "
        "fresh Linux desktops have a software renderer, no sound and no task bar: those clues together stay under the "
        "threshold. Edge lays its scroll bars over the page by itself. A tab in the background may have no window "
        "yet, and a page that may not ask (insecure, or in another site's frame) is denied notifications everywhere."
    )
    data_kinds = ("known_values",)
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
        "timing.resolution",
        "navigator.plugins_count",
        "navigator.connection_rtt",
        "media.voices_count",
        "media.audio_outputs",
        "botd.kind",
        *_CAUSES.inputs,
    )
    clues = (
        Clue("headless_user_agent", 0.99, "The user agent or the version of the application says so."),
        Clue("no_outer_window", 0.5, "The outer window measures nothing, in a tab that somebody looks at."),
        Clue("screen_is_viewport", 0.5, "Screen, window and viewport are one size: what tools emulate. 0 of 15,017."),
        Clue("no_window_frame", 0.35, "A desktop window without a frame and not in full screen; some kiosks."),
        Clue("default_screen", 0.45, "800 by 600, headless Chromium's default; almost nobody's screen today."),
        Clue("no_pointer", 0.45, "A desktop without a mouse or finger, as headless Firefox says; 0 of 15,017 honest."),
        Clue("hidden_scroll_bars", 0.35, "Headless Chromium hides them; on Windows and Linux 0 of 3,182 honest did."),
        Clue("software_renderer", 0.25, "SwiftShader or llvmpipe; 3% of honest visitors have a virtual renderer."),
        Clue("zero_round_trip", 0.15, "Old headless Chromium says a round trip of 0 ms; under 25 ms rounds to it too."),
        Clue("no_chrome_object", 0.35, "Desktop Chromium has window.chrome; old headless Chromium has not."),
        Clue("permissions_inconsistent", 0.3, "Denied by one interface and open by the other, where both may answer."),
        Clue("no_webgl", 0.2, "Headless Firefox has no WebGL; 1% of honest desktops switched it off."),
        Clue("window_covers_screen", 0.15, "The window is the whole screen and there is no task bar."),
        Clue("no_plugins", 0.15, "The PDF plugins are missing although the viewer is not switched off."),
        Clue("no_voices", 0.08, "No speech voices; a bare Linux desktop has none either (0.5% of honest)."),
        Clue("no_audio_output", 0.08, "No sound device; servers, but also 10% of honest machines."),
        Clue("no_task_bar", 0.05, "All of the screen is available; auto-hide does that too (8% of honest)."),
    )

    def computable(self, view: View) -> Bool:
        """The browser was parsed and the window measured."""
        return (view.environment.browser != 0) & ~np.isnan(view.number("screen.outer_width"))

    def observe(self, view: View) -> Sequence[Bool]:
        """Rate window, renderer and interfaces; a phone has no window frame, so those ask for a desktop."""
        seen = _CAUSES.seen(view)
        desktop, chrome = view.desktop, view.desktop & view.chromium
        width, height = view.number("screen.width"), view.number("screen.height")
        inner_width, inner_height = view.number("screen.inner_width"), view.number("screen.inner_height")
        outer_width, outer_height = view.number("screen.outer_width"), view.number("screen.outer_height")
        # Resist-fingerprinting gives the viewport as window and screen; its clock gives it away.
        plain = desktop & ~seen["full_screen"] & ~(view.number("timing.resolution") >= _RESIST_STEP)
        frameless = (inner_width == outer_width) & (inner_height == outer_height) & (outer_height > 0) & plain
        no_task_bar = (view.number("screen.avail_height") == height) & desktop
        covered = (outer_width == width) & (outer_height == height) & no_task_bar & plain
        emulated, no_frame, covers = first_of(
            frameless & (inner_width == width) & (inner_height == height), frameless, covered
        )
        named = seen["name"] & ~view.is_one_of("botd.kind", "electron")
        return (
            view.browser("headless_chrome") | named,
            (outer_width == 0) & (outer_height == 0) & ~seen["in_background"],
            emulated,
            no_frame,
            (width == 800) & (height == 600) & desktop,
            seen["no_pointer"] & desktop,
            seen["scroll_bars"] & chrome & view.system("windows", "linux") & ~view.browser("edge"),
            view.classify("webgl.unmasked_renderer", renderer_kind) == SOFTWARE,
            (view.number("navigator.connection_rtt") == 0) & chrome,
            seen["no_chrome"] & chrome,
            seen["permissions"] & chrome & ~seen["may_not_ask"],
            seen["no_webgl"] & desktop,
            covers,
            (view.number("navigator.plugins_count") == 0) & chrome & ~seen["plugins_off"],
            (view.number("media.voices_count") == 0) & desktop,
            (view.number("media.audio_outputs") == 0) & desktop,
            no_task_bar,
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the sizes of screen and viewport, in CSS pixels."""
        sizes = {"screen": "screen.width screen.height", "viewport": "screen.inner_width screen.inner_height"}
        return {
            name: " by ".join(f"{number_of(batch, row, one):g}" for one in pair.split()) for name, pair in sizes.items()
        }
