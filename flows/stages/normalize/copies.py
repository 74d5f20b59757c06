"""Statements that are made twice: in the page and in a worker, a frame, or another interface of the page.

Each pair stands under the check that it fails where the two differ. All pairs are compared in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from schemas.batches import F32, U32, Bool
from schemas.catalogue import Catalogue

Pair = tuple[str, str]

CATEGORIES: Mapping[str, tuple[Pair, ...]] = {
    "worker_contradicts_page": (
        ("worker.platform", "navigator.platform"), ("worker.language", "navigator.language"),
    ),
    "frame_contradicts_page": (("frame.platform", "navigator.platform"), ("frame.language", "navigator.language")),
    "worker_gpu_contradicts_page": (
        ("worker.webgl_vendor", "webgl.vendor"), ("worker.webgl_renderer", "webgl.renderer"),
    ),
    "worker_navigator_contradicts_page": (
        ("worker_page.client_hints_platform", "client_hints.platform"),
        ("worker_page.client_hints_brand", "client_hint.brands"), ("worker_page.locale", "intl.locale"),
    ),
    "frame_navigator_contradicts_page": (
        ("frame_page.vendor", "navigator.vendor"), ("frame_page.locale", "intl.locale"),
        ("frame_page.client_hints_platform", "client_hints.platform"),
    ),
    "frame_gpu_contradicts_page": (
        ("frame_page.webgl_vendor", "webgl.vendor"), ("frame_page.webgl_renderer", "webgl.renderer"),
    ),
    "contexts_compute_differently": (
        ("worker_page.maths", "frame_page.maths"), ("worker_page.error_message", "frame_page.error_message"),
    ),
    "client_hints_contradict_each_other": (("client_hint.platform_low_entropy", "client_hints.platform"),),
}  # fmt: skip

NUMBERS: Mapping[str, tuple[Pair, ...]] = {
    "worker_contradicts_page": (("worker.hardware_concurrency", "navigator.hardware_concurrency"),),
    "frame_contradicts_page": (("frame.hardware_concurrency", "navigator.hardware_concurrency"),),
    "worker_timezone_contradicts_page": (("worker.timezone_offset", "intl.timezone_offset"),),
    "frame_timezone_contradicts_page": (("frame_page.timezone_offset", "intl.timezone_offset"),),
    "worker_navigator_contradicts_page": (
        ("worker.device_memory", "navigator.device_memory"),
        ("worker_page.languages_count", "navigator.languages_count"),
    ),
    "frame_navigator_contradicts_page": (
        ("frame_page.device_memory", "navigator.device_memory"),
        ("frame_page.max_touch_points", "navigator.max_touch_points"),
        ("frame_page.languages_count", "navigator.languages_count"),
    ),
    "frame_screen_contradicts_page": (
        ("frame.screen_width", "screen.width"), ("frame_page.screen_height", "screen.height"),
        ("frame_page.color_depth", "screen.color_depth"),
        ("frame_page.device_pixel_ratio", "screen.device_pixel_ratio"),
    ),
    "worker_limits_contradict_page": (
        ("worker_page.max_texture_size", "webgl.max_texture_size"),
        ("worker_page.max_cube_map_texture_size", "webgl.max_cube_map_texture_size"),
        ("worker_page.max_render_buffer_size", "webgl.max_render_buffer_size"),
        ("worker_page.max_vertex_attribs", "webgl.max_vertex_attribs"),
    ),
    "webgl_copies_differ": (
        ("webgl_parameter.MAX_TEXTURE_SIZE", "webgl.max_texture_size"),
        ("webgl_parameter.MAX_CUBE_MAP_TEXTURE_SIZE", "webgl.max_cube_map_texture_size"),
        ("webgl_parameter.MAX_RENDERBUFFER_SIZE", "webgl.max_render_buffer_size"),
        ("webgl_parameter.MAX_VERTEX_ATTRIBS", "webgl.max_vertex_attribs"),
        ("webgl2_parameter.MAX_TEXTURE_SIZE", "webgl_parameter.MAX_TEXTURE_SIZE"),
        ("webgl2_parameter.MAX_CUBE_MAP_TEXTURE_SIZE", "webgl_parameter.MAX_CUBE_MAP_TEXTURE_SIZE"),
        ("webgl2_parameter.MAX_RENDERBUFFER_SIZE", "webgl_parameter.MAX_RENDERBUFFER_SIZE"),
    ),
    "screen_contradicts_itself": (("screen.color_depth", "screen.pixel_depth"),),
}  # fmt: skip
CLOSE = 0.01  # what two readings of one number may differ by


class _Pairs:
    """Pairs of one kind as wire positions, check after check."""

    def __init__(self, pairs: Mapping[str, tuple[Pair, ...]], position: Callable[[str], int]) -> None:
        flat = [pair for of_check in pairs.values() for pair in of_check]
        self.names = tuple(pairs)
        self.left = np.array([position(left) for left, _ in flat])
        self.right = np.array([position(right) for _, right in flat])
        self._starts = np.cumsum([0, *(len(of_check) for of_check in pairs.values())])[:-1]

    def any_of_check(self, differs: Bool) -> dict[str, Bool]:
        """Fold bool[n, pairs] into one bool[n] a check."""
        folded = np.logical_or.reduceat(np.ascontiguousarray(differs.T), self._starts, axis=0)
        return dict(zip(self.names, folded, strict=True))


class Copies:
    """All pairs of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._categories = _Pairs(CATEGORIES, catalogue.category)
        self._numbers = _Pairs(NUMBERS, catalogue.number)

    def compare(self, categories: U32, numbers: F32) -> dict[str, Bool]:
        """Return where a pair of each check differs, bool[n] by check. What is absent differs from nothing."""
        pairs = self._categories
        here, there = (np.take(categories, side, axis=1) for side in (pairs.left, pairs.right))
        found = pairs.any_of_check((here != there) & (here != 0) & (there != 0))
        pairs = self._numbers
        one, other = (np.take(numbers, side, axis=1) for side in (pairs.left, pairs.right))
        apart = np.abs(one - other) > CLOSE
        for name, column in pairs.any_of_check(apart).items():
            found[name] = found[name] | column if name in found else column
        return found
