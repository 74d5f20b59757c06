"""Keys by hashing, compiled. All that it is compiled with stands in this file, so Numba sees every change of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from flows.stages.device_state.compiled import kernel, step
from schemas.batches import F32, I64, U8, U32, U64, Bool

_EMPTY, _ODD = np.uint64(0), np.uint64(1)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)  # of SplitMix64, as schemas.recognition
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
_CODE_SHIFT, _TIME_SHIFT = np.uint64(8), np.uint64(32)
_GPU_SHIFT, _MODEL_SHIFT = np.uint64(8), np.uint64(16)
_LOW, _MAPPED, _WITHOUT_LAST_BYTE = np.uint64(0xFFFFFFFF), np.uint64(0xFFFF0000), np.uint64(0x00FFFFFFFFFFFFFF)
_PIXELS = np.float32(8)  # a screen is compared in steps: zoom rounds its lengths


class Shown(NamedTuple):
    """What copies are found by. Floats by their bits."""

    numbers: U32  # [n, N]
    categories: U32  # [n, C]
    booleans: U8  # [n, B]
    aged: Bool  # [n]: the age of the page is told
    page: I64  # columns of numbers that are measured once a page
    session: U64  # [n, 2]
    sequence: U32
    log_offsets: I64  # [n + 1]
    log_time: U32
    log_value: U32
    log_code: Any  # uint16
    log_target: U8
    factors: tuple[U64, U64]  # of numbers and of categories
    boolean_factors: U32


@step
def _mix(number: Any) -> Any:
    number ^= number >> _SHIFTS[0]
    number *= _FIRST
    number ^= number >> _SHIFTS[1]
    number *= _SECOND
    return number ^ (number >> _SHIFTS[2])


@step
def _hash_of_signals(shown: Shown, row: Any) -> Any:
    """Return a hash of all that a row shows: a sum of products with odd factors (multilinear hashing)."""
    total = _GOLDEN
    for column in range(shown.numbers.shape[1]):
        total += shown.factors[0][column] * np.uint64(shown.numbers[row, column])
    for column in range(shown.categories.shape[1]):
        total += shown.factors[1][column] * np.uint64(shown.categories[row, column])
    true = np.uint32(0)  # 32 bits tell booleans apart where all numbers are the same, and are twice as fast
    for column in range(shown.booleans.shape[1]):
        true += shown.boolean_factors[column] & (np.uint32(0) - np.uint32(shown.booleans[row, column]))
    return _mix(total + np.uint64(true))


@step
def _hash_of_log(shown: Shown, row: Any) -> Any:
    """Return a hash of all entries of a row's log and their order."""
    total, salt = _GOLDEN, _GOLDEN
    for entry in range(shown.log_offsets[row], shown.log_offsets[row + 1]):
        salt += _FIRST
        what = np.uint64(shown.log_code[entry]) << _CODE_SHIFT | np.uint64(shown.log_target[entry])
        moment = np.uint64(shown.log_time[entry]) << _TIME_SHIFT | np.uint64(shown.log_value[entry])
        total += (moment + salt) * ((what << _TIME_SHIFT) + (salt >> _TIME_SHIFT) | _ODD)
    return _mix(total)


@kernel
def copy_keys(shown: Shown, long_log: Any, keys: U64) -> None:
    """Write the keys of contents, log, and sequence within page and session, uint64[n, 3]; 0: not compared."""
    numbers, page = shown.numbers, shown.page
    for row in range(len(numbers)):
        log = _hash_of_log(shown, row)
        entries = shown.log_offsets[row + 1] - shown.log_offsets[row]
        keys[row, 0] = keys[row, 2] = _EMPTY
        if shown.aged[row]:
            keys[row, 0] = max(_mix(_hash_of_signals(shown, row) + log), _ODD)
            number = _mix(shown.session[row, 0] + _mix(shown.session[row, 1] + np.uint64(shown.sequence[row])))
            for column in page:
                number = _mix(number + np.uint64(numbers[row, column]))
            keys[row, 2] = max(_mix(number + _SECOND), _ODD)
        keys[row, 1] = max(_mix(log + _FIRST), _ODD) if entries >= long_log else _EMPTY


class Attributes(NamedTuple):
    """What combinations are made of, by row, and where it stands in the matrices of signals."""

    versions: tuple[F32, F32]  # of browser and system
    screen: tuple[F32, F32]  # pixels wide and high
    numbers: F32  # [n, N]
    number_columns: I64
    categories: U32  # [n, C]
    category_columns: I64
    codes: tuple[U8, U8, U8, U8]
    country: Any  # uint16
    fingerprint: U64
    gpu: U8
    gpu_driver: U8
    gpu_model: U64


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
def _fill(shown: Attributes, row: Any, fields: U64) -> None:
    """Write the fields of a row, 0 where absent, in the order of ``combinations.FIELDS``."""
    fields[0], fields[1] = _bits(shown.versions[0][row]), _bits(shown.versions[1][row])
    wide, high = shown.screen[0][row], shown.screen[1][row]
    fields[2] = fields[3] = _EMPTY
    if wide == wide and high == high:  # noqa: PLR0124 - neither is NaN
        fields[2], fields[3] = _bits(_steps(max(wide, high))), _bits(_steps(min(wide, high)))
    at = 4
    for column in shown.number_columns:
        fields[at] = _bits(shown.numbers[row, column])
        at += 1
    for column in shown.category_columns:
        fields[at] = shown.categories[row, column]
        at += 1
    fields[at], fields[at + 1] = shown.codes[0][row], shown.codes[1][row]
    fields[at + 2], fields[at + 3] = shown.codes[2][row], shown.codes[3][row]
    fields[at + 4], fields[at + 5] = shown.country[row], shown.fingerprint[row]
    gpu = (np.uint64(shown.gpu[row]) << _GPU_SHIFT) + np.uint64(shown.gpu_driver[row])
    fields[at + 6] = gpu + (shown.gpu_model[row] << _MODEL_SHIFT)


@kernel
def combination_keys(shown: Attributes, members: I64, ends: I64, fields: U64, keys: U64) -> None:
    """Write the key of each combination, uint64[n, COMBINATIONS]: 0 where its first field is.

    ``members``: the fields of all combinations in turn, each up to its end; ``fields`` has room for one row's.
    """
    for row in range(len(keys)):
        _fill(shown, row, fields)
        first = 0
        for kind in range(len(ends)):
            total = np.uint64(kind + 1) * _GOLDEN
            for member in range(first, ends[kind]):
                total = _mix(total + fields[members[member]])
            keys[row, kind] = max(total, _ODD) if fields[members[first]] != _EMPTY else _EMPTY
            first = ends[kind]


@kernel
def entity_keys_of(address: U64, asn: U32, salts: U64, keys: U64) -> None:
    """Write ``schemas.recognition.entity_keys`` of addresses of two words, [n, 2], to [n, REPUTED]."""
    for row in range(len(keys)):
        high, low, number = address[row, 0], address[row, 1], np.uint64(asn[row])
        mapped = high == _EMPTY and low & _LOW == _MAPPED
        network = low & _WITHOUT_LAST_BYTE if mapped else _EMPTY
        keys[row, 0] = max(_mix(_mix(high + salts[0]) + low) + low, _ODD) if high | low else _EMPTY
        keys[row, 1] = max(_mix(_mix(high + salts[1]) + network) + network, _ODD) if high | low else _EMPTY
        keys[row, 2] = max(_mix(_mix(salts[2]) + number) + number, _ODD) if number else _EMPTY
