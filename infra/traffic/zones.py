"""Clocks that were set: of people on a trip, whose device follows, and of programs that say another zone."""

from __future__ import annotations

from infra.traffic.countries import zone_offset
from infra.traffic.signals import Signals

_DAY_MS = 86_400_000
_OF_PAGE = (
    "intl.timezone", "intl_option.date_time_zone", "fingerprint.timezone", "intl.timezone_offset",
    "intl.timezone_offset_january", "intl.timezone_offset_july",
)  # fmt: skip
_ELSEWHERE = ("worker.timezone", "worker.timezone_offset", "frame_page.timezone", "frame_page.timezone_offset")


def clock_in(signals: Signals, zone: str, at: int) -> Signals:
    """Return the signals of a browser whose clock shows a zone's time at a time (ms since the epoch)."""
    return {**signals, **_shown(signals, zone, at, (*_OF_PAGE, *_ELSEWHERE))}


def zone_said(signals: Signals, zone: str, at: int, *, offsets_too: bool) -> Signals:
    """Return what a script changes that says another zone on the page: the name and, if it is better, the offsets.

    Workers and frames go on telling the truth.
    """
    names = _OF_PAGE if offsets_too else _OF_PAGE[:3]
    return {**_shown(signals, zone, at, names), "altered.Date.getTimezoneOffset": offsets_too}


def _shown(signals: Signals, zone: str, at: int, names: tuple[str, ...]) -> Signals:
    """Return the named signals of a zone, those only that the browser shows."""
    day = at // _DAY_MS
    year = day // 365 * 365
    found: Signals = {}
    for name in names:
        if signals.get(name) is None:
            continue
        if name.endswith("timezone_offset"):
            found[name] = float(zone_offset(zone, day))
        elif name.endswith(("january", "july")):
            found[name] = float(zone_offset(zone, year + (20 if name.endswith("january") else 200)))
        else:
            found[name] = f'"{zone}"' if name == "fingerprint.timezone" else zone
    return found
