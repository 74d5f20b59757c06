"""What an event sees of one sorted set: members in the order of time, each catalogue's values as a column."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any, Final

from scoring.rules.answers import CatalogueName, Function
from scoring.rules.history_functions import reduced
from scoring.rules.history_keys import LAST_TIME
from scoring.rules.history_members import ID, NOTHING, Layout, layout_of

_ONE: Final = 1.0


class Column:
    """The values of a catalogue: numbers, or the first 8 bytes of texts' ciphers."""

    __slots__ = ("_has_texts", "_places", "_values")

    def __init__(self, values: Sequence[Any], has_texts: bool, places: Sequence[int] | None = None) -> None:
        """``places``: which members have a value, ascending; None: all."""
        self._values, self._has_texts, self._places = values, has_texts, places

    def value(self, function: Function, first: int, more: float | bytes | None) -> float | None:
        """Return a function of members from ``first`` on, and of one value more where it is given."""
        if self._places is not None:
            first = bisect_left(self._places, first)
        values = self._values[first:] if first else self._values
        if function == "count":
            return len(values) + (more is not None)
        if more is not None:
            values = [*values, more]
        if not self._has_texts and not isinstance(more, bytes):
            return reduced(function, values, (), 0)
        numbers = [value for value in values if not isinstance(value, bytes)]
        texts = [value for value in values if isinstance(value, bytes)]
        return reduced(function, numbers, texts, 0)

    def newest(self, first: int, members: int) -> int | None:
        """Return which member from ``first`` on is the newest that has a value."""
        if self._places is None:
            return members - 1 if members > first else None
        return self._places[-1] if self._places and self._places[-1] >= first else None


class Seen:
    """Members up to the event without the event's own, ascending by time and id; ``floor`` as it is kept."""

    __slots__ = (
        "_alike", "_columns", "_firsts", "_layout", "_unpacked", "at", "counts", "floor", "names", "newest", "times",
    )  # fmt: skip

    def __init__(self, reply: Sequence[Any], at: int, own: bytes) -> None:
        """``reply`` of ZRANGEBYSCORE with scores, as protocol 2 or 3 has it; scores of events are their times."""
        if reply and isinstance(reply[0], list):
            reply = [part for pair in reply for part in pair]
        names, times = list(reply[::2]), list(map(int, reply[1::2]))
        self.floor: int | None = None
        if times and times[-1] > LAST_TIME:
            self.floor = times.pop() - LAST_TIME - 1
            names.pop()
        if times and times[-1] > at:
            until = bisect_right(times, at)
            del names[until:], times[until:]
        if own and own in b"".join(names):
            others = [place for place, name in enumerate(names) if not name.startswith(own)]
            names, times = [names[place] for place in others], [times[place] for place in others]
        self.at, self.names, self.times = at, names, times
        self.counts: dict[int, int] = {}  # by window, of those that the store counted
        self.newest: tuple[int, bytes] | None = (times[-1], names[-1]) if times else None
        self._firsts: dict[int, int] = {}
        self._layout = NOTHING
        self._alike: bool | None = None  # None: not known yet
        self._unpacked: list[tuple[Any, ...]] = []
        self._columns: dict[bytes, Column] = {}

    def take_newest(self, reply: Sequence[Any], own: bytes) -> None:
        """Take in the newest two members, with their times."""
        if reply and isinstance(reply[0], list):
            reply = [part for pair in reply for part in pair]
        for name, time in zip(reply[::2], reply[1::2], strict=True):
            if not name.startswith(own) or not own:
                self.newest = int(float(time)), name
                return

    def first(self, over: int) -> int:
        """Return which member is the first of a window."""
        found = self._firsts.get(over)
        if found is None:
            found = self._firsts[over] = bisect_right(self.times, self.at - over)
        return found

    def count(self, over: int) -> int:
        """Return how many members a window has."""
        counted = self.counts.get(over)
        return len(self.times) - self.first(over) if counted is None else counted

    def column(self, slot: bytes, catalogue: CatalogueName) -> Column:
        """Return the values of a catalogue, which has a slot."""
        found = self._columns.get(slot)
        if found is None:
            found = self._columns[slot] = self._column(slot, bool(catalogue.stream and catalogue.value))
        return found

    def _column(self, slot: bytes, shared: bool) -> Column:
        """Where the set is not ``shared``, or every event counts, a member without a value stands for 1."""
        layout = self.alike()
        if layout is None:
            return _mixed(self.names, slot, shared)
        place = layout.places.get(slot)
        if place is None:
            return Column((), False, ()) if shared else Column([_ONE] * len(self.names), False)
        return Column(self.columns(layout)[place], bool(layout.kinds[place]))

    def alike(self) -> Layout | None:
        """Return the layout of all members, None where they are not alike or there are none."""
        if self._alike is None:
            self._layout, self._alike = _common(self.names)
        return self._layout if self._alike else None

    def columns(self, layout: Layout) -> Sequence[Sequence[Any]]:
        """Return what members of one layout have at fixed places, by place."""
        if not self._unpacked:
            self._unpacked = list(zip(*map(layout.unpack, self.names), strict=True))
        return self._unpacked


def _common(names: Sequence[bytes]) -> tuple[Layout, bool]:
    """Return the layout of the first member, and whether all have it."""
    if not names:
        return NOTHING, False
    layout = layout_of(names[0])
    head = layout.head
    if not head:
        return layout, all(len(name) == ID for name in names)
    return layout, all(name.startswith(head, ID) for name in names)


def _mixed(names: Sequence[bytes], slot: bytes, shared: bool) -> Column:
    """Return a column of members that are not alike: their events lacked values, or rulesets changed."""
    places, values, has_texts = [], [], False
    for number, name in enumerate(names):
        layout = layout_of(name)
        place = layout.places.get(slot)
        if place is None and shared:
            continue
        places.append(number)
        values.append(_ONE if place is None else layout.unpack(name)[place])
        has_texts = has_texts or (place is not None and bool(layout.kinds[place]))
    return Column(values, has_texts, None if len(places) == len(names) else places)
