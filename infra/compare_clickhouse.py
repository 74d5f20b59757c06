"""Stored events for a comparison: from ClickHouse in slices of time that fit into memory, with features and labels.

A sample is chosen by a hash of the event id, so the same range gives the same sample. Labelled events are rare and say
most: they are sampled apart, and every row's weight says how many events it stands for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from sys import intern
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from clickhouse_driver import Client
from clickhouse_driver.errors import Error

from flows.sinks.clickhouse import client_url
from infra.clickhouse.migrate import one_line
from infra.labels import labelled_events
from infra.model_compare import CompareError, SourceBatch
from schemas.batches import F32, Bool
from schemas.result import DECISIONS
from scoring.compare import NOT_LABELLED, Events, Floats
from scoring.features import feature_schema
from scoring.policy import Policy
from scoring.stored_features import FeaturesError, unpack

ROWS_OF_A_SLICE: Final = 8_192
_MINUTE_MS = 60_000
_CONNECT_SECONDS, _SECONDS = 10.0, 600.0
_HASHES = 1 << 64
_WHERE = """occurred_at >= fromUnixTimestamp64Milli(toInt64(%(since)s))
    AND occurred_at < fromUnixTimestamp64Milli(toInt64(%(until)s))"""
_MERCHANT, _EVENT_TYPE = " AND merchant = %(merchant)s", " AND event_type = %(event_type)s"
_PART = " AND sipHash64(event_id) %% toUInt64(%(parts)s) = %(part)s"
_BY_MINUTE = """
SELECT minute, sum(events) AS events, sum(known) AS known FROM (
    SELECT intDiv(toUnixTimestamp64Milli(occurred_at), 60000) AS minute, uniqExact(event_id) AS events, 0 AS known
    FROM events WHERE {where} GROUP BY minute
    UNION ALL
    SELECT intDiv(toUnixTimestamp64Milli(occurred_at), 60000) AS minute, 0 AS events, count() AS known
    FROM ({labelled}) GROUP BY minute
) GROUP BY minute ORDER BY minute
"""
_STORED = """if(e.model = %({side})s, e.score, if(has(e.shadow_models, %({side})s),
       e.shadow_scores[indexOf(e.shadow_models, %({side})s)], toFloat32(nan)))"""
_EVENTS = """
SELECT e.event_id, reinterpretAsUInt64(substring(e.session_id, 1, 8)), toUnixTimestamp64Milli(e.occurred_at),
       e.merchant, e.event_type, e.review, e.deny, e.margin, e.before, {stored_a}, {stored_b}, l.fraud, l.known
FROM (
    SELECT event_id, session_id, occurred_at, merchant, event_type, review, deny, margin, before, model, score,
           shadow_models, shadow_scores
    FROM events FINAL WHERE {where}
) AS e
LEFT JOIN (SELECT merchant, event_id, fraud, 1 AS known FROM ({labelled})) AS l
    ON e.merchant = l.merchant AND e.event_id = l.event_id
WHERE cityHash64(e.event_id) <= %(sampled)s OR (l.known = 1 AND cityHash64(e.event_id) <= %(sampled_known)s)
ORDER BY e.event_id
"""
# Without FINAL, which would read the rows of the whole slice: of a row written twice the first counts, here too.
_FEATURES = """
SELECT merchant, event_id, packed FROM features
WHERE {where} AND schema = %(schema)s AND (cityHash64(event_id) <= %(sampled)s OR (
    cityHash64(event_id) <= %(sampled_known)s
    AND (merchant, event_id) IN (SELECT merchant, event_id FROM ({labelled}))
))
ORDER BY merchant, event_id, stands DESC LIMIT 1 BY merchant, event_id
"""


class Asked(NamedTuple):
    """Which events: times in ms since the epoch, ``until`` is not of them; empty: any. ``sample`` 0: all."""

    since: int
    until: int
    merchant: str = ""
    event_type: str = ""
    sample: int = 0


class _Slice(NamedTuple):
    since: int
    until: int
    part: int = 0  # of a minute that holds too many for one: by hash of the event id
    parts: int = 1


class _Plan(NamedTuple):
    slices: list[_Slice]
    share: float  # of the events that are not labelled
    share_known: float  # of those that are
    rows: int


@dataclass(frozen=True)
class StoredEvents:
    """The events of a range. CompareError where ClickHouse cannot be asked."""

    url: str
    asked: Asked
    fallback: Policy  # for events that were stored without thresholds
    rows_of_a_slice: int = ROWS_OF_A_SLICE
    name: str = "clickhouse"

    def total(self) -> int:
        """Return about how many rows will come."""
        return self._plan.rows

    def batches(self, a: str, b: str) -> Iterator[SourceBatch]:
        """Yield a batch for each slice of time that has events."""
        plan = self._plan
        with self._client() as client:
            for one in plan.slices:
                batch = self._read(client, plan, one, a, b)
                if batch is not None:
                    yield batch

    @cached_property
    def _plan(self) -> _Plan:
        labelled = labelled_events(self._where(), "occurred_at")
        sql = _BY_MINUTE.format(where=self._where(), labelled=labelled)
        with self._client() as client:
            found = client.execute(sql, self._values(), columnar=True) or [()] * 3
        minutes, events, known = (np.asarray(one, np.int64) for one in found)
        others = events - np.minimum(known, events)
        sample = self.asked.sample or _HASHES
        share = min(1.0, sample / max(int(others.sum()), 1))
        share_known = max(share, min(1.0, sample / max(int(known.sum()), 1)))
        rows = others * share + known * share_known
        return _Plan(list(self._slices(minutes, rows)), share, share_known, round(float(rows.sum())))

    def _slices(self, minutes: Any, rows: Floats) -> Iterator[_Slice]:
        """Cut the range into slices of about ``rows_of_a_slice``, on whole minutes where those are small enough."""
        first, gathered = None, 0.0
        for minute, count in zip((minutes * _MINUTE_MS).tolist(), rows.tolist(), strict=True):
            if first is not None and gathered + count > self.rows_of_a_slice:
                yield _Slice(first, minute)
                first, gathered = None, 0.0
            if count > self.rows_of_a_slice:
                parts = int(-(-count // self.rows_of_a_slice))
                yield from (_Slice(minute, minute + _MINUTE_MS, part, parts) for part in range(parts))
                continue
            first, gathered = minute if first is None else first, gathered + count
        if first is not None:
            yield _Slice(first, self.asked.until)

    def _where(self, part: bool = False) -> str:
        merchant = _MERCHANT if self.asked.merchant else ""
        return _WHERE + merchant + (_EVENT_TYPE if self.asked.event_type else "") + (_PART if part else "")

    def _values(self, one: _Slice | None = None) -> dict[str, Any]:
        """Return the parameters: of the range, or of what a slice has in common with it."""
        since, until, part, parts = one or _Slice(self.asked.since, self.asked.until)
        return {
            "since": max(since, self.asked.since),
            "until": min(until, self.asked.until),
            "merchant": self.asked.merchant,
            "event_type": self.asked.event_type,
            "part": part,
            "parts": parts,
        }

    def _read(self, client: Client, plan: _Plan, one: _Slice, a: str, b: str) -> SourceBatch | None:
        where = self._where(part=True)
        labelled = labelled_events(where)
        values = {
            **self._values(one), "a": a, "b": b, "schema": feature_schema().digest(),
            "sampled": _bound(plan.share), "sampled_known": _bound(plan.share_known),
        }  # fmt: skip
        stored = {f"stored_{side}": _STORED.format(side=side) for side in ("a", "b")}
        columns = client.execute(_EVENTS.format(where=where, labelled=labelled, **stored), values, columnar=True)
        if not columns or not len(columns[0]):
            return None
        events = self._events(columns, plan)
        of_features = _WHERE + (_MERCHANT if self.asked.merchant else "") + _PART
        packed = client.execute(_FEATURES.format(where=of_features, labelled=labelled), values, columnar=True)
        features, has = _features(events, packed)
        return SourceBatch(events, features, has, *(np.asarray(one, np.float32) for one in columns[9:11]))

    def _events(self, columns: Sequence[Any], plan: _Plan) -> Events:
        ids, sessions, times, merchants, types, review, deny, margin, before, _, _, fraud, known = columns
        labelled = np.asarray(known) == 1
        review, deny, margin = (np.asarray(one, np.float32) for one in (review, deny, margin))
        without = np.isnan(review) | np.isnan(deny)
        return Events(
            event_id=np.frombuffer(b"".join(map(_whole, ids)), np.uint8).reshape(-1, 16),
            session=np.asarray(sessions, np.uint64),
            occurred_at=np.asarray(times, np.int64),
            merchant=_texts(merchants),
            event_type=_texts(types),
            label=np.where(labelled, np.asarray(fraud, np.int8), np.int8(NOT_LABELLED)).astype(np.int8),
            weight=np.where(labelled, 1 / plan.share_known, 1 / plan.share),
            review=np.where(without, np.float32(self.fallback.review), review),
            deny=np.where(without, np.float32(self.fallback.deny), deny),
            margin=np.where(without, np.float32(0), np.nan_to_num(margin)),
            before=np.array([_BEFORE.get(one, 0) for one in _texts(before)], np.uint8),
        )

    @contextmanager
    def _client(self) -> Iterator[Client]:
        client = Client.from_url(client_url(self.url, _CONNECT_SECONDS, _SECONDS))
        try:
            yield client
        except (Error, OSError, EOFError) as error:
            host = urlsplit(self.url).netloc.rpartition("@")[2]
            raise CompareError(f"cannot read events from ClickHouse at {host}: {one_line(error)}") from error
        finally:
            client.disconnect()


_BEFORE: Mapping[str, int] = {name: code for code, name in enumerate(DECISIONS)}


def _bound(share: float) -> int:
    """Return the hash up to which a share of all hashes lies."""
    return max(int(share * _HASHES), 1) - 1


def _whole(event_id: bytes) -> bytes:
    """Return an id with the zeros at its end, which the driver takes for padding."""
    return event_id.ljust(16, b"\0")


def _texts(values: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(intern(value.decode("utf-8", "replace")) for value in values)


def _features(events: Events, columns: Sequence[Any]) -> tuple[F32 | None, Bool]:
    """Return the features of the events that have them, and which those are. Rows that cannot be unpacked have none.

    An event is its merchant's: another one may have one with the same id.
    """
    merchants, ids, rows = columns or ((), (), ())
    packed = dict(zip(zip(_texts(merchants), map(_whole, ids), strict=True), rows, strict=True))
    found = [packed.get((name, row.tobytes())) for name, row in zip(events.merchant, events.event_id, strict=True)]
    has = np.array([one is not None for one in found], np.bool_)
    if not has.any():
        return None, has
    try:
        return unpack([one for one in found if one is not None]), has
    except FeaturesError:
        return None, np.zeros(len(has), np.bool_)
