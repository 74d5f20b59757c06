"""Times on the command line: so long ago (7d, 12h, 30m) or a moment (2026-06-01, 2026-06-01T12:30)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_AGO = re.compile(r"([1-9][0-9]{0,6})([mhd])")
_MILLISECONDS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


def moment_of(text: str, now: int) -> int:
    """Return the time that a text says, in ms since the epoch; without a zone it is UTC. ValueError: it is none."""
    match = _AGO.fullmatch(text)
    if match is not None:
        return now - int(match[1]) * _MILLISECONDS[match[2]]
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: give 7d, 12h or 30m ago, or 2026-06-01T12:30 (UTC)") from None


def range_of(since: str, until: str | None, now: int) -> tuple[int, int]:
    """Return a range in ms since the epoch, ``until`` now where it is not said. ValueError where it is empty."""
    first, last = moment_of(since, now), moment_of(until, now) if until else now
    if first >= last:
        raise ValueError(f"--since {since} is not before --until {until or 'now'}")
    return first, last
