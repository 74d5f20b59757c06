"""The keys of a batch, 64 bits each, of columns that are there already: of what combinations of attributes, which
contents and which networks it shows. No text is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from flows.stages.device_state.pointers import NOT_PLAIN, plain_ones
from flows.stages.recognize.hashes import SHOWN, Scheme, Shown, row_keys
from flows.stages.recognize.layout import Rows
from schemas.batches import U64, Normalized
from schemas.catalogue import Catalogue, category_hash
from schemas.recognition import COMBINATIONS, REPUTED, mix

LONG_LOG: Final = 12
"""Entries of a log that is compared by itself."""

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
_PAGE: Final = ("timing.page_age", "navigation.response", "navigation.dom_interactive")  # measured once a page
_CACHED: Final = 65_536


class Combinations:
    """Makes the keys of one catalogue's batches. For one thread."""

    def __init__(self, catalogue: Catalogue) -> None:
        shown = (catalogue.numbers, catalogue.categories, catalogue.booleans)
        numbers, categories, booleans = (_factors(len(columns), salt) for salt, columns in enumerate(shown))
        self._models = _Models()
        self._scheme = Scheme(
            number_factors=numbers,
            category_factors=categories,
            boolean_factors=booleans.astype(np.uint32),
            page=np.array([catalogue.number(name) for name in _PAGE]),
            number_columns=np.array([catalogue.number(name) for name in _NUMBERS.values()]),
            category_columns=np.array([catalogue.category(name) for name in _CATEGORIES.values()]),
            members=np.array([FIELDS.index(name) for kind in COMBINATIONS for name in MEMBERS[kind]]),
            ends=np.cumsum([len(MEMBERS[kind]) for kind in COMBINATIONS]),
            fields=np.empty(len(FIELDS), np.uint64),
        )

    def keys(self, batch: Normalized) -> U64:
        """Return the keys of combinations, uint64[n, COMBINATIONS], 0 where too little is shown."""
        return self.rows(batch).combinations

    def rows(self, batch: Normalized) -> Rows:
        """Return the keys that recognition looks up, and when each event counts."""
        count, shown = len(batch), self._shown(batch)
        rows = Rows(
            np.empty(count, np.int64),
            batch.origin.offset,
            np.empty((count, len(COMBINATIONS)), np.uint64),
            np.empty((count, len(REPUTED)), np.uint64),
            np.empty((count, 3), np.uint64),
        )
        if row_keys(id(shown), id(self._scheme), LONG_LOG, id(rows)) == NOT_PLAIN:
            shown = Shown(*plain_ones(shown, SHOWN))
            row_keys(id(shown), id(self._scheme), LONG_LOG, id(rows))
        return rows

    def _shown(self, batch: Normalized) -> Shown:
        signals, event, log, said = batch.signals, batch.event, batch.activity, batch.environment
        network = batch.network
        return Shown(
            signals.numbers, signals.categories, signals.booleans, event.session_id, event.sequence,
            log.offsets, log.time, log.value, log.code, log.target,
            said.browser, said.system, said.device, said.density, said.browser_version, said.system_version,
            said.screen_pixels_wide, said.screen_pixels_high, said.fingerprint, said.gpu, said.gpu_driver,
            self._models.of(said.gpu_model), network.country, network.asn, event.address,
            event.occurred_at, event.received_at, batch.origin.appended_at,
        )  # fmt: skip


def _factors(count: int, salt: int) -> U64:
    """Return odd factors of 64 bits that look like chance."""
    return mix(np.arange(1, count + 1, dtype=np.uint64) + np.uint64(salt << 32)) | np.uint64(1)


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
