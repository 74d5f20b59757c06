"""Categories of which the checks know some values: each value has a code, 0 is any other, or absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from schemas.batches import U8, U32, Bool
from schemas.catalogue import Catalogue, category_hash
from schemas.environment import BROWSERS, ENGINES, GPUS, SYSTEMS

_PC, _MOBILE = ("nvidia", "amd", "intel"), ("qualcomm", "arm", "imagination", "samsung")
_CHROMIUM = ("chrome", "edge", "opera", "samsung", "chromium_other", "headless_chrome", "webview")
_ARM_LINUX = ("linux", "chromeos", "android")
_ANY_CARD = ("virtual", "unknown")
Fitting = Mapping[str, tuple[str, ...]]

# What a value may be true of, as codes of a closed set.
PLATFORMS: Fitting = {
    "Win32": ("windows",), "Win64": ("windows",), "MacIntel": ("macos", "ios"), "iPhone": ("ios",), "iPad": ("ios",),
    "iPod": ("ios",), "Linux x86_64": _ARM_LINUX, "Linux aarch64": _ARM_LINUX, "Linux armv7l": _ARM_LINUX,
    "Linux armv8l": _ARM_LINUX, "Linux armv81": ("linux", "android"), "Linux i686": _ARM_LINUX,
}  # fmt: skip
HINTS: Fitting = {
    "Windows": ("windows",), "macOS": ("macos",), "Linux": ("linux",), "Android": ("android",),
    "Chrome OS": ("chromeos",), "Chromium OS": ("chromeos",), "iOS": ("ios",),
}  # fmt: skip
VENDORS: Fitting = {"Google Inc.": _CHROMIUM, "Apple Computer, Inc.": ("safari", "webview"), "": ("firefox",)}
# Brands of which a browser gives its own; Chrome's user agent is also Brave's, Vivaldi's and plain Chromium's.
BRANDS: Fitting = {
    "Google Chrome": ("chrome", "headless_chrome"), "Microsoft Edge": ("edge",), "Opera": ("opera",),
    "Samsung Internet": ("samsung",), "HeadlessChrome": ("headless_chrome",),
}  # fmt: skip
# navigator.productSub is fixed by the HTML standard: 20030107 in WebKit's and Chromium's mode, 20100101 in Gecko's.
PRODUCTS: Fitting = {"20030107": ("chromium", "webkit"), "20100101": ("gecko",)}
# GPUAdapterInfo.vendor (Dawn, gpu_info.json), with the makers of the same kind of machine: laptops have two cards.
ADAPTERS: Fitting = {
    **dict.fromkeys(("nvidia", "amd", "intel"), (*_PC, "samsung", *_ANY_CARD)),
    "apple": ("apple", *_ANY_CARD),
    **dict.fromkeys(("qualcomm", "arm", "img-tec"), (*_MOBILE, *_ANY_CARD)),
}

# The agent's hash (32-bit FNV-1a in hex, signals/drawing.ts) of its canvas of 240 by 60 pixels where every byte is 0,
# for nothing was drawn, or 255, for white was put in its place; and an empty canvas as a data URL (HTML standard).
BLANK = ("ee2f51c5", "d13aaac5", "data:,")
WORDS: Mapping[str, Sequence[str]] = {
    "navigator.platform": tuple(PLATFORMS), "client_hints.platform": tuple(HINTS), "navigator.vendor": tuple(VENDORS),
    "client_hints.brand": tuple(BRANDS), "navigator.product_sub": tuple(PRODUCTS), "webgpu.vendor": tuple(ADAPTERS),
    "client_hints.architecture": ("x86", "arm"), "client_hints.model": ("",),
    "client_hint.form_factors": ("Desktop", "Mobile", "Watch", "EInk"),
    "webgl.version": (
        "WebGL 1.0", "WebGL 2.0", "WebGL 1.0 (OpenGL ES 2.0 Chromium)", "WebGL 2.0 (OpenGL ES 3.0 Chromium)",
    ),
    "canvas.text": BLANK, "canvas.geometry": BLANK,
}  # fmt: skip


def _misfits(fitting: Fitting, closed: tuple[str, ...]) -> Bool:
    """Return where a value's code and a code of the closed set do not go together, bool[values + 1, closed]."""
    rows = [[False] * len(closed), *([name not in fits for name in closed] for fits in fitting.values())]
    return np.array(rows)


MISFITS: Mapping[str, Bool] = {
    "navigator.platform": _misfits(PLATFORMS, SYSTEMS), "client_hints.platform": _misfits(HINTS, SYSTEMS),
    "navigator.vendor": _misfits(VENDORS, BROWSERS), "client_hints.brand": _misfits(BRANDS, BROWSERS),
    "navigator.product_sub": _misfits(PRODUCTS, ENGINES), "webgpu.vendor": _misfits(ADAPTERS, GPUS),
}  # fmt: skip


class Lexicon:
    """The words in the wire positions of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._columns = np.array([catalogue.category(name) for name in WORDS])
        self._signal = np.arange(len(WORDS), dtype=np.uint64) << np.uint64(32)
        code_of = {
            signal << 32 | category_hash(value): code
            for signal, values in enumerate(WORDS.values())
            for code, value in enumerate(values, 1)
        }
        self._keys = np.array(sorted(code_of), np.uint64)
        self._codes = np.array([*(code_of[key] for key in sorted(code_of)), 0], np.uint8)

    def read(self, categories: U32) -> dict[str, U8]:
        """Return the code of every word, uint8[n] by signal."""
        wanted = np.take(categories, self._columns, axis=1) | self._signal
        at = np.searchsorted(self._keys, wanted)
        at[np.take(self._keys, at, mode="clip") != wanted] = len(self._keys)
        return dict(zip(WORDS, np.ascontiguousarray(self._codes[at].T), strict=True))
