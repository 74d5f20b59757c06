"""Offsets of IANA time zones, from the ``tzdata`` package and never from the machine, so that a replay agrees.

Offsets are minutes west of UTC, as browsers give them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import resources
from zoneinfo import ZoneInfo

import numpy as np

from schemas.catalogue import category_hash

QUARTER_MS = 900_000  # every change of an offset that is in force today falls on a quarter of an hour
ZONE_BYTES = 64
_OFFSETS = 4  # of one zone in one year, or of one month in five years: more than any zone has
_TABLE_AGE = 4  # years: browsers carry zone tables of their own, and old ones are honest

ZONE = np.dtype(
    [
        ("shown", "?"),
        ("known", "?"),
        ("category", "<u4"),  # the hash that a worker's or an iframe's copy of the name would have
        ("offsets", "<f4", (3, _OFFSETS)),  # of the year, January and July; NaN where a zone has fewer
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
    row["offsets"] = np.nan
    if raw is not None:
        name = raw.decode("utf-8", "replace")
        row["shown"], row["category"] = True, category_hash(name) if len(raw) <= ZONE_BYTES else 0
        offsets = zone_offsets(name, year)
        if offsets is not None:
            row["known"] = True
            for place, own in enumerate((offsets, month_offsets(name, year, 1), month_offsets(name, year, 7))):
                first = sorted(own or ())[:_OFFSETS]
                row["offsets"][place, : len(first)] = first
    return row.tobytes()


@lru_cache(maxsize=16_384)
def quarter_offset(raw: bytes | None, quarter: int) -> float:
    """Return the offset of a zone in a quarter of an hour since the epoch; NaN where it is absent or unknown."""
    zone = None if raw is None else _zone(raw.decode("utf-8", "replace"))
    if zone is None:
        return float("nan")
    (offset,) = _offsets_at(zone, (datetime.fromtimestamp(quarter * QUARTER_MS / 1000, UTC),))
    return float(offset)
