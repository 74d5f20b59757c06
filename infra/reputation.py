"""From merchants' labels in ClickHouse to the file of labelled fraud that flows read.

Which label counts of several is said in infra/labels.py. A labelled event counts less the longer ago it happened, by
half every 30 days.
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
from infra.labels import labelled_events
from schemas.batches import F32, U8, U32, U64, Network
from schemas.labels import HALF_LIFE_DAYS
from schemas.recognition import REPUTED, LabelTable, entity_keys

F64 = NDArray[np.float64]
DAY_MS = 86_400_000
_CONNECT_SECONDS, _SECONDS = 10.0, 600.0
_SINCE = (
    "occurred_at >= fromUnixTimestamp64Milli(toInt64(%(since)s))"
    " AND happened_at >= fromUnixTimestamp64Milli(toInt64(%(since)s))"
)
_COUNTS = """
SELECT reinterpretAsUInt64(substring(address, 1, 8)) AS high, reinterpretAsUInt64(substring(address, 9, 8)) AS low, asn,
       sum(weight), sum(weight * fraud), count(), sum(fraud)
FROM (
    SELECT address, asn, fraud,
           exp2(-greatest(0, %(now)s - toUnixTimestamp64Milli(happened_at)) / %(half_life)s) AS weight
    FROM ({labelled})
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
    return _COUNTS.replace("{labelled}", labelled_events(_SINCE, "address", "asn", "happened_at"))


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
