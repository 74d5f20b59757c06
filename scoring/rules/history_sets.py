"""What is asked of one sorted set, compiled once, and how the answers of an event are made of what comes back.

Functions of values need the members of their windows: one range, of the longest such window, serves them all, and every
shorter window of ``count``, ``last`` and ``since``. What reaches further back is counted by the store, and of ``last``
and ``since`` the newest two members are asked for, as one may be the event's own. Where that is more than one range,
all of it is asked in one transaction, so that the parts agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from scoring.rules.answers import CatalogueName, Function, Value
from scoring.rules.history_functions import kept
from scoring.rules.history_keys import LAST_TIME, HistoryKeys
from scoring.rules.history_members import layout_of
from scoring.rules.history_seen import Column, Seen

Command = tuple[Any, ...]
_NEWEST: Final = ("last", "since")
_BY_THE_STORE: Final = ("count", *_NEWEST)


class Question(NamedTuple):
    """One function of a catalogue over a window of so many ms."""

    catalogue: CatalogueName
    function: Function
    over: int


class Questions:
    """All questions to one set that see the same: one event's, to one stream of one entity.

    ``range``: how far back members are asked for, 0 where they are not; ``simple``: that is all, by one command.
    """

    def __init__(self, asked: Sequence[Question]) -> None:
        self.asked = tuple(asked)
        ranges, counts, newest = {0}, {0}, {0}
        for catalogue, function, over in asked:
            if function not in _BY_THE_STORE or (catalogue.stream and catalogue.value):
                ranges.add(over)  # the store cannot see which events have a value for a catalogue of many
            else:
                (counts if function == "count" else newest).add(over)
        self.range = max(ranges)
        self._counts = tuple(sorted(over for over in counts if over > self.range))
        self._newest = max(newest) if max(newest) > self.range else 0
        self.simple = not self._counts and not self._newest
        self.commands = 1 if self.simple else 3 + bool(self.range) + len(self._counts) + bool(self._newest)

    def sent(self, key: bytes, at: int, own: bytes) -> tuple[Command, ...]:
        """Return what asks all of it. A range brings with it what is later, and last of all the floor."""
        found: list[Command] = []
        if self.range:
            found.append(range_command(key, after(at - self.range)))
            if self.simple:
                return (found[0],)
        found += [(b"ZCOUNT", key, after(at - over), at) for over in self._counts]
        if self._newest:
            low = after(at - self._newest)
            found.append((b"ZREVRANGEBYSCORE", key, at, low, b"WITHSCORES", b"LIMIT", 0, 2))
        return ((b"MULTI",), *found, (b"ZMSCORE", key, b"floor", own), (b"EXEC",))

    def refused(self, replies: Sequence[Any]) -> bool:
        """Tell whether the store refused a part of a transaction: the key holds something else, say."""
        if self.simple:
            return False
        said = replies[-1]
        return isinstance(said, Exception) or any(isinstance(part, Exception) for part in said)

    def seen(self, replies: Sequence[Any], at: int, own: bytes) -> Seen:
        """Return what the event sees of the set, of one reply for each command."""
        if self.simple:
            return Seen(replies[0], at, own)
        parts = list(replies[-1])
        floor, of_own = parts.pop()
        seen = Seen(parts.pop(0) if self.range else (), at, own)
        seen.floor = None if floor is None else int(float(floor)) - LAST_TIME - 1
        time = None if of_own is None else abs(int(float(of_own)))
        for over, count in zip(self._counts, parts, strict=False):
            seen.counts[over] = count - (time is not None and at - over < time <= at)
        if self._newest:
            seen.take_newest(parts[-1], own)
        return seen

    def values(self, reader: Reader, seen: Seen, included: Sequence[Value | None]) -> list[Value | None]:
        """Return the answers. ``included``: for each question the event's own value where that is to be seen too."""
        return [reader.value(seen, one, itself) for one, itself in zip(self.asked, included, strict=True)]


class Reader(NamedTuple):
    """Reads what a merchant's events see."""

    keys: HistoryKeys
    merchant: str

    def value(self, seen: Seen, asked: Question, itself: Value | None) -> Value | None:
        """Return the answer to a question; ``itself``: the event's own value where that is to be seen too."""
        catalogue, function, over = asked
        if function in _NEWEST:
            if itself is not None:
                return kept(itself) if function == "last" else 0
            return self._newest(seen, asked)
        if function == "count" and not (catalogue.stream and catalogue.value):
            return seen.count(over) + (itself is not None)
        more = self.keys.text_mark(self.merchant, itself) if isinstance(itself, str) else itself
        return self._column(seen, catalogue).value(function, seen.first(over), more)

    def _column(self, seen: Seen, catalogue: CatalogueName) -> Column:
        return seen.column(self.keys.slot(self.merchant, catalogue), catalogue)

    def newest(self, seen: Seen, catalogue: CatalogueName, over: int) -> tuple[int, bytes] | None:
        """Return time and member of the newest that a catalogue has in a window."""
        if catalogue.stream and catalogue.value:
            place = self._column(seen, catalogue).newest(seen.first(over), len(seen.times))
            return None if place is None else (seen.times[place], seen.names[place])
        return seen.newest if seen.newest and seen.newest[0] > seen.at - over else None

    def _newest(self, seen: Seen, asked: Question) -> Value | None:
        found = self.newest(seen, asked.catalogue, asked.over)
        if found is None:
            return None
        if asked.function == "since":
            return seen.at - found[0]
        layout = layout_of(found[1])
        place = layout.places.get(self.keys.slot(self.merchant, asked.catalogue))
        return 1.0 if place is None else self.keys.opened(self.merchant, layout, found[1], place)

    def truncated(self, seen: Seen, asked: Question, itself: Value | None) -> bool:
        """Return whether members of a question's window may be missing."""
        floor = seen.floor
        if floor is None:
            return False
        if asked.function in _NEWEST:
            if itself is not None:
                return False
            found = self.newest(seen, asked.catalogue, asked.over)
            if found is not None:
                return found[0] < floor
        return seen.at - asked.over < floor


def range_command(key: bytes, low: bytes) -> Command:
    """Return what asks for members from a time on, what is later than the event and the floor among them."""
    return b"ZRANGEBYSCORE", key, low, b"+inf", b"WITHSCORES"


def after(time: int) -> bytes:
    """Return how a range says that it begins behind a time."""
    return b"(%d" % max(time, 0)  # below 0 are the ids of events with a value
