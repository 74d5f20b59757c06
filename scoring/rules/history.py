"""The history that rules read and write, as commands for Redis or Valkey: pure, so that every client sends the same.

One sorted set holds the members of one (merchant, stream, entity); ``history_write.lua`` states its layout. Catalogues
of one stream take in the same events, each with its own value, and share a set: its window is the longest of them.

**Writes** are one script call for each entity, as an id must be looked up, added and trimmed in one step. They are
idempotent: an event of a de-duplication id that is there already changes nothing, also with another value or time (the
first that arrived stands). An id is known for as long as its event is kept. What is older than the window (and
``late_ms``) before the newest event time seen in the set goes, never by a clock. A late event counts in the windows
that it belongs to; one older than what is kept is not counted, and answered ``TOO_OLD``. The newest ``members`` stay.
The set expires when nothing was counted in it for its retention and ``idle_ms``, by the store's clock.

**Reads** of a decision are one round trip of commands that cannot write: ``history_sets`` says which. A window is
(at - over, at]: what happened later is not seen, nor is the event that asks (``own``), which an earlier delivery of it
may have written. An answer says ``truncated`` where members of its window may be missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from hashlib import sha1
from pathlib import Path
from typing import Any, Final, NamedTuple

from scoring.rules.answers import MOST_MEMBERS, CatalogueName, Found, Query, Unanswered, Value, Write
from scoring.rules.history_keys import HistoryKeys, fault_of
from scoring.rules.history_members import Kept, payload
from scoring.rules.history_sets import Command, Question, Questions, Reader

WRITE_SCRIPT: Final = (Path(__file__).parent / "history_write.lua").read_bytes()
LOAD_SCRIPTS: Final[tuple[Command, ...]] = (("SCRIPT", "LOAD", WRITE_SCRIPT),)
"""To be sent ahead where the store does not know the script: a new one, or one that was restarted."""
WRITE_NAME: Final = sha1(WRITE_SCRIPT, usedforsecurity=False).hexdigest().encode()  # Redis names scripts so
_HOUR: Final = 3_600_000
_CACHED: Final = 4_096
_REFUSED: Final = Unanswered("the store refuses to read the history")


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """What is kept of an entity in a catalogue beside its window."""

    members: int = MOST_MEMBERS
    late_ms: int = _HOUR  # so late an event may be and still find its whole window
    idle_ms: int = 24 * _HOUR  # how far processing may lag behind event time before a set expires too early

    def retention(self, window: int) -> int:
        """Return how far back from the newest member others are kept, in ms."""
        return window + self.late_ms

    def arguments(self, window: int) -> tuple[bytes, ...]:
        """Return what the script is told of a set: retention, members and expiry."""
        retention = self.retention(window)
        return b"%d" % retention, b"%d" % self.members, b"%d" % (retention + self.idle_ms)


class Written(IntEnum):
    """What became of a write."""

    COUNTED = 1
    REPEATED = 0  # its id is there: the first stands
    TOO_OLD = -1  # older than what is kept
    REFUSED = -2  # cannot be kept: ``fault_of`` says why


class _Asked(NamedTuple):
    """Queries to one set that see the same: one event's, to one stream of one entity."""

    questions: Questions
    queries: tuple[Query, ...]
    own: bytes  # id of the event that asks, b"" where it has none


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """The commands that answer queries, and how their replies are read."""

    commands: tuple[Command, ...]
    answered: dict[Query, Found | Unanswered]  # without asking
    _reader: Reader
    _asked: tuple[_Asked, ...]

    def read(self, replies: Sequence[Any]) -> dict[Query, Found | Unanswered]:
        """Return the answers of the replies, one for each command and in their order."""
        found = dict(self.answered)
        first = 0
        for questions, queries, own in self._asked:
            mine = replies[first : first + questions.commands]
            first += questions.commands
            if questions.refused(mine):
                found.update(dict.fromkeys(queries, _REFUSED))
                continue
            seen = questions.seen(mine, queries[0].at, own)
            for asked, query in zip(questions.asked, queries, strict=True):
                value = self._reader.value(seen, asked, query.included)
                found[query] = Found(value, self._reader.truncated(seen, asked, query.included))
        return found


def plan_reads(keys: HistoryKeys, merchant: str, queries: Iterable[Query]) -> ReadPlan:
    """Return how to answer queries of a merchant; equal ones are asked once."""
    answered: dict[Query, Found | Unanswered] = {}
    together: dict[tuple[bytes, int, str], dict[Query, None]] = {}
    for query in queries:
        if fault := fault_of(query.at, query.included):
            answered[query] = Unanswered(fault)
        else:
            key = keys.key(merchant, query.catalogue, query.entity)
            together.setdefault((key, query.at, query.own), {})[query] = None
    commands: list[Command] = []
    asked = []
    for (key, at, name), some in together.items():
        questions = _questions(tuple([Question(one.catalogue, one.function, one.over) for one in some]))
        own = keys.id(name) if name else b""
        commands += questions.sent(key, at, own)
        asked.append(_Asked(questions, tuple(some), own))
    return ReadPlan(tuple(commands), answered, Reader(keys, merchant), tuple(asked))


@dataclass(frozen=True, slots=True)
class WritePlan:
    """The commands of writes, and how their replies are read."""

    commands: tuple[Command, ...]
    _places: tuple[tuple[tuple[int, ...], ...], ...]  # of each command and key: which writes it makes
    _writes: int

    def read(self, replies: Sequence[Any]) -> tuple[Written, ...]:
        """Return what became of the writes, in their order."""
        written = [Written.REFUSED] * self._writes
        for places, reply in zip(self._places, replies, strict=True):
            for together, status in zip(places, reply, strict=True):
                for place in together:
                    written[place] = Written(status)
        return tuple(written)


def plan_writes(keys: HistoryKeys, limits: HistoryLimits, merchant: str, writes: Sequence[Write]) -> WritePlan:
    """Return how to write; what cannot be kept, see ``fault_of``, is not sent."""
    entities: dict[bytes, list[Member]] = {}
    open_members: dict[tuple[bytes, str, int], Member] = {}
    for place, write in enumerate(writes):
        catalogue, entity, dedupe, value, at, window = write
        if fault_of(at, value):
            continue
        key = keys.key(merchant, catalogue, entity)
        name = key, dedupe, at
        member = open_members.get(name)
        slot = keys.slot(merchant, catalogue)
        if member is None or slot in member.slots or not catalogue.stream:
            member = open_members[name] = Member(key, keys.id(dedupe), at)
            entities.setdefault(keys.entity(merchant, entity), []).append(member)
        member.slots.add(slot)
        member.names.append(place)
        member.window = max(member.window, window)
        if has_slot(catalogue, value):
            member.values[slot] = keys.value(merchant, value)
    commands = tuple([write_command([one.written(limits) for one in members]) for members in entities.values()])
    places = tuple([tuple([tuple(one.names) for one in members]) for members in entities.values()])
    return WritePlan(commands, places, len(writes))


class Member:
    """What an event writes to one set: the values of all catalogues of a stream, by slot."""

    __slots__ = ("at", "id", "key", "names", "slots", "values", "window")

    def __init__(self, key: bytes, name: bytes, at: int) -> None:
        self.key, self.id, self.at = key, name, at
        self.window = 0
        self.slots: set[bytes] = set()
        self.values: dict[bytes, Kept] = {}
        self.names: list[Any] = []  # which writes these are

    def written(self, limits: HistoryLimits) -> SetWrite:
        """Return it as the script takes it."""
        arguments = (self.id, payload(self.values.items()), self.at, *limits.arguments(self.window))
        return SetWrite(self.key, arguments, self.names)


def has_slot(catalogue: CatalogueName, value: Value) -> bool:
    """Return whether a value is kept, or the event alone says it."""
    return bool(catalogue.value) if catalogue.stream else isinstance(value, str) or value != 1


class SetWrite(NamedTuple):
    """What one event writes to one set, as the script takes it."""

    key: bytes
    arguments: tuple[Any, ...]
    names: Sequence[Any]  # which writes these are
    limits: bytes = b""  # those of the arguments that are the set's, as they are sent, where that is known


def write_command(sets: Sequence[SetWrite]) -> Command:
    """Return what writes to the sets of one entity."""
    if len(sets) == 1:
        key, arguments, *_ = sets[0]
        return (b"EVALSHA", WRITE_NAME, 1, key, *arguments)
    arguments = tuple([argument for one in sets for argument in one.arguments])
    return (b"EVALSHA", WRITE_NAME, len(sets), *[one.key for one in sets], *arguments)


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
def _questions(asked: tuple[Question, ...]) -> Questions:
    return Questions(asked)
