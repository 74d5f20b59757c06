"""From merchants' labels in ClickHouse to the file of labelled fraud that flows read.

A label is of an event, or of all events of a session or a transaction; of several that an event has, the one that was
received last says how it ended, and of labels received together the narrowest. A labelled event counts less the longer
ago it happened, by half every 30 days.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
from clickhouse_driver import Client
from clickhouse_driver.errors import Error
from numpy.typing import NDArray

from flows.lookups.labelled_fraud import pack_reputation, unpack_reputation
from flows.sinks.clickhouse import client_url
from infra.clickhouse.migrate import one_line
from schemas.batches import F32, U8, U32, U64, Network
from schemas.labels import FRAUD_LABELS, HALF_LIFE_DAYS, TARGETS
from schemas.recognition import REPUTED, LabelTable, entity_keys

F64 = NDArray[np.float64]
DAY_MS = 86_400_000
_CONNECT_SECONDS, _SECONDS = 10.0, 600.0
_ID_OF = {
    "event": "lower(hex(event_id))",
    "session": "lower(hex(session_id))",
    "transaction": "transaction",
}
_FRAUD = ", ".join(f"'{label}'" for label in FRAUD_LABELS)
_LABELS = """
SELECT merchant, id, label IN ({fraud}) AS fraud, received_at FROM labels FINAL WHERE target = '{target}'
"""
# The sorting key of events finds transactions; the Bloom filters of event and session ids find those.
_FOUND = {
    "event": "event_id IN (SELECT toFixedString(unhex(id), 16) FROM labels WHERE target = 'event' AND {hex})",
    "session": "session_id IN (SELECT toFixedString(unhex(id), 16) FROM labels WHERE target = 'session' AND {hex})",
    "transaction": "(merchant, transaction) IN (SELECT merchant, id FROM labels WHERE target = 'transaction')",
}
_HEX = "match(id, '^[0-9a-f]{32}$')"
_OF_TARGET = """
SELECT e.merchant AS merchant, e.event_id AS event_id, e.address AS address, e.asn AS asn, e.at AS at,
       l.fraud AS fraud, l.received_at AS received_at, toUInt8({rank}) AS rank
FROM (
    SELECT merchant, event_id, address, asn, happened_at AS at, {id} AS id FROM events FINAL
    WHERE occurred_at >= fromUnixTimestamp64Milli(toInt64(%(since)s))
      AND happened_at >= fromUnixTimestamp64Milli(toInt64(%(since)s)) AND {found}
) AS e
INNER JOIN ({labels}) AS l ON e.merchant = l.merchant AND e.id = l.id
"""
_COUNTS = """
SELECT reinterpretAsUInt64(substring(address, 1, 8)) AS high, reinterpretAsUInt64(substring(address, 9, 8)) AS low, asn,
       sum(weight), sum(weight * fraud), count(), sum(fraud)
FROM (
    SELECT any(address) AS address, any(asn) AS asn, argMax(fraud, (received_at, rank)) AS fraud,
           exp2(-greatest(0, %(now)s - toUnixTimestamp64Milli(any(at))) / %(half_life)s) AS weight
    FROM ({all}) GROUP BY merchant, event_id
)
GROUP BY address, asn
"""


class ReputationError(Exception):
    """Labels cannot be read; the text is one sentence."""


class Built(NamedTuple):
    """What a file was made of."""

    events: int  # labelled ones
    fraud: int  # of them
    rows: dict[str, int]  # entities by kind
    version: str
    bytes: int


class Counts(NamedTuple):
    """Labelled events by address and autonomous system."""

    address: U8  # [n, 16]
    asn: U32
    weight: F64  # decayed events
    fraud: F64  # decayed events that were fraud
    events: int
    events_fraud: int


def build_reputation(url: str, out: Path, now: int, since: int) -> Built:
    """Write the file of the labels in a database, whole or not at all; times are ms since the epoch.

    ReputationError where ClickHouse cannot be read, OSError where the file cannot be written.
    """
    counts = read_counts(url, now, since)
    tables = tables_of(counts)
    packed = pack_reputation(tables, now, since, HALF_LIFE_DAYS)
    fresh = out.with_name(out.name + ".new")
    fresh.write_bytes(packed)
    fresh.replace(out)
    rows = {kind: len(table.keys) for kind, table in zip(REPUTED, tables, strict=True)}
    return Built(counts.events, counts.events_fraud, rows, unpack_reputation(packed).version, len(packed))


def read_counts(url: str, now: int, since: int) -> Counts:
    """Return what labels say of the events that happened since a time; ReputationError where they cannot be read."""
    with _said_plainly(url):
        client = Client.from_url(client_url(url, _CONNECT_SECONDS, _SECONDS))
        try:
            values = {"since": since, "now": now, "half_life": HALF_LIFE_DAYS * DAY_MS}
            columns = client.execute(_query(), values, columnar=True)
        finally:
            client.disconnect()
    high, low, asn, weight, fraud, events, bad = columns or [()] * 7
    halves = np.stack([np.array(half, "<u8") for half in (high, low)], axis=1)
    return Counts(
        np.ascontiguousarray(halves).view(np.uint8).reshape(-1, 16),
        np.array(asn, np.uint32),
        np.array(weight, np.float64),
        np.array(fraud, np.float64),
        int(sum(events)),
        int(sum(bad)),
    )


def _query() -> str:
    parts = [
        _OF_TARGET.format(
            rank=len(TARGETS) - place, id=_ID_OF[target], found=_FOUND[target].format(hex=_HEX),
            labels=_LABELS.format(fraud=_FRAUD, target=target),
        )
        for place, target in enumerate(TARGETS)
    ]  # fmt: skip
    return _COUNTS.replace("{all}", " UNION ALL ".join(parts))


def tables_of(counts: Counts) -> tuple[LabelTable, ...]:
    """Return the counts of each address, network and AS, in the order of REPUTED."""
    rows = len(counts.asn)
    nowhere = np.full(rows, np.nan, np.float32)
    none = np.zeros(rows, np.uint16)
    keys = entity_keys(Network(none, counts.asn, nowhere, nowhere, none), counts.address)
    return tuple(_table(keys[:, kind], counts) for kind in range(len(REPUTED)))


def _table(keys: U64, counts: Counts) -> LabelTable:
    shown = keys != 0
    found, which = np.unique(keys[shown], return_inverse=True)

    def total(weights: F64) -> F32:
        return np.bincount(which, weights[shown], len(found)).astype(np.float32)

    events = total(counts.weight)
    return LabelTable(found, events, np.minimum(total(counts.fraud), events))


@contextmanager
def _said_plainly(url: str) -> Iterator[None]:
    try:
        yield
    except (Error, OSError, EOFError) as error:
        host = urlsplit(url).netloc.rpartition("@")[2]
        raise ReputationError(f"cannot read labels from ClickHouse at {host}: {one_line(error)}") from error
