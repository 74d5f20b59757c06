"""What an event shows of the entities that are numbers, as two words each, by one compiled loop."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from flows.stages.device_state.compiled import kernels_of
from schemas.batches import U8, U32, U64
from schemas.columns import plain

kernel = kernels_of(Path(__file__))
SIZES: Final = {"address": 16, "network": 16, "asn": 8, "fingerprint": 8, "device": 16}
"""Bytes of a value of each kind, in the order in which they lie in ``entity_values``."""
_MAPPED: Final = np.uint64(0xFFFF0000)  # how an IPv4 address begins in the second word, behind a first one of zeros
_BEGINS: Final = np.uint64(0xFFFFFFFF)
_WITHOUT_LAST: Final = np.uint64(0x00FFFFFFFFFFFFFF)
_NOUGHT: Final = np.uint64(0)


@kernel
def _fill(address: U64, asn: U32, fingerprint: U64, device: U64, values: U64) -> None:
    for row in range(len(values)):
        first, second = address[row, 0], address[row, 1]
        values[row, 0, 0], values[row, 0, 1] = first, second
        mapped = first == _NOUGHT and second & _BEGINS == _MAPPED
        values[row, 1, 0], values[row, 1, 1] = first, second & _WITHOUT_LAST if mapped else _NOUGHT
        values[row, 2, 0], values[row, 2, 1] = np.uint64(asn[row]), _NOUGHT
        values[row, 3, 0], values[row, 3, 1] = fingerprint[row], _NOUGHT
        values[row, 4, 0], values[row, 4, 1] = device[row, 0], device[row, 1]


def entity_values(address: U8, asn: U32, fingerprint: U64, device: U8) -> U64:
    """Return uint64[n, SIZES, 2] of addresses and devices uint8[n, 16], numbers of networks and fingerprints.

    The network of an address is its /24 where it is IPv4 (mapped), else its /64.
    """
    values = np.empty((len(address), len(SIZES), 2), np.uint64)
    words = _words(address), plain(asn, np.uint32), plain(fingerprint, np.uint64), _words(device)
    _fill(*words, values)
    return values


def _words(column: U8) -> U64:
    """Return 16 bytes a row as two words each, uint64[n, 2]."""
    return plain(column, np.uint8).view("<u8").astype(np.uint64, copy=False)
