"""canvas_spoofing: the 2D canvas gives back something else than was drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool

_RESIST_STEP = 16  # ms: the clock's step when Firefox resists fingerprinting


class CanvasSpoofing(SmartSignal):
    """Noise, blanks and constants where a drawing should be."""

    name = "canvas_spoofing"
    question = "What is read back from the canvas is not what was drawn."
    held_down = "Brave, Safari and Firefox's resist-fingerprinting add noise by themselves: there noise counts little."
    inputs = (
        "canvas.supported",
        "canvas.cleared",
        "canvas.winding",
        "canvas.pixel_differences",
        "canvas.readback_errors",
        "canvas.text",
        "canvas.geometry",
        "canvas.emoji",
        "api.brave",
        "timing.resolution",
        "navigator.user_agent",
    )
    clues = (
        Clue("unstable", 0.75, "Two equal drawings differ, in a browser that adds no noise by itself."),
        Clue("known_pixels_differ", 0.7, "Pixels of known colour read back as another, in such a browser."),
        Clue("noise_of_privacy_browser", 0.2, "The same, where Brave, Safari or resist-fingerprinting explains it."),
        Clue("cleared", 0.75, "A drawing reads back empty, though drawing is supported."),
        Clue("one_answer_for_all", 0.9, "Different drawings have the same value: a constant was put in their place."),
        Clue("text_is_missing", 0.3, "Geometry has a value and text has none."),
        Clue("no_winding", 0.15, "The winding rule of every current browser is missing."),
    )

    def computable(self, view: View) -> Bool:
        """Canvas is supported and something was read back."""
        counted = ~np.isnan(view.number("canvas.pixel_differences")) | ~np.isnan(view.number("canvas.readback_errors"))
        return ~view.false("canvas.supported") & (counted | (view.category("canvas.geometry") != 0))

    def observe(self, view: View) -> Sequence[Bool]:
        """Tell noise of a spoofer from noise of a privacy browser."""
        noisy = view.true("api.brave") | view.browser("safari")
        noisy = noisy | (view.number("timing.resolution") >= _RESIST_STEP)
        unstable = view.number("canvas.pixel_differences") > 0
        wrong = view.number("canvas.readback_errors") > 0
        text, geometry, emoji = (view.category(f"canvas.{part}") for part in ("text", "geometry", "emoji"))
        return (
            unstable & ~noisy,
            wrong & ~noisy,
            (unstable | wrong) & noisy,
            view.true("canvas.cleared") & view.true("canvas.supported") & ~noisy,
            (geometry != 0) & ((text == geometry) | (emoji == geometry)),
            (geometry != 0) & (text == 0) & view.true("canvas.supported"),
            view.false("canvas.winding"),
        )
