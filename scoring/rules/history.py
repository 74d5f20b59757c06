"""The history that rules read and write, as commands for Redis or Valkey: pure, so that every client sends the same.

One sorted set holds the members of one (merchant, catalogue, entity); ``history_write.lua`` states its layout.

**Writes** are one script call each, for a member's id must be looked up, added and trimmed as one step. They are
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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha1
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from scoring.rules.answers import MOST_MEMBERS, Found, Query, Unanswered, Write
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


class _Asked(NamedTuple):
    """Queries to one key that see the same: one event's, in one catalogue and entity."""

    queries: list[Query]
    own: bytes  # id of the event that asks, b"" where it has none
    ranges: list[int]  # windows whose values are needed, ascending
    counts: list[int]  # windows of which only the count is needed
    newest: int  # the longest window whose newest member is needed, 0 where none is


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
    by_entity: dict[str, dict[tuple[Any, ...], list[Query]]] = {}
    for query in dict.fromkeys(queries):
        if fault := fault_of(query.at, query.included):
            answered[query] = Unanswered(fault)
        else:
            same = (query.catalogue, query.at, query.own)
            by_entity.setdefault(query.entity, {}).setdefault(same, []).append(query)
    commands, asked = [], []
    for entity, groups in by_entity.items():
        prefix = keys.entity(merchant, entity)
        names = [prefix + keys.catalogue(merchant, catalogue) for catalogue, _, _ in groups]
        together = tuple(_asked(keys, group) for group in groups.values())
        arguments = [argument for one in together for argument in _arguments(one)]
        commands.append(("EVALSHA_RO", _READ, len(names), *names, *arguments))
        asked.append(together)
    return ReadPlan(tuple(commands), answered, keys, merchant, tuple(asked))


def plan_write(keys: HistoryKeys, limits: HistoryLimits, merchant: str, write: Write) -> Command | None:
    """Return the command of a write; None where it cannot be kept, see ``fault_of``."""
    if fault_of(write.at, write.value):
        return None
    retention = limits.retention(write.window)
    key = keys.key(merchant, write.catalogue, write.entity)
    value = keys.value(merchant, write.value)
    expiry = retention + limits.idle_ms
    return ("EVALSHA", _WRITE, 1, key, keys.id(write.dedupe), value, write.at, retention, limits.members, expiry)


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
        self._writes = [[plan_write(keys, limits, step.merchant, write) for write in step.writes] for step in steps]
        self.commands: list[Command] = []
        for plan, writes in zip(self._reads, self._writes, strict=True):
            self.commands += plan.commands
            self.commands += [command for command in writes if command is not None]

    def read(self, replies: Sequence[Any]) -> list[Outcome]:
        """Return what became of each step; one reply for each command."""
        left = iter(replies)
        outcomes = []
        for plan, writes in zip(self._reads, self._writes, strict=True):
            answers = plan.read([next(left) for _ in plan.commands])
            written = (Written.REFUSED if command is None else Written(next(left)) for command in writes)
            outcomes.append(Outcome(answers, tuple(written)))
        return outcomes


def _asked(keys: HistoryKeys, queries: list[Query]) -> _Asked:
    ranges = {query.over for query in queries if query.function not in ("count", *_NEWEST)}
    counts = {query.over for query in queries if query.function == "count"} - ranges
    newest = max((query.over for query in queries if query.function in _NEWEST), default=0)
    own = keys.id(queries[0].own) if queries[0].own else b""
    return _Asked(queries, own, sorted(ranges), sorted(counts), newest)


def _arguments(asked: _Asked) -> list[Any]:
    at = asked.queries[0].at
    questions: list[Any] = []
    for shorter, longer in pairwise((0, *asked.ranges)):
        questions += ("values", _after(at - longer), _until(at - shorter))
    for over in asked.counts:
        questions += ("count", _after(at - over), at)
    if asked.newest:
        questions += ("newest", _after(at - asked.newest), at)
    return [asked.own, len(questions) // 3, *questions]


def _after(time: int) -> bytes:
    return b"(%d" % max(time, 0)  # members with a value have their ids below 0


def _until(time: int) -> int:
    return max(time, 0)


class _Row:
    """The reply of one key, being read."""

    def __init__(self, keys: HistoryKeys, merchant: str, asked: _Asked, row: Sequence[Any]) -> None:
        self._keys, self._merchant, self._asked = keys, merchant, asked
        (floor, own), self._replies = row[0], iter(row[1:])
        self._floor = None if floor is None else int(float(floor)) - LAST_TIME - 1
        self._own = None if own is None else abs(int(float(own)))

    def answer(self, found: dict[Query, Found | Unanswered]) -> None:
        """Add the answers. Replies come in the order of the questions."""
        ranges = self._by_range()
        counts = {over: next(self._replies) for over in self._asked.counts}
        newest = self._newest() if self._asked.newest else None
        for query in self._asked.queries:
            if query.function in _NEWEST:
                found[query] = of_newest(query, newest, self._floor)
            elif query.over in ranges:
                found[query] = self._of_values(query, *ranges[query.over])
            else:
                own = self._own is not None and query.at - query.over < self._own <= query.at
                members = counts[query.over] - own + (query.included is not None)
                found[query] = Found(members, is_truncated(query, self._floor))

    def _by_range(self) -> dict[int, tuple[list[float], list[bytes]]]:
        ranges = {}
        numbers: list[float] = []
        texts: list[bytes] = []
        for over in self._asked.ranges:
            more, others = read_records(next(self._replies), self._asked.own)
            numbers, texts = numbers + more, texts + others
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
        reply = next(self._replies)
        for member, time in zip(reply[::2], reply[1::2], strict=True):
            if member[:16] != self._asked.own:
                return int(float(time)), self._keys.opened(self._merchant, member)
        return None
