"""The backup in the account: what waits, what has arrived, and what is left."""

from __future__ import annotations

from array import array

import numpy as np
import pytest

from infra import account_backup
from infra.account_backup import Backup, Settled, read_backup
from infra.account_books import Backups, place
from schemas.dead_letter import Reason

PLACES = np.array([place(0, 5), place(0, 6), place(1, 5), place(2, 9)], np.int64)


def test_a_row_has_arrived_waits_or_is_left() -> None:
    backup = Backup(PLACES, PLACES[:2])
    assert backup.found(PLACES) == Settled(0, 4, 0)
    assert backup.found(PLACES[:0]) == Settled(2, 0, 2)
    assert backup.found(PLACES[1:3]) == Settled(1, 2, 1)
    assert backup.found(PLACES[1:]).problem(Reason.SINK_REDIS) is None
    left = backup.found(PLACES[:3]).problem(Reason.SINK_REDIS)
    assert left == "1 rows that Redis refused stay in the backup: the flow's log says which and why"


def test_letters_below_what_the_redrive_committed_are_dealt_with(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def committed(*words: str) -> dict[int, int]:
        asked.append(words)
        return {0: 11, 1: 0}

    monkeypatch.setattr(account_backup, "committed_offsets", committed)
    letters = array("q", [place(0, 10), place(0, 11), place(1, 0), place(2, 0)])
    backup = read_backup("broker", "events.dead_letter", Reason.SINK_CLICKHOUSE, Backups(array("q", PLACES), letters))
    assert asked == [("broker", "clickgoose-redrive-clickhouse", "events.dead_letter")]
    assert backup.places.tolist() == PLACES.tolist()
    assert backup.open.tolist() == PLACES[1:].tolist()
