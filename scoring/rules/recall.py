"""What a program's events ask of history, compiled: for an event only entities, its id and times are filled in.

It is the same as to make every ``Query`` and to read every answer by ``history_sets.Reader``, which is what is done
where members of a set are not alike, the event itself is counted in, or the store counted; else ``recall_columns``.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from scoring.rules.history_keys import HistoryKeys, fault_of
from scoring.rules.history_members import ID, Layout, layout_of
from scoring.rules.history_packed import packed_range
from scoring.rules.history_seen import Seen
from scoring.rules.history_sets import Question, Questions, Reader, after, range_command
from scoring.rules.recall_columns import Part, Plan, Read, generated, planned
from scoring.rules.recall_moment import Moment, parted
from scoring.rules.recall_packed import PackedRanges
from scoring.rules.selector_tokens import Fault
from scoring.rules.view import Asked, View

if TYPE_CHECKING:
    from scoring.rules.recall_quick import Joint, Quick

NOT_ASKED: Final = Fault("the history could not be asked")
_PLANS: Final = 1_024
_FUNCTIONS: Final = 64
"""Of one set: they differ by which catalogues have values, and whether these are texts."""
_MOST_GENERATED: Final = 200
"""Questions to one set: what has more takes too long to generate, the others are read one by one."""
_NONE: Final = b"*0\r\n"


class Recollected(list[Any]):
    """The answers to a program's questions in their order: values, or faults. ``whole``: none of them is NOT_ASKED."""

    whole = False


class _Whole(Recollected):
    whole = True


class Raw(Protocol):
    """Replies as they came, by protocol 2."""

    @property
    def data(self) -> bytes:
        """Return all of them together."""

    @property
    def begins(self) -> Sequence[int]:
        """Return where each begins."""

    def parsed(self, first: int, last: int) -> list[Any]:
        """Return some of the replies as objects."""


class _Function(NamedTuple):
    """What reads members whose values are of some kinds; ``others`` are questions that it does not answer."""

    read: Read
    parts: Sequence[Part]
    others: Sequence[int]


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
        self._functions: dict[tuple[int | None, ...], _Function] = {}
        self._overs = windows
        self.quick: dict[Reader, Quick] = {}  # for members as they were last
        self._alone: dict[Reader, Joint] = {}
        self._plans: dict[tuple[HistoryKeys, str, bytes], Plan] = {}
        self._empty: list[tuple[int, Any]] | None = None

    def _plan(self, reader: Reader, layout: Layout) -> Plan:
        """Return how members of one layout are read."""
        name = reader.keys, reader.merchant, layout.head
        found = self._plans.get(name)
        if found is None:
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            columns, function = self._function(reader, layout)
            read, others = (function.read, function.others) if function else (None, self.all)
            found = self._plans[name] = planned(reader.keys, layout, read, columns, others)
        return found

    def _function(self, reader: Reader, layout: Layout) -> tuple[dict[int, int], _Function | None]:
        """Return which values of a layout the columns are, and what reads them; None where too much is known."""
        slots = [(column, reader.keys.slot(reader.merchant, name)) for name, column in self._columns.items()]
        columns = {column: layout.places[slot] for column, slot in slots if slot in layout.places}
        kinds = tuple([layout.kinds[columns[column]] if column in columns else None for column, _ in slots])
        known = self._functions.get(kinds)
        if known is None:
            if len(self._functions) >= _FUNCTIONS:
                return {}, None
            known = self._functions[kinds] = self._generated(kinds)
        return columns, known

    def _generated(self, kinds: Sequence[int | None]) -> _Function:
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
        known = [part for _, part in parts]
        return _Function(generated(known), known, [number for number in self.all if number not in said])

    def of_raw(
        self, reader: Reader, raw: Raw, place: int, moment: Moment, own: bytes, found: list[Any]
    ) -> Sequence[int]:
        """Put answers in their places, of a range's reply as it came; return the questions that are left."""
        data, first = raw.data, raw.begins[place]
        if data.startswith(_NONE, first):
            return self._of_nothing(reader, moment, found)
        alone = self._alone.get(reader)
        values = None if alone is None else alone.read(data, first, moment.at, own, reader.merchant)
        if alone is not None and values is not None:
            for answer in self.places:
                found[answer] = values[answer]
            return alone.quicks[0].others
        (reply,) = raw.parsed(place, place + 1)
        self._expect(reader, reply)
        return self.at_once(reader, reply, moment, own, found)

    def _expect(self, reader: Reader, reply: Sequence[Any]) -> None:
        """Take the newest member's layout for that of members to come."""
        from scoring.rules.recall_quick import Joint, Quick  # noqa: PLC0415 # needs Numba, which most that know rules do not

        newest = next((name for name in reply[-2::-2] if len(name) >= ID), None)
        if newest is None:
            return
        layout = layout_of(newest)
        columns, function = self._function(reader, layout)
        if function is not None:
            known = self.quick.get(reader)
            if known is None or known.layout is not layout:
                if len(self.quick) >= _PLANS:
                    self.quick.clear()
                    self._alone.clear()
                quick = self.quick[reader] = Quick(layout, function.parts, columns, function.others)
                self._alone[reader] = Joint([quick], self._overs, self.places[-1] + 1, reader.keys.text)

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
        self._packed: dict[Reader, PackedRanges[_Set]] = {}
        self._joints: dict[Reader, Joint] = {}
        self._quicks: dict[Reader, list[Quick]] = {}  # of the last event of which a joint could not be made
        self._may_join = bool(self._sets) and all(
            one.questions.simple and one.catalogue.dedupe is None for one in self._sets
        )

    def ask(self, view: View, reader: Reader, packed: bool = False) -> Recalling:
        """Return what one event asks. ``packed``: commands are bytes where they can be."""
        if packed and self._may_join and (sent := self._packed_of(reader).of(view)):
            return Recalling(*sent, [None] * self._count, view, reader, self)
        found: list[Any] = [None] * self._count
        commands: list[Any] = []
        range_of = packed_range if packed else range_command
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
                commands.append(range_of(key, lows[one.questions.range]))
            else:
                commands += one.questions.sent(key, at, own)
            waiting.append((one, own, entity))
        return Recalling(commands, waiting, found, view, reader, self)

    def _packed_of(self, reader: Reader) -> PackedRanges[_Set]:
        """Return how each set is asked, for all of a merchant's events."""
        found = self._packed.get(reader)
        if found is None:
            if len(self._packed) >= _PLANS:
                self._packed.clear()
            sets = [(one, one.of, one.questions.range) for one in self._sets]
            found = self._packed[reader] = PackedRanges(sets, self._named(reader), reader)
        return found

    def joint(self, reader: Reader, asked: int) -> Joint | None:
        """Return what answers all questions at once, where all sets were asked and members are as they were last."""
        return self._joints.get(reader) if asked == len(self._sets) else None

    def join(self, reader: Reader) -> None:
        """Make a joint for members to come, where the sets were alike in two events one after another."""
        from scoring.rules.recall_quick import Joint  # noqa: PLC0415 # needs Numba, which most that know rules do not

        if not self._may_join:
            return
        quicks = [quick for one in self._sets if (quick := one.quick.get(reader)) is not None]
        if len(self._quicks) >= _PLANS:
            self._quicks.clear()
            self._joints.clear()
        before, self._quicks[reader] = self._quicks.get(reader), quicks
        if len(quicks) == len(self._sets) and before is not None and all(map(is_, quicks, before)):
            self._joints[reader] = Joint(quicks, self.windows, self._count, reader.keys.text)

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

    __slots__ = ("_found", "_reader", "_recall", "_view", "_waiting", "commands")

    def __init__(
        self,
        commands: Sequence[Any],
        waiting: Sequence[_Waiting],
        found: list[Any],
        view: View,
        reader: Reader,
        recall: Recall,
    ) -> None:
        self.commands = commands
        self._found, self._waiting, self._view, self._reader = found, waiting, view, reader
        self._recall = recall

    def read(self, replies: Sequence[Any]) -> Recollected:
        """Return the answers, of one reply for each command."""
        found, first, at = Recollected(self._found), 0, self._view.happening.at
        moment = Moment(at, self._recall.windows)
        for one, own, entity in self._waiting:
            questions = one.questions
            last = first + questions.commands
            left: Sequence[int] = one.all
            if questions.range and not questions.refused(replies[first:last]):
                reply = replies[last - 1]
                left = one.at_once(self._reader, reply if questions.simple else reply[0], moment, own, found)
            if left:
                self._read_left(one, replies[first:last], own, entity, left, found)
            first = last
        return found

    def read_raw(self, raw: Raw) -> Recollected:
        """Return the answers, of the replies as they came."""
        joint = self._recall.joint(self._reader, len(self._waiting))
        if joint is not None:
            at, own = self._view.happening.at, self._waiting[0][1]
            values = joint.read(raw.data, raw.begins[0], at, own, self._reader.merchant)
            if values is not None:
                answers = values[:-1]
                return self._with_others(raw, joint, Recollected(answers)) if joint.leaves else _Whole(answers)
        found = self._read_apart(raw)
        self._recall.join(self._reader)
        return found

    def _with_others(self, raw: Raw, joint: Joint, found: Recollected) -> Recollected:
        """Answer what is left behind a joint."""
        for place, (one, own, entity) in enumerate(self._waiting):
            left = joint.quicks[place].others
            if left:
                self._read_left(one, raw.parsed(place, place + 1), own, entity, left, found)
        return found

    def _read_apart(self, raw: Raw) -> Recollected:
        """Return the answers set by set."""
        found, first = Recollected(self._found), 0
        moment = Moment(self._view.happening.at, self._recall.windows)
        for one, own, entity in self._waiting:
            last = first + one.questions.commands
            left: Sequence[int] = one.all
            if one.questions.simple:
                left = one.of_raw(self._reader, raw, first, moment, own, found)
            if left:
                self._read_left(one, raw.parsed(first, last), own, entity, left, found)
            first = last
        return found

    def _read_left(
        self, one: _Set, replies: Sequence[Any], own: bytes, entity: str, left: Sequence[int], found: list[Any]
    ) -> None:
        """Put answers in their places, of some questions to a set."""
        if one.questions.refused(replies):
            for place in one.places:
                found[place] = NOT_ASKED
            return
        seen = one.questions.seen(replies, self._view.happening.at, own)
        included = self._included(one, entity) if one.includes else one.nothing
        one.one_by_one(self._reader, seen, included, left, found)

    def _included(self, one: _Set, entity: str) -> list[Any]:
        """Return the event's own values, by question; a fault where it should have one and has not."""
        return [
            self._view.included(asked.operand, entity) if asked.operand.include_self else None for _, asked in one.asked
        ]
