"""The fingerprint: one hash of what a machine draws, plays and names, the same at each visit of the same browser.

It is made of six parts, see ``PARTS``. Left out is what one browser changes by itself: window, zoom (Firefox scales the
screen with it, so there device pixels count), version, hints that only secure pages get, devices that are plugged in;
and what costs an attacker nothing: user agent, languages, time zone, address. Where noise is found in pictures or sound
(Brave, anti-detect browsers), those are left out as well: the machine under the noise is the same at each visit.

It is what the browser shows: who changes that, changes it, and browsers that mean to look alike, such as Tor Browser's
or all iPhones of a model, share one. So it stands beside the device id, the address and the account, and for none of
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from schemas.batches import F32, U32, U64, Signals
from schemas.catalogue import Catalogue
from schemas.environment import ENGINES
from schemas.recognition import mix

if TYPE_CHECKING:
    from flows.stages.normalize.seen import Seen

# A part is known where its first signal is.
PARTS: Final = {
    "pictures": (
        "canvas.text", "canvas.geometry", "canvas.emoji", "picture.gradient", "picture.shadow", "picture.curves",
        "picture.text_rtl", "picture.text_emoji_zwj", "picture.path", "webgl.image",
    ),
    "sound": ("audio.sample_sum", "sound.noise_hash"),
    "graphics": ("webgl.unmasked_renderer", "webgl.parameters", "webgl.extensions"),
    "fonts": ("fonts.list",),
    "screen": ("screen.width", "screen.height", "screen.color_depth"),
    "hardware": ("navigator.hardware_concurrency", "navigator.max_touch_points", "navigator.platform"),
}  # fmt: skip
LEAST_PARTS: Final = 4
"""With fewer parts the fingerprint is 0: a page's first event shows screen and hardware alone, which many share."""
NOISE = ("canvas.readback_errors", "canvas.pixel_differences", "audio.noise")
_NOISY = slice(0, 2)  # of the parts: pictures and sound are left out where there is noise
NUMBERS = (
    "screen.width", "screen.height", "screen.color_depth", "audio.sample_sum", "navigator.hardware_concurrency",
    "navigator.max_touch_points",
)  # fmt: skip
_RENDERER = "webgl.unmasked_renderer"
_PIXELS = 16.0  # device pixels are compared in steps: zoom rounds the screen's lengths
_GOLDEN = 0x9E3779B97F4A7C15  # of SplitMix64, as schemas.recognition


class Drawn:
    """The wire positions of what is hashed, and the order of the columns: categories, numbers, the renderer."""

    def __init__(self, catalogue: Catalogue) -> None:
        part_of = {name: at for at, names in enumerate(PARTS.values()) for name in names}
        names = [name for name in part_of if catalogue.by_name[name].kind == "category"]
        self.categories = np.array([catalogue.category(name) for name in names])
        order = [*names, *NUMBERS, _RENDERER]
        self.part = np.array([part_of[name] for name in order])
        self.first = np.array([order.index(names[0]) for names in PARTS.values()])
        self.salts = (np.arange(1, len(order) + 1, dtype=np.uint64) * np.uint64(_GOLDEN))[:, None]

    def table(self, signals: Signals, numbers: Sequence[F32], renderer: U32) -> U64:
        """Return every signal as uint64[signals, n], 0 where absent."""
        categories = np.take(signals.categories, self.categories, axis=1).T
        return np.concatenate((categories, _bits(np.stack(numbers)), renderer[None]), dtype=np.uint64)


def fingerprint_of(seen: Seen) -> U64:
    """Return the fingerprints, uint64[n]; 0 where fewer than ``LEAST_PARTS`` of the parts are known."""
    drawn = seen.drawn
    table = drawn.table(seen.signals, _numbers(seen), seen.graphics["hash"])
    known = table[drawn.first] != 0
    known[_NOISY] &= ~np.logical_or.reduce([seen.number(name) > 0 for name in NOISE])
    table[~known[drawn.part]] = 0
    found = mix(mix(table + drawn.salts).sum(axis=0, dtype=np.uint64))
    return np.where(known.sum(axis=0) >= LEAST_PARTS, np.maximum(found, np.uint64(1)), np.uint64(0))


def _numbers(seen: Seen) -> list[F32]:
    """Return the numbers in the order of ``NUMBERS``, each float32[n]; a screen whichever way it is turned."""
    wide, high = seen.number("screen.width"), seen.number("screen.height")
    gecko = seen.evidence.engine == ENGINES.index("gecko")
    ratio = np.where(gecko, seen.number("screen.device_pixel_ratio") / _PIXELS, np.float32(1))
    longer, shorter = np.rint(np.maximum(wide, high) * ratio), np.rint(np.minimum(wide, high) * ratio)
    return [longer, shorter, *(seen.number(name) for name in NUMBERS[2:])]


def _bits(numbers: F32) -> U32:
    """Return numbers by their bits plus one, 0 where absent: 0 is a number as any other."""
    bits = (numbers + np.float32(0)).view(np.uint32) + np.uint32(1)
    bits[np.isnan(numbers)] = 0
    return bits
