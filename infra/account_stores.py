"""What ClickHouse and Redis show, as the account compares it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from clickhouse_driver import Client
from clickhouse_driver.errors import Error
from numpy.typing import NDArray
from redis import Redis
from redis.exceptions import RedisError

from flows.redis_trip import connect
from flows.sinks.clickhouse import client_url
from infra.account_books import I64, U64, fold_pairs, places_of
from infra.clickhouse.migrate import one_line
from infra.topic_reader import AccountError
from schemas.result import result_key
from schemas.stored_results import rejection_in

_CHUNK = 1_000
_SECONDS = 30.0
# An id as two numbers: a column of arrays, not of Python objects.
_IDS = """
SELECT reinterpretAsUInt64(substring(event_id, 1, 8)), reinterpretAsUInt64(substring(event_id, 9, 8))
FROM events FINAL WHERE """
# Rows for sinks only wait for a destination: they are no dead events.
_DEAD = """
SELECT toInt64(partition), "offset" FROM dead_letters FINAL WHERE NOT startsWith(reason, 'sink.') AND """


class ClickHouseSide(NamedTuple):
    """What users see in ClickHouse: distinct ids and places, and how many rows show them."""

    event_ids: U64
    event_rows: int
    dead_places: I64
    dead_rows: int


def clickhouse_side(url: str, topic: str, first: Mapping[int, int], ends: Mapping[int, int]) -> ClickHouseSide:
    """Return the ids of scored events and the places of dead letters that came from a part of a topic."""
    client = Client.from_url(client_url(url, _SECONDS, _SECONDS))
    part = _part(topic, first, ends)
    try:
        low, high = _columns(client, _IDS + part, np.uint64)
        partitions, offsets = _columns(client, _DEAD + part, np.int64)
    except (Error, OSError, EOFError) as error:
        host = urlsplit(url).netloc.rpartition("@")[2]
        raise AccountError(f"cannot read ClickHouse at {host}: {one_line(error)}") from error
    finally:
        client.disconnect()
    ids = fold_pairs(np.stack((low, high), axis=1))
    places = places_of(partitions, offsets)
    return ClickHouseSide(np.unique(ids), len(ids), np.unique(places), len(places))


def _columns(client: Client, sql: str, dtype: type[np.generic]) -> list[Any]:
    columns = client.execute(sql, columnar=True)
    return [np.asarray(column, dtype) for column in columns] if columns else [np.empty(0, dtype)] * 2


def _part(topic: str, first: Mapping[int, int], ends: Mapping[int, int]) -> str:
    ranges = [f'(partition = {p} AND "offset" >= {low} AND "offset" < {ends[p]})' for p, low in first.items()]
    return f"topic = '{topic}' AND ({' OR '.join(ranges) or '0'})"


def missing_results(url: str, keys: Iterable[tuple[str, bytes]]) -> NDArray[np.bool_]:
    """Tell which of the events, given as merchant and id, have no result in Redis."""
    client = connect(url, _SECONDS)
    try:
        return np.array([missing for chunk in _chunks(keys) for missing in _missing(client, chunk)], np.bool_)
    except RedisError as error:
        host = urlsplit(url).netloc.rpartition("@")[2]
        raise AccountError(f"cannot read Redis at {host}: {type(error).__name__}") from error
    finally:
        client.close()


def _missing(client: Redis, chunk: list[str]) -> list[bool]:
    pipe = client.pipeline(transaction=False)  # one GET a key: MGET would bind all keys to one node of a cluster
    for key in chunk:
        pipe.get(key)
    return [value is None or rejection_in(value) is not None for value in pipe.execute()]


def _chunks(keys: Iterable[tuple[str, bytes]]) -> Iterator[list[str]]:
    names = (result_key(merchant, event_id.hex()) for merchant, event_id in keys)
    while chunk := list(islice(names, _CHUNK)):
        yield chunk
