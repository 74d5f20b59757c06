"""What is stored of a decision, which is all that making it again needs: where it lies, and whether it comes out equal.

The tables are those of ``infra/clickhouse``; whoever asks them has a client of its own and hands the rows in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from schemas.batches import F32, I8
from schemas.result import DECISIONS
from schemas.ruling import BY, BY_MODEL
from scoring.policy import decide
from scoring.precedence import with_points

MAX_FOUND: Final = 5  # merchants whose events have one id: more than one is somebody's attack or accident
_MS = "toUnixTimestamp64Milli"
COLUMNS: Mapping[str, str] = {
    "event_id": "lower(hex(event_id))",
    "session_id": "lower(hex(session_id))",
    "occurred_at": f"{_MS}(occurred_at)",
    "received_at": f"{_MS}(received_at)",
    "appended_at": f"{_MS}(appended_at)",
    "polled_at": f"{_MS}(polled_at)",
    **{
        name: name
        for name in (
            "merchant", "transaction", "event_type", "catalogue", "topic", "partition", "offset", "score", "decision",
            "before", "review", "deny", "margin", "model", "policy", "build", "ruleset", "factors", "factor_texts",
            "contributions", "smart_names", "smart_results", "smart_confidences", "degraded", "by_policy", "decided_by",
            "added", "ruling",
        )
    },
}  # fmt: skip
# Not FINAL, which does without the Bloom filter of ids: of an event that was written twice the first row stands.
_EVENT_QUERY = """
SELECT {selected} FROM events
WHERE event_id = toFixedString(unhex(%(event_id)s), 16) AND {whose}
ORDER BY merchant, stands DESC LIMIT 1 BY merchant LIMIT {most}
"""
_OF_MERCHANT, _OF_ANYBODY = "merchant = %(merchant)s", "1"
FEATURES_QUERY: Final = """
SELECT schema, model, packed FROM features
WHERE merchant = %(merchant)s AND occurred_at = fromUnixTimestamp64Milli(toInt64(%(occurred_at)s))
  AND event_id = toFixedString(unhex(%(event_id)s), 16)
ORDER BY stands DESC LIMIT 1
"""
PAYLOAD_QUERY: Final = """
SELECT payload FROM raw_archive
WHERE topic = %(topic)s AND partition = %(partition)s AND offset = %(offset)s
  AND appended_at = fromUnixTimestamp64Milli(toInt64(%(appended_at)s))
  AND merchant = %(merchant)s AND event_id = toFixedString(unhex(%(event_id)s), 16)
LIMIT 1
"""


PREDECESSOR_QUERY: Final = """
SELECT by_policy, offset, toUnixTimestamp64Milli(least(occurred_at, received_at, appended_at)) FROM events
WHERE session_id = toFixedString(unhex(%(session_id)s), 16) AND merchant = %(merchant)s
  AND topic = %(topic)s AND partition = %(partition)s AND offset < %(offset)s
ORDER BY offset DESC, stands DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True, eq=False)
class StoredDecision:
    """One event's row of ``events``, as far as its decision goes. Times in Unix milliseconds, ids in hexadecimal."""

    event_id: str
    session_id: str
    occurred_at: int
    received_at: int
    appended_at: int
    polled_at: int
    merchant: str
    transaction: str
    event_type: str
    catalogue: int
    topic: str
    partition: int
    offset: int
    score: np.float32
    decision: str
    before: str  # the session's standing decision before the event; empty where a build before stored none
    review: np.float32  # the thresholds that were used; NaN where a build before stored none
    deny: np.float32
    margin: np.float32
    model: str
    policy: str
    build: str
    ruleset: str
    factors: tuple[str, ...]
    factor_texts: tuple[str, ...]
    contributions: F32
    smart_names: tuple[str, ...]
    smart_results: I8
    smart_confidences: F32
    degraded: tuple[str, ...]
    by_policy: str  # what the policy made of the score with the points of rules
    decided_by: str  # of schemas.ruling.BY
    added: np.float32  # points of rules
    ruling: str  # JSON of schemas.ruling.Ruling; empty where no rule looked at the event

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Self:
        """Return a row of ``event_query``; text may come as bytes."""
        said = dict(zip(COLUMNS, map(_plain, row), strict=True))
        for name in ("score", "review", "deny", "margin", "added"):
            said[name] = np.float32(said[name])
        said["smart_names"] = tuple(said["smart_names"].split(",")) if said["smart_names"] else ()
        said["smart_results"] = np.array(said["smart_results"], np.int8)
        for name in ("contributions", "smart_confidences"):
            said[name] = np.array(said[name], np.float32)
        return cls(**said)

    @property
    def happened_at(self) -> int:
        """Return the time that the event counts at, as ``schemas.event_time``."""
        return min(self.occurred_at, self.received_at, self.appended_at)

    @property
    def key(self) -> dict[str, Any]:
        """Return what the other queries are asked with."""
        names = ("merchant", "event_id", "session_id", "occurred_at", "topic", "partition", "offset", "appended_at")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The event of the same session and partition before, as its row tells."""

    decision: str  # the policy's: what stands
    offset: int
    happened_at: int  # Unix milliseconds

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Self:
        """Return a row of ``PREDECESSOR_QUERY``."""
        return cls(*map(_plain, row))


@dataclass(frozen=True, slots=True)
class StoredFeatures:
    """One event's row of ``features``."""

    schema: str
    model: str
    packed: bytes

    @classmethod
    def of_row(cls, row: Sequence[Any]) -> Self:
        """Return a row of ``FEATURES_QUERY``, asked for with texts as bytes."""
        schema, model, packed = row
        return cls(_plain(schema), _plain(model), packed)


def decide_again(stored: StoredDecision, score: np.float32) -> str | None:
    """Return the decision that a score gets as the event did; None where a build before stored no thresholds.

    What a list, a rule or an outage decided stands: it does not rest on the score.
    """
    again = policy_again(stored, score)
    return again if again is None or stored.decided_by == BY[BY_MODEL] else stored.decision


def policy_again(stored: StoredDecision, score: np.float32) -> str | None:
    """Return what the stored thresholds make of a score and the stored points; None where a build stored none."""
    if stored.before not in DECISIONS or np.isnan([stored.review, stored.deny, stored.margin]).any():
        return None
    before = DECISIONS.index(stored.before)
    points = with_points(score, stored.added)
    return DECISIONS[int(decide(points, stored.review, stored.deny, stored.margin, before))]


def same_bits(one: F32 | np.float32, other: F32 | np.float32) -> bool:
    """Return whether float32 values are the same bit for bit; NaN is NaN, of whatever kind."""
    left, right = np.asarray(one, np.float32), np.asarray(other, np.float32)
    absent = np.isnan(left)
    if left.shape != right.shape or not np.array_equal(absent, np.isnan(right)):
        return False
    return bool(((left.view(np.uint32) == right.view(np.uint32)) | absent).all())


def event_query(event_id: str, merchant: str | None) -> tuple[str, dict[str, str]]:
    """Return the query for an event of one merchant, or of anybody, and its parameters; a row a merchant."""
    whose = _OF_ANYBODY if merchant is None else _OF_MERCHANT
    query = _EVENT_QUERY.format(selected=", ".join(COLUMNS.values()), whose=whose, most=MAX_FOUND)
    return query, {"event_id": event_id, **({} if merchant is None else {"merchant": merchant})}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return tuple(map(_plain, value)) if isinstance(value, Iterable) and not isinstance(value, str) else value
