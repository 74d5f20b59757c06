"""What a result says of an event, as heads and details of a diff: for sides of which only the results are kept.

A result says less than the table ``events``: no address, activity, environment or thresholds, and its numbers have four
decimals. So both sides of such a diff are brought to what results say, the rows of a table too, and compared by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from itertools import chain
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from flows.sinks.results import DECIMALS
from replay.diff_rows import COUNTS, GROUPS, SHARED_COUNTS, VELOCITY_COUNTS, Details, Heads, Names
from replay.sip_hash import sip_hashes
from schemas.columns import U8, U64
from schemas.result import DECISIONS, EntityCounts, Result, SharedEntities, SmartSignal, VelocityCounts, Windows
from schemas.ruling import BY
from schemas.velocity import ENTITIES, KINDS, MEASURES

UNIT: Final = b"\x1f"
NOT_TOLD: Final = ("activity", "environment", "thresholds")
"""Groups of which a result says nothing."""
TOLD_AS: Final = (
    f"what results say was compared, numbers to {DECIMALS} decimals: neither address, activity, environment \
and thresholds nor what shadow models said"
)
"""For a reader of such a diff."""
_ENCODE: Final = msgspec.msgpack.Encoder().encode
_OWN, _SHARED = len(VELOCITY_COUNTS), len(SHARED_COUNTS)
_CODES: Final = {name.encode(): code for code, name in enumerate(DECISIONS)}
_BY: Final = {name.encode(): code for code, name in enumerate(BY)}
_UNKNOWN_ENTITY: Final = (0,) * (3 * len(MEASURES))


class Told(NamedTuple):
    """One event. Texts are bytes, several joined as the table's columns are; numbers in arrays are little-endian."""

    event_id: bytes  # 32 hexadecimal digits, as the next two
    session_id: bytes
    device_id: bytes
    merchant: bytes
    transaction: bytes
    topic: bytes
    partition: int
    offset: int
    occurred_at: int  # ms, as all times; -1 where there is none
    received_at: int
    appended_at: int
    catalogue: int
    degraded: bytes
    counts: bytes  # uint32, of replay.diff_rows.COUNTS
    first_seen_at: int
    previous_at: int
    session_started_at: int
    earlier_scores: bytes  # float32
    smart_names: bytes
    smart_results: bytes  # int8
    smart_confidences: bytes  # float32, NaN where the result is not computable
    smart_data: bytes
    score: float
    factors: bytes
    factor_texts: bytes
    contributions: bytes  # float32
    rules: bytes
    added: float
    tags: bytes
    alerts: bytes
    decision: bytes
    decided_by: bytes
    standing: bytes  # what the policy alone decided
    tried: bytes  # rulesets and their decisions
    model: bytes
    build: bytes
    ruleset: bytes
    policy: bytes
    more: bytes = b""  # what only a result says; empty where the other side is a table


def told_of(result: Result, *, more: bool) -> Told:
    """Return what a result says; ``more``: with what no table has."""
    rules, history, session, versions = result.rules, result.history, result.session, result.versions
    smart = result.smart_signals
    said = [-1 if one.result is None else int(one.result) for one in smart.values()]
    sure = [np.nan if one.result is None else one.confidence for one in smart.values()]
    factors = result.factors
    shadows = rules.shadows if rules else ()
    return Told(
        event_id=result.event_id.encode(),
        session_id=result.session_id.encode(),
        device_id=result.device_id.encode(),
        merchant=result.merchant.encode(),
        transaction=result.transaction.encode(),
        topic=result.origin.topic.encode(),
        partition=result.origin.partition,
        offset=result.origin.offset,
        occurred_at=result.occurred_at,
        received_at=result.received_at,
        appended_at=max(result.ledger.values(), default=0) // 1000,  # in a replay all marks are of the append
        catalogue=versions.catalogue,
        degraded=",".join(result.degraded).encode(),
        counts=_counts(result),
        first_seen_at=history.first_seen_at if history else -1,
        previous_at=-1 if history is None or history.previous_at is None else history.previous_at,
        session_started_at=session.started_at if session else -1,
        earlier_scores=np.array(history.scores if history else (), "<f4").tobytes(),
        smart_names=",".join(smart).encode(),
        smart_results=np.array(said, np.int8).tobytes(),
        smart_confidences=np.array(sure, "<f4").tobytes(),
        smart_data=data_of(",".join(one.data for one in smart.values()).encode()),
        score=result.score,
        factors=",".join([one.code for one in factors]).encode(),
        factor_texts="\n".join([one.text for one in factors]).encode(),
        contributions=np.array([one.contribution for one in factors], "<f4").tobytes(),
        rules=",".join(rules.matched if rules else ()).encode(),
        added=rules.added if rules else 0.0,
        tags=UNIT.join(one.encode() for one in (rules.tags if rules else ())),
        alerts=UNIT.join(one.encode() for one in (rules.alerts if rules else ())),
        decision=result.decision.encode(),
        decided_by=rules.decided_by.encode() if rules else b"model",
        standing=result.standing.encode(),
        tried=UNIT.join(
            (",".join(one.ruleset for one in shadows).encode(), ",".join(one.decision for one in shadows).encode())
        ),
        model=versions.model.encode(),
        build=versions.build.encode(),
        ruleset=(versions.ruleset or "").encode(),
        policy=(versions.policy or "").encode(),
        more=_more(result, smart.values()) if more else b"",
    )


def data_of(joined: bytes) -> bytes:
    """Return versions of data joined by commas as results and tables both say it where there are none."""
    return joined if joined.strip(b",") else b""


def _more(result: Result, smart: Iterable[SmartSignal]) -> bytes:
    rules = result.rules
    ruled = (rules.reasons, rules.degraded, [one.matched for one in rules.shadows]) if rules else ()
    return _ENCODE(([(one.version, one.reasons, one.details) for one in smart], ruled))


def _counts(result: Result) -> bytes:
    history, session = result.history, result.session
    own: VelocityCounts = result.velocity
    shared: SharedEntities = result.shared
    counts = [
        *chain.from_iterable(_of_window(getattr(own, kind)) for kind in KINDS),
        history.events if history else 0,
        session.events if session else 0,
        *chain.from_iterable(_of_entity(getattr(shared, entity)) for entity in ENTITIES),
    ]
    return np.array(counts, "<u4").tobytes()


def _of_entity(entity: EntityCounts | None) -> tuple[int, ...]:
    if entity is None:
        return _UNKNOWN_ENTITY
    return (*_of_window(entity.events), *_of_window(entity.devices))


def _of_window(windows: Windows) -> tuple[int, int, int]:
    return windows.minutes or 0, windows.hour or 0, windows.day or 0


def heads_of(rows: Sequence[Told], merchants: Names, versions: Names) -> Heads:
    """Return events as heads, in the order given; their ``order`` is what ClickHouse's sipHash64 says of the id."""
    if not rows:
        return Heads.none()
    ids, sessions = (_ids([getattr(one, name) for one in rows]) for name in ("event_id", "session_id"))
    digests = b"".join([_hashed(part) for one in rows for part in _grouped(one)])
    return Heads(
        order=sip_hashes(ids),
        event_id=np.ascontiguousarray(ids).view(">u8").astype(np.uint64),
        merchant=np.array([merchants[one.merchant] for one in rows], np.int32),
        session=sip_hashes(sessions),
        partition=np.array([one.partition for one in rows], np.int32),
        offset=np.array([one.offset for one in rows], np.int64),
        occurred_at=np.array([one.occurred_at for one in rows], np.int64),
        score=np.array([one.score for one in rows], np.float32),
        decision=np.array([_CODES.get(one.decision, len(DECISIONS)) for one in rows], np.uint8),
        decided_by=np.array([_BY.get(one.decided_by, len(BY)) for one in rows], np.uint8),
        version=np.array([versions[_version(one)] for one in rows], np.int32),
        groups=np.frombuffer(digests, "<u8").astype(np.uint64).reshape(len(rows), len(GROUPS)),
    )


def device_ids(rows: Sequence[Told]) -> U8:
    """Return the ids of the events' devices, uint8[n, 16]."""
    return _ids([one.device_id for one in rows])


def event_orders(ids: Sequence[bytes]) -> U64:
    """Return the hashes that events are ordered by, of their ids as hexadecimal digits."""
    return sip_hashes(_ids(ids))


def details_of(rows: Sequence[Told]) -> Details:
    """Return events as details."""
    counts = np.frombuffer(b"".join([one.counts for one in rows]), "<u4").reshape(len(rows), len(COUNTS))
    return Details(
        factors=tuple(one.factors for one in rows),
        contributions=tuple(one.contributions for one in rows),
        rules=tuple(one.rules for one in rows),
        smart_names=tuple(one.smart_names for one in rows),
        smart_results=tuple(one.smart_results for one in rows),
        smart_confidences=tuple(one.smart_confidences for one in rows),
        counts=counts.astype(np.uint32),
    )


def _ids(digits: Sequence[bytes]) -> U8:
    return np.frombuffer(bytes.fromhex(b"".join(digits).decode()), np.uint8).reshape(-1, 16)


def _version(one: Told) -> bytes:
    return UNIT.join((one.model, one.build, one.ruleset, one.policy))


def _hashed(part: Any) -> bytes:
    return bytes(8) if part is None else blake2b(_ENCODE(part), digest_size=8).digest()


def _grouped(one: Told) -> Iterable[Any]:
    """Yield what is hashed for each group, in their order; None: nothing is told of it."""
    counts = one.counts
    said = {
        "received": (one.session_id, one.device_id, one.merchant, one.transaction, one.occurred_at, one.received_at,
                     one.catalogue, one.topic, one.partition, one.offset),
        "degraded": one.degraded,
        "velocity": counts[: 4 * _OWN],
        "history": (one.first_seen_at, one.previous_at, one.session_started_at, counts[4 * _OWN : -4 * _SHARED]),
        "earlier_scores": one.earlier_scores,
        "shared": counts[-4 * _SHARED :],
        "smart": (one.smart_names, one.smart_results, one.smart_confidences, one.smart_data),
        "score": one.score,
        "factors": (one.factors, one.factor_texts, one.contributions),
        "rules": (one.rules, one.added, one.tags, one.alerts),
        "decision": (one.decision, one.decided_by, one.standing),
        "shadows": one.tried,
        "other": one.more,
        "versions": (one.model, one.build, one.ruleset, one.policy),
    }  # fmt: skip
    return map(said.get, GROUPS)
