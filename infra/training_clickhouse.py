"""Training data from ClickHouse: the features that events were scored by, and what merchants said of them later.

First the events are counted by label and feature schema, and refused where they do not fit. Then some are chosen: all
where there is room, else a sample of each label by a hash of the event id, and each event that is kept stands for as
many as its label lost. Last the features of the chosen are read, in order of time and in slices.

No one says which attack campaign a real event belongs to; the nearest that is known is its device. So a device's
fraudulent events are one campaign: the hold-out judges devices that training has not seen commit fraud.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from clickhouse_driver import Client
from clickhouse_driver.errors import Error
from numpy.typing import NDArray

from flows.sinks.clickhouse import client_url
from infra.clickhouse.migrate import one_line
from infra.labels import labelled_events
from infra.training_source import Source, TrainingDataError
from schemas.batches import I8, I64
from scoring.features import feature_schema
from scoring.stored_features import FeaturesError, unpack
from scoring.training_set import HONEST, TrainingSet

LEAST = 20  # events of each label: fewer teach nothing, and no part of the split would hold both
DAY_MS = 86_400_000
GENUINE, FRAUD, UNLABELLED = "genuine", "fraud", "unlabelled"
_CONNECT_SECONDS, _SECONDS = 10.0, 600.0
_CHUNK = 2_000  # events whose features are read at once: 14 MB
_WITHIN = (
    "occurred_at >= fromUnixTimestamp64Milli(toInt64(%(since)s)) AND occurred_at < "
    "fromUnixTimestamp64Milli(toInt64(%(until)s))"
)
_JOINED = """
FROM ({chosen}) AS c
LEFT JOIN (SELECT merchant, event_id, schema FROM features FINAL WHERE {within}) AS f
    ON c.merchant = f.merchant AND c.event_id = f.event_id
"""
_COUNTED = """
SELECT toUInt8(c.kind), toString(f.schema) AS stored, count(), min(toUnixTimestamp64Milli(c.occurred_at)) {joined}
GROUP BY c.kind, stored ORDER BY stored, c.kind
"""
# The least hashes of each kind: no more leave the server than may be chosen, and they are the same every time.
_CHOSEN = """
SELECT * FROM (
    SELECT c.device_id, toUnixTimestamp64Milli(c.occurred_at) AS at, toUInt8(c.kind) AS kind,
           sipHash64(c.merchant, c.event_id) AS hash {joined}
    WHERE f.schema = %(schema)s ORDER BY kind, hash LIMIT %(rows)s BY kind
) ORDER BY at, hash
"""
_LABELLED = "SELECT merchant, event_id, device_id, occurred_at, toUInt8(fraud) AS kind FROM ({labelled})"
_UNLABELLED = """
SELECT merchant, event_id, device_id, occurred_at, 2 AS kind FROM events FINAL
WHERE {within} AND happened_at < fromUnixTimestamp64Milli(toInt64(%(genuine_until)s))
    AND (merchant, event_id) NOT IN (SELECT merchant, event_id FROM ({labelled}))
"""
_KINDS = (GENUINE, FRAUD, UNLABELLED)  # by their number in the queries
_PACKED = """
SELECT sipHash64(merchant, event_id) AS hash, toUnixTimestamp64Milli(occurred_at), packed
FROM features FINAL
WHERE occurred_at >= fromUnixTimestamp64Milli(toInt64(%(since)s))
    AND occurred_at <= fromUnixTimestamp64Milli(toInt64(%(until)s))
    AND schema = %(schema)s AND hash IN %(hashes)s
ORDER BY 2, 1
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events to train on; times are ms since the epoch."""

    since: int
    until: int
    rows: int  # at most
    genuine_until: int | None = None  # events without a label that happened before are genuine; none: they are left out


class Chosen(NamedTuple):
    """The events that are trained on, in order of time; n of them."""

    hashes: NDArray[np.uint64]  # of merchant and event id
    times: I64
    kinds: I8  # numbers of _KINDS
    campaigns: I64
    weights: NDArray[np.float64]
    told: str


def from_clickhouse(url: str, wanted: Wanted) -> Source:
    """Return labelled events of a database as a source. TrainingDataError says what is missing or does not fit."""
    with _said_plainly(url):
        client = Client.from_url(client_url(url, _CONNECT_SECONDS, _SECONDS))
        try:
            chosen = _choose(client, wanted)
        finally:
            client.disconnect()
    return Source(chosen.told, feature_schema().names, len(chosen.times), _parts(url, chosen))


def _choose(client: Client, wanted: Wanted) -> Chosen:
    labelled = labelled_events(_WITHIN, "device_id", "occurred_at")
    chosen = _LABELLED.format(labelled=labelled)
    if wanted.genuine_until is not None:
        chosen += " UNION ALL " + _UNLABELLED.format(within=_WITHIN, labelled=labelled)
    joined = _JOINED.format(chosen=chosen, within=_WITHIN)
    values = {
        "since": wanted.since,
        "until": wanted.until,
        "genuine_until": wanted.genuine_until or 0,
        "schema": feature_schema().digest(),
        "rows": wanted.rows,
    }
    totals, without = _totals(client.execute(_COUNTED.format(joined=joined), values))
    _enough(totals, without, wanted)
    found = client.execute(_CHOSEN.format(joined=joined), values, columnar=True)
    devices, times, kinds, hashes = (np.asarray(column) for column in found)
    kinds, hashes = kinds.astype(np.int8), hashes.astype(np.uint64)
    campaigns = _campaigns(devices, kinds)
    kept, weights = _sampled(hashes, kinds, totals, wanted.rows)
    return Chosen(
        hashes[kept],
        times[kept].astype(np.int64),
        kinds[kept],
        campaigns[kept],
        weights,
        _told(totals, len(kept), without),
    )


def _totals(counted: Any) -> tuple[dict[str, int], int]:
    """Return the events of each kind, and how many more have no stored features.

    TrainingDataError where there are none, or where some are of another schema.
    """
    own = feature_schema().digest()
    totals, others, without, first = dict.fromkeys(_KINDS, 0), Counter[str](), 0, None
    for kind, stored, count, since in ((int(a), _text(b), int(c), int(d)) for a, b, c, d in counted):
        if stored == own:
            totals[_KINDS[kind]] += count
            first = since if first is None else min(first, since)
        elif stored:
            others[stored] += count
        else:
            without += count
    if others:
        said = " and ".join(f"{count:,} of schema {name[:16]}" for name, count in sorted(others.items()))
        hint = "" if first is None else f"; its own begin at {_moment(first)}: give --since"
        raise TrainingDataError(
            f"of the labelled events, {said} were scored by other features than this build's ({own[:16]}){hint}"
        )
    if not sum(totals.values()) + without:
        raise TrainingDataError(
            "no label speaks of an event of that time: send labels (POST /v1/labels), or name another --since"
        )
    return totals, without


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _moment(milliseconds: int) -> str:
    return str(np.datetime64(milliseconds, "ms").astype("datetime64[s]")) + "Z"


def _enough(totals: dict[str, int], without: int, wanted: Wanted) -> None:
    fraud = totals[FRAUD]
    genuine = sum(totals.values()) - fraud
    if min(fraud, genuine) >= LEAST:
        return
    lost = f" ({without:,} more have no stored features)" if without else ""
    hint = "" if wanted.genuine_until is not None or fraud < LEAST else ", or --unlabelled genuine"
    raise TrainingDataError(
        f"too few labels: {fraud:,} fraudulent and {genuine:,} genuine events{lost}, and each must be "
        f"{LEAST} at least: name a longer time{hint}"
    )


def _campaigns(devices: NDArray[Any], kinds: I8) -> I64:
    """Return one number for each device that committed fraud, on its fraudulent events."""
    raw = np.array([bytes(one).ljust(16, b"\0") for one in devices.tolist()], "S16")
    _, which = np.unique(raw, return_inverse=True)
    return np.where(kinds == _KINDS.index(FRAUD), which, HONEST).astype(np.int64)


def _sampled(
    hashes: NDArray[np.uint64], kinds: I8, totals: dict[str, int], most: int
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return which rows stay, in order, and how many each stands for.

    Fraud is rare, so it goes first, up to half of the rows; the rest is shared by the other kinds. The least hashes
    stay: the same events for the same labels, however often it is asked.
    """
    fraud = kinds == _KINDS.index(FRAUD)
    all_fraud, all_others = totals[FRAUD], sum(totals.values()) - totals[FRAUD]
    of_fraud = min(all_fraud, max(most - all_others, most // 2))
    kept = np.zeros(len(kinds), np.bool_)
    weights = np.ones(len(kinds))
    for mine, room, total in ((fraud, of_fraud, all_fraud), (~fraud, most - of_fraud, all_others)):
        rows = np.flatnonzero(mine)
        chosen = rows[np.argsort(hashes[rows], kind="stable")[:room]]
        kept[chosen] = True
        weights[chosen] = total / max(len(chosen), 1)
    rows = np.flatnonzero(kept)
    return rows, weights[rows]


def _told(totals: dict[str, int], kept: int, without: int) -> str:
    """Return what was trained on, for the model card."""
    counts = ", ".join(f"{totals[name]:,} {name}" for name in _KINDS)
    text = f"Events that merchants labelled, with the features that they were scored by: {counts}."
    if kept < sum(totals.values()):
        text += f" A sample of {kept:,} of them was used, weighted by label so that it stands for all."
    if totals[UNLABELLED]:
        text += " Events without a label count as genuine."
    if without:
        text += f" {without:,} more had no stored features and were left out."
    return text


def _parts(url: str, chosen: Chosen) -> Iterator[TrainingSet]:
    with _said_plainly(url):
        client = Client.from_url(client_url(url, _CONNECT_SECONDS, _SECONDS))
        try:
            for first in range(0, len(chosen.times), _CHUNK):
                yield _part(client, chosen, slice(first, first + _CHUNK))
        finally:
            client.disconnect()


def _part(client: Client, chosen: Chosen, rows: slice) -> TrainingSet:
    hashes, times = chosen.hashes[rows], chosen.times[rows]
    values = {
        "since": int(times[0]),
        "until": int(times[-1]),
        "schema": feature_schema().digest(),
        "hashes": tuple(hashes.tolist()),
    }
    found = client.execute(_PACKED, values, columnar=True)
    stored = np.asarray(found[0], np.uint64) if found else np.empty(0, np.uint64)
    if stored.tobytes() != hashes.tobytes():
        raise TrainingDataError(
            f"of {len(hashes):,} events the features of {len(hashes) - len(stored):,} went away while they were read "
            "(their time was up, or a partition was dropped): train again"
        )
    kinds = chosen.kinds[rows]
    try:
        features = unpack(list(found[2]))
    except FeaturesError as error:
        raise TrainingDataError(f"stored features cannot be read: {error}") from error
    return TrainingSet(
        features,
        (kinds == _KINDS.index(FRAUD)).astype(np.int8),
        times,
        tuple(_KINDS[kind] for kind in kinds.tolist()),
        feature_schema().names,
        chosen.campaigns[rows],
        ("clickhouse",) * len(times),
        chosen.weights[rows],
    )


@contextmanager
def _said_plainly(url: str) -> Iterator[None]:
    try:
        yield
    except (Error, OSError, EOFError) as error:
        host = urlsplit(url).netloc.rpartition("@")[2]
        raise TrainingDataError(f"cannot read events from ClickHouse at {host}: {one_line(error)}") from error
