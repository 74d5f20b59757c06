"""Redis as a destination: what merchants poll. One round trip a block."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from flows.redis_trip import Command, round_trip
from flows.sinks.destination import DestinationError, RowsRefused
from flows.sinks.encoded import EncodedParcel
from flows.sinks.letters import Undelivered
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

# One key, so that it runs on any node of a cluster. An event is counted once, however often and in whatever order
# it is written: the field e:<event id> remembers it for as long as the session's summary lives.
SESSION_SCRIPT = """
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
_DIGEST = hashlib.sha1(SESSION_SCRIPT.encode(), usedforsecurity=False).hexdigest()  # Redis names scripts so


class Scored(NamedTuple):
    """A result to store: its head, its JSON, and where it stands among those that it came with."""

    head: Head
    record: bytes
    results: Sequence[Result]
    row: int


def connect(url: str, seconds: float = 2.0) -> Redis:
    """Return a client whose every wait is bounded, and which leaves retries to the writer."""
    return Redis.from_url(
        url, socket_timeout=seconds, socket_connect_timeout=seconds, retry=Retry(NoBackoff(), 0), decode_responses=False
    )


class RedisResults:
    """Writes the result of every event and the summary of every session. Needs Redis 7 or Valkey.

    ``score:{merchant}:{event}``: the first result stands, and a result replaces a rejection.
    ``session:{merchant}:{session}``: a hash of events, max_score, last_score, last_decision, last_event, last_*;
    last_signals is JSON, ``{"vpn": [result, confidence]}``; standing: what the policy alone decided of the last event,
    which hysteresis compares with. Rules that decide by HTTP ask for all of it. ``prefix`` begins every key: a replay
    has its own.
    """

    name = "redis"

    def __init__(
        self, client: Redis, ttl_seconds: int, session_ttl_seconds: int | None = None, *, prefix: str = ""
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._ttl = ttl_seconds
        self._session_ttl = session_ttl_seconds or ttl_seconds

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
        results = [(self._prefix + result_key(one.head.merchant, one.head.event_id), one.record) for one in scored]
        try:
            before = self._first_trip(results, rejected, scored)
            self._replace_rejections(results, before)
        except ResponseError as error:
            raise RowsRefused(f"Redis: {type(error).__name__}") from error
        except RedisError as error:
            raise DestinationError(f"Redis: {type(error).__name__}") from error

    def _first_trip(
        self, results: Sequence[tuple[str, bytes]], rejected: Sequence[tuple[str, bytes]], scored: Sequence[Scored]
    ) -> list[bytes | None]:
        """Write everything; return what lay under each result's key before."""
        commands: list[Command] = [("SET", key, record, "EX", self._ttl, "NX", "GET") for key, record in results]
        commands += [("SET", key, record, "EX", self._ttl, "NX") for key, record in rejected]
        if scored:
            commands.append(("SCRIPT LOAD", SESSION_SCRIPT))  # again with every block: Redis may have been restarted
        for key, arguments in self._sessions(scored):
            commands.append(("EVALSHA", _DIGEST, 1, key, self._session_ttl, *arguments))
        return self._round_trip(commands)[: len(results)]

    def _replace_rejections(self, results: Sequence[tuple[str, bytes]], before: Sequence[bytes | None]) -> None:
        """A redriven event was rejected when it came first: now its result stands."""
        late = [
            pair
            for pair, old in zip(results, before, strict=True)
            if old is not None and decode_rejected(old) is not None
        ]
        if late:
            self._round_trip([("SET", key, record, "EX", self._ttl) for key, record in late])

    def _round_trip(self, commands: Sequence[Command]) -> list[Any]:
        """Return the replies; the first refusal is raised once all were read."""
        replies = round_trip(self._client, commands)
        refused = next((reply for reply in replies if isinstance(reply, ResponseError)), None)
        if refused is not None:
            raise refused
        return replies

    def _sessions(self, scored: Sequence[Scored]) -> Iterator[tuple[str, list[Any]]]:
        """Yield each session's key and the script's arguments.

        Signals are said of its newest event here alone: whatever an older one leaves, that one replaces.
        """
        newest: dict[str, Scored] = {}
        of_session: dict[str, list[Scored]] = {}
        for one in scored:
            key = self._prefix + session_key(one.head.merchant, one.head.session_id)
            of_session.setdefault(key, []).append(one)
            known = newest.get(key)
            if known is None or _place(one.head) >= _place(known.head):  # of equal ones the script takes the later
                newest[key] = one
        for key, of_key in of_session.items():
            arguments: list[Any] = []
            for one in of_key:
                head = one.head
                signals = seen_signals_of(one.results, one.row) if one is newest[key] else b""
                arguments += (head.event_id, head.occurred_at, head.offset, head.score, head.decision)
                arguments += (head.model, signals, head.standing)
            yield key, arguments


def _scored(results: Sequence[Result], records: Sequence[bytes]) -> Iterator[Scored]:
    for row, (head, record) in enumerate(zip(heads_of(results), records, strict=True)):
        yield Scored(head, record, results, row)


def _place(head: Head) -> tuple[int, int]:
    return head.occurred_at, head.offset
