"""Ranges of addresses become stretches that say the same of every address, of IPv4 and of IPv6's networks."""

from __future__ import annotations

from ipaddress import ip_address

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.data.address_ranges import stretches_of
from infra.data.classes import united
from schemas.networks import NETWORK_BIT

PUBLIC4, PUBLIC6 = 0x0B00_0000, 0x2A00 << 112  # 11.0.0.0 and 2a00::, of which nothing is reserved
Range = tuple[int, int, int]


@st.composite
def ranges(draw: st.DrawFn, first: int, unit: int) -> list[Range]:
    """Return ranges with gaps, neighbours and overlaps, of whole units."""
    drawn = draw(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 6), st.integers(1, 3)), max_size=8))
    unique = {(at, size): value for at, size, value in drawn}
    return [(first + at * unit, first + (at + size) * unit - 1, value) for (at, size), value in unique.items()]


def named(found: list[Range], address: int) -> int:
    """Return the value of the range that began last of those that an address lies in, the narrowest of equals."""
    here = [(first, -last, value) for first, last, value in found if first <= address <= last]
    return max(here)[2] if here else 0


@settings(max_examples=60)
@given(found=ranges(PUBLIC4, 256))
def test_every_address_of_ipv4_keeps_its_value(found: list[Range]) -> None:
    four = stretches_of(found, 32)
    assert four.starts[0] == 0
    assert (np.diff(four.starts.astype(np.int64)) > 0).all()
    assert (four.values[1:] != four.values[:-1]).all()
    probes = [PUBLIC4 - 1, *(at for first, last, _ in found for at in (first - 1, first, last, last + 1))]
    assert four.at(np.array(probes, np.uint32)).tolist() == [named(found, probe) for probe in probes]


@settings(max_examples=60)
@given(found=ranges(PUBLIC6, 1 << 64))
def test_every_network_of_ipv6_keeps_its_value(found: list[Range]) -> None:
    six = stretches_of(found, 128)
    probes = [PUBLIC6 - 1, *(at for first, last, _ in found for at in (first - 1, first, last, last + 1))]
    halves = np.array([probe >> 64 for probe in probes], np.uint64)
    assert six.at(halves).tolist() == [named(found, probe) for probe in probes]


@settings(max_examples=60)
@given(address=st.integers(0, 2**32 - 1))
def test_no_address_that_python_calls_private_has_a_value(address: int) -> None:
    everything = stretches_of([(0, 2**32 - 1, 9)], 32)
    found = int(everything.at(np.array([address], np.uint32))[0])
    shown = ip_address(address)
    if shown.is_private or shown.is_loopback or shown.is_multicast or shown.is_reserved or shown.is_link_local:
        assert found == 0
    else:
        assert found in (0, 9)


@settings(max_examples=60)
@given(
    hosting=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=6),
    tor=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 12)), max_size=6),
    unit=st.sampled_from([32, 128]),
)
def test_every_address_has_all_classes_whose_ranges_it_lies_in(
    hosting: list[tuple[int, int]], tor: list[tuple[int, int]], unit: int
) -> None:
    first, size = (PUBLIC4, 1) if unit == 32 else (PUBLIC6, 1 << 64)
    drawn = {"hosting": hosting, "tor": tor}
    spans = {
        name: [(first + at * size, first + (at + more + 1) * size - 1) for at, more in of_class]
        for name, of_class in drawn.items()
    }
    found = united(spans, unit)
    kind = found.starts.dtype.type
    for place in range(-1, 55):
        expected = sum(
            NETWORK_BIT[name]
            for name, of_class in drawn.items()
            if any(at <= place <= at + more for at, more in of_class)
        )
        assert found.at(np.array([kind((first // size) + place)]))[0] == expected
