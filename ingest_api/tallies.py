"""Counts that are kept as plain numbers and made into series when they are asked for: for what every request counts.

A counter and a histogram of the library take a lock for each number, some microseconds a request. For one thread alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString


class Tally:
    """A counter by labels."""

    def __init__(self, name: str, said: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._described = name, said, labels
        self._counts: dict[tuple[str, ...], int] = {}
        registry.register(self)

    def __len__(self) -> int:
        """Return how many series there are."""
        return len(self._counts)

    def __contains__(self, labels: object) -> bool:
        """Tell whether there is a series of such labels."""
        return labels in self._counts

    def count(self, labels: tuple[str, ...]) -> None:
        """Count one."""
        self._counts[labels] = self._counts.get(labels, 0) + 1

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Give the series."""
        name, said, labels = self._described
        family = CounterMetricFamily(name, said, labels=labels)
        for values, count in list(self._counts.items()):
            family.add_metric(values, count)
        yield family


class Seconds:
    """A histogram without labels."""

    def __init__(self, name: str, said: str, bounds: Sequence[float], registry: CollectorRegistry) -> None:
        """``bounds``: the largest of each bucket, ascending; one more takes all that is above."""
        self._described = name, said
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        registry.register(self)

    def observe(self, seconds: float) -> None:
        """Count a time."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Give the series."""
        names = map(floatToGoString, (*self._bounds, float("inf")))
        buckets = list(zip(names, map(float, accumulate(self._counts)), strict=True))
        yield HistogramMetricFamily(*self._described, buckets=buckets, sum_value=self._sum)
