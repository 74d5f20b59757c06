"""Rows of the live tables whose events lie in a replayed range: a digest of them, and what came to them since."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from clickhouse_driver import Client

from flows.sinks.clickhouse import client_url
from replay.plan import Piece

Rows = tuple[int, int, int]
"""How many, and two digests of them that do not depend on their order."""
_WINDOWS: Final = 32
_WINDOW_ROWS: Final = 2_048
_MARGIN_DAYS: Final = 2  # what expires within it is not compared
_CONNECT_SECONDS, _ANSWER_SECONDS = 5.0, 60.0
_TTL: Final = re.compile(r"(?:TTL|,) *(?:toDateTime\()?(\w+)\)? \+ toIntervalDay\((\d+)\)(?! TO )")
_COLUMNS: Final = """
SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = %(table)s
    AND default_kind NOT IN ('ALIAS', 'EPHEMERAL', 'MATERIALIZED') ORDER BY name
"""
_ENGINE: Final = "SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = %(table)s"
# Rows are compared as readers see them: of those with one key the first that was written.
_ROWS: Final = """
SELECT count(), groupBitXor(row), modulo(sum(row), 9223372036854775807) FROM (
    SELECT argMax({hashed}, stands) AS row FROM {table}
    WHERE topic = %(topic)s AND ({windows}) AND written_at <= toDateTime64(%(at)s, 6, 'UTC'){lasting}
    GROUP BY {key}
)
"""
_LATER: Final = """
SELECT count(), countIf({ours}) FROM {table}
WHERE topic = %(topic)s AND ({windows}) AND written_at > toDateTime64(%(at)s, 6, 'UTC')
"""
_SAMPLED: Final = """
SELECT DISTINCT merchant, lower(hex(event_id)), lower(hex(session_id)) FROM events
WHERE topic = %(topic)s AND ({windows}) ORDER BY cityHash64(event_id), merchant LIMIT {most}
"""
# By table: what a row is known by, and what only a row of a replay says.
_TABLES: Final = {
    "events": ("partition, offset, event_id", "length(arrayDistinct(ledger_micros)) = 1"),
    "dead_letters": ("partition, offset, stage", "first_failed_at = appended_at"),
}


class LiveTables:
    """Asks the live database about the windows of one range."""

    def __init__(self, url: str, topic: str, pieces: Sequence[Piece]) -> None:
        self._url = client_url(url, _CONNECT_SECONDS, _ANSWER_SECONDS, columns=False)
        self._topic, self._windows = topic, windows_of(pieces)

    def take(self) -> tuple[str, dict[str, Rows]]:
        """Return ClickHouse's own time, and the rows that were written until then."""
        with self._client() as client:
            ((at,),) = client.execute("SELECT toString(now64(6, 'UTC'))")
            return at, self._rows(client, at)

    def again(self, at: str) -> dict[str, Rows]:
        """Return the same rows as they are now."""
        with self._client() as client:
            return self._rows(client, at)

    def later(self, at: str) -> dict[str, tuple[int, int]]:
        """Return by table how many rows were written since, and how many of them by a replay."""
        said = {"topic": self._topic, "at": at}
        with self._client() as client:
            return {
                table: client.execute(_LATER.format(table=table, windows=self._windows, ours=ours), said)[0]
                for table, (_, ours) in _TABLES.items()
            }

    def events(self, most: int) -> list[tuple[str, str, str]]:
        """Return merchant, event and session of a sample of the events, the same one each time."""
        query = _SAMPLED.format(windows=self._windows, most=most)
        with self._client() as client:
            found: list[tuple[str, str, str]] = client.execute(query, {"topic": self._topic})
            return found

    def _rows(self, client: Client, at: str) -> dict[str, Rows]:
        found = {}
        for table, (key, _) in _TABLES.items():
            query = _ROWS.format(
                table=table, key=key, windows=self._windows, hashed=_hashed(client, table),
                lasting=_lasting(client, table, at),
            )  # fmt: skip
            (found[table],) = client.execute(query, {"topic": self._topic, "at": at})
        return found

    @contextmanager
    def _client(self) -> Iterator[Client]:
        client = Client.from_url(self._url)
        try:
            yield client
        finally:
            client.disconnect()


def windows_of(pieces: Sequence[Piece]) -> str:
    """Return SQL for the windows of the range that are compared: all of it where it is small, else spread over it."""
    step = _WINDOW_ROWS * max(1, -(-sum(map(len, pieces)) // (_WINDOWS * _WINDOW_ROWS)))
    found = [
        f"(partition = {piece.partition} AND offset >= {first} AND offset < {min(first + _WINDOW_ROWS, piece.next)})"
        for piece in pieces
        for first in range(piece.first, piece.next, step)
    ]
    return " OR ".join(found) or "0"


def _hashed(client: Client, table: str) -> str:
    """Return SQL that hashes a stored row with all of its columns."""
    parts = [
        f"ifNull(toString(`{name}`), '\\\\N')" if kind.startswith("Nullable") else f"`{name}`"
        for name, kind in client.execute(_COLUMNS, {"table": table})
    ]
    return f"cityHash64({', '.join(parts)})"


def _lasting(client: Client, table: str, at: str) -> str:
    """Return SQL that leaves out rows which their time to live takes away soon."""
    ((engine,),) = client.execute(_ENGINE, {"table": table})
    return "".join(
        f" AND {column} > toDateTime64('{at}', 6, 'UTC') - toIntervalDay({int(days) - _MARGIN_DAYS})"
        for column, days in _TTL.findall(engine)
        if int(days) > _MARGIN_DAYS
    )


def compare_tables(before: Mapping[str, Rows], after: Mapping[str, Rows]) -> Iterator[tuple[bool, str]]:
    """Yield, of each table, whether its rows are as they were, and a sentence."""
    for table, rows in before.items():
        if after[table] == rows:
            yield True, f"{table}: {rows[0]:,} live rows of the range are as they were"
        else:
            yield (
                False,
                f"rows of the live table {table} changed: {rows[0]:,} were there, of these {after[table][0]:,} are",
            )
