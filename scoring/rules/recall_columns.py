"""How members of one layout answer the questions to their set, by a function that is generated for the questions.

One pass takes all members apart, their heads among the values, which tells whether all are of the layout. What several
questions need, where a window begins or a column's part in it, is found once. Nothing of a rule or a member gets into
the generated text, which is of numbers alone; slots, and so the order of values, are a merchant's own and handed in.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from math import fsum
from typing import Any, Final, NamedTuple

from scoring.rules.answers import Function
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.history_members import ID, NUMBER, TEXT, Layout

_LENGTH: Final = struct.Struct(">H")
_VALUE: Final = 8
Times = Sequence[bytes] | Sequence[int]
_OF_NUMBERS: Final[Mapping[Function, str]] = {
    "sum": "fsum({values})",
    "min": "min({values}) if {size} else None",
    "max": "max({values}) if {size} else None",
    "avg": "fsum({values}) / {size} if {size} else None",
    "distinct": "len(set({values}))",
    "last": "{values}[-1] if {size} else None",
}


class Part(NamedTuple):
    """A question as it is generated."""

    function: Function
    column: int  # number of its catalogue
    kind: int | None  # of the catalogue's values; None: it has none, the event alone counts
    window: int  # number of its beginning
    place: int  # of the answer

    def known(self) -> bool:
        """Return whether it can be generated; ``reduced`` says the rest."""
        if self.function in ("count", "since"):
            return True
        if self.kind == TEXT:
            return self.function in ("distinct", "last")
        return self.kind == NUMBER


class Plan(NamedTuple):
    """How members of one layout are read."""

    read: Read | None  # None: not at once
    others: Sequence[int]  # questions that are read one by one
    unpack: Callable[[bytes], tuple[Any, ...]]  # of a member: its head, then values of some columns
    places: Mapping[int, int]  # by column: which of what is unpacked it is
    texts: Mapping[int, int]  # by column: which of a member's texts it is
    marks: Sequence[int]  # where the first bytes of each text are in a member
    layout: Layout
    opened: Callable[[str, bytes], str | None]  # of merchant and cipher


Read = Callable[[Plan, Sequence[bytes], Times, Sequence[Any], int, str, list[Any]], bool]
"""Of names and times, where each window begins, the event's time, the merchant, and where answers go.

Times and beginnings are numbers, or text of one length. False: members are not alike, nothing was said.
"""


def planned(
    keys: HistoryKeys, layout: Layout, read: Read | None, columns: Mapping[int, int], others: Sequence[int]
) -> Plan:
    """Return how members are read. ``columns``: by number, which of the layout's values it is."""
    asked = sorted(columns.values())
    forms = ["8x" if place not in asked else "8s" if kind else "d" for place, kind in enumerate(layout.kinds)]
    unpack = struct.Struct(f">{ID}x{len(layout.head)}s{''.join(forms)}").unpack_from
    places = {column: asked.index(place) + 1 for column, place in columns.items()}
    texts = {column: sum(layout.kinds[:place]) for column, place in columns.items() if layout.kinds[place]}
    first = ID + len(layout.head)
    marks = [first + _VALUE * place for place, kind in enumerate(layout.kinds) if kind]
    return Plan(read, others, unpack, places, texts, marks, layout, keys.text)


def generated(parts: Sequence[Part]) -> Read:
    """Return a function that answers questions."""
    writer = _Writer()
    for part in parts:
        writer.part(part)
    return writer.function()


def columns_of(plan: Plan, names: Sequence[bytes]) -> tuple[tuple[Any, ...], ...] | None:
    """Return heads and columns of members, None where not all are of the layout."""
    try:
        columns = tuple(zip(*map(plan.unpack, names)))  # noqa: B905 # all are as long
    except struct.error:  # too short for it
        return None
    head = plan.layout.head
    alike = columns[0].count(head) == len(names) if head else set(map(len, names)) == {ID}
    return columns if alike else None


def texts_of(plan: Plan, member: bytes) -> list[bytes]:
    """Return the ciphers of a member's texts: the first bytes of each, then what is kept behind its length."""
    end, found, length = plan.layout.rest, [], _LENGTH.unpack_from
    for mark in plan.marks:
        begin = end + _LENGTH.size
        end = begin + length(member, end)[0]
        found.append(member[mark : mark + _VALUE] + member[begin:end])
    return found


class _Writer:
    """Writes statements; values have names by number."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._known: set[str] = set()

    def part(self, part: Part) -> None:
        """Write what answers a question."""
        size = self._size(part.window)
        if part.function == "count":
            said = size
        elif part.function == "since":
            said = f"at - int(times[-1]) if {size} else None"
        elif part.function == "last" and part.kind == TEXT:
            self._once(f"texts{part.window}", f"texts_of(plan, names[-1]) if {size} else ()")
            said = f"opened(merchant, texts{part.window}[texts[{part.column}]]) if {size} else None"
        else:
            values = self._values(part.column, part.window)
            said = _OF_NUMBERS[part.function].format(values=values, size=size)
        self._lines.append(f"found[{part.place}] = {said}")

    def _size(self, window: int) -> str:
        """Write how many members a window has."""
        low = f"lows[{window}]"
        self._once(f"f{window}", f"bisect_right(times, {low}) if times[0] <= {low} else 0")
        self._once(f"n{window}", f"size - f{window}")
        return f"n{window}"

    def _values(self, column: int, window: int) -> str:
        """Write a column's part in a window."""
        self._once(f"c{column}", f"columns[places[{column}]]")
        self._once(f"c{column}_{window}", f"c{column}[f{window}:]")
        return f"c{column}_{window}"

    def _once(self, name: str, text: str) -> None:
        if name not in self._known:
            self._known.add(name)
            self._lines.append(f"{name} = {text}")

    def function(self) -> Read:
        """Return what was written as a function."""
        body = [
            "columns = columns_of(plan, names)",
            "if columns is None: return False",
            "size = len(names)",
            "places, texts, opened = plan.places, plan.texts, plan.opened",
            *self._lines,
            "return True",
        ]
        given: dict[str, Any] = {
            "columns_of": columns_of, "texts_of": texts_of, "bisect_right": bisect_right, "fsum": fsum,
        }  # fmt: skip
        text = "def read(plan, names, times, lows, at, merchant, found):\n" + "\n".join(f"    {one}" for one in body)
        exec(compile(text, "<recall>", "exec"), given)  # noqa: S102 # numbers and operators alone are in the text
        read: Read = given["read"]
        return read
