"""Where the address of each row lies, held against clock, languages and past: compiled, as few steps need many calls.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loop is compiled with stands in this file, so it sees every change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
FOUND: Final = (
    "clock", "satellite", "stands_in", "foreign_language", "was_elsewhere", "clock_of_where_it_was", "was_here",
)  # fmt: skip
_DAY_MS, _HOUR_MS = 86_400_000, 3_600_000


def _part(function: F) -> F:
    """Make a function a part of the kernel that calls it."""
    return cast(F, numba.njit(error_model="numpy")(function))


@_part
def _place(keys: Any, wanted: Any) -> Any:
    """Return where a key stands among ascending ones, or another one's place where it is none of them."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return min(low, len(keys) - 1)


@_part
def _month(time: Any) -> Any:
    """Return the month of a time in ms that is not negative, 0 to 11.

    H. Hinnant, "chrono-compatible low-level date algorithms": years begin in March, eras have 400 of them.
    """
    day = (time // _DAY_MS + 719_468) % 146_097
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    month = (5 * (day - (365 * year + year // 4 - year // 100)) + 2) // 153
    return (month + 2) % 12


@_part
def _slot(offset: Any, clocks: Any) -> Any:
    """Return the slot of an offset, float32 in minutes."""
    most, not_told, per_minute, middle = clocks
    told = offset if abs(offset) <= most else not_told
    return np.int64(told * per_minute + middle)


def _kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


@_kernel
def look_around(network: Any, history: Any, shown: Any, zones: Any, lists: Any, limits: Any, found: Any) -> None:
    """Write ``FOUND`` uint8[7, n] and the speed of the fastest journey, float32[n].

    ``network``: countries, systems, latitudes, longitudes, classes; ``history``: latitudes, longitudes and times
    [n, places]; ``shown``: offsets float32[n], hashes of languages, times. ``zones``: how offsets fit, ways, keys of
    places and their countries, and what ``_slot`` takes. ``lists``: hashes of tags and their languages, which are
    spoken where, and systems of satellites. ``limits``: bits of classes that stand in for others, the codes of a clock
    that fits, of a neighbour's and of one elsewhere, and the least hours.
    """
    country, asn, latitude, longitude, classes = network
    north, east, place_at = history
    offset, language, times = shown
    fit, way, place_keys, place_countries, clocks = zones
    tags, languages, spoken, satellites = lists
    standing_in, fits, neighbour, elsewhere, least_hours = limits
    codes, kmh = found
    for row in range(len(times)):
        month, slot, here = _month(times[row]), _slot(offset[row], clocks), country[row]
        clock = fit[here, month, slot]
        satellite = satellites[_place(satellites, asn[row])] == asn[row]
        tag = _place(tags, language[row])
        spoken_as = languages[tag] if tags[tag] == language[row] else np.uint8(0)
        fastest = (north[row, 0] + latitude[row]) * np.float32(0)
        was_here = was_elsewhere = other_clock = False
        for place in range(north.shape[1]):
            one, other = north[row, place], east[row, place]
            same = one == latitude[row] and other == longitude[row]
            was_here |= same
            if same or np.isnan(one):
                continue
            was_elsewhere = True
            key = np.float64(one) * 1024 + np.float64(other)
            known = _place(place_keys, key)
            there = place_countries[known] if place_keys[known] == key else np.uint16(0)
            other_clock |= fit[there, month, slot] == fits
            hours = np.float32(max(abs(times[row] - place_at[row, place]) / _HOUR_MS, least_hours))
            speed = way[there, here] / hours
            fastest = speed if np.isnan(fastest) or speed > fastest else fastest
        codes[0, row], codes[1, row] = clock, satellite
        codes[2, row] = (classes[row] & standing_in) != 0 or satellite
        codes[3, row] = not spoken[spoken_as, here]
        codes[4, row] = was_elsewhere
        codes[5, row] = other_clock and clock in (neighbour, elsewhere)
        codes[6, row] = was_here
        kmh[row] = fastest
