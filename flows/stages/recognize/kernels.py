"""The loop over rows, compiled. All that it is compiled with stands in this file, so Numba sees every change of it.

**Tables** have slices, the highest bits of a key, of equally many places. A key lies in one of ``PROBED`` places that
follow each other from its home; where all are taken, the lightest gives way (of copies the oldest). Nothing else is
ever taken out, so an empty place ends a search.

**Weights grow instead of fading**: an event at time t adds ``2 ** ((t - landmark) / half-life)``, and what was added
is divided by the same of the watermark when it is read (forward decay: Cormode, Shkapenyuk, Srivastava, Xu 2009). So
no record has a time, and of two records the lighter one stays the lighter one. After ``SPAN`` half-lives the landmark
moves and all weights are divided, by a power of two, which is exact. The power itself is a polynomial evaluated in
doubles: the same bits on every machine.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from flows.stages.device_state.compiled import kernel, step
from schemas.batches import F32, I32, I64, U8, U32, U64, Bool
from schemas.velocity import SLICE_BITS, SLICES

PROBED = 8
LEVELS = 64
"""Level 0: not seen before. Level 1 + 2k + h: a share of 2 ** (k - 31) times 1 to 1.5 (h = 0) or 1.5 to 2 (h = 1)."""
UNSEEN = 1 / 64
"""A decayed count below is not seen: an event six half-lives ago."""
LEAST_WEIGHT = 1_000.0
"""Events of a combination that must be known, decayed, before shares of a thousandth mean anything."""
SPAN = 64
"""Half-lives after which a landmark moves: float32 holds 2 ** 127."""
_TINY = 2.0**-100
COPY_SECONDS = 86_400

# Words of a state.
WATERMARK, PREVALENCE_MARK, REPUTATION_MARK, PREVALENCE_HALF, REPUTATION_HALF, BEGUN = range(6)
DIRTY_PREVALENCE, DIRTY_REPUTATION, DIRTY_COPIES, WORDS = 6, 7, 8, 9

_TERMS = tuple(math.log(2) ** power / math.factorial(power) for power in range(9))  # of 2 ** x about 0: 1e-7 at 1
_LOWEST, _HIGHEST = -1_000, 1_000  # powers of two that a double holds
_TOP, _MIDDLE = np.uint64(64 - SLICE_BITS), np.uint64(32 - SLICE_BITS)
_LOW, _SECONDS = np.uint64(0xFFFFFFFF), np.uint64(32)
_EMPTY = np.uint64(0)


class Tables(NamedTuple):
    """The arrays of a state."""

    words: I64
    combinations: U64  # keys
    combination_weight: F32
    levels: Any  # float64[combinations, LEVELS]: weight of events by how usual they were when they came
    shown: Any  # float64[combinations]: weight of events that showed the combination
    entities: U64  # keys
    entity_weight: F32
    entity_denied: F32
    everybody: Any  # float64[2]: weight of all events whose decision is known, and of those denied
    copies: U64  # lower half of a key << 32 | seconds since the epoch
    changed: tuple[U8, U8, U8]  # by table and place: changed since the last snapshot
    places: tuple[I32, I32, I32]  # which ones, as many as the words say


class Rows(NamedTuple):
    """What the state needs of a batch."""

    time: I64
    offset: I64
    combinations: U64  # [n, COMBINATIONS]
    entities: U64  # [n, REPUTED]
    copies: U64  # [n, 3]


class Known(NamedTuple):
    """What the state says of a batch."""

    seen: F32  # [n, COMBINATIONS]
    tail: F32  # [n, COMBINATIONS]
    weight: Any  # float64[n, REPUTED + 1], the last of everybody
    denied: Any  # float64[n, REPUTED + 1]
    copied: U8  # [n]


class Decided(NamedTuple):
    """Events whose decision no row has seen, in the order of their offsets."""

    offset: I64
    time: I64
    entities: U64  # [m, REPUTED]
    denied: Bool


@step
def _growth(time: Any, landmark: Any, half_life: Any) -> Any:
    """Return 2 ** ((time - landmark) / half_life)."""
    halves = np.float64(time - landmark) / np.float64(half_life)
    whole = math.floor(halves)
    part = halves - whole
    value = _TERMS[8]
    value = value * part + _TERMS[7]
    value = value * part + _TERMS[6]
    value = value * part + _TERMS[5]
    value = value * part + _TERMS[4]
    value = value * part + _TERMS[3]
    value = value * part + _TERMS[2]
    value = value * part + _TERMS[1]
    value = value * part + _TERMS[0]
    return math.ldexp(value, int(min(max(whole, _LOWEST), _HIGHEST)))


@step
def _home(keys: Any, key: Any) -> Any:
    """Return the first place of a key's slice, the places of a slice, and the home within it."""
    capacity = len(keys) // SLICES
    home = (((key >> _MIDDLE) & _LOW) * np.uint64(capacity)) >> _SECONDS
    return np.int64(key >> _TOP) * capacity, capacity, np.int64(home)


@step
def _find(keys: Any, key: Any) -> Any:
    """Return the place of a key, -1 where it has none."""
    base, capacity, at = _home(keys, key)
    for _ in range(PROBED):
        found = keys[base + at]
        if found == key:
            return base + at
        if found == _EMPTY:
            return -1
        at += 1
        if at == capacity:
            at = 0
    return -1


@step
def _claim(keys: Any, weights: Any, key: Any) -> Any:
    """Return the place for a key that has none: the first empty one, else the lightest, of equals the first."""
    base, capacity, at = _home(keys, key)
    lightest = base + at
    for _ in range(PROBED):
        place = base + at
        if keys[place] == _EMPTY:
            return place
        if weights[place] < weights[lightest]:
            lightest = place
        at += 1
        if at == capacity:
            at = 0
    return lightest


@step
def _note(words: Any, changed: Any, places: Any, count: Any, place: Any) -> None:
    """Note that a place changed since the last snapshot."""
    if changed[place] == 0:
        changed[place] = 1
        places[words[count]] = place
        words[count] += 1


@kernel
def rescale(weights: Any, spans: Any) -> None:
    """Divide weights by 2 ** (SPAN * spans); what is next to nothing becomes nothing, however often it is divided."""
    scale = 2.0 ** (-SPAN * min(spans, 4))
    for place in range(len(weights)):
        scaled = weights[place] * scale
        weights[place] = 0 if scaled < _TINY else scaled


@step
def _move_landmarks(tables: Tables) -> None:
    words = tables.words
    spans = (words[WATERMARK] - words[PREVALENCE_MARK]) // (SPAN * words[PREVALENCE_HALF])
    if spans > 0:
        words[PREVALENCE_MARK] += spans * SPAN * words[PREVALENCE_HALF]
        rescale(tables.combination_weight, spans)
        rescale(tables.shown, spans)
        for row in range(len(tables.levels)):
            rescale(tables.levels[row], spans)
    spans = (words[WATERMARK] - words[REPUTATION_MARK]) // (SPAN * words[REPUTATION_HALF])
    if spans > 0:
        words[REPUTATION_MARK] += spans * SPAN * words[REPUTATION_HALF]
        rescale(tables.entity_weight, spans)
        rescale(tables.entity_denied, spans)
        rescale(tables.everybody, spans)


@step
def _level(weight: Any, shown: Any, now: Any) -> Any:
    """Return how usual something of that weight is: see ``LEVELS``."""
    if weight < UNSEEN * now or shown <= 0.0:
        return 0
    fraction, exponent = math.frexp(weight / shown)  # fraction from 0.5 to 1
    level = ((exponent + 30) << 1) + (1 if fraction >= 0.75 else 0)
    return 1 + min(max(level, 0), LEVELS - 2)


@step
def _as_rare(levels: Any, level: Any, shown: Any) -> Any:
    """Return the weight of what is as rare or rarer, added up from the nearer end."""
    total = 0.0
    if level < LEVELS // 2:
        for each in range(level + 1):
            total += levels[each]
        return total
    for each in range(level + 1, LEVELS):
        total += levels[each]
    return max(shown - total, 0.0)


@step
def _count_combination(tables: Tables, kind: Any, key: Any, added: Any, now: Any) -> Any:
    """Return the decayed count before the event and the tail, and count it."""
    keys, weights, levels = tables.combinations, tables.combination_weight, tables.levels
    place = _find(keys, key)
    weight = np.float64(weights[place]) if place >= 0 else 0.0
    level = _level(weight, tables.shown[kind], now)
    tail = np.nan
    if tables.shown[kind] >= LEAST_WEIGHT * now:
        # At least its own events are as rare, also where their share has just fallen to a level that nobody is at.
        rare = max(_as_rare(levels[kind], level, tables.shown[kind]), weight)
        tail = (rare + added) / (tables.shown[kind] + added)
    if place < 0:
        place = _claim(keys, weights, key)
        keys[place] = key
    weights[place] = weight + added
    levels[kind, level] += added
    tables.shown[kind] += added
    _note(tables.words, tables.changed[0], tables.places[0], DIRTY_PREVALENCE, place)
    return weight / now, tail


@kernel
def begin(tables: Tables, kinds: U8, keys: U64, counts: U32, weight: Any) -> None:
    """Fill empty tables with a seed: as if ``weight`` events of each combination had come just now.

    How usual the seed's own events are is counted without themselves: one that is there once was never seen before.
    """
    totals = np.zeros(len(tables.shown), np.float64)
    for row in range(len(keys)):
        totals[kinds[row]] += counts[row]
    for row in range(len(keys)):
        kind, scale = kinds[row], weight / totals[kinds[row]]
        level = _level((counts[row] - 1) * scale, weight - scale, 1.0)
        added = counts[row] * scale
        place = _find(tables.combinations, keys[row])
        if place < 0:
            place = _claim(tables.combinations, tables.combination_weight, keys[row])
        tables.combinations[place] = keys[row]
        tables.combination_weight[place] = added
        tables.levels[kind, level] += added
        tables.shown[kind] += added


@step
def _decide(tables: Tables, decided: Decided, row: Any) -> None:
    """Count an event with its decision."""
    words = tables.words
    added = _growth(decided.time[row], words[REPUTATION_MARK], words[REPUTATION_HALF])
    denied = added if decided.denied[row] else 0.0
    tables.everybody[0] += added
    tables.everybody[1] += denied
    for kind in range(decided.entities.shape[1]):
        key = decided.entities[row, kind]
        if key == _EMPTY:
            continue
        place = _find(tables.entities, key)
        if place < 0:
            place = _claim(tables.entities, tables.entity_weight, key)
            tables.entities[place] = key
            tables.entity_weight[place] = 0.0
            tables.entity_denied[place] = 0.0
        tables.entity_weight[place] += added
        tables.entity_denied[place] += denied
        _note(words, tables.changed[1], tables.places[1], DIRTY_REPUTATION, place)


@step
def _look_up_entities(tables: Tables, rows: Rows, row: Any, known: Known) -> None:
    words = tables.words
    now = _growth(words[WATERMARK], words[REPUTATION_MARK], words[REPUTATION_HALF])
    kinds = rows.entities.shape[1]
    for kind in range(kinds):
        key = rows.entities[row, kind]
        place = _find(tables.entities, key) if key != _EMPTY else -1
        known.weight[row, kind] = tables.entity_weight[place] / now if place >= 0 else 0.0
        known.denied[row, kind] = tables.entity_denied[place] / now if place >= 0 else 0.0
    known.weight[row, kinds] = tables.everybody[0] / now
    known.denied[row, kinds] = tables.everybody[1] / now


@step
def _is_copy(tables: Tables, key: Any, seconds: Any) -> Any:
    """Return whether this came within a day before or after, and remember it with the latest of its times."""
    copies = tables.copies
    tag = key << _SECONDS
    base, capacity, at = _home(copies, key)
    oldest, found, place = base + at, False, np.int64(-1)
    for _ in range(PROBED):
        word = copies[base + at]
        if word == _EMPTY:
            place = base + at
            break
        if word >> _SECONDS << _SECONDS == tag:
            place = base + at
            found = abs(np.int64(word & _LOW) - seconds) <= COPY_SECONDS
            seconds = max(seconds, np.int64(word & _LOW))
            break
        if (word & _LOW) < (copies[oldest] & _LOW):
            oldest = base + at
        at += 1
        if at == capacity:
            at = 0
    place = oldest if place < 0 else place
    if copies[place] != tag | np.uint64(seconds):
        copies[place] = tag | np.uint64(seconds)
        _note(tables.words, tables.changed[2], tables.places[2], DIRTY_COPIES, place)
    return found


@kernel
def recognize_rows(tables: Tables, rows: Rows, decided: Decided, lag: Any, known: Known) -> Any:
    """Say what is known of each row and then count it; return how many of the decided events were taken in."""
    words = tables.words
    taken = 0
    for row in range(len(rows.time)):
        time = rows.time[row]
        if words[BEGUN] == 0:
            words[BEGUN] = 1
            words[WATERMARK] = words[PREVALENCE_MARK] = words[REPUTATION_MARK] = time
        words[WATERMARK] = max(words[WATERMARK], time)
        _move_landmarks(tables)
        while taken < len(decided.offset) and decided.offset[taken] <= rows.offset[row] - lag:
            _decide(tables, decided, taken)
            taken += 1
        now = _growth(words[WATERMARK], words[PREVALENCE_MARK], words[PREVALENCE_HALF])
        added = now
        if time != words[WATERMARK]:
            added = _growth(time, words[PREVALENCE_MARK], words[PREVALENCE_HALF])
        for kind in range(rows.combinations.shape[1]):
            key = rows.combinations[row, kind]
            known.seen[row, kind] = known.tail[row, kind] = np.nan
            if key != _EMPTY:
                known.seen[row, kind], known.tail[row, kind] = _count_combination(tables, kind, key, added, now)
        _look_up_entities(tables, rows, row, known)
        copied = 0
        seconds = min(max(time // 1_000, 1), 0xFFFFFFFF)
        for kind in range(rows.copies.shape[1]):
            key = rows.copies[row, kind]
            if key != _EMPTY and _is_copy(tables, key, seconds):
                copied |= 1 << kind
        known.copied[row] = copied
    return taken
