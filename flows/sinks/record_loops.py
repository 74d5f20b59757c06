"""The loop that writes the results of a batch as JSON, compiled: columns and pieces in, one run of bytes out.

What it writes is what msgspec writes of ``schemas.result.Result``, byte for byte; a test compares them. Columns and
pieces are read where they lie (``device_state.pointers``): to take over half a hundred arrays took as long as to write
four rows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from flows.sinks import record_parts
from flows.sinks.record_parts import DECIMALS, put, put_again, put_hex, put_natural, put_null, put_rounded, put_whole
from flows.stages.device_state.compiled import SOURCES, kernels_of, part, step
from flows.stages.device_state.pointers import NOT_PLAIN, are_plain, matrix_in, numbers_of, vector_in
from schemas import fragments
from schemas.fragments import SPARE
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS

kernel = kernels_of(*SOURCES, *(Path(str(one)) for one in (__file__, record_parts.__file__, fragments.__file__)))
(
    EVENT, SESSION, DEVICE, MERCHANT, TRANSACTION, OCCURRED, RECEIVED, SCORE, SIGNALS, VERSIONS, ORIGIN, OFFSET, LEDGER,
    SHARED, ENTITY_END, HISTORY, FIRST_SEEN, PREVIOUS, SCORES, SCORES_END, SESSION_EVENTS, STARTED, COMMA,
    DECIDED,
) = range(24)  # fmt: skip
"""Places of pieces of the frame; from ``DECIDED`` on those of decisions, who decided, counts, and what is shared."""
ODD: Final = -2
SHORT: Final = -3
UNNAMED: Final = -4
"""Why nothing was written: a number that only msgspec writes, too little room, a version that has no piece yet; or
``NOT_PLAIN``, columns that are of other types or lie otherwise."""
_SURE: Final = 1e15  # whole numbers below it have a shortest decimal form of their own
_ROOM: Final = 22  # of a number
_HEX: Final = 96  # of three ids
_NUMBERS: Final = 12  # of a record, beside counts, marks, factors and earlier scores
_HIGHEST: Final = np.float32(100)
_LINE: Final = np.uint8(10)
_ENTITIES, _COUNTS, _SHARED = len(ENTITIES), len(KINDS) * len(WINDOWS), len(MEASURES) * len(WINDOWS)


class Rows(NamedTuple):
    """The columns of a batch: numbers that are written, and what stands where as numbers of pieces or finds them."""

    event: Any  # uint8[n, 16]
    session: Any
    device: Any
    occurred_at: Any  # int64[n]
    received_at: Any
    partition: Any  # int32[n]
    offset: Any  # int64[n]
    ledger: Any  # int64[n, M]
    velocity: Any  # uint32[n, K, W], K x W wide here
    shared: Any  # float32[n, E, 2, W], E x 2 x W wide here, NaN where not known
    unknown: Any  # bool[n]: what is shared could not be asked
    history: Any  # uint32[n]: events of its life
    first_seen_at: Any  # int64[n]
    previous_at: Any  # int64[n], -1 where none
    earlier: Any  # float32[n, SCORES_KEPT], NaN where fewer
    events: Any  # uint32[n]: of the session
    started_at: Any  # int64[n]
    score: Any  # float32[n]
    added: Any  # float32[n]: points of rules
    contribution: Any  # float32[n, F]
    factor: Any  # int32[n, F]: a piece, -1 where fewer
    signal: Any  # int32[n, S]: a piece
    merchant: Any  # int32[n]: a piece
    model: Any  # uint8[n]
    catalogue: Any  # uint16[n]
    ruleset: Any  # int16[n]
    decision: Any  # uint8[n]
    by: Any
    by_policy: Any
    said: Any  # int32[n, 2]: pieces of what rules said and of what they could not ask, -1 where none looked; or [0, 2]


class Texts(NamedTuple):
    """The pieces, each as (text, bounds), and which of those with names stands for what."""

    frame: Any
    marks: Any
    factor: Any
    signal: Any
    named: Any  # merchants, versions, what rules said, what could not be asked
    versions: Any  # int64[V, 2]: of model, catalogue and ruleset in one number the piece
    silent: Any  # int32[BY, DECISIONS]: where no rule looked, by who decided and by what the policy alone would have
    degraded: Any  # int32[2]: where no rule looked, by whether what is shared could not be asked
    transaction: Any  # uint8: of each row as it stands in JSON, with a line feed behind it


COLUMNS: Final = (
    np.uint8, np.uint8, np.uint8, np.int64, np.int64, np.int32, np.int64, np.int64, np.uint32, np.float32, np.bool_,
    np.uint32, np.int64, np.int64, np.float32, np.uint32, np.int64, np.float32, np.float32, np.float32, np.int32,
    np.int32, np.int32, np.uint8, np.uint16, np.int16, np.uint8, np.uint8, np.uint8, np.int32,
)  # fmt: skip
"""The types of the columns of ``Rows``."""
_TYPES: Final = numbers_of(COLUMNS)
_TEXTS: Final = len(COLUMNS)  # where the arrays of Texts begin, text and bounds apart
_OUT: Final = _TEXTS + 14
_bytes_in, _bits_in, _small_in, _signed_in = (
    vector_in(np.uint8), vector_in(np.bool_), vector_in(np.uint16), vector_in(np.int16),
)  # fmt: skip
_i32_in, _u32_in, _i64_in, _f32_in = (
    vector_in(np.int32), vector_in(np.uint32), vector_in(np.int64), vector_in(np.float32),
)  # fmt: skip
_ids_in, _i32s_in, _i64s_in, _f32s_in = (
    matrix_in(np.uint8), matrix_in(np.int32), matrix_in(np.int64), matrix_in(np.float32),
)  # fmt: skip
_counts_in, _shared_in = matrix_in(np.uint32, _COUNTS), matrix_in(np.float32, _ENTITIES * _SHARED)


@part
def _rows_of(columns: Any) -> Any:
    """Return the columns of a tuple as Rows."""
    return Rows(
        _ids_in(columns, 0), _ids_in(columns, 1), _ids_in(columns, 2), _i64_in(columns, 3), _i64_in(columns, 4),
        _i32_in(columns, 5), _i64_in(columns, 6), _i64s_in(columns, 7), _counts_in(columns, 8), _shared_in(columns, 9),
        _bits_in(columns, 10), _u32_in(columns, 11), _i64_in(columns, 12), _i64_in(columns, 13), _f32s_in(columns, 14),
        _u32_in(columns, 15), _i64_in(columns, 16), _f32_in(columns, 17), _f32_in(columns, 18), _f32s_in(columns, 19),
        _i32s_in(columns, 20), _i32s_in(columns, 21), _i32_in(columns, 22), _bytes_in(columns, 23),
        _small_in(columns, 24), _signed_in(columns, 25), _bytes_in(columns, 26), _bytes_in(columns, 27),
        _bytes_in(columns, 28), _i32s_in(columns, 29),
    )  # fmt: skip


@part
def _pieces_of(columns: Any, place: Any) -> Any:
    return _bytes_in(columns, place), _i64_in(columns, place + 1)


@part
def _texts_of(columns: Any) -> Any:
    """Return the arrays behind the columns as Texts."""
    return Texts(
        _pieces_of(columns, _TEXTS), _pieces_of(columns, _TEXTS + 2), _pieces_of(columns, _TEXTS + 4),
        _pieces_of(columns, _TEXTS + 6), _pieces_of(columns, _TEXTS + 8), _i64s_in(columns, _TEXTS + 10),
        _i32s_in(columns, _TEXTS + 11), _i32_in(columns, _TEXTS + 12), _bytes_in(columns, _TEXTS + 13),
    )  # fmt: skip


@step
def _odd_number(value: Any) -> Any:
    return abs(np.float64(value)) * DECIMALS >= _SURE and np.isfinite(value)


@step
def _points(score: Any, added: Any) -> Any:
    """Return a score with the points of rules, as ``scoring.precedence.with_points`` does."""
    if added == 0:
        return score
    points = score + added
    if points < 0:
        return np.float32(0)
    return _HIGHEST if points > _HIGHEST else points


@step
def _is_odd(row: Any, rows: Any) -> Any:
    """Return whether a row has a number that is not written here."""
    score = rows.score[row]
    odd = _odd_number(score) or _odd_number(_points(score, rows.added[row]))
    for place in range(rows.contribution.shape[1]):
        odd = odd or _odd_number(rows.contribution[row, place])
    for place in range(rows.earlier.shape[1]):
        odd = odd or _odd_number(rows.earlier[row, place])
    for place in range(rows.shared.shape[1]):
        count = rows.shared[row, place]
        odd = odd or count < -0.5 or count >= 4294967296.0
    return odd


@step
def _version(row: Any, rows: Any, versions: Any) -> Any:
    """Return the piece of a row's version; where there is none yet, what it is found by, below 0."""
    word = np.int64(rows.model[row]) | np.int64(rows.catalogue[row]) << 8
    if len(rows.said) and rows.said[row, 0] >= 0:
        word |= np.int64(rows.ruleset[row] + 1) << 24
    for at in range(len(versions)):
        if versions[at, 0] == word:
            return versions[at, 1]
    return -1 - word


@step
def _said(row: Any, rows: Any, texts: Any) -> Any:
    """Return the pieces of what rules said, and of what could not be asked."""
    if len(rows.said) and rows.said[row, 0] >= 0:
        return np.int64(rows.said[row, 0]), np.int64(rows.said[row, 1])
    silent = texts.silent[rows.by[row], rows.by_policy[row]]
    return np.int64(silent), np.int64(texts.degraded[np.intp(rows.unknown[row])])


@step
def _length(pieces: Any, number: Any) -> Any:
    return pieces[1][number + 1] - pieces[1][number]


@step
def _most(row: Any, rows: Any, texts: Any, names: Any) -> Any:
    """Return how many bytes the pieces of a record take that are its own."""
    total = 0
    for number in names:
        total += _length(texts.named, number)
    for place in range(rows.factor.shape[1]):
        if rows.factor[row, place] >= 0:
            total += _length(texts.factor, rows.factor[row, place]) + 2
    for place in range(rows.signal.shape[1]):
        total += _length(texts.signal, rows.signal[row, place]) + 1
    return total


@step
def _most_beside(rows: Any, texts: Any) -> Any:
    """Return how many bytes anything else of a record takes."""
    numbers = _NUMBERS + rows.contribution.shape[1] + rows.earlier.shape[1] + rows.ledger.shape[1]
    numbers += rows.velocity.shape[1] + rows.shared.shape[1]
    return len(texts.frame[0]) + len(texts.marks[0]) + len(texts.transaction) + _ROOM * numbers + _HEX + SPARE


@step
def _put_factors(out: Any, at: Any, row: Any, rows: Any, texts: Any) -> Any:
    said = False
    for place in range(rows.factor.shape[1]):
        number = rows.factor[row, place]
        if number < 0:
            continue
        if said:
            out[at] = np.uint8(44)
            at += np.uintp(1)
        said = True
        at = put(out, at, texts.factor, number)
        at = put_rounded(out, at, rows.contribution[row, place])
        out[at] = np.uint8(125)
        at += np.uintp(1)
    return at


@step
def _put_line(out: Any, at: Any, text: Any, line: Any) -> Any:
    """Copy a line; return where the next one begins, here and there."""
    while text[line] != _LINE:
        out[at] = text[line]
        at += np.uintp(1)
        line += np.uintp(1)
    return at, line + np.uintp(1)


@step
def _put_signals(out: Any, at: Any, row: Any, rows: Any, texts: Any) -> Any:
    for place in range(rows.signal.shape[1]):
        if place:
            out[at] = np.uint8(44)
            at += np.uintp(1)
        at = put(out, at, texts.signal, rows.signal[row, place])
    return at


@step
def _put_counts(out: Any, at: Any, row: Any, counts: Any, frame: Any, first: Any) -> Any:
    for place in range(counts.shape[1]):
        at = put_natural(out, put(out, at, frame, first + place), counts[row, place])
    return at


@step
def _put_shared(out: Any, at: Any, row: Any, counts: Any, frame: Any, first: Any) -> Any:
    """Write the entities of which any count is known; a count of 0 is one that is not."""
    said = False
    for entity in range(_ENTITIES):
        begin, known = entity * _SHARED, False
        for place in range(begin, begin + _SHARED):
            known = known or not np.isnan(counts[row, place])
        if not known:
            continue
        if said:
            at = put(out, at, frame, COMMA)
        said = True
        for place in range(begin, begin + _SHARED):
            at = put(out, at, frame, first + place)
            count = counts[row, place]
            number = np.uint64(0) if np.isnan(count) else np.uint64(np.rint(count))
            at = put_natural(out, at, number) if number else put_null(out, at)
        at = put(out, at, frame, ENTITY_END)
    return at


@step
def _put_history(out: Any, at: Any, row: Any, rows: Any, frame: Any) -> Any:
    at = put_natural(out, put(out, at, frame, HISTORY), rows.history[row])
    at = put_whole(out, put(out, at, frame, FIRST_SEEN), rows.first_seen_at[row])
    at = put(out, at, frame, PREVIOUS)
    previous = rows.previous_at[row]
    at = put_null(out, at) if previous < 0 else put_whole(out, at, previous)
    kept = 0
    for place in range(rows.earlier.shape[1]):
        kept += not np.isnan(rows.earlier[row, place])
    for place in range(kept):  # the first so many, wherever the others lie
        at = put(out, at, frame, COMMA if place else SCORES)
        at = put_rounded(out, at, rows.earlier[row, place])
    return put(out, at, frame, SCORES_END) if kept else at


@step
def _alike_from(ledger: Any) -> Any:
    """Return the mark from which on all rows have the same times: stages mark a batch, not its rows."""
    mark = ledger.shape[1]
    while mark > 0:
        for row in range(1, len(ledger)):
            if ledger[row, mark - 1] != ledger[0, mark - 1]:
                return mark
        mark -= 1
    return mark


@step
def _put_marks(out: Any, at: Any, row: Any, rows: Any, marks: Any, first: Any, last: Any) -> Any:
    for mark in range(first, last):
        at = put_whole(out, put(out, at, marks, mark), rows.ledger[row, mark])
    return at


@step
def _put_origin(out: Any, at: Any, row: Any, rows: Any, texts: Any, alike: Any) -> Any:
    at = put_whole(out, put(out, at, texts.frame, ORIGIN), rows.partition[row])
    at = put_whole(out, put(out, at, texts.frame, OFFSET), rows.offset[row])
    return _put_marks(out, put(out, at, texts.frame, LEDGER), row, rows, texts.marks, 0, alike)


@kernel
def write(columns: int, heads: Any) -> int:
    """Write the records into ``out``, uint8, one behind the other, and their sizes into ``sizes``, int64[n].

    ``columns`` is the id of a tuple: the columns of ``Rows``, the arrays of ``Texts``, ``out`` and ``sizes``.
    Return 0, or why nothing is to be read there: ``NOT_PLAIN``, ``ODD``, ``SHORT`` or ``UNNAMED``, with what finds the
    version in ``sizes[0]``. ``heads``: in ``texts.frame``, where the pieces begin of who decided, of the device's
    counts and of what is shared.
    """
    if not are_plain(columns, _TYPES):
        return NOT_PLAIN
    rows, texts = _rows_of(columns), _texts_of(columns)
    out, sizes = _bytes_in(columns, _OUT), _i64_in(columns, _OUT + 1)
    frame, names = texts.frame, texts.named
    by, counts, shared = heads
    beside, at, line = _most_beside(rows, texts), np.uintp(0), np.uintp(0)
    alike, marked, marks = _alike_from(rows.ledger), np.uintp(0), np.uintp(0)
    for row in range(len(sizes)):
        version = _version(row, rows, texts.versions)
        if version < 0:
            sizes[0] = -1 - version
            return UNNAMED
        if _is_odd(row, rows):
            return ODD
        merchant, (said, unasked) = np.int64(rows.merchant[row]), _said(row, rows, texts)
        if np.int64(at) + beside + _most(row, rows, texts, (merchant, version, said, unasked)) > len(out):
            return SHORT
        first = at
        at = put_hex(out, put(out, at, frame, EVENT), rows.event, row)
        at = put_hex(out, put(out, at, frame, SESSION), rows.session, row)
        at = put_hex(out, put(out, at, frame, DEVICE), rows.device, row)
        at = put(out, put(out, at, frame, MERCHANT), names, merchant)
        at, line = _put_line(out, put(out, at, frame, TRANSACTION), texts.transaction, line)
        at = put_whole(out, put(out, at, frame, OCCURRED), rows.occurred_at[row])
        at = put_whole(out, put(out, at, frame, RECEIVED), rows.received_at[row])
        at = put_rounded(out, put(out, at, frame, SCORE), rows.score[row])
        at = _put_factors(out, put(out, at, frame, DECIDED + rows.decision[row]), row, rows, texts)
        at = _put_signals(out, put(out, at, frame, SIGNALS), row, rows, texts)
        at = _put_counts(out, at, row, rows.velocity, frame, counts)
        at = put(out, put(out, at, frame, VERSIONS), names, version)
        at = _put_origin(out, at, row, rows, texts, alike)
        if row:
            at = put_again(out, at, marked, marks)
        else:
            marked = at
            at = _put_marks(out, at, row, rows, texts.marks, alike, rows.ledger.shape[1])
            marks = at - marked
        at = _put_shared(out, put(out, at, frame, SHARED), row, rows.shared, frame, shared)
        at = _put_history(out, at, row, rows, frame)
        at = put_natural(out, put(out, at, frame, SESSION_EVENTS), rows.events[row])
        at = put_whole(out, put(out, at, frame, STARTED), rows.started_at[row])
        points = _points(rows.score[row], rows.added[row])
        at = put_rounded(out, put(out, at, frame, by + rows.by[row]), points)
        at = put(out, put(out, at, names, said), names, unasked)
        sizes[row] = at - first
    return 0
