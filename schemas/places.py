"""Where an address lies: the question that normalisation asks, and the answer that stands for not knowing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from schemas.batches import U8, Network

Locate = Callable[[U8], Network]
"""Addresses, uint8[n, 16], IPv6 or IPv4-mapped, to where they lie; never an error, whatever the address."""


def nowhere(addresses: U8) -> Network:
    """Return that nothing is known of any of the addresses, uint8[n, 16]."""
    rows = len(addresses)
    unknown = np.full(rows, np.nan, np.float32)
    return Network(np.zeros(rows, np.uint16), np.zeros(rows, np.uint32), unknown, unknown, np.zeros(rows, np.uint16))
