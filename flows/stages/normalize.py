"""normalize: numbers inside their ranges, strings parsed, and everything that can be checked against something else.

Each failed check is a named bit (``schemas.environment.CHECKS``) that smart signals, rules and the model use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property, lru_cache
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flows.stages.time_zones import zone_offsets
from flows.stages.user_agent import Client, Graphics, parse_renderer, parse_user_agent
from schemas.batches import Bool, Environment, Normalized, Signals, Verified
from schemas.catalogue import Catalogue, category_hash, load_catalogue
from schemas.columns import widen
from schemas.dead_letter import DeadLetter, Reason, dead_letters
from schemas.environment import BROWSERS, CHECK_BIT, CHECKS, DEVICES, GPUS, SYSTEMS
from schemas.stage import StageOut

_UNKNOWN_CLIENT = Client(0, float("nan"), 0, 0, 0)
_UNKNOWN_GRAPHICS = Graphics(0, False, False)
_SYSTEMS_OF_PLATFORM = {
    "Win32": ("windows",),
    "Win64": ("windows",),
    "MacIntel": ("macos", "ios"),
    "iPhone": ("ios",),
    "iPad": ("ios",),
    "iPod": ("ios",),
    "Linux x86_64": ("linux", "chromeos", "android"),
    "Linux aarch64": ("linux", "chromeos", "android"),
    "Linux armv7l": ("linux", "chromeos", "android"),
    "Linux armv8l": ("linux", "chromeos", "android"),
    "Linux armv81": ("linux", "android"),
    "Linux i686": ("linux", "chromeos", "android"),
}
_SYSTEMS_OF_HINT = {
    "Windows": ("windows",),
    "macOS": ("macos",),
    "Linux": ("linux",),
    "Android": ("android",),
    "Chrome OS": ("chromeos",),
    "Chromium OS": ("chromeos",),
    "iOS": ("ios",),
}
_GPUS_OF_SYSTEM = {
    "windows": ("nvidia", "amd", "intel", "qualcomm", "virtual", "unknown"),
    "macos": ("nvidia", "amd", "intel", "apple", "virtual", "unknown"),
    "ios": ("apple", "unknown"),
}
_CHROMIUM = ("chrome", "edge", "opera", "samsung", "chromium_other", "headless_chrome", "webview")
_VENDORS = {
    "Google Inc.": _CHROMIUM,
    "Apple Computer, Inc.": ("safari", "webview"),
    "": ("firefox",),
}
_WINDOW_SLACK = 64  # px: a maximised window on Windows reaches beyond the screen, and so does rounding under zoom


@cache
def _members(names: tuple[str, ...], table: tuple[str, ...]) -> Bool:
    """Return bool[256]: whether a code of a closed set is one of the names."""
    found = np.zeros(256, np.bool_)
    found[[table.index(name) for name in names]] = True
    return found


@lru_cache(maxsize=8192)
def _first_language(head: bytes) -> int:
    """Return the hash of the first of the languages."""
    return category_hash(head.split(b",", 1)[0].decode("utf-8", "replace"))


@lru_cache(maxsize=8192)
def _offsets(zone: bytes, year: int) -> frozenset[int] | None:
    return zone_offsets(zone.decode("ascii", "replace"), year)


class Normalize:
    """Numbers checked against the catalogue; user agent, graphics, screen, zone, locale and worker reconciled."""

    name = "normalize"

    def __init__(self, catalogue: Catalogue | None = None) -> None:
        self._catalogue = catalogue or load_catalogue()
        self._low, self._high, self._dead = self._catalogue.bounds()

    def __call__(self, batch: Verified, /) -> StageOut[Normalized]:
        """Return rows with an environment; infinite and impossible numbers become dead letters."""
        infinite = np.asarray(np.isinf(batch.signals.numbers).any(axis=1))
        outside = (batch.signals.numbers < self._low) | (batch.signals.numbers > self._high)
        impossible = np.asarray(outside[:, self._dead].any(axis=1)) & ~infinite
        letters = self._letters(batch, infinite, impossible, outside)
        rows = np.flatnonzero(~infinite & ~impossible)
        kept, outside = batch.take(rows), outside[rows]
        nulled = np.asarray(outside.any(axis=1))
        if nulled.any():
            numbers = np.where(outside, np.float32(np.nan), kept.signals.numbers)
            kept = replace(kept, signals=replace(kept.signals, numbers=numbers))
        environment = _Checks(kept, self._catalogue, nulled).environment()
        return StageOut(widen(Normalized, kept, environment=environment), letters)

    def _letters(
        self, batch: Verified, infinite: Bool, impossible: Bool, outside: NDArray[np.bool_]
    ) -> list[DeadLetter]:
        rows = np.flatnonzero(infinite)
        letters = dead_letters(batch, rows, Reason.NOT_FINITE, self.name, "a number of the payload is infinite")
        for row in np.flatnonzero(impossible).tolist():
            at = int(np.flatnonzero(outside[row] & self._dead)[0])
            detail = f"{self._catalogue.numbers[at].name} lies outside the catalogue's range"
            letters += dead_letters(batch, [row], Reason.OUT_OF_RANGE, self.name, detail)
        return letters


class _Checks:
    """The parsed columns of one batch, and each check as a method that gives bool[n]."""

    def __init__(self, batch: Verified, catalogue: Catalogue, nulled: Bool) -> None:
        self._batch = batch
        self._signals: Signals = batch.signals
        self._catalogue = catalogue
        self._nulled = nulled
        agents = self._text("navigator.user_agent")
        clients = [_UNKNOWN_CLIENT if raw is None else parse_user_agent(raw) for raw in agents]
        self._has_agent = np.array([raw is not None for raw in agents], np.bool_)
        browser, version, system, device, agent = _columns(clients, 5)
        self.browser = np.array(browser, np.uint8)
        self.version = np.array(version, np.float32)
        self.system = np.array(system, np.uint8)
        self.device = np.array(device, np.uint8)
        self._agent = np.array(agent, np.uint32)
        renderers = self._text("webgl.unmasked_renderer")
        graphics = [_UNKNOWN_GRAPHICS if raw is None else parse_renderer(raw) for raw in renderers]
        gpu, direct3d, metal = _columns(graphics, 3)
        self.gpu = np.array(gpu, np.uint8)
        self._direct3d = np.array(direct3d, np.bool_)
        self._metal = np.array(metal, np.bool_)

    def environment(self) -> Environment:
        """Run every check, and return the section."""
        checks = np.zeros(len(self._batch), np.uint32)
        for name in CHECKS:
            check: Callable[[], Bool] = getattr(self, name)
            checks |= np.where(check(), np.uint32(CHECK_BIT[name]), np.uint32(0))
        ratio = self._number("screen.device_pixel_ratio")
        return Environment(
            browser=self.browser,
            browser_version=self.version,
            system=self.system,
            device=self.device,
            gpu=self.gpu,
            screen_pixels_wide=self._number("screen.width") * ratio,
            screen_pixels_high=self._number("screen.height") * ratio,
            checks=checks,
        )

    def _number(self, name: str) -> NDArray[np.float32]:
        return self._signals.numbers[:, self._catalogue.number(name)]

    def _category(self, name: str) -> NDArray[np.uint32]:
        return self._signals.categories[:, self._catalogue.category(name)]

    def _true(self, name: str) -> Bool:
        return self._signals.booleans[:, self._catalogue.boolean(name)]

    def _known(self, name: str) -> Bool:
        return self._signals.known[:, self._catalogue.boolean(name)]

    def _text(self, name: str) -> list[bytes | None]:
        return self._signals.texts.column(self._catalogue.text(name))

    def _browser_in(self, names: tuple[str, ...]) -> Bool:
        return _members(names, BROWSERS)[self.browser]

    def _system_in(self, names: tuple[str, ...]) -> Bool:
        return _members(names, SYSTEMS)[self.system]

    def _device_is(self, name: str) -> Bool:
        return np.asarray(self.device == DEVICES.index(name))

    def user_agent_unparsed(self) -> Bool:
        return self._has_agent & (self.browser == 0)

    def platform_contradicts_user_agent(self) -> Bool:
        return self._claims_other_system(self._category("navigator.platform"), _SYSTEMS_OF_PLATFORM)

    def client_hints_contradict_user_agent(self) -> Bool:
        return self._claims_other_system(self._category("client_hints.platform"), _SYSTEMS_OF_HINT)

    def _claims_other_system(self, claim: NDArray[np.uint32], systems: Mapping[str, tuple[str, ...]]) -> Bool:
        wrong = np.zeros(len(claim), np.bool_)
        for platform, fitting in systems.items():
            wrong |= (claim == category_hash(platform)) & ~self._system_in(fitting)
        return wrong & (self.system != 0)

    def mobile_hint_contradicts_user_agent(self) -> Bool:
        mobile = self._true("client_hints.mobile")
        known = self._known("client_hints.mobile")
        return known & ((mobile & self._device_is("desktop")) | (~mobile & self._device_is("phone")))

    def brand_version_contradicts_user_agent(self) -> Bool:
        brand = self._number("client_hints.brand_version")
        return self._browser_in(("chrome", "edge", "headless_chrome")) & (np.abs(brand - self.version) >= 1)

    def worker_contradicts_page(self) -> Bool:
        return self._copy_differs("worker")

    def frame_contradicts_page(self) -> Bool:
        return self._copy_differs("frame")

    def _copy_differs(self, place: str) -> Bool:
        """Compare what a worker or an iframe says with what the page says."""
        differs = np.zeros(len(self._batch), np.bool_)
        for name in ("platform", "language"):
            differs |= _differ(self._category(f"{place}.{name}"), self._category(f"navigator.{name}"))
        differs |= _differ(self._category(f"{place}.user_agent"), self._agent)
        here = self._number("navigator.hardware_concurrency")
        return differs | (np.abs(self._number(f"{place}.hardware_concurrency") - here) > 0)

    def window_exceeds_screen(self) -> Bool:
        wide = self._number("screen.outer_width") > self._number("screen.width") + _WINDOW_SLACK
        high = self._number("screen.outer_height") > self._number("screen.height") + _WINDOW_SLACK
        turned = self._number("screen.outer_width") <= self._number("screen.height") + _WINDOW_SLACK
        landscape_phone = turned & ~self._device_is("desktop")  # iOS gives the screen of the upright phone
        return (wide | high) & ~self._true("screen.is_extended") & ~landscape_phone

    def available_exceeds_screen(self) -> Bool:
        wide = self._number("screen.avail_width") > self._number("screen.width") + 1
        return wide | (self._number("screen.avail_height") > self._number("screen.height") + 1)

    def touch_contradicts_device(self) -> Bool:
        points = self._number("navigator.max_touch_points")
        return (points == 0) & (self._device_is("phone") | self._device_is("tablet"))

    def timezone_unknown(self) -> Bool:
        return np.array([zone is not None and offsets is None for zone, offsets in self._zones], np.bool_)

    def timezone_offset_contradicts_zone(self) -> Bool:
        shown = self._number("intl.timezone_offset").tolist()
        wrong = [
            offsets is not None and not isnan(now) and round(now) not in offsets
            for now, (_, offsets) in zip(shown, self._zones, strict=True)
        ]
        return np.array(wrong, np.bool_)

    @cached_property
    def _zones(self) -> list[tuple[bytes | None, frozenset[int] | None]]:
        """Return each row's zone and the zone's own offsets in the year of the event."""
        years = _years(self._batch.event.occurred_at)
        names = self._text("intl.timezone")
        return [
            (raw, None if raw is None else _offsets(raw[:64], year)) for raw, year in zip(names, years, strict=True)
        ]

    def language_list_contradicts_language(self) -> Bool:
        first = [0 if raw is None else _first_language(raw[:64]) for raw in self._text("navigator.languages")]
        return _differ(np.array(first, np.uint32), self._category("navigator.language"))

    def vendor_contradicts_browser(self) -> Bool:
        vendor = self._category("navigator.vendor")
        wrong = np.zeros(len(vendor), np.bool_)
        for name, browsers in _VENDORS.items():
            wrong |= (vendor == category_hash(name)) & ~self._browser_in(browsers)
        foreign = self._system_in(("ios",)) | self._browser_in(("unknown", "bot"))  # every browser on iOS is WebKit
        return wrong & ~foreign

    def gpu_contradicts_system(self) -> Bool:
        wrong = self._direct3d & ~self._system_in(("windows", "unknown"))
        wrong |= self._metal & ~self._system_in(("macos", "ios", "unknown"))
        for system, fitting in _GPUS_OF_SYSTEM.items():
            wrong |= self._system_in((system,)) & ~_members(fitting, GPUS)[self.gpu]
        return wrong

    def worker_gpu_contradicts_page(self) -> Bool:
        vendor = _differ(self._category("worker.webgl_vendor"), self._category("webgl.vendor"))
        return vendor | _differ(self._category("worker.webgl_renderer"), self._category("webgl.renderer"))

    def webgl_limits_impossible(self) -> Bool:
        size = self._number("webgl.max_texture_size")
        viewport = self._number("webgl.max_viewport_width")
        with np.errstate(invalid="ignore", divide="ignore"):
            odd = np.log2(size) % 1 != 0
        present = ~np.isnan(size)
        return present & (odd | (size < 1024) | (viewport < 1024))

    def canvas_readback_failed(self) -> Bool:
        return self._number("canvas.readback_errors") > 0

    def canvas_unstable(self) -> Bool:
        return self._number("canvas.pixel_differences") > 0

    def audio_unstable(self) -> Bool:
        return self._number("audio.noise") > 0

    def number_out_of_range(self) -> Bool:
        return self._nulled


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    """Turn rows into columns, also where there is no row."""
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _differ(left: NDArray[np.uint32], right: NDArray[np.uint32]) -> Bool:
    """Return where two categories are both present and not the same."""
    return (left != right) & (left != 0) & (right != 0)


def _years(milliseconds: NDArray[np.int64]) -> list[int]:
    """Return the UTC years of times, kept inside what calendars know: 1970 to 2100."""
    known = np.clip(milliseconds, 0, 4_102_444_800_000)
    years: list[int] = (known.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) + 1970).tolist()
    return years
