"""Counts that are kept as plain numbers and made into series when they are asked for: what every batch counts.

The library's counter and histogram take a lock and a walk over the buckets for each number. A series here is counted by
one thread alone, and read by any; it has the names, the labels and the samples of the library's.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString


class Tally:
    """One series of a counter."""

    __slots__ = ("created", "value")

    def __init__(self) -> None:
        self.value = 0.0
        self.created = time.time()

    def inc(self, amount: float = 1) -> None:
        """Add."""
        self.value += amount


class Tallies(Collector):
    """A counter by labels."""

    def __init__(self, name: str, said: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._described = name, said, tuple(labels)
        self._series: dict[tuple[str, ...], Tally] = {}
        registry.register(self)

    def labels(self, *values: str) -> Tally:
        """Return the series of these labels."""
        known = self._series.get(values)
        if known is None:
            known = self._series[values] = Tally()
        return known

    def describe(self) -> Iterator[CounterMetricFamily]:
        """Give the name."""
        name, said, labels = self._described
        yield CounterMetricFamily(name, said, labels=labels)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give the series."""
        (family,) = self.describe()
        for values, one in list(self._series.items()):
            family.add_metric(values, one.value, one.created)
        yield family


class Spread:
    """One series of a histogram."""

    __slots__ = ("_bounds", "counts", "created", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)  # of each bucket alone; the last takes all that is above
        self.sum = 0.0
        self.created = time.time()

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Spreads(Collector):
    """A histogram by labels. ``bounds``: the largest value of each bucket, ascending."""

    def __init__(
        self, name: str, said: str, labels: Sequence[str], bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        self._described = name, said, tuple(labels)
        self._bounds = tuple(map(float, bounds))
        self._series: dict[tuple[str, ...], Spread] = {}
        registry.register(self)

    def labels(self, *values: str) -> Spread:
        """Return the series of these labels."""
        known = self._series.get(values)
        if known is None:
            known = self._series[values] = Spread(self._bounds)
        return known

    def describe(self) -> Iterator[HistogramMetricFamily]:
        """Give the name."""
        name, said, labels = self._described
        yield HistogramMetricFamily(name, said, labels=labels)

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Give the series."""
        (family,) = self.describe()
        name, _, labels = self._described
        upper = list(map(floatToGoString, (*self._bounds, float("inf"))))
        for values, one in list(self._series.items()):
            found = map(float, accumulate(one.counts))
            family.add_metric(values, list(zip(upper, found, strict=True)), one.sum)
            family.samples.append(Sample(f"{name}_created", dict(zip(labels, values, strict=True)), one.created))
        yield family
