"""What the texts of a browser say, looked up once for all five: events have far fewer browsers than texts."""

from __future__ import annotations

from functools import lru_cache
from itertools import repeat
from struct import unpack_from
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from flows.stages.normalize.columns import TEXTS
from flows.stages.normalize.languages import languages_row
from flows.stages.normalize.renderers import graphics_row, maker_of_vendor, renderer_model
from flows.stages.normalize.time_zones import ZONE, zone_row
from flows.stages.normalize.user_agent import client_row
from schemas.batches import F32, I64, U8, U32, Texts
from schemas.catalogue import Catalogue

_MOST: Final = 4_096  # bytes of texts that are remembered together; longer ones only each by itself
_ORDER: Final = ("navigator.user_agent", "webgl.unmasked_renderer", "navigator.languages", "webgl.unmasked_vendor")
_ZONE: Final = "intl.timezone"
# Bytes of CLIENT, GRAPHICS and LANGUAGES one behind the other, and the maker: where ``kernels.FIXED_CODES`` stand, then
# system and device; as words of four bytes, where the numbers and the hashes stand.
_CODES: Final = np.array([0, 1, 4, 32, 33, 34, 35, 36, 37, 38, 52, 2, 3])
_NUMBERS, _HASHES = np.array([2, 3, 4]), np.array([5, 6, 7, 11, 12, 10])
_BYTES: Final = 56
Found = tuple[bytes, str, bytes | None]  # the bytes above, the graphics card's model, the zone as it was given


class Said(NamedTuple):
    """What the texts of n events say, as ``kernels.derive`` takes it."""

    numbers: F32  # [n, 3]
    hashes: U32  # [n, 6], the last is the renderer's
    codes: U8  # [n, 13]
    model: tuple[str, ...]
    zone_flags: U8  # [n, 2]: shown, known
    zones: NDArray[np.void]  # ZONE[n]


class Reader:
    """Reads the texts that the checks know, wherever a catalogue has them."""

    def __init__(self, catalogue: Catalogue) -> None:
        places = {name: catalogue.text(name) for name in TEXTS}
        self._first, self._last = min(places.values()), max(places.values())
        self._found = lru_cache(8192)(self._parse)
        self._places = {name: place - self._first for name, place in places.items()}

    def read(self, texts: Texts, times: I64) -> Said:
        """Return what texts say; ``times``: of the events, int64[n], in ms."""
        first, last = self._first, self._last
        lengths = np.ascontiguousarray(texts.length[:, first : last + 1], np.int32)
        sizes = lengths.view(f"V{4 * lengths.shape[1]}").ravel().tolist()
        starts = texts.start[:, first].tolist()
        ends = (texts.start[:, last] + np.maximum(texts.length[:, last], 0)).tolist()
        found = [
            (self._found if end - start <= _MOST else self._parse)(size + blob[start:end])
            for blob, start, end, size in zip(texts.blob, starts, ends, sizes, strict=True)
        ]
        rows, models, names = zip(*found, strict=True) if found else ((), (), ())
        said = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, _BYTES)
        words = said.view(np.uint32)
        zones = np.frombuffer(b"".join(map(zone_row, names, _years(times))), ZONE)
        return Said(
            np.take(words, _NUMBERS, axis=1).view(np.float32),
            np.take(words, _HASHES, axis=1),
            np.take(said, _CODES, axis=1),
            models,
            zones.view(np.uint8).reshape(-1, ZONE.itemsize)[:, :2],
            zones,
        )

    def _parse(self, key: bytes) -> Found:
        """Read texts behind their lengths, each cut to what is read of it."""
        count = self._last - self._first + 1
        lengths = unpack_from(f"={count}i", key)
        starts = [4 * count]
        for length in lengths:
            starts.append(starts[-1] + max(length, 0))
        cut = {
            name: None if lengths[at] < 0 else key[starts[at] : starts[at] + min(lengths[at], TEXTS[name])]
            for name, at in self._places.items()
        }
        agent, renderer, languages, vendor = (cut[name] for name in _ORDER)
        maker = bytes((maker_of_vendor(vendor), 0, 0, 0))
        row = b"".join((client_row(agent), graphics_row(renderer), languages_row(languages), maker))
        return row, renderer_model(renderer), cut[_ZONE]


def _years(times: I64) -> repeat[int] | list[int]:
    """Return the years of events; mostly all have one."""
    if not len(times):
        return []
    first, last = (_year(np.datetime64(int(time), "ms")) for time in (times.min(), times.max()))
    if first == last:
        return repeat(first)
    years: list[int] = (times.astype("datetime64[ms]").astype("datetime64[Y]").astype(np.int64) + 1970).tolist()
    return years


def _year(time: np.datetime64) -> int:
    return int(time.astype("datetime64[Y]").astype(np.int64)) + 1970
