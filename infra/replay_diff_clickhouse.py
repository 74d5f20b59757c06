"""Reads the sides of a diff from ClickHouse, a bucket of events at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from clickhouse_driver import Client
from clickhouse_driver.errors import Error
from numpy.typing import NDArray

from flows.sinks.clickhouse import client_url
from infra import replay_diff_sql as sql
from infra.clickhouse.migrate import one_line
from infra.labels import labelled_events
from infra.replay_diff_sql import Chosen, Compared
from replay.diff import Letters
from replay.diff_rows import COUNTS, GROUPS, Details, Heads, Keys, Names, first_of_each, pair_keys
from replay.engine_selection import SAMPLED
from schemas.columns import I8, U64, Bool, Rows
from scoring.chosen_devices import chosen_devices
from scoring.compare import NOT_LABELLED

ROWS_OF_A_BUCKET: Final = 262_144
WINDOW: Final = 65_536  # offsets whose letters are compared at once
_FEW = 2_000  # events that are asked for by id, rather than with their whole bucket
_PLACES_AT_ONCE = 5_000
_CONNECT_SECONDS, _SECONDS = 10.0, 600.0

_WAIT = {"max_execution_time": int(_SECONDS)}
Columns = Sequence[Any]


class DiffError(Exception):
    """Two sides cannot be compared; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much there is of a side, at most, and between which event times in ms since the epoch."""

    events: int
    letters: int
    first: int
    last: int


class DiffTables:
    """The tables of both sides, on one server. DiffError where it cannot be asked."""

    def __init__(self, url: str, databases: tuple[str, str], live: str, chosen: Chosen) -> None:
        self._url, self._databases, self._live, self.chosen = url, databases, live, chosen
        address = client_url(url, _CONNECT_SECONDS, _SECONDS)
        self._client = Client.from_url(address)
        # NumPy's own bytes type would drop zeros at the end of a text.
        self._bytes = Client.from_url(address.replace("use_numpy=1", "use_numpy=0"))
        self._times: list[str] = ["1", "1"]
        self._known_labels: int | None = None
        self.compared = Compared({})

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._bytes.disconnect()

    def open(self) -> tuple[Extent, Extent]:
        """Find out what both sides have in common, and how much there is of each."""
        types = [self._types(database) for database in self._databases]
        self.compared = Compared.of(types[0], types[1])
        a, b = self._extent(0), self._extent(1)
        return a, b

    def _types(self, database: str) -> Mapping[str, str]:
        found = {_text(name): _text(kind) for name, kind in zip(*self._ask(sql.COLUMNS, 2, database=database),
                                                                strict=True)}  # fmt: skip
        if not found:
            raise DiffError(f"there is no database {database} with events in ClickHouse at {self._host}")
        return found

    def _extent(self, side: int) -> Extent:
        counted = self._ask(sql.extent(self._table(side), self.chosen.events_sql()), 3)
        events, first, last = (int(column[0]) for column in counted)
        # Of a table of months, only the days of the range are read.
        within = " AND ".join(
            f"occurred_at {sign} fromUnixTimestamp64Milli(toInt64({at}))" for sign, at in ((">=", first), ("<=", last))
        )
        self._times[side] = within if events else "0"
        (letters,) = self._ask(sql.counted(self._letters(side), self.chosen.letters_sql()), 1)
        return Extent(events, int(letters[0]), first, last)

    def heads(self, side: int, part: int, parts: int, names: tuple[Names, Names]) -> Heads:
        """Return the heads of a bucket; ``names``: of merchants and of versions, which both sides share."""
        bucket, where, sampled = sql.hashes(part, parts), self._where(side), self.chosen.sample < 1
        columns = self._ask(self.compared.heads(self._table(side), bucket, where, devices=sampled), 13)
        if not len(columns[0]):
            return Heads.none()
        merchants, versions = names
        found = Heads(
            order=np.asarray(columns[0], np.uint64),
            event_id=_ids(columns[1:3]),
            merchant=_numbers(columns[3], merchants),
            session=np.asarray(columns[4], np.uint64),
            partition=np.asarray(columns[5], np.int32),
            offset=np.asarray(columns[6], np.int64),
            occurred_at=np.asarray(columns[7], np.int64),
            score=np.asarray(columns[9], np.float32),
            decision=np.asarray(columns[10], np.uint8),
            decided_by=np.asarray(columns[11], np.uint8),
            version=_numbers(columns[12], versions),
            groups=np.stack([np.asarray(one, np.uint64) for one in columns[13 : 13 + len(GROUPS)]], axis=1),
        )
        rows = first_of_each(found, np.asarray(columns[8], np.int64))
        return found.take(rows[self._sampled(columns[-2:])[rows]] if sampled else rows)

    def _sampled(self, halves: Columns) -> Bool:
        device_id = np.stack([np.asarray(half, "<u8") for half in halves], axis=1).view(np.uint8)
        return chosen_devices(device_id, SAMPLED, 100 * self.chosen.sample)

    def details(self, side: int, part: tuple[int, int], wanted: Heads, merchants: Names) -> Details:
        """Return the details of events of a bucket, in the order of their heads."""
        bucket = sql.hashes(*part)
        if len(wanted) <= _FEW:
            bucket += f" AND {sql.ids_in(_bytes_of(wanted.event_id))}"
        columns = self._ask_bytes(self.compared.details(self._table(side), bucket, self._where(side)), 12)
        keys = _placed(columns), _numbers(columns[2], merchants)
        whole = np.column_stack((wanted.event_id, wanted.partition.astype(np.uint64), wanted.offset.astype(np.uint64)))
        rows, places = pair_keys((whole, wanted.merchant), keys)
        if len(rows) != len(wanted):
            raise DiffError("events went away while they were compared: try again")
        counts = np.frombuffer(b"".join(columns[11]), "<u4").reshape(len(columns[11]), len(COUNTS))
        factors, adds, rules, names, results, sure = (_texts(column, places) for column in columns[5:11])
        return Details(factors, adds, rules, names, results, sure, np.ascontiguousarray(counts[places], np.uint32))

    def labels(self, part: int, parts: int, wanted: Keys, merchants: Names) -> I8:
        """Return what merchants said of events: 1 fraud, 0 genuine, -1 nothing."""
        found = np.full(len(wanted[1]), NOT_LABELLED, np.int8)
        if not self._has_labels or not len(found):
            return found
        labelled = labelled_events(
            f"{sql.hashes(part, parts)} AND {self._where(0)}",
            events=self._table(0),
            labels=f"{sql.name(self._live)}.labels",
        )
        columns = self._ask(sql.LABELLED.format(id=sql.ID, labelled=labelled), 4)
        if not len(columns[0]):
            return found
        rows, places = pair_keys(wanted, (_ids(columns[:2]), _numbers(columns[2], merchants)))
        found[rows] = np.asarray(columns[3], np.int8)[places]
        return found

    def reasons(self, side: int, heads: Heads) -> list[str]:
        """Return why events of the other side are dead-lettered on this one; empty where they are not."""
        places = list(zip(heads.partition.tolist(), heads.offset.tolist(), strict=True))
        found: dict[tuple[int, int], str] = {}
        for first in range(0, len(places), _PLACES_AT_ONCE):
            among = sql.places_in(places[first : first + _PLACES_AT_ONCE])
            topic = f"topic = {sql.text(self.chosen.topic)}"
            columns = self._ask_bytes(sql.letters(self._letters(side), f"{topic} AND {among}"), 7)
            found |= dict(zip(zip(*columns[:2], strict=True), map(_text, columns[2]), strict=True))
        return [found.get(place, "") for place in places]

    def letters(self) -> Iterator[tuple[Letters, Letters]]:
        """Yield the letters of both sides, a window of places at a time, in the order of places."""
        if not self.chosen.whole_devices:
            return
        for window in sorted(self.windows(0) | self.windows(1)):
            yield self.window(0, window), self.window(1, window)

    def windows(self, side: int) -> set[tuple[int, int]]:
        """Return the partitions and windows of offsets of which a side has letters."""
        columns = self._ask(sql.windows(self._letters(side), self.chosen.letters_sql(), WINDOW), 2)
        return set(zip(*(column.tolist() for column in columns), strict=True))

    def window(self, side: int, window: tuple[int, int]) -> Letters:
        """Return a side's letters of a window, in the order of places."""
        partition, number = window
        within = f"`partition` = {partition} AND `offset` >= {number * WINDOW} AND " \
                 f"`offset` < {(number + 1) * WINDOW} AND {self.chosen.letters_sql()}"  # fmt: skip
        columns = self._ask_bytes(sql.letters(self._letters(side), within), 7)
        place = np.stack([np.asarray(column, np.int64) for column in columns[:2]], axis=1)
        numbers = ((b"%d" % one for one in column) for column in place.T.tolist())
        lines = map(b"\x1f".join, zip(*numbers, *columns[2:], strict=True))
        return Letters(place, tuple(map(_text, columns[2])), tuple(lines))

    def streamed(self, query: str, bucket: str, rows: int) -> Iterator[list[tuple[Any, ...]]]:
        """Yield what A's table answers to a query of a bucket, so many rows at a time, texts as bytes."""
        asked = query.format(events=self._table(0), bucket=bucket, where=self._where(0))
        with self._said_plainly():
            yield from self._bytes.execute_iter(asked, settings=_WAIT, chunk_size=rows)

    def notes(self) -> list[str]:
        """Return what a reader must know."""
        left_out = self.compared.left_out
        named = f"only one side has these columns, so they were not compared: {', '.join(left_out)}"
        return [named] if left_out else []

    def shown(self, side: int, ids: Iterable[bytes]) -> list[dict[str, Any]]:
        """Return whole events by id, for examples."""
        listed = list(ids)
        if not listed:
            return []
        where = f"{self._where(side)} AND {sql.ids_in(listed)}"
        columns = self._ask_bytes(self.compared.shown(self._table(side), where), len(sql.SHOWN_NAMES))
        return [dict(zip(sql.SHOWN_NAMES, map(_plain, row), strict=True)) for row in zip(*columns, strict=True)]

    @property
    def _has_labels(self) -> bool:
        if self._known_labels is None:
            (counted,) = self._ask(sql.counted(f"{sql.name(self._live)}.labels"), 1)
            self._known_labels = int(counted[0])
        return self._known_labels > 0

    def _where(self, side: int) -> str:
        return f"{self._times[side]} AND {self.chosen.events_sql()}"

    def _table(self, side: int) -> str:
        return f"{sql.name(self._databases[side])}.events"

    def _letters(self, side: int) -> str:
        return f"{sql.name(self._databases[side])}.dead_letters"

    @property
    def _host(self) -> str:
        return urlsplit(self._url).netloc.rpartition("@")[2]

    def _ask(self, query: str, columns: int, **values: str) -> list[Any]:
        """Return the columns of an answer, empty ones where there is none."""
        with self._said_plainly():
            found = self._client.execute(query, values or None, columnar=True, settings=_WAIT)
        return list(found) or [np.empty(0, object)] * columns

    def _ask_bytes(self, query: str, columns: int) -> list[Sequence[Any]]:
        """Return the same as plain Python values, texts as bytes."""
        with self._said_plainly():
            found = self._bytes.execute(query, columnar=True, settings=_WAIT)
        return list(found) or [()] * columns

    @contextmanager
    def _said_plainly(self) -> Iterator[None]:
        try:
            yield
        except (Error, OSError, EOFError) as error:
            raise DiffError(f"cannot read events from ClickHouse at {self._host}: {one_line(error)}") from error


def _ids(halves: Columns) -> U64:
    return np.stack([np.asarray(half, np.uint64) for half in halves], axis=1)


def _placed(columns: Columns) -> U64:
    """Return event id, partition and offset as columns of a key: an id that was sealed twice has two places."""
    return np.stack([np.asarray(columns[number], np.uint64) for number in (0, 1, 3, 4)], axis=1)


def _bytes_of(ids: U64) -> list[bytes]:
    whole = ids.astype(">u8").tobytes()
    return [whole[at : at + 16] for at in range(0, len(whole), 16)]


def _numbers(column: Sequence[bytes] | NDArray[Any], names: Names) -> NDArray[np.int32]:
    values = column.tolist() if isinstance(column, np.ndarray) else column
    return np.fromiter((names[value] for value in values), np.int32, len(values))


def _texts(column: Sequence[bytes], places: Rows) -> tuple[bytes, ...]:
    return tuple(column[place] for place in places.tolist())


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _plain(value: Any) -> Any:
    """Return a value as plain JSON has it."""
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, np.ndarray | list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and np.isnan(value) else value
