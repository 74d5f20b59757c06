"""What a program's events ask of history, compiled: for an event only entities, its id and times are filled in.

It is the same as to make every ``Query`` and to read every answer by ``history_sets.Reader``, which is what is done
where members of a set are not alike, the event itself is counted in, or the store counted; else ``recall_columns``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, Final

from scoring.rules.history_keys import LAST_TIME, HistoryKeys, fault_of
from scoring.rules.history_members import Layout, layout_of
from scoring.rules.history_seen import Seen
from scoring.rules.history_sets import Command, Question, Questions, Reader, after, range_command
from scoring.rules.recall_columns import Part, Plan, Read, Times, generated, planned
from scoring.rules.selector_tokens import Fault
from scoring.rules.view import Asked, View

NOT_ASKED: Final = Fault("the history could not be asked")
_PLANS: Final = 1_024
_FUNCTIONS: Final = 64
"""Of one set: they differ by which catalogues have values, and whether these are texts."""
_MOST_GENERATED: Final = 200
"""Questions to one set: what has more takes too long to generate, the others are read one by one."""
_LATE: Final = 10**13
_EARLY: Final = 10**12
_DIGITS: Final = 13
"""Of times from 2001 to 2286, in ms: as text they are in the same order."""


class Recollected(list[Any]):
    """The answers to a program's questions in their order: values, or faults."""


class Moment:
    """When an event asks: its time, and where each window of a program begins, as numbers and as text."""

    __slots__ = ("at", "lows", "plain", "texts")

    def __init__(self, at: int, windows: Sequence[int]) -> None:
        """``windows``: the longest first."""
        self.at = at
        self.lows = [at - over for over in windows]
        self.plain = self.lows[0] >= _EARLY and at < _LATE
        self.texts = [b"%d" % low for low in self.lows] if self.plain else []


class _Set:
    """The questions of a program to one set."""

    def __init__(self, asked: Sequence[tuple[int, Asked]], windows: Sequence[int]) -> None:
        catalogue = asked[0][1].operand.catalogue
        self.of, self.catalogue = asked[0][1].operand.of, catalogue
        self.asked = tuple(asked)
        self.places = [place for place, _ in asked]
        self.questions = Questions(
            [Question(one.operand.catalogue.name, one.operand.function, one.operand.over) for _, one in asked]
        )
        self.includes = any(one.operand.include_self for _, one in asked)
        self.nothing = (None,) * len(asked)
        self.all = range(len(asked))
        self._of_members = [  # questions that members alone answer
            number
            for number, (_, one) in enumerate(asked)
            if not one.operand.include_self and one.operand.over <= self.questions.range
        ]
        self._windows = [windows.index(one.over) for one in self.questions.asked]
        self._columns = {one: column for column, one in enumerate({one.catalogue: 0 for one in self.questions.asked})}
        self._functions: dict[tuple[int | None, ...], tuple[Read, list[int]]] = {}
        self._plans: dict[tuple[HistoryKeys, str, bytes], Plan] = {}
        self._empty: list[tuple[int, Any]] | None = None

    def _plan(self, reader: Reader, layout: Layout) -> Plan:
        """Return how members of one layout are read."""
        name = reader.keys, reader.merchant, layout.head
        found = self._plans.get(name)
        if found is None:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            found = self._plans[name] = self._planned(reader, layout)
        return found

    def _planned(self, reader: Reader, layout: Layout) -> Plan:
        slots = [(column, reader.keys.slot(reader.merchant, name)) for name, column in self._columns.items()]
        columns = {column: layout.places[slot] for column, slot in slots if slot in layout.places}
        kinds = tuple([layout.kinds[columns[column]] if column in columns else None for column, _ in slots])
        known = self._functions.get(kinds)
        if known is None:
            if len(self._functions) >= _FUNCTIONS:
                return planned(reader.keys, layout, None, {}, self.all)
            known = self._functions[kinds] = self._generated(kinds)
        return planned(reader.keys, layout, known[0], columns, known[1])

    def _generated(self, kinds: Sequence[int | None]) -> tuple[Read, list[int]]:
        """Return what reads members whose values are of such kinds, and what it does not answer."""
        parts: list[tuple[int, Part]] = []
        for number in self._of_members:
            catalogue, function, _ = self.questions.asked[number]
            column = self._columns[catalogue]
            part = Part(function, column, kinds[column], self._windows[number], self.places[number])
            every = part.kind is not None or (catalogue.stream and not catalogue.value)
            if every and part.known() and len(parts) < _MOST_GENERATED:
                parts.append((number, part))
        said = {number for number, _ in parts}
        return generated([part for _, part in parts]), [number for number in self.all if number not in said]

    def at_once(
        self, reader: Reader, reply: Sequence[Any], moment: Moment, own: bytes, found: list[Any]
    ) -> Sequence[int]:
        """Put answers in their places, of a range's reply; return the questions that are left."""
        names, times, lows = parted(reply, moment)
        if own and own in b"".join(names):
            others = [place for place, name in enumerate(names) if not name.startswith(own)]
            names = [names[place] for place in others]
            times = [times[place] for place in others]  # type: ignore[assignment] # all of one type, as they were
        if not names:
            return self._of_nothing(reader, moment, found)
        plan = self._plan(reader, layout_of(names[0]))
        read = plan.read
        if read is None or not read(plan, names, times, lows, moment.at, reader.merchant, found):
            return self.all
        return plan.others

    def _of_nothing(self, reader: Reader, moment: Moment, found: list[Any]) -> Sequence[int]:
        """Put answers in their places where there is no member."""
        if self._empty is None:
            seen, asked = Seen((), moment.at, b""), self.questions.asked
            values = [(number, reader.value(seen, asked[number], None)) for number in self._of_members]
            self._empty = [(self.places[number], value) for number, value in values]
            self._full = [number for number in self.all if number not in self._of_members]
        for place, value in self._empty:
            found[place] = value
        return self._full

    def one_by_one(
        self, reader: Reader, seen: Seen, included: Sequence[Any], numbers: Sequence[int], found: list[Any]
    ) -> None:
        """Put answers in their places, of some questions."""
        for number in numbers:
            itself = included[number]
            known = not isinstance(itself, Fault)
            value = reader.value(seen, self.questions.asked[number], itself) if known else itself
            found[self.places[number]] = value


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


class Recall:
    """The questions of a program, by the sets that answer them."""

    def __init__(self, asked: Sequence[Asked]) -> None:
        together: dict[Any, list[tuple[int, Asked]]] = {}
        for place, one in enumerate(asked):
            operand, name = one.operand, one.operand.catalogue.name
            shared = (name.scope, name.stream) if name.stream else name
            together.setdefault((operand.of, shared, operand.catalogue.dedupe), []).append((place, one))
        self.windows = (*sorted({one.operand.over for one in asked}, reverse=True), 0)
        self._sets = tuple(_Set(some, self.windows) for some in together.values())
        self._ranges = {one.questions.range for one in self._sets}
        self._count = len(asked)
        self._ends: dict[Reader, list[bytes]] = {}  # how the sets' keys end

    def ask(self, view: View, reader: Reader) -> Recalling:
        """Return what one event asks."""
        found: list[Any] = [None] * self._count
        commands: list[Command] = []
        waiting: list[_Waiting] = []
        at = view.happening.at
        keys, merchant = reader
        fault = fault_of(at)
        same, lows = keys.id(view.happening.id), {over: after(at - over) for over in self._ranges}
        for one, end in zip(self._sets, self._ends.get(reader) or self._named(reader), strict=True):
            entity = view.entity(one.of)
            if fault is not None or not isinstance(entity, str):
                for place in one.places:
                    found[place] = NOT_ASKED if isinstance(entity, str) else entity
                continue
            own = same if one.catalogue.dedupe is None else keys.id(view.dedupe(one.catalogue))
            key = keys.entity(merchant, entity) + end
            if one.questions.simple:
                commands.append(range_command(key, lows[one.questions.range]))
            else:
                commands += one.questions.sent(key, at, own)
            waiting.append((one, own, entity))
        return Recalling(tuple(commands), found, waiting, view, reader, self.windows)

    def _named(self, reader: Reader) -> list[bytes]:
        if len(self._ends) >= _PLANS:
            self._ends.clear()
        ends = [reader.keys.catalogue(reader.merchant, one.catalogue.name) for one in self._sets]
        self._ends[reader] = ends
        return ends


_Waiting = tuple[_Set, bytes, str]
"""A set that was asked, with the event's own id and entity there."""


class Recalling:
    """What one event asks, on its way."""

    __slots__ = ("_found", "_reader", "_view", "_waiting", "_windows", "commands")

    def __init__(
        self,
        commands: tuple[Command, ...],
        found: list[Any],
        waiting: list[_Waiting],
        view: View,
        reader: Reader,
        windows: Sequence[int],
    ) -> None:
        self.commands = commands
        self._found, self._waiting, self._view, self._reader = found, waiting, view, reader
        self._windows = windows

    def read(self, replies: Sequence[Any]) -> Recollected:
        """Return the answers, of one reply for each command."""
        found, first, at = Recollected(self._found), 0, self._view.happening.at
        moment = Moment(at, self._windows)
        for one, own, entity in self._waiting:
            questions = one.questions
            last = first + questions.commands
            left: Sequence[int] = one.all
            if questions.range:
                reply = replies[last - 1]
                left = one.at_once(self._reader, reply if questions.simple else reply[0], moment, own, found)
            if left:
                seen = questions.seen(replies[first:last], at, own)
                included = self._included(one, entity) if one.includes else one.nothing
                one.one_by_one(self._reader, seen, included, left, found)
            first = last
        return found

    def _included(self, one: _Set, entity: str) -> list[Any]:
        """Return the event's own values, by question; a fault where it should have one and has not."""
        return [
            self._view.included(asked.operand, entity) if asked.operand.include_self else None for _, asked in one.asked
        ]
