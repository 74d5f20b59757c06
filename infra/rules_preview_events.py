"""Past events for a preview of rules, from ClickHouse: decisions that were asked for, and events of the flow.

Each of both tables is read in the order of event time, in slices that fit into memory, and the two are merged. Of the
range's beginning only those events are read that write history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from heapq import merge
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from clickhouse_driver import Client
from clickhouse_driver.errors import Error

from flows.sinks.clickhouse import client_url
from infra.clickhouse.migrate import one_line
from infra.labels import labelled_events
from infra.rules_preview import PastEvent, event_types, signals_of
from infra.rules_preview_labels import DecisionLabels
from infra.rules_preview_rows import COLUMNS, flow_events, signal_columns
from schemas.decision_record import DecisionRecord, RecordError, decode_record
from scoring.judge_events import VISIT
from scoring.rules.evaluate import Happening, Judgement, Signal
from scoring.rules.history_keys import HistoryKeys
from scoring.rules.past_view import Past
from scoring.rules.recorded import ENTITIES, entity_digest
from scoring.rules.ruleset import Rulebook

ROWS_OF_A_SLICE: Final = 8_192
_CONNECT_SECONDS, _SECONDS = 10.0, 600.0
_MINUTE_MS, _SECOND_MS = 60_000, 1_000
_LATE_MS: Final = 3_600_000  # so far a browser's clock may be ahead of the arrival
_ENTITY_PATH: Final = ((ENTITIES,),)
_COUNTS: Final = """
SELECT intDiv({time}, {step}) AS place, uniqExact(merchant, event_id) FROM {table} WHERE {where}
GROUP BY place ORDER BY place
"""
_DECISIONS: Final = "SELECT record FROM decisions FINAL WHERE {where} ORDER BY occurred_at, event_id"
_EVENTS: Final = """
SELECT {columns}, {known}
FROM (SELECT *, happened_at AS happened FROM events FINAL WHERE {where}) AS e {labels}
ORDER BY e.happened, e.event_id
"""
_LABELS: Final = """
LEFT JOIN (SELECT merchant, event_id, fraud, 1 AS known FROM ({labelled})) AS l
    ON e.merchant = l.merchant AND e.event_id = l.event_id
"""
_ANY_LABEL: Final = (
    "SELECT count() FROM (SELECT 1 FROM labels WHERE %(merchant)s = '' OR merchant = %(merchant)s LIMIT 1)"
)


class PreviewError(Exception):
    """Past events cannot be read; the message is one sentence."""


class Asked(NamedTuple):
    """Which events: times in ms since the epoch, ``until`` is not of them; ``warm``: ms read before."""

    since: int
    until: int
    warm: int
    merchant: str = ""


class _Table(NamedTuple):
    name: str
    time: str  # in ms
    between: str  # a condition that the partitions serve


_TABLES: Final = {
    "decisions": _Table(
        "decisions",
        "toUnixTimestamp64Milli(occurred_at)",
        "occurred_at >= fromUnixTimestamp64Milli(toInt64(%(first)s)) "
        "AND occurred_at < fromUnixTimestamp64Milli(toInt64(%(last)s))",
    ),
    "events": _Table(
        "events",
        "toUnixTimestamp64Milli(happened_at)",
        "happened_at >= fromUnixTimestamp64Milli(toInt64(%(first)s)) "
        "AND happened_at < fromUnixTimestamp64Milli(toInt64(%(last)s)) "
        "AND occurred_at >= fromUnixTimestamp64Milli(toInt64(%(first)s)) "
        f"AND occurred_at < fromUnixTimestamp64Milli(toInt64(%(last)s) + {_LATE_MS})",
    ),
}
_OF_TYPES: Final = f" AND if(event_type = '', '{VISIT}', event_type) IN %(types)s"
_OF_MERCHANT: Final = " AND merchant = %(merchant)s"


class _Slice(NamedTuple):
    first: int
    last: int
    types: tuple[str, ...] | None  # None: all
    rows: int


@dataclass(frozen=True)
class PastEvents:
    """The events of a range. PreviewError where ClickHouse cannot be asked."""

    url: str
    asked: Asked
    draft: Rulebook
    keys: HistoryKeys
    rows_of_a_slice: int = ROWS_OF_A_SLICE
    unread: Counter[str] = field(default_factory=Counter)  # records that cannot be read, by why, as far as it has come

    def total(self) -> int:
        """Return how many will come."""
        return sum(one.rows for slices in self._plan.values() for one in slices)

    def __iter__(self) -> Iterator[PastEvent]:
        """Give the events in the order of their time."""
        return merge(self._decisions(), self._events(), key=lambda event: event.past.happening.at)

    @cached_property
    def _plan(self) -> dict[str, list[_Slice]]:
        asked = self.asked
        begins = max(0, asked.since - asked.warm)
        written = event_types(self.draft, written_only=True)
        parts: list[tuple[int, int, tuple[str, ...] | None]] = [(asked.since, asked.until, None)]
        if begins < asked.since and written:
            parts.insert(0, (begins, asked.since, written))
        with self._client() as client:
            return {
                name: [one for part in parts for one in self._slices(client, table, *part)]
                for name, table in _TABLES.items()
            }

    def _slices(
        self, client: Client, table: _Table, first: int, last: int, types: tuple[str, ...] | None
    ) -> Iterator[_Slice]:
        """Cut a range into slices of about ``rows_of_a_slice``: whole minutes, or seconds where those are too large."""
        begin, gathered = first, 0
        for start, count in self._counts(client, table, first, last, types):
            if gathered and gathered + count > self.rows_of_a_slice:
                yield _Slice(begin, start, types, gathered)
                begin, gathered = start, 0
            gathered += count
        if gathered:
            yield _Slice(begin, last, types, gathered)

    def _counts(
        self,
        client: Client,
        table: _Table,
        first: int,
        last: int,
        types: tuple[str, ...] | None,
        step: int = _MINUTE_MS,
    ) -> Iterator[tuple[int, int]]:
        """Give when each minute that has events begins, and how many; a large one by its seconds."""
        sql = _COUNTS.format(time=table.time, step=step, table=table.name, where=self._where(table, types))
        for place, count in client.execute(sql, self._values(first, last, types)):
            start, end = max(first, int(place) * step), min(last, (int(place) + 1) * step)
            if count > self.rows_of_a_slice and step > _SECOND_MS:
                yield from self._counts(client, table, start, end, types, _SECOND_MS)
            else:
                yield start, int(count)

    def _where(self, table: _Table, types: Sequence[str] | None) -> str:
        return table.between + (_OF_MERCHANT if self.asked.merchant else "") + (_OF_TYPES if types is not None else "")

    def _values(self, first: int, last: int, types: Sequence[str] | None) -> dict[str, Any]:
        return {"first": first, "last": last, "types": tuple(types or ()), "merchant": self.asked.merchant}

    def _decisions(self) -> Iterator[PastEvent]:
        labels = DecisionLabels(self.asked.merchant, self.keys)
        with self._client() as client:
            for one in self._plan["decisions"]:
                sql = _DECISIONS.format(where=self._where(_TABLES["decisions"], one.types))
                rows = client.execute(sql, self._values(one.first, one.last, one.types))
                records = [record for (text,) in rows if (record := self._read(text)) is not None]
                known = labels.of(client, records)
                yield from map(self._decided, records, known)

    def _read(self, text: bytes) -> DecisionRecord | None:
        try:
            return decode_record(text)
        except RecordError as error:
            self.unread[str(error)] += 1
            return None

    def _decided(self, record: DecisionRecord, label: int | None) -> PastEvent:
        event = {
            "event_id": record.event_id, "event_type": record.event_type, "occurred_at": record.occurred_at,
            "entities": record.entities, "session_id": record.session_id or None, "data": record.data,
        }  # fmt: skip
        happening = Happening(event, record.event_type, record.event_id, record.occurred_at)
        hidden = tuple(tuple(_unescaped(step) for step in place.split("/")[1:]) for place in record.redacted)
        seal = partial(entity_digest, self.keys, record.merchant)
        signals = {name: Signal(seen.result, seen.confidence) for name, seen in record.signals.items()}
        return PastEvent(
            record.merchant,
            Past(happening, seal, sealed=True, opaque=_ENTITY_PATH, hidden=hidden),
            Judgement(signals, record.model_score),
            record.decision,
            record.by,
            "decisions",
            record.added,
            record.decision if record.by in ("model", "default") else None,
            record.limits,
            label,
        )

    def _events(self) -> Iterator[PastEvent]:
        names, signals = signal_columns(signals_of(self.draft))
        columns = ", ".join([*COLUMNS.values(), *signals.values()])
        with self._client(use_numpy=True) as client:
            labelled = bool(client.execute(_ANY_LABEL, {"merchant": self.asked.merchant})[0][0])
            for one in self._plan["events"]:
                where = self._where(_TABLES["events"], one.types)
                labels = _LABELS.format(labelled=labelled_events(where)) if labelled else ""
                known = "l.fraud, l.known" if labelled else "0, 0"
                sql = _EVENTS.format(columns=columns, known=known, where=where, labels=labels)
                values = {**self._values(one.first, one.last, one.types), **names}
                found = client.execute(sql, values, columnar=True)
                if found and len(found[0]):
                    table = dict(zip([*COLUMNS, *signals, "fraud", "known"], found, strict=True))
                    yield from flow_events(table, list(signals), self.keys)

    @contextmanager
    def _client(self, *, use_numpy: bool = False) -> Iterator[Client]:
        url = client_url(self.url, _CONNECT_SECONDS, _SECONDS)
        client = Client.from_url(url if use_numpy else url.replace("use_numpy=1", "use_numpy=0"))
        try:
            yield client
        except (Error, OSError, EOFError) as error:
            host = urlsplit(self.url).netloc.rpartition("@")[2]
            raise PreviewError(f"cannot read past events from ClickHouse at {host}: {one_line(error)}") from error
        finally:
            client.disconnect()


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")
