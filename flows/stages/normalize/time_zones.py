"""Offsets of IANA time zones, from the ``tzdata`` package and never from the machine, so that a replay agrees.

Offsets are minutes west of UTC, as browsers give them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import resources
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from schemas.catalogue import category_hash

ZONE_BYTES = 64
_DAY, _MINUTE = 86_400, 60  # s
_OFFSETS = 4  # of one zone in one year, or of one month in five years: more than any zone has
_TABLE_AGE = 4  # years: browsers carry zone tables of their own, and old ones are honest

ZONE = np.dtype(
    [
        ("shown", "?"),
        ("known", "?"),
        ("category", "<u4"),  # the hash that a worker's or an iframe's copy of the name would have
        ("offsets", "<f4", (3, _OFFSETS)),  # of the year, January and July; NaN where a zone has fewer
        ("since", "<i8", _OFFSETS),  # ms since the epoch from which the next offset is the zone's own, in order
        ("own", "<f4", _OFFSETS),
    ],
    align=True,
)


@cache
def zone_names() -> frozenset[str]:
    """Return the names that tzdata knows."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    if name not in zone_names():
        return None
    *folders, leaf = name.split("/")
    resource = resources.files(".".join(["tzdata", "zoneinfo", *folders])).joinpath(leaf)
    with resource.open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def _offsets_at(zone: ZoneInfo, instants: Iterable[datetime]) -> frozenset[int]:
    offsets = (instant.astimezone(zone).utcoffset() for instant in instants)
    return frozenset(-round(offset.total_seconds() / 60) for offset in offsets if offset is not None)


def _changes(zone: ZoneInfo, year: int) -> list[tuple[int, int]]:
    """Return from when, in ms since the epoch, a zone has which offset, in a year and a day on either side."""
    first = round(datetime(year, 1, 1, tzinfo=UTC).timestamp()) - _DAY
    instants = range(first, first + 368 * _DAY + 1, 8 * _DAY)
    found = [(first * 1000, _offset(zone, first))]
    for before, after in pairwise(instants):
        if _offset(zone, before) != (offset := _offset(zone, after)):
            low, high = before, after
            while high - low > _MINUTE:  # halved down to the minute of the change
                middle = (low + high) // 2
                low, high = (low, middle) if _offset(zone, middle) == offset else (middle, high)
            found.append((high // _MINUTE * _MINUTE * 1000, offset))
    return found


def _offset(zone: ZoneInfo, seconds: int) -> int:
    (offset,) = _offsets_at(zone, (datetime.fromtimestamp(seconds, UTC),))
    return offset


@lru_cache(maxsize=4096)
def zone_offsets(name: str, year: int) -> frozenset[int] | None:
    """Return every offset of a zone in a year; None: no such zone."""
    zone = _zone(name)
    if zone is None:
        return None
    return _offsets_at(zone, (datetime(year, month, day, 12, tzinfo=UTC) for month in range(1, 13) for day in (1, 15)))


def month_offsets(name: str, year: int, month: int) -> frozenset[int] | None:
    """Return the offsets of a zone in a month of the year or of one of the four before; None: no such zone."""
    zone = _zone(name)
    if zone is None:
        return None
    years = range(max(year - _TABLE_AGE, 1970), year + 1)
    return _offsets_at(zone, (datetime(past, month, day, 12, tzinfo=UTC) for past in years for day in (1, 15)))


@lru_cache(maxsize=8192)
def zone_row(raw: bytes | None, year: int) -> bytes:
    """Return what a zone's name says in a year, as the bytes of one ``ZONE``.

    The caller cuts it to ``ZONE_BYTES + 1``.
    """
    row = np.zeros((), ZONE)
    row["offsets"] = row["own"] = np.nan
    row["since"] = np.iinfo(np.int64).max
    if raw is not None:
        name = raw.decode("utf-8", "replace")
        row["shown"], row["category"] = True, category_hash(name) if len(raw) <= ZONE_BYTES else 0
        zone, offsets = _zone(name), zone_offsets(name, year)
        if zone is not None and offsets is not None:
            row["known"] = True
            for place, (since, own) in enumerate(_changes(zone, year)[:_OFFSETS]):
                row["since"][place], row["own"][place] = since, own
            for place, of_time in enumerate((offsets, month_offsets(name, year, 1), month_offsets(name, year, 7))):
                first = sorted(of_time or ())[:_OFFSETS]
                row["offsets"][place, : len(first)] = first
    return row.tobytes()
