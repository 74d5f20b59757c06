"""One batch by catalogue name, with its strings parsed: what the checks see. Built once a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.stages.normalize.fingerprint import Drawn
from flows.stages.normalize.hints import hinted_version
from flows.stages.normalize.languages import LANGUAGES, languages_row
from flows.stages.normalize.lexicon import MISFITS, WORDS
from flows.stages.normalize.renderers import GRAPHICS, graphics_row, maker_of_vendor, renderer_model
from flows.stages.normalize.tables import Tables
from flows.stages.normalize.time_zones import ZONE, zone_row
from flows.stages.normalize.user_agent import CLIENT, client_row
from flows.stages.normalize.versions import Evidence
from schemas.batches import F32, U8, U32, Bool, Signals, Verified
from schemas.environment import BROWSERS, DEVICES, ENGINES, GPU_DRIVERS, GPUS, SYSTEMS

LATEST_MS = 4_102_444_800_000  # 2100-01-01: calendars are asked for no later year
Check = Callable[["Seen"], Bool]


def no_power_of_two(numbers: F32) -> Bool:
    """Return where a number is not a power of two, or absent."""
    return np.frexp(numbers)[0] != 0.5


class OneOf:
    """Where a column of codes is one of some names: each mask is made once, and none is changed."""

    def __init__(self, codes: U8, table: tuple[str, ...]) -> None:
        self._table = table
        self._masks = codes == np.arange(len(table), dtype=np.uint8)[:, None]
        self._masks.setflags(write=False)
        self._unions: dict[tuple[str, ...], Bool] = {}

    def one_of(self, names: tuple[str, ...]) -> Bool:
        """Return where the code is one of the names, bool[n]."""
        found = self._unions.get(names)
        if found is None:
            found = self._masks[self._table.index(names[0])]
            for name in names[1:]:
                found = found | self._masks[self._table.index(name)]
            self._unions[names] = found
        return found


def differ(left: U32, right: U32) -> Bool:
    """Return where two categories are both present and not the same."""
    return (left != right) & (left != 0) & (right != 0)


def _records(rows: Iterable[bytes], dtype: np.dtype[np.void]) -> NDArray[np.void]:
    return np.frombuffer(b"".join(rows), dtype)


class Seen:
    """Columns of one batch. Comparisons with an absent number (NaN) are false; it changes nothing of the batch."""

    def __init__(self, batch: Verified, tables: Tables, nulled: Bool) -> None:
        self._batch = batch
        self._signals: Signals = batch.signals
        self._tables = tables
        self._numbers = tables.named.numbers(batch.signals)
        self._categories = tables.named.categories(batch.signals)
        self._true, self._false = tables.named.booleans(batch.signals)
        self._words = tables.lexicon.read(batch.signals.categories)
        self.nulled = nulled
        self._texts = tables.named.texts(batch.signals)
        self.client = _records(map(client_row, self._texts["navigator.user_agent"]), CLIENT)
        renderers = self._texts["webgl.unmasked_renderer"]
        self.graphics = _records(map(graphics_row, renderers), GRAPHICS)
        self.gpu_model: tuple[str, ...] = tuple(map(renderer_model, renderers))
        self.browser, self.engine = self.client["browser"].copy(), self.client["engine"].copy()
        self.gpu, self.gpu_driver = self.graphics["gpu"].copy(), self.graphics["driver"].copy()
        tablet = self._is_tablet_in_disguise()
        self.system: U8 = np.where(tablet, np.uint8(SYSTEMS.index("ios")), self.client["system"])
        self.device: U8 = np.where(tablet, np.uint8(DEVICES.index("tablet")), self.client["device"])
        self._browsers, self._engines = OneOf(self.browser, BROWSERS), OneOf(self.engine, ENGINES)
        self._systems, self._devices = OneOf(self.system, SYSTEMS), OneOf(self.device, DEVICES)
        self._gpus, self._drivers = OneOf(self.gpu, GPUS), OneOf(self.gpu_driver, GPU_DRIVERS)

    def _is_tablet_in_disguise(self) -> Bool:
        """Tell iPads, whose user agent is a Mac's since iPadOS 13: no Mac has a touch screen."""
        mac = (self.client["system"] == SYSTEMS.index("macos")) & (self.engine == ENGINES.index("webkit"))
        return mac & (self.number("navigator.max_touch_points") > 1)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._batch)

    def number(self, name: str) -> F32:
        """Return a number, float32[n], NaN where absent."""
        return self._numbers[name]

    def true(self, name: str) -> Bool:
        """Return where a boolean is known to be true."""
        return self._true[name]

    def false(self, name: str) -> Bool:
        """Return where a boolean is known to be false."""
        return self._false[name]

    def category(self, name: str) -> U32:
        """Return a category as its hash, uint32[n], 0 where absent."""
        return self._categories[name]

    def word(self, name: str, *values: str) -> Bool:
        """Return where a category is one of these values of the lexicon."""
        codes, words = self._words[name], WORDS[name]
        found = codes == words.index(values[0]) + 1
        for value in values[1:]:
            found |= codes == words.index(value) + 1
        return found

    def any_word(self, name: str) -> Bool:
        """Return where a category is any value of the lexicon."""
        return self._words[name] != 0

    def misfits(self, name: str, codes: U8) -> Bool:
        """Return where a category has a value of the lexicon that does not go with the code of a closed set."""
        return MISFITS[name][self._words[name], codes]

    def together(self, table: Bool, one: U8, other: U8) -> Bool:
        """Return what a table of two codes says of each row."""
        return table[one, other]

    @cached_property
    def impossible(self) -> dict[str, Bool]:
        """Return where booleans deny each other, and numbers what a standard fixes, bool[n] by check (``rules``)."""
        return self._tables.rules.broken(self._signals)

    @cached_property
    def counts(self) -> dict[str, U8]:
        """Return how many booleans of each group (see ``groups``) are known to be true, uint8[n] by group."""
        return self._tables.groups.count(self._signals.booleans)

    def browser_in(self, *names: str) -> Bool:
        """Return where the user agent names one of these browsers."""
        return self._browsers.one_of(names)

    def system_in(self, *names: str) -> Bool:
        """Return where the system is one of these."""
        return self._systems.one_of(names)

    def device_in(self, *names: str) -> Bool:
        """Return where the device is one of these."""
        return self._devices.one_of(names)

    def engine_in(self, *names: str) -> Bool:
        """Return where the user agent names a browser of one of these engines."""
        return self._engines.one_of(names)

    def gpu_in(self, *names: str) -> Bool:
        """Return where the renderer names one of these makers."""
        return self._gpus.one_of(names)

    def driver_in(self, *names: str) -> Bool:
        """Return where the renderer names one of these drivers."""
        return self._drivers.one_of(names)

    @cached_property
    def maker(self) -> U8:
        """Return the maker that the unmasked vendor names, uint8[n] of ``GPUS``."""
        return np.fromiter(map(maker_of_vendor, self._texts["webgl.unmasked_vendor"]), np.uint8, len(self))

    @cached_property
    def evidence(self) -> Evidence:
        """Return what the features say of engine and version."""
        return self._tables.features.weigh(self._signals, self.engine, self.client["engine_version"])

    @cached_property
    def hinted_version(self) -> F32:
        """Return the system's version by client hints, float32[n]."""
        return hinted_version(self.category("client_hints.platform_version"), self.system)

    @cached_property
    def differing(self) -> dict[str, Bool]:
        """Return where a statement and its copy elsewhere differ, bool[n] by check (see ``copies``)."""
        return self._tables.copies.compare(self._signals.categories, self._signals.numbers)

    @property
    def signals(self) -> Signals:
        """Return all signals in wire order."""
        return self._signals

    @property
    def drawn(self) -> Drawn:
        """Return where the fingerprint's signals are."""
        return self._tables.drawn

    @cached_property
    def languages(self) -> NDArray[np.void]:
        """Return the lists of languages, ``LANGUAGES``[n]."""
        return _records(map(languages_row, self._texts["navigator.languages"]), LANGUAGES)

    @cached_property
    def zone(self) -> NDArray[np.void]:
        """Return the zones in the years of the events, ``ZONE``[n]."""
        return _records(map(zone_row, self._texts["intl.timezone"], _years(self._times)), ZONE)

    @cached_property
    def offsets_missed(self) -> Bool:
        """Return where the offset now, in January and in July is none of the zone's own, bool[3, n]."""
        names = ("intl.timezone_offset", "intl.timezone_offset_january", "intl.timezone_offset_july")
        shown = np.stack([self._numbers[name] for name in names], axis=1)
        hit = (np.rint(shown)[:, :, None] == self.zone["offsets"]).any(axis=2)
        missed = self.zone["known"][:, None] & ~hit & ~np.isnan(shown)
        return np.ascontiguousarray(missed.T)

    @cached_property
    def zone_offset(self) -> F32:
        """Return the zones' own offsets at the events' times, float32[n]: minutes west of UTC."""
        place = (self.zone["since"] <= self._times[:, None]).sum(axis=1) - 1
        return self.zone["own"][np.arange(len(self)), np.maximum(place, 0)]

    @cached_property
    def _times(self) -> NDArray[np.int64]:
        return np.minimum(np.maximum(self._batch.event.occurred_at, 0), LATEST_MS)


def _years(milliseconds: NDArray[np.int64]) -> list[Any]:
    return list((milliseconds.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) + 1970).tolist())
