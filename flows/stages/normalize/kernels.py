"""Loops over the rows of a batch, compiled: what checks and the environment read.

Numba keeps what it compiled beside this file, or in ``NUMBA_CACHE_DIR`` where that is set; where neither can be
written, in the user's cache folder. All that the loops are compiled with stands in this file, so it sees every change.
Numbers are float32 where NumPy would keep them so: what comes out are the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

F = TypeVar("F", bound=Callable[..., Any])
# Columns that ``derive`` writes in front of those that it gathers, by kind.
FIXED_NUMBERS: Final = ("version", "engine_version", "system_version", "hint")
FIXED_HASHES: Final = ("category", "app_version", "model", "first_language", "languages", "zone")
FIXED_CODES: Final = (
    "shown", "browser", "engine", "gpu", "driver", "angle", "similar", "masked_apple", "shader_5", "swiftshader",
    "maker", "system", "device", "zone_shown", "zone_known", "nulled", "found", "mixed", "foreign", "newer", "older",
    "missed_now", "missed_january", "missed_july",
)  # fmt: skip
SAID_CODES: Final = 11  # of them come from what texts say
_TABLET_SYSTEM, _FOUND, _MISSED = 11, 16, 21
_SLACK, _ENOUGH, _MARKED, _TENTHS = 10, 2, 3, np.float32(10)  # as ``versions``
_PIXELS = np.float32(16)  # as ``fingerprint``
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # of schemas.recognition.mix
_NAN, _ZERO = np.float32(np.nan), np.float32(0)


def kernel(function: F) -> F:
    """Compile a function that Python calls. It lets go of the interpreter's lock while it runs."""
    return cast(F, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it."""
    return cast(F, numba.njit(error_model="numpy")(function))


@kernel
def outside(numbers: Any, low: Any, high: Any, unbounded: Any, found: Any) -> Any:
    """Write where a row has a number outside its range, bool[n]; return whether any is so, or infinite."""
    any_odd = False
    for row in range(len(found)):
        odd = False
        for column in range(numbers.shape[1]):
            odd |= (numbers[row, column] < low[column]) | (numbers[row, column] > high[column])
        found[row] = odd
        any_odd |= odd
        for column in unbounded:
            any_odd |= math.isinf(numbers[row, column])
    return any_odd


@_part
def _mix(number: Any) -> Any:
    mixed = number ^ (number >> np.uint64(30))
    mixed *= _FIRST
    mixed ^= mixed >> np.uint64(27)
    mixed *= _SECOND
    return mixed ^ (mixed >> np.uint64(31))


@_part
def _bits(number: Any, place: Any) -> Any:
    """Return a number by its bits plus one, 0 where absent."""
    place[0] = number + _ZERO
    return np.uint64(0) if np.isnan(number) else np.uint64(place.view(np.uint32)[0] + np.uint32(1))


@kernel
def gather(signals: Any, places: Any, columns: Any, fixed: Any) -> None:
    """Gather signals into columns, counts of groups, and codes of words.

    ``signals``: numbers, known, booleans, categories; ``places``: wire positions of numbers, of booleans that are to be
    true, of those to be false, of categories; first places of groups and their members; columns of words, first places
    of their values, and the hashes. ``columns`` float32, uint32 and uint8 [k, n] each, of which the first ``fixed`` are
    left out: codes come in the order true, false, groups, words.
    """
    numbers, known, true, categories = signals
    number_at, true_at, false_at, category_at, group_at, members, word_at, value_at, values = places
    floats, hashes, codes = columns
    for row in range(len(numbers)):
        for at in range(len(number_at)):
            floats[fixed[0] + at, row] = numbers[row, number_at[at]]
        for at in range(len(category_at)):
            hashes[fixed[1] + at, row] = categories[row, category_at[at]]
        place = fixed[2]
        for at in range(len(true_at)):
            codes[place + at, row] = true[row, true_at[at]]
        place += len(true_at)
        for at in range(len(false_at)):
            codes[place + at, row] = known[row, false_at[at]] & (true[row, false_at[at]] ^ 1)
        place += len(false_at)
        for group in range(len(group_at) - 1):
            codes[place + group, row] = _count(true[row], members, group_at[group], group_at[group + 1])
        place += len(group_at) - 1
        for word in range(len(word_at)):
            shown, code = categories[row, word_at[word]], 0
            for value in range(value_at[word], value_at[word + 1]):
                if values[value] == shown:
                    code = value - value_at[word] + 1
            codes[place + word, row] = code


@_part
def _found(keys: Any, values: Any, wanted: Any) -> Any:
    """Return the value of a key among ascending ones, NaN where it is none of them."""
    low, high = 0, len(keys)
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    low = min(low, len(keys) - 1)
    return values[low] if keys[low] == wanted else _NAN


@_part
def _is_missed(shown: Any, offsets: Any) -> Any:
    """Return whether an offset is shown that is none of these."""
    hit = np.isnan(shown)
    for offset in offsets:
        hit |= np.rint(shown) == offset
    return not hit


@_part
def _words_of(categories: Any, words: Any, engines: Any, hashes: Any) -> Any:
    """Return how many words of each of the three engines there are."""
    one = two = three = 0
    for word in words:
        for value in range(len(hashes)):
            if hashes[value] == categories[word]:
                one += engines[value] == 1
                two += engines[value] == 2
                three += engines[value] == 3
    return one, two, three


@_part
def _count(true: Any, members: Any, first: Any, end: Any) -> Any:
    """Return how many of some booleans are true."""
    count = 0
    for member in range(first, end):
        count += true[members[member]]
    return count


@_part
def _least(true: Any, known_since: Any) -> Any:
    """Return the version in which the latest of the properties came, NaN where there is none."""
    least = 0
    for column in range(len(known_since)):
        if true[column]:
            least = max(least, known_since[column])
    return np.float32(least) / _TENTHS if least > 0 else _NAN


@_part
def _out_of_time(true: Any, known: Any, known_since: Any, since: Any, named: Any) -> Any:
    """Return whether enough properties came after a version, and whether enough of before are missing."""
    above, below = np.int16(named + _SLACK), np.int16(named - _SLACK)
    newer = older = 0
    for column in range(len(since)):
        if true[column]:
            newer += known_since[column] > above
        elif known[column]:
            older += since[column] < below
    return newer >= _ENOUGH, older >= _ENOUGH


@kernel
def derive(signals: Any, said: Any, zones: Any, odd: Any, tables: Any, constants: Any, columns: Any) -> None:
    """Fill the fixed columns: what texts say, what the features weigh, what the clock shows.

    ``said``: float32[n, 3], uint32[n, 5], uint8[n, 11]; ``zones``: flags, hash, offsets [n, 3, 4], changes [n, 4] and
    own offsets [n, 4], and the events' times; ``odd``: who had a number taken away. ``tables``: see ``Compiled``.
    """
    numbers, known, true, categories = signals
    of_numbers, of_hashes, of_codes = said
    zone_flags, zone_hash, offsets, since, own, times = zones
    touch_at, offset_at, marks, mark_at, words, tallies, hashes, properties, known_since, since_version = tables[:10]
    hint_at, hint_keys, hint_versions = tables[10:]
    macos, webkit, ios, tablet = constants
    floats, names, codes = columns[:3]
    zone_offset, at_least = columns[3:]
    for row in range(len(numbers)):
        for at in range(3):
            floats[at, row] = of_numbers[row, at]
        for at in range(5):
            names[at, row] = of_hashes[row, at]
        names[5, row] = zone_hash[row]
        for at in range(SAID_CODES):
            codes[at, row] = of_codes[row, at]
        system, device, claimed = of_codes[row, SAID_CODES], of_codes[row, SAID_CODES + 1], of_codes[row, 2]
        if system == macos and claimed == webkit and numbers[row, touch_at] > 1:
            system, device = ios, tablet
        codes[_TABLET_SYSTEM, row], codes[_TABLET_SYSTEM + 1, row] = system, device
        codes[_TABLET_SYSTEM + 2, row], codes[_TABLET_SYSTEM + 3, row] = zone_flags[row, 0], zone_flags[row, 1]
        codes[_TABLET_SYSTEM + 4, row] = odd[row]
        wanted = np.uint64(categories[row, hint_at]) | np.uint64(system) << np.uint64(32)
        floats[3, row] = _found(hint_keys, hint_versions, wanted)
        for each in range(3):
            missed = _is_missed(numbers[row, offset_at[each]], offsets[row, each])
            codes[_MISSED + each, row] = zone_flags[row, 1] != 0 and missed
        place = 0
        for each in range(since.shape[1]):
            place += since[row, each] <= times[row]
        zone_offset[row] = own[row, max(place - 1, 0)]
        one, two, three = _words_of(categories[row], words, tallies, hashes)
        said_of = one if claimed == 1 else two if claimed == 2 else three if claimed == 3 else 0
        codes[_FOUND + 2, row] = one + two + three > said_of and claimed != 0
        one += _count(true[row], marks, mark_at[0], mark_at[1])
        two += _count(true[row], marks, mark_at[1], mark_at[2])
        three += _count(true[row], marks, mark_at[2], mark_at[3])
        first = max(one, two, three)
        second = one + two + three - first - min(one, two, three)
        winner = 1 if one == first else 2 if two == first else 3
        found = winner if first >= _MARKED and second < _ENOUGH else 0
        codes[_FOUND, row], codes[_FOUND + 1, row] = found, second >= _MARKED
        version = of_numbers[row, 1]
        named = np.int16(np.int32(version * _TENTHS)) if version > 0 else np.int16(-1)
        span = slice(properties, properties + known_since.shape[1])
        told = claimed if found == 0 else found
        at_least[row] = _least(true[row, span], known_since[told])
        newer, older = _out_of_time(
            true[row, span], known[row, span], known_since[claimed], since_version[claimed], named
        )
        codes[_FOUND + 3, row], codes[_FOUND + 4, row] = newer and named >= 0, older


@kernel
def show(signals: Any, columns: Any, tables: Any, limits: Any, out: Any) -> None:
    """Write codes uint8[7, n], numbers float32[7, n] and fingerprint uint64[n] of the environment.

    ``tables``: wire positions of width, height, pixel ratio and the rest of a fingerprint's numbers; of noise; of its
    categories; the part of each column, the first column of each part, salts; the hashes that texts say, the last of
    them the renderer's. ``limits``: bounds of densities float64, code of the first, Gecko's code, and the parts that
    suffice.
    """
    numbers, _, _, categories = signals
    floats, _, codes, zone_offset, at_least = columns
    number_at, noise_at, category_at, part, first, salts, said = tables
    bounds, reduced, gecko, enough = limits
    out_codes, out_numbers, fingerprint = out
    others, count = len(category_at), len(part)
    values, scratch = np.empty(count, np.uint64), np.empty(1, np.float32)
    for row in range(len(numbers)):
        wide, high, ratio = numbers[row, number_at[0]], numbers[row, number_at[1]], numbers[row, number_at[2]]
        found = codes[_FOUND, row]
        density = 0
        if not np.isnan(ratio):
            density = reduced
            for bound in bounds:
                density += np.float64(ratio) >= bound
        out_codes[0, row], out_codes[1, row] = codes[1, row], found
        out_codes[2, row], out_codes[3, row] = codes[_TABLET_SYSTEM, row], codes[_TABLET_SYSTEM + 1, row]
        out_codes[4, row], out_codes[5, row], out_codes[6, row] = codes[3, row], codes[4, row], density
        hint = floats[3, row]
        out_numbers[0, row], out_numbers[1, row], out_numbers[2, row] = floats[0, row], floats[1, row], at_least[row]
        out_numbers[3, row] = floats[2, row] if np.isnan(hint) else hint
        out_numbers[4, row], out_numbers[5, row], out_numbers[6, row] = wide * ratio, high * ratio, zone_offset[row]
        scale = ratio / _PIXELS if found == gecko else np.float32(1)
        longer, shorter = max(wide, high), min(wide, high)
        if np.isnan(wide) or np.isnan(high):
            longer = shorter = _NAN
        for at in range(others):
            values[at] = categories[row, category_at[at]]
        values[others] = _bits(np.rint(longer * scale), scratch)
        values[others + 1] = _bits(np.rint(shorter * scale), scratch)
        for at in range(4):
            values[others + 2 + at] = _bits(numbers[row, number_at[3 + at]], scratch)
        values[count - 1] = said[row, 5]
        noisy = False
        for at in noise_at:
            noisy |= numbers[row, at] > 0
        parts, known_parts = np.int64(0), 0
        for at in range(len(first)):
            if values[first[at]] != 0 and not (noisy and at < 2):
                parts |= np.int64(1) << np.int64(at)
                known_parts += 1
        total = np.uint64(0)
        for at in range(count):
            shown = values[at] if parts >> part[at] & 1 else np.uint64(0)
            total += _mix(shown + salts[at])
        fingerprint[row] = max(_mix(total), np.uint64(1)) if known_parts >= enough else np.uint64(0)
