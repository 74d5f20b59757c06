"""Tables of tags: found, added, removed, and grown a slice at a time.

A place follows from the bits below those of a tag's slice by multiplication, so a slice has any number of places and
its tags lie in the order of their bits. When three quarters of a slice are in use, the table grows: slices move up
from the last to the first, within the same arrays, one for every so many rows. What is removed leaves no mark: tags
behind it move back.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.stages.device_state.compiled import step
from flows.stages.device_state.layout import (
    BOUNDARY,
    CAPACITY,
    COUNTS_AT,
    CREDIT,
    NEXT_CAPACITY,
    TABLE_WORDS,
    TABLES,
    USED,
    WANTS,
)
from flows.stages.device_state.memory import scratch_of, tags_of, values_of
from schemas.velocity import SLICE_BITS, SLICES

_TOP, _BELOW, _HALF = np.uint64(64 - SLICE_BITS), np.uint64(32 - SLICE_BITS), np.uint64(32)
_LOW = np.uint64(0xFFFFFFFF)
_SHIFT = np.uint64(33)
_FIRST, _SECOND = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53)
_EMPTY = np.uint64(0)
_MOVED_PER_ROW = 64


@step
def mix(word: Any) -> Any:
    """Return the finaliser of MurmurHash3 (Appleby), a bijection of 64 bits."""
    word ^= word >> _SHIFT
    word *= _FIRST
    word ^= word >> _SHIFT
    word *= _SECOND
    return word ^ (word >> _SHIFT)


@step
def word(table: Any, field: Any) -> Any:
    """Return which word of a state describes a table so."""
    return TABLES + table * TABLE_WORDS + field


@step
def slice_of(tag: Any) -> Any:
    return np.int64(tag >> _TOP)


@step
def _home(tag: Any, capacity: Any) -> Any:
    return np.int64((((tag >> _BELOW) & _LOW) * np.uint64(capacity)) >> _HALF)


@step
def capacity_of(state: Any, table: Any, part: Any) -> Any:
    return state[word(table, NEXT_CAPACITY)] if part >= state[word(table, BOUNDARY)] else state[word(table, CAPACITY)]


@step
def find(state: Any, table: Any, tag: Any) -> Any:
    """Return the place of a tag, -1 where it is not there."""
    tags = tags_of(state, table)
    part = slice_of(tag)
    capacity = capacity_of(state, table, part)
    base = part * capacity
    at = _home(tag, capacity)
    while True:
        found = tags[base + at]
        if found == tag:
            return base + at
        if found == _EMPTY:
            return -1
        at += 1
        if at == capacity:
            at = 0


@step
def first_place(state: Any, table: Any, tag: Any) -> Any:
    """Return where a search for a tag begins."""
    part = slice_of(tag)
    capacity = capacity_of(state, table, part)
    return part * capacity + _home(tag, capacity)


@step
def _put(state: Any, table: Any, tag: Any, value: Any, base: Any, capacity: Any) -> None:
    tags = tags_of(state, table)
    values = values_of(state, table)
    at = _home(tag, capacity)
    while tags[base + at] != _EMPTY:
        at += 1
        if at == capacity:
            at = 0
    tags[base + at] = tag
    values[base + at] = value


@step
def is_growing(state: Any, table: Any) -> Any:
    return state[word(table, NEXT_CAPACITY)] != state[word(table, CAPACITY)]


@step
def _move_slice(state: Any, table: Any) -> None:
    """Move the last slice that was not moved yet: where it goes, only places that it left itself are in use."""
    tags = tags_of(state, table)
    values = values_of(state, table)
    scratch = scratch_of(state)
    part = state[word(table, BOUNDARY)] - 1
    old, new = state[word(table, CAPACITY)], state[word(table, NEXT_CAPACITY)]
    moved = 0
    for at in range(part * old, (part + 1) * old):
        if tags[at] != _EMPTY:
            scratch[2 * moved] = tags[at]
            scratch[2 * moved + 1] = np.uint64(values[at])
            tags[at] = _EMPTY
            moved += 1
    for at in range(moved):
        _put(state, table, scratch[2 * at], np.uint32(scratch[2 * at + 1]), part * new, new)
    state[word(table, BOUNDARY)] = part
    if part == 0:
        state[word(table, CAPACITY)] = new
        state[word(table, BOUNDARY)] = SLICES


@step
def finish_growth(state: Any, table: Any) -> None:
    while is_growing(state, table):
        _move_slice(state, table)


@step
def insert(state: Any, table: Any, tag: Any, value: Any) -> None:
    """Add a tag that is not there. A slice that is filling up asks for growth; one that is full takes no more."""
    part = slice_of(tag)
    count = state[COUNTS_AT + table * SLICES + part]
    if is_growing(state, table):
        if count * 16 >= capacity_of(state, table, part) * 15:
            while is_growing(state, table) and part < state[word(table, BOUNDARY)]:
                _move_slice(state, table)
            if count * 16 >= capacity_of(state, table, part) * 15:
                finish_growth(state, table)
                state[word(table, WANTS)] = 1
    elif count * 4 >= state[word(table, CAPACITY)] * 3:
        state[word(table, WANTS)] = 1
    capacity = capacity_of(state, table, part)
    if state[COUNTS_AT + table * SLICES + part] >= capacity - 1:
        return
    _put(state, table, tag, value, part * capacity, capacity)
    state[COUNTS_AT + table * SLICES + part] += 1
    state[word(table, USED)] += 1


@step
def remove(state: Any, table: Any, place: Any) -> None:
    """Remove the tag at a place."""
    tags = tags_of(state, table)
    values = values_of(state, table)
    part = slice_of(tags[place])
    capacity = capacity_of(state, table, part)
    base = part * capacity
    hole = place - base
    at = hole
    while True:
        at += 1
        if at == capacity:
            at = 0
        tag = tags[base + at]
        if tag == _EMPTY:
            break
        home = _home(tag, capacity)
        stays = hole < home <= at if hole <= at else home > hole or home <= at
        if not stays:
            tags[base + hole] = tag
            values[base + hole] = values[base + at]
            hole = at
    tags[base + hole] = _EMPTY
    state[COUNTS_AT + table * SLICES + part] -= 1
    state[word(table, USED)] -= 1


@step
def grow_on(state: Any, table: Any, rows: Any) -> None:
    """Go on with a growth, as much as some rows pay for."""
    if is_growing(state, table):
        state[word(table, CREDIT)] += _MOVED_PER_ROW * rows
        while is_growing(state, table) and state[word(table, CREDIT)] >= state[word(table, CAPACITY)]:
            state[word(table, CREDIT)] -= state[word(table, CAPACITY)]
            _move_slice(state, table)


@step
def places_of(state: Any, table: Any) -> Any:
    """Return how many places a table has that does not grow now."""
    return SLICES * state[word(table, CAPACITY)]


@step
def value_at(state: Any, table: Any, place: Any) -> Any:
    return np.int64(values_of(state, table)[place])


@step
def set_value(state: Any, table: Any, place: Any, value: Any) -> None:
    values_of(state, table)[place] = np.uint32(value)


@step
def tag_at(state: Any, table: Any, place: Any) -> Any:
    return tags_of(state, table)[place]


@step
def slice_count(state: Any, table: Any, part: Any) -> Any:
    return state[COUNTS_AT + table * SLICES + part]


@step
def wants_growth(state: Any, table: Any) -> Any:
    return state[word(table, WANTS)]
