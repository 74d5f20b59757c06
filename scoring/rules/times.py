"""Durations and event times as people and events write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final

DAY_MS: Final = 86_400_000
LONGEST_WINDOW: Final = 90 * DAY_MS
"""How long history is kept at most (retention)."""
_UNITS: Final = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": DAY_MS}
_DURATION = re.compile(r"([0-9]{1,9})(ms|s|m|h|d)\Z")
_LATEST: Final = 10**14 - 1


def duration(text: Any) -> int | None:
    """Return the ms of ``30s``, ``15m``, ``3h`` or ``7d``; None where it is no duration."""
    match = _DURATION.match(text) if isinstance(text, str) else None
    return int(match[1]) * _UNITS[match[2]] if match else None


def written(ms: int) -> str:
    """Return a duration in its largest whole unit."""
    unit, size = next((unit, size) for unit, size in reversed(_UNITS.items()) if ms % size == 0)
    return f"{ms // size}{unit}"


def time_of(value: Any) -> int | None:
    """Return a time in Unix ms: a number is one already, a text is RFC 3339 (UTC where it names no zone)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) if 1 <= value <= _LATEST else None
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    try:
        ms = int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1_000)
    except (OverflowError, ValueError):
        return None
    return ms if 1 <= ms <= _LATEST else None
