"""The keys of a batch by hashing, compiled: of contents, combinations and networks, and when each event counts.

All that it is compiled with stands in this file and in those of ``device_state``, so Numba sees every change of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flows.stages.device_state.compiled import SOURCES, kernels_of, part, step
from flows.stages.device_state.pointers import NOT_PLAIN, are_plain, matrix_in, numbers_of, vector_in
from schemas.batches import F32, I64, U8, U32, U64, Bool
from schemas.recognition import REPUTED

_here = Path(__file__).parent
kernel = kernels_of(*SOURCES, *(_here / f"{name}.py" for name in ("hashes", "layout", "kernels", "reputation")))
_EMPTY, _ODD = np.uint64(0), np.uint64(1)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # of SplitMix64, as schemas.recognition
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_CODE_SHIFT, _TIME_SHIFT = np.uint64(8), np.uint64(32)
_GPU_SHIFT, _MODEL_SHIFT = np.uint64(8), np.uint64(16)
_LOW, _MAPPED, _WITHOUT_LAST_BYTE = np.uint64(0xFFFFFFFF), np.uint64(0xFFFF0000), np.uint64(0x00FFFFFFFFFFFFFF)
_PIXELS = np.float32(8)  # a screen is compared in steps: zoom rounds its lengths


SALTS = np.uint64(0x9E3779B97F4A7C15) * np.arange(1, len(REPUTED) + 1, dtype=np.uint64)
"""Of the keys of ``schemas.recognition.entity_keys``."""
LATEST = 1 << 53  # as schemas.event_time
TIME, OFFSET, COMBINED, ENTITIES, COPIES = range(5)  # the columns of ``layout.Rows``


class Shown(NamedTuple):
    """What the keys are made of, by row, as columns of ``SHOWN``."""

    numbers: F32  # [n, N]
    categories: U32  # [n, C]
    booleans: Bool  # [n, B]
    session: U8  # [n, 16]
    sequence: U32
    log_offsets: I64  # [n + 1]
    log_time: U32
    log_value: F32
    log_code: Any  # uint16
    log_target: U8
    browser: U8
    system: U8
    device: U8
    density: U8
    browser_version: F32
    system_version: F32
    pixels_wide: F32
    pixels_high: F32
    fingerprint: U64
    gpu: U8
    gpu_driver: U8
    gpu_model: U64  # a hash
    country: Any  # uint16
    asn: U32
    address: U8  # [n, 16]
    occurred_at: I64
    received_at: I64
    appended_at: I64


SHOWN = (
    np.float32, np.uint32, np.bool_, np.uint8, np.uint32, np.int64, np.uint32, np.float32, np.uint16, np.uint8,
    *(np.uint8,) * 4, *(np.float32,) * 4, np.uint64, np.uint8, np.uint8, np.uint64, np.uint16, np.uint32, np.uint8,
    *(np.int64,) * 3,
)  # fmt: skip
_NUMBERS = numbers_of(SHOWN)
PLACES = Shown(*range(len(SHOWN)))


class Scheme(NamedTuple):
    """How the keys of one catalogue's batches are made."""

    number_factors: U64
    category_factors: U64
    boolean_factors: U32
    page: I64  # columns of numbers that are measured once a page, the first one its age
    number_columns: I64  # in the matrices of signals, what combinations are made of
    category_columns: I64
    members: I64  # the fields of all combinations in turn
    ends: I64  # where those of each end
    fields: U64  # room for the fields of one row


class Signals(NamedTuple):
    """What a browser showed, and where the log lies. Floats by their bits."""

    numbers: U32
    categories: U32
    booleans: U8
    log_offsets: I64
    log_time: U32
    log_value: U32
    log_code: Any
    log_target: U8


_vector_i64, _vector_f32, _vector_u8 = vector_in(np.int64), vector_in(np.float32), vector_in(np.uint8)
_vector_u16, _vector_u32, _vector_u64 = vector_in(np.uint16), vector_in(np.uint32), vector_in(np.uint64)
_matrix_f32, _matrix_u32, _matrix_u8 = matrix_in(np.float32), matrix_in(np.uint32), matrix_in(np.uint8)
_matrix_u64, _ids = matrix_in(np.uint64), matrix_in(np.uint64, 2)


@part
def _signals_of(shown: Any) -> Any:
    return Signals(
        _matrix_u32(shown, PLACES.numbers),
        _matrix_u32(shown, PLACES.categories),
        _matrix_u8(shown, PLACES.booleans),
        _vector_i64(shown, PLACES.log_offsets),
        _vector_u32(shown, PLACES.log_time),
        _vector_u32(shown, PLACES.log_value),
        _vector_u16(shown, PLACES.log_code),
        _vector_u8(shown, PLACES.log_target),
    )


@part
def _scheme_of(scheme: Any) -> Any:
    return Scheme(
        _vector_u64(scheme, 0),
        _vector_u64(scheme, 1),
        _vector_u32(scheme, 2),
        _vector_i64(scheme, 3),
        _vector_i64(scheme, 4),
        _vector_i64(scheme, 5),
        _vector_i64(scheme, 6),
        _vector_i64(scheme, 7),
        _vector_u64(scheme, 8),
    )


@step
def _mix(number: Any) -> Any:
    number ^= number >> _SHIFTS[0]
    number *= _FIRST
    number ^= number >> _SHIFTS[1]
    number *= _SECOND
    return number ^ (number >> _SHIFTS[2])


@step
def _hash_of_signals(shown: Signals, scheme: Scheme, row: Any) -> Any:
    """Return a hash of all that a row shows: a sum of products with odd factors (multilinear hashing)."""
    total = _GOLDEN
    for column in range(shown.numbers.shape[1]):
        total += scheme.number_factors[column] * np.uint64(shown.numbers[row, column])
    for column in range(shown.categories.shape[1]):
        total += scheme.category_factors[column] * np.uint64(shown.categories[row, column])
    true = np.uint32(0)  # 32 bits tell booleans apart where all numbers are the same, and are twice as fast
    for column in range(shown.booleans.shape[1]):
        true += scheme.boolean_factors[column] & (np.uint32(0) - np.uint32(shown.booleans[row, column]))
    return _mix(total + np.uint64(true))


@step
def _hash_of_log(shown: Signals, row: Any) -> Any:
    """Return a hash of all entries of a row's log and their order.

    Entries have unsigned numbers: a signed one may count from the end, so each would be gathered for itself.
    """
    total, salt = _GOLDEN, _GOLDEN
    for entry in range(np.uint64(shown.log_offsets[row]), np.uint64(shown.log_offsets[row + 1])):
        salt += _FIRST
        what = np.uint64(shown.log_code[entry]) << _CODE_SHIFT | np.uint64(shown.log_target[entry])
        moment = np.uint64(shown.log_time[entry]) << _TIME_SHIFT | np.uint64(shown.log_value[entry])
        total += (moment + salt) * ((what << _TIME_SHIFT) + (salt >> _TIME_SHIFT) | _ODD)
    return _mix(total)


@step
def _put_copies(given: Any, scheme: Scheme, long_log: Any, keys: U64) -> None:
    shown, age = _signals_of(given), _matrix_f32(given, PLACES.numbers)
    session, sequence = _ids(given, PLACES.session), _vector_u32(given, PLACES.sequence)
    numbers, page = shown.numbers, scheme.page
    for row in range(len(keys)):
        log = _hash_of_log(shown, row)
        entries = shown.log_offsets[row + 1] - shown.log_offsets[row]
        keys[row, 0] = keys[row, 2] = _EMPTY
        if not np.isnan(age[row, page[0]]):
            keys[row, 0] = max(_mix(_hash_of_signals(shown, scheme, row) + log), _ODD)
            number = _mix(session[row, 0] + _mix(session[row, 1] + np.uint64(sequence[row])))
            for column in page:
                number = _mix(number + np.uint64(numbers[row, column]))
            keys[row, 2] = max(_mix(number + _SECOND), _ODD)
        keys[row, 1] = max(_mix(log + _FIRST), _ODD) if entries >= long_log else _EMPTY


@step
def _bits(number: Any) -> Any:
    """Return a float32 by its bits plus one, 0 where absent: 0 is a number as any other, and -0 the same one."""
    if number != number:  # noqa: PLR0124 - NaN
        return _EMPTY
    return np.uint64(np.float32(number + np.float32(0)).view(np.uint32)) + _ODD


@step
def _steps(pixels: Any) -> Any:
    return np.float32(np.rint(pixels / _PIXELS))


@step
def _fill(given: Any, scheme: Scheme, row: Any, fields: U64) -> None:
    """Write the fields of a row, 0 where absent, in the order of ``combinations.FIELDS``."""
    fields[0] = _bits(_vector_f32(given, PLACES.browser_version)[row])
    fields[1] = _bits(_vector_f32(given, PLACES.system_version)[row])
    wide, high = _vector_f32(given, PLACES.pixels_wide)[row], _vector_f32(given, PLACES.pixels_high)[row]
    fields[2] = fields[3] = _EMPTY
    if wide == wide and high == high:  # noqa: PLR0124 - neither is NaN
        fields[2], fields[3] = _bits(_steps(max(wide, high))), _bits(_steps(min(wide, high)))
    numbers, categories = _matrix_f32(given, PLACES.numbers), _matrix_u32(given, PLACES.categories)
    at = 4
    for column in scheme.number_columns:
        fields[at] = _bits(numbers[row, column])
        at += 1
    for column in scheme.category_columns:
        fields[at] = categories[row, column]
        at += 1
    fields[at], fields[at + 1] = _vector_u8(given, PLACES.browser)[row], _vector_u8(given, PLACES.system)[row]
    fields[at + 2], fields[at + 3] = _vector_u8(given, PLACES.device)[row], _vector_u8(given, PLACES.density)[row]
    fields[at + 4] = _vector_u16(given, PLACES.country)[row]
    fields[at + 5] = _vector_u64(given, PLACES.fingerprint)[row]
    driver = np.uint64(_vector_u8(given, PLACES.gpu_driver)[row])
    gpu = (np.uint64(_vector_u8(given, PLACES.gpu)[row]) << _GPU_SHIFT) + driver
    fields[at + 6] = gpu + (_vector_u64(given, PLACES.gpu_model)[row] << _MODEL_SHIFT)


@step
def _put_combinations(given: Any, scheme: Scheme, keys: U64) -> None:
    fields, members, ends = scheme.fields, scheme.members, scheme.ends
    for row in range(len(keys)):
        _fill(given, scheme, row, fields)
        first = 0
        for kind in range(len(ends)):
            total = np.uint64(kind + 1) * _GOLDEN
            for member in range(first, ends[kind]):
                total = _mix(total + fields[members[member]])
            keys[row, kind] = max(total, _ODD) if fields[members[first]] != _EMPTY else _EMPTY
            first = ends[kind]


@step
def put_entities(address: U64, asn: U32, first: Any, keys: U64) -> None:
    """Write ``schemas.recognition.entity_keys`` of addresses of two words, [m, 2], from a row on to [n, REPUTED]."""
    for row in range(len(keys)):
        high, low, number = address[first + row, 0], address[first + row, 1], np.uint64(asn[first + row])
        mapped = high == _EMPTY and low & _LOW == _MAPPED
        network = low & _WITHOUT_LAST_BYTE if mapped else _EMPTY
        keys[row, 0] = max(_mix(_mix(high + SALTS[0]) + low) + low, _ODD) if high | low else _EMPTY
        keys[row, 1] = max(_mix(_mix(high + SALTS[1]) + network) + network, _ODD) if high | low else _EMPTY
        keys[row, 2] = max(_mix(_mix(SALTS[2]) + number) + number, _ODD) if number else _EMPTY


@step
def put_times(occurred: I64, received: I64, appended: I64, first: Any, times: I64) -> None:
    """Write what ``schemas.event_time`` says of rows from the first on."""
    for row in range(len(times)):
        at = first + row
        times[row] = min(max(min(occurred[at], received[at], appended[at]), 0), LATEST)


@kernel
def row_keys(given: int, scheme: int, long_log: int, rows: int) -> int:
    """Write the keys of a batch and their times, by the ids of a Shown, a Scheme and Rows: see ``pointers``."""
    if not are_plain(given, _NUMBERS):
        return NOT_PLAIN
    how = _scheme_of(scheme)
    _put_copies(given, how, long_log, _matrix_u64(rows, COPIES))  # first: it reads all signals, then they are near
    _put_combinations(given, how, _matrix_u64(rows, COMBINED))
    put_entities(_ids(given, PLACES.address), _vector_u32(given, PLACES.asn), 0, _matrix_u64(rows, ENTITIES))
    occurred, received = _vector_i64(given, PLACES.occurred_at), _vector_i64(given, PLACES.received_at)
    put_times(occurred, received, _vector_i64(given, PLACES.appended_at), 0, _vector_i64(rows, TIME))
    return 0
