"""From a decided batch to its results' JSON without an object an event: the bytes that ``results.py`` leads to."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from flows.sinks.record_loops import DECIDED, Chosen, Numbered, Rounded, Texts, assemble, room
from flows.sinks.results import UNASKED
from flows.sinks.ruled import policy_said, scores_with_points, tried
from schemas.batches import Decided, Rules
from schemas.columns import I32, I64, U8, plain
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
    ',"scores":[', "]", '},"session":{"events":', ',"started_at":', ",", "null",
)  # fmt: skip
_NUMBERS: Final = 12  # of a record, beside counts, marks, factors and earlier scores
_ADDED: Final = RulesSaid("", 0.0).added
_RULED: Final = len('{"decided_by":"","score":0.0')
_MOST_ROOM: Final = 64 << 20  # bytes that are kept for the next batch


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
def _marks(marks: tuple[str, ...]) -> Pieces:
    names = [_ENCODE(mark) + b":" for mark in marks]
    return pieces_of([name if not place else b"," + name for place, name in enumerate(names)])


class RecordWriter:
    """Writes the records of batches. It remembers what merchants, versions and rules are called in JSON."""

    def __init__(self, build: str) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._names = Fragments(1)
        self._known: dict[Hashable, int] = {}
        self._buffer = threading.local()

    def records(self, batch: Decided, factors: WrittenFactors, signals: WrittenSignals) -> tuple[bytes, ...] | None:
        """Return one record a row; None where a number or a mark is such that only msgspec can write it."""
        if len(set(batch.ledger.marks)) != len(batch.ledger.marks):
            return None
        ids = batch.event.event_id, batch.event.session_id, batch.event.device_id
        numbers, rounded = _numbered(batch), _rounded(batch)
        frame = _frame(batch.origin.topic)
        chosen, named = self._chosen(batch, factors.number, signals.number)
        transaction = _escaped(batch.event.transaction)
        texts = Texts(frame.pieces, named, _marks(batch.ledger.marks), transaction, factors.pieces, signals.pieces)
        most = _NUMBERS + sum(column[0].size for column in (numbers.velocity, numbers.shared, numbers.ledger))
        most += rounded.contribution.shape[1] + rounded.earlier.shape[1]
        size = room(rounded, numbers.shared, chosen, texts, most)
        if size < 0:
            return None
        out, ends = self._room(size), np.empty(len(batch), np.int64)
        columns = tuple(plain(one, np.uint8) for one in ids)
        assemble(columns, numbers, rounded, chosen, texts, frame.named, out, ends)
        return _cut(out, ends)

    def _room(self, size: int) -> U8:
        """Return this thread's bytes: memory that was touched before is three times as fast as new memory."""
        kept: U8 | None = getattr(self._buffer, "bytes", None)
        if kept is None or len(kept) < size:
            kept = np.empty(size + size // 4, np.uint8)
            if size <= _MOST_ROOM:
                self._buffer.bytes = kept
        return kept

    def _chosen(self, batch: Decided, factors: I32, signals: I32) -> tuple[Chosen, Pieces]:
        with self._lock:
            if self._names.begin():
                self._known.clear()
            rest, degraded = self._ruled(batch)
            chosen = Chosen(
                merchant=self._merchants(batch.event.merchant),
                version=self._versions(batch),
                rest=rest,
                degraded=degraded,
                decision=plain(batch.decision.decision, np.uint8),
                by=plain(batch.decision.by, np.uint8),
                factor=factors,
                signal=signals,
            )
            return chosen, self._names.pieces

    def _number(self, key: Hashable, text: bytes) -> int:
        number = self._known[key] = self._names.add(text)
        return number

    def _merchants(self, merchants: tuple[str, ...]) -> I32:
        known = self._known
        for merchant in set(merchants):
            if merchant not in known:
                self._number(merchant, _ENCODE(merchant))
        return np.fromiter(map(known.__getitem__, merchants), np.int32, len(merchants))

    def _versions(self, batch: Decided) -> I32:
        rulesets = _rulesets(batch.rules)
        words = batch.score.model.astype(np.int64) | batch.signals.catalogue.astype(np.int64) << 8 | rulesets << 24
        if (words == words[0]).all():
            return np.full(len(words), self._version(batch, int(words[0])), np.int32)
        seen, at = np.unique(words, return_inverse=True)
        return np.array([self._version(batch, word) for word in seen.tolist()], np.int32)[at]

    def _version(self, batch: Decided, word: int) -> int:
        model, catalogue, place = word & 0xFF, word >> 8 & 0xFFFF, word >> 24
        ruleset = batch.rules.rulesets[place - 1] if place else ""
        key = batch.score.versions[model], catalogue, ruleset, batch.decision.policy
        found = self._known.get(key)
        if found is None:
            names = key[0], catalogue, self._build, ruleset or None, batch.decision.policy or None
            found = self._number(key, _ENCODE(Versions(*names)))
        return found

    def _ruled(self, batch: Decided) -> tuple[I32, I32]:
        """Return what stands behind the score with rules, and what could not be asked, as pieces, int32[n] each."""
        by, policy, said = batch.decision.by, batch.decision.by_policy, batch.rules.said
        codes = np.where(by == BY_MODEL, 0, policy.astype(np.int64) + 1)
        plain = [self._rest(RulesSaid("", 0.0)), *(self._rest(RulesSaid("", 0.0, by_policy=d)) for d in DECISIONS)]
        rest = np.array(plain, np.int32)[codes]
        flags = batch.shared.degraded.astype(np.intp)
        degraded = np.array([self._degraded((), asked=asked) for asked in (True, False)], np.int32)[flags]
        if len(said) != said.count(None):
            for row, one in enumerate(said):
                if one is not None:
                    rest[row] = self._rest(_said(batch, row, one))
                    degraded[row] = self._degraded(one.degraded, asked=not flags[row])
        return rest, degraded

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


def _rulesets(rules: Rules) -> I64:
    """Return one more than the place of each row's ruleset, 0 where none looked at it, int64[n]."""
    if not rules.rulesets:
        return np.zeros(len(rules), np.int64)
    looked = np.fromiter((said is not None for said in rules.said), np.bool_, len(rules.said))
    return np.where(looked, rules.ruleset.astype(np.int64) + 1, 0)


def _numbered(batch: Decided) -> Numbered:
    event, origin, velocity, history = batch.event, batch.origin, batch.velocity, batch.history
    return Numbered(
        occurred_at=plain(event.occurred_at, np.int64),
        received_at=plain(event.received_at, np.int64),
        partition=plain(origin.partition, np.int32),
        offset=plain(origin.offset, np.int64),
        ledger=plain(batch.ledger.micros, np.int64),
        velocity=plain(velocity.counts, np.uint32),
        shared=plain(batch.shared.counts, np.float32),
        history=plain(history.events, np.uint32),
        first_seen_at=plain(velocity.first_seen_at, np.int64),
        previous_at=plain(velocity.previous_at, np.int64),
        session=plain(batch.session.events, np.uint32),
        started_at=plain(batch.session.started_at, np.int64),
    )


def _rounded(batch: Decided) -> Rounded:
    return Rounded(
        score=plain(batch.score.score, np.float32),
        contribution=plain(batch.score.contribution, np.float32),
        earlier=plain(batch.history.scores, np.float32),
        by_rules=plain(scores_with_points(batch), np.float32),
    )


def _escaped(texts: tuple[str, ...]) -> Pieces:
    """Return texts as they stand between quotes in JSON."""
    joined = "".join(texts)
    if joined.isascii() and joined.isprintable() and '"' not in joined and "\\" not in joined:
        bounds = np.zeros(len(texts) + 1, np.int64)
        np.cumsum(np.fromiter(map(len, texts), np.int64, len(texts)), out=bounds[1:])
        return Pieces(np.frombuffer(bytearray(joined, "ascii"), np.uint8), bounds)
    return pieces_of([_ENCODE(text)[1:-1] for text in texts])


def _cut(out: U8, ends: I64) -> tuple[bytes, ...]:
    view = out.data
    return tuple([view[first:end].tobytes() for first, end in pairwise((0, *ends.tolist()))])
