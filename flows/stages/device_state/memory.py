"""The arrays of a state as the kernels see them: by their addresses, which are words of the state.

So one pointer is all that kernels hand to each other, and nothing counts references. Handing over arrays made compiling
take twice as long, and counting their references took a third of the time of a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array, populate_array
from numba.np.numpy_support import from_dtype

from flows.stages.device_state import layout
from schemas.activity_statistics import STATISTICS

_ENDLESS = 1 << 40
_INT = ir.IntType(64)
_WORDS = types.CPointer(types.int64)


@intrinsic
def _words_at(typing: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(_WORDS))

    return _WORDS(address), generate


@intrinsic
def _word_at(typing: Any, address: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], ir.PointerType(_INT)))

    return types.int64(types.int64), generate


def _shaped_at(kind: types.Array, size: Any) -> Any:
    """Return a compiled function from an address, rows, and a width or a stride in bytes, to an array there."""

    @intrinsic
    def shaped(typing: Any, address: Any, rows: Any, other: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address, rows, other = arguments
            item = ir.Constant(_INT, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
            made = make_array(kind)(context, builder)
            shape, strides = size(builder, item, rows, other)
            populate_array(
                made,
                data=builder.inttoptr(address, made.data.type),
                shape=cgutils.pack_array(builder, shape),
                strides=cgutils.pack_array(builder, strides),
                itemsize=item,
                meminfo=None,
            )
            return made._getvalue()

        return kind(types.int64, types.int64, types.int64), generate

    return shaped


def matrix_at(dtype: Any) -> Any:
    """Return a compiled function from an address, rows and a width to the matrix that lies there; it owns nothing."""
    kind = types.Array(from_dtype(np.dtype(dtype)), 2, "C")
    return _shaped_at(kind, lambda builder, item, rows, width: ([rows, width], [builder.mul(item, width), item]))


def column_at(dtype: Any) -> Any:
    """Return a compiled function from an address, rows and a stride to the column that lies there; it owns nothing."""
    kind = types.Array(from_dtype(np.dtype(dtype)), 1, "A")
    return _shaped_at(kind, lambda builder, item, rows, stride: ([rows], [stride]))


def vector_at(dtype: Any) -> Any:
    """Return a compiled function from an address, a length and 0 to the vector that lies there; it owns nothing."""
    kind = types.Array(from_dtype(np.dtype(dtype)), 1, "C")
    return _shaped_at(kind, lambda builder, item, rows, _: ([rows], [item]))


def _array_at(context: Any, builder: Any, kind: types.Array, words: Any, word: Any, width: int) -> Any:
    """Generate the array, [n] or [n, width], whose address is a word of the state; it owns nothing."""
    address = builder.load(builder.gep(words, [word]))
    item = context.get_abi_sizeof(context.get_data_type(kind.dtype))
    shape = [_ENDLESS, width][: kind.ndim]
    strides = [item * width, item][-kind.ndim :] if kind.ndim == 2 else [item]
    made = make_array(kind)(context, builder)
    populate_array(
        made,
        data=builder.inttoptr(address, made.data.type),
        shape=cgutils.pack_array(builder, [ir.Constant(_INT, each) for each in shape]),
        strides=cgutils.pack_array(builder, [ir.Constant(_INT, each) for each in strides]),
        itemsize=ir.Constant(_INT, item),
        meminfo=None,
    )
    return made._getvalue()


def _view(word: int, dtype: Any, width: int = 0) -> Any:
    """Return a compiled function from a state to the array whose address is a word of it."""
    kind = types.Array(from_dtype(np.dtype(dtype)), 2 if width else 1, "C")

    @intrinsic
    def view(typing: Any, state: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return _array_at(context, builder, kind, arguments[0], ir.Constant(_INT, word), max(1, width))

        return kind(state), generate

    return view


def _table_view(field: int, dtype: Any) -> Any:
    """Return a compiled function from a state and a table's number to an array of the table."""
    kind = types.Array(from_dtype(np.dtype(dtype)), 1, "C")

    @intrinsic
    def view(typing: Any, state: Any, table: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            number = context.cast(builder, arguments[1], signature.args[1], types.int64)
            at = builder.mul(number, ir.Constant(_INT, layout.TABLE_WORDS))
            at = builder.add(at, ir.Constant(_INT, layout.TABLES + field))
            return _array_at(context, builder, kind, arguments[0], at, 1)

        return kind(state, table), generate

    return view


words_at: Any = _words_at
word_at: Any = _word_at  # compiled code gives intrinsics no context, so their types are not those of Python
tags_of = _table_view(layout.TAGS, np.uint64)
values_of = _table_view(layout.VALUES_AT, np.uint32)

devices_of = _view(layout.DEVICES, np.int64, layout.DEVICE_WORDS)
devices_32_of = _view(layout.DEVICES, np.uint32, 2 * layout.DEVICE_WORDS)
devices_f_of = _view(layout.DEVICES, np.float32, 2 * layout.DEVICE_WORDS)
devices_8_of = _view(layout.DEVICES, np.uint8, 8 * layout.DEVICE_WORDS)
pool_of = _view(layout.POOL, np.int64, 3)
heavy_of = _view(layout.HEAVY, np.int64, layout.HEAVY_WORDS)
sessions_of = _view(layout.SESSIONS, np.int64, layout.SESSION_WORDS)
sessions_32_of = _view(layout.SESSIONS, np.uint32, 2 * layout.SESSION_WORDS)
sessions_f_of = _view(layout.SESSIONS, np.float64, layout.SESSION_WORDS)
pending_offset_of = _view(layout.PENDING_OFFSET, np.int64)
pending_tag_of = _view(layout.PENDING_TAG, np.uint64)
pending_score_of = _view(layout.PENDING_SCORE, np.float32)
journal_of = _view(layout.JOURNAL, np.int64, layout.JOURNAL_WORDS)
journal_f_of = _view(layout.JOURNAL, np.float32, 2 * layout.JOURNAL_WORDS)
scratch_of = _view(layout.SCRATCH, np.uint64)
scratch_32_of = _view(layout.SCRATCH, np.uint32)

tally_of = _view(layout.TALLY, np.uint64)
codes_of = _view(layout.CODES, np.int64, 4)
in_occurred_of = _view(layout.IN_OCCURRED, np.int64)
in_received_of = _view(layout.IN_RECEIVED, np.int64)
in_appended_of = _view(layout.IN_APPENDED, np.int64)
in_offset_of = _view(layout.IN_OFFSET, np.int64)
in_event_of = _view(layout.IN_EVENT, np.uint64, 2)
in_device_of = _view(layout.IN_DEVICE, np.uint64, 2)
in_session_of = _view(layout.IN_SESSION, np.uint64, 2)
in_address_of = _view(layout.IN_ADDRESS, np.uint64, 2)
in_merchant_of = _view(layout.IN_MERCHANT, np.uint64)
in_account_of = _view(layout.IN_ACCOUNT, np.uint64)
in_country_of = _view(layout.IN_COUNTRY, np.uint16)
in_latitude_of = _view(layout.IN_LATITUDE, np.float32)
in_longitude_of = _view(layout.IN_LONGITUDE, np.float32)
log_offsets_of = _view(layout.LOG_OFFSETS, np.int64)
log_time_of = _view(layout.LOG_TIME, np.uint32)
log_value_of = _view(layout.LOG_VALUE, np.float32)
log_code_of = _view(layout.LOG_CODE, np.uint16)
log_target_of = _view(layout.LOG_TARGET, np.uint8)
code_category_of = _view(layout.CODE_CATEGORY, np.uint8)
code_counted_of = _view(layout.CODE_COUNTED, np.uint8)
code_on_cards_of = _view(layout.CODE_ON_CARDS, np.uint8)
code_summed_of = _view(layout.CODE_SUMMED, np.uint8)
code_card_of = _view(layout.CODE_CARD, np.uint8)

out_fate_of = _view(layout.OUT_FATE, np.uint8)
out_counts_of = _view(layout.OUT_COUNTS, np.uint32, 18)
out_first_of = _view(layout.OUT_FIRST, np.int64)
out_previous_of = _view(layout.OUT_PREVIOUS, np.int64)
out_life_of = _view(layout.OUT_LIFE, np.uint32)
out_hours_of = _view(layout.OUT_HOURS, np.uint8, 24)
out_scores_of = _view(layout.OUT_SCORES, np.float32, 4)
out_latitude_of = _view(layout.OUT_LATITUDE, np.float32, 3)
out_longitude_of = _view(layout.OUT_LONGITUDE, np.float32, 3)
out_place_at_of = _view(layout.OUT_PLACE_AT, np.int64, 3)
out_session_events_of = _view(layout.OUT_SESSION_EVENTS, np.uint32)
out_session_started_of = _view(layout.OUT_SESSION_STARTED, np.int64)
out_statistics_of = _view(layout.OUT_STATISTICS, np.float32, len(STATISTICS))

scored_device_of = _view(layout.SCORED_DEVICE, np.uint64, 2)
scored_offset_of = _view(layout.SCORED_OFFSET, np.int64)
scored_score_of = _view(layout.SCORED_SCORE, np.float32)
