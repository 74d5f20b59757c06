"""The arrays of a state as the kernels see them: by their addresses, which are words of the state.

So one array is all that kernels hand to each other. Handing over the arrays themselves made compiling take five times
as long, and each call count references.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from flows.stages.device_state import layout
from flows.stages.device_state.compiled import step
from schemas.activity_statistics import COUNTS, SUMS

_ENDLESS = 1 << 40
_array: Any = numba.carray


@intrinsic  # type: ignore[untyped-decorator] # numba's annotations are not read, see pyproject.toml
def _as_pointer(context: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(address), generate


_pointer: Any = _as_pointer  # compiled code leaves the context out


def _column(word: int, dtype: Any) -> Any:
    """Return a function from a state to the array, [n], whose address is a word of it."""

    @step
    def column(state: Any) -> Any:
        return _array(_pointer(state[word]), (_ENDLESS,), dtype)

    return column


def _records(word: int, dtype: Any, width: int) -> Any:
    """Return a function from a state to the array, [n, width], whose address is a word of it."""

    @step
    def records(state: Any) -> Any:
        return _array(_pointer(state[word]), (_ENDLESS, width), dtype)

    return records


devices_of = _records(layout.DEVICES, np.int64, layout.DEVICE_WORDS)
devices_32_of = _records(layout.DEVICES, np.uint32, 2 * layout.DEVICE_WORDS)
devices_f_of = _records(layout.DEVICES, np.float32, 2 * layout.DEVICE_WORDS)
devices_8_of = _records(layout.DEVICES, np.uint8, 8 * layout.DEVICE_WORDS)
pool_of = _records(layout.POOL, np.int64, 3)
heavy_of = _records(layout.HEAVY, np.int64, layout.HEAVY_WORDS)
sessions_of = _records(layout.SESSIONS, np.int64, layout.SESSION_WORDS)
sessions_32_of = _records(layout.SESSIONS, np.uint32, 2 * layout.SESSION_WORDS)
sessions_f_of = _records(layout.SESSIONS, np.float64, layout.SESSION_WORDS)
pending_offset_of = _column(layout.PENDING_OFFSET, np.int64)
pending_tag_of = _column(layout.PENDING_TAG, np.uint64)
pending_score_of = _column(layout.PENDING_SCORE, np.float32)
journal_of = _records(layout.JOURNAL, np.int64, layout.JOURNAL_WORDS)
journal_f_of = _records(layout.JOURNAL, np.float32, 2 * layout.JOURNAL_WORDS)
scratch_of = _column(layout.SCRATCH, np.uint64)

in_event_of = _records(layout.IN_EVENT, np.uint64, 2)
in_device_of = _records(layout.IN_DEVICE, np.uint64, 2)
in_session_of = _records(layout.IN_SESSION, np.uint64, 2)
in_merchant_of = _column(layout.IN_MERCHANT, np.uint64)
log_time_of = _column(layout.LOG_TIME, np.uint32)
log_value_of = _column(layout.LOG_VALUE, np.float32)
log_code_of = _column(layout.LOG_CODE, np.uint16)
log_target_of = _column(layout.LOG_TARGET, np.uint8)
code_category_of = _column(layout.CODE_CATEGORY, np.uint8)
code_counted_of = _column(layout.CODE_COUNTED, np.uint8)
code_on_cards_of = _column(layout.CODE_ON_CARDS, np.uint8)
code_summed_of = _column(layout.CODE_SUMMED, np.uint8)
code_card_of = _column(layout.CODE_CARD, np.uint8)

out_counts_of = _records(layout.OUT_COUNTS, np.uint32, 18)
out_first_of = _column(layout.OUT_FIRST, np.int64)
out_previous_of = _column(layout.OUT_PREVIOUS, np.int64)
out_life_of = _column(layout.OUT_LIFE, np.uint32)
out_hours_of = _records(layout.OUT_HOURS, np.uint8, 24)
out_scores_of = _records(layout.OUT_SCORES, np.float32, 4)
out_latitude_of = _records(layout.OUT_LATITUDE, np.float32, 3)
out_longitude_of = _records(layout.OUT_LONGITUDE, np.float32, 3)
out_place_at_of = _records(layout.OUT_PLACE_AT, np.int64, 3)
out_session_events_of = _column(layout.OUT_SESSION_EVENTS, np.uint32)
out_session_started_of = _column(layout.OUT_SESSION_STARTED, np.int64)
out_session_counts_of = _records(layout.OUT_SESSION_COUNTS, np.uint32, len(COUNTS))
out_session_sums_of = _records(layout.OUT_SESSION_SUMS, np.float64, len(SUMS))


@step
def tags_of(state: Any, table: Any) -> Any:
    """Return the tags of a table."""
    address = state[layout.TABLES + table * layout.TABLE_WORDS + layout.TAGS]
    return _array(_pointer(address), (_ENDLESS,), np.uint64)


@step
def values_of(state: Any, table: Any) -> Any:
    """Return the values of a table."""
    address = state[layout.TABLES + table * layout.TABLE_WORDS + layout.VALUES_AT]
    return _array(_pointer(address), (_ENDLESS,), np.uint32)
