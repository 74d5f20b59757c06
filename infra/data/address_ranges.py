"""From a list of ranges to sorted stretches: gaps and reserved addresses become 0, equal neighbours one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

import numpy as np
from numpy.typing import NDArray

from enrichers.address_file import Stretches
from infra.data.packages import DataRefused

Range = tuple[int, int, int]  # first, last, value
# IANA's special-purpose registries (RFC 6890 and later): nobody can come from these.
_RESERVED = (
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 "
    "192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 "
    "203.0.113.0/24 224.0.0.0/3 ::/3 2001::/23 2001:db8::/32 2002::/16 3fff::/20 4000::/2 8000::/1"
)
_HALF = 64  # bits of an IPv6 address that name the network


def stretches_of(ranges: Iterable[Range], bits: int) -> Stretches:
    """Return the stretches of ranges of addresses of 32 bits, or of 128, of which the upper 64 count.

    Where ranges overlap, the one that begins last says it, so one within another. A /64 that several share is the last
    one's. DataRefused where a range ends before it begins.
    """
    width = min(bits, _HALF)
    kind: Any = np.uint32 if bits == 32 else np.uint64
    starts, values = [0], [0]
    open_ranges: list[tuple[int, int]] = []  # last address and value of those that the present place lies in
    for first, last, value in _upper(ranges, bits - width):
        _close(starts, values, open_ranges, first)
        _begin(starts, values, first, value)
        open_ranges.append((last, value))
    _close(starts, values, open_ranges, 1 << width)
    if starts[-1] == 1 << width:
        del starts[-1], values[-1]
    return _without_reserved(np.array(starts, kind), np.array(values, np.uint32), bits)


def _upper(ranges: Iterable[Range], shift: int) -> Iterator[Range]:
    """Yield the ranges by their starts, the widest first, in the bits that count."""
    for first, last, value in sorted(ranges, key=lambda one: (one[0], -one[1])):
        if last < first:
            raise DataRefused("A range of addresses ends before it begins.")
        yield first >> shift, last >> shift, value


def _close(starts: list[int], values: list[int], open_ranges: list[tuple[int, int]], until: int) -> None:
    """End the ranges that end before a place: what they lie in goes on, or nothing."""
    while open_ranges and open_ranges[-1][0] < until:
        at = open_ranges.pop()[0] + 1
        while open_ranges and open_ranges[-1][0] < at:
            open_ranges.pop()
        _begin(starts, values, at, open_ranges[-1][1] if open_ranges else 0)


def _begin(starts: list[int], values: list[int], at: int, value: int) -> None:
    """Add a stretch, unless it goes on with the value before it; one of no length is replaced."""
    if starts[-1] == at:
        values[-1] = value
        if len(values) > 1 and values[-2] == value:
            del starts[-1], values[-1]
    elif values[-1] != value:
        starts.append(at)
        values.append(value)


def _without_reserved(starts: NDArray[Any], values: NDArray[np.uint32], bits: int) -> Stretches:
    for text in _RESERVED.split():
        network = ip_network(text)
        if (bits == 32) is isinstance(network, IPv4Network):
            starts, values = _cut(starts, values, *_span(network))
    same = np.flatnonzero(values[1:] == values[:-1]) + 1
    return Stretches(np.delete(starts, same), np.delete(values, same))


def _span(network: IPv4Network | IPv6Network) -> tuple[int, int]:
    """Return the first address of a network and the last, in the bits that count."""
    shift = max(0, network.max_prefixlen - _HALF)
    return int(network.network_address) >> shift, int(network.broadcast_address) >> shift


def _cut(starts: NDArray[Any], values: NDArray[np.uint32], first: int, last: int) -> tuple[Any, Any]:
    """Return the stretches with 0 from ``first`` to ``last``."""
    kind = starts.dtype.type
    left = int(np.searchsorted(starts, kind(first), "left"))
    right = int(np.searchsorted(starts, kind(last), "right"))
    added = [(first, 0)]
    if last < np.iinfo(kind).max and not (right < len(starts) and int(starts[right]) == last + 1):
        added.append((last + 1, int(values[right - 1])))
    new_starts = np.array([at for at, _ in added], kind)
    new_values = np.array([value for _, value in added], np.uint32)
    return (
        np.concatenate((starts[:left], new_starts, starts[right:])),
        np.concatenate((values[:left], new_values, values[right:])),
    )
