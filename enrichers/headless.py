"""headless: the browser has no display, and so no person in front of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enrichers.causes import Causes, number_of
from enrichers.compiled_clues import HEADLESS_NUMBERS, headless_clues
from enrichers.graphics import SOFTWARE, renderer_kind
from enrichers.signal import Clue, SmartSignal
from enrichers.view import CHROMIUM, Loop, View, members
from enrichers.view_loops import HEADLESS
from schemas.batches import U8, Bool, Enriched
from schemas.catalogue import category_hash, load_catalogue

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
_TABLES = (
    members("browser", ("headless_chrome",)),
    members("browser", CHROMIUM),
    members("browser", ("edge",)),
    members("system", ("windows", "linux")),
    members("device", ("desktop",)),
)
_ELECTRON = np.uint32(category_hash("electron"))


@cache
def _columns() -> NDArray[np.intp]:
    catalogue = load_catalogue()
    return np.array([*map(catalogue.number, HEADLESS_NUMBERS), catalogue.category("botd.kind")], np.intp)


class Headless(SmartSignal):
    """A rating over many weak markers: a headless browser shows several, a plain one on a bare desktop few."""

    name = "headless"
    recorded = True
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
        return view.looped(_LOOP)

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return the sizes of screen and viewport, in CSS pixels."""
        sizes = {"screen": "screen.width screen.height", "viewport": "screen.inner_width screen.inner_height"}
        return {
            name: " by ".join(f"{number_of(batch, row, one):g}" for one in pair.split()) for name, pair in sizes.items()
        }


def _observe(view: View, found: U8) -> None:
    raw, kinds = view.raw, (view.classify("webgl.unmasked_renderer", renderer_kind), SOFTWARE)
    shown = raw.numbers, raw.categories, raw.browser, raw.system, raw.device
    headless_clues(shown, _columns(), _TABLES, _ELECTRON, _CAUSES.table(view).view(np.uint8), kinds, found)


@cache
def _tables() -> tuple[NDArray[Any], ...]:
    """Return what ``view_loops.gather`` takes: software's kind, the first cause, columns, tables, the hash."""
    return np.array([SOFTWARE, _CAUSES.first, *_columns()], np.int64), *_TABLES, np.array([_ELECTRON], np.uint32)


_LOOP = Loop(len(Headless.clues), _observe, HEADLESS, _tables, ("webgl.unmasked_renderer", renderer_kind))
