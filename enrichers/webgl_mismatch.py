"""webgl_mismatch: the graphics are not what they are said to be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from enrichers.causes import Causes, first_of, text_of, word_of
from enrichers.graphics import ABSENT, HARDWARE, maker_names, product, renderer_kind
from enrichers.noise import is_brave
from enrichers.signal import Clue, SmartSignal
from enrichers.view import View
from schemas.batches import Bool, Enriched
from schemas.environment import GPUS, SYSTEMS

_CAUSES = Causes(
    {
        "worker_gpu": ("check.worker_gpu_contradicts_page",),
        "worker_navigator": ("check.worker_contradicts_page", "check.worker_navigator_contradicts_page"),
        "frame": ("check.frame_gpu_contradicts_page",),
        "worker_limits": ("check.worker_limits_contradict_page",),
        "system": ("check.gpu_contradicts_system", "check.architecture_contradicts_gpu", "fpscanner.hasGPUMismatch"),
        "impossible": ("check.webgl_limits_impossible",),
        "driver": ("check.webgl_limits_contradict_driver",),
        "copies": ("check.webgl_copies_differ",),
        "extensions": ("check.webgl_extensions_contradict_driver",),
        "vendor": ("check.gpu_vendor_contradicts_renderer",),
        "webgpu": ("check.webgpu_contradicts_webgl",),
        "engine": ("check.webgl_contradicts_engine",),
        "fallback": ("webgl.software_fallback",),
        "works": ("webgl.supported",),
        "second": ("webgl.supported_2",),
        "absent": ("!webgl.supported",),
    }
)
_SOFTWARE_VENDOR = "Google Inc. (Google)"  # ANGLE's name for SwiftShader's maker (libANGLE/renderer/driver_utils.cpp)


class WebglMismatch(SmartSignal):
    """Page against worker and frame, maker against renderer, renderer against limits, formats and WebGPU."""

    name = "webgl_mismatch"
    recorded = True
    version = 2
    question = "The graphics card that is named is not the one that draws."
    held_down = (
        "Where WebGL is absent in the page or in the worker nothing is compared: not computable, or no clue. A laptop "
        "with two cards may draw in a worker on the other one, and so draw another picture there."
    )
    data_kinds = ("known_values",)
    inputs = (
        "webgl.unmasked_vendor",
        "webgl.unmasked_renderer",
        "webgl.max_texture_size",
        "webgl.image",
        "worker.webgl_vendor",
        "worker_page.webgl_image",
        *_CAUSES.inputs,
    )
    clues = (
        Clue("worker_draws_in_software", 0.85, "The page names a card, and a worker draws without one."),
        Clue("worker_differs", 0.7, "A worker names another card, and is another browser in other ways too."),
        Clue("worker_has_another_card", 0.4, "A worker names another card; laptops with two explain 0.1% of honest."),
        Clue("worker_limits_differ", 0.65, "A worker has other limits on the same card: 0 of 15,017 honest."),
        Clue("worker_picture_differs", 0.35, "A worker draws another picture on the same card."),
        Clue("frame_differs", 0.75, "A fresh frame of the same page names another card."),
        Clue("wrong_for_system", 0.55, "This system or processor does not run on that card or that interface."),
        Clue("limits_impossible", 0.75, "Limits that no driver reports."),
        Clue("limits_of_another_driver", 0.7, "Limits that the named driver does not have: 0 of 15,017 honest."),
        Clue("copies_differ", 0.6, "WebGL 1 and 2, or two questions, give different limits."),
        Clue("formats_of_another_driver", 0.65, "Texture formats that the named driver does not have."),
        Clue("vendor_is_not_renderers", 0.75, "Vendor and renderer name different makers."),
        Clue("webgpu_differs", 0.6, "WebGPU runs on another kind of card."),
        Clue("strings_of_another_engine", 0.6, "The strings are in the form that another engine gives them."),
        Clue("software_under_hardware_name", 0.5, "The browser fell back to software, but names a card."),
        Clue("second_version_without_first", 0.4, "WebGL 2 without WebGL 1, which no browser has."),
        Clue("small_for_card", 0.35, "A texture limit under 4,096, which no card of today has; old phones do."),
    )

    def computable(self, view: View) -> Bool:
        """WebGL works and names its renderer."""
        return view.true("webgl.supported") & (view.classify("webgl.unmasked_renderer", renderer_kind) != ABSENT)

    def observe(self, view: View) -> Sequence[Bool]:
        """Compare the names with each other and with the limits."""
        seen = _CAUSES.seen(view)
        there = ~seen["absent"]
        hardware = view.classify("webgl.unmasked_renderer", renderer_kind) == HARDWARE
        software_worker = seen["worker_gpu"] & hardware & view.is_one_of("worker.webgl_vendor", _SOFTWARE_VENDOR)
        worker = first_of(
            software_worker & there,
            seen["worker_gpu"] & seen["worker_navigator"] & there,
            seen["worker_gpu"] & there,
            seen["worker_limits"] & there,
            view.differs("worker_page.webgl_image", "webgl.image") & ~view.once(is_brave),
        )
        limits = first_of(seen["impossible"] & there, seen["driver"], seen["copies"])
        texture = view.number("webgl.max_texture_size")
        return (
            *worker,
            seen["frame"] & there,
            seen["system"] & there,
            *limits,
            seen["extensions"],
            seen["vendor"],
            seen["webgpu"],
            seen["engine"],
            seen["fallback"] & hardware,
            seen["second"] & seen["absent"],
            hardware & view.desktop & ~np.isnan(texture) & (texture < 4096) & there,
        )

    def details(self, batch: Enriched, row: int) -> dict[str, str | float]:
        """Return which graphics are named where, and on which system: makers, never the strings."""
        renderer = text_of(batch, row, "webgl.unmasked_renderer")
        software = word_of(batch, row, "worker.webgl_vendor", (_SOFTWARE_VENDOR,))
        return {
            "system": SYSTEMS[batch.environment.system[row]],
            "renderer": product(renderer) or maker_names(renderer) or GPUS[batch.environment.gpu[row]],
            "vendor": maker_names(text_of(batch, row, "webgl.unmasked_vendor")),
            "worker": "SwiftShader" if software else "",
        }
