"""canvas_spoofing: the 2D canvas gives back something else than was drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.causes import Causes, NamesBy, first_of, listed, number_of
from enrichers.consistency import FUNCTIONS
from enrichers.known_values import one_colour
from enrichers.noise import noise_explained, noisy_pictures
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched

_CAUSES = Causes(
    {
        "cleared": ("canvas.cleared",),
        "supported": ("canvas.supported",),
        "constant": ("check.canvas_constant",),
        "not_offscreen": ("!picture.offscreen_equal",),
        "modified": ("fpscanner.modified_canvas",),
        "no_winding": ("!canvas.winding",),
    }
)


class CanvasSpoofing(SmartSignal):
    """Noise, blanks and constants where a drawing should be; and one drawing that differs from place to place."""

    name = "canvas_spoofing"
    recorded = True
    version = 2
    question = "What is read back from the canvas is not what was drawn."
    held_down = (
        "Brave, Safari, Firefox in private windows and wherever Firefox resists fingerprinting add noise by "
        "themselves: there noise counts little. Fonts of a worker may differ: text alone counts little."
    )
    data_kinds = ("known_values",)
    inputs = (
        "canvas.pixel_differences",
        "canvas.readback_errors",
        "canvas.text",
        "canvas.geometry",
        "canvas.emoji",
        "frame_page.canvas_text",
        "worker_page.canvas_text",
        "worker_page.canvas_geometry",
        "picture.offscreen",
        "api.brave",
        "timing.resolution",
        "navigator.user_agent",
        *_CAUSES.inputs,
        *FUNCTIONS.inputs,
    )
    clues = (
        Clue("unstable", 0.8, "Two equal drawings differ, in a browser that adds no noise: 0 of 15,017 honest."),
        Clue("known_pixels_differ", 0.75, "Pixels of known colour come back as another: 0 of 15,017 honest."),
        Clue("differs_elsewhere", 0.65, "A worker, a frame or an offscreen canvas draws the same otherwise."),
        Clue("functions_replaced", 0.55, "Functions that read the canvas are not the browser's own."),
        Clue("text_differs_in_worker", 0.35, "Only text, in a worker, which may know other fonts."),
        Clue("noise_of_privacy_browser", 0.2, "Noise where Brave, Safari, Firefox's protection explains it."),
        Clue("one_answer_for_all", 0.9, "Different drawings have one value: a constant was put in their place."),
        Clue("blank", 0.8, "A drawing reads back as one colour, though drawing is supported."),
        Clue("text_is_missing", 0.3, "Geometry has a value and text has none."),
        Clue("no_winding", 0.15, "The winding rule of every current browser is missing."),
    )

    def computable(self, view: View) -> Bool:
        """Canvas is supported and something was read back."""
        counted = ~np.isnan(view.number("canvas.pixel_differences")) | ~np.isnan(view.number("canvas.readback_errors"))
        return ~view.false("canvas.supported") & (counted | (view.category("canvas.geometry") != 0))

    def observe(self, view: View) -> Sequence[Bool]:
        """Tell noise of a spoofer from noise of a privacy browser. Where one cause shows twice, the stronger counts."""
        seen = _CAUSES.seen(view)
        explained = view.once(noise_explained)
        plain = ~explained
        text, geometry, emoji = (view.category(f"canvas.{part}") for part in ("text", "geometry", "emoji"))
        drawn = geometry != 0
        same = seen["constant"] | (drawn & ((text == geometry) | (emoji == geometry)))
        other_place = view.differs("frame_page.canvas_text", "canvas.text")
        other_place |= view.differs("worker_page.canvas_geometry", "canvas.geometry")
        other_place |= seen["not_offscreen"] | seen["modified"]
        blank = one_colour(text) | one_colour(geometry)
        blank |= seen["cleared"] & seen["supported"]
        constant, blank_alone = first_of(same, blank & plain)
        return (
            *first_of(
                (view.number("canvas.pixel_differences") > 0) & plain,
                (view.number("canvas.readback_errors") > 0) & plain,
                other_place & plain,
                view.once(replaced_for_canvas),
                view.differs("worker_page.canvas_text", "canvas.text") & plain,
            ),
            (view.once(noisy_pictures) | other_place) & explained,
            constant,
            blank_alone,
            drawn & (text == 0) & seen["supported"],
            seen["no_winding"],
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return how many pixels differ, and which functions were replaced."""
        return {
            "pixels_differing": number_of(batch, row, "canvas.pixel_differences"),
            "known_pixels_wrong": number_of(batch, row, "canvas.readback_errors"),
            "altered": FUNCTIONS.said_on(batch, row, _altered),
        }


def _altered(replaced: NamesBy) -> str:
    return listed(replaced["canvas_functions_altered"])


def replaced_for_canvas(view: View) -> Bool:
    """Return where a function that reads the 2D canvas was replaced, bool[n]."""
    return view.once(FUNCTIONS.seen)["canvas_functions_altered"]
