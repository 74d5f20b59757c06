"""webgl_mismatch: the graphics are not what they are said to be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.graphics import HARDWARE, makers, renderer_kind
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool


class WebglMismatch(SmartSignal):
    """Page against worker, maker against renderer, renderer against limits."""

    name = "webgl_mismatch"
    question = "The graphics card that is named is not the one that draws."
    held_down = "Where WebGL is absent in the page or in the worker nothing is compared: not computable, or no clue."
    inputs = (
        "webgl.supported",
        "webgl.supported_2",
        "webgl.software_fallback",
        "webgl.unmasked_vendor",
        "webgl.unmasked_renderer",
        "webgl.max_texture_size",
        "worker.webgl_vendor",
        "worker.webgl_renderer",
        "check.worker_gpu_contradicts_page",
        "check.gpu_contradicts_system",
        "check.webgl_limits_impossible",
    )
    clues = (
        Clue("worker_differs", 0.7, "A worker names another card; laptops with two cards explain a few."),
        Clue("wrong_for_system", 0.55, "This system does not run on that card or that interface."),
        Clue("limits_impossible", 0.7, "Limits that no driver reports."),
        Clue("vendor_is_not_renderers", 0.75, "Vendor and renderer name different makers."),
        Clue("software_under_hardware_name", 0.5, "The browser fell back to software, but names a card."),
        Clue("second_version_without_first", 0.4, "WebGL 2 without WebGL 1, which no browser has."),
        Clue("small_for_card", 0.35, "A texture limit under 4,096, which no card of today has; old phones do."),
    )

    def computable(self, view: View) -> Bool:
        """WebGL works and names its renderer."""
        return view.true("webgl.supported") & (view.classify("webgl.unmasked_renderer", renderer_kind) != 0)

    def observe(self, view: View) -> Sequence[Bool]:
        """Compare the names with each other and with the limits."""
        there = ~view.false("webgl.supported")
        hardware = view.classify("webgl.unmasked_renderer", renderer_kind) == HARDWARE
        vendor = view.classify("webgl.unmasked_vendor", makers)
        renderer = view.classify("webgl.unmasked_renderer", makers)
        texture = view.number("webgl.max_texture_size")
        return (
            view.check("worker_gpu_contradicts_page") & there,
            view.check("gpu_contradicts_system") & there,
            view.check("webgl_limits_impossible") & there,
            (vendor != 0) & (renderer != 0) & ((vendor & renderer) == 0),
            view.true("webgl.software_fallback") & hardware,
            view.true("webgl.supported_2") & view.false("webgl.supported"),
            hardware & view.desktop & ~np.isnan(texture) & (texture < 4096) & there,
        )
