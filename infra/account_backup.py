"""The backup in the account: rows that wait there, those that were redriven, and those that nobody will redrive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from flows.redrive import redrive_group
from infra.account_books import I64, Backups
from infra.topic_reader import committed_offsets
from schemas.dead_letter import Reason

STORES: Mapping[Reason, str] = {Reason.SINK_CLICKHOUSE: "ClickHouse", Reason.SINK_REDIS: "Redis"}
_SHIFT = 48


class Backup(NamedTuple):
    """Places in events.raw of rows that the backup holds for one destination, distinct and in order."""

    places: I64
    open: I64  # those of letters that the redrive has not dealt with

    def found(self, shown: I64) -> Settled:
        """Return what became of the rows, given the places that the destination shows."""
        absent = np.setdiff1d(self.places, shown, assume_unique=True)
        waiting = int(np.isin(absent, self.open).sum())
        return Settled(waiting, len(self.places) - len(absent), len(absent) - waiting)


class Settled(NamedTuple):
    """How many rows of the backup wait, have arrived, or are left: refused again and again."""

    waiting: int
    redriven: int
    left: int

    def problem(self, reason: Reason) -> str | None:
        """Return the sentence for rows that are left."""
        if not self.left:
            return None
        return f"{self.left} rows that {STORES[reason]} refused stay in the backup: the flow's log says which and why"


def read_backup(bootstrap: str, topic: str, reason: Reason, found: Backups) -> Backup:
    """Return the backup of one destination as its redrive has come; AccountError."""
    come = committed_offsets(bootstrap, redrive_group(reason.partition(".")[2]), topic)
    places, letters = np.array(found.places, np.int64), np.array(found.letters, np.int64)
    partitions, offsets = letters >> _SHIFT, letters & (1 << _SHIFT) - 1
    dealt = np.zeros(len(letters), np.bool_)
    for partition, next_offset in come.items():
        dealt |= (partitions == partition) & (offsets < next_offset)
    return Backup(np.unique(places), np.unique(places[~dealt]))
