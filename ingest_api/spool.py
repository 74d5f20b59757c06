"""The disk spool: accepted events that Kafka could not take, in order, in one SQLite file that survives kill -9.

WAL with synchronous=FULL: a batch is committed and synced before anybody is told that it is accepted. On a full disk
nothing more is accepted, and what is there can still be sent: some room is kept for forgetting what was sent.
All methods block; one thread at a time may call them (``delivery.py`` gives them a thread of their own).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest_api.checks import Record
from ingest_api.reserve import Reserve

ROW_OVERHEAD = 64  # what SQLite needs for a row besides key and value, rounded up
_RESERVE_BYTES = 8 * 1024**2  # a checkpoint of SQLite's log, twice
_SCHEMA = """
CREATE TABLE IF NOT EXISTS spool (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    spooled_at REAL NOT NULL,
    parked INTEGER NOT NULL DEFAULT 0,
    key BLOB NOT NULL,
    value BLOB NOT NULL
)
"""


class SpoolError(Exception):
    """The spool cannot be used; the message is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class SpoolState:
    """How full the spool is. ``parked`` rows are kept, but Kafka refuses them for good."""

    rows: int
    parked: int
    stored_bytes: int
    oldest: float | None


class Spool:
    """One process's spool; a second process on the same directory is refused."""

    def __init__(self, directory: Path, max_bytes: int) -> None:
        """Open or make the spool of a directory; SpoolError where that cannot be."""
        self._max_bytes = max_bytes
        self._reserve = Reserve(directory / "spool.reserve", min(_RESERVE_BYTES, max_bytes // 8))
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(directory / "spool.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SpoolError(f"The spool directory {directory} cannot be used: {error.strerror}.") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._db = self._open(directory / "spool.sqlite3")
            self._bytes, self._rows, self._parked = self._count()
            self._reserve.take()
        except BlockingIOError:
            os.close(self._lock)
            raise SpoolError(f"Another ingest process uses the spool {directory}; give each its own.") from None
        except sqlite3.Error as error:
            os.close(self._lock)
            raise SpoolError(f"The spool in {directory} cannot be opened: {error}.") from None

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        """Open the file with one explicit transaction at a time."""
        path.touch(0o600)
        db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA auto_vacuum=INCREMENTAL")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(_SCHEMA)
        return db

    def _count(self) -> tuple[int, int, int]:
        row = self._db.execute(
            "SELECT COALESCE(SUM(length(key) + length(value)), 0), COUNT(*), COALESCE(SUM(parked), 0) FROM spool"
        ).fetchone()
        return row[0] + row[1] * ROW_OVERHEAD, row[1], row[2]

    @property
    def empty(self) -> bool:
        """Tell whether nothing waits to be sent."""
        return self._rows == self._parked

    @property
    def full(self) -> bool:
        """Tell whether no event of usual size fits."""
        return self._bytes + ROW_OVERHEAD >= self._max_bytes

    def append(self, batches: Sequence[Sequence[Record]]) -> list[bool]:
        """Store batches, each wholly or not at all, in one transaction; return which are stored and synced.

        SpoolError where the disk refuses; nothing is stored then.
        """
        if not self._reserve.take():
            raise SpoolError("The spool cannot be written: the room that is left on its disk is kept for emptying it.")
        stored: list[bool] = []
        rows: list[tuple[float, bytes, bytes]] = []
        size = self._bytes
        now = time.time()
        for batch in batches:
            grown = size + sum(_size(record) for record in batch)
            fits = grown <= self._max_bytes
            stored.append(fits)
            if fits:
                size = grown
                rows += [(now, record.key, record.value) for record in batch]
        if rows:
            self._transact("INSERT INTO spool (spooled_at, key, value) VALUES (?, ?, ?)", rows)
            self._bytes, self._rows = size, self._rows + len(rows)
        return stored

    def _transact(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Run one statement for many rows, all or nothing."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(statement, rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise SpoolError(f"The spool cannot be written: {error}.") from error

    def first(self, max_rows: int, max_bytes: int) -> list[tuple[int, Record]]:
        """Return the oldest rows that wait, with their ids: at least one if there is any."""
        found: list[tuple[int, Record]] = []
        size = 0
        for row_id, key, value in self._read(
            "SELECT id, key, value FROM spool WHERE parked = 0 ORDER BY id LIMIT ?", max_rows
        ):
            size += len(value)
            if found and size > max_bytes:
                break
            found.append((row_id, Record(key, value)))
        return found

    def remove(self, sent: Sequence[tuple[int, Record]]) -> None:
        """Forget rows that Kafka has acknowledged: the oldest that wait, as ``first`` gave them."""
        self._free("DELETE FROM spool WHERE id <= ? AND parked = 0", sent[-1][0])
        self._rows -= len(sent)
        self._bytes -= sum(_size(record) for _, record in sent)
        if self._rows == 0:
            self._read("PRAGMA incremental_vacuum")
            self._read("PRAGMA wal_checkpoint(TRUNCATE)")

    def _free(self, statement: str, row_id: int) -> None:
        """Run a statement that makes room; where there is none left for it to begin with, take the reserve."""
        try:
            self._transact(statement, [(row_id,)])
        except SpoolError:
            if not self._reserve.release():
                raise
            self._transact(statement, [(row_id,)])

    def park(self, row_id: int) -> None:
        """Keep a row that Kafka refuses for good, out of the way of the others."""
        self._free("UPDATE spool SET parked = 1 WHERE id = ?", row_id)
        self._parked += 1

    def state(self) -> SpoolState:
        """Return how full the spool is."""
        oldest = self._read("SELECT spooled_at FROM spool WHERE parked = 0 ORDER BY id LIMIT 1")
        return SpoolState(self._rows, self._parked, self._bytes, oldest[0][0] if oldest else None)

    def _read(self, statement: str, *values: int) -> list[Any]:
        try:
            return self._db.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise SpoolError(f"The spool cannot be read: {error}.") from error

    def close(self) -> None:
        """Close the file and let another process have it."""
        self._db.close()
        self._reserve.release()
        os.close(self._lock)


def _size(record: Record) -> int:
    return len(record.key) + len(record.value) + ROW_OVERHEAD
