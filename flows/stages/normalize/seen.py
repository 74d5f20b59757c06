"""One batch by catalogue name, with its strings parsed: what the checks see. Built once a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.stages.normalize.hints import hinted_version
from flows.stages.normalize.languages import LANGUAGES, LANGUAGES_BYTES, languages_row
from flows.stages.normalize.renderers import GRAPHICS, RENDERER_BYTES, graphics_row, maker_of_vendor
from flows.stages.normalize.tables import Tables
from flows.stages.normalize.time_zones import QUARTER_MS, ZONE, ZONE_BYTES, quarter_offset, zone_row
from flows.stages.normalize.user_agent import AGENT_BYTES, CLIENT, client_row
from flows.stages.normalize.versions import Evidence
from schemas.batches import F32, U8, U32, Bool, Signals, Verified
from schemas.catalogue import Catalogue, category_hash
from schemas.environment import BROWSERS, DEVICES, ENGINES, GPU_DRIVERS, GPUS, SYSTEMS

_LATEST_MS = 4_102_444_800_000  # 2100-01-01: calendars are asked for no later year
Check = Callable[["Seen"], Bool]


@cache
def members(names: tuple[str, ...], table: tuple[str, ...]) -> Bool:
    """Return bool[256]: whether a code of a closed set is one of the names."""
    found = np.zeros(256, np.bool_)
    found[[table.index(name) for name in names]] = True
    return found


@cache
def _hashes(values: tuple[str, ...]) -> U32:
    return np.array(sorted(map(category_hash, values)), np.uint32)


class Claims:
    """What a statement may be true of: values of a category, and the codes of a closed set that fit each."""

    def __init__(self, fitting: Mapping[str, tuple[str, ...]], table: tuple[str, ...]) -> None:
        ordered = sorted((category_hash(value), names) for value, names in fitting.items())
        self._values = np.array([value for value, _ in ordered], np.uint32)
        self._fits = np.array([[name in names for name in table] for _, names in ordered])

    def contradict(self, claim: U32, codes: U8) -> Bool:
        """Return where a claim is known and does not fit the code."""
        at = np.minimum(np.searchsorted(self._values, claim), len(self._values) - 1)
        return (self._values[at] == claim) & ~self._fits[at, codes]


def no_power_of_two(numbers: F32) -> Bool:
    """Return where a number is not a power of two, or absent."""
    return np.frexp(numbers)[0] != 0.5


def differ(left: U32, right: U32) -> Bool:
    """Return where two categories are both present and not the same."""
    return (left != right) & (left != 0) & (right != 0)


def _records(rows: Iterable[bytes], dtype: np.dtype[np.void]) -> NDArray[np.void]:
    return np.frombuffer(b"".join(rows), dtype)


class Seen:
    """Columns of one batch. Comparisons with an absent number (NaN) are false; it changes nothing of the batch."""

    def __init__(self, batch: Verified, catalogue: Catalogue, tables: Tables, nulled: Bool) -> None:
        self._batch = batch
        self._signals: Signals = batch.signals
        self._catalogue = catalogue
        self._tables = tables
        self.nulled = nulled
        agents = self._text("navigator.user_agent", AGENT_BYTES + 1)
        self.client = _records(map(client_row, agents), CLIENT)
        graphics = list(map(graphics_row, self._text("webgl.unmasked_renderer", RENDERER_BYTES)))
        self.graphics = _records((row for row, _ in graphics), GRAPHICS)
        self.gpu_model: tuple[str, ...] = tuple(model for _, model in graphics)
        self.engine: U8 = self.client["engine"]
        tablet = self._is_tablet_in_disguise()
        self.system: U8 = np.where(tablet, np.uint8(SYSTEMS.index("ios")), self.client["system"])
        self.device: U8 = np.where(tablet, np.uint8(DEVICES.index("tablet")), self.client["device"])

    def _is_tablet_in_disguise(self) -> Bool:
        """Tell iPads, whose user agent is a Mac's since iPadOS 13: no Mac has a touch screen."""
        mac = (self.client["system"] == SYSTEMS.index("macos")) & (self.engine == ENGINES.index("webkit"))
        return mac & (self.number("navigator.max_touch_points") > 1)

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._batch)

    def number(self, name: str) -> F32:
        """Return a number, float32[n], NaN where absent."""
        return self._signals.numbers[:, self._catalogue.number(name)]

    def category(self, name: str) -> U32:
        """Return a category as its hash, uint32[n], 0 where absent."""
        return self._signals.categories[:, self._catalogue.category(name)]

    def is_one_of(self, name: str, *values: str) -> Bool:
        """Return where a category is one of these values."""
        column, wanted = self.category(name), _hashes(values)
        found = column == wanted[0]
        for value in wanted[1:]:
            found |= column == value
        return found

    def known(self, name: str) -> Bool:
        """Return where a boolean is known."""
        return self._signals.known[:, self._catalogue.boolean(name)]

    def true(self, name: str) -> Bool:
        """Return where a boolean is known to be true."""
        return self._signals.booleans[:, self._catalogue.boolean(name)]

    def false(self, name: str) -> Bool:
        """Return where a boolean is known to be false."""
        return self.known(name) & ~self.true(name)

    @cached_property
    def counts(self) -> dict[str, NDArray[np.int64]]:
        """Return how many booleans of each group (see ``groups``) are known to be true, int64[n] by group."""
        return self._tables.groups.count(self._signals.booleans)

    def _text(self, name: str, most: int) -> list[bytes | None]:
        """Return at most so many bytes of a text: per-row work, so only for what is then looked up in a cache."""
        texts, position = self._signals.texts, self._catalogue.text(name)
        starts = texts.start[:, position].tolist()
        sizes = np.minimum(texts.length[:, position], most).tolist()
        return [
            None if size < 0 else blob[at : at + size] for blob, at, size in zip(texts.blob, starts, sizes, strict=True)
        ]

    def browser_in(self, *names: str) -> Bool:
        """Return where the user agent names one of these browsers."""
        return members(names, BROWSERS)[self.client["browser"]]

    def system_in(self, *names: str) -> Bool:
        """Return where the system is one of these."""
        return members(names, SYSTEMS)[self.system]

    def device_in(self, *names: str) -> Bool:
        """Return where the device is one of these."""
        return members(names, DEVICES)[self.device]

    def engine_in(self, *names: str) -> Bool:
        """Return where the user agent names a browser of one of these engines."""
        return members(names, ENGINES)[self.engine]

    def gpu_in(self, *names: str) -> Bool:
        """Return where the renderer names one of these makers."""
        return members(names, GPUS)[self.graphics["gpu"]]

    def driver_in(self, *names: str) -> Bool:
        """Return where the renderer names one of these drivers."""
        return members(names, GPU_DRIVERS)[self.graphics["driver"]]

    @cached_property
    def maker(self) -> U8:
        """Return the maker that the unmasked vendor names, uint8[n] of ``GPUS``."""
        vendors = self._text("webgl.unmasked_vendor", RENDERER_BYTES)
        return np.fromiter(map(maker_of_vendor, vendors), np.uint8, len(self))

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

    @cached_property
    def languages(self) -> NDArray[np.void]:
        """Return the lists of languages, ``LANGUAGES``[n]."""
        return _records(map(languages_row, self._text("navigator.languages", LANGUAGES_BYTES + 1)), LANGUAGES)

    @cached_property
    def zone(self) -> NDArray[np.void]:
        """Return the zones in the years of the events, ``ZONE``[n]."""
        return _records(map(zone_row, self._zone_names, _years(self._times)), ZONE)

    @cached_property
    def zone_offset(self) -> F32:
        """Return the zones' own offsets at the events' times, float32[n]: minutes west of UTC."""
        quarters = (self._times // QUARTER_MS).tolist()
        return np.fromiter(map(quarter_offset, self._zone_names, quarters), np.float32, len(self))

    @cached_property
    def _zone_names(self) -> list[bytes | None]:
        return self._text("intl.timezone", ZONE_BYTES + 1)

    @cached_property
    def _times(self) -> NDArray[np.int64]:
        return np.clip(self._batch.event.occurred_at, 0, _LATEST_MS)


def _years(milliseconds: NDArray[np.int64]) -> list[Any]:
    return list((milliseconds.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) + 1970).tolist())
