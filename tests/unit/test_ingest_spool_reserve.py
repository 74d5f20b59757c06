"""The room that the spool keeps: taken while there is room, given back for sending what the spool holds."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from ingest_api.checks import Record
from ingest_api.reserve import Reserve
from ingest_api.spool import Spool, SpoolError

MEBIBYTE = 1 << 20


def test_a_reserve_is_taken_once_and_given_back_once(tmp_path: Path) -> None:
    file = tmp_path / "reserve"
    reserve = Reserve(file, 100_000)
    assert reserve.take() and reserve.take()
    assert file.stat().st_size == 100_000
    assert reserve.release()
    assert not file.exists()
    assert not reserve.release()


def test_a_reserve_that_does_not_fit_takes_nothing(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "no such folder" / "reserve", 1)
    assert not reserve.take()
    assert not reserve.release()


class FullDisk:
    """A connection whose disk has room only once the reserve was given back."""

    def __init__(self, db: sqlite3.Connection, reserve: Path) -> None:
        self._db, self._reserve = db, reserve

    def executemany(self, *words: object) -> object:
        if self._reserve.exists():
            raise sqlite3.OperationalError("database or disk is full")
        return self._db.executemany(*words)

    def __getattr__(self, name: str) -> object:
        return getattr(self._db, name)


def test_on_a_full_disk_nothing_more_is_taken_and_what_is_there_can_be_sent(tmp_path: Path) -> None:
    spool = Spool(tmp_path, MEBIBYTE)
    records = [Record(b"device", bytes(1_000)) for _ in range(3)]
    assert spool.append([records]) == [True]
    spool._db = FullDisk(spool._db, tmp_path / "spool.reserve")
    with pytest.raises(SpoolError, match="disk is full"):
        spool.append([records])
    spool.remove(spool.first(1, MEBIBYTE))
    assert not (tmp_path / "spool.reserve").exists()
    (tmp_path / "spool.reserve").mkdir()  # somebody else has taken the room meanwhile
    with pytest.raises(SpoolError, match="kept for emptying it"):
        spool.append([records])
    (tmp_path / "spool.reserve").rmdir()
    assert [record for _, record in spool.first(10, MEBIBYTE)] == records[1:]
    spool.close()
