"""One way to ClickHouse: a few threads with a connection each, bounded in what waits and in time.

clickhouse-driver blocks, so its calls run on threads of their own; an outage is known at once for a second, so that
requests are answered and not piled up while nobody is there.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ServerException

log = logging.getLogger("ingest.clickhouse")
T = TypeVar("T")
_CONNECT_SECONDS = 2.0
_AWAY_SECONDS = 1.0


class ClickHouseAway(Exception):
    """ClickHouse does not answer in time, or refuses; the text names its error, never a value."""


class ClickHouseBusy(Exception):
    """As much is under way as may be."""


class Connection(Protocol):
    """What is asked of a client of clickhouse-driver."""

    def execute(self, query: str, params: Any = None, **options: Any) -> Any:
        """Run one statement."""
        ...

    def disconnect(self) -> None:
        """Close the connection; the next statement opens it again."""
        ...


Connect = Callable[[], Connection]


def connector(url: str, answer_seconds: float) -> Connect:
    """Return what makes a client with bounded waits. Text and ids come as bytes."""
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query)) | {
        "strings_as_bytes": "1",
        "connect_timeout": f"{_CONNECT_SECONDS:g}",
        "send_receive_timeout": f"{answer_seconds:g}",
        "sync_request_timeout": f"{_CONNECT_SECONDS:g}",  # of the ping before a statement on a kept connection
    }
    bounded = urlunsplit(parts._replace(query=urlencode(options)))
    return lambda: Client.from_url(bounded)


class ClickHouseLink:
    """Runs jobs on ``threads`` threads; at most ``waiting`` more may wait for one."""

    def __init__(self, name: str, connect: Connect, threads: int, waiting: int) -> None:
        self.name, self._connect = name, connect
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"clickhouse-{name}")
        self._room = threads + waiting
        self._lock = threading.Lock()
        self._under_way = 0
        self._connections: dict[int, Connection] = {}
        self._away_until = 0.0
        self._said_away = False

    @property
    def away(self) -> bool:
        """Tell whether ClickHouse was found away, and has not answered since."""
        return self._said_away

    async def run(self, job: Callable[[Connection], T], seconds: float) -> T:
        """Return what the job returns; ClickHouseAway after ``seconds`` at the latest, ClickHouseBusy at once."""
        if time.monotonic() < self._away_until:
            raise ClickHouseAway("away a moment ago")
        with self._lock:
            if self._under_way >= self._room:
                raise ClickHouseBusy
            self._under_way += 1
        future = self._pool.submit(self._work, job)
        future.add_done_callback(self._finished)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), seconds)
        except TimeoutError:
            raise ClickHouseAway("no answer in time") from None

    def _finished(self, _: Any) -> None:
        with self._lock:
            self._under_way -= 1

    def _work(self, job: Callable[[Connection], T]) -> T:
        """Run a job on this thread's connection, which is not used again after an error."""
        thread = threading.get_ident()
        try:
            if thread not in self._connections:
                self._connections[thread] = self._connect()
            found = job(self._connections[thread])
        except (Error, OSError, EOFError) as error:
            self._drop(thread)
            code = getattr(error, "code", None)
            said = f"{type(error).__name__}{f' {code}' if code else ''}"
            if not isinstance(error, ServerException):  # a server that refuses one job may take the next
                self._away_until = time.monotonic() + _AWAY_SECONDS
            self._say(True, said)
            raise ClickHouseAway(said) from error
        except BaseException:
            self._drop(thread)
            raise
        self._say(False, "")
        return found

    def _drop(self, thread: int) -> None:
        connection = self._connections.pop(thread, None)
        if connection is not None:
            connection.disconnect()

    def _say(self, away: bool, why: str) -> None:
        """Tell changes once."""
        if away != self._said_away:
            self._said_away = away
            said = {"link": self.name, **({"error": why} if why else {})}
            log.warning("clickhouse cannot be used" if away else "clickhouse answers again", extra=said)

    async def close(self) -> None:
        """Let what is under way end, and disconnect."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        for thread in list(self._connections):
            self._drop(thread)
