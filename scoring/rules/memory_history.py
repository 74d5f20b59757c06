"""History in memory, with the meaning of the one in Redis: for tests of rules, previews and replays. One thread.

``dump`` gives all of it as blocks of bytes, none over a few MB, and ``load`` takes them back: MessagePack, texts as
UTF-8 that may hold half a surrogate pair. They are not encrypted, as they are in Redis: guard a dump like the events.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, TypeVar

import msgspec

from scoring.rules.answers import CatalogueName, Found, Query, Unanswered, Value, Write
from scoring.rules.history import HistoryLimits, Outcome, Step, Written
from scoring.rules.history_functions import is_truncated, kept, of_newest, over_members
from scoring.rules.history_keys import HistoryKeys, fault_of

_SWEEP_WRITES: Final = 65_536
_DUMP_VERSION: Final = 1
_BLOCK_MEMBERS: Final = 16_384
_ID: Final = 16
_T = TypeVar("_T")
_Member = tuple[int, bytes, Value]  # event time, id, value


class _Set:
    """The members of one entity in one catalogue, in the order of time and id."""

    __slots__ = ("expiry", "floor", "members", "times")

    def __init__(self) -> None:
        self.members: list[_Member] = []
        self.times: dict[bytes, int] = {}  # by id
        self.floor: int | None = None
        self.expiry = 0  # ms after the newest member

    def add(self, member: _Member, retention: int, most: int) -> Written:
        time, name, _ = member
        newest = self.members[-1][0] if self.members else time
        if time <= newest - retention:
            self._lost(newest - retention)
            return Written.TOO_OLD
        if name in self.times:
            return Written.REPEATED
        insort(self.members, member)
        self.times[name] = time
        old = max(newest, time) - retention
        if dropped := bisect_right(self.members, old, key=_time):
            self._drop(dropped)
            self._lost(old)
        if (surplus := len(self.members) - most) > 0:
            highest = self.members[surplus - 1][0]
            self._drop(surplus)
            self._lost(highest)
        return Written.COUNTED if name in self.times else Written.TOO_OLD

    def between(self, after: int, until: int, own: bytes) -> list[_Member]:
        first, last = (bisect_right(self.members, at, key=_time) for at in (after, until))
        return [member for member in self.members[first:last] if member[1] != own]

    def _drop(self, count: int) -> None:
        for _, name, _ in self.members[:count]:
            del self.times[name]
        del self.members[:count]

    def _lost(self, at: int) -> None:
        self.floor = at if self.floor is None else max(self.floor, at)


class MemoryHistory:
    """All histories of one process; sets that event time has left behind by their expiry go, as they do in Redis."""

    def __init__(self, limits: HistoryLimits | None = None, keys: HistoryKeys | None = None) -> None:
        self._limits = limits or HistoryLimits()
        self._keys = keys or HistoryKeys(b"in memory")  # whoever wants the order of ids of a store gives its keys
        self._sets: dict[tuple[str, object, str], _Set] = {}
        self._writes = 0

    def read(self, merchant: str, queries: Iterable[Query]) -> dict[Query, Found | Unanswered]:
        """Answer queries of a merchant."""
        return {query: self._answer(merchant, query) for query in queries}

    def write(self, merchant: str, writes: Iterable[Write]) -> tuple[Written, ...]:
        """Write, and return what became of each."""
        return tuple(self._write(merchant, write) for write in writes)

    def exchange(self, steps: Sequence[Step]) -> list[Outcome]:
        """Answer and write step by step: a step sees what the ones before it wrote."""
        return [
            Outcome(self.read(step.merchant, step.queries), self.write(step.merchant, step.writes)) for step in steps
        ]

    def dump(self) -> Iterator[bytes]:
        """Yield all that is known; nothing may be written before the last block was taken."""
        yield _encode(_Head(_DUMP_VERSION, self._keys.id(""), self._bounds(), self._writes, len(self._sets)))
        some, members = list[_Stored](), 0
        for (merchant, catalogue, entity), one in self._sets.items():
            some.append(_stored((merchant, *_texts(catalogue), entity), one))
            members += 1 + len(one.members)
            if members >= _BLOCK_MEMBERS:
                yield _encode(some)
                some, members = [], 0
        if some:
            yield _encode(some)

    def load(self, blocks: Iterable[bytes]) -> None:
        """Know what was dumped, and nothing else.

        ValueError where it was not dumped by a history like this: of these limits, and with these keys.
        """
        left = iter(blocks)
        head = _decoded(next(left, b""), _Head)
        if (head.version, head.keys, head.limits) != (_DUMP_VERSION, self._keys.id(""), self._bounds()):
            raise ValueError("the rules' history was dumped by another build, or with another entity key")
        sets: dict[tuple[str, object, str], _Set] = {}
        while len(sets) < head.sets:
            for stored in _decoded(next(left, b""), list[_Stored]):
                merchant, *catalogue, entity = (_text(part) for part in stored.name)
                sets[merchant, _catalogue(catalogue), entity] = _restored(stored)
        if next(left, None) is not None:
            raise ValueError("a dump of the rules' history has more than it says")
        self._sets, self._writes = sets, head.writes

    def _bounds(self) -> tuple[int, int, int]:
        return self._limits.members, self._limits.late_ms, self._limits.idle_ms

    def _answer(self, merchant: str, query: Query) -> Found | Unanswered:
        if fault := fault_of(query.at, query.included):
            return Unanswered(fault)
        kept_set = self._sets.get((merchant, query.catalogue, query.entity)) or _Set()
        own = self._keys.id(query.own) if query.own else b""
        members = kept_set.between(query.at - query.over, query.at, own)
        if query.function in ("last", "since"):
            newest = (members[-1][0], members[-1][2]) if members else None
            return of_newest(query, newest, kept_set.floor)
        values = [value for _, _, value in members]
        if query.included is not None:
            values.append(kept(query.included))
        numbers = [value for value in values if not isinstance(value, str)]
        texts = [value for value in values if isinstance(value, str)]
        return over_members(query, numbers, texts, len(values), is_truncated(query, kept_set.floor))

    def _write(self, merchant: str, write: Write) -> Written:
        if fault_of(write.at, write.value):
            return Written.REFUSED
        name = merchant, write.catalogue, write.entity
        if (kept_set := self._sets.get(name)) is None:
            kept_set = self._sets[name] = _Set()
        retention = self._limits.retention(write.window)
        kept_set.expiry = retention + self._limits.idle_ms
        member = write.at, self._keys.id(write.dedupe), kept(write.value)
        written = kept_set.add(member, retention, self._limits.members)
        self._writes += 1
        if self._writes % _SWEEP_WRITES == 0:
            self._sweep()
        return written

    def _sweep(self) -> None:
        newest = {name: one.members[-1][0] for name, one in self._sets.items() if one.members}
        latest = max(newest.values(), default=0)
        gone = [name for name, at in newest.items() if at + self._sets[name].expiry < latest]
        for name in gone:
            del self._sets[name]


def _time(member: _Member) -> int:
    return member[0]


class _Head(msgspec.Struct, array_like=True):
    version: int
    keys: bytes  # what the keys make of an empty id
    limits: tuple[int, int, int]
    writes: int
    sets: int


class _Stored(msgspec.Struct, array_like=True):
    """A set; its members in order."""

    name: tuple[bytes, ...]  # merchant, the parts of the catalogue's name, entity
    floor: int | None
    expiry: int
    times: list[int]
    ids: bytes
    values: list[float | bytes]


_encode = msgspec.msgpack.Encoder().encode


def _decoded(block: bytes, kind: type[_T]) -> _T:
    try:
        return msgspec.msgpack.decode(block, type=kind)
    except msgspec.DecodeError as error:
        raise ValueError(f"not a dump of the rules' history: {error}") from None


def _stored(name: Sequence[str], one: _Set) -> _Stored:
    values: list[float | bytes] = [
        _bytes(value) if isinstance(value, str) else float(value) for _, _, value in one.members
    ]
    times, ids = [time for time, _, _ in one.members], b"".join([name for _, name, _ in one.members])
    return _Stored(tuple(map(_bytes, name)), one.floor, one.expiry, times, ids, values)


def _restored(stored: _Stored) -> _Set:
    one = _Set()
    one.floor, one.expiry = stored.floor, stored.expiry
    ids = [stored.ids[at : at + _ID] for at in range(0, len(stored.ids), _ID)]
    if not len(ids) == len(stored.times) == len(stored.values):
        raise ValueError("a set of the rules' history does not add up")
    values: list[Value] = [_text(value) if isinstance(value, bytes) else value for value in stored.values]
    one.members = list(zip(stored.times, ids, values, strict=True))
    if any(later[:2] < earlier[:2] for earlier, later in pairwise(one.members)):
        raise ValueError("a set of the rules' history is out of order")
    one.times = dict(zip(ids, stored.times, strict=True))
    return one


def _texts(catalogue: object) -> Sequence[str]:
    if not isinstance(catalogue, CatalogueName):
        raise TypeError(f"not the name of a catalogue: {type(catalogue).__name__}")
    return catalogue


def _catalogue(parts: Sequence[str]) -> CatalogueName:
    if len(parts) != len(CatalogueName._fields) or parts[0] not in ("own", "global"):
        raise ValueError("a set of the rules' history has no catalogue")
    return CatalogueName._make(parts)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")
