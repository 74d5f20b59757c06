"""Labels into ClickHouse: what many requests bring at the same time is one insert, and is stored when it returns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from ingest_api.clickhouse_link import ClickHouseAway, ClickHouseBusy, ClickHouseLink, Connection
from ingest_api.label_items import Label
from ingest_api.metrics import Metrics

INSERT_SECONDS = 8.0  # as long as a request waits for its insert
_MOST_ROWS = 20_000  # of one insert
_MOST_WAITING = 50_000  # rows, of a few hundred bytes each
_COLUMNS = "merchant, target, id, label, labelled_at, received_at"
_INSERT = f"INSERT INTO labels ({_COLUMNS}) VALUES"
Row = tuple[bytes, bytes, bytes, bytes, int, int]


class _Waiting(NamedTuple):
    rows: list[Row]
    stored: asyncio.Future[None]


class LabelStore:
    """Coalesces labels: while one insert is under way, the next one fills up. A label twice replaces itself."""

    def __init__(self, link: ClickHouseLink, clock: Callable[[], int], metrics: Metrics) -> None:
        """``clock`` gives Unix milliseconds."""
        self._link, self._clock, self._metrics = link, clock, metrics
        self._queue: list[_Waiting] = []
        self._waiting_rows = 0
        self._flusher: asyncio.Task[None] | None = None
        self._last_stamp = 0

    async def store(self, merchant: str, labels: Sequence[Label]) -> None:
        """Return when all labels are stored; ClickHouseAway or ClickHouseBusy where that is not known."""
        if self._waiting_rows + len(labels) > _MOST_WAITING:
            raise ClickHouseBusy
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(self._rows(merchant, labels), stored))
        self._waiting_rows += len(labels)
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="label-store")
        try:
            async with asyncio.timeout(INSERT_SECONDS):
                await stored
        except TimeoutError:
            raise ClickHouseAway("no answer in time") from None

    def _rows(self, merchant: str, labels: Sequence[Label]) -> list[Row]:
        """Stamp every label with a microsecond of its own: of two for one target the later one stays."""
        first = max(self._clock() * 1_000, self._last_stamp + 1)
        self._last_stamp = first + len(labels) - 1
        named = ((merchant.encode(), one.target.encode(), one.id.encode(), one.label.encode()) for one in labels)
        return [(*name, one.labelled_at, first + at) for at, (name, one) in enumerate(zip(named, labels, strict=True))]

    async def _flush(self) -> None:
        while self._queue:
            taken = self._take()
            rows = [row for waiting in taken for row in waiting.rows]
            try:
                await self._insert(rows)
            except Exception as error:  # of those who wait for it
                _settle(taken, error)
            else:
                _settle(taken, None)
            finally:
                self._waiting_rows -= len(rows)

    async def _insert(self, rows: list[Row]) -> None:
        if rows:
            started = time.perf_counter()
            await self._link.run(partial(_run_insert, rows), INSERT_SECONDS)
            self._metrics.labels_written(time.perf_counter() - started)

    def _take(self) -> list[_Waiting]:
        """Take whole requests up to a bound; whoever stopped waiting sends again, so its rows are left out."""
        rows = 0
        taken: list[_Waiting] = []
        while self._queue and (not taken or rows + len(self._queue[0].rows) <= _MOST_ROWS):
            first = self._queue.pop(0)
            if first.stored.done():
                self._waiting_rows -= len(first.rows)
                continue
            taken.append(first)
            rows += len(first.rows)
        return taken

    async def close(self) -> None:
        """Let what is under way end."""
        if self._flusher is not None:
            await self._flusher


def _run_insert(rows: list[Row], connection: Connection) -> None:
    connection.execute(_INSERT, rows)


def _settle(taken: Sequence[_Waiting], error: Exception | None) -> None:
    for waiting in taken:
        if waiting.stored.done():
            continue
        if error is None:
            waiting.stored.set_result(None)
        else:
            waiting.stored.set_exception(error)
