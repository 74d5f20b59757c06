"""What a program's events write to history, compiled: one member for each set, with the values of all its catalogues.

It is the same as to make every ``Write`` and to give them to ``history.plan_writes``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scoring.rules.answers import LONGEST_TEXT
from scoring.rules.document import Catalogue
from scoring.rules.history import HistoryLimits, Member, Written, has_slot, write_command
from scoring.rules.history_keys import LARGEST_NUMBER
from scoring.rules.history_sets import Command, Reader
from scoring.rules.selector_tokens import Fault
from scoring.rules.times import time_of
from scoring.rules.view import View


class Remembering:
    """What one event writes. ``unfit``: catalogues that it should have written but does not fit, each with why.

    ``ahead``: those to which nothing is written, as the event's time there is after the latest that is allowed.
    """

    __slots__ = ("_members", "ahead", "commands", "unfit")

    def __init__(
        self, limits: HistoryLimits, members: Sequence[Sequence[Member]], unfit: Mapping[str, str], ahead: list[str]
    ) -> None:
        self.commands: tuple[Command, ...] = tuple([write_command(limits, one) for one in members])
        self.unfit, self.ahead = unfit, ahead
        self._members = members

    @property
    def catalogues(self) -> list[str]:
        """Return the ids of the catalogues that are written."""
        return [name for members in self._members for member in members for name in member.names]

    def read(self, replies: Sequence[Any]) -> dict[str, Written]:
        """Return what became of the writes that were not counted anew, by the id of the catalogue."""
        found: dict[str, Written] = {}
        for members, reply in zip(self._members, replies, strict=True):
            for member, status in zip(members, reply, strict=True):
                if status != Written.COUNTED:
                    found.update(dict.fromkeys(member.names, Written(status)))
        return found


class Remember:
    """The catalogues that events of a type write, by the sets that keep them."""

    def __init__(self, catalogues: Sequence[Catalogue]) -> None:
        together: dict[Any, list[Catalogue]] = {}
        for one in catalogues:
            name = one.name
            shared = (name.scope, name.stream) if name.stream else name
            together.setdefault((one.entity, one.time, one.dedupe, shared), []).append(one)
        self._sets = [(some, max(one.window for one in some)) for some in together.values()]

    def of(self, view: View, reader: Reader, limits: HistoryLimits, latest: int) -> Remembering:
        """Return what an event writes; nothing where its time is after ``latest``."""
        entities: dict[str, list[Member]] = {}
        unfit: dict[str, str] = {}
        ahead: list[str] = []
        for some, window in self._sets:
            first = some[0]
            entity = view.entity(first.entity)
            at = view.happening.at if first.time is None else time_of(view.look(first.time))
            if not isinstance(entity, str) or at is None:
                _say(view, some, unfit)
                continue
            keys, merchant = reader
            member = Member(keys.key(merchant, first.name, entity), keys.id(view.dedupe(first)), at)
            member.window = window
            _fill(member, view, some, reader, unfit)
            if not member.names:
                continue
            if at > latest:
                ahead += member.names
            else:
                entities.setdefault(entity, []).append(member)
        return Remembering(limits, list(entities.values()), unfit, ahead)


def _fill(member: Member, view: View, some: Sequence[Catalogue], reader: Reader, unfit: dict[str, str]) -> None:
    keys, merchant = reader
    for one in some:
        value: Any = 1 if one.value is None else view.look(one.value)
        if value is None:
            continue
        kind = type(value)
        fits = len(value) <= LONGEST_TEXT if kind is str else kind in _NUMBERS and abs(value) <= LARGEST_NUMBER
        if not fits:
            _say(view, (one,), unfit)
            continue
        member.names.append(one.name.id)
        if has_slot(one.name, value):
            member.values[keys.slot(merchant, one.name)] = keys.value(merchant, value)


_NUMBERS = (int, float, bool)


def _say(view: View, some: Sequence[Catalogue], unfit: dict[str, str]) -> None:
    """Note why an event is not written, where that is a mistake."""
    for one in some:
        found = view.write(one)
        if isinstance(found, Fault):
            unfit[one.name.id] = found.said
