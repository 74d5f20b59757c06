"""Addresses of pools: every one lies in a range of its pool, and every address of the ranges can be drawn."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from enrichers.address_file import AddressFile, Described, Stretches
from infra.traffic.address_pools import Ranges, pools_of
from infra.traffic.countries import DATA_CENTRES
from schemas.networks import NETWORK_BIT

ranges = st.lists(st.tuples(st.integers(0, 1 << 60), st.integers(1, 1 << 40)), min_size=1, max_size=20)
small = st.lists(st.tuples(st.integers(1, 200), st.integers(0, 1023)), min_size=1, max_size=20)


def made(drawn: list[tuple[int, int]]) -> Ranges:
    firsts = np.array([first for first, _ in drawn], np.uint64)
    return Ranges(firsts, np.cumsum(np.array([size for _, size in drawn], np.uint64), dtype=np.uint64))


@settings(deadline=None)
@given(ranges, st.floats(0, 1, exclude_max=True))
def test_a_point_is_an_address_of_a_range(drawn: list[tuple[int, int]], point: float) -> None:
    number = made(drawn).at(point)
    assert any(first <= number < first + size for first, size in drawn)


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=9))
def test_every_address_has_its_points(sizes: list[int]) -> None:
    drawn = [(1_000 * row, size) for row, size in enumerate(sizes)]
    total = sum(sizes)
    found = [made(drawn).at((place + 0.5) / total) for place in range(total)]
    assert found == [first + step for first, size in drawn for step in range(size)]


@settings(deadline=None)
@given(small, st.sampled_from(["hosting", "vpn", "tor", "relay", "gateway"]), st.integers(0, 99))
def test_what_is_drawn_has_the_class_in_the_file(drawn: list[tuple[int, int]], pool: str, seed: int) -> None:
    values = np.array([0, *(bits for _, bits in drawn), 0], np.uint32)
    starts = np.cumsum([0, 1 << 24, *(size for size, _ in drawn)], dtype=np.uint32)
    four = Stretches(starts, values)
    six = Stretches(np.array([0], np.uint64), np.array([0], np.uint32))
    pools = pools_of(AddressFile(Described("classes", "1", "", "", (len(starts), 1), ""), four, six))
    address = IPv6Address(pools.draw(pool, Random(seed))).ipv4_mapped
    assert address is not None
    value = int(four.at(np.array([int(address)], np.uint32))[0])
    if pool != "hosting" and pools.knows(pool):
        assert value & NETWORK_BIT[pool]
    else:  # of the file's data centres, or of those named in the code
        assert value & NETWORK_BIT["hosting"] or any(address in IPv4Network(network) for network in DATA_CENTRES)
