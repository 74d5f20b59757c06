"""What checks read by name: gathered once a batch, each into a column of its own."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from flows.stages.normalize.languages import LANGUAGES_BYTES
from flows.stages.normalize.renderers import RENDERER_BYTES
from flows.stages.normalize.time_zones import ZONE_BYTES
from flows.stages.normalize.user_agent import AGENT_BYTES
from schemas.batches import F32, U32, Bool, Signals
from schemas.catalogue import Catalogue

T = TypeVar("T", bound=np.generic)
NUMBERS = (
    "audio.noise", "audio.sample_sum", "canvas.pixel_differences", "canvas.readback_errors",
    "client_hints.brand_version", "intl.timezone_offset", "intl.timezone_offset_january", "intl.timezone_offset_july",
    "navigator.device_memory", "navigator.hardware_concurrency", "navigator.max_touch_points",
    "navigator.mime_types_count", "navigator.plugins_count", "screen.avail_height", "screen.avail_width",
    "screen.color_depth", "screen.device_pixel_ratio", "screen.height", "screen.inner_height", "screen.inner_width",
    "screen.outer_height", "screen.outer_width", "screen.width", "timing.eval_length", "webgl.max_texture_size",
    "webgl.max_viewport_width",
)  # fmt: skip
BOOLEANS = (
    "api.brave", "client_hint.low_entropy_consistent", "client_hints.mobile", "client_hints.wow64",
    "css.any_pointer_coarse", "css.any_pointer_fine", "css.pointer_coarse", "css.pointer_fine",
    "media_query.orientation_landscape", "media_query.orientation_portrait", "navigator.has_user_agent_data",
    "navigator.pdf_viewer_enabled", "page.secure_context", "screen.is_extended", "screen.orientation_landscape",
    "webgl_extension.WEBGL_compressed_texture_pvrtc", "webgl_extension.WEBGL_compressed_texture_s3tc",
    "window_member.ontouchstart",
)  # fmt: skip

CATEGORIES = (
    "canvas.emoji", "canvas.geometry", "canvas.text", "client_hints.model", "client_hints.platform",
    "client_hints.platform_version", "frame.user_agent", "frame_page.languages", "frame_page.timezone",
    "navigator.language", "navigator.oscpu", "worker.timezone", "worker.user_agent", "worker_page.app_version",
    "worker_page.languages",
)  # fmt: skip
# Texts, and how many bytes of each are read: one more than a copy may have, to tell what is longer.
TEXTS = {
    "navigator.user_agent": AGENT_BYTES + 1, "navigator.languages": LANGUAGES_BYTES + 1,
    "intl.timezone": ZONE_BYTES + 1, "webgl.unmasked_vendor": RENDERER_BYTES, "webgl.unmasked_renderer": RENDERER_BYTES,
}  # fmt: skip


class Named:
    """The names in the wire positions of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._numbers = np.array([catalogue.number(name) for name in NUMBERS])
        self._booleans = np.array([catalogue.boolean(name) for name in BOOLEANS])
        self._categories = np.array([catalogue.category(name) for name in CATEGORIES])
        self._texts = np.array([catalogue.text(name) for name in TEXTS])
        self._bytes = np.array([*TEXTS.values()], np.int32)

    def numbers(self, signals: Signals) -> dict[str, F32]:
        """Return the numbers, float32[n] by name, NaN where absent."""
        return dict(zip(NUMBERS, _gather(signals.numbers, self._numbers), strict=True))

    def booleans(self, signals: Signals) -> tuple[dict[str, Bool], dict[str, Bool]]:
        """Return where each boolean is known to be true, and where to be false, bool[n] by name."""
        true, known = (_gather(table, self._booleans) for table in (signals.booleans, signals.known))
        return dict(zip(BOOLEANS, true, strict=True)), dict(zip(BOOLEANS, known & ~true, strict=True))

    def categories(self, signals: Signals) -> dict[str, U32]:
        """Return the categories as their hashes, uint32[n] by name, 0 where absent."""
        return dict(zip(CATEGORIES, _gather(signals.categories, self._categories), strict=True))

    def texts(self, signals: Signals) -> dict[str, list[bytes | None]]:
        """Return the texts, cut: per-row work, so only of what is then looked up in a cache."""
        texts = signals.texts
        starts, sizes = np.take(texts.start, self._texts, axis=1), np.take(texts.length, self._texts, axis=1)
        ends = np.where(sizes < 0, -1, starts + np.minimum(sizes, self._bytes))
        return {
            name: [None if end < 0 else blob[at:end] for blob, at, end in zip(texts.blob, first, last, strict=True)]
            for name, first, last in zip(TEXTS, starts.T.tolist(), ends.T.tolist(), strict=True)
        }


def _gather(table: NDArray[T], columns: NDArray[np.intp]) -> NDArray[T]:
    return np.ascontiguousarray(np.take(table, columns, axis=1).T)
