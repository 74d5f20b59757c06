"""The history that rules read and write, as commands for Redis or Valkey: pure, so that every client sends the same.

One sorted set holds the members of one (merchant, catalogue, entity); ``history_write.lua`` states its layout.

**Writes** are one script call for each entity, as an id must be looked up, added and trimmed in one step. They are
idempotent: an event of a de-duplication id that is there already changes nothing, also with another value or time (the
first that arrived stands). An id is known for as long as its event is kept. What is older than the window (and
``late_ms``) before the newest event time seen in the set goes, never by a clock. A late event counts in the windows
that it belongs to; one older than what is kept is not counted, and answered ``TOO_OLD``. The newest ``members`` stay.
The set expires when nothing was counted in it for its retention and ``idle_ms``, by the store's clock.

**Reads** of a decision are one round trip: a read-only script call for each entity, which the store itself keeps from
writing. A window is (at - over, at]: what happened later is not seen, nor is the event that asks (``own``), which an
earlier delivery of it may have written. ``count`` alone is counted by the store; the others share one range of the
longest window, cut where shorter ones begin, so that each member is sent once; ``last`` and ``since`` share the newest.
An answer says ``truncated`` where members of its window may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from hashlib import sha1
from pathlib import Path
from typing import Any, Final, NamedTuple

from scoring.rules.answers import MOST_MEMBERS, CatalogueName, Found, Function, Query, Unanswered, Write
from scoring.rules.history_functions import is_truncated, kept, of_newest, over_members
from scoring.rules.history_keys import LAST_TIME, HistoryKeys, fault_of, read_records

Command = tuple[Any, ...]
READ_SCRIPT: Final = (Path(__file__).parent / "history_read.lua").read_bytes()
WRITE_SCRIPT: Final = (Path(__file__).parent / "history_write.lua").read_bytes()
LOAD_SCRIPTS: Final[tuple[Command, ...]] = tuple(("SCRIPT", "LOAD", text) for text in (READ_SCRIPT, WRITE_SCRIPT))
"""To be sent ahead where the store does not know the scripts: a new one, or one that was restarted."""
_READ: Final = sha1(READ_SCRIPT, usedforsecurity=False).hexdigest()  # Redis names scripts so
_WRITE: Final = sha1(WRITE_SCRIPT, usedforsecurity=False).hexdigest()
_NEWEST: Final = ("last", "since")
_HOUR: Final = 3_600_000
_CACHED: Final = 4_096


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """What is kept of an entity in a catalogue beside its window."""

    members: int = MOST_MEMBERS
    late_ms: int = _HOUR  # so late an event may be and still find its whole window
    idle_ms: int = 24 * _HOUR  # how far processing may lag behind event time before a set expires too early

    def retention(self, window: int) -> int:
        """Return how far back from the newest member others are kept, in ms."""
        return window + self.late_ms


class Written(IntEnum):
    """What became of a write."""

    COUNTED = 1
    REPEATED = 0  # its id is there: the first stands
    TOO_OLD = -1  # older than what is kept
    REFUSED = -2  # cannot be kept: ``fault_of`` says why


class _Questions(NamedTuple):
    """What is asked of a key."""

    ranges: tuple[int, ...]  # windows whose values are needed, ascending
    counts: tuple[int, ...]  # windows of which only the count is needed, ascending
    newest: int  # the longest window whose newest member is needed, 0 where none is
    sent: bytes


class _Asked(NamedTuple):
    """Queries to one key that see the same: one event's, in one catalogue and entity."""

    queries: list[Query]
    own: bytes  # id of the event that asks, b"" where it has none
    questions: _Questions


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """The commands that answer queries, and how their replies are read."""

    commands: tuple[Command, ...]
    answered: dict[Query, Found | Unanswered]  # without asking
    _keys: HistoryKeys
    _merchant: str
    _asked: tuple[tuple[_Asked, ...], ...]  # of each command

    def read(self, replies: Sequence[Any]) -> dict[Query, Found | Unanswered]:
        """Return the answers of the replies, one for each command and in their order."""
        found = dict(self.answered)
        for asked, reply in zip(self._asked, replies, strict=True):
            for one, row in zip(asked, reply, strict=True):
                _Row(self._keys, self._merchant, one, row).answer(found)
        return found


def plan_reads(keys: HistoryKeys, merchant: str, queries: Iterable[Query]) -> ReadPlan:
    """Return how to answer queries of a merchant; equal ones are asked once."""
    answered: dict[Query, Found | Unanswered] = {}
    together: dict[tuple[str, int], dict[tuple[CatalogueName, str], list[Query]]] = {}
    for query in queries:
        catalogue, entity, _, _, at, own, included = query
        if fault := fault_of(at, included):
            answered[query] = Unanswered(fault)
        else:
            together.setdefault((entity, at), {}).setdefault((catalogue, own), []).append(query)
    ids = {own: keys.id(own) if own else b"" for groups in together.values() for _, own in groups}
    commands, asked = [], []
    for (entity, at), groups in together.items():
        prefix = keys.entity(merchant, entity)
        names = [prefix + keys.catalogue(merchant, catalogue) for catalogue, _ in groups]
        rows = tuple(
            _Asked(group, ids[own], _questions(tuple([(query.function, query.over) for query in group])))
            for (_, own), group in groups.items()
        )
        sent = b"[%b]" % b",".join([row.questions.sent for row in rows])
        commands.append(("EVALSHA_RO", _READ, len(names), *names, sent, at, *[row.own for row in rows]))
        asked.append(rows)
    return ReadPlan(tuple(commands), answered, keys, merchant, tuple(asked))


@dataclass(frozen=True, slots=True)
class WritePlan:
    """The commands of writes, and how their replies are read."""

    commands: tuple[Command, ...]
    _places: tuple[tuple[int, ...], ...]  # of each command: which writes it makes
    _writes: int

    def read(self, replies: Sequence[Any]) -> tuple[Written, ...]:
        """Return what became of the writes, in their order."""
        written = [Written.REFUSED] * self._writes
        for places, reply in zip(self._places, replies, strict=True):
            for place, status in zip(places, reply, strict=True):
                written[place] = Written(status)
        return tuple(written)


def plan_writes(keys: HistoryKeys, limits: HistoryLimits, merchant: str, writes: Sequence[Write]) -> WritePlan:
    """Return how to write; what cannot be kept, see ``fault_of``, is not sent."""
    by_entity: dict[str, list[int]] = {}
    for place, write in enumerate(writes):
        if not fault_of(write.at, write.value):
            by_entity.setdefault(write.entity, []).append(place)
    commands = []
    for entity, places in by_entity.items():
        prefix = keys.entity(merchant, entity)
        names = [prefix + keys.catalogue(merchant, writes[place].catalogue) for place in places]
        arguments: list[Any] = []
        for place in places:
            _, _, dedupe, value, at, window = writes[place]
            retention = limits.retention(window)
            arguments += (keys.id(dedupe), keys.value(merchant, value), at, retention, limits.members)
            arguments.append(retention + limits.idle_ms)
        commands.append(("EVALSHA", _WRITE, len(names), *names, *arguments))
    return WritePlan(tuple(commands), tuple(map(tuple, by_entity.values())), len(writes))


class Step(NamedTuple):
    """What one event asks and then writes."""

    merchant: str
    queries: Sequence[Query]
    writes: Sequence[Write] = ()


class Outcome(NamedTuple):
    """The answers to a step's queries, and what became of its writes, in their order."""

    answers: dict[Query, Found | Unanswered]
    written: tuple[Written, ...]


class Exchange:
    """The commands of steps one after another, for one round trip: a step sees what the ones before it wrote."""

    def __init__(self, keys: HistoryKeys, limits: HistoryLimits, steps: Sequence[Step]) -> None:
        self._reads = [plan_reads(keys, step.merchant, step.queries) for step in steps]
        self._writes = [plan_writes(keys, limits, step.merchant, step.writes) for step in steps]
        plans = zip(self._reads, self._writes, strict=True)
        self.commands = [command for reads, writes in plans for command in (*reads.commands, *writes.commands)]

    def read(self, replies: Sequence[Any]) -> list[Outcome]:
        """Return what became of each step; one reply for each command."""
        left = iter(replies)
        outcomes = []
        for reads, writes in zip(self._reads, self._writes, strict=True):
            answers = reads.read([next(left) for _ in reads.commands])
            outcomes.append(Outcome(answers, writes.read([next(left) for _ in writes.commands])))
        return outcomes


@lru_cache(_CACHED)
def _questions(wanted: tuple[tuple[Function, int], ...]) -> _Questions:
    """Return what answers functions over windows of one key."""
    ranges = {over for function, over in wanted if function not in ("count", *_NEWEST)}
    counts = {over for function, over in wanted if function == "count"} - ranges
    newest = max((over for function, over in wanted if function in _NEWEST), default=0)
    sent = json.dumps([sorted(ranges), sorted(counts), newest], separators=(",", ":")).encode()
    return _Questions(tuple(sorted(ranges)), tuple(sorted(counts)), newest, sent)


class _Row:
    """The reply of one key, being read."""

    __slots__ = ("_asked", "_floor", "_keys", "_merchant", "_own", "_replies")

    def __init__(self, keys: HistoryKeys, merchant: str, asked: _Asked, row: Sequence[Any]) -> None:
        self._keys, self._merchant, self._asked = keys, merchant, asked
        floor, own, *self._replies = row
        self._floor = None if floor is None else int(float(floor)) - LAST_TIME - 1
        self._own = None if own is None else abs(int(float(own)))

    def answer(self, found: dict[Query, Found | Unanswered]) -> None:
        """Add the answers. Replies come in the order of the questions."""
        ranges, counts, longest, _ = self._asked.questions
        values = self._by_range() if ranges else {}
        newest = self._newest() if longest else None
        for query in self._asked.queries:
            if query.function in _NEWEST:
                found[query] = of_newest(query, newest, self._floor)
            elif query.over in values:
                found[query] = self._of_values(query, *values[query.over])
            else:
                own = self._own is not None and query.at - query.over < self._own <= query.at
                counted = self._replies[len(ranges) + counts.index(query.over)]
                members = counted - own + (query.included is not None)
                found[query] = Found(members, is_truncated(query, self._floor))

    def _by_range(self) -> dict[int, tuple[list[float], list[bytes]]]:
        ranges = {}
        numbers: list[float] = []
        texts: list[bytes] = []
        for over, records in zip(self._asked.questions.ranges, self._replies, strict=False):
            more, others = read_records(records, self._asked.own)
            numbers = numbers + more if numbers else more
            texts = texts + others if texts else others
            ranges[over] = numbers, texts
        return ranges

    def _of_values(self, query: Query, numbers: list[float], texts: list[bytes]) -> Found:
        if isinstance(query.included, str):
            texts = [*texts, self._keys.text_mark(self._merchant, query.included)]
        elif query.included is not None:
            numbers = [*numbers, float(kept(query.included))]
        return over_members(query, numbers, texts, len(numbers) + len(texts), is_truncated(query, self._floor))

    def _newest(self) -> tuple[int, Any] | None:
        """Return time and value of the newest member that is not the event's own."""
        reply = self._replies[-1]
        for member, time in zip(reply[::2], reply[1::2], strict=True):
            if member[:16] != self._asked.own:
                return int(float(time)), self._keys.opened(self._merchant, member)
        return None
