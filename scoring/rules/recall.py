"""What a program's events ask of history, compiled: for an event only entities, its id and times are filled in.

It is the same as to make every ``Query`` and to read every answer by ``history_sets.Reader``, which is what is done
where members of a set are not alike, the event itself is counted in, or the store counted.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from math import fsum
from typing import Any, Final, NamedTuple

from scoring.rules.answers import Function
from scoring.rules.history_keys import HistoryKeys, fault_of
from scoring.rules.history_members import Layout
from scoring.rules.history_seen import Seen
from scoring.rules.history_sets import Command, Question, Questions, Reader
from scoring.rules.selector_tokens import Fault
from scoring.rules.view import Asked, View

NOT_ASKED: Final = Fault("the history could not be asked")
_LAYOUTS: Final = 256
Values = Sequence[Any]
_Quick = tuple[
    Callable[[Values], Any], int, int, int
]  # of a column's values, its place, the window, the answer's place


class _Plan(NamedTuple):
    """How members of one layout are read. A place is that of an answer, a window the number of one."""

    columns: list[_Quick]
    ages: list[tuple[int, int]]  # window, place: of ``since``
    texts: list[tuple[int, int, int]]  # column, window, place: of ``last``
    others: list[int]  # questions that are read one by one


def _distinct(values: Values) -> int:
    return len(set(values))


def _mean(values: Values) -> float | None:
    return fsum(values) / len(values) if values else None


def _least(values: Values) -> float | None:
    return min(values) if values else None


def _most(values: Values) -> float | None:
    return max(values) if values else None


def _newest(values: Values) -> Any:
    return values[-1] if values else None


_OF_NUMBERS: Final[Mapping[Function, Callable[[Values], Any]]] = {
    "count": len, "sum": fsum, "min": _least, "max": _most, "avg": _mean, "distinct": _distinct, "last": _newest,
}  # fmt: skip
_OF_TEXTS: Final[Mapping[Function, Callable[[Values], Any]]] = {"count": len, "distinct": _distinct}


class Recollected(list[Any]):
    """The answers to a program's questions in their order: values, or faults."""


class _Set:
    """The questions of a program to one set."""

    def __init__(self, asked: Sequence[tuple[int, Asked]]) -> None:
        self.operand = asked[0][1].operand
        self.asked = tuple(asked)
        self.places = [place for place, _ in asked]
        self.questions = Questions(
            [Question(one.operand.catalogue.name, one.operand.function, one.operand.over) for _, one in asked]
        )
        self.includes = any(one.operand.include_self for _, one in asked)
        self.nothing = (None,) * len(asked)
        self.windows = tuple(dict.fromkeys(one.over for one in self.questions.asked))
        self._quick: dict[tuple[HistoryKeys, str, bytes], _Plan] = {}

    def quick(self, reader: Reader, layout: Layout) -> _Plan:
        """Return how members of one layout are read."""
        name = reader.keys, reader.merchant, layout.head
        found = self._quick.get(name)
        if found is None:
            if len(self._quick) >= _LAYOUTS:
                self._quick.clear()
            found = self._quick[name] = self._planned(reader, layout)
        return found

    def _planned(self, reader: Reader, layout: Layout) -> _Plan:
        plan = _Plan([], [], [], [])
        for number, (catalogue, function, over) in enumerate(self.questions.asked):
            column = layout.places.get(reader.keys.slot(reader.merchant, catalogue))
            window, place = self.windows.index(over), self.places[number]
            if column is None and catalogue.stream and not catalogue.value and function in ("count", "since"):
                column = len(layout.kinds)  # of times: every event of the stream counts
            texts = column is not None and column < len(layout.kinds) and layout.kinds[column]
            functions = _OF_TEXTS if texts else _OF_NUMBERS
            if self.asked[number][1].operand.include_self or over > self.questions.range or column is None:
                plan.others.append(number)
            elif function == "since":
                plan.ages.append((window, place))
            elif function == "last" and texts:
                plan.texts.append((column, window, place))
            elif function in functions:
                plan.columns.append((functions[function], column, window, place))
            else:
                plan.others.append(number)
        return plan

    def answer(self, reader: Reader, seen: Seen, included: Sequence[Any], found: list[Any]) -> None:
        """Put the answers in their places."""
        others: Sequence[int] = range(len(self.places))
        layout = seen.alike()
        if layout is not None:
            plan = self.quick(reader, layout)
            others = plan.others
            times = seen.times
            columns = [*seen.columns(layout), times]
            firsts = [bisect_right(times, seen.at - over) for over in self.windows]
            for function, column, window, place in plan.columns:
                first = firsts[window]
                found[place] = function(columns[column][first:] if first else columns[column])
            for window, place in plan.ages:
                found[place] = seen.at - times[-1] if firsts[window] < len(times) else None
            for column, window, place in plan.texts:
                if firsts[window] < len(times):
                    found[place] = reader.keys.opened(reader.merchant, layout, seen.names[-1], column)
        for number in others:
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
        self._sets = tuple(_Set(some) for some in together.values())
        self._count = len(asked)

    def ask(self, view: View, reader: Reader) -> Recalling:
        """Return what one event asks."""
        found: list[Any] = [None] * self._count
        commands: list[Command] = []
        waiting: list[_Waiting] = []
        at = view.happening.at
        keys, merchant = reader
        fault = fault_of(at)
        for one in self._sets:
            entity = view.entity(one.operand.of)
            if fault is not None or not isinstance(entity, str):
                for place in one.places:
                    found[place] = NOT_ASKED if isinstance(entity, str) else entity
                continue
            catalogue = one.operand.catalogue
            own = keys.id(view.dedupe(catalogue))
            commands += one.questions.sent(keys.key(merchant, catalogue.name, entity), at, own)
            waiting.append(_Waiting(one, own, entity))
        return Recalling(tuple(commands), found, waiting, view, reader)


class _Waiting(NamedTuple):
    """A set that was asked."""

    set: _Set
    own: bytes
    entity: str


class Recalling:
    """What one event asks, on its way."""

    __slots__ = ("_found", "_reader", "_view", "_waiting", "commands")

    def __init__(
        self, commands: tuple[Command, ...], found: list[Any], waiting: list[_Waiting], view: View, reader: Reader
    ) -> None:
        self.commands = commands
        self._found, self._waiting, self._view, self._reader = found, waiting, view, reader

    def read(self, replies: Sequence[Any]) -> Recollected:
        """Return the answers, of one reply for each command."""
        found, first, at = Recollected(self._found), 0, self._view.happening.at
        for one, own, entity in self._waiting:
            last = first + one.questions.commands
            seen = one.questions.seen(replies[first:last], at, own)
            included = self._included(one, entity) if one.includes else one.nothing
            one.answer(self._reader, seen, included, found)
            first = last
        return found

    def _included(self, one: _Set, entity: str) -> list[Any]:
        """Return the event's own values, by question; a fault where it should have one and has not."""
        return [
            self._view.included(asked.operand, entity) if asked.operand.include_self else None for _, asked in one.asked
        ]
