"""From a decided batch to its results' JSON without an object an event: the bytes that ``results.py`` leads to."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from functools import lru_cache
from struct import unpack_from
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from flows.sinks.record_loops import COLUMNS, DECIDED, ODD, SHORT, UNNAMED, write
from flows.sinks.results import UNASKED
from flows.sinks.ruled import policy_said, tried
from flows.stages.device_state.pointers import NOT_PLAIN, plain_ones
from schemas.batches import Decided
from schemas.columns import I32, I64, U8
from schemas.fragments import Fragments, Pieces, WrittenFactors, WrittenSignals, pieces_of
from schemas.result import DECISIONS, SHARED_COUNTS, RulesSaid, Versions
from schemas.ruling import BY, BY_MODEL, Ruling
from schemas.velocity import ENTITIES, KINDS, MEASURES, WINDOWS

_ENCODE: Final = msgspec.json.Encoder().encode
_ORIGIN: Final = 10
_FRAME: Final = (  # in the order of record_loops.EVENT and so on
    '{"event_id":"', '","session_id":"', '","device_id":"', '","merchant":', ',"transaction":"', '","occurred_at":',
    ',"received_at":', ',"score":', '],"smart_signals":{', '}},"versions":', ',"origin":{"topic":', ',"offset":',
    '},"ledger":{', '},"shared":{', "}}", '},"history":{"events":', ',"first_seen_at":', ',"previous_at":',
    ',"scores":[', "]", '},"session":{"events":', ',"started_at":', ",",
)  # fmt: skip
_ADDED: Final = RulesSaid("", 0.0).added
_RULED: Final = len('{"decided_by":"","score":0.0')
_FIRST_ROOM: Final = 1 << 20
_MOST_ROOM: Final = 64 << 20  # bytes that are kept for the next batch
_NOBODY: Final = np.empty((0, 2), np.int32)
_NO_VERSIONS: Final = np.empty((0, 2), np.int64)


class _Frame(NamedTuple):
    """Pieces of every record of a topic, and where those of who decided, of counts and of what is shared begin."""

    pieces: Pieces
    named: tuple[int, int, int]


@lru_cache(maxsize=64)
def _frame(topic: str) -> _Frame:
    frame = list(_FRAME)
    frame[_ORIGIN] += f'{_ENCODE(topic).decode()},"partition":'
    decided = [f',"decision":"{decision}","factors":[' for decision in DECISIONS]
    by = [f'}},"rules":{{"decided_by":"{who}","score":' for who in BY]
    counts = _counted((_after(number) + f'"{kind}":' for number, kind in enumerate(KINDS)))
    counts[0] = f'}},"velocity":{{{counts[0]}'
    heads = [
        _after(number) + f'"{measure}":' if number else f'"{entity}":{{"{measure}":'
        for entity in ENTITIES
        for number, measure in enumerate(MEASURES)
    ]
    first = DECIDED + len(decided)
    named = first, first + len(by), first + len(by) + len(counts)
    texts = [*frame, *decided, *by, *counts, *_counted(heads)]
    return _Frame(pieces_of([text.encode() for text in texts]), named)


def _after(number: int) -> str:
    return "}," if number else ""


def _counted(heads: Any) -> list[str]:
    """Return what stands before each window's number behind each of these heads."""
    return [
        f'{head}{{"{window}":' if not place else f',"{window}":'
        for head in heads
        for place, window in enumerate(WINDOWS)
    ]


@lru_cache(maxsize=64)
def _marks(marks: tuple[str, ...]) -> Pieces | None:
    """Return what stands before each mark's time; None where two have one name: only msgspec writes that."""
    if len(set(marks)) != len(marks):
        return None
    names = [_ENCODE(mark) + b":" for mark in marks]
    return pieces_of([name if not place else b"," + name for place, name in enumerate(names)])


class RecordWriter:
    """Writes the records of batches. It remembers what merchants, versions and rules are called in JSON."""

    def __init__(self, build: str) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._names = Fragments(1)
        self._known: dict[Hashable, int] = {}
        self._versions: dict[Hashable, I64] = {}
        self._unruled: tuple[I32, I32] | None = None
        self._buffer = threading.local()

    def records(self, batch: Decided, factors: WrittenFactors, signals: WrittenSignals) -> tuple[bytes, ...] | None:
        """Return one record a row; None where a number or a mark is such that only msgspec can write it."""
        marks, frame = _marks(batch.ledger.marks), _frame(batch.origin.topic)
        if marks is None:
            return None
        transaction, sizes, out = _lines(batch.event.transaction), np.empty(len(batch), np.int64), self._room(0)
        with self._lock:
            self._begin()
        while True:
            with self._lock:
                merchants, said, named = self._chosen(batch)
            columns = (
                *_rows(batch, factors.number, signals.number, merchants, said),
                *frame.pieces, *marks, *factors.pieces, *signals.pieces, *named, transaction, out, sizes,
            )  # fmt: skip
            done = write(id(columns), frame.named)
            if done == NOT_PLAIN:
                columns = (*plain_ones(columns[: len(COLUMNS)], COLUMNS), *columns[len(COLUMNS) :])
                done = write(id(columns), frame.named)
            if done == ODD:
                return None
            if done == SHORT:
                out = self._room(2 * len(out))
            elif done == UNNAMED:
                self._add_version(batch, int(sizes[0]))
            else:
                return _cut(out, sizes)

    def _room(self, size: int) -> U8:
        """Return this thread's bytes: memory that was touched before is three times as fast as new memory."""
        kept: U8 | None = getattr(self._buffer, "bytes", None)
        if kept is None or len(kept) < size:
            kept = np.empty(max(size, _FIRST_ROOM), np.uint8)
            if len(kept) <= _MOST_ROOM:
                self._buffer.bytes = kept
        return kept

    def _begin(self) -> None:
        if self._names.begin():
            self._known.clear()
            self._versions.clear()
            self._unruled = None

    def _chosen(self, batch: Decided) -> tuple[I32, I32, tuple[U8, I64, I64, I32, I32]]:
        """Return each row's merchant as a piece, what rules said, int32[n, 2] or nothing, and what has names.

        These are the text and bounds of their pieces, and versions, silent and degraded of ``record_loops.Texts``.
        """
        merchants, said = self._merchants(batch.event.merchant), self._said(batch)
        if self._unruled is None:
            self._unruled = self._silent()
        versions = self._versions.get(_named_by(batch), _NO_VERSIONS)
        return merchants, said, (*self._names.pieces, versions, *self._unruled)

    def _number(self, key: Hashable, text: bytes) -> int:
        number = self._known[key] = self._names.add(text)
        return number

    def _merchants(self, merchants: tuple[str, ...]) -> I32:
        known = self._known
        try:
            return np.fromiter(map(known.__getitem__, merchants), np.int32, len(merchants))
        except KeyError:
            for merchant in set(merchants):
                if merchant not in known:
                    self._number(merchant, _ENCODE(merchant))
            return self._merchants(merchants)

    def _add_version(self, batch: Decided, word: int) -> None:
        """Add the piece of a version that a row of the batch has; ``word``: as ``record_loops`` finds it."""
        model, catalogue, place = word & 0xFF, word >> 8 & 0xFFFF, word >> 24
        ruleset = batch.rules.rulesets[place - 1] if place else ""
        policy = batch.decision.policy
        names = batch.score.versions[model], catalogue, self._build, ruleset or None, policy or None
        key = _named_by(batch)
        with self._lock:
            number = self._number(("version", key, word), _ENCODE(Versions(*names)))
            known = self._versions.get(key, _NO_VERSIONS)
            self._versions[key] = np.concatenate((known, np.array([(word, number)], np.int64)))

    def _silent(self) -> tuple[I32, I32]:
        """Return what stands behind the score where no rule looked, int32[BY, DECISIONS], and what was not asked."""
        by_policy = [self._rest(RulesSaid("", 0.0, by_policy=decision)) for decision in DECISIONS]
        by_model = [self._rest(RulesSaid("", 0.0))] * len(DECISIONS)
        rest = [by_model if by == BY_MODEL else by_policy for by in range(len(BY))]
        degraded = [self._degraded((), asked=asked) for asked in (True, False)]
        return np.array(rest, np.int32), np.array(degraded, np.int32)

    def _said(self, batch: Decided) -> I32:
        """Return what rules said and could not ask, as pieces, int32[n, 2], -1 where none looked; or nothing."""
        said = batch.rules.said
        if len(said) == said.count(None):
            return _NOBODY
        found = np.full((len(said), 2), -1, np.int32)
        for row, (one, unknown) in enumerate(zip(said, batch.shared.degraded.tolist(), strict=True)):
            if one is not None:
                found[row] = self._rest(_said(batch, row, one)), self._degraded(one.degraded, asked=not unknown)
        return found

    def _rest(self, said: RulesSaid) -> int:
        # Zeros of both signs are equal, but not as text; msgspec leaves out the default zero itself, no other one.
        key = said, repr(said.added), said.added is _ADDED
        found = self._known.get(key)
        return self._number(key, _ENCODE(said)[_RULED:]) if found is None else found

    def _degraded(self, by_rules: tuple[str, ...], *, asked: bool) -> int:
        key = by_rules, asked
        found = self._known.get(key)
        if found is None:
            names = [*(() if asked else (SHARED_COUNTS,)), *map(UNASKED.__getitem__, by_rules)]
            found = self._number(key, b',"degraded":' + _ENCODE(names) + b"}")
        return found


def _said(batch: Decided, row: int, said: Ruling) -> RulesSaid:
    """Return what was said of a row, but for who decided and the score."""
    return RulesSaid(
        decided_by="",
        score=0.0,
        added=float(batch.rules.added[row]),
        matched=said.matched,
        reasons=said.reasons,
        tags=said.tags,
        alerts=said.alerts,
        ruleset=batch.rules.ruleset_of(row),
        degraded=said.degraded,
        shadows=tried(batch, row, said),
        by_policy=policy_said(int(batch.decision.by[row]), int(batch.decision.by_policy[row])),
    )


def _named_by(batch: Decided) -> Hashable:
    """Return what all versions of a batch are named by."""
    return batch.score.versions, batch.decision.policy, batch.rules.rulesets


def _rows(batch: Decided, factors: I32, signals: I32, merchants: I32, said: I32) -> tuple[Any, ...]:
    """Return the columns of ``record_loops.Rows``, as they are."""
    event, origin, velocity, history = batch.event, batch.origin, batch.velocity, batch.history
    shared, session, score, decision, rules = batch.shared, batch.session, batch.score, batch.decision, batch.rules
    return (
        event.event_id, event.session_id, event.device_id, event.occurred_at, event.received_at, origin.partition,
        origin.offset, batch.ledger.micros, velocity.counts, shared.counts, shared.degraded, history.events,
        velocity.first_seen_at, velocity.previous_at, history.scores, session.events, session.started_at, score.score,
        rules.added, score.contribution, factors, signals, merchants, score.model, batch.signals.catalogue,
        rules.ruleset, decision.decision, decision.by, decision.by_policy, said,
    )  # fmt: skip


def _lines(texts: tuple[str, ...]) -> U8:
    """Return texts as they stand between quotes in JSON, each with a line feed behind it. Only to be read."""
    joined = "".join(texts)
    if joined.isascii() and joined.isprintable() and '"' not in joined and "\\" not in joined:  # nothing is escaped
        return np.frombuffer("\n".join((*texts, "")).encode(), np.uint8)
    return np.frombuffer(b"".join([_ENCODE(text)[1:-1] + b"\n" for text in texts]), np.uint8)


def _cut(out: U8, sizes: I64) -> tuple[bytes, ...]:
    """Return the records that lie one behind the other."""
    return unpack_from("%ds" * len(sizes) % tuple(sizes.tolist()), out.data)
