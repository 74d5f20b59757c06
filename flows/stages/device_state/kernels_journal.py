"""What a journal says, repeated; and what is noted of rows without counting them."""

from __future__ import annotations

from typing import Any

import numpy as np

from flows.stages.device_state.compiled import kernel
from flows.stages.device_state.kernels_devices import add_event, add_score
from flows.stages.device_state.kernels_rows import (
    is_known,
    is_short,
    keep_up,
    note,
    point,
    remember_id,
    tag_of,
)
from flows.stages.device_state.kernels_tables import find, grow_on, slice_of
from flows.stages.device_state.layout import (
    BY_TAG,
    COUNTED,
    DROPPED,
    EVENTS,
    HOUR,
    IDS,
    J_NOTED,
    J_SCORE,
    J_WATERMARK,
    LATEST,
    OUT_FATE,
    OUT_STATISTICS,
    PENDING_HEAD,
    PENDING_LENGTH,
    PENDING_TAIL,
    SALT,
    SCORED,
    SCORED_DEVICE,
    SCORED_SCORE,
    VALUES,
    WATERMARK,
)
from flows.stages.device_state.memory import (
    journal_of,
    pending_offset_of,
    pending_score_of,
    pending_tag_of,
    scored_device_of,
    scored_offset_of,
    scored_score_of,
    words_at,
)
from flows.stages.device_state.pointers import NOT_PLAIN, are_plain, numbers_of

_SCORED_NUMBERS = numbers_of(SCORED)


@kernel
def note_scores(words: int, columns: int, first: int, end: int) -> int:
    """Keep scores of a part of the rows for rows to come, by the devices' tags; return how many.

    None where ``pending`` has no room.

    ``columns`` is the id of a tuple of devices uint8[n, 16], offsets and scores: see ``pointers``.
    """
    if not are_plain(columns, _SCORED_NUMBERS):
        return NOT_PLAIN
    state = words_at(words)
    head, tail = state[PENDING_HEAD], state[PENDING_TAIL]
    waiting, rows = tail - head, end - first
    if 2 * (waiting + rows) > state[PENDING_LENGTH]:
        return 0
    offset, tag, score = pending_offset_of(state), pending_tag_of(state), pending_score_of(state)
    if tail + rows > state[PENDING_LENGTH]:
        for each in range(waiting):
            offset[each], tag[each], score[each] = offset[head + each], tag[head + each], score[head + each]
        state[PENDING_HEAD], tail = 0, waiting
    point(state, columns, SCORED_DEVICE, SCORED_SCORE + 1)
    devices, offsets, scores = scored_device_of(state), scored_offset_of(state), scored_score_of(state)
    salt = np.uint64(state[SALT])
    for row in range(rows):
        offset[tail + row], score[tail + row] = offsets[first + row], scores[first + row]
        tag[tail + row] = tag_of(devices, first + row, salt)
    state[PENDING_TAIL] = tail + rows
    return rows


@kernel
def note_rows(words: Any, tags: Any, unless: Any, times: Any, fate: Any, first: Any, end: Any) -> Any:
    """Note tags as ids, and count nothing; return as ``count_rows`` does. One that came is DROPPED.

    So is one where the tag of ``unless`` came before, which is not noted; 0: none.
    """
    state = words_at(words.ctypes.data)
    journal = journal_of(state)
    for row in range(first, end):
        if is_short(state):
            return row
        keep_up(state)
        before = state[WATERMARK]
        watermark = max(before, 0, min(times[row], LATEST))
        state[WATERMARK] = watermark
        if watermark > before:
            note(state, J_WATERMARK, 0, watermark, 0, 0)
        place = find(state, IDS, tags[row])
        other = find(state, IDS, unless[row]) if unless[row] else -1
        came = place >= 0 and is_known(state, place, watermark // HOUR)
        if came or (other >= 0 and is_known(state, other, watermark // HOUR)):
            fate[row] = DROPPED
            continue
        fate[row] = COUNTED
        remember_id(state, tags[row], watermark // HOUR)
        at = note(state, J_NOTED, 0, 0, 0, 0)
        if at >= 0:
            journal[at, 5] = np.int64(tags[row])
    return end


@kernel
def repeat_journal(words: Any, rows: Any, rows_f: Any, loaded: Any, out: int, first: Any, end: Any) -> Any:
    """Do to the slices that are loaded, bool[SLICES], what a journal says; return as ``count_rows`` does.

    ``out`` is the id of a RowsOut of one row, which what an event is told goes to.
    """
    state = words_at(words.ctypes.data)
    point(state, out, OUT_FATE, OUT_STATISTICS + 1)
    for row in range(first, end):
        if is_short(state):
            return row
        grow_on(state, BY_TAG, 1)
        grow_on(state, IDS, 1)
        grow_on(state, VALUES, 1)
        kind = rows[row, 0]
        tag = np.uint64(rows[row, 1])
        if kind == J_WATERMARK:
            state[WATERMARK] = max(state[WATERMARK], rows[row, 2])
        elif kind == J_SCORE:
            if loaded[slice_of(tag)]:
                add_score(state, tag, rows_f[row, 14])
        elif kind == J_NOTED:
            noted = np.uint64(rows[row, 5])
            if loaded[slice_of(noted)]:
                remember_id(state, noted, state[WATERMARK] // HOUR)
        else:
            word_0 = rows[row, 2]
            state[WATERMARK] = max(state[WATERMARK], word_0 >> 21)
            event = np.uint64(rows[row, 5])
            if loaded[slice_of(event)]:
                remember_id(state, event, state[WATERMARK] // HOUR)
            if loaded[slice_of(tag)]:
                state[EVENTS] += 1
                add_event(state, tag, word_0, rows[row, 3], rows[row, 4], rows_f[row, 14], rows_f[row, 15], 0)
    return end
