"""ClickHouse as a destination: one insert a table and block, in columns."""

from __future__ import annotations

import struct
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec
from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ServerException, TypeMismatchError

from flows.sinks.destination import DestinationError, RowsRefused
from flows.sinks.encoded import EncodedParcel
from flows.sinks.letters import Undelivered
from flows.sinks.packed_rows import pack_rows, unpack_rows
from flows.sinks.rests import SMALL_ROWS, Rests
from flows.sinks.tables import Column, Table, letter_columns, scored_tables, tables_of
from flows.sinks.unpacked import Numbers, Piece, pieces_of, taught
from schemas.dead_letter import DeadLetter, Reason

# A block may hold events of many days: late ones, and those of a replay.
_SETTINGS = {"max_partitions_per_insert_block": 1_000}
_PROBE_SECONDS = 1.0
_PIECE_ROWS: Final = 256  # of a block of small parcels, which goes out in pieces with rests between
# What reading and sending rows raises where a letter does not hold what a build of ours packed.
_UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, AttributeError, OverflowError, struct.error)


def client_url(url: str, connect_seconds: float, answer_seconds: float, *, columns: bool = True) -> str:
    """Return the URL with bounded waits and, where ``columns``, those of NumPy and bytes, as this module needs them."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    if columns:
        options |= {"use_numpy": "1", "strings_as_bytes": "1"}
    options |= {
        "connect_timeout": f"{connect_seconds:g}",
        "send_receive_timeout": f"{answer_seconds:g}",
        "sync_request_timeout": f"{connect_seconds:g}",  # of the ping before each insert on a kept connection
    }
    return urlunsplit(parts._replace(query=urlencode(options)))


class ClickHouse:
    """Writes events, their features, the raw archive and dead letters.

    A row written again replaces itself (see infra/clickhouse).
    """

    name = "clickhouse"

    def __init__(
        self,
        url: str,
        *,
        archive: bool = True,
        connect_seconds: float = 2.0,
        answer_seconds: float = 10.0,
        connect: Callable[[str], Client] = Client.from_url,
    ) -> None:
        self._url = client_url(url, connect_seconds, answer_seconds)
        self._archive = archive
        self._connect = connect
        self._client: Client | None = None

    def write(self, parcels: Sequence[EncodedParcel]) -> None:
        """Insert the parcels' rows; DestinationError names ClickHouse's error, never a value."""
        small = sum(item.rows for item in parcels) < SMALL_ROWS * len(parcels)
        rests = Rests() if small else Rests.none()
        tables = tables_of(parcels, self._archive, rests)
        for name, table in tables.items():
            self._insert(name, pieces_of(table, _PIECE_ROWS if small else None), rests)
            _let_go(table)

    def insert(self, tables: Mapping[str, Table]) -> None:
        """Insert columns by table."""
        for name, table in tables.items():
            self._insert(name, pieces_of(table), Rests.none())

    def _insert(self, name: str, pieces: Iterator[Piece], rests: Rests) -> None:
        """Insert the pieces of a table, with rests between."""
        first = next(pieces)
        columns = ", ".join(f"`{column}`" for column in first)
        try:
            if self._client is None:
                self._client = taught(self._connect(self._url))
            self._client.execute(
                f"INSERT INTO {name} ({columns}) VALUES",
                _resting(chain((first,), pieces), rests),
                columnar=True,
                settings=_SETTINGS,
            )
        except (Error, OSError, EOFError) as error:
            self.close()
            kind = RowsRefused if isinstance(error, (ServerException, TypeMismatchError)) else DestinationError
            code = getattr(error, "code", None)
            raise kind(f"ClickHouse: {type(error).__name__}{f' {code}' if code else ''}") from error

    def probe(self) -> bool:
        """Ask ``SELECT 1`` on a connection of its own, within twice ``_PROBE_SECONDS``."""
        client = self._connect(client_url(self._url, _PROBE_SECONDS, _PROBE_SECONDS))
        try:
            return bool(client.execute("SELECT 1") == [(1,)])
        except (Error, OSError, EOFError):
            return False
        finally:
            client.disconnect()

    def letters(self, parcels: Sequence[EncodedParcel], detail: str) -> list[DeadLetter]:
        """Return one letter a row; its payload is the row itself, by table."""
        why = Undelivered(Reason.SINK_CLICKHOUSE, self.name, detail, "rows")
        found: list[DeadLetter] = []
        for item in parcels:
            if len(item.parcel.batch):
                found += why.scored(item, pack_rows(scored_tables(item, self._archive)))
            if item.parcel.errs:
                packed = pack_rows({"dead_letters": letter_columns(item.parcel.errs)})
                found += map(why.dead, item.parcel.errs, packed)
        return found

    def rewrite(self, letters: Sequence[DeadLetter]) -> None:
        """Insert the rows of letters that :meth:`letters` made; RowsRefused also where a payload is none of them."""
        try:
            for tables in unpack_rows([letter.payload for letter in letters]):
                self.insert(tables)
        except _UNREADABLE as error:
            self.close()
            raise RowsRefused(f"rows of the backup cannot be read: {type(error).__name__}") from error

    def close(self) -> None:
        """Disconnect; the next write connects again."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()


def _resting(pieces: Iterable[Piece], rests: Rests) -> Generator[list[Column | Numbers], None, None]:
    """Yield the columns of each piece, with a rest after each."""
    for piece in pieces:
        yield list(piece.values())
        rests.after()


def _let_go(table: Table) -> None:
    """Free a table column by column: all at once keeps the interpreter for some ten milliseconds."""
    while table:
        table.popitem()
