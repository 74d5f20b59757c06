"""Makes the file of classes of networks: the bits of every class whose ranges an address lies in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from enrichers.address_file import Stretches
from infra.data.address_ranges import stretches_of
from infra.data.feeds import Span, Spans, feed_ranges, iporigin_ranges
from infra.data.packages import DataRefused, Package
from schemas.networks import NETWORK_BIT

# Of these the sources have what they can have; of the others (proxy, residential_proxy, listed) nothing free is known.
COVERED = ("hosting", "cdn", "vpn", "tor", "relay", "crawler", "gateway")


class Classes(NamedTuple):
    """The classes of all addresses."""

    four: Stretches
    six: Stretches


def make_classes(iporigin: Package, is_crawler: Package, asn: Classes, systems: Mapping[int, str]) -> Classes:
    """Return the classes; DataRefused where a class that is covered has no ranges any more.

    ``asn``: the stretches of the autonomous systems' numbers; ``systems``: class by number.
    """
    spans: dict[str, Spans] = {}
    for found in (iporigin_ranges(iporigin), feed_ranges(is_crawler), _of_systems(asn, systems)):
        for name, of_class in found.items():
            known = spans.setdefault(name, Spans([], []))
            known.four.extend(of_class.four)
            known.six.extend(of_class.six)
    missing = [name for name in COVERED if not spans.get(name, Spans([], [])).four]
    if missing:
        raise DataRefused(f"The packages have no ranges of {', '.join(missing)} any more.")
    return Classes(
        united({name: of_class.four for name, of_class in spans.items()}, 32),
        united({name: of_class.six for name, of_class in spans.items()}, 128),
    )


def united(spans: Mapping[str, Iterable[Span]], bits: int) -> Stretches:
    """Return the stretches of addresses of so many bits, each with the bits of all classes that it lies in."""
    steps: dict[int, dict[int, int]] = {}  # by address: how many ranges of a class begin there, less those that end
    shift = max(0, bits - 64)
    for name, of_class in spans.items():
        for first, last in of_class:
            if last < first:
                raise DataRefused("A range of addresses ends before it begins.")
            for at, step in ((first >> shift, 1), ((last >> shift) + 1, -1)):
                here = steps.setdefault(at, {})
                here[NETWORK_BIT[name]] = here.get(NETWORK_BIT[name], 0) + step
    open_ranges: dict[int, int] = {}
    ranges = []
    for at, after in pairwise(sorted(steps)):
        for bit, step in steps[at].items():
            open_ranges[bit] = open_ranges.get(bit, 0) + step
        value = sum(bit for bit, count in open_ranges.items() if count)
        if value:
            ranges.append((at << shift, (after << shift) - 1, value))
    return stretches_of(ranges, bits)


def _of_systems(asn: Classes, systems: Mapping[int, str]) -> dict[str, Spans]:
    """Return the ranges that systems announce, by their class."""
    found: dict[str, Spans] = {}
    for name in sorted(set(systems.values())):
        numbers = np.array([number for number, of_class in systems.items() if of_class == name], np.uint32)
        found[name] = Spans(_spans(asn.four, numbers, 32), _spans(asn.six, numbers, 128))
    return found


def _spans(stretches: Stretches, numbers: np.ndarray[Any, Any], bits: int) -> list[Span]:
    width, shift = min(bits, 64), max(0, bits - 64)
    starts = [*stretches.starts.tolist(), 1 << width]
    rows = np.flatnonzero(np.isin(stretches.values, numbers)).tolist()
    return [(starts[row] << shift, (starts[row + 1] << shift) - 1) for row in rows]
