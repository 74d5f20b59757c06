"""The loop over rows, compiled. All that it is compiled with stands in this file, ``hashes`` and ``device_state``.

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
from typing import Any

import numpy as np

from flows.stages.device_state.compiled import step
from flows.stages.device_state.memory import vector_at
from flows.stages.device_state.pointers import NOT_PLAIN, are_plain, matrix_in, numbers_of, vector_in
from flows.stages.recognize.hashes import kernel, put_entities, put_times
from flows.stages.recognize.layout import (
    BEGUN,
    COPY_SECONDS,
    DECIDED_HEAD,
    DECIDED_LENGTH,
    DECIDED_TAIL,
    DIRTY_COPIES,
    DIRTY_PREVALENCE,
    DIRTY_REPUTATION,
    FETCHED,
    LEAST_WEIGHT,
    LEVELS,
    PREVALENCE_HALF,
    PREVALENCE_MARK,
    PROBED,
    REPUTATION_HALF,
    REPUTATION_MARK,
    ROWS,
    SPAN,
    STATE_WORDS,
    TOLD,
    UNSEEN,
    WATERMARK,
    Decided,
    Known,
    Rows,
    Tables,
    decided_at,
    tables_at,
)
from schemas.batches import U8, U32, U64
from schemas.recognition import REPUTED
from schemas.velocity import SLICE_BITS, SLICES

_TERMS = tuple(math.log(2) ** power / math.factorial(power) for power in range(9))  # of 2 ** x about 0: 1e-7 at 1
_LOWEST, _HIGHEST = -1_000, 1_000  # powers of two that a double holds
_TOP, _MIDDLE = np.uint64(64 - SLICE_BITS), np.uint64(32 - SLICE_BITS)
_LOW, _SECONDS, _EMPTY = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(0)
_TINY, _AHEAD = 2.0**-100, 64  # rows whose memory is asked for before the first of them is counted
_ROW_NUMBERS, _TOLD_NUMBERS = numbers_of(ROWS), numbers_of(TOLD)
_words_at = vector_at(np.int64)
_i64_in, _u8_in, _u32_in, _u64_in = vector_in(np.int64), vector_in(np.uint8), vector_in(np.uint32), matrix_in(np.uint64)
_f32_in, _f64_in, _ids_in = matrix_in(np.float32), matrix_in(np.float64), matrix_in(np.uint64, 2)


@step
def _growth(time: Any, landmark: Any, half_life: Any) -> Any:
    """Return 2 ** ((time - landmark) / half_life)."""
    halves = np.float64(time - landmark) / np.float64(half_life)
    whole = math.floor(halves)
    part = halves - whole
    value = _TERMS[-1]
    for term in _TERMS[-2::-1]:
        value = value * part + term
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


@step
def _count_combinations(tables: Tables, rows: Rows, row: Any, known: Known) -> None:
    words, time = tables.words, rows.time[row]
    now = _growth(words[WATERMARK], words[PREVALENCE_MARK], words[PREVALENCE_HALF])
    added = now
    if time != words[WATERMARK]:
        added = _growth(time, words[PREVALENCE_MARK], words[PREVALENCE_HALF])
    for kind in range(rows.combinations.shape[1]):
        key = rows.combinations[row, kind]
        known.seen[row, kind] = known.tail[row, kind] = np.nan
        if key != _EMPTY:
            known.seen[row, kind], known.tail[row, kind] = _count_combination(tables, kind, key, added, now)


@step
def _copied(tables: Tables, rows: Rows, row: Any) -> Any:
    copied = 0
    seconds = min(max(rows.time[row] // 1_000, 1), 0xFFFFFFFF)
    for kind in range(rows.copies.shape[1]):
        key = rows.copies[row, kind]
        if key != _EMPTY and _is_copy(tables, key, seconds):
            copied |= 1 << kind
    return copied


@step
def _at_home(keys: Any, key: Any) -> Any:
    """Return what lies where the search for a key begins."""
    base, _, at = _home(keys, key)
    return keys[base + at]


@step
def _fetch(tables: Tables, rows: Rows, first: Any, end: Any) -> None:
    """Touch what rows will need: the loads of many rows wait for memory at the same time, those of one in turn."""
    touched = _EMPTY
    for row in range(first, end):
        for kind in range(rows.combinations.shape[1]):
            touched ^= _at_home(tables.combinations, rows.combinations[row, kind])
        for kind in range(rows.entities.shape[1]):
            touched ^= _at_home(tables.entities, rows.entities[row, kind])
        for kind in range(rows.copies.shape[1]):
            touched ^= _at_home(tables.copies, rows.copies[row, kind])
    tables.words[FETCHED] = np.int64(touched)


@kernel
def recognize_rows(state: int, given: int, told: int, lag: int, first: int, end: int) -> int:
    """Say what is known of each row of a part and then count it; what is decided and so seen is taken in.

    ``state`` is the address of a state's words, ``given`` and ``told`` are the ids of Rows and Known: see ``pointers``.
    """
    if not are_plain(given, _ROW_NUMBERS):
        return NOT_PLAIN
    tables = tables_at(state)
    rows = Rows(_i64_in(given, 0), _i64_in(given, 1), _u64_in(given, 2), _u64_in(given, 3), _u64_in(given, 4))
    known = Known(_f32_in(told, 0), _f32_in(told, 1), _f64_in(told, 2), _f64_in(told, 3), _u8_in(told, 4))
    words, taken = tables.words, 0
    decided = decided_at(words, words[DECIDED_HEAD], words[DECIDED_TAIL])
    for row in range(first, end):
        if (row - first) % _AHEAD == 0:
            _fetch(tables, rows, row, min(row + _AHEAD, end))
        time = rows.time[row]
        if words[BEGUN] == 0:
            words[BEGUN] = 1
            words[WATERMARK] = words[PREVALENCE_MARK] = words[REPUTATION_MARK] = time
        words[WATERMARK] = max(words[WATERMARK], time)
        _move_landmarks(tables)
        while taken < len(decided.offset) and decided.offset[taken] <= rows.offset[row] - lag:
            _decide(tables, decided, taken)
            taken += 1
        _count_combinations(tables, rows, row, known)
        _look_up_entities(tables, rows, row, known)
        known.copied[row] = _copied(tables, rows, row)
    words[DECIDED_HEAD] += taken
    return 0


@kernel
def note_decided(state: int, told: int, deny: int, first: int, end: int) -> int:
    """Keep decisions of some rows for those to come; return whether there was room. ``told``: id of a ``TOLD``."""
    if not are_plain(told, _TOLD_NUMBERS):
        return NOT_PLAIN
    words = _words_at(state, STATE_WORDS, 0)
    offset, decision = _i64_in(told, 0), _u8_in(told, 6)
    head, rows = words[DECIDED_HEAD], end - first
    waiting = words[DECIDED_TAIL] - head
    if 2 * (waiting + rows) > words[DECIDED_LENGTH]:
        return 0
    if words[DECIDED_TAIL] + rows > words[DECIDED_LENGTH]:
        _move_decided(decided_at(words, head, head + waiting), decided_at(words, 0, waiting))
        words[DECIDED_HEAD], words[DECIDED_TAIL] = 0, waiting
    kept = decided_at(words, words[DECIDED_TAIL], words[DECIDED_TAIL] + rows)
    put_times(_i64_in(told, 1), _i64_in(told, 2), _i64_in(told, 3), first, kept.time)
    put_entities(_ids_in(told, 4), _u32_in(told, 5), first, kept.entities)
    for row in range(rows):
        kept.offset[row], kept.denied[row] = offset[first + row], decision[first + row] == deny
    words[DECIDED_TAIL] += rows
    return 1


@step
def _move_decided(source: Decided, target: Decided) -> None:
    """Copy from the first to the last: the target lies before."""
    for row in range(len(source.offset)):
        target.offset[row], target.time[row] = source.offset[row], source.time[row]
        target.denied[row] = source.denied[row]
        for kind in range(len(REPUTED)):
            target.entities[row, kind] = source.entities[row, kind]
