"""Loops over the rows of a batch, compiled: what checks and the environment read, and the checks themselves.

All of it is one call from Python: of a small batch, calls and the arrays handed over cost more than the rows.
Numbers are float32 where NumPy would keep them so: what comes out are the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np

from flows.stages.device_state.compiled import kernels_of
from schemas import column_steps

F = TypeVar("F", bound=Callable[..., Any])
# Columns that ``derive`` writes in front of those that it gathers, by kind.
FIXED_NUMBERS: Final = ("version", "engine_version", "system_version", "hint")
FIXED_HASHES: Final = ("category", "app_version", "model", "first_language", "languages", "zone")
FIXED_CODES: Final = (
    "shown", "browser", "engine", "gpu", "driver", "angle", "similar", "masked_apple", "shader_5", "swiftshader",
    "maker", "system", "device", "zone_shown", "zone_known", "nulled", "found", "mixed", "foreign", "newer", "older",
    "missed_now", "missed_january", "missed_july",
)  # fmt: skip
# Runs of numbers, one behind the other with their bounds in front, that the loops are told.
(
    NUMBER_AT, TRUE_AT, FALSE_AT, CATEGORY_AT, GROUP_AT, MEMBERS, WORD_AT, VALUE_AT, VALUES, OFFSET_AT, MARKS, MARK_AT,
    ENGINE_WORDS, TALLIES, ENGINE_HASHES, HINT_KEYS, SHOWN_AT, NOISE_AT, DRAWN_AT, PART, FIRSTS, SALTS, UNBOUNDED,
    SCALARS, RUNS,
) = range(25)  # fmt: skip
TOUCH_AT, PROPERTIES, HINT_AT, MACOS, WEBKIT, IOS, TABLET, REDUCED, GECKO, ENOUGH = range(10)  # the last run
SAID_BYTES: Final = 104  # what one text says: CLIENT, GRAPHICS, LANGUAGES, a maker or ZONE
LATEST_MS: Final = 4_102_444_800_000  # as ``seen``
_TILE: Final = 8  # rows
_TABLET_SYSTEM, _NULLED, _FOUND, _MISSED = 11, 15, 16, 21
_SLACK, _ENOUGH, _MARKED, _TENTHS = 10, 2, 3, np.float32(10)  # as ``versions``
_PIXELS = np.float32(16)  # as ``fingerprint``
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # of schemas.recognition.mix
_NAN, _ZERO = np.float32(np.nan), np.float32(0)


kernel = kernels_of(Path(__file__), Path(str(column_steps.__file__)))
"""Compiles a function that Python calls. It lets go of the interpreter's lock while it runs."""


def _part(function: F) -> F:
    """Make a function a part of the kernels that call it."""
    return cast(F, numba.njit(error_model="numpy")(function))


@_part
def _outside(numbers: Any, bounds: Any, unbounded: Any, found: Any) -> Any:
    """Write where a row has a number outside its range, bool[n]; return whether any is so, or infinite.

    ``bounds``: the least and the largest of each, float32[2, N].
    """
    low, high = bounds[0], bounds[1]
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
    least = np.int16(0)
    for column in range(len(known_since)):  # without a branch, as below: who could guess it?
        least = max(least, known_since[column] if true[column] else np.int16(0))
    return np.float32(least) / _TENTHS if least > 0 else _NAN


@_part
def _out_of_time(true: Any, known: Any, known_since: Any, since: Any, named: Any) -> Any:
    """Return whether enough properties came after a version, and whether enough of before are missing."""
    above, below = np.int16(named + _SLACK), np.int16(named - _SLACK)
    newer = older = np.int16(0)
    for column in range(len(since)):
        newer += np.int16((true[column] != 0) & (known_since[column] > above))
        older += np.int16((true[column] == 0) & (known[column] != 0) & (since[column] < below))
    return newer >= _ENOUGH, older >= _ENOUGH


@_part
def _place(places: Any, each: Any) -> Any:
    """Return one of the runs of numbers that lie in ``places`` behind their bounds."""
    return places[places[each] : places[each + 1]]


@_part
def _move(target: Any, first: Any, source: Any, columns: Any, row: Any, end: Any) -> None:
    """Copy columns of some rows, a target each: some rows at a time, so that what is read of them stays at hand."""
    for at in range(len(columns)):
        column = columns[at]
        for each in range(row, end):
            target[first + at, each] = source[each, column]


@_part
def _gather(signals: Any, places: Any, columns: Any) -> None:
    """Gather signals into columns, counts of groups, and codes of words.

    ``columns`` float32, uint32 and uint8 [k, n] each, of which the fixed ones are left out: codes come in the order
    true, false, groups, words.
    """
    numbers, known, true, categories = signals
    floats, hashes, codes = columns
    number_at, category_at = _place(places, NUMBER_AT), _place(places, CATEGORY_AT)
    true_at, false_at = _place(places, TRUE_AT), _place(places, FALSE_AT)
    group_at, members = _place(places, GROUP_AT), _place(places, MEMBERS)
    word_at, value_at, values = _place(places, WORD_AT), _place(places, VALUE_AT), _place(places, VALUES)
    for first in range(0, len(numbers), _TILE):
        end = min(first + _TILE, len(numbers))
        _move(floats, len(FIXED_NUMBERS), numbers, number_at, first, end)
        _move(hashes, len(FIXED_HASHES), categories, category_at, first, end)
        place = len(FIXED_CODES)
        _move(codes, place, true, true_at, first, end)
        place += len(true_at)
        for at in range(len(false_at)):
            column = false_at[at]
            for row in range(first, end):
                codes[place + at, row] = known[row, column] & (true[row, column] ^ 1)
        place += len(false_at)
        for group in range(len(group_at) - 1):
            for row in range(first, end):
                codes[place + group, row] = _count(true[row], members, group_at[group], group_at[group + 1])
        place += len(group_at) - 1
        for word in range(len(word_at)):
            for row in range(first, end):
                shown, code = np.int64(categories[row, word_at[word]]), 0
                for value in range(value_at[word], value_at[word + 1]):
                    if values[value] == shown:
                        code = value - value_at[word] + 1
                codes[place + word, row] = code


@_part
def _tell(said: Any, texts: Any, row: Any, columns: Any) -> Any:
    """Fill in what the texts of a row say; return the places of its user agent, renderer and zone, in bytes."""
    rows, words, floats_of = said
    floats, names, codes = columns
    agent, renderer, zone = texts[0] * SAID_BYTES, texts[1] * SAID_BYTES, texts[4] * SAID_BYTES
    languages, vendor = texts[2] * SAID_BYTES, texts[3] * SAID_BYTES
    for at in range(3):
        floats[at, row] = floats_of[agent // 4 + 2 + at]
        names[at, row] = words[agent // 4 + 5 + at]
    names[3, row], names[4, row] = words[languages // 4], words[languages // 4 + 1]
    names[5, row] = words[zone // 4 + 1]
    codes[0, row], codes[1, row], codes[2, row] = rows[agent], rows[agent + 1], rows[agent + 4]
    for at in range(7):
        codes[3 + at, row] = rows[renderer + at]
    codes[10, row] = rows[vendor]
    codes[_TABLET_SYSTEM + 2, row], codes[_TABLET_SYSTEM + 3, row] = rows[zone], rows[zone + 1]
    return agent, renderer, zone


@_part
def _zone_offset(floats_of: Any, times_of: Any, zone: Any, time: Any) -> Any:
    """Return a zone's own offset at a time."""
    place, when = 0, min(max(time, 0), LATEST_MS)
    for each in range(4):
        place += times_of[zone // 8 + 7 + each] <= when
    return floats_of[zone // 4 + 22 + max(place - 1, 0)]


@_part
def _elect(true: Any, categories: Any, places: Any, claimed: Any, row: Any, codes: Any) -> Any:
    """Return the engine that marks and words show, 0 where they do not suffice; write what they say besides."""
    marks, mark_at = _place(places, MARKS), _place(places, MARK_AT)
    words, tallies, hashes = _place(places, ENGINE_WORDS), _place(places, TALLIES), _place(places, ENGINE_HASHES)
    one, two, three = _words_of(categories, words, tallies, hashes)
    said_of = one if claimed == 1 else two if claimed == 2 else three if claimed == 3 else 0
    codes[_FOUND + 2, row] = one + two + three > said_of and claimed != 0
    one += _count(true, marks, mark_at[0], mark_at[1])
    two += _count(true, marks, mark_at[1], mark_at[2])
    three += _count(true, marks, mark_at[2], mark_at[3])
    first = max(one, two, three)
    second = one + two + three - first - min(one, two, three)
    winner = 1 if one == first else 2 if two == first else 3
    found = winner if first >= _MARKED and second < _ENOUGH else 0
    codes[_FOUND, row], codes[_FOUND + 1, row] = found, second >= _MARKED
    return found


@_part
def _derive(signals: Any, said: Any, odd: Any, tables: Any, columns: Any, out: Any) -> None:
    """Fill the fixed columns: what texts say, what the features weigh, what the clock shows; and the environment."""
    numbers, known, true, categories = signals
    rows, texts, times = said
    places, since, reals, _ = tables
    floats, _, codes = columns
    out_codes, out_numbers, out_bits = out
    words_of, floats_of, times_of = rows.view(np.uint32), rows.view(np.float32), rows.view(np.int64)
    scalars, offset_at, hint_keys = _place(places, SCALARS), _place(places, OFFSET_AT), _place(places, HINT_KEYS)
    hint_versions, bounds = reals[: len(hint_keys)], reals[len(hint_keys) :]
    known_since, since_version = since[0], since[1]
    span = slice(scalars[PROPERTIES], scalars[PROPERTIES] + since.shape[2])
    values, scratch = np.empty(len(_place(places, PART)), np.uint64), np.empty(1, np.float32)
    for row in range(len(numbers)):
        agent, renderer, zone = _tell((rows, words_of, floats_of), texts[row], row, columns)
        system, device, claimed = rows[agent + 2], rows[agent + 3], rows[agent + 4]
        touches = numbers[row, scalars[TOUCH_AT]]
        if system == scalars[MACOS] and claimed == scalars[WEBKIT] and touches > 1:
            system, device = np.uint8(scalars[IOS]), np.uint8(scalars[TABLET])
        codes[_TABLET_SYSTEM, row], codes[_TABLET_SYSTEM + 1, row], codes[_NULLED, row] = system, device, odd[row]
        wanted = np.int64(categories[row, scalars[HINT_AT]]) | np.int64(system) << 32
        hint = _found(hint_keys, hint_versions, wanted)
        floats[3, row] = hint
        for each in range(3):
            offsets = floats_of[zone // 4 + 2 + 4 * each : zone // 4 + 6 + 4 * each]
            missed = _is_missed(numbers[row, offset_at[each]], offsets)
            codes[_MISSED + each, row] = rows[zone + 1] != 0 and missed
        found = _elect(true[row], categories[row], places, claimed, row, codes)
        version = floats[1, row]
        named = np.int16(np.int32(version * _TENTHS)) if version > 0 else np.int16(-1)
        newer, older = _out_of_time(
            true[row, span], known[row, span], known_since[claimed], since_version[claimed], named
        )
        codes[_FOUND + 3, row], codes[_FOUND + 4, row] = newer and named >= 0, older
        out_codes[0, row], out_codes[1, row], out_codes[2, row] = codes[1, row], found, system
        out_codes[3, row], out_codes[4, row], out_codes[5, row] = device, codes[3, row], codes[4, row]
        out_numbers[0, row], out_numbers[1, row] = floats[0, row], version
        out_numbers[2, row] = _least(true[row, span], known_since[claimed if found == 0 else found])
        out_numbers[3, row] = floats[2, row] if np.isnan(hint) else hint
        out_numbers[6, row] = _zone_offset(floats_of, times_of, zone, times[row])
        _measure(numbers[row], places, bounds, row, out_codes, out_numbers)
        hashed = words_of[renderer // 4 + 2]
        out_bits[1, row] = _fingerprint(numbers[row], categories[row], places, found, hashed, values, scratch)


@_part
def _measure(numbers: Any, places: Any, bounds: Any, row: Any, out_codes: Any, out_numbers: Any) -> None:
    """Write a screen's size in device pixels, and the class of its density."""
    number_at, scalars = _place(places, SHOWN_AT), _place(places, SCALARS)
    wide, high, ratio = numbers[number_at[0]], numbers[number_at[1]], numbers[number_at[2]]
    density = 0
    if not np.isnan(ratio):
        density = scalars[REDUCED]
        for bound in bounds:
            density += np.float64(ratio) >= bound
    out_codes[6, row] = density
    out_numbers[4, row], out_numbers[5, row] = wide * ratio, high * ratio


@_part
def _fingerprint(
    numbers: Any, categories: Any, places: Any, found: Any, renderer: Any, values: Any, scratch: Any
) -> Any:
    """Return the fingerprint of a row, 0 where too few parts are known; ``values``: room for all that is hashed."""
    number_at, scalars = _place(places, SHOWN_AT), _place(places, SCALARS)
    category_at, part, salts = _place(places, DRAWN_AT), _place(places, PART), _place(places, SALTS)
    wide, high, ratio = numbers[number_at[0]], numbers[number_at[1]], numbers[number_at[2]]
    scale = ratio / _PIXELS if found == scalars[GECKO] else np.float32(1)
    longer, shorter = max(wide, high), min(wide, high)
    if np.isnan(wide) or np.isnan(high):
        longer = shorter = _NAN
    others, count = len(category_at), len(part)
    for at in range(others):
        values[at] = categories[category_at[at]]
    values[others] = _bits(np.rint(longer * scale), scratch)
    values[others + 1] = _bits(np.rint(shorter * scale), scratch)
    for at in range(4):
        values[others + 2 + at] = _bits(numbers[number_at[3 + at]], scratch)
    values[count - 1] = renderer
    noisy = False
    for at in _place(places, NOISE_AT):
        noisy |= numbers[at] > 0
    parts, known_parts = np.int64(0), 0
    firsts = _place(places, FIRSTS)
    for at in range(len(firsts)):
        if values[firsts[at]] != 0 and not (noisy and at < 2):
            parts |= np.int64(1) << np.int64(at)
            known_parts += 1
    total = np.uint64(0)
    for at in range(count):
        shown = values[at] if parts >> part[at] & 1 else np.uint64(0)
        total += _mix(shown + np.uint64(salts[at]))
    return max(_mix(total), np.uint64(1)) if known_parts >= scalars[ENOUGH] else np.uint64(0)


@kernel
def environment(signals: Any, said: Any, odd: Any, is_settled: Any, tables: Any, program: Any, out: Any) -> Any:
    """Write the environment; return whether rows are to be refused before, which says nothing of the others.

    ``signals``: numbers, known, booleans and categories, each [n, k]; ``said``: what each text says, ``SAID_BYTES`` a
    number, the numbers of each event's, int32[n, 5], and the events' times. ``odd`` bool[n]: who had a number taken
    away where ``is_settled``, else it is written who has one outside its range. ``tables``: places by name at the head
    of this file, versions in tenths since when properties are there int16[2, engines, P], what versions hints mean and
    then the bounds of densities, float64, and the bounds of numbers, float32[2, N]. ``program``: steps, constants,
    tables and width of the checks (``schemas.column_program``). ``out``: codes uint8[7, n], numbers float32[7, n], and
    checks and fingerprints uint64[2, n].
    """
    numbers, known, true, categories = signals
    places, _, _, bounds = tables
    steps, constants, codes_together, width = program
    rows = len(numbers)
    if not is_settled and _outside(numbers, bounds, _place(places, UNBOUNDED), odd):
        return True
    octets = numbers, known.view(np.uint8), true.view(np.uint8), categories
    columns = (
        np.empty((width[0], rows), np.float32), np.empty((width[1], rows), np.uint32),
        np.empty((width[2], rows), np.uint8),
    )  # fmt: skip
    _gather(octets, places, columns)
    _derive(octets, said, odd, tables, columns, out)
    checks = out[2][0]
    checks[:] = 0
    column_steps.run(steps, constants, codes_together, columns, checks)
    return False
