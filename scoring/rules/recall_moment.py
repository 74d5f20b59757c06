"""When an event asks history, and which members of a range were there by then."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final

from scoring.rules.history_keys import LAST_TIME
from scoring.rules.recall_columns import Times

_LATE: Final = 10**13
_EARLY: Final = 10**12
_DIGITS: Final = 13
"""Of times from 2001 to 2286, in ms: as text they are in the same order."""


class Moment:
    """When an event asks: its time, and where each window of a program begins, as numbers and as text."""

    __slots__ = ("at", "lows", "plain", "texts")

    def __init__(self, at: int, windows: Sequence[int]) -> None:
        """``windows``: the longest first."""
        self.at = at
        self.lows = [at - over for over in windows]
        self.plain = self.lows[0] >= _EARLY and at < _LATE
        self.texts = [b"%d" % low for low in self.lows] if self.plain else []


def parted(reply: Sequence[Any], moment: Moment) -> tuple[Sequence[bytes], Times, Sequence[Any]]:
    """Return names and times of a range's members up to the event, and where windows begin, written as the times are.

    It is what ``Seen`` makes of a reply, where times are mostly left as they came: text of one length.
    """
    if reply and isinstance(reply[0], list):
        reply = [part for pair in reply for part in pair]
    names, times = reply[::2], reply[1::2]
    if names and int(times[-1]) > LAST_TIME:  # the floor
        names, times = names[:-1], times[:-1]
    if not names:
        return (), (), ()
    lows: Sequence[Any] = moment.texts
    if not moment.plain or type(times[0]) is not bytes or not len(times[0]) == len(times[-1]) == _DIGITS:
        times, lows = [int(time) for time in times], moment.lows
    if times[-1] > lows[-1]:
        until = bisect_right(times, lows[-1])
        names, times = names[:until], times[:until]
    return names, times, lows
