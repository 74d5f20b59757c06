"""Records of ``events.raw`` past Kafka's retention: ``raw_archive`` in ClickHouse, with the records that died between.

A flow writes every record that it decides about to ``raw_archive``, and every one that dies to ``dead_letters``, both
as received. Two kinds are in neither:

- copies of events, which velocity drops. No count, history or decision takes notice of one, so a replay without them
  gives the same. (A copy that was sealed by a clock ahead may have moved a partition's watermark on a little before the
  next record did.)
- records with personal data: their letters keep a redacted payload, so that the backup is no leak. They would die again
  before anything is counted; a replay from the archive has no letter for them. The plan counts them.

A row is written again after a kill, so an offset may be there several times: one is read. Of a topic that was made anew
under its old name, the later row is meant.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from clickhouse_driver import Client
from clickhouse_driver.errors import Error, ErrorCodes, ServerException

from flows.sinks.clickhouse import client_url
from replay.kafka_source import raw_batch
from replay.parts import Source, SourceFailed
from replay.plan import Piece, Store
from schemas.batches import RawBatch

TABLES: Final = ("raw_archive", "dead_letters")
WHERE: Final = """topic = %(topic)s AND partition = %(partition)s"""
WITHIN: Final = WHERE + ' AND "offset" >= %(first)s AND "offset" < %(next)s'
READABLE: Final = "payload_format = 'envelope'"  # as received; else redacted
_ROWS_OF: Final = """
SELECT "offset", toUnixTimestamp64Milli(appended_at), payload FROM (
    SELECT "offset", appended_at, payload, 0 AS died FROM raw_archive WHERE {within}
    UNION ALL
    SELECT "offset", appended_at, payload, 1 AS died FROM dead_letters WHERE {within} AND {readable}
) ORDER BY "offset", appended_at DESC, died LIMIT 1 BY "offset"
"""
_ROWS: Final = _ROWS_OF.format(within=WITHIN, readable=READABLE)
_FIRST_OF: Final = 'SELECT "offset" FROM {table} WHERE {where} ORDER BY topic, partition, "offset" LIMIT 1'
_MISSING_HERE: Final = {ErrorCodes.UNKNOWN_TABLE, ErrorCodes.UNKNOWN_DATABASE, ErrorCodes.UNKNOWN_IDENTIFIER}
_LEAST_STEP, _MOST_STEP = 128, 4_096  # offsets of one question


@dataclass(frozen=True, slots=True)
class Reading:
    """How the archive is asked. ``bytes_at_once``: of payloads of all pieces that are open, ``pieces`` at most.

    The next answer is fetched while one is worked on, so twice as much is held.
    """

    pieces: int = 1
    bytes_at_once: int = 64 * 1024**2
    attempts: int = 6
    pause_seconds: float = 0.25  # after the first that fails; then twice as long each time


def archive_client(url: str, connect_seconds: float = 10.0, answer_seconds: float = 600.0) -> Client:
    """Return a client for the archive: texts as bytes, and not NumPy's, which drop zeros at the end of a record."""
    parts = urlsplit(client_url(url, connect_seconds, answer_seconds))
    options = dict(parse_qsl(parts.query)) | {"use_numpy": "0"}
    return Client.from_url(urlunsplit(parts._replace(query=urlencode(options))))


class ArchiveSource:
    """A ``Source`` of sealed events. ``connect`` makes a client, as ``archive_client`` does.

    SourceFailed where ClickHouse does not answer, and where rows went since the plan was made.
    """

    def __init__(self, connect: Callable[[], Client], topic: str, reading: Reading = Reading()) -> None:
        self._connect, self._topic, self._how = connect, topic, reading
        self._clients: set[Client] = set()
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="archive")

    def read(self, piece: Piece, first: int, /) -> Iterator[RawBatch]:
        """Yield the records of a piece from an offset on."""
        at = begun = max(first, piece.first)
        if at >= piece.next:
            return
        client = self._connect()
        self._clients.add(client)
        waiting: Future[tuple[Any, Any, Any]] | None = None
        try:
            self._check_whole(client, piece, begun)
            step = _LEAST_STEP
            waiting = self._ask(client, piece, at, step)
            while at < piece.next:
                offsets, appended, payloads = waiting.result()
                at += step
                step = self._next_step(step, sum(map(len, payloads)))
                if at < piece.next:
                    waiting = self._ask(client, piece, at, step)
                if len(offsets):
                    yield raw_batch(self._topic, piece.partition, offsets, appended, payloads)
            self._check_whole(client, piece, begun)  # nothing went while it was read
        finally:
            if waiting is not None:
                wait((waiting,))  # where nobody wants the rest: a connection is of one thread at a time
            self._clients.discard(client)
            client.disconnect()

    def close(self) -> None:
        """Let go of all connections."""
        self._threads.shutdown(wait=True, cancel_futures=True)
        while self._clients:
            self._clients.pop().disconnect()

    def _ask(self, client: Client, piece: Piece, first: int, step: int) -> Future[tuple[Any, Any, Any]]:
        wanted = {
            "topic": self._topic,
            "partition": piece.partition,
            "first": first,
            "next": min(first + step, piece.next),
        }
        return self._threads.submit(self._columns, client, wanted)

    def _columns(self, client: Client, wanted: dict[str, Any]) -> tuple[Any, Any, Any]:
        found = self._tried(lambda: client.execute(_ROWS, wanted, columnar=True), client)
        return (found[0], found[1], found[2]) if found else ((), (), ())

    def _next_step(self, step: int, size: int) -> int:
        """Return how many offsets are asked for next, by the bytes of the last ones."""
        room = self._how.bytes_at_once // max(1, self._how.pieces)
        fits = room * step // max(1, size)
        return max(_LEAST_STEP, min(_MOST_STEP, 2 * step, fits))

    def _check_whole(self, client: Client, piece: Piece, begun: int) -> None:
        first = self._tried(lambda: first_offset(client, self._topic, piece.partition), client)
        if first is None or first > begun:
            raise SourceFailed(
                f"the archive no longer has offset {begun} of partition {piece.partition}: its rows were deleted since "
                "the plan was made; plan again"
            )

    def _tried(self, ask: Callable[[], Any], client: Client) -> Any:
        """Ask until there is an answer: a long replay lives through a restart of ClickHouse."""
        pause = self._how.pause_seconds
        for left in reversed(range(self._how.attempts)):
            try:
                return ask()
            except (Error, OSError, EOFError) as error:
                with suppress(Exception):
                    client.disconnect()
                if left and not (isinstance(error, ServerException) and error.code in _MISSING_HERE):
                    time.sleep(pause)
                    pause *= 2
                    continue
                said = str(error).strip().splitlines() or [type(error).__name__]
                raise SourceFailed(f"cannot read the archive in ClickHouse: {said[0]}") from error
        raise AssertionError("at least one attempt is made")


def first_offset(client: Client, topic: str, partition: int) -> int | None:
    """Return the lowest offset of a partition that the archive has, None where it has none. Errors of the driver."""
    found: list[int] = []
    for table in TABLES:
        question = _FIRST_OF.format(table=table, where=WHERE)
        found += [int(row[0]) for row in client.execute(question, {"topic": topic, "partition": partition})]
    return min(found, default=None)


class EitherSource:
    """Reads each piece where its plan says."""

    def __init__(self, kafka: Source, archive: Source) -> None:
        self._sources = {Store.KAFKA: kafka, Store.ARCHIVE: archive}

    def read(self, piece: Piece, first: int, /) -> Iterator[RawBatch]:
        """Yield the records of a piece from an offset on."""
        return self._sources[piece.store].read(piece, first)

    def close(self) -> None:
        """Close both."""
        for source in self._sources.values():
            source.close()
