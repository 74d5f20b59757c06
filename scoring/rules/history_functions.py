"""The functions of a catalogue over the members of a window, the same for every store."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from math import fsum
from typing import Final

from scoring.rules.answers import Found, Function, Query, Value


def _mean(numbers: Sequence[float]) -> float:
    return fsum(numbers) / len(numbers)


_OF_NUMBERS: Final[Mapping[Function, Callable[[Sequence[float]], float]]] = {
    "sum": fsum,
    "min": min,
    "max": max,
    "avg": _mean,
}


def reduced(function: Function, numbers: Sequence[float], texts: Collection[Hashable], members: int) -> float | None:
    """Return ``count``, ``distinct``, ``sum``, ``min``, ``max`` or ``avg`` of the members, in any order.

    ``sum`` is the double nearest to the exact sum of the doubles (Shewchuk 1997, ``math.fsum``): it does not depend on
    the order. Texts are passed over by all but the first two. Nothing counts, differs and sums up to 0.
    """
    if function == "count":
        return members
    if function == "distinct":
        return len(set(numbers)) + len(set(texts))
    if function == "sum" or numbers:
        return _OF_NUMBERS[function](numbers)
    return None


def over_members(
    query: Query, numbers: Sequence[float], texts: Collection[Hashable], members: int, truncated: bool
) -> Found:
    """Return what a query's function makes of the members."""
    return Found(reduced(query.function, numbers, texts, members), truncated)


def of_newest(query: Query, newest: tuple[int, Value] | None, floor: int | None) -> Found:
    """Return ``last`` or ``since`` of the newest member up to the event, given as time and value.

    Of members at the same ms the one of the highest id counts, and the lowest are the first to be dropped.
    ``floor``: something at or before it is missing.
    """
    if query.included is not None:
        return Found(kept(query.included) if query.function == "last" else 0)
    if newest is None or newest[0] <= query.at - query.over:
        return Found(None, is_truncated(query, floor))
    at, value = newest
    return Found(value if query.function == "last" else query.at - at, floor is not None and at < floor)


def is_truncated(query: Query, floor: int | None) -> bool:
    """Return whether members of the window may be missing."""
    return floor is not None and query.at - query.over < floor


def kept(value: Value) -> Value:
    """Return a value as it comes back: texts, and numbers as doubles with one zero."""
    return value if isinstance(value, str) else float(value) + 0.0
