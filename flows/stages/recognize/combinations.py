"""The keys of combinations of attributes: 64 bits each, of columns that are there already. No text is read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from flows.stages.recognize.hashes import Attributes, combination_keys
from schemas.batches import U64, Normalized
from schemas.catalogue import Catalogue, category_hash
from schemas.columns import plain
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
FIELDS: Final = (*_FLOATS, *_CATEGORIES, *_CODES, "country", "fingerprint", "renderer")
_CACHED: Final = 65_536


class Combinations:
    """Makes the keys of one catalogue's batches."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._numbers = np.array([catalogue.number(name) for name in _NUMBERS.values()])
        self._categories = np.array([catalogue.category(name) for name in _CATEGORIES.values()])
        self._models = _Models()
        self._members = np.array([FIELDS.index(name) for kind in COMBINATIONS for name in MEMBERS[kind]])
        self._ends = np.cumsum([len(MEMBERS[kind]) for kind in COMBINATIONS])

    def keys(self, batch: Normalized) -> U64:
        """Return the keys, uint64[n, COMBINATIONS], 0 where too little is shown."""
        keys, fields = np.empty((len(batch), len(COMBINATIONS)), np.uint64), np.empty(len(FIELDS), np.uint64)
        combination_keys(self._attributes(batch), self._members, self._ends, fields, keys)
        return keys

    def _attributes(self, batch: Normalized) -> Attributes:
        shown, signals = batch.environment, batch.signals
        browser, system, device, density = (plain(getattr(shown, name), np.uint8) for name in _CODES)
        return Attributes(
            versions=(plain(shown.browser_version, np.float32), plain(shown.system_version, np.float32)),
            screen=(plain(shown.screen_pixels_wide, np.float32), plain(shown.screen_pixels_high, np.float32)),
            numbers=plain(signals.numbers, np.float32),
            number_columns=self._numbers,
            categories=plain(signals.categories, np.uint32),
            category_columns=self._categories,
            codes=(browser, system, device, density),
            country=plain(batch.network.country, np.uint16),
            fingerprint=plain(shown.fingerprint, np.uint64),
            gpu=plain(shown.gpu, np.uint8),
            gpu_driver=plain(shown.gpu_driver, np.uint8),
            gpu_model=self._models.of(shown.gpu_model),
        )


class _Models(dict[str, int]):
    """The hash of each name, 0 for none; the last ones are kept."""

    def __missing__(self, name: str) -> int:
        """Make a hash once."""
        if len(self) >= _CACHED:
            self.clear()
        self[name] = found = category_hash(name) if name else 0
        return found

    def of(self, names: Sequence[str]) -> U64:
        """Return uint64[n]."""
        return np.fromiter(map(self.__getitem__, names), np.uint64, len(names))
