"""Redis as a destination: what merchants poll. One round trip a block."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from redis import Redis
from redis.exceptions import RedisError, ResponseError

from flows.redis_trip import Command, scripted_trip
from flows.sinks.destination import DestinationError, RowsRefused
from flows.sinks.encoded import EncodedParcel
from flows.sinks.letters import Undelivered
from flows.sinks.result_packing import ResultPacker
from flows.sinks.written import Head, heads_of, seen_signals_of
from schemas.dead_letter import DeadLetter, Reason
from schemas.result import (
    Result,
    decode_rejected,
    decode_result,
    encode_rejected,
    result_key,
    session_key,
)
from schemas.stored_results import rejection_in

# One key a call, so that it runs on any node of a cluster. An event is counted once, however often and in whatever
# order it is written: the field e:<event id> remembers it for as long as the session's summary lives.
#
# ARGV: time to live; highest score; of the newest event its time, offset, id, score, decision, model, signals and what
# stands; then e:<event id> of every event. 0 where one of them was counted before: nothing is written then.
NEW_EVENTS_SCRIPT = b"""
local key, many = KEYS[1], #ARGV - 10
local seen = redis.call('HMGET', key, 'events', 'max_score', 'last_occurred_at', 'last_offset', unpack(ARGV, 11))
for at = 5, many + 4 do
    if seen[at] then return 0 end
end
local fields, n = {'events', string.format('%d', many + (tonumber(seen[1]) or 0))}, 2
for at = 11, #ARGV do
    fields[n + 1], fields[n + 2], n = ARGV[at], '1', n + 2
end
if not seen[2] or tonumber(ARGV[2]) > tonumber(seen[2]) then
    fields[n + 1], fields[n + 2], n = 'max_score', ARGV[2], n + 2
end
local occurred, before = tonumber(ARGV[3]), seen[3] and tonumber(seen[3])
if not before or before < occurred or (before == occurred and tonumber(seen[4]) <= tonumber(ARGV[4])) then
    redis.call('HSET', key, 'last_occurred_at', ARGV[3], 'last_offset', ARGV[4], 'last_event', ARGV[5],
        'last_score', ARGV[6], 'last_decision', ARGV[7], 'last_model', ARGV[8], 'last_signals', ARGV[9],
        'standing', ARGV[10], unpack(fields))
else
    redis.call('HSET', key, unpack(fields))
end
redis.call('EXPIRE', key, ARGV[1])
return 1
"""
# The same event by event, for sessions of which some were counted. ARGV: time to live; of every event its id, time,
# offset, score, decision, model, signals and what stands.
SESSION_SCRIPT = b"""
local key, ttl = KEYS[1], ARGV[1]
for at = 2, #ARGV, 8 do
    local event, occurred, offset = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
    if redis.call('HSETNX', key, 'e:' .. event, 1) == 1 then
        redis.call('HINCRBY', key, 'events', 1)
        local seen = redis.call('HMGET', key, 'max_score', 'last_occurred_at', 'last_offset')
        if not seen[1] or tonumber(ARGV[at + 3]) > tonumber(seen[1]) then
            redis.call('HSET', key, 'max_score', ARGV[at + 3])
        end
        local before = seen[2] and (tonumber(seen[2]) > occurred
            or (tonumber(seen[2]) == occurred and tonumber(seen[3]) > offset))
        if not before then
            redis.call('HSET', key, 'last_event', event, 'last_occurred_at', ARGV[at + 1],
                'last_offset', ARGV[at + 2], 'last_score', ARGV[at + 3], 'last_decision', ARGV[at + 4],
                'last_model', ARGV[at + 5], 'last_signals', ARGV[at + 6], 'standing', ARGV[at + 7])
        end
    end
end
redis.call('EXPIRE', key, ttl)
return redis.status_reply('OK')
"""
_NEW_EVENTS, _SESSION = (  # Redis names scripts so
    hashlib.sha1(script, usedforsecurity=False).hexdigest() for script in (NEW_EVENTS_SCRIPT, SESSION_SCRIPT)
)
_EVENTS_A_CALL: Final = 500  # Lua takes some thousands of arguments


class Scored(NamedTuple):
    """A result to store: its head, its JSON, and where it stands among those that it came with."""

    head: Head
    record: bytes
    results: Sequence[Result]
    row: int


class _Session(NamedTuple):
    """Events of one session that came together, and what is said of the newest."""

    key: str
    events: Sequence[Scored]
    newest: Scored
    signals: bytes


class RedisResults:
    """Writes the result of every event and the summary of every session. Needs Redis 7 or Valkey.

    ``score:{merchant}:{event}``: the first result stands, and a result replaces a rejection.
    ``session:{merchant}:{session}``: a hash of events, max_score, last_score, last_decision, last_event, last_*;
    last_signals is JSON, ``{"vpn": [result, confidence]}``; standing: what the policy alone decided of the last event,
    which hysteresis compares with. Rules that decide by HTTP ask for all of it. ``prefix`` begins every key: a replay
    has its own. ``packed``: results lie there as ``schemas.stored_results`` says, else as JSON.
    """

    name = "redis"

    def __init__(
        self,
        client: Redis,
        ttl_seconds: int,
        session_ttl_seconds: int | None = None,
        *,
        prefix: str = "",
        packed: bool = False,
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._ttl = ttl_seconds
        self._session_ttl = session_ttl_seconds or ttl_seconds
        self._packer = ResultPacker() if packed else None

    def write(self, parcels: Sequence[EncodedParcel]) -> None:
        """Store results, rejections and session summaries; DestinationError names the error's class only."""
        scored = [one for item in parcels for one in _scored(item.results, item.records)]
        rejected = [
            (
                self._prefix + result_key(letter.merchant, letter.event_id),
                encode_rejected(letter.event_id, letter.reason),
            )
            for item in parcels
            for letter in item.parcel.errs
            if letter.merchant is not None and letter.event_id is not None
        ]
        self._store(scored, rejected)

    def letters(self, parcels: Sequence[EncodedParcel], detail: str) -> list[DeadLetter]:
        """Return one letter for each answer that a merchant may poll; its payload is the answer."""
        why = Undelivered(Reason.SINK_REDIS, self.name, detail, "scored")
        found: list[DeadLetter] = []
        for item in parcels:
            found += why.scored(item, item.records)
            found += [
                why.dead(letter, encode_rejected(letter.event_id, letter.reason))
                for letter in item.parcel.errs
                if letter.merchant is not None and letter.event_id is not None
            ]
        return found

    def rewrite(self, letters: Sequence[DeadLetter]) -> None:
        """Store the answers of letters that :meth:`letters` made; RowsRefused also where a payload is none of them."""
        scored: list[Scored] = []
        rejected = []
        try:
            for letter in letters:
                if decode_rejected(letter.payload) is None:
                    scored += _scored((decode_result(letter.payload),), (letter.payload,))
                else:
                    key = self._prefix + result_key(letter.merchant or "", letter.event_id or "")
                    rejected.append((key, letter.payload))
        except msgspec.MsgspecError as error:
            raise RowsRefused(f"an answer of the backup cannot be read: {type(error).__name__}") from error
        self._store(scored, rejected)

    def probe(self) -> bool:
        """Send PING, within the client's own time limits."""
        try:
            return bool(self._client.ping())
        except RedisError:
            return False

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()

    def _store(self, scored: Sequence[Scored], rejected: Sequence[tuple[str, bytes]]) -> None:
        if not scored and not rejected:
            return
        records: Sequence[bytes] = [one.record for one in scored]
        if self._packer is not None:
            records = self._packer.packed(records)
        keys = (self._prefix + result_key(one.head.merchant, one.head.event_id) for one in scored)
        results = list(zip(keys, records, strict=True))
        sessions = list(self._sessions(scored))
        try:
            before, known = self._first_trip(results, rejected, sessions)
            self._replace_rejections(results, before)
            self._count_the_others(known)
        except ResponseError as error:
            raise RowsRefused(f"Redis: {type(error).__name__}") from error
        except RedisError as error:
            raise DestinationError(f"Redis: {type(error).__name__}") from error

    def _first_trip(
        self, results: Sequence[tuple[str, bytes]], rejected: Sequence[tuple[str, bytes]], sessions: Sequence[_Session]
    ) -> tuple[list[bytes | None], list[_Session]]:
        """Write everything; return what lay under each result's key before, and sessions with events counted before."""
        commands: list[Command] = [("SET", key, record, "EX", self._ttl, "NX", "GET") for key, record in results]
        commands += [("SET", key, record, "EX", self._ttl, "NX") for key, record in rejected]
        first = len(commands)
        commands += [("EVALSHA", _NEW_EVENTS, 1, one.key, self._session_ttl, *_together(one)) for one in sessions]
        replies = self._round_trip(commands, NEW_EVENTS_SCRIPT)
        return replies[: len(results)], [one for one, new in zip(sessions, replies[first:], strict=True) if not new]

    def _count_the_others(self, sessions: Sequence[_Session]) -> None:
        """Count what is new of sessions that came before, at least in part: a redelivery."""
        if sessions:
            self._round_trip(
                [("EVALSHA", _SESSION, 1, one.key, self._session_ttl, *_one_by_one(one)) for one in sessions],
                SESSION_SCRIPT,
            )

    def _replace_rejections(self, results: Sequence[tuple[str, bytes]], before: Sequence[bytes | None]) -> None:
        """A redriven event was rejected when it came first: now its result stands."""
        late = [
            pair for pair, old in zip(results, before, strict=True) if old is not None and rejection_in(old) is not None
        ]
        if late:
            self._round_trip([("SET", key, record, "EX", self._ttl) for key, record in late])

    def _round_trip(self, commands: Sequence[Command], script: bytes = b"") -> list[Any]:
        """Return the replies; the first refusal is raised once all were read."""
        replies = scripted_trip(self._client, commands, script)
        refused = next((reply for reply in replies if isinstance(reply, ResponseError)), None)
        if refused is not None:
            raise refused
        return replies

    def _sessions(self, scored: Sequence[Scored]) -> Iterator[_Session]:
        """Yield each session's events, each once: of what comes twice in a block the first stands."""
        of_session: dict[str, dict[str, Scored]] = {}
        for one in scored:
            key = self._prefix + session_key(one.head.merchant, one.head.session_id)
            of_session.setdefault(key, {}).setdefault(one.head.event_id, one)
        for key, events in of_session.items():
            distinct = list(events.values())
            for first in range(0, len(distinct), _EVENTS_A_CALL):
                yield _session(key, distinct[first : first + _EVENTS_A_CALL])


def _session(key: str, events: Sequence[Scored]) -> _Session:
    newest = events[0]
    for one in events:
        if _place(one.head) >= _place(newest.head):  # of equal ones the later
            newest = one
    return _Session(key, events, newest, seen_signals_of(newest.results, newest.row))


def _together(session: _Session) -> list[Any]:
    """Return what the script for new events is told."""
    head, events = session.newest.head, session.events
    return [
        max(one.head.score for one in events), head.occurred_at, head.offset, head.event_id, head.score, head.decision,
        head.model, session.signals, head.standing, *("e:" + one.head.event_id for one in events),
    ]  # fmt: skip


def _one_by_one(session: _Session) -> list[Any]:
    """Return the same for each event. Signals of the newest alone: whatever an older one leaves, that one replaces."""
    arguments: list[Any] = []
    for one in session.events:
        head = one.head
        arguments += (head.event_id, head.occurred_at, head.offset, head.score, head.decision, head.model)
        arguments += (session.signals if one is session.newest else b"", head.standing)
    return arguments


def _scored(results: Sequence[Result], records: Sequence[bytes]) -> Iterator[Scored]:
    for row, (head, record) in enumerate(zip(heads_of(results), records, strict=True)):
        yield Scored(head, record, results, row)


def _place(head: Head) -> tuple[int, int]:
    return head.occurred_at, head.offset
