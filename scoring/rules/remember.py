"""What a program's events write to history, compiled: one member for each set, with the values of all its catalogues.

It is the same as to make every ``Write`` and to give them to ``history.plan_writes``. A value that several sets keep is
coded once, and the payload of values of known kinds is one packing behind a constant head.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, NamedTuple

from scoring.rules.answers import LONGEST_TEXT
from scoring.rules.document import Catalogue
from scoring.rules.history import HistoryLimits, Member, SetWrite, Written, has_slot, write_command
from scoring.rules.history_keys import LARGEST_NUMBER, HistoryKeys
from scoring.rules.history_members import ID, NUMBER, TEXT, Kept, layout_of, payload
from scoring.rules.history_packed import packed_limits, packed_write
from scoring.rules.history_sets import Reader
from scoring.rules.remember_packed import PackedSet, PackedWrites, Payload
from scoring.rules.selector_tokens import Fault
from scoring.rules.times import time_of
from scoring.rules.view import View

_ABSENT: Final = 2  # a kind beside NUMBER and TEXT
_UNFIT: Final = 3
_MERCHANTS: Final = 128  # whose names are kept
_SHAPES: Final = 32  # of one merchant
_TEXTS: Final = 4_096  # of all merchants and programs
_NOTHING_KEPT: Final = Kept(0.0)
_NUMBERS: Final = (int, float, bool)


Names = Sequence[Sequence[str]]


class Remembering:
    """What one event writes. ``unfit``: catalogues that it should have written but does not fit, each with why.

    ``ahead``: those to which nothing is written, as the event's time there is after the latest that is allowed.
    """

    __slots__ = ("_names", "ahead", "commands", "unfit")

    def __init__(
        self, commands: Sequence[Any], names: Sequence[Names], unfit: Mapping[str, str], ahead: Sequence[str]
    ) -> None:
        """``names``: of each command, the ids of the catalogues of each set that it writes."""
        self.commands, self._names = commands, names
        self.unfit, self.ahead = unfit, ahead

    @property
    def catalogues(self) -> list[str]:
        """Return the ids of the catalogues that are written."""
        return [name for sets in self._names for some in sets for name in some]

    def read(self, replies: Sequence[Any]) -> dict[str, Written]:
        """Return what became of the writes that were not counted anew, by the id of the catalogue."""
        found: dict[str, Written] = {}
        if replies == [[1] * len(sets) for sets in self._names]:  # as nearly always
            return found
        for sets, reply in zip(self._names, replies, strict=True):
            for names, status in zip(sets, reply, strict=True):
                if status != 1:  # Written.COUNTED, which is slow to be compared with
                    found.update(dict.fromkeys(names, Written(status)))
        return found


class _Set(NamedTuple):
    """Catalogues that one set keeps."""

    catalogues: tuple[Catalogue, ...]
    window: int
    entity: str
    time: str | None
    places: tuple[int | None, ...]  # of each catalogue: where its value is among the program's, None where it is 1


class _Coded(NamedTuple):
    """The values of an event by their places, as they are kept."""

    kinds: tuple[int, ...]
    fixed: list[Any]  # numbers, and the first bytes of ciphers
    rest: list[bytes]  # what is behind those of all values


class _SetShape(NamedTuple):
    """How values of known kinds are written to a set."""

    names: tuple[str, ...]
    payload: Payload  # of ``fixed`` and ``rest``


class Remember:
    """The catalogues that events of a type write, by the sets that keep them."""

    def __init__(self, catalogues: Sequence[Catalogue]) -> None:
        together: dict[Any, list[Catalogue]] = {}
        for one in catalogues:
            name = one.name
            shared = (name.scope, name.stream) if name.stream else name
            together.setdefault((one.entity, one.time, one.dedupe, shared), []).append(one)
        self._values = tuple(dict.fromkeys(one.value for one in catalogues if one.value is not None))
        self._sets = tuple([self._set(some) for some in together.values()])
        self._prepared: dict[tuple[HistoryKeys, str], _Prepared] = {}

    def _set(self, some: Sequence[Catalogue]) -> _Set:
        places = [None if one.value is None else self._values.index(one.value) for one in some]
        return _Set(tuple(some), max(one.window for one in some), some[0].entity, some[0].time, tuple(places))

    def of(self, view: View, reader: Reader, limits: HistoryLimits, latest: int, packed: bool = False) -> Remembering:
        """Return what an event writes; nothing where its time is after ``latest``."""
        prepared = self._prepare(reader, limits)
        coded = prepared.code(view, self._values)
        _, fixed, rest = coded
        keys, merchant = reader
        entities: dict[str, list[SetWrite]] = {}
        unfit: dict[str, str] = {}
        ahead: list[str] = []
        happening = view.happening
        name = keys.id(happening.id)
        ready, quick = prepared.sets(coded)
        if packed and quick is not None and happening.at <= latest and (sent := quick.of(view, name, fixed, rest)):
            return Remembering(sent, quick.names, {}, ())
        for one, selector, time, end, arguments, packed_arguments, shape in ready:
            entity = view.entity(selector)
            if entity is None:
                continue
            at = happening.at if time is None else time_of(view.look(time))
            if not isinstance(entity, str) or at is None:
                _say(view, one.catalogues, unfit)
                continue
            key = keys.entity(merchant, entity) + end
            if shape is not None:
                write = SetWrite(key, (name, shape.payload(fixed, rest), at, *arguments), shape.names, packed_arguments)
            else:
                member = Member(key, keys.id(view.dedupe(one.catalogues[0])), at)
                member.window = one.window
                _fill(member, view, one.catalogues, reader, unfit)
                write = member.written(limits)
            if not write.names:
                continue
            if at > latest:
                ahead += write.names
            elif entity in entities:
                entities[entity].append(write)
            else:
                entities[entity] = [write]
        command_of = packed_write if packed else write_command
        commands = [command_of(sets) for sets in entities.values()]
        return Remembering(commands, [[one.names for one in sets] for sets in entities.values()], unfit, ahead)

    def _prepare(self, reader: Reader, limits: HistoryLimits) -> _Prepared:
        """Return what is the same for all events of a merchant."""
        found = self._prepared.get((reader.keys, reader.merchant))
        if found is None or found.limits is not limits:
            if len(self._prepared) >= _MERCHANTS:
                self._prepared.clear()
            found = self._prepared[reader.keys, reader.merchant] = _Prepared(self._sets, reader, limits)
        return found


class _Ready(NamedTuple):
    """How a set is written, of values of known kinds."""

    set: _Set
    entity: str
    time: str | None
    end: bytes  # of its keys
    arguments: tuple[bytes, ...]  # what the script is told of it
    packed: bytes  # the same as it is sent
    shape: _SetShape | None  # None: catalogue by catalogue


class _Shaped(NamedTuple):
    """How values of known kinds are written to all sets. ``quick``: at once, where that can be."""

    ready: Sequence[_Ready]
    quick: PackedWrites | None


class _Prepared:
    """What is the same for all events of a merchant."""

    def __init__(self, sets: Sequence[_Set], reader: Reader, limits: HistoryLimits) -> None:
        self.limits = limits
        self._reader = reader
        keys, merchant = reader
        self._sets = [
            (one, keys.catalogue(merchant, one.catalogues[0].name), limits.arguments(one.window)) for one in sets
        ]
        self._shapes: dict[tuple[int, ...], _Shaped] = {}

    def code(self, view: View, texts: Sequence[str]) -> _Coded:
        """Return the values that selectors give."""
        keys, merchant = self._reader
        kinds: list[int] = []
        fixed: list[Any] = []
        rest: list[bytes] = []
        look = view.look
        for text in texts:
            value = look(text)
            kind, first, behind = _ABSENT, None, b""
            if type(value) is str:
                kind = _UNFIT
                if len(value) <= LONGEST_TEXT:
                    kind, (first, behind) = TEXT, _text(keys, merchant, value)
            elif type(value) in _NUMBERS:
                kind = _UNFIT
                if -LARGEST_NUMBER <= value <= LARGEST_NUMBER:  # NaN is not
                    kind, first = NUMBER, value + 0.0  # one zero
            elif value is not None:
                kind = _UNFIT
            kinds.append(kind)
            fixed.append(first)
            rest.append(behind)
        return _Coded(tuple(kinds), fixed, rest)

    def sets(self, coded: _Coded) -> _Shaped:
        """Return how the sets are written."""
        found = self._shapes.get(coded.kinds)
        if found is None:
            if len(self._shapes) >= _SHAPES:
                self._shapes.clear()
            ready = [
                _Ready(
                    one, one.entity, one.time, end, arguments, packed_limits(arguments), self._shape(one, coded.kinds)
                )
                for one, end, arguments in self._sets
            ]
            found = self._shapes[coded.kinds] = _Shaped(ready, self._quick(ready))
        return found

    def _quick(self, ready: Sequence[_Ready]) -> PackedWrites | None:
        """Return how all sets are written at once; None where one has another time, or nothing is written to it."""
        sets = []
        for one in ready:
            if one.time is not None or one.shape is None or not one.shape.names:
                return None
            sets.append(PackedSet(one.entity, one.end, one.packed, one.shape.payload, one.shape.names))
        return PackedWrites(sets, self._reader)

    def _shape(self, one: _Set, kinds: tuple[int, ...]) -> _SetShape | None:
        if not one.catalogues[0].name.stream:
            return None  # whether there is a payload depends on the value
        keys, merchant = self._reader
        names: list[str] = []
        places: dict[bytes, int] = {}
        for catalogue, place in zip(one.catalogues, one.places, strict=True):
            kind = NUMBER if place is None else kinds[place]
            if kind == _UNFIT:
                return None
            if kind == _ABSENT:
                continue
            names.append(catalogue.name.id)
            if place is not None:
                places[keys.slot(merchant, catalogue.name)] = place
        ordered = [places[slot] for slot in sorted(places)]
        return _SetShape(tuple(names), _payload_of(sorted(places), ordered, [kinds[place] for place in ordered]))


@lru_cache(_TEXTS)
def _text(keys: HistoryKeys, merchant: str, text: str) -> tuple[bytes, bytes]:
    """Return what is kept of a text: its fixed part, and what is behind those of all values."""
    whole = payload([(bytes(4), keys.value(merchant, text))])
    layout = layout_of(bytes(ID) + whole)
    return whole[len(layout.head) : layout.rest - ID], whole[layout.rest - ID :]


def _payload_of(slots: Sequence[bytes], places: Sequence[int], kinds: Sequence[int]) -> Payload:
    """Return what makes the payload of the values at ``places``, which go to ``slots``."""
    if not places:
        return lambda fixed, rest: b""
    some = [
        (slot, Kept(0.0, bytes(8)) if kind == TEXT else _NOTHING_KEPT) for slot, kind in zip(slots, kinds, strict=True)
    ]
    head = layout_of(bytes(ID) + payload(some)).head
    pack = struct.Struct(">" + "".join("8s" if kind == TEXT else "d" for kind in kinds)).pack
    texts = [place for place, kind in zip(places, kinds, strict=True) if kind == TEXT]
    if len(places) == 1:
        (place,) = places
        return lambda fixed, rest: head + pack(fixed[place]) + rest[place]
    pick = itemgetter(*places)
    if not texts:
        return lambda fixed, rest: head + pack(*pick(fixed))
    if len(texts) == 1:
        (text,) = texts
        return lambda fixed, rest: head + pack(*pick(fixed)) + rest[text]
    behind = itemgetter(*texts)
    return lambda fixed, rest: b"".join((head, pack(*pick(fixed)), *behind(rest)))


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


def _say(view: View, some: Sequence[Catalogue], unfit: dict[str, str]) -> None:
    """Note why an event is not written, where that is a mistake."""
    for one in some:
        found = view.write(one)
        if isinstance(found, Fault):
            unfit[one.name.id] = found.said
