"""Compiles the loops of velocity, or loads them: part of ``infra.compiled_loops``."""

from __future__ import annotations

import numpy as np

from flows.stages.device_state.layout import DAY, RowsIn
from flows.stages.device_state.state import DeviceState, Durations, rows_out
from flows.stages.entity_hashes import ValueHashes
from schemas.velocity import SLICES

_DURATIONS = Durations(lateness=1, hours_kept=1, idle=2 * DAY, session_idle=1)


def compile_kernels() -> None:
    """Count a row, write the state, and read it into another one: whatever Python calls is compiled then."""
    state = DeviceState(_DURATIONS, salt=1)
    state.begin_journal()
    state.count(_one_row(), rows_out(1), 0, 1)
    state.note(np.ones(1, np.uint64), np.zeros(1, np.uint64), np.zeros(1, np.int64))
    state.note_scores((np.zeros((1, 16), np.uint8), np.zeros(1, np.int64), np.zeros(1, np.float32)), 0, 1)
    journal = state.take_journal()
    columns = state.write(0, SLICES)
    copy = DeviceState(_DURATIONS, salt=1)
    here = np.zeros(SLICES, np.bool_)
    copy.read(state.watermark, columns, here)
    if journal is None:
        raise AssertionError("a journal that was just begun has not outgrown its limit")
    copy.repeat(journal.rows, ~here)
    copy.replace_sessions(journal.sessions, ~here)
    ValueHashes({"device": 16}, b"key")(np.ones((1, 1, 2), np.uint64))


def _one_row() -> RowsIn:
    ids, hashes, days = np.ones((1, 16), np.uint8), np.ones(1, np.uint64), np.full(1, DAY, np.int64)
    return RowsIn(
        occurred_at=days,
        received_at=days,
        appended_at=days,
        offset=np.zeros(1, np.int64),
        event=ids,
        device=ids,
        session=ids,
        address=ids,
        merchant=hashes,
        account=hashes,
        country=np.zeros(1, np.uint16),
        latitude=np.zeros(1, np.float32),
        longitude=np.zeros(1, np.float32),
        log_offsets=np.zeros(2, np.int64),
        log_time=np.empty(0, np.uint32),
        log_value=np.empty(0, np.float32),
        log_code=np.empty(0, np.uint16),
        log_target=np.empty(0, np.uint8),
    )
