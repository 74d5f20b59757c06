"""What an event shows of the entities that are numbers, as two words each, by one compiled loop."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from flows.stages.device_state.compiled import SOURCES, kernels_of
from flows.stages.device_state.pointers import NOT_PLAIN, are_plain, matrix_in, numbers_of, plain_ones, vector_in
from schemas.batches import U8, U32, U64

kernel = kernels_of(*SOURCES, Path(__file__))
SIZES: Final = {"address": 16, "network": 16, "asn": 8, "fingerprint": 8, "device": 16}
"""Bytes of a value of each kind, in the order in which they lie in ``entity_values``."""
_MAPPED: Final = np.uint64(0xFFFF0000)  # how an IPv4 address begins in the second word, behind a first one of zeros
_BEGINS: Final = np.uint64(0xFFFFFFFF)
_WITHOUT_LAST: Final = np.uint64(0x00FFFFFFFFFFFFFF)
_NOUGHT: Final = np.uint64(0)


_COLUMNS: Final = (np.uint8, np.uint32, np.uint64, np.uint8)
_NUMBERS: Final = numbers_of(_COLUMNS)
_ids_in, _u32_in, _u64_in, _words_in = (
    matrix_in(np.uint64, 2), vector_in(np.uint32), vector_in(np.uint64), matrix_in(np.uint64),
)  # fmt: skip


@kernel
def _fill(columns: int) -> int:
    """Fill the last of the columns by the others; ``columns`` is the id of a tuple: see ``device_state.pointers``."""
    if not are_plain(columns, _NUMBERS):
        return NOT_PLAIN
    address, asn, fingerprint, device = (
        _ids_in(columns, 0),
        _u32_in(columns, 1),
        _u64_in(columns, 2),
        _ids_in(columns, 3),
    )
    values = _words_in(columns, 4)
    for row in range(len(values)):
        first, second = address[row, 0], address[row, 1]
        values[row, 0], values[row, 1] = first, second
        mapped = first == _NOUGHT and second & _BEGINS == _MAPPED
        values[row, 2], values[row, 3] = first, second & _WITHOUT_LAST if mapped else _NOUGHT
        values[row, 4], values[row, 5] = np.uint64(asn[row]), _NOUGHT
        values[row, 6], values[row, 7] = fingerprint[row], _NOUGHT
        values[row, 8], values[row, 9] = device[row, 0], device[row, 1]
    return 0


def entity_values(address: U8, asn: U32, fingerprint: U64, device: U8) -> U64:
    """Return uint64[n, SIZES, 2] of addresses and devices uint8[n, 16], numbers of networks and fingerprints.

    The network of an address is its /24 where it is IPv4 (mapped), else its /64.
    """
    values = np.empty((len(address), 2 * len(SIZES)), np.uint64)
    columns = (address, asn, fingerprint, device, values)
    if _fill(id(columns)) == NOT_PLAIN:
        columns = (*plain_ones(columns[:4], _COLUMNS), values)  # type: ignore[assignment] # as many
        _fill(id(columns))
    return values.reshape(-1, len(SIZES), 2)
