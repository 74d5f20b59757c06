"""Offsets of IANA time zones, from the ``tzdata`` package and never from the machine, so that a replay agrees."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache, lru_cache
from importlib import resources
from zoneinfo import ZoneInfo


@cache
def zone_names() -> frozenset[str]:
    """Return the names that tzdata knows."""
    return frozenset(resources.files("tzdata").joinpath("zones").read_text("utf-8").split())


@lru_cache(maxsize=4096)
def zone_offsets(name: str, year: int) -> frozenset[int] | None:
    """Return every offset of a zone in a year, in minutes west of UTC as browsers give it; None: no such zone."""
    if name not in zone_names():
        return None
    *folders, leaf = name.split("/")
    resource = resources.files(".".join(["tzdata", "zoneinfo", *folders])).joinpath(leaf)
    with resource.open("rb") as file:
        zone = ZoneInfo.from_file(file, key=name)
    instants = (datetime(year, month, day, 12, tzinfo=UTC) for month in range(1, 13) for day in (1, 15))
    offsets = (instant.astimezone(zone).utcoffset() for instant in instants)
    return frozenset(-round(offset.total_seconds() / 60) for offset in offsets if offset is not None)
