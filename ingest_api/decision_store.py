"""What stands of decisions in Redis: the first answer to an event id, and what the flow knows of a session.

``decision:{merchant}:{event id}`` goes through two states. A request claims the id with the digest of its body, so
that no other body is decided under it, and settles it with its answer, unless another request has settled it before:
whoever comes second gives the first one's answer. Who is killed between the two leaves the claim, and the same body
sent again goes on from there.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from ingest_api.deadlines import Deadlines
from ingest_api.decision_request import DIGEST_BYTES
from ingest_api.redis_link import Command, RedisAway, RedisLink
from schemas.decision_record import DecisionRecord
from schemas.result import DECISIONS, session_key
from scoring.rules.program import Signal

_SETTLE_SCRIPT = b"""
local old = redis.call('GET', KEYS[1])
if old and old ~= ARGV[1] then return old end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2], 'EX', ARGV[3])
return false
"""
_AMEND = b"""
if redis.call('GET', KEYS[1]) == ARGV[1] .. ARGV[2] then
    redis.call('SET', KEYS[1], ARGV[1] .. ARGV[3], 'KEEPTTL')
end
return false
"""
# What every decision sends, with places for its parts: to pack them takes longer.
_CLAIM = b"*7\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$2\r\nNX\r\n$3\r\nGET\r\n$2\r\nEX\r\n$%d\r\n%d\r\n"
_SETTLE = b"*7\r\n$4\r\nEVAL\r\n$%d\r\n%b\r\n$1\r\n1\r\n" % (len(_SETTLE_SCRIPT), _SETTLE_SCRIPT)
_SETTLED = b"$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$%d\r\n%d\r\n"
_SESSION_FIELDS: Final = ("last_score", "standing", "last_decision", "last_model", "last_signals")
_LENGTH = struct.Struct(">I")
_SIGNALS = msgspec.json.Decoder(dict[str, Signal])
_ENCODE_RECORD = msgspec.msgpack.Encoder()
_RECORD = msgspec.msgpack.Decoder(DecisionRecord)


class Session(NamedTuple):
    """What the flow knows of a merchant's session, by its newest event."""

    score: float
    decision: str  # that stands: what the policy alone made of the event, whatever rules or lists said
    model: str  # version; empty where the flow did not say
    signals: Mapping[str, Signal]


class Settled(NamedTuple):
    """An answer as JSON, and its record; kept without entities and data, which come with the body again."""

    answer: bytes
    record: DecisionRecord

    def packed(self) -> bytes:
        """Return it as bytes."""
        bare = msgspec.structs.replace(self.record, entities={}, data=None, redacted=())
        return _LENGTH.pack(len(self.answer)) + self.answer + _ENCODE_RECORD.encode(bare)


class Taken(NamedTuple):
    """What was found under an event id: the body that has it, and its answer where it has one yet."""

    digest: bytes
    settled: Settled | None


def decision_key(merchant: str, event_id: str) -> str:
    """Return the Redis key of a decision; the merchant is part of it, so no tenant can reach another's."""
    return f"decision:{merchant}:{event_id}"


class DecisionStore:
    """Reads and writes within ``seconds``; RedisAway where there is no answer by then."""

    def __init__(self, link: RedisLink, ttl_seconds: int, seconds: float) -> None:
        self._link = link
        self._ttl, self._ttl_size = ttl_seconds, len(str(ttl_seconds))
        self._limits = Deadlines(seconds, RedisAway)

    async def begin(
        self, merchant: str, event_id: str, digest: bytes, session_id: str | None
    ) -> tuple[Taken | None, Session | None]:
        """Claim an event id, and return what was there, and what is known of the session."""
        key = decision_key(merchant, event_id).encode()
        claim = _CLAIM % (len(key), key, len(digest), digest, self._ttl_size, self._ttl)
        if session_id is None:
            (found,) = await self._send(claim)
            return None if found is None else _taken(found), None
        found, session = await self._send(claim, ("HMGET", session_key(merchant, session_id), *_SESSION_FIELDS))
        return None if found is None else _taken(found), _session(session)

    async def settle(self, merchant: str, event_id: str, digest: bytes, settled: Settled) -> Taken | None:
        """Let an answer stand, or return what stands already."""
        key, said = decision_key(merchant, event_id).encode(), settled.packed()
        parts = len(key), key, len(digest), digest, len(said), said, self._ttl_size, self._ttl
        (found,) = await self._send(_SETTLE + _SETTLED % parts)
        return None if found is None else _taken(found)

    async def amend(self, merchant: str, event_id: str, digest: bytes, settled: Settled, better: Settled) -> None:
        """Let a better answer stand in place of our own."""
        key = decision_key(merchant, event_id)
        await self._send(("EVAL", _AMEND, 1, key, digest, settled.packed(), better.packed()))

    def _send(self, *commands: Command) -> asyncio.Future[list[Any]]:
        return self._limits.watch(self._link.send(*commands))


def _taken(found: bytes) -> Taken:
    digest, rest = found[:DIGEST_BYTES], found[DIGEST_BYTES:]
    if not rest:
        return Taken(digest, None)
    (length,) = _LENGTH.unpack_from(rest)
    at = _LENGTH.size + length
    return Taken(digest, Settled(rest[_LENGTH.size : at], _RECORD.decode(rest[at:])))


def _session(found: list[bytes | None]) -> Session | None:
    score, standing, last, model, signals = found
    decision = standing or last  # a build before wrote no standing decision
    if score is None or decision is None or decision.decode() not in DECISIONS:
        return None
    try:
        known = _SIGNALS.decode(signals) if signals else {}
    except msgspec.MsgspecError:
        known = {}  # of a build that wrote them otherwise
    return Session(float(score), decision.decode(), (model or b"").decode(), known)
