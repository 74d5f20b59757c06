"""The keys of combinations of attributes: 64 bits each, of columns that are there already. No text is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from flows.stages.recognize.hashes import combination_keys
from schemas.batches import F32, U32, U64, Normalized
from schemas.catalogue import Catalogue, category_hash
from schemas.recognition import COMBINATIONS

# What each is made of. Where the first is not shown there is no combination.
MEMBERS: Final = {
    "browser": ("browser", "browser_version", "system"),
    "system": ("system", "system_version", "device", "density"),
    "graphics": ("renderer", "system"),
    "screen": ("longer", "shorter", "density", "device"),
    "hardware": ("cores", "memory", "touch_points", "system"),
    "fonts": ("fonts", "system"),
    "rendering": ("canvas_text", "canvas_geometry", "sound", "browser", "system"),
    "locale": ("zone", "languages", "country"),
    "machine": ("fingerprint",),
}
_NUMBERS: Final = {
    "cores": "navigator.hardware_concurrency", "memory": "navigator.device_memory",
    "touch_points": "navigator.max_touch_points", "sound": "audio.sample_sum",
}  # fmt: skip
_CATEGORIES: Final = {
    "fonts": "fonts.list", "canvas_text": "canvas.text", "canvas_geometry": "canvas.geometry",
    "zone": "fingerprint.timezone", "languages": "fingerprint.languages",
}  # fmt: skip
_FLOATS: Final = ("browser_version", "system_version", "longer", "shorter", *_NUMBERS)
_CODES: Final = ("browser", "system", "device", "density")
_FIELDS: Final = (*_FLOATS, *_CATEGORIES, *_CODES, "country", "fingerprint", "renderer")
_PIXELS: Final = np.float32(8)  # a screen is compared in steps: zoom rounds its lengths
_CACHED: Final = 65_536
_GPU_SHIFT, _MODEL_SHIFT = np.uint64(8), np.uint64(16)


class Combinations:
    """Makes the keys of one catalogue's batches."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._numbers = np.array([catalogue.number(name) for name in _NUMBERS.values()])
        self._categories = np.array([catalogue.category(name) for name in _CATEGORIES.values()])
        self._models: dict[str, int] = {}
        self._members = np.array([_FIELDS.index(name) for kind in COMBINATIONS for name in MEMBERS[kind]])
        self._ends = np.cumsum([len(MEMBERS[kind]) for kind in COMBINATIONS])

    def keys(self, batch: Normalized) -> U64:
        """Return the keys, uint64[n, COMBINATIONS], 0 where too little is shown."""
        keys = np.empty((len(batch), len(COMBINATIONS)), np.uint64)
        combination_keys(self._table(batch), self._members, self._ends, keys)
        return keys

    def _table(self, batch: Normalized) -> U64:
        """Return every field as uint64[fields, n], 0 where absent."""
        shown, signals = batch.environment, batch.signals
        wide, high = shown.screen_pixels_wide, shown.screen_pixels_high
        floats = np.empty((len(_FLOATS), len(batch)), np.float32)
        floats[:2] = shown.browser_version, shown.system_version
        np.rint(np.maximum(wide, high) / _PIXELS, out=floats[2])
        np.rint(np.minimum(wide, high) / _PIXELS, out=floats[3])
        floats[4:] = np.take(signals.numbers, self._numbers, axis=1).T
        found = np.empty((len(_FIELDS), len(batch)), np.uint64)
        found[: len(_FLOATS)] = _bits(floats)
        found[len(_FLOATS) : -len(_CODES) - 3] = np.take(signals.categories, self._categories, axis=1).T
        found[-len(_CODES) - 3 :] = (
            *(getattr(shown, name) for name in _CODES),
            batch.network.country,
            shown.fingerprint,
            (shown.gpu.astype(np.uint64) << _GPU_SHIFT) + shown.gpu_driver + self._hashes(shown.gpu_model),
        )
        return found

    def _hashes(self, models: Sequence[str]) -> U64:
        """Return the hash of each name, uint64[n] with its lower 16 bits free, 0 for none; the last ones are kept."""
        known = self._models
        found = [known.get(name, -1) for name in models]
        if -1 in found:
            if len(known) + len(models) > _CACHED:
                known.clear()
            for row, name in enumerate(models):
                if found[row] < 0:
                    found[row] = known[name] = category_hash(name) if name else 0
        return np.array(found, np.uint64) << _MODEL_SHIFT


def _bits(numbers: F32) -> U32:
    """Return numbers by their bits plus one, 0 where absent: 0 is a number as any other."""
    bits = (numbers + np.float32(0)).view(np.uint32) + np.uint32(1)
    bits[np.isnan(numbers)] = 0
    return bits
